/* The partitions that a thread owns, each with its claim and the records waiting to be stored, in
 * the order of their offsets.
 *
 * Limits: as many partitions as the group gives; the records are bounded by the thread's buffer
 * limits, which it checks against the totals kept here. Threads: one. */
#ifndef TG_WORKER_PARTITION_H
#define TG_WORKER_PARTITION_H

#include "worker/partition/claim.h"
#include "worker/record/record.h"

#define TG_TOPIC_NAME_MAX 250 /* Kafka's limit is 249 */

typedef struct tg_partition {
    char topic[TG_TOPIC_NAME_MAX];
    int32_t number;
    bool fenced;    /* another has claimed it; nothing is stored or read until we claim anew */
    bool recreated; /* its offsets have begun again: to be noted before the next batch */
    uint64_t retry_at_ms; /* fenced: when to claim anew if it is still assigned to us */
    tg_claim_t claim;     /* next_offset is what the database has */
    tg_record_t *head, *tail;
    size_t rows, bytes; /* of the queue */
} tg_partition_t;

typedef struct tg_assignment {
    tg_partition_t **items;
    size_t count;
    size_t last;        /* where the last look-up ended */
    size_t rows, bytes; /* of all queues */
    tg_record_pool_t *pool;
} tg_assignment_t;

/* An empty assignment whose records come from and go back to `pool` (borrowed). */
void tg_assignment_init(tg_assignment_t *assignment, tg_record_pool_t *pool);
void tg_assignment_dispose(tg_assignment_t *assignment);

/* Adds a partition, or gives the one that is there; NULL when out of memory. */
tg_partition_t *tg_assignment_add(tg_assignment_t *assignment, const char *topic, int32_t number);

/* Forgets one partition or all with their records; after the latter no message is held. */
void tg_assignment_remove(tg_assignment_t *assignment, const char *topic, int32_t number);
void tg_assignment_clear(tg_assignment_t *assignment);

/* NULL when it is not ours. */
tg_partition_t *tg_assignment_find(tg_assignment_t *assignment, const char *topic, int32_t number);

/* Queues a record behind the others; takes it. */
void tg_assignment_push(tg_assignment_t *assignment, tg_partition_t *partition,
                        tg_record_t *record);

/* Releases the first `count` records. */
void tg_assignment_pop(tg_assignment_t *assignment, tg_partition_t *partition, size_t count);

/* Releases the records below `offset`. */
void tg_assignment_pop_below(tg_assignment_t *assignment, tg_partition_t *partition,
                             int64_t offset);

/* Arrival time of the oldest waiting record; UINT64_MAX when there is none. */
uint64_t tg_assignment_oldest_ms(const tg_assignment_t *assignment);

#endif
