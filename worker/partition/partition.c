/* Queues are linked lists through the records: only the head is taken, only the tail is added to.
 */
#include "worker/partition/partition.h"

#include <stdio.h>
#include <stdlib.h>

void tg_assignment_init(tg_assignment_t *assignment, tg_record_pool_t *pool)
{
    assert(pool != NULL);
    *assignment = (tg_assignment_t){.pool = pool};
}

void tg_assignment_dispose(tg_assignment_t *assignment)
{
    if (assignment == NULL)
        return;
    tg_assignment_clear(assignment);
    free(assignment->items);
    assignment->items = NULL;
}

static bool is_partition(const tg_partition_t *partition, const char *topic, int32_t number)
{
    return partition->number == number && strcmp(partition->topic, topic) == 0;
}

tg_partition_t *tg_assignment_find(tg_assignment_t *assignment, const char *topic, int32_t number)
{
    assert(topic != NULL);
    for (size_t n = 0; n < assignment->count; n++) {
        size_t i = (assignment->last + n) % assignment->count;
        if (is_partition(assignment->items[i], topic, number)) {
            assignment->last = i;
            return assignment->items[i];
        }
    }
    return NULL;
}

tg_partition_t *tg_assignment_add(tg_assignment_t *assignment, const char *topic, int32_t number)
{
    tg_partition_t *partition = tg_assignment_find(assignment, topic, number);

    if (partition != NULL)
        return partition;
    tg_partition_t **items =
        realloc(assignment->items, (assignment->count + 1) * sizeof(tg_partition_t *));
    if (items == NULL)
        return NULL;
    assignment->items = items;
    partition = calloc(1, sizeof(*partition));
    if (partition == NULL)
        return NULL;
    snprintf(partition->topic, sizeof(partition->topic), "%s", topic);
    partition->number = number;
    partition->claim.next_offset = TG_CLAIM_NOTHING_STORED;
    assignment->items[assignment->count++] = partition;
    return partition;
}

void tg_assignment_push(tg_assignment_t *assignment, tg_partition_t *partition, tg_record_t *record)
{
    assert(record->next == NULL);
    if (partition->tail == NULL)
        partition->head = record;
    else
        partition->tail->next = record;
    partition->tail = record;
    partition->rows++;
    partition->bytes += record->bytes;
    assignment->rows++;
    assignment->bytes += record->bytes;
}

static void pop_one(tg_assignment_t *assignment, tg_partition_t *partition)
{
    tg_record_t *record = partition->head;

    assert(record != NULL);
    assert(partition->bytes >= record->bytes);
    partition->head = record->next;
    if (partition->head == NULL)
        partition->tail = NULL;
    partition->rows--;
    partition->bytes -= record->bytes;
    assignment->rows--;
    assignment->bytes -= record->bytes;
    record->next = NULL;
    tg_record_release(assignment->pool, record);
}

void tg_assignment_pop(tg_assignment_t *assignment, tg_partition_t *partition, size_t count)
{
    assert(count <= partition->rows);
    while (count-- > 0)
        pop_one(assignment, partition);
}

void tg_assignment_pop_below(tg_assignment_t *assignment, tg_partition_t *partition, int64_t offset)
{
    while (partition->head != NULL && partition->head->source.offset < offset)
        pop_one(assignment, partition);
}

static void remove_at(tg_assignment_t *assignment, size_t index)
{
    tg_partition_t *partition = assignment->items[index];

    tg_assignment_pop(assignment, partition, partition->rows);
    free(partition);
    assignment->items[index] = assignment->items[--assignment->count];
    assignment->last = 0;
}

void tg_assignment_remove(tg_assignment_t *assignment, const char *topic, int32_t number)
{
    for (size_t i = 0; i < assignment->count; i++) {
        if (is_partition(assignment->items[i], topic, number)) {
            remove_at(assignment, i);
            return;
        }
    }
}

void tg_assignment_clear(tg_assignment_t *assignment)
{
    while (assignment->count > 0)
        remove_at(assignment, assignment->count - 1);
    tg_record_pool_sweep(assignment->pool);
    assert(assignment->rows == 0);
    assert(assignment->bytes == 0);
}

uint64_t tg_assignment_oldest_ms(const tg_assignment_t *assignment)
{
    uint64_t oldest = UINT64_MAX;

    for (size_t i = 0; i < assignment->count; i++) {
        const tg_record_t *head = assignment->items[i]->head;
        if (head != NULL && head->arrived_ms < oldest)
            oldest = head->arrived_ms;
    }
    return oldest;
}
