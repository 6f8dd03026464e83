/* Opens in the order of dependence and closes in the reverse one. PostgreSQL, Kafka and the
 * registry may be away at the start: the threads wait for them and /ready says so. */
#include "worker/worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/time.h"
#include "common/http/server.h"
#include "common/observe/log.h"
#include "common/registry/client.h"
#include "worker/thread/thread.h"
#include "worker/upkeep/maintenance.h"

#define MAINTENANCE_PATIENCE_S 300
#define LEAVE_MS               5000 /* besides worker.drain: longest wait for leaving the group */

struct worker {
    const tg_worker_config_t *config;
    char *topic_list; /* the setting, split in place */
    const char *topics[TG_WORKER_TOPICS_MAX];
    tg_metrics_t *metrics;
    tg_registry_client_t *registry;
    tg_maintenance_t *maintenance;
    tg_worker_thread_t **threads;
    size_t thread_count;
};

static tg_status_t find_schema(void *arg, tg_str_t tenant, tg_str_t type, uint32_t schema_id,
                               tg_event_type_t **out_type)
{
    struct worker *worker = arg;
    return tg_registry_schema_wait(worker->registry, tenant, type, schema_id,
                                   worker->config->registry_timeout_ms, out_type);
}

static void on_dead_letters(void *arg)
{
    struct worker *worker = arg;
    tg_maintenance_wake(worker->maintenance);
}

static void collect_lag(void *arg, tg_buf_t *out)
{
    struct worker *worker = arg;
    tg_buf_str(out,
               TG_STR("# HELP tidegate_worker_consumer_lag_messages Records in the log that are "
                      "not stored yet, per partition.\n"
                      "# TYPE tidegate_worker_consumer_lag_messages gauge\n"));
    for (size_t i = 0; i < worker->thread_count; i++)
        tg_worker_thread_lag(worker->threads[i], out);
}

static void append_dependency(tg_buf_t *out, const char *name, bool ready, const char *detail)
{
    if (out->len > 0)
        tg_buf_byte(out, ',');
    tg_buf_printf(out, "{\"name\":\"%s\",\"ready\":%s,\"detail\":", name, ready ? "true" : "false");
    tg_buf_json_string(out, tg_str_from(detail));
    tg_buf_byte(out, '}');
}

/* Failing maintenance makes nothing wrong, only slow and full: it counts when it lasts. */
static bool maintenance_ready(const struct worker *worker, tg_buf_t *out)
{
    tg_maintenance_status_t status = {0};
    char detail[96] = "another worker does it";

    tg_maintenance_status(worker->maintenance, &status);
    if (status.failing_s > 0)
        snprintf(detail, sizeof(detail), "failing for %llu s, see the log",
                 (unsigned long long)status.failing_s);
    else if (status.holder)
        snprintf(detail, sizeof(detail), "the last round ended %llu s ago",
                 (unsigned long long)status.age_s);
    bool ready = status.failing_s <= MAINTENANCE_PATIENCE_S;
    append_dependency(out, "maintenance", ready, detail);
    return ready;
}

/* Ready: every thread can use the database, some thread has partitions, the registry answers, and
 * maintenance has not failed for long. A worker beyond the number of partitions has none; that is
 * the group's choice and no fault of ours. */
static bool is_ready(void *arg, tg_buf_t *out)
{
    struct worker *worker = arg;
    bool database = true;
    size_t partitions = 0;

    for (size_t i = 0; i < worker->thread_count; i++) {
        tg_worker_status_t status = {0};
        tg_worker_thread_status(worker->threads[i], &status);
        database = database && status.database;
        partitions += status.partitions;
    }
    tg_buf_t detail = tg_buf_make(1024);
    bool registry = tg_registry_client_ready(worker->registry, &detail);
    tg_buf_byte(&detail, '\0');
    append_dependency(out, "postgresql", database, database ? "" : "the last attempt failed");
    append_dependency(out, "kafka", partitions > 0,
                      partitions > 0 ? "" : "no partition is assigned to this worker");
    append_dependency(out, "registry", registry, detail.data == NULL ? "" : detail.data);
    tg_buf_dispose(&detail);
    bool maintained = maintenance_ready(worker, out);
    return database && partitions > 0 && registry && maintained;
}

static tg_status_t open_threads(struct worker *worker, size_t topic_count, tg_error_t *error)
{
    const tg_worker_env_t env = {.config = worker->config,
                                 .topics = worker->topics,
                                 .topic_count = topic_count,
                                 .schema = find_schema,
                                 .schema_arg = worker,
                                 .metrics = worker->metrics,
                                 .on_dead_letters = on_dead_letters,
                                 .dead_arg = worker};
    tg_status_t status = TG_OK;

    worker->threads = calloc(worker->config->threads, sizeof(tg_worker_thread_t *));
    if (worker->threads == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    for (unsigned i = 0; i < worker->config->threads && status == TG_OK; i++) {
        status = tg_worker_thread_open(&env, i, &worker->threads[i], error);
        worker->thread_count += status == TG_OK ? 1 : 0;
    }
    return status;
}

static tg_status_t worker_open(struct worker *worker, tg_error_t *error)
{
    const tg_worker_config_t *config = worker->config;
    tg_registry_site_config_t site = config->registry;
    site.instances = config->registry_instances;
    site.secret = config->gateway_secret;
    const tg_registry_client_config_t registry = {.site = &site,
                                                  .timeout_ms = config->registry_timeout_ms,
                                                  .refresh_ms = 1000};
    size_t topic_count = 0;

    worker->topic_list = strdup(config->kafka_topics);
    if (worker->topic_list == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    tg_status_t status =
        tg_worker_split_topics(worker->topic_list, worker->topics, &topic_count, error);
    if (status != TG_OK)
        return status;
    worker->metrics = tg_metrics_create(tg_worker_metrics, WK_METRIC_COUNT);
    if (worker->metrics == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    status = tg_registry_client_open(&registry, &worker->registry, error);
    if (status == TG_OK)
        status = tg_maintenance_open(config, worker->metrics, &worker->maintenance, error);
    if (status == TG_OK)
        status = open_threads(worker, topic_count, error);
    if (status == TG_OK)
        tg_metrics_collector(worker->metrics, collect_lag, worker);
    return status;
}

/* All threads are asked first and waited for afterwards: they leave at the same time. False when
 * one does not: librdkafka waits for its group without end when Kafka says nothing. */
static bool stop_threads(struct worker *worker)
{
    uint64_t until = tg_time_mono_ms() + worker->config->drain_ms + LEAVE_MS;
    size_t ended = 0;
    for (size_t i = 0; i < worker->thread_count; i++)
        tg_worker_thread_stop(worker->threads[i]);
    for (size_t i = 0; i < worker->thread_count; i++)
        ended += tg_worker_thread_wait(worker->threads[i], until);
    return ended == worker->thread_count;
}

static void worker_close(struct worker *worker)
{
    for (size_t i = 0; i < worker->thread_count; i++)
        tg_worker_thread_close(worker->threads[i]);
    free(worker->threads);
    tg_maintenance_close(worker->maintenance);
    tg_registry_client_close(worker->registry);
    tg_metrics_destroy(worker->metrics);
    free(worker->topic_list);
}

static int serve(struct worker *worker)
{
    /* Only the admin port: no API threads. */
    const tg_http_config_t http = {.admin_listen = worker->config->admin_listen,
                                   .threads = 0,
                                   .max_connections = 64,
                                   .max_inflight = 16,
                                   .header_timeout_ms = 5000,
                                   .idle_timeout_ms = 60000,
                                   .write_timeout_ms = 5000,
                                   .deadline_ms = 5000};
    const tg_http_service_t service = {.name = "worker",
                                       .config = &http,
                                       .metrics = worker->metrics,
                                       .ready = is_ready,
                                       .arg = worker};
    return tg_http_server_run(&service);
}

int tg_worker_run(const void *config)
{
    struct worker worker = {.config = config};
    tg_error_t error = {.status = TG_OK};
    sigset_t signals;
    int code = 1;

    /* Before any thread exists: signals are for the main thread, which waits for them. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    if (worker_open(&worker, &error) == TG_OK)
        code = serve(&worker);
    else
        tg_log_error("start_failed", TG_F_TEXT("reason", error.text));
    if (!stop_threads(&worker)) {
        /* What it has not stored is read again by the next owner, as after a kill. */
        tg_log_error("threads_left_behind", TG_F_INT("code", code));
        _exit(code);
    }
    worker_close(&worker);
    tg_log_info("worker_stopped", TG_F_INT("code", code));
    return code;
}
