/* Linear probing with backward-shift deletion: no tombstones, so a table that lives for months with
 * constant churn never slows down. Slots double up to what `max_items` needs; the load factor stays
 * at or below 3/4. The full hash is kept beside each key, which makes growing and most mismatches
 * free of key comparisons. */
#include "common/base/table.h"

#include <stdlib.h>

#include "common/base/hash.h"

#define TG_TABLE_SLOTS_MIN 16

struct slot {
    char *key; /* owned; NULL in a free slot */
    size_t key_len;
    uint64_t hash;
    void *value;
};

struct tg_table {
    struct slot *slots; /* slot_count of them, a power of two */
    size_t slot_count, len, max_items;
    tg_table_free_fn free_value;
};

tg_table_t *tg_table_create(size_t max_items, tg_table_free_fn free_value)
{
    assert(max_items > 0);
    assert(max_items <= SIZE_MAX / 4 / sizeof(struct slot));
    tg_table_t *table = calloc(1, sizeof(*table));
    if (table == NULL)
        return NULL;
    table->slots = calloc(TG_TABLE_SLOTS_MIN, sizeof(struct slot));
    if (table->slots == NULL) {
        free(table);
        return NULL;
    }
    table->slot_count = TG_TABLE_SLOTS_MIN;
    table->max_items = max_items;
    table->free_value = free_value;
    return table;
}

static void release_value(const tg_table_t *table, void *value)
{
    if (table->free_value != NULL)
        table->free_value(value);
}

void tg_table_destroy(tg_table_t *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < table->slot_count; i++) {
        if (table->slots[i].key == NULL)
            continue;
        release_value(table, table->slots[i].value);
        free(table->slots[i].key);
    }
    free(table->slots);
    free(table);
}

/* The slot that holds `key`, or the free one where it would go. */
static struct slot *find_slot(const tg_table_t *table, tg_str_t key, uint64_t hash)
{
    assert(table->len < table->slot_count); /* a free slot ends each probe */
    size_t mask = table->slot_count - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct slot *slot = &table->slots[i];
        if (slot->key == NULL)
            return slot;
        if (slot->hash == hash && tg_str_eq((tg_str_t){slot->key, slot->key_len}, key))
            return slot;
    }
}

static tg_status_t grow(tg_table_t *table)
{
    size_t count = table->slot_count * 2, mask = count - 1;
    struct slot *slots = calloc(count, sizeof(*slots));
    if (slots == NULL)
        return TG_NOMEM;
    for (size_t i = 0; i < table->slot_count; i++) {
        if (table->slots[i].key == NULL)
            continue;
        size_t at = table->slots[i].hash & mask;
        while (slots[at].key != NULL)
            at = (at + 1) & mask;
        slots[at] = table->slots[i];
    }
    free(table->slots);
    table->slots = slots;
    table->slot_count = count;
    return TG_OK;
}

static tg_status_t insert(tg_table_t *table, tg_str_t key, uint64_t hash, void *value)
{
    if (table->len >= table->max_items)
        return TG_FULL;
    if ((table->len + 1) * 4 > table->slot_count * 3 && grow(table) != TG_OK)
        return TG_NOMEM;
    char *copy = malloc(key.len + 1);
    if (copy == NULL)
        return TG_NOMEM;
    if (key.len > 0)
        memcpy(copy, key.ptr, key.len);
    copy[key.len] = '\0';
    struct slot *slot = find_slot(table, key, hash);
    assert(slot->key == NULL);
    *slot = (struct slot){.key = copy, .key_len = key.len, .hash = hash, .value = value};
    table->len++;
    return TG_OK;
}

tg_status_t tg_table_put(tg_table_t *table, tg_str_t key, void *value)
{
    assert(table != NULL);
    assert(value != NULL); /* NULL means "none" to tg_table_get */
    uint64_t hash = tg_hash_table(key);
    struct slot *slot = find_slot(table, key, hash);
    if (slot->key == NULL)
        return insert(table, key, hash, value);
    void *older = slot->value;
    slot->value = value;
    if (older != value)
        release_value(table, older);
    return TG_OK;
}

void *tg_table_get(const tg_table_t *table, tg_str_t key)
{
    assert(table != NULL);
    struct slot *slot = find_slot(table, key, tg_hash_table(key));
    return slot->key == NULL ? NULL : slot->value;
}

/* Closes the gap at `hole`: each following item that may stand there without losing its probe path
 * moves back, until a free slot ends the run. */
static void shift_back(tg_table_t *table, size_t hole)
{
    size_t mask = table->slot_count - 1;
    for (size_t i = (hole + 1) & mask; table->slots[i].key != NULL; i = (i + 1) & mask) {
        size_t distance_home = (i - (size_t)table->slots[i].hash) & mask;
        size_t distance_hole = (i - hole) & mask;
        if (distance_home < distance_hole)
            continue;
        table->slots[hole] = table->slots[i];
        hole = i;
    }
    table->slots[hole] = (struct slot){0};
}

bool tg_table_remove(tg_table_t *table, tg_str_t key)
{
    assert(table != NULL);
    struct slot *slot = find_slot(table, key, tg_hash_table(key));
    if (slot->key == NULL)
        return false;
    struct slot removed = *slot;
    shift_back(table, (size_t)(slot - table->slots));
    table->len--;
    free(removed.key); /* `key` may be this very memory: not read from here on */
    release_value(table, removed.value);
    return true;
}

size_t tg_table_len(const tg_table_t *table)
{
    assert(table != NULL);
    return table->len;
}

bool tg_table_next(const tg_table_t *table, size_t *cursor, tg_str_t *out_key, void **out_value)
{
    assert(table != NULL);
    assert(cursor != NULL);
    for (; *cursor < table->slot_count; ++*cursor) {
        const struct slot *slot = &table->slots[*cursor];
        if (slot->key == NULL)
            continue;
        if (out_key != NULL)
            *out_key = (tg_str_t){slot->key, slot->key_len};
        *out_value = slot->value;
        ++*cursor;
        return true;
    }
    return false;
}
