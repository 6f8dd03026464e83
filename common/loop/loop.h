/* One thread's event loop: timers, file descriptors and posts from other threads, over h2o's
 * evloop.
 *
 * Why a layer: h2o 2.2.5 has timeouts of fixed lengths only, and hands foreign descriptors a
 * one-shot write interest. Everything in common/ (HTTP, PostgreSQL, Redis, Kafka) waits through
 * these three primitives, so that cancelling and deadlines work one way.
 *
 * Rules: a function that takes a callback never calls it before returning; after a stop or close
 * the callback cannot come. Nothing in a callback may block.
 *
 * Threads: all functions belong to the loop's thread, except tg_loop_post and tg_loop_stop. */
#ifndef TG_LOOP_H
#define TG_LOOP_H

#include "common/base/str.h"

typedef struct tg_loop tg_loop_t;
typedef void (*tg_loop_fn)(void *arg);

/* Returns an owned loop, or NULL when out of memory or descriptors. Create it on the thread that
 * runs it. */
tg_loop_t *tg_loop_create(void);

/* Frees a stopped loop; timers and watches must be gone. NULL is allowed. */
void tg_loop_destroy(tg_loop_t *loop);

/* Runs until tg_loop_stop. */
void tg_loop_run(tg_loop_t *loop);

/* Makes tg_loop_run return after the current turn. Any thread. */
void tg_loop_stop(tg_loop_t *loop);

/* Runs one turn that waits at most `max_wait_ms`; for tests and draining. */
void tg_loop_turn(tg_loop_t *loop, uint32_t max_wait_ms);

/* Monotonic ms of the current turn. */
uint64_t tg_loop_now_ms(const tg_loop_t *loop);

/* The h2o loop underneath, for common/http only. */
struct st_h2o_evloop_t *tg_loop_h2o(tg_loop_t *loop);

/* Runs `fn(arg)` on the loop's thread soon. Any thread. At most TG_LOOP_POSTS_MAX wait at a time:
 * beyond that TG_FULL, and the caller keeps `arg`. Posts still queued at destroy are run then. */
#define TG_LOOP_POSTS_MAX 65536
TG_NODISCARD tg_status_t tg_loop_post(tg_loop_t *loop, tg_loop_fn fn, void *arg);

/* A timer lives in the caller's struct, zeroed before first use. Start again moves it. */
typedef struct tg_timer {
    tg_loop_t *loop; /* NULL while stopped */
    uint64_t at_ms;  /* monotonic */
    tg_loop_fn fn;
    void *arg;
    size_t heap_index; /* place in the loop's heap */
} tg_timer_t;

void tg_timer_start(tg_loop_t *loop, tg_timer_t *timer, uint64_t after_ms, tg_loop_fn fn,
                    void *arg);
void tg_timer_stop(tg_timer_t *timer); /* a stopped or zeroed timer is allowed */

/* Interest in a foreign descriptor (libpq, hiredis, an eventfd). The descriptor is duplicated: the
 * caller keeps and closes its own, after tg_watch_close. Readable is level-triggered: drain it, or
 * be called again. A descriptor whose peer has gone stays readable until closed. */
typedef struct tg_watch tg_watch_t;
enum { TG_WATCH_READ = 1, TG_WATCH_WRITE = 2 };
typedef void (*tg_watch_fn)(void *arg, unsigned ready); /* ready: TG_WATCH_* bits */

tg_watch_t *tg_watch_open(tg_loop_t *loop, int fd, tg_watch_fn fn, void *arg);
void tg_watch_set(tg_watch_t *watch, unsigned interest); /* TG_WATCH_* bits, 0 pauses */
void tg_watch_close(tg_watch_t *watch); /* NULL is allowed; may be called inside fn */

#endif
