/* Wiring: options, per-thread pools, the built-in schemas, /ready and gauges. */
#include "registry/registry.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/avro/value/base64.h"
#include "common/observe/log.h"
#include "registry/builtin.h"
#include "registry/compatibility/cache.h"
#include "registry/metrics.h"
#include "registry/routes.h"
#include "registry/store/answers.h"
#include "registry/submission.h"

#define STARTING_MS  5 /* gauges and readiness while not ready */
#define GAUGES_MS    500
#define LOOK_CALL_MS 2000
#define MAX_WAITING  1024
#define PARSED_MAX   256 /* schemas, and bytes of their text, that are kept parsed */
#define PARSED_TEXT  ((size_t)1 << 20)
#define PG_MAX_ROWS  20000 /* subjects or versions in one answer */

struct tg_registry {
    const tg_registry_config_t *config;
    tg_metrics_t *metrics;
    tg_builtin_t *builtin;
    tg_registry_routes_t routes;
    tg_buf_t operator_basic; /* as a JSON string, or empty */
    char max_types[24];
    _Atomic size_t sending;    /* bytes of large answers that are on their way */
    atomic_flag has_first;     /* a thread has taken the built-in schemas */
    _Atomic bool pg_connected; /* as that thread sees it */
};

static const tg_metric_desc_t descs[RG_METRIC_COUNT] = {
#define TG_METRIC(id, kind, name, labels, help) [id] = {TG_##kind, name, labels, help},
#include "registry/metrics.def"
#undef TG_METRIC
};

#define AT(member) offsetof(tg_registry_config_t, member)
// clang-format off
static const tg_option_t options[] = {
    TG_HTTP_OPTIONS(tg_registry_config_t, http, "8083", "8093"),
    {"pg.dsn",             TG_OPT_SECRET, AT(pg_dsn),                "",        0,  1024,    "PostgreSQL connection string of the role that reads and adds schemas."},
    {"pg.connections",     TG_OPT_UINT,   AT(pg_connections),        "4",       1,  64,      "Connections to PostgreSQL per thread, opened as they are needed."},
    {"pg.connect_timeout", TG_OPT_MS,     AT(pg_connect_timeout_ms), "2s",      10, 60000,   "Longest wait for a connection to PostgreSQL."},
    {"builtin.dir",        TG_OPT_STR,    AT(builtin_dir),           "schemas", 1,  4000,    "Folder of the built-in event types, one <type>.avsc each."},
    {"schemas.max",        TG_OPT_UINT,   AT(max_schemas),           "1000",    1,  10000,   "Schemas that one tenant may register."},
    {"types.max",          TG_OPT_UINT,   AT(max_types),             "200",     1,  10000,   "Event types that one tenant may register."},
    {"cache.bytes",        TG_OPT_BYTES,  AT(cache_bytes),           "8MiB",    65536, 1073741824.0, "Answers to \"schema by id\" that each thread keeps."},
    {"operator.user",      TG_OPT_STR,    AT(operator_user),         "operator", 1, 64,      "Name of the operator, who sees all contexts (HTTP Basic)."},
    {"operator.password",  TG_OPT_SECRET, AT(operator_password),     "",        0,  256,     "The operator's password; empty: only the gateway and the services are let in."},
    {"gateway.secret",     TG_OPT_SECRET, AT(secret),                "",        16, 256,     "Shared secret of the gateway and the services; others are refused."},
    {"log.level",          TG_OPT_STR | TG_OPT_LIVE,    AT(log_level),             "info",    4,  5,       "debug, info, warn or error."},
};
// clang-format on

const tg_program_t tg_registry_program = {
    .name = "registry",
    .summary = "tidegate's schema registry: Avro event types with Confluent-compatible REST.",
    .options = options,
    .option_count = TG_ARRAY_LEN(options),
    .config_size = sizeof(tg_registry_config_t),
};

/* --- a thread --- */

static void on_gauges(void *arg)
{
    tg_registry_thread_t *thread = arg;
    struct tg_registry *registry = thread->registry;
    tg_pg_stats_t stats;
    tg_pg_pool_stats(thread->pool, &stats);
    tg_metric_set(thread->shard, RG_DB_WAITING, 0, (int64_t)stats.waiting);
    tg_metric_set(thread->shard, RG_DB_OPEN, 0, (int64_t)stats.open);
    tg_metric_set(thread->shard, RG_CACHE_BYTES, 0, (int64_t)tg_answers_bytes(thread->answers));
    tg_parsed_cache_stats_t parsed = tg_parsed_cache_stats(thread->parsed);
    tg_metric_set(thread->shard, RG_PARSED, 0, (int64_t)parsed.schemas);
    tg_metric_set(thread->shard, RG_PARSED_BYTES, 0, (int64_t)parsed.text);
    size_t missing = tg_builtin_missing(registry->builtin);
    if (thread->first) {
        atomic_store(&registry->pg_connected, stats.connected);
        tg_metric_set(thread->shard, RG_SENDING, 0, (int64_t)atomic_load(&registry->sending));
        tg_metric_set(thread->shard, RG_BUILTIN, 0, (int64_t)missing);
    }
    bool settled = stats.connected && missing == 0;
    tg_timer_start(thread->loop, &thread->gauges, settled ? GAUGES_MS : STARTING_MS, on_gauges,
                   thread);
}

static void look(void *arg);

static void on_looked(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_registry_thread_t *thread = arg;
    thread->looking = NULL;
    if (status == TG_OK)
        (void)tg_answers_see(thread->answers, tg_store_read_count(answer->results[0], 0, 0));
    tg_timer_start(thread->loop, &thread->look, TG_REGISTRY_LOOK_MS, look, thread);
}

static void look(void *arg)
{
    tg_registry_thread_t *thread = arg;
    tg_store_ask_t ask = {.pool = thread->pool,
                          .context = TG_STR(""),
                          .behind = TG_STR(""),
                          .deadline_at_ms = tg_loop_now_ms(thread->loop) + LOOK_CALL_MS,
                          .done = on_looked,
                          .arg = thread};
    thread->looking = tg_store_deletions(&ask);
    if (thread->looking == NULL)
        tg_timer_start(thread->loop, &thread->look, TG_REGISTRY_LOOK_MS, look, thread);
}

static void thread_stop(void *thread_ctx)
{
    tg_registry_thread_t *thread = thread_ctx;
    if (thread == NULL)
        return;
    tg_timer_stop(&thread->gauges);
    tg_timer_stop(&thread->look);
    tg_pg_call_cancel(thread->looking);
    if (thread->first)
        tg_builtin_stop(thread->registry->builtin);
    tg_pg_pool_close(thread->pool);
    tg_json_parser_destroy(thread->parser);
    tg_answers_destroy(thread->answers);
    tg_parsed_cache_destroy(thread->parsed);
    free(thread);
}

static tg_status_t open_pool(tg_registry_thread_t *thread, tg_error_t *error)
{
    tg_pg_config_t pg = {.dsn = thread->config->pg_dsn,
                         .name = "tidegate-registry",
                         .connections = thread->config->pg_connections,
                         .max_waiting = MAX_WAITING,
                         .connect_timeout_ms = thread->config->pg_connect_timeout_ms,
                         .max_rows = PG_MAX_ROWS};
    return tg_pg_pool_open(thread->loop, &pg, &thread->pool, error);
}

static tg_status_t thread_start(void *arg, tg_loop_t *loop, tg_metrics_shard_t *shard,
                                void **out_thread_ctx, tg_error_t *error)
{
    struct tg_registry *registry = arg;
    tg_registry_thread_t *thread = calloc(1, sizeof(*thread));
    if (thread == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    thread->registry = registry;
    thread->config = registry->config;
    thread->loop = loop;
    thread->shard = shard;
    tg_str_t quoted = tg_buf_view(&registry->operator_basic);
    if (quoted.len > 2)
        thread->operator_basic = (tg_str_t){quoted.ptr + 1, quoted.len - 2};
    thread->max_types = tg_str_from(registry->max_types);
    thread->sending = &registry->sending;
    thread->parser = tg_json_parser_create(TG_REQUEST_BODY_MAX, TG_SUBMISSION_DEPTH_MAX);
    thread->answers = tg_answers_create(thread->config->cache_bytes);
    thread->parsed = tg_parsed_cache_create(PARSED_MAX, PARSED_TEXT);
    tg_status_t status = TG_OK;
    if (thread->parser == NULL || thread->answers == NULL || thread->parsed == NULL)
        status = tg_error_set(error, TG_NOMEM, "out of memory");
    if (status == TG_OK)
        status = open_pool(thread, error);
    if (status != TG_OK) {
        thread_stop(thread);
        return status;
    }
    thread->first = !atomic_flag_test_and_set(&registry->has_first);
    if (thread->first)
        tg_builtin_start(registry->builtin, loop, thread->pool);
    on_gauges(thread);
    look(thread);
    *out_thread_ctx = thread;
    return TG_OK;
}

/* --- the service --- */

static bool ready(void *arg, tg_buf_t *out)
{
    const struct tg_registry *registry = arg;
    size_t missing = tg_builtin_missing(registry->builtin);
    bool connected = atomic_load(&registry->pg_connected);
    tg_buf_printf(out,
                  "{\"name\":\"postgres\",\"ready\":%s,\"detail\":\"%s\"},"
                  "{\"name\":\"builtin_schemas\",\"ready\":%s,\"detail\":\"%zu to be registered\"}",
                  connected ? "true" : "false", connected ? "connected" : "no connection",
                  missing == 0 ? "true" : "false", missing);
    return connected && missing == 0;
}

static void make_credentials(const tg_registry_config_t *config, tg_buf_t *out)
{
    tg_buf_t plain = tg_buf_make(512);
    *out = tg_buf_make(1024);
    tg_buf_printf(&plain, "%s:%s", config->operator_user, config->operator_password);
    if (config->operator_password[0] != '\0')
        tg_avro_base64_write(tg_buf_view(&plain), out);
    tg_buf_dispose(&plain);
}

static tg_status_t prepare(struct tg_registry *registry, tg_error_t *error)
{
    make_credentials(registry->config, &registry->operator_basic);
    (void)snprintf(registry->max_types, sizeof(registry->max_types), "%llu",
                   (unsigned long long)registry->config->max_types);
    registry->metrics = tg_metrics_create(descs, RG_METRIC_COUNT);
    if (registry->metrics == NULL || registry->operator_basic.failed ||
        tg_registry_routes_make(&registry->routes) != TG_OK)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    return tg_builtin_load(registry->config->builtin_dir, &registry->builtin, error);
}

int tg_registry_run(const void *config)
{
    assert(config != NULL);
    struct tg_registry registry = {.config = config, .has_first = ATOMIC_FLAG_INIT};
    tg_error_t error = {.status = TG_OK};
    int code = 1;

    if (prepare(&registry, &error) == TG_OK) {
        tg_http_service_t service = {
            .name = "registry",
            .config = &registry.config->http,
            .routes = registry.routes.rows,
            .route_count = registry.routes.count,
            .secret = registry.config->secret,
            .metrics = registry.metrics,
            .thread_start = thread_start,
            .thread_stop = thread_stop,
            .ready = ready,
            .arg = &registry,
        };
        code = tg_http_server_run(&service);
    } else {
        tg_log_error("start_failed", TG_F_TEXT("error", error.text));
    }
    tg_builtin_destroy(registry.builtin);
    tg_registry_routes_dispose(&registry.routes);
    tg_buf_dispose(&registry.operator_basic);
    tg_metrics_destroy(registry.metrics);
    return code;
}
