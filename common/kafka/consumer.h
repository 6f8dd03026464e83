/* Group consumer whose offsets live elsewhere: librdkafka with an eager assignor, manual assignment
 * offsets, and its faults handled.
 *
 * The owner claims each assigned partition in the database and says from which offset to read;
 * Kafka's own committed offset is for lag displays only. No rd_kafka_consume_batch* (2.0.2 skips
 * offsets with pause/resume): one poll per record.
 *
 * Threads: one consumer per thread. Callbacks run inside tg_consumer_poll and tg_consumer_close,
 * `assign` also inside tg_consumer_retry_assign. */
#ifndef TG_KAFKA_CONSUMER_H
#define TG_KAFKA_CONSUMER_H

#include <librdkafka/rdkafka.h>

#include "common/base/str.h"

typedef struct tg_consumer tg_consumer_t;

#define TG_CONSUMER_START_EARLIEST (-2) /* RD_KAFKA_OFFSET_BEGINNING */

typedef struct tg_consumer_events {
    /* Assigned: fill each partition's ->offset with where to start (TG_CONSUMER_START_EARLIEST for
     * a partition never read). A failure leaves the partitions unread; `assign` is asked again by
     * tg_consumer_retry_assign. */
    tg_status_t (*assign)(void *arg, rd_kafka_topic_partition_list_t *partitions);
    /* Taken away (lost: the session is over and others may own them already). Forget all that is in
     * hand for them. Comes also for partitions whose `assign` failed. */
    void (*revoke)(void *arg, const rd_kafka_topic_partition_list_t *partitions, bool lost);
    void *arg;
} tg_consumer_events_t;

typedef struct tg_consumer_config {
    const char *brokers;
    const char *client_id;
    const char *group;
    const char *const *topics;
    size_t topic_count;
    uint64_t session_timeout_ms; /* 10,000 */
    uint64_t max_poll_ms;        /* 300,000: the owner keeps polling even while it pauses */
    uint64_t queued_max_bytes;   /* 16 MiB: fetched ahead per consumer */
    const char *extra;           /* "name=value,…" */
} tg_consumer_config_t;

TG_NODISCARD tg_status_t tg_consumer_open(const tg_consumer_config_t *config,
                                          const tg_consumer_events_t *events,
                                          tg_consumer_t **out_consumer, tg_error_t *error);
/* Leaves the group, for which librdkafka may wait without end. NULL is allowed. */
void tg_consumer_close(tg_consumer_t *consumer);

typedef enum tg_consumer_event {
    TG_CONSUMER_NONE,
    TG_CONSUMER_EOF,          /* the partition was read to its end, message->offset */
    TG_CONSUMER_OFFSET_RESET, /* the wanted offset is gone (retention, topic made anew): reading
                                 goes on at message->offset, the earliest */
    TG_CONSUMER_ERROR,        /* logged; librdkafka goes on by itself */
    TG_CONSUMER_FATAL,        /* logged; close and open again */
} tg_consumer_event_t;

/* Gives the next message (owned: rd_kafka_message_destroy), or NULL after at most timeout_ms. A
 * message is a record exactly if its err is 0. EOF and OFFSET_RESET always come with a message that
 * names the partition: at EOF it is no record (its err is not 0), at OFFSET_RESET it is the first
 * record after the gap, or no record if nothing is left to read. ERROR and FATAL come with NULL. */
rd_kafka_message_t *tg_consumer_poll(tg_consumer_t *consumer, uint64_t timeout_ms,
                                     tg_consumer_event_t *out_event);

/* Asks `assign` again for partitions whose claim failed; nothing to do otherwise. */
void tg_consumer_retry_assign(tg_consumer_t *consumer);

/* Stops and restarts fetching of all assigned partitions; polling goes on and keeps the membership.
 * Partitions assigned while paused are paused as well. Nothing is skipped or read twice. */
TG_NODISCARD tg_status_t tg_consumer_pause(tg_consumer_t *consumer);
TG_NODISCARD tg_status_t tg_consumer_resume(tg_consumer_t *consumer);

/* Moves one partition's reading position (after a rolled-back claim). Waits at most 1 s. */
TG_NODISCARD tg_status_t tg_consumer_seek(tg_consumer_t *consumer, const char *topic,
                                          int32_t partition, int64_t offset);

/* Stores the offset for the group's own, asynchronous commit: lag displays only. */
void tg_consumer_note_offset(tg_consumer_t *consumer, const char *topic, int32_t partition,
                             int64_t next_offset);

/* Log end minus position, per partition, from the last fetch; for metrics. -1 unknown. */
int64_t tg_consumer_lag(tg_consumer_t *consumer, const char *topic, int32_t partition,
                        int64_t next_offset);

/* Cluster id, and "" when unknown yet; borrowed. */
const char *tg_consumer_cluster_id(tg_consumer_t *consumer);
rd_kafka_t *tg_consumer_handle(tg_consumer_t *consumer);

#endif
