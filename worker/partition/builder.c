/* The batch and what it was taken from, in arrays made once for the largest batch. */
#include "worker/partition/builder.h"

#include <stdlib.h>

#define HEADERS_BYTES_MAX ((size_t)8 << 20) /* of one dead letter, as JSON */

struct taken {
    tg_partition_t *partition;
    size_t count;
    int64_t next_offset;
};

struct tg_builder {
    size_t max_rows, limit;
    uint64_t linger_ms;
    tg_batch_t batch;
    struct taken *taken; /* one per partition in the batch; grows with the assignment */
    size_t taken_count, partition_cap;
    size_t records, bytes;
    int64_t oldest_received;
    int64_t days[TG_BATCH_DAYS_MAX];
    size_t day_count;
    tg_record_t *last;
    tg_dead_letter_t dead[TG_BUILDER_DEAD_MAX];
    tg_buf_t headers[TG_BUILDER_DEAD_MAX];
};

tg_builder_t *tg_builder_create(size_t max_rows, uint64_t linger_ms)
{
    assert(max_rows > 0);
    tg_builder_t *builder = calloc(1, sizeof(*builder));
    if (builder == NULL)
        return NULL;
    builder->max_rows = builder->limit = max_rows;
    builder->linger_ms = linger_ms;
    builder->batch.rows = calloc(max_rows, sizeof(tg_row_t *));
    builder->batch.dead = builder->dead;
    for (size_t i = 0; i < TG_BUILDER_DEAD_MAX; i++)
        builder->headers[i] = tg_buf_make(HEADERS_BYTES_MAX);
    if (builder->batch.rows == NULL) {
        tg_builder_destroy(builder);
        return NULL;
    }
    return builder;
}

void tg_builder_destroy(tg_builder_t *builder)
{
    if (builder == NULL)
        return;
    for (size_t i = 0; i < TG_BUILDER_DEAD_MAX; i++)
        tg_buf_dispose(&builder->headers[i]);
    free(builder->batch.rows);
    free(builder->batch.partitions);
    free(builder->taken);
    free(builder);
}

static bool ready(const tg_partition_t *partition)
{
    return !partition->fenced && partition->head != NULL && partition->head->state != TG_RECORD_RAW;
}

bool tg_builder_due(const tg_builder_t *builder, const tg_assignment_t *assignment, uint64_t now_ms,
                    bool flush)
{
    for (size_t i = 0; i < assignment->count; i++) {
        const tg_partition_t *partition = assignment->items[i];
        if (!ready(partition))
            continue;
        if (flush || partition->rows >= builder->limit ||
            now_ms >= partition->head->arrived_ms + builder->linger_ms)
            return true;
    }
    return false;
}

static bool make_room(tg_builder_t *builder, size_t partitions)
{
    if (partitions <= builder->partition_cap)
        return true;
    tg_batch_partition_t *parts = realloc(builder->batch.partitions, partitions * sizeof(*parts));
    if (parts != NULL)
        builder->batch.partitions = parts;
    struct taken *taken = realloc(builder->taken, partitions * sizeof(*taken));
    if (taken != NULL)
        builder->taken = taken;
    if (parts == NULL || taken == NULL)
        return false;
    builder->partition_cap = partitions;
    return true;
}

/* False when the batch has its days and this is another one. */
static bool note_day(tg_builder_t *builder, int64_t occurred_at)
{
    int64_t day = tg_time_floor(occurred_at, TG_US_PER_DAY);

    for (size_t i = builder->day_count; i-- > 0;) {
        if (builder->days[i] == day)
            return true;
    }
    if (builder->day_count == TG_BATCH_DAYS_MAX)
        return false;
    builder->days[builder->day_count++] = day;
    return true;
}

/* Adds one record; false when it belongs into the next batch. */
static bool take_record(tg_builder_t *builder, const tg_partition_t *partition, tg_record_t *record)
{
    tg_batch_t *batch = &builder->batch;

    if (record->state == TG_RECORD_RAW || builder->records >= builder->limit ||
        (builder->records > 0 && builder->bytes + record->bytes > TG_BUILDER_BYTES_MAX))
        return false;
    if (record->state == TG_RECORD_DEAD) {
        if (batch->dead_count == TG_BUILDER_DEAD_MAX)
            return false;
        tg_buf_t *headers = &builder->headers[batch->dead_count];
        tg_buf_clear(headers);
        tg_record_dead_letter(record, tg_str_from(partition->claim.topic_id), headers,
                              &builder->dead[batch->dead_count++]);
    } else if (record->state == TG_RECORD_ROW) {
        if (!note_day(builder, record->row.occurred_at))
            return false;
        batch->rows[batch->row_count++] = &record->row;
        if (record->row.received_at < builder->oldest_received)
            builder->oldest_received = record->row.received_at;
    }
    builder->records++;
    builder->bytes += record->bytes;
    builder->last = record;
    return true;
}

static void take_partition(tg_builder_t *builder, tg_partition_t *partition)
{
    size_t count = 0;
    int64_t next = 0;

    for (tg_record_t *r = partition->head; r != NULL; r = r->next, count++) {
        if (!take_record(builder, partition, r))
            break;
        next = r->source.offset + 1;
    }
    if (count == 0)
        return;
    builder->taken[builder->taken_count] = (struct taken){partition, count, next};
    builder->batch.partitions[builder->taken_count] =
        (tg_batch_partition_t){.topic = partition->topic,
                               .partition = partition->number,
                               .epoch = partition->claim.epoch,
                               .next_offset = next};
    builder->batch.partition_count = ++builder->taken_count;
}

static bool is_taken(const tg_builder_t *builder, const tg_partition_t *partition)
{
    for (size_t i = 0; i < builder->taken_count; i++) {
        if (builder->taken[i].partition == partition)
            return true;
    }
    return false;
}

/* The partition to take from next: one with a full batch if this one is still empty, else the one
 * whose first record is the oldest. NULL: none is left. */
static tg_partition_t *choose(const tg_builder_t *builder, const tg_assignment_t *assignment,
                              bool full_only)
{
    tg_partition_t *best = NULL;

    for (size_t i = 0; i < assignment->count; i++) {
        tg_partition_t *p = assignment->items[i];
        if (!ready(p) || is_taken(builder, p) || (full_only && p->rows < builder->limit))
            continue;
        if (best == NULL || p->head->arrived_ms < best->head->arrived_ms)
            best = p;
    }
    return best;
}

static void start(tg_builder_t *builder)
{
    builder->batch.row_count = builder->batch.dead_count = builder->batch.partition_count = 0;
    builder->taken_count = builder->records = builder->bytes = builder->day_count = 0;
    builder->oldest_received = INT64_MAX;
    builder->last = NULL;
}

tg_batch_t *tg_builder_next(tg_builder_t *builder, tg_assignment_t *assignment)
{
    assert(builder != NULL);
    start(builder);
    if (!make_room(builder, assignment->count))
        return NULL;
    tg_partition_t *partition = choose(builder, assignment, true);
    if (partition != NULL) {
        take_partition(builder, partition);
    } else {
        while (builder->records < builder->limit &&
               (partition = choose(builder, assignment, false)) != NULL) {
            size_t before = builder->taken_count;
            take_partition(builder, partition);
            if (builder->taken_count == before)
                break; /* no room for its first record: the next batch begins with it */
        }
    }
    return builder->records > 0 ? &builder->batch : NULL;
}

void tg_builder_stored(tg_builder_t *builder, tg_assignment_t *assignment)
{
    for (size_t i = 0; i < builder->taken_count; i++) {
        struct taken *taken = &builder->taken[i];
        taken->partition->claim.next_offset = taken->next_offset;
        tg_assignment_pop(assignment, taken->partition, taken->count);
    }
    start(builder);
    builder->limit =
        builder->limit * 2 < builder->max_rows ? builder->limit * 2 : builder->max_rows;
}

tg_record_t *tg_builder_refused(tg_builder_t *builder)
{
    assert(builder->records > 0);
    if (builder->records == 1)
        return builder->last;
    builder->limit = builder->records / 2;
    return NULL;
}

size_t tg_builder_size(const tg_builder_t *builder)
{
    return builder->records;
}

int64_t tg_builder_oldest_received(const tg_builder_t *builder)
{
    return builder->oldest_received;
}
