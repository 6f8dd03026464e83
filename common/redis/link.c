/* Socket and reply parser of one connection to Redis. */
#include "common/redis/link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES      16384
#define KEEP_BYTES      ((size_t)1 << 20) /* of the send buffer after a burst */
#define READS_PER_EVENT 16                /* then the loop's other work has its turn */

struct tg_redis_link {
    tg_loop_t *loop;
    tg_redis_link_owner_t owner;
    int fd; /* -1: closed */
    bool connected;
    tg_watch_t *watch;
    unsigned interest;
    tg_buf_t unsent;
    size_t sent; /* bytes of `unsent` that have left */
    redisReader *reader;
    redisReplyObjectFunctions functions; /* hiredis' own, but for arrays */
    void *(*create_array)(const redisReadTask *task, int elements);
    size_t reply_bytes, reply_elements; /* of the reply that is coming in */
};

/* hiredis allocates as many elements as the reply announces, before they have come. */
static void *create_bounded_array(const redisReadTask *task, int elements)
{
    tg_redis_link_t *link = task->privdata;
    if (elements < 0 || (size_t)elements > TG_REDIS_ELEMENTS_MAX - link->reply_elements)
        return NULL;
    link->reply_elements += (size_t)elements;
    return link->create_array(task, elements);
}

tg_redis_link_t *tg_redis_link_create(tg_loop_t *loop, const tg_redis_link_owner_t *owner)
{
    assert(loop != NULL);
    assert(owner->on_reply != NULL && owner->on_lost != NULL);
    tg_redis_link_t *link = calloc(1, sizeof(*link));
    if (link == NULL)
        return NULL;
    link->loop = loop;
    link->owner = *owner;
    link->fd = -1;
    link->unsent = tg_buf_make(TG_REDIS_UNSENT_MAX);
    return link;
}

void tg_redis_link_destroy(tg_redis_link_t *link)
{
    if (link == NULL)
        return;
    tg_redis_link_close(link);
    free(link);
}

void tg_redis_link_close(tg_redis_link_t *link)
{
    tg_watch_close(link->watch);
    link->watch = NULL;
    if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
    link->connected = false;
    if (link->reader != NULL)
        redisReaderFree(link->reader);
    link->reader = NULL;
    tg_buf_dispose(&link->unsent);
    link->sent = link->reply_bytes = link->reply_elements = 0;
}

static void lose(tg_redis_link_t *link, const char *why)
{
    assert(link->fd >= 0);
    tg_redis_link_close(link);
    link->owner.on_lost(link->owner.arg, why);
}

static void set_interest(tg_redis_link_t *link, unsigned interest)
{
    if (interest != link->interest)
        tg_watch_set(link->watch, interest);
    link->interest = interest;
}

/* --- opening --- */

static tg_status_t create_reader(tg_redis_link_t *link, tg_error_t *error)
{
    link->reader = redisReaderCreate();
    if (link->reader == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    link->functions = *link->reader->fn;
    link->create_array = link->functions.createArray;
    link->functions.createArray = create_bounded_array;
    link->reader->fn = &link->functions;
    link->reader->privdata = link;
    return TG_OK;
}

static tg_status_t connect_socket(tg_redis_link_t *link, const char *host, const char *port,
                                  tg_error_t *error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int code = getaddrinfo(host, port, &hints, &found);
    if (code != 0)
        return tg_error_set(error, TG_UNAVAILABLE, "%s: %s", host, gai_strerror(code));
    int one = 1;
    link->fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool started = link->fd >= 0 && (connect(link->fd, found->ai_addr, found->ai_addrlen) == 0 ||
                                     errno == EINPROGRESS);
    freeaddrinfo(found);
    if (!started)
        return tg_error_set(error, TG_UNAVAILABLE, "%s:%s: %s", host, port, strerror(errno));
    (void)setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return TG_OK;
}

static void on_ready(void *arg, unsigned ready);

tg_status_t tg_redis_link_open(tg_redis_link_t *link, const char *host, const char *port,
                               tg_error_t *error)
{
    assert(link->fd < 0);
    tg_status_t status = create_reader(link, error);
    if (status == TG_OK)
        status = connect_socket(link, host, port, error);
    if (status == TG_OK) {
        link->watch = tg_watch_open(link->loop, link->fd, on_ready, link);
        if (link->watch == NULL)
            status = tg_error_set(error, TG_NOMEM, "no descriptor left to watch the connection");
    }
    if (status != TG_OK) {
        tg_redis_link_close(link);
        return status;
    }
    tg_watch_set(link->watch, TG_WATCH_WRITE);
    link->interest = TG_WATCH_WRITE;
    return TG_OK;
}

static bool connect_finished(tg_redis_link_t *link)
{
    int code = 0;
    socklen_t len = sizeof(code);
    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &code, &len) != 0)
        code = errno;
    if (code != 0) {
        lose(link, strerror(code));
        return false;
    }
    link->connected = true;
    return true;
}

/* --- sending --- */

tg_status_t tg_redis_link_send(tg_redis_link_t *link, const tg_str_t *argv, size_t argc)
{
    assert(link->fd >= 0);
    assert(argc >= 1);
    tg_buf_t *out = &link->unsent;
    size_t before = out->len;
    tg_buf_printf(out, "*%zu\r\n", argc);
    for (size_t i = 0; i < argc; i++) {
        tg_buf_printf(out, "$%zu\r\n", argv[i].len);
        tg_buf_str(out, argv[i]);
        tg_buf_append(out, "\r\n", 2);
    }
    if (out->failed) { /* half a command must not leave */
        out->len = before;
        out->failed = false;
        return TG_FULL;
    }
    if (link->connected)
        set_interest(link, TG_WATCH_READ | TG_WATCH_WRITE);
    return TG_OK;
}

/* False when the link was lost. */
static bool write_unsent(tg_redis_link_t *link)
{
    while (link->sent < link->unsent.len) {
        ssize_t n = send(link->fd, link->unsent.data + link->sent, link->unsent.len - link->sent,
                         MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            set_interest(link, TG_WATCH_READ | TG_WATCH_WRITE);
            return true;
        }
        if (n < 0) {
            lose(link, strerror(errno));
            return false;
        }
        link->sent += (size_t)n;
    }
    link->sent = 0;
    if (link->unsent.cap > KEEP_BYTES)
        tg_buf_dispose(&link->unsent);
    tg_buf_clear(&link->unsent);
    set_interest(link, TG_WATCH_READ);
    return true;
}

/* --- receiving --- */

/* Hands over the whole replies in the reader; false when the link was lost. */
static bool take_replies(tg_redis_link_t *link)
{
    for (;;) {
        void *reply = NULL;
        if (redisReaderGetReply(link->reader, &reply) != REDIS_OK) {
            lose(link, "the reply is no valid RESP or too large");
            return false;
        }
        if (reply == NULL)
            break;
        link->reply_bytes = link->reply_elements = 0;
        bool go_on = link->owner.on_reply(link->owner.arg, reply);
        freeReplyObject(reply);
        if (!go_on) {
            lose(link, "the reply was not expected");
            return false;
        }
    }
    if (link->reply_bytes > TG_REDIS_REPLY_MAX) {
        lose(link, "the reply is larger than 16 MiB");
        return false;
    }
    return true;
}

static void read_replies(tg_redis_link_t *link)
{
    char bytes[READ_BYTES];
    for (int i = 0; i < READS_PER_EVENT; i++) {
        ssize_t n = recv(link->fd, bytes, sizeof(bytes), 0);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
            return;
        if (n <= 0) {
            lose(link, n == 0 ? "the server closed the connection" : strerror(errno));
            return;
        }
        link->reply_bytes += (size_t)n;
        if (redisReaderFeed(link->reader, bytes, (size_t)n) != REDIS_OK) {
            lose(link, "out of memory");
            return;
        }
        if (!take_replies(link) || (size_t)n < sizeof(bytes))
            return;
    }
}

static void on_ready(void *arg, unsigned ready)
{
    tg_redis_link_t *link = arg;
    assert(link->fd >= 0);
    if (!link->connected && !connect_finished(link))
        return;
    if ((ready & TG_WATCH_WRITE) != 0 && !write_unsent(link))
        return;
    if ((ready & TG_WATCH_READ) != 0)
        read_replies(link);
}
