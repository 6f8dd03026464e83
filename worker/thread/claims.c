/* Claims: on assignment, again after a reconnect, and anew when a fenced partition stays with us.
 */
#include "common/base/time.h"
#include "common/observe/log.h"
#include "worker/thread/private.h"

#define SEEK_RETRY_MS   500
#define FENCED_RETRY_MS 10000 /* by then the group has told us if the partition is another's */

static tg_claimant_t claimant(tg_worker_thread_t *thread, const char *topic, int32_t partition)
{
    return (tg_claimant_t){.topic = topic,
                           .partition = partition,
                           .owner = thread->owner,
                           .cluster_id = tg_consumer_cluster_id(thread->consumer)};
}

static void note_recreated(tg_worker_thread_t *thread, const char *topic, int32_t partition)
{
    tg_metric_add(thread->shard, WK_RESETS, WK_RESET_RECREATED, 1);
    tg_log_error("topic_recreated", TG_F_TEXT("topic", topic), TG_F_INT("partition", partition),
                 TG_F_TEXT("action", "starting at the earliest offset"));
}

static tg_status_t take(tg_worker_thread_t *thread, tg_partition_t *partition)
{
    const tg_claimant_t who = claimant(thread, partition->topic, partition->number);
    tg_status_t status = tg_claim_take(thread->conn, &who, &partition->claim);

    tg_metric_add(thread->shard, WK_CLAIMS, status == TG_OK ? WK_CLAIM_TAKEN : WK_CLAIM_FAILED, 1);
    if (status != TG_OK)
        return TG_UNAVAILABLE;
    partition->fenced = false;
    partition->recreated = false;
    if (partition->claim.recreated)
        note_recreated(thread, partition->topic, partition->number);
    tg_log_debug("partition_claimed", TG_F_TEXT("topic", partition->topic),
                 TG_F_INT("partition", partition->number),
                 TG_F_INT("epoch", partition->claim.epoch),
                 TG_F_INT("next_offset", partition->claim.next_offset));
    return TG_OK;
}

static int64_t start_offset(const tg_partition_t *partition)
{
    return partition->claim.next_offset == TG_CLAIM_NOTHING_STORED ? TG_CONSUMER_START_EARLIEST
                                                                   : partition->claim.next_offset;
}

static tg_status_t assign_all(tg_worker_thread_t *thread, rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_t *given = &list->elems[i];
        tg_partition_t *partition =
            tg_assignment_add(&thread->assignment, given->topic, given->partition);
        if (partition == NULL)
            return TG_NOMEM;
        tg_status_t status = take(thread, partition);
        if (status != TG_OK)
            return status;
        given->offset = start_offset(partition);
    }
    return TG_OK;
}

tg_status_t tg_thread_on_assign(void *arg, rd_kafka_topic_partition_list_t *list)
{
    tg_worker_thread_t *thread = arg;
    if (thread->writing) {
        thread->assign_failed = true; /* tg_thread_catch_up asks for it again */
        return TG_UNAVAILABLE;
    }
    tg_assignment_clear(&thread->assignment);
    thread->raw = false;
    tg_status_t status = thread->database_down ? TG_UNAVAILABLE : tg_thread_connect(thread);

    if (status == TG_OK)
        status = assign_all(thread, list);
    thread->assign_failed = status != TG_OK;
    if (status == TG_OK) {
        tg_log_info("partitions_claimed", TG_F_TEXT("owner", thread->owner),
                    TG_F_INT("count", list->cnt));
        tg_thread_database_works(thread);
    } else {
        tg_assignment_clear(&thread->assignment);
        if (!thread->database_down)
            tg_thread_database_failed(thread, "claiming partitions");
    }
    return status;
}

void tg_thread_drop_all(tg_worker_thread_t *thread)
{
    tg_assignment_clear(&thread->assignment);
    thread->raw = false;
    thread->revoked = false;
}

void tg_thread_on_revoke(void *arg, const rd_kafka_topic_partition_list_t *list, bool lost)
{
    tg_worker_thread_t *thread = arg;
    tg_log_info("partitions_revoked", TG_F_INT("count", list->cnt), TG_F_INT("lost", lost),
                TG_F_INT("waiting_rows", thread->assignment.rows));
    thread->assign_failed = false;
    if (thread->writing)
        thread->revoked = true; /* the batch may still commit: the fence decides */
    else
        tg_thread_drop_all(thread);
}

void tg_thread_fence(tg_worker_thread_t *thread, tg_partition_t *partition)
{
    tg_metric_add(thread->shard, WK_FENCED, 0, 1);
    tg_metric_add(thread->shard, WK_CLAIMS, WK_CLAIM_FENCED, 1);
    tg_log_warn("partition_fenced", TG_F_TEXT("topic", partition->topic),
                TG_F_INT("partition", partition->number), TG_F_INT("epoch", partition->claim.epoch),
                TG_F_TEXT("action", "nothing of it is stored here any more"));
    tg_assignment_pop(&thread->assignment, partition, partition->rows);
    partition->fenced = true;
    partition->retry_at_ms = tg_time_mono_ms() + FENCED_RETRY_MS;
}

/* Goes on reading where the claim says; if that fails, later, and until then not at all. */
static void read_from_claim(tg_worker_thread_t *thread, tg_partition_t *partition)
{
    if (tg_consumer_seek(thread->consumer, partition->topic, partition->number,
                         start_offset(partition)) == TG_OK)
        return;
    partition->fenced = true;
    partition->retry_at_ms = tg_time_mono_ms() + SEEK_RETRY_MS;
}

/* The claim's offset against ours: more, and a COMMIT without an answer took place; less, and the
 * database has lost commits (restored from a backup): read again from there. */
static void compare_offsets(tg_worker_thread_t *thread, tg_partition_t *partition, int64_t known)
{
    if (partition->recreated || partition->claim.next_offset == known)
        return;
    if (partition->claim.next_offset > known) {
        tg_log_info("commit_settled", TG_F_TEXT("topic", partition->topic),
                    TG_F_INT("partition", partition->number),
                    TG_F_INT("next_offset", partition->claim.next_offset));
        tg_assignment_pop_below(&thread->assignment, partition, partition->claim.next_offset);
        return;
    }
    tg_log_error("store_went_back", TG_F_TEXT("topic", partition->topic),
                 TG_F_INT("partition", partition->number), TG_F_INT("known_offset", known),
                 TG_F_INT("next_offset", partition->claim.next_offset),
                 TG_F_TEXT("action", "reading again from there"));
    tg_assignment_pop(&thread->assignment, partition, partition->rows);
    read_from_claim(thread, partition);
}

static tg_status_t claim_again(tg_worker_thread_t *thread, tg_partition_t *partition)
{
    const tg_claimant_t who = claimant(thread, partition->topic, partition->number);
    int64_t known = partition->claim.next_offset;
    tg_status_t status =
        tg_claim_again(thread->conn, &who, partition->claim.epoch, &partition->claim);

    if (status == TG_DENIED) {
        tg_thread_fence(thread, partition);
        return TG_OK;
    }
    tg_metric_add(thread->shard, WK_CLAIMS, status == TG_OK ? WK_CLAIM_AGAIN : WK_CLAIM_FAILED, 1);
    if (status == TG_OK)
        compare_offsets(thread, partition, known);
    return status;
}

tg_status_t tg_thread_connect(tg_worker_thread_t *thread)
{
    bool fresh = false;
    tg_status_t status = tg_conn_connect(thread->conn, &fresh);

    if (status != TG_OK || !fresh)
        return status;
    tg_log_info("database_connected", TG_F_TEXT("owner", thread->owner));
    for (size_t i = 0; i < thread->assignment.count && status == TG_OK; i++) {
        if (!thread->assignment.items[i]->fenced)
            status = claim_again(thread, thread->assignment.items[i]);
    }
    if (status != TG_OK)
        tg_conn_disconnect(thread->conn); /* all of it again on the next connection */
    return status;
}

static void repair(tg_worker_thread_t *thread, tg_partition_t *partition)
{
    tg_status_t status = TG_OK;

    if (partition->fenced) {
        status = take(thread, partition);
        if (status == TG_OK)
            read_from_claim(thread, partition);
    } else {
        const tg_claimant_t who = claimant(thread, partition->topic, partition->number);
        status = tg_claim_reset(thread->conn, &who, &partition->claim);
        partition->recreated = status == TG_UNAVAILABLE;
        if (status == TG_DENIED) {
            tg_thread_fence(thread, partition);
            status = TG_OK;
        }
    }
    if (status != TG_OK)
        tg_thread_database_failed(thread, "claiming a partition");
}

void tg_thread_repair_claims(tg_worker_thread_t *thread)
{
    uint64_t now = tg_time_mono_ms();

    for (size_t i = 0; i < thread->assignment.count && !thread->database_down; i++) {
        tg_partition_t *partition = thread->assignment.items[i];
        if ((partition->fenced && now >= partition->retry_at_ms) ||
            (partition->recreated && !partition->fenced))
            repair(thread, partition);
    }
}
