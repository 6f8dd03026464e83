/* One non-blocking connection to Redis: bytes of commands out, whole replies in. Private to
 * common/redis.
 *
 * hiredis parses the replies; the socket is ours, because hiredis' own asynchronous context has no
 * deadlines and frees itself inside its callbacks. What is appended in one turn of the loop leaves
 * in one write: that is the pipelining.
 *
 * Limits: TG_REDIS_UNSENT_MAX, TG_REDIS_REPLY_MAX, TG_REDIS_ELEMENTS_MAX; nesting 7 by hiredis.
 * Threads: belongs to its loop's thread. */
#ifndef TG_REDIS_LINK_H
#define TG_REDIS_LINK_H

#include <hiredis/hiredis.h>

#include "common/loop/loop.h"

#define TG_REDIS_UNSENT_MAX   ((size_t)64 << 20)
#define TG_REDIS_REPLY_MAX    ((size_t)16 << 20)
#define TG_REDIS_ELEMENTS_MAX ((size_t)1 << 20)

typedef struct tg_redis_link tg_redis_link_t;

/* None is called from inside a tg_redis_link_* function. */
typedef struct tg_redis_link_owner {
    /* A whole reply, freed by the link after return; false: close as lost. */
    bool (*on_reply)(void *arg, const redisReply *reply);
    void (*on_lost)(void *arg, const char *why); /* the link is closed already */
    void *arg;
} tg_redis_link_owner_t;

/* Returns an owned, closed link, or NULL when out of memory. */
tg_redis_link_t *tg_redis_link_create(tg_loop_t *loop, const tg_redis_link_owner_t *owner);
void tg_redis_link_destroy(tg_redis_link_t *link); /* NULL is allowed; the owner hears nothing */

/* Starts connecting to `host`:`port`. On failure the link stays closed and `error` says why. */
TG_NODISCARD tg_status_t tg_redis_link_open(tg_redis_link_t *link, const char *host,
                                            const char *port, tg_error_t *error);
void tg_redis_link_close(
    tg_redis_link_t *link); /* a closed one is allowed; the owner hears nothing */

/* Appends one command; it leaves once connected. TG_FULL beyond TG_REDIS_UNSENT_MAX. */
TG_NODISCARD tg_status_t tg_redis_link_send(tg_redis_link_t *link, const tg_str_t *argv,
                                            size_t argc);

#endif
