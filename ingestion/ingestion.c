/* Wiring: options, routes, per-thread producers, /ready, gauges. */
#include "ingestion/ingestion.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "common/event/bundle.h"
#include "common/observe/log.h"
#include "ingestion/batch/batch.h"
#include "ingestion/metrics.h"
#include "ingestion/single/bundle.h"
#include "ingestion/single/single.h"

#define THREADS_MAX          64
#define ROUTES               3
#define GAUGES_MS            250
#define KEY_MAX              1024 /* tenant, type, kind and entity at their limits fit */
#define VALUE_FACTOR         8    /* an Avro double takes 8 bytes, its JSON at least one */
#define RECORD_BYTES_MIN     256  /* of a record in flight, to bound their number by bytes */
#define KAFKA_UNAVAILABLE_MS 1000
#define FLUSH_MS             5000

struct tg_ingestion {
    const tg_ingestion_config_t *config;
    tg_registry_client_t *registry;
    tg_announce_t *announce; /* NULL without pg.dsn */
    tg_metrics_t *metrics;
    tg_http_route_t routes[ROUTES];
    tg_http_service_t service;
    atomic_uint thread_count;
    atomic_uchar kafka[THREADS_MAX]; /* enum kafka_state of each thread, for /ready */
};

enum kafka_state { KAFKA_NO_THREAD, KAFKA_AWAY, KAFKA_THERE };

#define AT(member) offsetof(tg_ingestion_config_t, member)
// clang-format off
static const tg_option_t options[] = {
    TG_HTTP_OPTIONS(tg_ingestion_config_t, http, "8081", "8091"),
    {"kafka.brokers",          TG_OPT_STR,    AT(kafka_brokers),             "127.0.0.1:9092", 1, 1024, "Bootstrap servers, host:port[,...]."},
    {"kafka.linger",           TG_OPT_MS,     AT(kafka_linger_ms),           "1ms",    0, 100,          "Longest wait for a Kafka batch to fill."},
    {"kafka.max_inflight",     TG_OPT_BYTES,  AT(kafka_max_inflight),        "64MiB",  1048576, 4294967296, "Bytes not yet acknowledged by Kafka, per thread; beyond them 503 overloaded."},
    {"kafka.delivery_timeout", TG_OPT_MS,     AT(kafka_delivery_timeout_ms), "8s",     1000, 300000,    "Longest wait for an acknowledgement; 503 after it."},
    {"kafka.dead_letter_topic", TG_OPT_STR,   AT(dead_letter_topic),         "events.dlq", 1, 249,      "Topic that receives invalid events of requests with on_invalid=dead_letter."},
    {"kafka.extra",            TG_OPT_STR,    AT(kafka_extra),               "",       0, 4095,         "Further librdkafka properties, name=value[,...]."},
    {"registry.instances",     TG_OPT_STR,    AT(registry_instances),        "127.0.0.1:8083", 3, 1024, "Registry instances, host:port[,...]."},
    {"registry.timeout",       TG_OPT_MS,     AT(registry_timeout_ms),       "2s",     10, 60000,       "Longest wait for the registry's answer."},
    {"registry.refresh",       TG_OPT_MS,     AT(registry_refresh_ms),       "1s",     100, 3600000,    "How often the newest version of a type in use is asked for."},
    TG_REGISTRY_SITE_OPTIONS(tg_ingestion_config_t, registry),
    {"pg.dsn",                 TG_OPT_SECRET, AT(pg_dsn),                    "",       0, 4096,         "PostgreSQL connection string of the role that hears which event types have changed; empty: they are found by registry.refresh."},
    {"watch.poll",             TG_OPT_MS,     AT(watch_poll_ms),             "300ms",  50, 60000,       "How often PostgreSQL is asked for them; the bound of a new type's first event."},
    {"gateway.secret",         TG_OPT_SECRET, AT(secret),                    "",       16, 256,         "Shared secret of the services; requests without it are refused."},
    {"event.max_bytes",        TG_OPT_BYTES,  AT(event_max_bytes),           "256KiB", 256, 1000000,    "Largest event as JSON."},
    {"request.max_bytes",      TG_OPT_BYTES,  AT(request_max_bytes),         "10MiB",  256, 33554432,   "Largest body of a batch."},
    {"body.max_ratio",         TG_OPT_UINT,   AT(body_max_ratio),            "500",    2, 100000,       "A gzip or zstd body beyond 1 MiB may not decompress to more than so many times its size."},
    {"request.max_events",     TG_OPT_UINT,   AT(request_max_events),        "10000",  1, 100000,       "Most events in a batch."},
    {"time.max_ahead",         TG_OPT_MS,     AT(max_ahead_ms),              "10m",    0, 86400000,     "An event further in the future than this is refused or clamped."},
    {"time.clamp_ahead",       TG_OPT_BOOL,   AT(clamp_ahead),               "false",  0, 0,            "Take the time of arrival for such an event instead of refusing it."},
    {"time.horizon",           TG_OPT_MS,     AT(horizon_ms),                "9600h",  3600000, 1e12,   "An event older than this is refused (400 days by default)."},
    {"log.level",              TG_OPT_STR | TG_OPT_LIVE,    AT(log_level),                 "info",   4, 5,            "debug, info, warn or error."},
};
// clang-format on

const tg_program_t tg_ingestion_program = {
    .name = "ingestion",
    .summary = "Takes events in: validates, names and types them, and makes them durable in Kafka.",
    .options = options,
    .option_count = TG_ARRAY_LEN(options),
    .config_size = sizeof(tg_ingestion_config_t),
};

/* --- threads --- */

/* What all threads share is told by the first. */
static void set_shared_gauges(tg_ingestion_thread_t *thread)
{
    const tg_ingestion_t *ingestion = thread->ingestion;
    uint64_t announced = ingestion->announce == NULL ? 0 : tg_announce_total(ingestion->announce);
    tg_metric_add(thread->shard, ING_TYPES_ANNOUNCED, 0, announced - thread->announced);
    thread->announced = announced;
    tg_metric_set(thread->shard, ING_TYPES_CACHED, 0,
                  (int64_t)tg_registry_client_cached(thread->registry));
}

static void on_gauges(void *arg)
{
    tg_ingestion_thread_t *thread = arg;
    tg_producer_stats_t stats;
    tg_producer_get_stats(thread->producer, &stats);
    atomic_store(&thread->ingestion->kafka[thread->number],
                 stats.available ? KAFKA_THERE : KAFKA_AWAY);
    tg_metric_set(thread->shard, ING_INFLIGHT_BYTES, 0, (int64_t)stats.inflight_bytes);
    tg_metric_set(thread->shard, ING_UNPACKED_BYTES, 0, (int64_t)thread->unpacked_bytes);
    tg_metric_set(thread->shard, ING_INFLIGHT_RECORDS, 0, (int64_t)stats.inflight_records);
    tg_metric_set(thread->shard, ING_KAFKA_UP, 0, stats.available ? 1 : 0);
    tg_metric_add(thread->shard, ING_RECREATED, 0, stats.recreated_total - thread->recreated);
    thread->recreated = stats.recreated_total;
    if (thread->number == 0)
        set_shared_gauges(thread);
    tg_timer_start(thread->loop, &thread->gauges, GAUGES_MS, on_gauges, thread);
}

static void thread_stop(void *thread_ctx)
{
    tg_ingestion_thread_t *thread = thread_ctx;
    if (thread == NULL)
        return;
    /* The registry answers or gives up within its timeout; what comes back was given up before. */
    while (thread->fetches > 0)
        tg_loop_turn(thread->loop, 20);
    tg_producer_close(thread->producer, FLUSH_MS);
    tg_timer_stop(&thread->gauges);
    tg_event_codec_destroy(thread->codec);
    tg_json_parser_destroy(thread->parser);
    tg_json_parser_destroy(thread->inner);
    tg_buf_dispose(&thread->value);
    tg_buf_dispose(&thread->key);
    free(thread);
}

static tg_status_t open_producer(tg_ingestion_thread_t *thread, tg_error_t *error)
{
    const tg_ingestion_config_t *config = thread->config;
    const tg_producer_config_t producer = {
        .brokers = config->kafka_brokers,
        .client_id = "tidegate-ingestion",
        .linger_ms = config->kafka_linger_ms,
        .max_inflight_bytes = config->kafka_max_inflight,
        .max_inflight_records = config->kafka_max_inflight / RECORD_BYTES_MIN,
        .delivery_timeout_ms = config->kafka_delivery_timeout_ms,
        .unavailable_ms = KAFKA_UNAVAILABLE_MS,
        .extra = config->kafka_extra,
    };
    return tg_producer_open(thread->loop, &producer, &thread->producer, error);
}

static tg_status_t thread_open(tg_ingestion_thread_t *thread, tg_error_t *error)
{
    const tg_ingestion_config_t *config = thread->config;
    thread->value = tg_buf_make(config->event_max_bytes * VALUE_FACTOR);
    thread->key = tg_buf_make(KEY_MAX);
    thread->codec = tg_event_codec_create();
    thread->parser = tg_json_parser_create(config->event_max_bytes,
                                           TG_EVENT_DEPTH_MAX + 1); /* and the envelope */
    thread->inner = tg_json_parser_create(config->event_max_bytes, TG_EVENT_DEPTH_MAX);
    if (thread->codec == NULL || thread->parser == NULL || thread->inner == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    return open_producer(thread, error);
}

static tg_status_t thread_start(void *arg, tg_loop_t *loop, tg_metrics_shard_t *shard,
                                void **out_thread_ctx, tg_error_t *error)
{
    tg_ingestion_t *ingestion = arg;
    tg_ingestion_thread_t *thread = calloc(1, sizeof(*thread));
    if (thread == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    thread->ingestion = ingestion;
    thread->config = ingestion->config;
    thread->registry = ingestion->registry;
    thread->loop = loop;
    thread->shard = shard;
    thread->number = atomic_fetch_add(&ingestion->thread_count, 1);
    assert(thread->number < THREADS_MAX);
    tg_status_t status = thread_open(thread, error);
    if (status != TG_OK) {
        thread_stop(thread);
        return status;
    }
    on_gauges(thread);
    *out_thread_ctx = thread;
    return TG_OK;
}

/* --- /ready --- */

static bool ready(void *arg, tg_buf_t *out)
{
    tg_ingestion_t *ingestion = arg;
    unsigned threads = 0, there = 0;
    for (size_t i = 0; i < THREADS_MAX; i++) {
        unsigned char state = atomic_load(&ingestion->kafka[i]);
        threads += state != KAFKA_NO_THREAD;
        there += state == KAFKA_THERE;
    }
    bool kafka = threads > 0 && there == threads;
    tg_buf_printf(out,
                  "{\"name\":\"kafka\",\"ready\":%s,\"detail\":\"%u of %u producers reach a "
                  "broker\"},",
                  kafka ? "true" : "false", there, threads);

    tg_buf_t detail = tg_buf_make(256);
    bool registry = tg_registry_client_ready(ingestion->registry, &detail);
    tg_buf_printf(out,
                  "{\"name\":\"registry\",\"ready\":%s,\"detail\":", registry ? "true" : "false");
    tg_buf_json_string(out, tg_buf_view(&detail));
    tg_buf_byte(out, '}');
    if (ingestion->announce != NULL) {
        tg_buf_clear(&detail);
        (void)tg_announce_current(ingestion->announce, &detail);
        tg_buf_str(out, TG_STR(",{\"name\":\"control_tables\",\"ready\":true,\"detail\":"));
        tg_buf_json_string(out, tg_buf_view(&detail));
        tg_buf_byte(out, '}');
    }
    tg_buf_dispose(&detail);
    return kafka && registry; /* without the control tables events go on */
}

/* --- the service --- */

static void fill_service(tg_ingestion_t *ingestion)
{
    const tg_ingestion_config_t *config = ingestion->config;
    ingestion->routes[0] = (tg_http_route_t){.method = "POST",
                                             .path = "/v1/events/:type",
                                             .handler = tg_single_handle,
                                             .params = tg_single_params,
                                             .param_count = TG_ARRAY_LEN(tg_single_params),
                                             .max_body = config->event_max_bytes,
                                             .format = TG_HTTP_V1,
                                             .flags = TG_HTTP_ROUTE_INTERNAL};
    ingestion->routes[1] = (tg_http_route_t){.method = "POST",
                                             .path = "/v2/events",
                                             .handler = tg_batch_handle,
                                             .params = tg_batch_params,
                                             .param_count = TG_ARRAY_LEN(tg_batch_params),
                                             .max_body = config->request_max_bytes,
                                             .format = TG_HTTP_V2,
                                             .flags = TG_HTTP_ROUTE_INTERNAL};
    ingestion->routes[2] = (tg_http_route_t){.method = "POST",
                                             .path = TG_BUNDLE_PATH,
                                             .handler = tg_bundle_handle,
                                             .max_body = TG_BUNDLE_BYTES_MAX,
                                             .format = TG_HTTP_V1,
                                             .flags = TG_HTTP_ROUTE_INTERNAL};
    ingestion->service = (tg_http_service_t){
        .name = "ingestion",
        .config = &config->http,
        .routes = ingestion->routes,
        .route_count = ROUTES,
        .secret = config->secret,
        .metrics = ingestion->metrics,
        .thread_start = thread_start,
        .thread_stop = thread_stop,
        .ready = ready,
        .arg = ingestion,
    };
}

tg_status_t tg_ingestion_open(const tg_ingestion_config_t *config, tg_ingestion_t **out_ingestion,
                              tg_error_t *error)
{
    assert(config != NULL);
    tg_ingestion_t *ingestion = calloc(1, sizeof(*ingestion));
    if (ingestion == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    ingestion->config = config;
    ingestion->metrics = tg_metrics_create(tg_ingestion_metrics, ING_METRIC_COUNT);
    if (ingestion->metrics == NULL) {
        tg_ingestion_close(ingestion);
        return tg_error_set(error, TG_NOMEM, "out of memory");
    }
    tg_registry_site_config_t site = config->registry;
    site.instances = config->registry_instances;
    site.secret = config->secret;
    const tg_registry_client_config_t registry = {
        .site = &site,
        .timeout_ms = config->registry_timeout_ms,
        .refresh_ms = config->registry_refresh_ms,
    };
    tg_status_t status = tg_registry_client_open(&registry, &ingestion->registry, error);
    if (status == TG_OK && config->pg_dsn != NULL && config->pg_dsn[0] != '\0')
        status = tg_announce_open(config->pg_dsn, config->watch_poll_ms, ingestion->registry,
                                  &ingestion->announce, error);
    if (status != TG_OK) {
        tg_ingestion_close(ingestion);
        return status;
    }
    fill_service(ingestion);
    *out_ingestion = ingestion;
    return TG_OK;
}

void tg_ingestion_close(tg_ingestion_t *ingestion)
{
    if (ingestion == NULL)
        return;
    tg_announce_close(ingestion->announce);
    tg_registry_client_close(ingestion->registry);
    tg_metrics_destroy(ingestion->metrics);
    free(ingestion);
}

const tg_http_service_t *tg_ingestion_service(tg_ingestion_t *ingestion)
{
    assert(ingestion != NULL);
    return &ingestion->service;
}

int tg_ingestion_run(const void *config)
{
    tg_ingestion_t *ingestion = NULL;
    tg_error_t error = {.status = TG_OK};
    int code = 1;
    if (tg_ingestion_open(config, &ingestion, &error) == TG_OK)
        code = tg_http_server_run(&ingestion->service);
    else
        tg_log_error("start_failed", TG_F_TEXT("error", error.text));
    tg_ingestion_close(ingestion);
    return code;
}
