/* Asynchronous Redis client: one pipelined connection on one loop, a deadline per command, a
 * breaker.
 *
 * Redis holds only what may be lost, so every failure here has a cheap, immediate answer: with the
 * breaker open or the pipeline full, a command fails in the next turn and costs nothing.
 *
 * A command that passed its deadline is answered TG_TIMEOUT and its late reply is dropped; when
 * the oldest command of the connection is later than twice its deadline, the connection is closed
 * and opened again. Arguments are binary safe.
 *
 * A connection counts as up once the server has answered PING, so a frozen server is not taken for
 * a live one; what is asked meanwhile waits behind that PING under its own deadline. It is
 * re-opened with backoff (100 ms to 5 s, jittered), and coming up lets the breaker try at once. A
 * host name is resolved at each connect and blocks the loop for that long: name an address.
 *
 * Limits: commands in flight (TG_FULL beyond), 64 MiB unsent, a reply of 16 MiB and 1 M elements,
 * breaker 5 failures → open 30 s. Threads: belongs to its loop's thread. */
#ifndef TG_REDIS_CLIENT_H
#define TG_REDIS_CLIENT_H

#include "common/http/breaker.h"
#include "common/loop/loop.h"

typedef struct tg_redis tg_redis_t;
typedef struct tg_redis_call tg_redis_call_t;
struct redisReply;

typedef struct tg_redis_config {
    const char *address;  /* "127.0.0.1:6379" */
    const char *password; /* NULL or "": none */
    size_t max_inflight;  /* 1,024 */
    uint64_t connect_timeout_ms;
    tg_breaker_config_t breaker; /* {5, 50, 20, 10000, 30000, 30000, 1} */
} tg_redis_config_t;

/* Connects in the background; an unreachable server is not an error here. */
TG_NODISCARD tg_status_t tg_redis_open(tg_loop_t *loop, const tg_redis_config_t *config,
                                       tg_redis_t **out_redis, tg_error_t *error);
void tg_redis_close(tg_redis_t *redis); /* pending calls get TG_CANCELLED in close; NULL is allowed;
                                           never from inside `done` */

/* status: TG_OK (`reply` is borrowed until return; may be of type nil), TG_TIMEOUT, TG_UNAVAILABLE
 * (also for -LOADING and its like), TG_FULL, TG_INTERNAL (an error reply; reply->str says which),
 * TG_CANCELLED. Never before returning. `reply` is NULL where none came. */
typedef void (*tg_redis_done_fn)(void *arg, tg_status_t status, const struct redisReply *reply);

/* `done` may be NULL for fire and forget. `argv` is copied. NULL only when out of memory. The
 * handle is dead once `done` is called. */
tg_redis_call_t *tg_redis_command(tg_redis_t *redis, const tg_str_t *argv, size_t argc,
                                  uint64_t timeout_ms, tg_redis_done_fn done, void *arg);

/* After this `done` cannot come. NULL is allowed. */
void tg_redis_call_cancel(tg_redis_call_t *call);

typedef struct tg_redis_stats {
    bool connected;
    tg_breaker_state_t breaker;
    size_t inflight;
    uint64_t commands_total, failures_total;
    const char *last_error; /* of the last connection that failed, "" if none; borrowed until the
                               next turn */
} tg_redis_stats_t;
void tg_redis_get_stats(const tg_redis_t *redis, tg_redis_stats_t *out_stats);

#endif
