/* One listening socket per thread on the same address: the kernel spreads connections over them.
 *
 * SO_REUSEPORT would also let a second process of the same user share the port without a word, and
 * take half of the requests. So the address is first bound without it, which fails if anybody
 * listens there. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <unistd.h>

#include "common/http/shell/shell.h"

#define TG_HTTP_BACKLOG 4096

static tg_status_t resolve(const char *address, struct addrinfo **out_list, tg_error_t *error)
{
    char host[256];
    const char *colon = strrchr(address, ':');
    size_t len = colon == NULL ? 0 : (size_t)(colon - address);
    const char *start = address;
    if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
        start++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof(host))
        return tg_error_set(error, TG_INVALID, "\"%s\" is not an address like 127.0.0.1:8080.",
                            address);
    memcpy(host, start, len);
    host[len] = '\0';
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    int code = getaddrinfo(host, colon + 1, &hints, out_list);
    if (code != 0)
        return tg_error_set(error, TG_INVALID, "Cannot listen on %s: %s.", address,
                            gai_strerror(code));
    return TG_OK;
}

/* A bound socket, or -1 with errno. */
static int bind_socket(const struct addrinfo *to, uint16_t port, bool shared)
{
    struct sockaddr_storage where;
    assert(to->ai_addrlen <= sizeof(where));
    memcpy(&where, to->ai_addr, to->ai_addrlen);
    if (port != 0 && where.ss_family == AF_INET)
        ((struct sockaddr_in *)&where)->sin_port = htons(port);
    else if (port != 0)
        ((struct sockaddr_in6 *)&where)->sin6_port = htons(port);

    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        (!shared || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0) &&
        bind(fd, (struct sockaddr *)&where, to->ai_addrlen) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static uint16_t port_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } where = {.v6 = {0}};
    socklen_t len = sizeof(where);
    if (getsockname(fd, &where.any, &len) != 0)
        return 0;
    return ntohs(where.any.sa_family == AF_INET ? where.v4.sin_port : where.v6.sin6_port);
}

static bool probe(const struct addrinfo *to)
{
    int fd = bind_socket(to, 0, false);
    if (fd < 0)
        return false;
    close(fd);
    return true;
}

static bool open_all(const struct addrinfo *to, size_t count, int *fds, uint16_t *port)
{
    for (size_t i = 0; i < count; i++) {
        fds[i] = bind_socket(to, i == 0 ? 0 : *port, true);
        if (fds[i] < 0 || listen(fds[i], TG_HTTP_BACKLOG) != 0)
            return false;
        *port = port_of(fds[i]);
    }
    return true;
}

tg_status_t tg_http_listen(const char *address, size_t count, int *out_fds, uint16_t *out_port,
                           tg_error_t *error)
{
    assert(count > 0);
    struct addrinfo *list = NULL;
    tg_status_t status = resolve(address, &list, error);
    if (status != TG_OK)
        return status;
    assert(list != NULL);
    for (size_t i = 0; i < count; i++)
        out_fds[i] = -1;
    if (!probe(list) || !open_all(list, count, out_fds, out_port)) {
        status = tg_error_set(error, TG_CONFLICT, "Cannot listen on %s: %s.", address,
                              errno == EADDRINUSE ? "the port is in use by another process"
                                                  : strerror(errno));
        for (size_t i = 0; i < count; i++) {
            if (out_fds[i] >= 0)
                close(out_fds[i]);
            out_fds[i] = -1;
        }
    }
    freeaddrinfo(list);
    return status;
}
