/* What loop.c, timer.c and watch.c share; nobody else includes it. */
#ifndef TG_LOOP_PRIVATE_H
#define TG_LOOP_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/loop/loop.h"

struct st_h2o_evloop_t;

struct tg_loop_post {
    tg_loop_fn fn;
    void *arg;
};

struct tg_loop_posts {
    struct tg_loop_post *items; /* owned */
    size_t len, cap;
};

/* Timers in a binary heap by time; each knows its index. */
struct tg_loop_heap {
    tg_timer_t **items; /* owned array of borrowed timers */
    size_t len, cap;
};

struct tg_loop {
    struct st_h2o_evloop_t *h2o;
    uint64_t now_ms;
    bool in_turn;
    bool now_is_fresh; /* posts and timers run; before them h2o may have waited since now_ms */
    uint64_t now_seen; /* h2o's own clock, which it reads after each wait, when now_ms was read */
    size_t open_watches;
    struct tg_loop_heap timers;
    struct tg_loop_posts running; /* being run; swapped with `queued` */

    int wake_fd; /* an eventfd: a post or a stop came from another thread */
    tg_watch_t *wake_watch;
    atomic_bool stop;
    pthread_mutex_t mutex; /* guards `queued` */
    struct tg_loop_posts queued;
};

/* Runs what h2o has made pending. Must follow each callback of ours: a socket that is closed while
 * it is pending would otherwise be freed at the next poll and then run. */
void tg_loop_run_pending(tg_loop_t *loop);

/* Runs the timers that are due at now_ms; those that they start wait for the next turn. */
void tg_loop_run_timers(tg_loop_t *loop);

/* Milliseconds until the next timer, at most `max_ms`. */
uint32_t tg_loop_timer_wait(const tg_loop_t *loop, uint32_t max_ms);

#endif
