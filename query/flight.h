/* Running a plan once for all who ask the same thing: cache, then database, then answer everybody.
 *
 * A flight is one cache key on its way. Requests that come while it is under way wait on it, so a
 * popular panel costs one query however many watch it (per thread). Redis is asked first with a
 * short deadline; a miss, an error, an open breaker and a dead Redis all go on to the database: the
 * cache may slow an answer down, it never decides whether there is one.
 *
 * In front of Redis are the thread's own copies of answers (hot.h): made with what is stored in
 * Redis, or found there, and kept until that ends: Redis is asked for the time that is left.
 *
 * Limits: flights per thread (503 overloaded beyond), rows and bytes per answer, a deadline for the
 * query of its own. A flight goes on when its clients have left, and fills the cache.
 *
 * Threads: belongs to its loop's thread. */
#ifndef TG_QUERY_FLIGHT_H
#define TG_QUERY_FLIGHT_H

#include "common/observe/metrics.h"
#include "common/redis/client.h"
#include "query/plan.h"

typedef struct tg_flights tg_flights_t;

typedef struct tg_flights_config {
    tg_loop_t *loop;
    tg_pg_pool_t *pool;
    tg_redis_t *redis;
    tg_metrics_shard_t *shard;
    size_t max_flights;
    size_t hot_bytes; /* 0: no copies */
    uint64_t redis_timeout_ms;
    uint64_t query_timeout_ms;
} tg_flights_config_t;

tg_flights_t *tg_flights_create(const tg_flights_config_t *config); /* NULL when out of memory */
void tg_flights_destroy(tg_flights_t *flights); /* cancels what is under way; NULL is allowed */

/* Answers `req` with the plan's result, now or later. Takes `plan` (malloc). */
void tg_flights_answer(tg_flights_t *flights, tg_http_req_t *req, tg_plan_t *plan);

#endif
