/* The loop, and what surrounds it: opening, backing off, pausing, showing, leaving. */
#include "worker/thread/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/fault.h"
#include "common/base/time.h"
#include "common/observe/log.h"
#include "worker/store/sql.h"
#include "worker/thread/private.h"

#define IDLE_POLL_MS     100  /* longest wait for a message; bounds the answer to a stop */
#define POLL_BUDGET      4000 /* messages taken before looking whether a batch is due */
#define MEANWHILE_BUDGET 32   /* messages taken before looking whether the server has answered */
#define AHEAD_BATCHES    2    /* read meanwhile, at most: more would only leave the caches */
#define BACKOFF_MIN_MS   100
#define BACKOFF_MAX_MS   5000
#define SHOW_EVERY_MS    1000
#define MAX_POLL_MS      300000

/* --- the database's state --- */

void tg_thread_database_failed(tg_worker_thread_t *thread, const char *doing)
{
    uint64_t backoff = thread->backoff_ms == 0 ? BACKOFF_MIN_MS : thread->backoff_ms * 2;

    thread->backoff_ms = backoff < BACKOFF_MAX_MS ? backoff : BACKOFF_MAX_MS;
    thread->retry_at_ms = tg_time_mono_ms() + thread->backoff_ms;
    thread->database_down = true;
    atomic_store(&thread->database_ok, false);
    tg_log_warn("database_failed", TG_F_TEXT("doing", doing),
                TG_F_TEXT("sqlstate", tg_conn_sqlstate(thread->conn)),
                TG_F_TEXT("text", tg_conn_message(thread->conn)),
                TG_F_INT("retry_in_ms", thread->backoff_ms));
}

void tg_thread_database_works(tg_worker_thread_t *thread)
{
    thread->backoff_ms = 0;
    thread->database_down = false;
    atomic_store(&thread->database_ok, true);
}

/* Tries the database again when its time has come. */
static void retry_database(tg_worker_thread_t *thread)
{
    bool down = thread->database_down;

    if ((down && tg_time_mono_ms() < thread->retry_at_ms) ||
        (!down && tg_conn_connected(thread->conn)))
        return;
    if (tg_thread_connect(thread) != TG_OK) {
        tg_thread_database_failed(thread, "connecting");
        return;
    }
    /* The backoff stays until a transaction has succeeded. */
    thread->database_down = false;
    if (thread->assign_failed)
        tg_consumer_retry_assign(thread->consumer);
    else if (thread->assignment.rows == 0)
        tg_thread_database_works(thread);
}

/* --- reading --- */

static bool buffer_full(const tg_worker_thread_t *thread)
{
    const tg_worker_config_t *config = thread->env.config;
    /* Once paused, reading goes on at half. */
    size_t part = thread->paused ? 2 : 1;
    return thread->assignment.rows >= config->buffer_max_rows / part ||
           thread->assignment.bytes >= config->buffer_max_bytes / part;
}

static void control_reading(tg_worker_thread_t *thread)
{
    uint64_t now = tg_time_mono_ms();
    bool full = buffer_full(thread);
    bool pause = full || thread->database_down;

    if (thread->paused)
        tg_metric_add(thread->shard, WK_PAUSED, full ? WK_PAUSE_BUFFER : WK_PAUSE_DATABASE,
                      now - thread->paused_at_ms);
    thread->paused_at_ms = now;
    if (pause == thread->paused)
        return;
    tg_status_t status =
        pause ? tg_consumer_pause(thread->consumer) : tg_consumer_resume(thread->consumer);
    /* The consumer keeps the wish for its next assignment even when there is none to apply it to
     * now; a failed resume is tried again. */
    thread->paused = pause || status != TG_OK;
}

static uint64_t poll_wait(const tg_worker_thread_t *thread)
{
    uint64_t oldest = tg_assignment_oldest_ms(&thread->assignment);
    uint64_t now = tg_time_mono_ms();

    if (oldest == UINT64_MAX || thread->database_down)
        return IDLE_POLL_MS;
    if (tg_builder_due(thread->builder, &thread->assignment, now, false))
        return 0; /* a batch that filled while the last one was written */
    uint64_t due = oldest + thread->env.config->batch_linger_ms;
    if (due <= now)
        return thread->raw ? 10 : 0; /* what waits for a schema must not make the loop spin */
    return due - now < IDLE_POLL_MS ? due - now : IDLE_POLL_MS;
}

static tg_status_t open_consumer(tg_worker_thread_t *thread, tg_error_t *error)
{
    const tg_worker_config_t *config = thread->env.config;
    const tg_consumer_events_t events = {.assign = tg_thread_on_assign,
                                         .revoke = tg_thread_on_revoke,
                                         .arg = thread};
    const tg_consumer_config_t settings = {.brokers = config->kafka_brokers,
                                           .client_id = thread->owner,
                                           .group = config->kafka_group,
                                           .topics = thread->topics,
                                           .topic_count = thread->topic_count,
                                           .session_timeout_ms = config->kafka_session_ms,
                                           .max_poll_ms = MAX_POLL_MS,
                                           .queued_max_bytes = config->kafka_fetch_bytes,
                                           .extra = config->kafka_extra};
    return tg_consumer_open(&settings, &events, &thread->consumer, error);
}

/* A consumer that went fatal is of no more use: a new one joins the group. */
static void replace_consumer(tg_worker_thread_t *thread)
{
    tg_error_t error = {.status = TG_OK};

    tg_log_error("consumer_replaced", TG_F_TEXT("owner", thread->owner));
    tg_thread_drop_all(thread); /* closing waits for every message */
    tg_consumer_close(thread->consumer);
    thread->consumer = NULL;
    thread->consumer_fatal = false;
    tg_status_t status = open_consumer(thread, &error);
    assert(status == TG_OK); /* the same properties made the first one */
    thread->paused = false;
}

static void read_messages(tg_worker_thread_t *thread)
{
    uint64_t wait = poll_wait(thread);

    for (unsigned n = 0; n < POLL_BUDGET; n++, wait = 0) {
        tg_consumer_event_t event = TG_CONSUMER_NONE;
        rd_kafka_message_t *message = tg_consumer_poll(thread->consumer, wait, &event);
        if (event == TG_CONSUMER_FATAL)
            replace_consumer(thread);
        if (message == NULL)
            return;
        bool full = tg_thread_accept(thread, message, event == TG_CONSUMER_OFFSET_RESET);
        if (n == 0)
            tg_fault_point("worker_after_poll");
        if (full || buffer_full(thread))
            return; /* what is not taken stays in librdkafka's own bounded queue */
    }
}

/* Reads on while the server works on a batch. The first record whose schema is not known ends it:
 * an open transaction waits for no registry. */
static bool read_meanwhile(void *arg)
{
    tg_worker_thread_t *thread = arg;
    const size_t enough = (1 + AHEAD_BATCHES) * thread->env.config->batch_max_rows;

    tg_record_pool_sweep(thread->pool);
    for (unsigned n = 0; n < MEANWHILE_BUDGET; n++) {
        if (thread->revoked || thread->consumer_fatal || thread->raw ||
            thread->assignment.rows >= enough || buffer_full(thread))
            return false;
        tg_consumer_event_t event = TG_CONSUMER_NONE;
        rd_kafka_message_t *message = tg_consumer_poll(thread->consumer, 0, &event);
        thread->consumer_fatal = event == TG_CONSUMER_FATAL;
        if (message == NULL)
            return false;
        (void)tg_thread_accept(thread, message, event == TG_CONSUMER_OFFSET_RESET);
    }
    return true;
}

void tg_thread_catch_up(tg_worker_thread_t *thread)
{
    assert(!thread->writing);
    if (thread->revoked)
        tg_thread_drop_all(thread);
    if (thread->consumer_fatal)
        replace_consumer(thread);
    else if (thread->assign_failed && !thread->database_down)
        tg_consumer_retry_assign(thread->consumer);
}

/* --- showing --- */

static void show_lags(tg_worker_thread_t *thread)
{
    pthread_mutex_lock(&thread->mutex);
    thread->lag_count = 0;
    for (size_t i = 0; i < thread->assignment.count && thread->lag_count < TG_LAG_MAX; i++) {
        const tg_partition_t *partition = thread->assignment.items[i];
        int64_t next = partition->claim.next_offset < 0 ? 0 : partition->claim.next_offset;
        int64_t lag = tg_consumer_lag(thread->consumer, partition->topic, partition->number, next);
        if (lag < 0)
            continue;
        struct tg_lag *shown = &thread->lags[thread->lag_count++];
        snprintf(shown->topic, sizeof(shown->topic), "%s", partition->topic);
        shown->partition = partition->number;
        shown->lag = lag;
    }
    pthread_mutex_unlock(&thread->mutex);
}

static void show(tg_worker_thread_t *thread)
{
    uint64_t now = tg_time_mono_ms();

    tg_metric_set(thread->shard, WK_QUEUE_ROWS, 0, (int64_t)thread->assignment.rows);
    tg_metric_set(thread->shard, WK_QUEUE_BYTES, 0, (int64_t)thread->assignment.bytes);
    atomic_store(&thread->partitions, thread->assignment.count);
    if (now - thread->shown_at_ms < SHOW_EVERY_MS)
        return;
    thread->shown_at_ms = now;
    tg_conn_check(thread->conn);
    show_lags(thread);
}

void tg_worker_thread_status(tg_worker_thread_t *thread, tg_worker_status_t *out_status)
{
    out_status->database = atomic_load(&thread->database_ok);
    out_status->partitions = atomic_load(&thread->partitions);
}

void tg_worker_thread_lag(tg_worker_thread_t *thread, tg_buf_t *out)
{
    pthread_mutex_lock(&thread->mutex);
    for (size_t i = 0; i < thread->lag_count; i++) {
        const struct tg_lag *lag = &thread->lags[i];
        /* Topic names are ours, by configuration, and Kafka's rules leave nothing to escape. */
        tg_buf_printf(out,
                      "tidegate_worker_consumer_lag_messages{topic=\"%s\",partition=\"%d\"} %lld\n",
                      lag->topic, (int)lag->partition, (long long)lag->lag);
    }
    pthread_mutex_unlock(&thread->mutex);
}

/* --- the loop --- */

static void turn(tg_worker_thread_t *thread)
{
    retry_database(thread);
    read_messages(thread);
    tg_thread_decode_waiting(thread);
    tg_thread_repair_claims(thread);
    if (!tg_thread_write(thread, false))
        tg_record_pool_sweep(thread->pool);
    control_reading(thread);
    show(thread);
}

/* Stores what is in hand, as long as that goes well and the time allows. What is left is read again
 * by whoever comes next. */
static void finish(tg_worker_thread_t *thread)
{
    uint64_t until = tg_time_mono_ms() + thread->env.config->drain_ms;

    while (tg_time_mono_ms() < until && tg_thread_write(thread, true))
        continue;
    tg_log_info("thread_leaves", TG_F_TEXT("owner", thread->owner),
                TG_F_INT("unstored_rows", thread->assignment.rows));
}

static void *run(void *arg)
{
    tg_worker_thread_t *thread = arg;

    thread->shard = tg_metrics_shard(thread->env.metrics);
    assert(thread->shard != NULL);
    while (!atomic_load(&thread->stopping))
        turn(thread);
    finish(thread);
    tg_fault_point("worker_leaving");
    tg_thread_drop_all(thread);          /* closing waits for every message */
    tg_consumer_close(thread->consumer); /* leaves the group: the others take over at once */
    thread->consumer = NULL;
    return NULL;
}

/* --- life --- */

static tg_status_t build(tg_worker_thread_t *thread)
{
    const tg_worker_config_t *config = thread->env.config;
    const tg_conn_config_t conn = {.dsn = config->pg_dsn,
                                   .name = "tidegate-worker",
                                   .statements = tg_sql_statements,
                                   .statement_count = TG_SQL_COUNT,
                                   .connect_timeout_ms = config->pg_connect_ms,
                                   .wait_ms = config->pg_answer_ms};
    thread->conn = tg_conn_create(&conn);
    if (thread->conn == NULL)
        return TG_NOMEM;
    thread->store = tg_store_create(thread->conn, config->batch_max_rows);
    thread->pool = tg_record_pool_create();
    thread->decoder = tg_decoder_create(thread->env.schema, thread->env.schema_arg);
    thread->builder = tg_builder_create(config->batch_max_rows, config->batch_linger_ms);
    thread->lags = calloc(TG_LAG_MAX, sizeof(*thread->lags));
    if (thread->store == NULL || thread->pool == NULL || thread->decoder == NULL ||
        thread->builder == NULL || thread->lags == NULL)
        return TG_NOMEM;
    tg_assignment_init(&thread->assignment, thread->pool);
    tg_store_meanwhile(thread->store, read_meanwhile, thread);
    return TG_OK;
}

/* The dead letters' topic is read too: those of ingestion have no other way into the store. */
static void choose_topics(tg_worker_thread_t *thread)
{
    const char *dead = thread->env.config->kafka_dead_topic;
    bool named = false;
    assert(thread->env.topic_count <= TG_WORKER_TOPICS_MAX);
    for (size_t i = 0; i < thread->env.topic_count; i++) {
        thread->topics[thread->topic_count++] = thread->env.topics[i];
        named = named || strcmp(thread->env.topics[i], dead) == 0;
    }
    if (!named)
        thread->topics[thread->topic_count++] = dead;
}

static void name_owner(tg_worker_thread_t *thread, unsigned index)
{
    char host[64] = "";
    if (gethostname(host, sizeof(host) - 1) != 0)
        strcpy(host, "unknown");
    snprintf(thread->owner, sizeof(thread->owner), "worker-%s-%ld-%u", host, (long)getpid(), index);
}

tg_status_t tg_worker_thread_open(const tg_worker_env_t *env, unsigned index,
                                  tg_worker_thread_t **out_thread, tg_error_t *error)
{
    assert(env->topic_count > 0);
    assert(env->schema != NULL);
    tg_worker_thread_t *thread = calloc(1, sizeof(*thread));
    if (thread == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    thread->env = *env;
    pthread_mutex_init(&thread->mutex, NULL);
    choose_topics(thread);
    name_owner(thread, index);
    tg_status_t status = build(thread);
    if (status != TG_OK) {
        (void)tg_error_set(error, status, "out of memory");
        goto fail;
    }
    status = open_consumer(thread, error);
    if (status != TG_OK)
        goto fail;
    if (pthread_create(&thread->id, NULL, run, thread) != 0) {
        status = tg_error_set(error, TG_NOMEM, "cannot start a thread");
        goto fail;
    }
    thread->running = true;
    *out_thread = thread;
    return TG_OK;

fail:
    tg_worker_thread_close(thread);
    return status;
}

void tg_worker_thread_stop(tg_worker_thread_t *thread)
{
    atomic_store(&thread->stopping, true);
}

bool tg_worker_thread_wait(tg_worker_thread_t *thread, uint64_t until_ms)
{
    const struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                                   .tv_nsec = (long)(until_ms % 1000) * 1000000};
    assert(atomic_load(&thread->stopping));
    if (thread->running && pthread_clockjoin_np(thread->id, NULL, CLOCK_MONOTONIC, &until) == 0)
        thread->running = false;
    return !thread->running;
}

void tg_worker_thread_close(tg_worker_thread_t *thread)
{
    if (thread == NULL)
        return;
    assert(!thread->running);
    tg_consumer_close(thread->consumer);
    tg_assignment_dispose(&thread->assignment);
    tg_builder_destroy(thread->builder);
    tg_decoder_destroy(thread->decoder);
    tg_record_pool_destroy(thread->pool);
    tg_store_destroy(thread->store);
    tg_conn_destroy(thread->conn);
    free(thread->lags);
    pthread_mutex_destroy(&thread->mutex);
    free(thread);
}
