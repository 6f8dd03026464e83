/* Three lists of entries, each with an open-addressing index of the same shape: find the entry of a
 * key or add it. The entries never move, so the sorted views are arrays of pointers into them. */
#include "worker/store/aggregate.h"

#include <stdlib.h>

#include "common/base/hash.h"

/* A wide decimal has 624 bytes; the arena is for the sums that need one, at most one per row. */
#define WIDE_BYTES_MAX 1024

/* Entries of one list with their index. The key of an entry is found through the list's functions.
 */
struct list {
    char *entries;     /* count * entry_size bytes in use */
    const void **view; /* sorted pointers */
    uint32_t *slots;   /* entry number + 1; 0: empty; power of two, at most half full */
    size_t entry_size, count, capacity, mask;
    bool (*same)(const void *entry, const void *key);
    int (*compare)(const void *a, const void *b); /* of two elements of view */
};

/* A row with its hour: entries never move. */
struct added {
    const tg_row_t *row;
    const tg_hour_t *hour;
};

struct tg_aggregate {
    struct list minutes, states, hours;
    struct added *added;
    const tg_row_t **late;
    size_t added_count, capacity;
    tg_arena_t *arena;
};

static bool same_minute(const void *entry, const void *key)
{
    const tg_minute_t *a = entry, *b = key;
    return a->bucket == b->bucket && tg_str_eq(a->row->series, b->row->series);
}

static bool same_state(const void *entry, const void *key)
{
    const tg_row_t *a = ((const tg_state_delta_t *)entry)->row;
    const tg_row_t *b = ((const tg_state_delta_t *)key)->row;
    return tg_str_eq(a->entity, b->entity) && tg_str_eq(tg_row_scope(a), tg_row_scope(b)) &&
           tg_str_eq(a->state, b->state);
}

static bool same_hour(const void *entry, const void *key)
{
    const tg_hour_t *a = entry, *b = key;
    return a->hour == b->hour && tg_str_eq(a->row->tenant, b->row->tenant);
}

static int compare_times(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_minutes(const void *left, const void *right)
{
    const tg_minute_t *a = *(const tg_minute_t *const *)left;
    const tg_minute_t *b = *(const tg_minute_t *const *)right;
    int order = tg_str_cmp(tg_row_scope(a->row), tg_row_scope(b->row));

    if (order == 0)
        order = compare_times(a->bucket, b->bucket);
    return order != 0 ? order : tg_str_cmp(a->row->series, b->row->series);
}

static int compare_states(const void *left, const void *right)
{
    const tg_row_t *a = (*(const tg_state_delta_t *const *)left)->row;
    const tg_row_t *b = (*(const tg_state_delta_t *const *)right)->row;
    int order = tg_str_cmp(tg_row_scope(a), tg_row_scope(b));

    if (order == 0)
        order = tg_str_cmp(a->entity, b->entity);
    return order != 0 ? order : tg_str_cmp(a->state, b->state);
}

static int compare_hours(const void *left, const void *right)
{
    const tg_hour_t *a = *(const tg_hour_t *const *)left;
    const tg_hour_t *b = *(const tg_hour_t *const *)right;
    int order = tg_str_cmp(a->row->tenant, b->row->tenant);
    return order != 0 ? order : compare_times(a->hour, b->hour);
}

static bool list_init(struct list *list, size_t capacity, size_t entry_size)
{
    size_t slots = 16;
    while (slots < capacity * 2)
        slots *= 2;
    list->entry_size = entry_size;
    list->capacity = capacity;
    list->mask = slots - 1;
    list->entries = calloc(capacity, entry_size);
    list->view = calloc(capacity, sizeof(*list->view));
    list->slots = calloc(slots, sizeof(*list->slots));
    return list->entries != NULL && list->view != NULL && list->slots != NULL;
}

static void list_dispose(struct list *list)
{
    free(list->entries);
    free(list->view);
    free(list->slots);
}

static void list_reset(struct list *list)
{
    if (list->count > 0)
        memset(list->slots, 0, (list->mask + 1) * sizeof(*list->slots));
    list->count = 0;
}

/* The entry with the key of `probe`; a new one starts as a copy of it. */
static void *list_find(struct list *list, const void *probe, uint64_t hash)
{
    size_t slot = hash & list->mask;

    for (; list->slots[slot] != 0; slot = (slot + 1) & list->mask) {
        void *entry = list->entries + (list->slots[slot] - 1) * list->entry_size;
        if (list->same(entry, probe))
            return entry;
    }
    assert(list->count < list->capacity);
    void *entry = list->entries + list->count * list->entry_size;
    memcpy(entry, probe, list->entry_size);
    list->slots[slot] = (uint32_t)++list->count;
    return entry;
}

static const void **list_sorted(struct list *list, size_t *out_count)
{
    for (size_t i = 0; i < list->count; i++)
        list->view[i] = list->entries + i * list->entry_size;
    qsort(list->view, list->count, sizeof(*list->view), list->compare);
    *out_count = list->count;
    return list->view;
}

/* Spreads a number over the bits of a hash (the finaliser of splitmix64). */
static uint64_t mix(uint64_t hash, int64_t number)
{
    uint64_t bits = hash ^ ((uint64_t)number + UINT64_C(0x9e3779b97f4a7c15));
    bits = (bits ^ (bits >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    bits = (bits ^ (bits >> 27)) * UINT64_C(0x94d049bb133111eb);
    return bits ^ (bits >> 31);
}

tg_aggregate_t *tg_aggregate_create(size_t max_rows)
{
    assert(max_rows > 0);
    assert(max_rows <= UINT32_MAX / 4);
    tg_aggregate_t *aggregate = calloc(1, sizeof(*aggregate));
    if (aggregate == NULL)
        return NULL;
    aggregate->minutes.same = same_minute;
    aggregate->minutes.compare = compare_minutes;
    aggregate->states.same = same_state;
    aggregate->states.compare = compare_states;
    aggregate->hours.same = same_hour;
    aggregate->hours.compare = compare_hours;
    aggregate->arena = tg_arena_create(max_rows * WIDE_BYTES_MAX + 4096);
    aggregate->added = calloc(max_rows, sizeof(*aggregate->added));
    aggregate->late = calloc(max_rows, sizeof(const tg_row_t *));
    aggregate->capacity = max_rows;
    if (aggregate->arena == NULL || aggregate->added == NULL || aggregate->late == NULL ||
        !list_init(&aggregate->minutes, max_rows, sizeof(tg_minute_t)) ||
        !list_init(&aggregate->states, max_rows, sizeof(tg_state_delta_t)) ||
        !list_init(&aggregate->hours, max_rows, sizeof(tg_hour_t))) {
        tg_aggregate_destroy(aggregate);
        return NULL;
    }
    return aggregate;
}

void tg_aggregate_destroy(tg_aggregate_t *aggregate)
{
    if (aggregate == NULL)
        return;
    list_dispose(&aggregate->minutes);
    list_dispose(&aggregate->states);
    list_dispose(&aggregate->hours);
    free(aggregate->added);
    free(aggregate->late);
    tg_arena_destroy(aggregate->arena);
    free(aggregate);
}

void tg_aggregate_reset(tg_aggregate_t *aggregate)
{
    list_reset(&aggregate->minutes);
    list_reset(&aggregate->states);
    list_reset(&aggregate->hours);
    aggregate->added_count = 0;
    tg_arena_reset(aggregate->arena);
}

static tg_status_t add_value(tg_minute_t *minute, double value, tg_arena_t *arena)
{
    if (tg_decimal_add(&minute->sum, value, arena) != TG_OK)
        return TG_NOMEM;
    if (minute->value_count == 0 || value < minute->min)
        minute->min = value;
    if (minute->value_count == 0 || value > minute->max)
        minute->max = value;
    minute->value_count++;
    return TG_OK;
}

static void add_state(tg_aggregate_t *aggregate, const tg_row_t *row)
{
    const tg_state_delta_t probe = {.row = row};
    uint64_t hash = tg_hash_table(tg_row_scope(row)) ^ mix(tg_hash_table(row->entity), 0);
    tg_state_delta_t *state = list_find(&aggregate->states, &probe, hash);
    state->delta += row->delta;
}

static void add_hour(tg_aggregate_t *aggregate, const tg_row_t *row)
{
    const tg_hour_t probe = {.row = row, .hour = tg_time_floor(row->occurred_at, TG_US_PER_HOUR)};
    tg_hour_t *hour =
        list_find(&aggregate->hours, &probe, mix(tg_hash_table(row->tenant), probe.hour));

    hour->count++;
    assert(aggregate->added_count < aggregate->capacity);
    aggregate->added[aggregate->added_count++] = (struct added){row, hour};
}

tg_status_t tg_aggregate_add(tg_aggregate_t *aggregate, const tg_row_t *row)
{
    assert(aggregate != NULL);
    assert(row->series.len >= 3);
    const tg_minute_t probe = {.row = row,
                               .bucket = tg_time_floor(row->occurred_at, TG_US_PER_MINUTE)};
    uint64_t hash = mix(tg_hash_table(row->series), probe.bucket);
    tg_minute_t *minute = list_find(&aggregate->minutes, &probe, hash);

    minute->count++;
    if (row->has_value && add_value(minute, row->value, aggregate->arena) != TG_OK)
        return TG_NOMEM;
    if (row->state.len > 0 && row->delta != 0)
        add_state(aggregate, row);

    add_hour(aggregate, row);
    return TG_OK;
}

const tg_minute_t *const *tg_aggregate_minutes(tg_aggregate_t *aggregate, size_t *out_count)
{
    return (const tg_minute_t *const *)list_sorted(&aggregate->minutes, out_count);
}

const tg_state_delta_t *const *tg_aggregate_states(tg_aggregate_t *aggregate, size_t *out_count)
{
    return (const tg_state_delta_t *const *)list_sorted(&aggregate->states, out_count);
}

const tg_hour_t *const *tg_aggregate_hours(tg_aggregate_t *aggregate, size_t *out_count)
{
    return (const tg_hour_t *const *)list_sorted(&aggregate->hours, out_count);
}

/* Nearly always no hour is late, and then no row is looked at. */
const tg_row_t *const *tg_aggregate_late(tg_aggregate_t *aggregate, int64_t ended_by,
                                         size_t *out_count)
{
    size_t count = 0;
    bool any = false;

    for (size_t i = 0; i < aggregate->hours.count; i++) {
        tg_hour_t *hour = (tg_hour_t *)aggregate->hours.entries + i;
        hour->late =
            hour->hour + TG_US_PER_HOUR <= ended_by && hour->count <= TG_AGGREGATE_LATE_MAX;
        any = any || hour->late;
    }
    for (size_t i = 0; any && i < aggregate->added_count; i++) {
        const struct added *added = &aggregate->added[i];
        if (added->hour->late && added->row->has_value)
            aggregate->late[count++] = added->row;
    }
    *out_count = count;
    return aggregate->late;
}
