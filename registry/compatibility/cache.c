/* A table of entries, which also hang in a ring by use: the newest behind the head. */
#include "registry/compatibility/cache.h"

#include <stdlib.h>

#include "common/base/table.h"

struct entry {
    struct entry *newer, *older;
    uint32_t id;
    size_t text;
    tg_avro_schema_t *schema;
};

struct tg_parsed_cache {
    tg_table_t *table;
    struct entry head; /* head.older is the newest, head.newer the oldest */
    size_t max_schemas, max_text, text;
    uint64_t deletions;
};

static void unlink_entry(struct entry *entry)
{
    entry->newer->older = entry->older;
    entry->older->newer = entry->newer;
}

static void link_newest(tg_parsed_cache_t *cache, struct entry *entry)
{
    entry->newer = &cache->head;
    entry->older = cache->head.older;
    entry->older->newer = entry;
    cache->head.older = entry;
}

static void free_entry(void *value)
{
    struct entry *entry = value;
    unlink_entry(entry);
    tg_avro_schema_destroy(entry->schema);
    free(entry);
}

static tg_str_t key_of(const uint32_t *id)
{
    return (tg_str_t){(const char *)id, sizeof(*id)};
}

static void drop(tg_parsed_cache_t *cache, struct entry *entry)
{
    uint32_t id = entry->id;
    cache->text -= entry->text;
    bool removed = tg_table_remove(cache->table, key_of(&id));
    assert(removed);
    (void)removed;
}

tg_parsed_cache_t *tg_parsed_cache_create(size_t max_schemas, size_t max_text)
{
    assert(max_schemas > 0);
    tg_parsed_cache_t *cache = calloc(1, sizeof(*cache));
    if (cache == NULL)
        return NULL;
    cache->head.newer = cache->head.older = &cache->head;
    cache->max_schemas = max_schemas;
    cache->max_text = max_text;
    cache->table = tg_table_create(max_schemas, free_entry);
    if (cache->table != NULL)
        return cache;
    free(cache);
    return NULL;
}

void tg_parsed_cache_destroy(tg_parsed_cache_t *cache)
{
    if (cache == NULL)
        return;
    tg_table_destroy(cache->table);
    free(cache);
}

void tg_parsed_cache_see(tg_parsed_cache_t *cache, uint64_t deletions)
{
    assert(cache != NULL);
    if (deletions == cache->deletions)
        return;
    cache->deletions = deletions;
    while (cache->head.newer != &cache->head)
        drop(cache, cache->head.newer);
    assert(cache->text == 0);
}

const tg_avro_schema_t *tg_parsed_cache_get(tg_parsed_cache_t *cache, uint32_t id)
{
    struct entry *entry = tg_table_get(cache->table, key_of(&id));
    if (entry == NULL)
        return NULL;
    unlink_entry(entry);
    link_newest(cache, entry);
    return entry->schema;
}

tg_status_t tg_parsed_cache_put(tg_parsed_cache_t *cache, uint32_t id, tg_avro_schema_t *schema,
                                size_t text)
{
    assert(schema != NULL);
    struct entry *old = tg_table_get(cache->table, key_of(&id));
    if (old != NULL)
        drop(cache, old);
    while (cache->head.newer != &cache->head && (tg_table_len(cache->table) >= cache->max_schemas ||
                                                 cache->text + text > cache->max_text))
        drop(cache, cache->head.newer);
    struct entry *entry = calloc(1, sizeof(*entry));
    if (entry == NULL) {
        tg_avro_schema_destroy(schema);
        return TG_NOMEM;
    }
    *entry = (struct entry){.id = id, .text = text, .schema = schema};
    link_newest(cache, entry);
    if (tg_table_put(cache->table, key_of(&id), entry) != TG_OK) {
        free_entry(entry);
        return TG_NOMEM;
    }
    cache->text += text;
    return TG_OK;
}

tg_parsed_cache_stats_t tg_parsed_cache_stats(const tg_parsed_cache_t *cache)
{
    return (tg_parsed_cache_stats_t){tg_table_len(cache->table), cache->text};
}
