/* Closing without destroying the answer: a socket closed with unread input makes the kernel send a
 * reset, and a client that is still sending its too large body loses the 413 that explains it. So a
 * duplicate of the socket outlives h2o's close, says that it will send no more, and reads what
 * still comes for a bounded time.
 *
 * Limits: TG_HTTP_LINGERS_MAX at a time (more are simply closed), 1 s, 64 MiB each. */
#include <errno.h>
#include <stdlib.h>

#include "common/http/shell/shell.h"

struct lingering {
    h2o_linklist_t link;
    tg_http_thread_t *thread;
    int fd;
    size_t bytes;
    tg_watch_t *watch;
    tg_timer_t timer;
};

static void linger_finish(struct lingering *linger)
{
    tg_watch_close(linger->watch);
    tg_timer_stop(&linger->timer);
    h2o_linklist_unlink(&linger->link);
    assert(linger->thread->linger_count > 0);
    linger->thread->linger_count--;
    close(linger->fd);
    free(linger);
}

static void on_linger_timeout(void *arg)
{
    linger_finish(arg);
}

static void on_linger_readable(void *arg, unsigned ready)
{
    (void)ready;
    struct lingering *linger = arg;
    assert(linger->watch != NULL);
    char sink[16384];
    ssize_t n = recv(linger->fd, sink, sizeof(sink), MSG_DONTWAIT);
    if (n > 0)
        linger->bytes += (size_t)n;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) ||
        linger->bytes > TG_HTTP_LINGER_BYTES)
        linger_finish(linger);
}

void tg_http_linger_start(tg_http_thread_t *thread, int fd)
{
    assert(fd >= 0);
    (void)shutdown(fd, SHUT_WR);
    struct lingering *linger = NULL;
    if (thread->linger_count < TG_HTTP_LINGERS_MAX)
        linger = calloc(1, sizeof(*linger));
    if (linger != NULL) {
        linger->watch = tg_watch_open(thread->loop, fd, on_linger_readable, linger);
        if (linger->watch == NULL) {
            free(linger);
            linger = NULL;
        }
    }
    if (linger == NULL) {
        close(fd);
        return;
    }
    linger->thread = thread;
    linger->fd = fd;
    h2o_linklist_insert(&thread->lingers, &linger->link);
    thread->linger_count++;
    tg_watch_set(linger->watch, TG_WATCH_READ);
    tg_timer_start(thread->loop, &linger->timer, TG_HTTP_LINGER_MS, on_linger_timeout, linger);
}

void tg_http_linger_stop_all(tg_http_thread_t *thread)
{
    for (h2o_linklist_t *at = thread->lingers.next, *next; at != &thread->lingers; at = next) {
        next = at->next;
        linger_finish(H2O_STRUCT_FROM_MEMBER(struct lingering, link, at));
    }
}
