/* Wiring: options, the watch on the control tables, per-thread clients, /ready and gauges. */
#include "gateway/gateway.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/observe/log.h"
#include "gateway/admin/admin.h"
#include "gateway/live.h"
#include "gateway/metrics.h"
#include "gateway/proxy.h"

#define GAUGES_MS     1000
#define INSTANCES_MAX 16

struct tg_gateway {
    const tg_gateway_config_t *config;
    tg_config_watch_t *watch;
    tg_directory_loader_t *loader;
    tg_failures_t *failures;
    tg_uses_t *uses;
    _Atomic(void *) speaker; /* the thread that sets gauges of the process */
    tg_upstreams_t *upstreams;
    char name[320]; /* among the gateways */
    tg_limits_t *limits;
    tg_metrics_t *metrics;
    tg_http_route_t *routes;
    size_t route_count;
    tg_http_service_t service;
};

const tg_metric_desc_t tg_gateway_metrics[GW_METRIC_COUNT] = {
#define TG_METRIC(id, kind, name, labels, help) [id] = {TG_##kind, name, labels, help},
#include "gateway/metrics.def"
#undef TG_METRIC
};

#define AT(member) offsetof(tg_gateway_config_t, member)
// clang-format off
static const tg_option_t options[] = {
    TG_HTTP_OPTIONS(tg_gateway_config_t, http, "8080", "8090"),
    TG_HTTP_EDGE_OPTIONS(tg_gateway_config_t, http),
    {"pg.dsn",                   TG_OPT_SECRET, AT(pg_dsn),                 "",               0, 1024,    "PostgreSQL connection string of the role that reads the control tables."},
    {"admin.pg_dsn",             TG_OPT_SECRET, AT(admin_dsn),              "",               0, 1024,    "PostgreSQL connection string of the admin API's role, tidegate_admin; empty: no admin API."},
    {"gateway.secret",           TG_OPT_SECRET, AT(secret),                 "",               16, 256,    "Shared secret that upstream services check."},
    {"ingestion.instances",      TG_OPT_STR,    AT(instances[TG_UP_INGESTION]), "127.0.0.1:8081", 3, 1024, "Ingestion instances, host:port[,...]."},
    {"query.instances",          TG_OPT_STR,    AT(instances[TG_UP_QUERY]),     "127.0.0.1:8082", 3, 1024, "Query instances, host:port[,...]."},
    {"registry.instances",       TG_OPT_STR,    AT(instances[TG_UP_REGISTRY]),  "127.0.0.1:8083", 3, 1024, "Registry instances, host:port[,...]."},
    {"upstream.max_connections", TG_OPT_UINT,   AT(max_connections),        "256",            1, 65535,   "Connections per upstream instance and thread."},
    {"upstream.max_waiting",     TG_OPT_UINT,   AT(max_waiting),            "1024",           1, 1000000, "Requests waiting for a connection, per instance and thread; more are answered 503 overloaded."},
    {"upstream.max_inflight",    TG_OPT_UINT,   AT(max_inflight),           "1024",           8, 65535,   "Requests on their way to an upstream, per thread, at most; how many there are follows its latency."},
    {"upstream.queue",           TG_OPT_UINT,   AT(max_queue),              "1024",           1, 65535,   "Requests that wait for their turn, per upstream and thread; beyond, the newest of the tenant that has most waiting is answered 503 overloaded."},
    {"upstream.slack",           TG_OPT_MS,     AT(slack_ms),               "10ms",           0, 60000,   "Latency above twice the best is overload only beyond this much more."},
    {"upstream.connect_timeout", TG_OPT_MS,     AT(connect_timeout_ms),     "1s",             10, 60000,  "Longest wait for an upstream connection."},
    {"upstream.max_answer",      TG_OPT_BYTES,  AT(max_answer),             "32MiB",          1024, 1073741824, "Largest upstream answer; a larger one is a 502."},
    TG_UPSTREAMS_OPTIONS(tg_gateway_config_t, upstreams),
    {"redis.address",            TG_OPT_STR,    AT(redis_address),          "127.0.0.1:6379", 0, 1024, "Redis, host:port, over which gateways share the tenants' limits; empty: they do not."},
    {"redis.password",           TG_OPT_SECRET, AT(redis_password),         "",               0, 256,     "Its password."},
    {"limits.gateways",          TG_OPT_UINT,   AT(gateways),               "1",              1, 1000,    "Gateways that share the limits; without Redis each has its part of them."},
    {"bundle.inflight",          TG_OPT_UINT,   AT(bundle_inflight),        "4",              0, 1024,   "Bundles of single events on their way, per thread, at which further events wait for company; 0: each event travels alone."},
    {"bundle.linger",            TG_OPT_MS,     AT(bundle_linger_ms),       "5ms",            0, 1000,   "Longest such wait."},
    {"auth.failures_per_minute", TG_OPT_UINT | TG_OPT_LIVE,   AT(failures_per_minute),    "60",             1, 1000000, "Wrong keys per minute and client address, for good; more are answered 429. A valid key is let in at any time."},
    {"auth.failures_burst",      TG_OPT_UINT | TG_OPT_LIVE,   AT(failures_burst),         "100",            1, 1000000, "Wrong keys that may come at once."},
    {"watch.first",              TG_OPT_MS,     AT(watch_first_ms),         "3s",             0, 60000,   "Longest wait for the control tables at start; without them requests are answered 503 not_ready."},
    {"watch.poll",               TG_OPT_MS,     AT(watch_poll_ms),          "300ms",          50, 60000,  "How often the control tables' version is asked; the bound of a revocation."},
    {"watch.stale",              TG_OPT_MS,     AT(watch_stale_ms),         "10m",            1000, 86400000, "Without PostgreSQL for longer than this, /ready fails; the last snapshot still serves."},
    {"deprecations",             TG_OPT_STR | TG_OPT_LIVE,    AT(deprecations),           "",               0, 8192,    "Paths that are to go: PATH DEPRECATED SUNSET SUCCESSOR; … (/v1/kpi/* 2026-12-01 2027-06-30 /v2/query); - leaves a header out."},
    {"log.level",                TG_OPT_STR | TG_OPT_LIVE,    AT(log_level),              "info",           4, 5,       "debug, info, warn or error."},
};
// clang-format on

const tg_program_t tg_gateway_program = {
    .name = "gateway",
    .summary = "tidegate's front door: keys, limits, routing.",
    .options = options,
    .option_count = TG_ARRAY_LEN(options),
    .config_size = sizeof(tg_gateway_config_t),
};

tg_board_t *tg_gateway_board(const tg_gateway_t *gateway)
{
    return tg_upstreams_board(gateway->upstreams);
}

const char *tg_gateway_name(const tg_gateway_t *gateway)
{
    return gateway->name;
}

tg_limits_t *tg_gateway_limits(const tg_gateway_t *gateway)
{
    return gateway->limits;
}

tg_str_t tg_gateway_secret(const tg_gateway_t *gateway)
{
    assert(gateway->config->secret != NULL);
    return tg_str_from(gateway->config->secret);
}

const tg_directory_t *tg_gateway_directory(tg_gateway_thread_t *thread)
{
    assert(thread != NULL && thread->gateway != NULL);
    tg_config_watch_t *watch = thread->gateway->watch;
    uint64_t newest = tg_config_watch_version(watch);
    if (thread->directory_version != newest || thread->directory == NULL) {
        tg_directory_t *next = tg_config_watch_get(watch);
        if (thread->directory != NULL)
            tg_config_watch_put(watch, thread->directory);
        thread->directory = next;
        thread->directory_version = newest;
    }
    return thread->directory;
}

/* What is the process's, one thread says for all. */
static void set_snapshot_gauges(tg_gateway_thread_t *thread)
{
    void *nobody = NULL;
    if (!atomic_compare_exchange_strong(&thread->gateway->speaker, &nobody, thread) &&
        nobody != thread)
        return;
    uint64_t age_ms = tg_config_watch_age_ms(thread->gateway->watch);
    const tg_directory_t *directory = tg_gateway_directory(thread);
    if (directory == NULL)
        return;
    const tg_directory_stats_t stats = tg_directory_stats(directory);
    tg_metric_set(thread->shard, GW_SNAPSHOT_AGE_S, 0, (int64_t)(age_ms / 1000));
    tg_metric_set(thread->shard, GW_SNAPSHOT, GW_SNAPSHOT_TENANTS, (int64_t)stats.tenants);
    tg_metric_set(thread->shard, GW_SNAPSHOT, GW_SNAPSHOT_KEYS, (int64_t)stats.keys);
    tg_metric_set(thread->shard, GW_SNAPSHOT, GW_SNAPSHOT_PLANS, (int64_t)stats.plans);
    tg_metric_set(thread->shard, GW_SNAPSHOT, GW_SNAPSHOT_BYTES, (int64_t)stats.bytes);
    tg_metric_set(thread->shard, GW_SNAPSHOT, GW_SNAPSHOT_US, (int64_t)stats.load_us);
}

static void set_queue_gauges(tg_gateway_thread_t *thread)
{
    for (unsigned upstream = 0; upstream < TG_UP_COUNT; upstream++) {
        tg_fair_stats_t stats;
        tg_fair_get_stats(thread->queues[upstream], &stats);
        tg_metric_set(thread->shard, GW_QUEUE_WAITING, upstream, (int64_t)stats.waiting);
        tg_metric_set(thread->shard, GW_INFLIGHT, upstream, stats.in_flight);
        tg_metric_set(thread->shard, GW_INFLIGHT_LIMIT, upstream, stats.limit);
    }
}

/* Gauges are set by the thread that owns the clients; a scrape sums the threads. */
static void on_gauges(void *arg)
{
    tg_gateway_thread_t *thread = arg;
    assert(thread->loop != NULL);
    for (unsigned upstream = 0; upstream < TG_UP_COUNT; upstream++) {
        tg_http_instance_stats_t stats[INSTANCES_MAX];
        size_t count = tg_http_client_stats(thread->clients[upstream], stats, INSTANCES_MAX);
        assert(count <= INSTANCES_MAX);
        int64_t open = 0, connections = 0, waiting = 0;
        for (size_t i = 0; i < count; i++) {
            open += stats[i].breaker != TG_BREAKER_CLOSED;
            connections += (int64_t)stats[i].connections;
            waiting += (int64_t)stats[i].waiting;
        }
        tg_metric_set(thread->shard, GW_BREAKER_OPEN, upstream, open);
        tg_metric_set(thread->shard, GW_CONNECTIONS, upstream, connections);
        tg_metric_set(thread->shard, GW_WAITING, upstream, waiting);
    }
    set_queue_gauges(thread);
    set_snapshot_gauges(thread);
    if (thread->gather != NULL)
        tg_metric_set(thread->shard, GW_BUNDLE_WAITING, 0,
                      (int64_t)tg_gather_waiting(thread->gather));
    tg_timer_start(thread->loop, &thread->gauges, GAUGES_MS, on_gauges, thread);
}

static void thread_stop(void *thread_ctx)
{
    tg_gateway_thread_t *thread = thread_ctx;
    if (thread == NULL)
        return;
    tg_timer_stop(&thread->gauges);
    tg_gather_close(thread->gather);
    tg_uses_list_close(thread->uses);
    tg_pg_pool_close(thread->admin);
    tg_pg_pool_close(thread->pool);
    tg_lessor_close(thread->lessor);
    tg_upstreams_detach(thread->seat);
    for (size_t i = 0; i < TG_UP_COUNT; i++)
        tg_http_client_close(thread->clients[i]);
    for (size_t i = 0; i < TG_UP_COUNT; i++)
        tg_fair_destroy(thread->queues[i]);
    if (thread->directory != NULL)
        tg_config_watch_put(thread->gateway->watch, thread->directory);
    tg_buf_dispose(&thread->target);
    free(thread);
}

static tg_status_t open_clients(tg_gateway_thread_t *thread, tg_error_t *error)
{
    const tg_gateway_config_t *config = thread->gateway->config;
    for (size_t i = 0; i < TG_UP_COUNT; i++) {
        tg_http_client_config_t client = {
            .name = tg_upstream_name((tg_upstream_t)i),
            .max_connections = config->max_connections,
            .max_waiting = config->max_waiting,
            .max_body = config->max_answer,
            .connect_timeout_ms = config->connect_timeout_ms,
            .idle_timeout_ms = 30000, /* below the services' own 75 s, so that we close first */
        };
        tg_upstreams_configure(thread->gateway->upstreams, (tg_upstream_t)i, &client);
        tg_status_t status = tg_http_client_open(thread->loop, &client, &thread->clients[i], error);
        if (status != TG_OK)
            return status;
        thread->queues[i] = tg_fair_create(config->max_queue, (uint32_t)config->max_inflight,
                                           config->slack_ms * 1000);
        if (thread->queues[i] == NULL)
            return tg_error_set(error, TG_NOMEM, "out of memory");
    }
    thread->seat = tg_upstreams_attach(thread->gateway->upstreams, thread->loop, thread->clients);
    return thread->seat == NULL ? tg_error_set(error, TG_NOMEM, "out of memory") : TG_OK;
}

static tg_status_t open_lessor(tg_gateway_thread_t *thread, tg_error_t *error)
{
    const tg_gateway_config_t *config = thread->gateway->config;
    const tg_lessor_config_t lessor = {
        .address = config->redis_address == NULL ? "" : config->redis_address,
        .password = config->redis_password,
        .shares = config->gateways == 0 ? 1 : (unsigned)config->gateways,
        .shard = thread->shard,
    };
    return tg_lessor_open(thread->loop, &lessor, &thread->lessor, error);
}

static tg_status_t open_keys(tg_gateway_thread_t *thread, tg_error_t *error)
{
    const tg_gateway_config_t *config = thread->gateway->config;
    const tg_pg_config_t pool = {.dsn = config->pg_dsn,
                                 .name = "tidegate-gateway",
                                 .connections = 1,
                                 .max_waiting = 16,
                                 .connect_timeout_ms = 2000};
    thread->failures = thread->gateway->failures;
    tg_status_t status = tg_pg_pool_open(thread->loop, &pool, &thread->pool, error);
    if (status == TG_OK)
        status = tg_admin_open(thread->loop, config->admin_dsn, &thread->admin, error);
    if (status != TG_OK)
        return status;
    thread->uses =
        tg_uses_list_open(thread->loop, thread->gateway->uses, thread->pool, thread->shard);
    return thread->uses == NULL ? tg_error_set(error, TG_NOMEM, "out of memory") : TG_OK;
}

static tg_status_t open_gather(tg_gateway_thread_t *thread, tg_error_t *error)
{
    const tg_gateway_config_t *config = thread->gateway->config;
    const tg_gather_config_t gather = {
        .client = thread->clients[TG_UP_INGESTION],
        .secret = tg_gateway_secret(thread->gateway),
        .shard = thread->shard,
        .inflight = config->bundle_inflight,
        .linger_ms = config->bundle_linger_ms,
    };
    if (gather.inflight == 0)
        return TG_OK;
    thread->gather = tg_gather_open(thread->loop, &gather);
    return thread->gather == NULL ? tg_error_set(error, TG_NOMEM, "out of memory") : TG_OK;
}

static tg_status_t thread_start(void *arg, tg_loop_t *loop, tg_metrics_shard_t *shard,
                                void **out_thread_ctx, tg_error_t *error)
{
    tg_gateway_t *gateway = arg;
    assert(gateway->watch != NULL);
    tg_gateway_thread_t *thread = calloc(1, sizeof(*thread));
    if (thread == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    thread->gateway = gateway;
    thread->loop = loop;
    thread->shard = shard;
    thread->target = tg_buf_make(TG_GATEWAY_TARGET_MAX);
    tg_status_t status = open_clients(thread, error);
    if (status == TG_OK)
        status = open_keys(thread, error);
    if (status == TG_OK)
        status = open_lessor(thread, error);
    if (status == TG_OK)
        status = open_gather(thread, error);
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
    const tg_gateway_t *gateway = arg;
    assert(gateway->watch != NULL);
    uint64_t age = tg_config_watch_age_ms(gateway->watch);
    bool fresh = age <= gateway->config->watch_stale_ms;
    tg_buf_printf(out, "{\"name\":\"control_tables\",\"ready\":%s,\"detail\":\"%s\"}",
                  fresh ? "true" : "false",
                  age == UINT64_MAX ? "never read; is PostgreSQL up?"
                  : fresh           ? "read"
                                    : "last confirmed too long ago; is PostgreSQL up?");
    return fresh;
}

static tg_status_t open_upstreams(tg_gateway_t *gateway, tg_error_t *error)
{
    const tg_gateway_config_t *config = gateway->config;
    char host[256] = "";
    (void)gethostname(host, sizeof(host) - 1);
    (void)snprintf(gateway->name, sizeof(gateway->name), "%s:%s", host, config->http.listen);
    tg_status_t status =
        tg_upstreams_open(&config->upstreams, config->instances, &gateway->upstreams, error);
    if (status == TG_OK)
        tg_metrics_collector(gateway->metrics, tg_board_collect, tg_gateway_board(gateway));
    return status;
}

static tg_status_t open_parts(tg_gateway_t *gateway, tg_error_t *error)
{
    assert(gateway->config != NULL);
    gateway->metrics = tg_metrics_create(tg_gateway_metrics, GW_METRIC_COUNT);
    gateway->loader = tg_directory_loader_create();
    gateway->failures = tg_failures_create();
    gateway->uses = tg_uses_create();
    gateway->limits = tg_limits_create(TG_DIRECTORY_TENANTS_MAX);
    gateway->routes = tg_routes_expand(tg_proxy_handle, &gateway->route_count);
    if (gateway->metrics == NULL || gateway->loader == NULL || gateway->limits == NULL ||
        gateway->routes == NULL || gateway->failures == NULL || gateway->uses == NULL ||
        !tg_admin_routes(&gateway->routes, &gateway->route_count))
        return tg_error_set(error, TG_NOMEM, "out of memory");
    tg_status_t status = open_upstreams(gateway, error);
    if (status != TG_OK)
        return status;
    tg_config_watch_config_t watch = {
        .dsn = gateway->config->pg_dsn,
        .poll_ms = gateway->config->watch_poll_ms,
        .load = tg_directory_load,
        .release = tg_directory_release,
        .arg = gateway->loader,
    };
    return tg_config_watch_open(&watch, gateway->config->watch_first_ms, &gateway->watch, error);
}

tg_status_t tg_gateway_open(const tg_gateway_config_t *config, tg_gateway_t **out_gateway,
                            tg_error_t *error)
{
    assert(config != NULL);
    assert(out_gateway != NULL);
    tg_gateway_t *gateway = calloc(1, sizeof(*gateway));
    if (gateway == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    gateway->config = config;
    tg_status_t status = open_parts(gateway, error);
    if (status != TG_OK) {
        tg_gateway_close(gateway);
        return status;
    }
    gateway->service = (tg_http_service_t){
        .name = "gateway",
        .config = &config->http,
        .routes = gateway->routes,
        .route_count = gateway->route_count,
        .metrics = gateway->metrics,
        .thread_start = thread_start,
        .thread_stop = thread_stop,
        .ready = ready,
        .options = config,
        .settings_make = tg_gateway_live_make,
        .settings_free = tg_gateway_live_free,
        .arg = gateway,
    };
    *out_gateway = gateway;
    return TG_OK;
}

void tg_gateway_close(tg_gateway_t *gateway)
{
    if (gateway == NULL)
        return;
    tg_config_watch_close(gateway->watch);
    tg_directory_loader_destroy(gateway->loader);
    tg_failures_destroy(gateway->failures);
    tg_uses_destroy(gateway->uses);
    tg_limits_destroy(gateway->limits);
    tg_routes_dispose(gateway->routes, gateway->route_count);
    tg_metrics_destroy(gateway->metrics);
    tg_upstreams_close(gateway->upstreams);
    free(gateway);
}

const tg_http_service_t *tg_gateway_service(const tg_gateway_t *gateway)
{
    assert(gateway != NULL);
    return &gateway->service;
}

int tg_gateway_run(const void *config)
{
    tg_gateway_t *gateway = NULL;
    tg_error_t error = {.status = TG_OK};
    if (tg_gateway_open(config, &gateway, &error) != TG_OK) {
        tg_log_error("start_failed", TG_F_TEXT("error", error.text));
        return 1;
    }
    int code = tg_http_server_run(&gateway->service);
    tg_gateway_close(gateway);
    return code;
}
