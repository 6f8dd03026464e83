/* See wire.h. */
#include "loadtest/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES ((size_t)64 << 10)

bool tg_wire_target(const char *text, struct sockaddr_in *out_address)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    uint64_t port = 0;
    if (colon == NULL || tg_str_to_u64(tg_str_from(colon + 1), &port) != TG_OK || port == 0 ||
        port > UINT16_MAX)
        return false;
    (void)snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
    *out_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return inet_pton(AF_INET, host, &out_address->sin_addr) == 1;
}

void tg_wire_init(tg_wire_t *wire, int epoll, size_t request_max)
{
    *wire = (tg_wire_t){
        .epoll = epoll,
        .fd = -1,
        .request = tg_buf_make(request_max),
        .answer = tg_buf_make(TG_WIRE_ANSWER_MAX + 2 * READ_BYTES),
    };
}

void tg_wire_close(tg_wire_t *wire)
{
    if (wire->fd >= 0)
        close(wire->fd);
    wire->fd = -1;
    wire->busy = wire->waits_to_write = false;
}

void tg_wire_dispose(tg_wire_t *wire)
{
    tg_wire_close(wire);
    tg_buf_dispose(&wire->request);
    tg_buf_dispose(&wire->answer);
}

bool tg_wire_open(tg_wire_t *wire, const struct sockaddr_in *address)
{
    assert(wire->fd < 0);
    int on = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = wire};
    wire->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (wire->fd >= 0 &&
        connect(wire->fd, (const struct sockaddr *)address, sizeof(*address)) == 0 &&
        setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0 &&
        fcntl(wire->fd, F_SETFL, O_NONBLOCK) == 0 &&
        epoll_ctl(wire->epoll, EPOLL_CTL_ADD, wire->fd, &event) == 0)
        return true;
    tg_wire_close(wire);
    return false;
}

bool tg_wire_push(tg_wire_t *wire)
{
    while (wire->sent < wire->request.len) {
        ssize_t n = send(wire->fd, wire->request.data + wire->sent, wire->request.len - wire->sent,
                         MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            return false;
        if (n < 0)
            break;
        wire->sent += (size_t)n;
    }
    bool rest = wire->sent < wire->request.len;
    if (rest == wire->waits_to_write)
        return true; /* most requests leave at once */
    wire->waits_to_write = rest;
    struct epoll_event event = {.events = EPOLLIN | (rest ? EPOLLOUT : 0u), .data.ptr = wire};
    return epoll_ctl(wire->epoll, EPOLL_CTL_MOD, wire->fd, &event) == 0;
}

bool tg_wire_send(tg_wire_t *wire)
{
    assert(!wire->busy && wire->fd >= 0);
    assert(!wire->request.failed);
    tg_buf_clear(&wire->answer);
    wire->busy = true;
    wire->sent = wire->answer_len = 0;
    return tg_wire_push(wire);
}

bool tg_wire_number(const tg_buf_t *text, size_t len, const char *name, uint64_t *out_number)
{
    const char *at = memmem(text->data, len, name, strlen(name));
    if (at == NULL)
        return false;
    at += strlen(name);
    size_t digits = 0, left = len - (size_t)(at - text->data);
    while (digits < left && at[digits] >= '0' && at[digits] <= '9')
        digits++;
    return tg_str_to_u64((tg_str_t){at, digits}, out_number) == TG_OK;
}

/* Learns code and length from the head, once it is here; false when it makes no sense. */
static bool read_head(tg_wire_t *wire)
{
    tg_buf_t *answer = &wire->answer;
    const char *end = memmem(answer->data, answer->len, "\r\n\r\n", 4);
    uint64_t code = 0, length = 0;
    if (end == NULL)
        return true;
    size_t head = (size_t)(end - answer->data) + 4;
    if (!tg_wire_number(answer, head, "HTTP/1.1 ", &code) ||
        (!tg_wire_number(answer, head, "content-length: ", &length) &&
         !tg_wire_number(answer, head, "Content-Length: ", &length)) ||
        length > TG_WIRE_ANSWER_MAX)
        return false;
    wire->code = (int)code;
    wire->answer_len = head + length;
    return true;
}

tg_wire_state_t tg_wire_pull(tg_wire_t *wire)
{
    char *room = tg_buf_reserve(&wire->answer, READ_BYTES);
    ssize_t n = room == NULL ? 0 : recv(wire->fd, room, READ_BYTES, 0);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR) ? TG_WIRE_MORE : TG_WIRE_LOST;
    wire->answer.len += (size_t)n;
    if (!wire->busy || (wire->answer_len == 0 && !read_head(wire)))
        return TG_WIRE_LOST; /* an answer to nothing, or to be understood by nobody */
    if (wire->answer_len == 0 || wire->answer.len < wire->answer_len)
        return TG_WIRE_MORE;
    wire->busy = false;
    return TG_WIRE_ANSWERED;
}
