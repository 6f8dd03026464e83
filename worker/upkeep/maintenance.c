/* A loop of rounds. The producer lives on this thread's event loop; the database calls block it,
 * which delays nothing but this thread's own work. */
#include "worker/upkeep/maintenance.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/time.h"
#include "common/observe/log.h"
#include "worker/letters/outbox.h"
#include "worker/pg/pgarray.h"
#include "worker/store/sql.h"
#include "worker/upkeep/bins.h"
#include "worker/upkeep/refresh.h"
#include "worker/upkeep/retention.h"

#define LEASE_SECONDS 30.0
#define DAYS_AHEAD    3 /* today and two more */
#define RENEW_MS      10000
#define BUDGET_MS     10000 /* of one long task in one round */
#define WAIT_TURN_MS  5
#define PURGE_LIMIT   10000
#define DELIVERY_MS   3000 /* below TG_OUTBOX_WAIT_MS */
#define TURN_MS       200
#define FLUSH_MS      1000

_Static_assert(DELIVERY_MS < TG_OUTBOX_WAIT_MS, "a round must end before the server ends it");

struct tg_maintenance {
    const tg_worker_config_t *config;
    tg_metrics_t *metrics;
    tg_metrics_shard_t *shard;
    char owner[96];
    pthread_t id;
    bool running;
    atomic_bool stopping, woken;
    tg_conn_t *conn;
    tg_loop_t *loop; /* the thread's */
    tg_producer_t *producer;
    uint64_t round_at_ms;
    bool holder;           /* the lease was ours when we last asked */
    int64_t epoch;         /* of the lease, while it is ours */
    uint64_t lease_at_ms;  /* when to renew it */
    tg_refresh_t *refresh; /* NULL until the engine is known */
    tg_bins_t bins;
    tg_retention_t retention;
    bool failed; /* a task of this round */
    /* For tg_maintenance_status. */
    atomic_bool told_holder;
    atomic_uint_fast64_t told_failing_ms, told_round_ms; /* since when; 0: not */
};

static const char *const task_names[WK_TASK_COUNT] = {
    [WK_TASK_DAYS] = "days",
    [WK_TASK_HOURS] = "hours",
    [WK_TASK_DAY_ROLLUP] = "day_rollup",
    [WK_TASK_PURGE] = "purge",
    [WK_TASK_HORIZON] = "horizon",
    [WK_TASK_COMPRESS] = "compress",
    [WK_TASK_BINS] = "bins",
    [WK_TASK_RETENTION] = "retention",
};

static void note(tg_maintenance_t *m, unsigned task, tg_status_t status, const tg_conn_t *conn)
{
    tg_metric_add(m->shard, WK_MAINTENANCE, task * 2 + (status == TG_OK ? 0 : 1), 1);
    if (status == TG_OK || atomic_load(&m->stopping))
        return;
    m->failed = true;
    tg_log_warn("maintenance_failed", TG_F_TEXT("task", task_names[task]),
                TG_F_TEXT("sqlstate", tg_conn_sqlstate(conn)),
                TG_F_TEXT("text", tg_conn_message(conn)));
}

/* Takes or renews the lease for so long; with 0 it gives it back. */
static bool take_lease(tg_maintenance_t *m, double length)
{
    PGresult *result = NULL;
    char seconds[8];
    int64_t bits = 0;

    memcpy(&bits, &length, sizeof(bits));
    tg_pg_put_int8(seconds, bits);
    const tg_str_t params[] = {TG_STR("maintenance"), tg_str_from(m->owner), {seconds, 8}};
    m->lease_at_ms = tg_time_mono_ms() + RENEW_MS;
    if (tg_conn_query(m->conn, TG_SQL_LEASE, params, &result) != TG_OK)
        return false;
    bool held = PQntuples(result) == 1;
    if (held)
        m->epoch = tg_conn_int8(result, 0, 0);
    PQclear(result);
    return held;
}

/* Renews the lease when it is time; whether it is ours. */
static bool keep_lease(tg_maintenance_t *m)
{
    bool fresh = false;

    if (tg_time_mono_ms() >= m->lease_at_ms && tg_conn_connect(m->conn, &fresh) == TG_OK)
        m->holder = take_lease(m, LEASE_SECONDS);
    return m->holder && !atomic_load(&m->stopping);
}

static void make_days(tg_maintenance_t *m)
{
    tg_pgarray_t days;
    tg_str_t bytes = {0};
    int64_t now = tg_time_now();

    tg_pgarray_init(&days, TG_PG_DATE, 4096);
    for (int i = 0; i < DAYS_AHEAD; i++)
        tg_pgarray_date(&days, now + i * TG_US_PER_DAY);
    tg_status_t status = tg_pgarray_finish(&days, &bytes);
    if (status == TG_OK)
        status = tg_conn_query(m->conn, TG_SQL_ENSURE_DAYS, &bytes, NULL);
    tg_pgarray_dispose(&days);
    note(m, WK_TASK_DAYS, status, m->conn);
}

static void publish(tg_maintenance_t *m)
{
    const tg_outbox_t outbox = {.conn = m->conn,
                                .loop = m->loop,
                                .producer = m->producer,
                                .topic = m->config->kafka_dead_topic};
    tg_outbox_result_t result = {0};

    do {
        if (tg_outbox_round(&outbox, &result) != TG_OK) {
            tg_log_warn("dead_letters_not_sent", TG_F_TEXT("sqlstate", tg_conn_sqlstate(m->conn)),
                        TG_F_TEXT("text", tg_conn_message(m->conn)));
            return;
        }
        tg_metric_add(m->shard, WK_PUBLISHED, 0, result.sent);
        tg_metric_add(m->shard, WK_PUBLISHED, 1, result.found - result.sent);
    } while (result.sent == TG_OUTBOX_ROUND && !atomic_load(&m->stopping));
    if (result.sent < result.found)
        tg_log_warn("dead_letters_not_sent", TG_F_INT("count", result.found - result.sent),
                    TG_F_TEXT("action", "sent again in the next round"));
}

/* Waits a moment for a long statement, keeping the lease and the producer going. */
static bool keep_going(void *arg)
{
    tg_maintenance_t *m = arg;

    tg_loop_turn(m->loop, WAIT_TURN_MS);
    if (atomic_load(&m->woken) && tg_conn_connected(m->conn)) {
        atomic_store(&m->woken, false);
        publish(m);
    }
    return keep_lease(m);
}

static void on_refreshed(void *arg, unsigned level, double seconds)
{
    tg_maintenance_t *m = arg;
    tg_metric_observe(m->shard, WK_REFRESH_SECONDS, level, seconds);
}

/* Asks the database once which engine it was made for. */
static tg_status_t open_refresh(tg_maintenance_t *m)
{
    PGresult *result = NULL;

    if (m->refresh != NULL)
        return TG_OK;
    tg_status_t status = tg_conn_query(m->conn, TG_SQL_ENGINE, NULL, &result);
    if (status != TG_OK)
        return status;
    bool plain = tg_str_eq(tg_conn_cell(result, 0, 0), TG_STR("plain"));
    PQclear(result);
    const tg_refresh_config_t config = {.dsn = m->config->pg_dsn,
                                        .engine = plain ? TG_ENGINE_PLAIN : TG_ENGINE_TIMESCALE,
                                        .connect_timeout_ms = m->config->pg_connect_ms,
                                        .compress_after_ms = m->config->compress_after_ms,
                                        .wait = keep_going,
                                        .refreshed = on_refreshed,
                                        .arg = m};
    m->refresh = tg_refresh_create(&config);
    return m->refresh != NULL ? TG_OK : TG_NOMEM;
}

static tg_status_t refresh_hours(tg_refresh_t *refresh)
{
    return tg_refresh_level(refresh, TG_REFRESH_HOURS, BUDGET_MS);
}

static tg_status_t refresh_days(tg_refresh_t *refresh)
{
    return tg_refresh_level(refresh, TG_REFRESH_DAYS, BUDGET_MS);
}

static tg_status_t compress(tg_refresh_t *refresh)
{
    return tg_refresh_compress(refresh, BUDGET_MS);
}

static tg_status_t drop(tg_refresh_t *refresh)
{
    return tg_refresh_drop(refresh, BUDGET_MS);
}

/* What runs on the connection of its own, in this order. */
static const struct {
    unsigned task;
    tg_status_t (*run)(tg_refresh_t *refresh);
} long_tasks[] = {
    {WK_TASK_HOURS, refresh_hours},
    {WK_TASK_DAY_ROLLUP, refresh_days},
    {WK_TASK_HORIZON, drop},
    {WK_TASK_COMPRESS, compress},
};

static void tell_backlog(tg_maintenance_t *m)
{
    int64_t waiting[TG_REFRESH_LEVELS] = {0};

    /* One worker tells; the others' gauges are 0. */
    if (m->holder && (m->refresh == NULL || tg_refresh_backlog(m->refresh, waiting) != TG_OK))
        return;
    for (unsigned level = 0; level < TG_REFRESH_LEVELS; level++)
        tg_metric_set(m->shard, WK_TOUCHED, level, waiting[level]);
}

static void run_long_tasks(tg_maintenance_t *m)
{
    if (open_refresh(m) != TG_OK) {
        note(m, WK_TASK_HOURS, TG_UNAVAILABLE, m->conn);
        return;
    }
    for (size_t i = 0; i < TG_ARRAY_LEN(long_tasks) && keep_lease(m); i++) {
        tg_status_t status = long_tasks[i].run(m->refresh);
        note(m, long_tasks[i].task, status, tg_refresh_conn(m->refresh));
    }
}

static void purge_times(tg_maintenance_t *m)
{
    char limit[8];
    tg_pg_put_int8(limit, PURGE_LIMIT);
    const tg_str_t params = {limit, sizeof(limit)};
    note(m, WK_TASK_PURGE, tg_conn_query(m->conn, TG_SQL_PURGE_TIMES, &params, NULL), m->conn);
}

static void expire(tg_maintenance_t *m)
{
    const tg_retention_config_t config = {.interval_ms = m->config->retention_interval_ms,
                                          .dead_letters_ms = m->config->dead_letters_age_ms,
                                          .audit_ms = m->config->audit_age_ms};
    note(m, WK_TASK_RETENTION,
         tg_retention_run(&m->retention, &config, m->conn, m->shard, &m->stopping), m->conn);
}

static void keep_house(tg_maintenance_t *m)
{
    make_days(m);
    purge_times(m);
    run_long_tasks(m);
    if (keep_lease(m))
        expire(m);
    if (keep_lease(m))
        note(m, WK_TASK_BINS, tg_bins_run(&m->bins, m->conn, m->epoch, m->shard, &m->stopping),
             m->conn);
}

static void tell_round(tg_maintenance_t *m)
{
    uint64_t now = tg_time_mono_ms();

    if (!m->failed)
        atomic_store(&m->told_failing_ms, 0);
    else if (atomic_load(&m->told_failing_ms) == 0)
        atomic_store(&m->told_failing_ms, now);
    atomic_store(&m->told_round_ms, now);
    atomic_store(&m->told_holder, m->holder);
    tell_backlog(m);
    tg_metric_set(m->shard, WK_MAINTAINER, 0, m->holder ? 1 : 0);
}

/* Sends dead letters; every maintenance.interval also the upkeep, which a flood of them must not
 * hasten. */
static void round_of_work(tg_maintenance_t *m, bool upkeep)
{
    bool fresh = false;

    tg_conn_check(m->conn);
    if (tg_conn_connect(m->conn, &fresh) != TG_OK)
        return; /* the worker threads say it */
    publish(m);
    if (!upkeep)
        return;
    m->holder = take_lease(m, LEASE_SECONDS);
    m->failed = false;
    if (m->holder)
        keep_house(m);
    tell_round(m);
}

static void *run(void *arg)
{
    tg_maintenance_t *m = arg;
    tg_error_t error = {0};
    char name[64];

    m->shard = tg_metrics_shard(m->metrics);
    assert(m->shard != NULL);
    m->loop = tg_loop_create();
    assert(m->loop != NULL);
    snprintf(name, sizeof(name), "tidegate-worker-dlq-%ld", (long)getpid());
    const tg_producer_config_t producer = {.brokers = m->config->kafka_brokers,
                                           .client_id = name,
                                           .linger_ms = 5,
                                           .max_inflight_bytes = 64 << 20,
                                           .max_inflight_records = UINT64_C(2) * TG_OUTBOX_ROUND,
                                           .delivery_timeout_ms = DELIVERY_MS,
                                           .unavailable_ms = 1000,
                                           .extra = m->config->kafka_extra};
    if (tg_producer_open(m->loop, &producer, &m->producer, &error) != TG_OK) {
        tg_log_error("producer_failed", TG_F_TEXT("text", error.text));
        abort(); /* the same properties made the consumers: it cannot be the configuration alone */
    }
    while (!atomic_load(&m->stopping)) {
        uint64_t now = tg_time_mono_ms();
        bool upkeep = now >= m->round_at_ms;
        if (atomic_exchange(&m->woken, false) || upkeep)
            round_of_work(m, upkeep);
        if (upkeep) {
            m->round_at_ms = now + m->config->maintenance_interval_ms;
            (void)malloc_trim(0); /* what a burst of fetched batches left behind goes back */
        }
        tg_loop_turn(m->loop, TURN_MS);
    }
    if (m->holder && tg_conn_connected(m->conn))
        (void)take_lease(m, 0.0); /* a successor need not wait for the lease to run out */
    tg_producer_close(m->producer, FLUSH_MS);
    tg_loop_destroy(m->loop);
    return NULL;
}

tg_status_t tg_maintenance_open(const tg_worker_config_t *config, tg_metrics_t *metrics,
                                tg_maintenance_t **out_maintenance, tg_error_t *error)
{
    assert(config != NULL);
    tg_maintenance_t *m = calloc(1, sizeof(*m));
    if (m == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    m->config = config;
    m->metrics = metrics;
    char host[64] = "";
    if (gethostname(host, sizeof(host) - 1) != 0)
        strcpy(host, "unknown");
    snprintf(m->owner, sizeof(m->owner), "worker-%s-%ld", host, (long)getpid());
    const tg_conn_config_t conn = {.dsn = config->pg_dsn,
                                   .name = "tidegate-worker-maintenance",
                                   .statements = tg_sql_statements,
                                   .statement_count = TG_SQL_COUNT,
                                   .connect_timeout_ms = config->pg_connect_ms,
                                   .wait_ms = config->pg_answer_ms};
    m->conn = tg_conn_create(&conn);
    if (m->conn == NULL || pthread_create(&m->id, NULL, run, m) != 0) {
        tg_maintenance_close(m);
        return tg_error_set(error, TG_NOMEM, "cannot start the maintenance thread");
    }
    m->running = true;
    *out_maintenance = m;
    return TG_OK;
}

void tg_maintenance_wake(tg_maintenance_t *maintenance)
{
    atomic_store(&maintenance->woken, true);
}

static uint64_t seconds_since(uint64_t ms)
{
    return ms == 0 ? 0 : (tg_time_mono_ms() - ms) / 1000;
}

void tg_maintenance_status(const tg_maintenance_t *maintenance, tg_maintenance_status_t *out_status)
{
    *out_status =
        (tg_maintenance_status_t){.holder = atomic_load(&maintenance->told_holder),
                                  .failing_s =
                                      seconds_since(atomic_load(&maintenance->told_failing_ms)),
                                  .age_s = seconds_since(atomic_load(&maintenance->told_round_ms))};
}

void tg_maintenance_close(tg_maintenance_t *maintenance)
{
    if (maintenance == NULL)
        return;
    atomic_store(&maintenance->stopping, true);
    if (maintenance->running)
        pthread_join(maintenance->id, NULL);
    tg_refresh_destroy(maintenance->refresh);
    tg_retention_dispose(&maintenance->retention);
    tg_conn_destroy(maintenance->conn);
    free(maintenance);
}
