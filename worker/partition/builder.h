/* Chooses which waiting records go into the next transaction.
 *
 * Full batches come from one partition: its records share series and minutes, so a batch has half
 * as many aggregate keys as a mixed one. When the oldest record has waited for the linger time, the
 * partitions are emptied together, oldest first. Of each partition a batch takes the first records
 * without a gap, so its offset can move with it.
 *
 * A batch that the store refuses because of its data is followed by smaller ones (half each time)
 * until a single record remains, which is then the culprit; after a success the size doubles again.
 * No batch is ever anything but the next records in order, so singling out needs no state of its
 * own.
 *
 * Limits: max_rows records, of them TG_BUILDER_DEAD_MAX dead; TG_BUILDER_BYTES_MAX bytes;
 * TG_BATCH_DAYS_MAX days. Threads: one. */
#ifndef TG_WORKER_PARTITION_BUILDER_H
#define TG_WORKER_PARTITION_BUILDER_H

#include "worker/partition/partition.h"

#define TG_BUILDER_DEAD_MAX  100 /* each is a statement of its own */
#define TG_BUILDER_BYTES_MAX ((size_t)32 << 20)

typedef struct tg_builder tg_builder_t;

tg_builder_t *tg_builder_create(size_t max_rows, uint64_t linger_ms); /* NULL when out of memory */
void tg_builder_destroy(tg_builder_t *builder);                       /* NULL is allowed */

/* Whether a batch is due: a partition has a full one, or the oldest record has waited long enough,
 * or `flush` asks for whatever there is. */
bool tg_builder_due(const tg_builder_t *builder, const tg_assignment_t *assignment, uint64_t now_ms,
                    bool flush);

/* Collects the next batch; NULL when every partition waits for a schema or is fenced. Borrowed
 * until the next call; the records stay in their queues. */
tg_batch_t *tg_builder_next(tg_builder_t *builder, tg_assignment_t *assignment);

/* The batch is stored: takes its records out of the queues and moves the partitions' next_offset.
 */
void tg_builder_stored(tg_builder_t *builder, tg_assignment_t *assignment);

/* The batch was refused for its data: the next one is smaller. When it had only one record, that
 * one is returned, for the caller to bury; else NULL. */
tg_record_t *tg_builder_refused(tg_builder_t *builder);

/* Records in the batch at hand, and the earliest received_at among its rows (INT64_MAX: no rows).
 */
size_t tg_builder_size(const tg_builder_t *builder);
int64_t tg_builder_oldest_received(const tg_builder_t *builder);

#endif
