/* Wiring. Redis is no dependency of /ready: without it answers come from the database. */
#include "query/service.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "common/observe/log.h"
#include "query/endpoints.h"
#include "query/flight.h"
#include "query/metrics.h"

#define GAUGES_MS 500

struct tg_query {
    const tg_query_config_t *config;
    tg_metrics_t *metrics;
    tg_http_route_t *routes;
    size_t route_count;
    atomic_uint connected; /* threads whose pool has a usable connection */
    tg_http_service_t service;
};

struct thread {
    tg_query_t *query;
    tg_loop_t *loop;
    tg_metrics_shard_t *shard;
    tg_pg_pool_t *pool;
    tg_redis_t *redis;
    tg_flights_t *flights;
    tg_timer_t gauges;
    bool connected;
};

const tg_metric_desc_t tg_query_metrics[Q_METRIC_COUNT] = {
#define TG_METRIC(id, kind, name, labels, help) [id] = {TG_##kind, name, labels, help},
#include "query/metrics.def"
#undef TG_METRIC
};

#define AT(member) offsetof(tg_query_config_t, member)
// clang-format off
static const tg_option_t options[] = {
    TG_HTTP_OPTIONS(tg_query_config_t, http, "8082", "8092"),
    {"pg.dsn",            TG_OPT_SECRET, AT(pg_dsn),           "",               0, 1024,    "PostgreSQL connection string of the role tidegate_query."},
    {"pg.connections",    TG_OPT_UINT,   AT(pg_connections),   "4",              1, 64,      "Database connections per thread."},
    {"pg.max_waiting",    TG_OPT_UINT,   AT(pg_waiting),       "256",            1, 100000,  "Queries waiting for a connection per thread; more are answered 503 overloaded."},
    {"redis.address",     TG_OPT_STR,    AT(redis_address),    "127.0.0.1:6379", 3, 255,     "Redis of the cache, host:port."},
    {"redis.password",    TG_OPT_SECRET, AT(redis_password),   "",               0, 512,     "Password of Redis; empty: none."},
    {"redis.timeout",     TG_OPT_MS,     AT(redis_timeout_ms), "50ms",           1, 5000,    "Longest wait for the cache before the database is asked."},
    {"gateway.secret",    TG_OPT_SECRET, AT(secret),           "",               16, 256,    "Shared secret of the gateway."},
    {"query.max_flights", TG_OPT_UINT,   AT(max_flights),      "1024",           1, 1000000, "Different queries under way per thread; more are answered 503 overloaded."},
    {"query.hot_bytes",   TG_OPT_BYTES,  AT(hot_bytes),        "8MiB",           0, 1073741824, "Cached answers kept per thread in front of Redis, for no longer than Redis has them; 0: none."},
    {"query.timeout",     TG_OPT_MS,     AT(query_timeout_ms), "8s",             10, 600000, "Longest time of a database query; 504 query_timeout after it."},
    {"log.level",         TG_OPT_STR | TG_OPT_LIVE,    AT(log_level),        "info",           4, 5,       "debug, info, warn or error."},
};
// clang-format on

const tg_program_t tg_query_program = {
    .name = "query",
    .summary = "tidegate's read API: exact aggregates of one tenant, cached.",
    .options = options,
    .option_count = TG_ARRAY_LEN(options),
    .config_size = sizeof(tg_query_config_t),
};

static void handle(tg_http_req_t *req, void *thread_ctx)
{
    struct thread *thread = thread_ctx;
    assert(thread->flights != NULL);
    tg_plan_t *plan = NULL;
    const char *field = "";
    tg_error_t error = {.status = TG_OK};

    if (tg_http_tenant(req).len == 0) {
        tg_http_fail(req, 400, "missing_tenant", TG_STR("x-tidegate-tenant"),
                     "The gateway did not name a tenant.");
        return;
    }
    tg_status_t status = tg_endpoints_plan(req, tg_time_now(), &plan, &field, &error);
    if (status == TG_OK)
        tg_flights_answer(thread->flights, req, plan);
    else if (status == TG_INVALID)
        tg_http_fail(req, 400, "invalid_parameter", tg_str_from(field), "%s", error.text);
    else
        tg_http_fail(req, 503, "overloaded", TG_STR(""), "Out of memory; retry.");
}

static void on_gauges(void *arg)
{
    struct thread *thread = arg;
    assert(thread->pool != NULL && thread->redis != NULL);
    tg_pg_stats_t pool;
    tg_redis_stats_t redis;
    tg_pg_pool_stats(thread->pool, &pool);
    tg_redis_get_stats(thread->redis, &redis);
    if (pool.connected != thread->connected) {
        thread->connected = pool.connected;
        atomic_fetch_add(&thread->query->connected, pool.connected ? 1U : -1U);
    }
    tg_metric_set(thread->shard, Q_POOL_BUSY, 0, (int64_t)pool.busy);
    tg_metric_set(thread->shard, Q_POOL_WAITING, 0, (int64_t)pool.waiting);
    tg_metric_set(thread->shard, Q_REDIS_BREAKER, 0, redis.breaker != TG_BREAKER_CLOSED);
    tg_timer_start(thread->loop, &thread->gauges, GAUGES_MS, on_gauges, thread);
}

static void thread_stop(void *thread_ctx)
{
    struct thread *thread = thread_ctx;
    if (thread == NULL)
        return;
    tg_timer_stop(&thread->gauges);
    tg_flights_destroy(thread->flights);
    tg_redis_close(thread->redis);
    tg_pg_pool_close(thread->pool);
    free(thread);
}

static tg_status_t open_stores(struct thread *thread, tg_error_t *error)
{
    const tg_query_config_t *config = thread->query->config;
    tg_pg_config_t pg = {.dsn = config->pg_dsn,
                         .name = "tidegate-query",
                         .connections = config->pg_connections,
                         .max_waiting = config->pg_waiting,
                         .connect_timeout_ms = 2000};
    tg_redis_config_t redis = {.address = config->redis_address,
                               .password = config->redis_password,
                               .max_inflight = 1024,
                               .connect_timeout_ms = 500,
                               .breaker = {5, 50, 20, 10000, 30000, 30000, 1}};
    tg_status_t status = tg_pg_pool_open(thread->loop, &pg, &thread->pool, error);
    if (status == TG_OK)
        status = tg_redis_open(thread->loop, &redis, &thread->redis, error);
    if (status != TG_OK)
        return status;
    tg_flights_config_t flights = {.loop = thread->loop,
                                   .pool = thread->pool,
                                   .redis = thread->redis,
                                   .shard = thread->shard,
                                   .max_flights = config->max_flights,
                                   .hot_bytes = config->hot_bytes,
                                   .redis_timeout_ms = config->redis_timeout_ms,
                                   .query_timeout_ms = config->query_timeout_ms};
    thread->flights = tg_flights_create(&flights);
    return thread->flights != NULL ? TG_OK : tg_error_set(error, TG_NOMEM, "out of memory");
}

static tg_status_t thread_start(void *arg, tg_loop_t *loop, tg_metrics_shard_t *shard,
                                void **out_thread_ctx, tg_error_t *error)
{
    struct thread *thread = calloc(1, sizeof(*thread));
    if (thread == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    thread->query = arg;
    thread->loop = loop;
    thread->shard = shard;
    tg_status_t status = open_stores(thread, error);
    if (status != TG_OK) {
        thread_stop(thread);
        return status;
    }
    on_gauges(thread);
    *out_thread_ctx = thread;
    return TG_OK;
}

static bool ready(void *arg, tg_buf_t *out)
{
    tg_query_t *query = arg;
    bool connected = atomic_load(&query->connected) > 0;
    tg_buf_printf(out, "{\"name\":\"postgresql\",\"ready\":%s,\"detail\":\"%s\"}",
                  connected ? "true" : "false", connected ? "connected" : "no connection");
    return connected;
}

tg_status_t tg_query_open(const tg_query_config_t *config, tg_query_t **out_query,
                          tg_error_t *error)
{
    assert(config != NULL);
    assert(out_query != NULL);
    tg_query_t *query = calloc(1, sizeof(*query));
    if (query == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    query->config = config;
    query->metrics = tg_metrics_create(tg_query_metrics, Q_METRIC_COUNT);
    query->routes = tg_endpoints_routes(handle, &query->route_count);
    if (query->metrics == NULL || query->routes == NULL) {
        tg_query_close(query);
        return tg_error_set(error, TG_NOMEM, "out of memory");
    }
    query->service = (tg_http_service_t){
        .name = "query",
        .config = &config->http,
        .routes = query->routes,
        .route_count = query->route_count,
        .secret = config->secret,
        .metrics = query->metrics,
        .thread_start = thread_start,
        .thread_stop = thread_stop,
        .ready = ready,
        .arg = query,
    };
    *out_query = query;
    return TG_OK;
}

void tg_query_close(tg_query_t *query)
{
    if (query == NULL)
        return;
    free(query->routes);
    tg_metrics_destroy(query->metrics);
    free(query);
}

const tg_http_service_t *tg_query_service(const tg_query_t *query)
{
    assert(query != NULL);
    return &query->service;
}

int tg_query_run(const void *config)
{
    tg_query_t *query = NULL;
    tg_error_t error = {.status = TG_OK};
    if (tg_query_open(config, &query, &error) != TG_OK) {
        tg_log_error("start_failed", TG_F_TEXT("error", error.text));
        return 1;
    }
    int code = tg_http_server_run(&query->service);
    tg_query_close(query);
    return code;
}
