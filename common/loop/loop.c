/* A turn: h2o polls and runs its callbacks, then posts, then due timers.
 *
 * Posts are a vector under a mutex that the loop swaps out whole, so a burst costs one lock on this
 * side. The eventfd is written only when the vector goes from empty to not empty.
 *
 * Two traps of h2o 2.2.5 shape this file. A socket with finished work is "pending" until the next
 * poll, and one that is closed meanwhile is freed before the pending list is run: so the list is
 * run after each callback of ours, as h2o does after its own timeouts. And h2o_evloop_destroy
 * neither closes the epoll descriptor nor frees open sockets: both are seen to here. */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <h2o.h>

#include "common/base/time.h"
#include "common/loop/loop_private.h"

#define TG_LOOP_WAIT_MAX_MS 1000
#define POSTS_FIRST         64 /* capacity of a vector's first allocation */

/* The packaged library's private struct behind h2o_evloop_t (epoll back end). */
struct epoll_loop {
    h2o_evloop_t super;
    int epoll_fd;
};

static void on_wake(void *arg, unsigned ready)
{
    tg_loop_t *loop = arg;
    assert((ready & TG_WATCH_READ) != 0);
    (void)ready;
    uint64_t count = 0;
    if (read(loop->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
        abort(); /* our own eventfd is gone: no thread could wake this loop again */
}

static void wake(tg_loop_t *loop)
{
    uint64_t one = 1;
    if (write(loop->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
        abort(); /* EAGAIN would mean: more than awake already */
}

tg_loop_t *tg_loop_create(void)
{
    tg_loop_t *loop = calloc(1, sizeof(*loop));
    if (loop == NULL)
        return NULL;
    if (pthread_mutex_init(&loop->mutex, NULL) != 0)
        abort(); /* a default mutex on Linux cannot fail */
    atomic_init(&loop->stop, false);
    loop->now_ms = tg_time_mono_ms();
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->wake_fd < 0)
        goto fail;
    loop->h2o = h2o_evloop_create();
    loop->wake_watch = tg_watch_open(loop, loop->wake_fd, on_wake, loop);
    if (loop->wake_watch == NULL)
        goto fail;
    tg_watch_set(loop->wake_watch, TG_WATCH_READ);
    return loop;

fail:
    tg_loop_destroy(loop);
    return NULL;
}

void tg_loop_run_pending(tg_loop_t *loop)
{
    h2o_timeout__do_post_callback(loop->h2o);
}

/* Runs what is queued now; posts that come meanwhile wait. Returns how many there were. */
static size_t run_posts(tg_loop_t *loop)
{
    assert(loop->running.len == 0);
    pthread_mutex_lock(&loop->mutex);
    struct tg_loop_posts posts = loop->queued;
    loop->queued = loop->running;
    loop->running = posts;
    pthread_mutex_unlock(&loop->mutex);
    for (size_t i = 0; i < posts.len; i++) {
        posts.items[i].fn(posts.items[i].arg);
        tg_loop_run_pending(loop);
    }
    loop->running.len = 0;
    return posts.len;
}

/* h2o keeps freed read buffers per thread, and forgets them when the thread ends. */
static void free_buffer_cache(void)
{
    h2o_mem_recycle_t *buffers = &h2o_socket_buffer_prototype.allocator;
    while (buffers->cnt > 0)
        free(h2o_mem_alloc_recycle(buffers, H2O_SOCKET_INITIAL_INPUT_BUFFER_SIZE));
}

void tg_loop_destroy(tg_loop_t *loop)
{
    if (loop == NULL)
        return;
    if (loop->h2o != NULL) {
        while (run_posts(loop) > 0)
            ;
        tg_watch_close(loop->wake_watch);
        assert(loop->open_watches == 0);
        assert(loop->timers.len == 0);
        int epoll_fd = ((struct epoll_loop *)loop->h2o)->epoll_fd;
        tg_loop_run_pending(loop);
        h2o_evloop_destroy(loop->h2o);
        free_buffer_cache();
        (void)close(epoll_fd);
    }
    if (loop->wake_fd >= 0)
        (void)close(loop->wake_fd);
    free(loop->timers.items);
    free(loop->running.items);
    free(loop->queued.items);
    pthread_mutex_destroy(&loop->mutex);
    free(loop);
}

uint64_t tg_loop_now_ms(const tg_loop_t *loop)
{
    assert(loop != NULL);
    if (!loop->in_turn)
        return tg_time_mono_ms();
    if (!loop->now_is_fresh && h2o_now(loop->h2o) != loop->now_seen) {
        tg_loop_t *own = (tg_loop_t *)loop; /* a cache */
        own->now_seen = h2o_now(loop->h2o);
        own->now_ms = tg_time_mono_ms();
    }
    return loop->now_ms;
}

struct st_h2o_evloop_t *tg_loop_h2o(tg_loop_t *loop)
{
    assert(loop != NULL);
    return loop->h2o;
}

void tg_loop_turn(tg_loop_t *loop, uint32_t max_wait_ms)
{
    assert(loop != NULL);
    assert(!loop->in_turn); /* a callback must not turn its own loop */
    loop->in_turn = true;
    tg_loop_run_pending(loop);
    loop->now_ms = tg_time_mono_ms();
    uint32_t wait = tg_loop_timer_wait(loop, max_wait_ms);
    if (wait > INT32_MAX)
        wait = INT32_MAX;
    if (h2o_evloop_run(loop->h2o, (int32_t)wait) != 0 && errno != EINTR)
        abort(); /* a descriptor was closed behind our back: h2o's lists are broken now */
    loop->now_ms = tg_time_mono_ms();
    loop->now_is_fresh = true;
    (void)run_posts(loop);
    tg_loop_run_timers(loop);
    loop->now_is_fresh = false;
    loop->in_turn = false;
}

void tg_loop_run(tg_loop_t *loop)
{
    assert(loop != NULL);
    while (!atomic_exchange(&loop->stop, false))
        tg_loop_turn(loop, TG_LOOP_WAIT_MAX_MS);
}

void tg_loop_stop(tg_loop_t *loop)
{
    assert(loop != NULL);
    /* Destroying takes the mutex as well, so the loop is not gone before this thread is through. */
    pthread_mutex_lock(&loop->mutex);
    atomic_store(&loop->stop, true);
    wake(loop);
    pthread_mutex_unlock(&loop->mutex);
}

/* Room for one more post; under the mutex. */
static tg_status_t grow_posts(struct tg_loop_posts *posts)
{
    if (posts->len >= TG_LOOP_POSTS_MAX)
        return TG_FULL;
    if (posts->len < posts->cap)
        return TG_OK;
    size_t cap = posts->cap == 0 ? POSTS_FIRST : posts->cap * 2;
    struct tg_loop_post *items = realloc(posts->items, cap * sizeof(*items));
    if (items == NULL)
        return TG_FULL;
    posts->items = items;
    posts->cap = cap;
    return TG_OK;
}

tg_status_t tg_loop_post(tg_loop_t *loop, tg_loop_fn fn, void *arg)
{
    assert(loop != NULL);
    assert(fn != NULL);
    pthread_mutex_lock(&loop->mutex); /* over the wake-up too, see tg_loop_stop */
    tg_status_t status = grow_posts(&loop->queued);
    if (status == TG_OK) {
        loop->queued.items[loop->queued.len++] = (struct tg_loop_post){fn, arg};
        if (loop->queued.len == 1)
            wake(loop);
    }
    pthread_mutex_unlock(&loop->mutex);
    return status;
}
