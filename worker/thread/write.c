/* From a message to a commit. The one place where the outcomes of a transaction are told apart. */
#include "common/base/fault.h"
#include "common/base/time.h"
#include "common/observe/log.h"
#include "worker/letters/inbox.h"
#include "worker/thread/private.h"

#include <stdio.h>

#define REGISTRY_RETRY_MS 200

/* A record at another offset than the one expected: below it the topic's offsets have begun again,
 * above it records are gone (retention). */
static void note_jump(tg_worker_thread_t *thread, tg_partition_t *partition, int64_t offset)
{
    int64_t expected =
        partition->tail != NULL ? partition->tail->source.offset + 1 : partition->claim.next_offset;
    bool recreated = offset < expected;

    partition->recreated = partition->recreated || recreated;
    tg_metric_add(thread->shard, WK_RESETS, recreated ? WK_RESET_RECREATED : WK_RESET_GAP, 1);
    tg_log_error(recreated ? "topic_recreated" : "records_missing",
                 TG_F_TEXT("topic", partition->topic), TG_F_INT("partition", partition->number),
                 TG_F_INT("expected", expected), TG_F_INT("offset", offset),
                 TG_F_TEXT("action", "going on from the earliest offset"));
}

static tg_status_t read_record(tg_worker_thread_t *thread, tg_record_t *record)
{
    if (!tg_str_eq(record->source.topic, tg_str_from(thread->env.config->kafka_dead_topic)))
        return tg_decoder_run(thread->decoder, record, !thread->writing);
    tg_inbox_read(record);
    return TG_OK;
}

/* While a transaction is open nobody waits for the registry: a record with a schema that is not
 * known stays raw until the batch is through. */
static void decode(tg_worker_thread_t *thread, tg_record_t *record, uint64_t now)
{
    if (now < thread->registry_at_ms)
        return;
    if (read_record(thread, record) == TG_OK) {
        if (record->state == TG_RECORD_DEAD)
            tg_metric_add(thread->shard, WK_DEAD, record->reason, 1);
        return;
    }
    if (thread->writing)
        return;
    tg_metric_add(thread->shard, WK_REGISTRY_WAITS, 0, 1);
    tg_log_warn("schema_unavailable", TG_F_INT("partition", record->source.partition),
                TG_F_INT("offset", record->source.offset),
                TG_F_TEXT("action", "its partition waits"));
    thread->registry_at_ms = tg_time_mono_ms() + REGISTRY_RETRY_MS;
}

bool tg_thread_accept(tg_worker_thread_t *thread, rd_kafka_message_t *message, bool jumped)
{
    tg_partition_t *partition =
        tg_assignment_find(&thread->assignment, rd_kafka_topic_name(message->rkt),
                           message->partition);

    if (partition != NULL && jumped && !partition->fenced)
        note_jump(thread, partition, message->offset);
    if (partition == NULL || partition->fenced || message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_message_destroy(message);
        return false;
    }
    uint64_t now = tg_time_mono_ms();
    tg_record_t *record = tg_record_take(thread->pool, message, now);
    assert(record != NULL); /* 300 bytes: a process that cannot have them is better restarted */
    /* Behind a record that waits for its schema all others wait as well: order is kept. */
    if (partition->tail == NULL || partition->tail->state != TG_RECORD_RAW)
        decode(thread, record, now);
    thread->raw = thread->raw || record->state == TG_RECORD_RAW;
    tg_assignment_push(&thread->assignment, partition, record);
    return partition->rows >= thread->env.config->batch_max_rows;
}

/* Decodes from the first waiting record on; false when the registry is still away. */
static bool decode_queue(tg_worker_thread_t *thread, tg_partition_t *partition)
{
    for (tg_record_t *r = partition->head; r != NULL; r = r->next) {
        if (r->state != TG_RECORD_RAW)
            continue;
        size_t before = r->bytes;
        decode(thread, r, tg_time_mono_ms());
        if (r->state == TG_RECORD_RAW)
            return false;
        partition->bytes += r->bytes - before;
        thread->assignment.bytes += r->bytes - before;
    }
    return true;
}

void tg_thread_decode_waiting(tg_worker_thread_t *thread)
{
    if (!thread->raw || tg_time_mono_ms() < thread->registry_at_ms)
        return;
    thread->raw = false;
    for (size_t i = 0; i < thread->assignment.count; i++) {
        if (!decode_queue(thread, thread->assignment.items[i]))
            thread->raw = true;
    }
}

static void count_dead(tg_worker_thread_t *thread, const tg_batch_t *batch)
{
    bool unsent = false;
    if (batch->dead_count == 0)
        return;
    tg_metric_add(thread->shard, WK_EVENTS, WK_DEAD_LETTER, batch->dead_count);
    for (size_t i = 0; i < batch->dead_count; i++) {
        const tg_dead_letter_t *dead = &batch->dead[i];
        if (dead->published)
            continue; /* a tenant's own doing, and as often as the tenant likes */
        unsent = true;
        tg_log_warn("dead_letter", TG_F_STR("topic", dead->topic),
                    TG_F_INT("partition", dead->partition), TG_F_INT("offset", dead->offset),
                    TG_F_STR("code", dead->code), TG_F_STR("text", dead->text));
    }
    if (unsent)
        thread->env.on_dead_letters(thread->env.dead_arg);
}

static void on_committed(tg_worker_thread_t *thread, const tg_batch_t *batch,
                         const tg_store_result_t *result, uint64_t started_us)
{
    int64_t oldest = tg_builder_oldest_received(thread->builder);

    tg_fault_point("worker_after_commit");
    tg_metric_observe(thread->shard, WK_BATCH_SECONDS, 0,
                      (double)(tg_time_mono_us() - started_us) / 1e6);
    tg_metric_observe(thread->shard, WK_BATCH_ROWS, 0, (double)tg_builder_size(thread->builder));
    tg_metric_add(thread->shard, WK_EVENTS, WK_STORED, result->stored);
    tg_metric_add(thread->shard, WK_EVENTS, WK_DUPLICATE, result->duplicates);
    if (oldest != INT64_MAX && tg_time_now() > oldest)
        tg_metric_observe(thread->shard, WK_LATENCY, 0, (double)(tg_time_now() - oldest) / 1e6);
    count_dead(thread, batch);
    for (size_t i = 0; i < batch->partition_count; i++)
        tg_consumer_note_offset(thread->consumer, batch->partitions[i].topic,
                                batch->partitions[i].partition, batch->partitions[i].next_offset);
    tg_builder_stored(thread->builder, &thread->assignment);
    tg_thread_database_works(thread);
}

/* The data is at fault: smaller batches until one record is left, and that one becomes a dead
 * letter. */
static void on_refused(tg_worker_thread_t *thread)
{
    char text[512];
    tg_record_t *record = tg_builder_refused(thread->builder);

    snprintf(text, sizeof(text), "%s: %s", tg_conn_sqlstate(thread->conn),
             tg_conn_message(thread->conn));
    tg_metric_add(thread->shard, WK_DB_FAILURES, WK_FAIL_REJECTED, 1);
    if (record == NULL)
        return;
    if (record->state == TG_RECORD_DEAD) {
        /* Not even the dead letter can be written: nothing of this kind is known; keep trying. */
        tg_thread_database_failed(thread, "writing a dead letter");
        return;
    }
    tg_record_bury(record, TG_DEAD_STORE, text);
    tg_metric_add(thread->shard, WK_DEAD, TG_DEAD_STORE, 1);
}

static void on_fenced(tg_worker_thread_t *thread, const tg_batch_partition_t *fenced)
{
    tg_partition_t *partition =
        tg_assignment_find(&thread->assignment, fenced->topic, fenced->partition);
    assert(partition != NULL);
    tg_thread_fence(thread, partition);
}

static void on_failed(tg_worker_thread_t *thread, const tg_batch_t *batch, tg_status_t status,
                      const tg_store_result_t *result)
{
    switch (status) {
    case TG_DENIED:
        on_fenced(thread, &batch->partitions[result->fenced]);
        break;
    case TG_INVALID:
        on_refused(thread);
        break;
    case TG_CONFLICT:
        tg_metric_add(thread->shard, WK_DB_FAILURES, WK_FAIL_CONFLICT, 1);
        break; /* the same batch comes again at once */
    case TG_TIMEOUT:
        tg_metric_add(thread->shard, WK_DB_FAILURES, WK_FAIL_UNKNOWN, 1);
        tg_thread_database_failed(thread, "waiting for COMMIT; a new claim will tell");
        break;
    default:
        tg_metric_add(thread->shard, WK_DB_FAILURES, WK_FAIL_UNAVAILABLE, 1);
        tg_thread_database_failed(thread, "writing a batch");
        break;
    }
}

bool tg_thread_write(tg_worker_thread_t *thread, bool flush)
{
    tg_store_result_t result = {0};

    if (thread->database_down ||
        !tg_builder_due(thread->builder, &thread->assignment, tg_time_mono_ms(), flush))
        return false;
    /* First the connection: a new one may settle what is stored already, or fence us. */
    if (tg_thread_connect(thread) != TG_OK) {
        tg_thread_database_failed(thread, "connecting");
        return false;
    }
    tg_batch_t *batch = tg_builder_next(thread->builder, &thread->assignment);
    if (batch == NULL)
        return false;
    uint64_t started = tg_time_mono_us();
    thread->writing = true;
    tg_status_t status = tg_store_write(thread->store, batch, &result);
    thread->writing = false;
    if (status == TG_OK)
        on_committed(thread, batch, &result, started);
    else
        on_failed(thread, batch, status, &result);
    tg_thread_catch_up(thread);
    return status == TG_OK;
}
