/* Foreign descriptors on h2o's loop.
 *
 * h2o wraps a descriptor as a socket. With DONT_READ its read callback is plain level-triggered
 * readiness; write readiness is one-shot and cannot be taken back, so it is armed again after each
 * callback while the interest holds, and one that comes after the interest has gone is ignored.
 *
 * Closing inside the callback: h2o keeps a closed socket's memory until the next poll and calls it
 * no more; our own struct lives until the callback has returned. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <h2o.h>

#include "common/loop/loop_private.h"

struct tg_watch {
    tg_loop_t *loop;
    h2o_socket_t *socket; /* NULL once closed */
    tg_watch_fn fn;
    void *arg;
    unsigned interest;
    bool calling; /* fn is on the stack: the last one out frees */
};

/* epoll refuses regular files and folders, and h2o's loop does not survive that refusal. */
static bool can_poll(int fd)
{
    struct stat info;
    return fstat(fd, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

tg_watch_t *tg_watch_open(tg_loop_t *loop, int fd, tg_watch_fn fn, void *arg)
{
    assert(loop != NULL);
    assert(fn != NULL);
    if (!can_poll(fd))
        return NULL;
    tg_watch_t *watch = calloc(1, sizeof(*watch));
    if (watch == NULL)
        return NULL;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        free(watch);
        return NULL;
    }
    watch->loop = loop;
    watch->fn = fn;
    watch->arg = arg;
    watch->socket = h2o_evloop_socket_create(loop->h2o, copy, H2O_SOCKET_FLAG_DONT_READ);
    watch->socket->data = watch;
    loop->open_watches++;
    return watch;
}

static void on_writable(h2o_socket_t *socket, const char *err);

static void arm_write(tg_watch_t *watch)
{
    if ((watch->interest & TG_WATCH_WRITE) != 0 && !h2o_socket_is_writing(watch->socket))
        h2o_socket_notify_write(watch->socket, on_writable);
}

/* Calls the owner; false when it closed the watch, which is gone then. */
static bool call(tg_watch_t *watch, unsigned ready)
{
    assert(!watch->calling);
    watch->calling = true;
    watch->fn(watch->arg, ready);
    watch->calling = false;
    if (watch->socket != NULL)
        return true;
    free(watch);
    return false;
}

static void on_readable(h2o_socket_t *socket, const char *err)
{
    tg_watch_t *watch = socket->data;
    (void)err; /* the owner's own read shows it */
    assert(watch->socket == socket);
    if ((watch->interest & TG_WATCH_READ) != 0)
        (void)call(watch, TG_WATCH_READ);
}

static void on_writable(h2o_socket_t *socket, const char *err)
{
    tg_watch_t *watch = socket->data;
    (void)err;
    assert(watch->socket == socket);
    if ((watch->interest & TG_WATCH_WRITE) != 0 && call(watch, TG_WATCH_WRITE))
        arm_write(watch);
}

void tg_watch_set(tg_watch_t *watch, unsigned interest)
{
    assert(watch != NULL);
    assert(watch->socket != NULL);
    assert((interest & ~(unsigned)(TG_WATCH_READ | TG_WATCH_WRITE)) == 0);
    bool reading = (watch->interest & TG_WATCH_READ) != 0;
    bool read = (interest & TG_WATCH_READ) != 0;
    watch->interest = interest;
    if (read && !reading)
        h2o_socket_read_start(watch->socket, on_readable);
    else if (!read && reading)
        h2o_socket_read_stop(watch->socket);
    arm_write(watch);
}

void tg_watch_close(tg_watch_t *watch)
{
    if (watch == NULL)
        return;
    assert(watch->socket != NULL); /* closed once only */
    assert(watch->loop->open_watches > 0);
    watch->loop->open_watches--;
    watch->interest = 0;
    h2o_socket_close(watch->socket);
    watch->socket = NULL;
    if (!watch->calling)
        free(watch);
}
