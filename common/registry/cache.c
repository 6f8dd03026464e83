/* Entries and plans of the registry client, in two bounded tables keyed by text. */
#include "common/registry/cache.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/table.h"

struct tg_registry_cache {
    size_t max;
    tg_table_t *entries; /* tg_registry_entry_t, owned */
    tg_table_t *plans;   /* tg_event_type_t, one reference each */
};

typedef struct cache_key {
    char text[TG_EVENT_TENANT_MAX + TG_EVENT_TYPE_MAX + 16];
    size_t len;
} cache_key_t;

/* No tenant or type holds a slash, so the parts cannot run into each other. */
static cache_key_t key_of(tg_str_t tenant, tg_str_t type, uint32_t id)
{
    cache_key_t key;
    int len = snprintf(key.text, sizeof(key.text), TG_STR_FMT "/" TG_STR_FMT "/%u",
                       TG_STR_ARG(tenant), TG_STR_ARG(type), id);
    assert(len > 0 && (size_t)len < sizeof(key.text));
    key.len = (size_t)len;
    return key;
}

static tg_str_t key_view(const cache_key_t *key)
{
    return (tg_str_t){key->text, key->len};
}

static void entry_free(void *value)
{
    tg_registry_entry_t *entry = value;
    assert(!entry->in_flight);
    assert(entry->waiters == NULL);
    tg_event_type_unref(entry->type);
    free(entry);
}

static void plan_free(void *value)
{
    tg_event_type_unref(value);
}

tg_registry_cache_t *tg_registry_cache_create(size_t max)
{
    assert(max > 0);
    tg_registry_cache_t *cache = calloc(1, sizeof(*cache));
    if (cache == NULL)
        return NULL;
    cache->max = max;
    cache->entries = tg_table_create(max, entry_free);
    cache->plans = tg_table_create(max, plan_free);
    if (cache->entries == NULL || cache->plans == NULL) {
        tg_registry_cache_destroy(cache);
        return NULL;
    }
    return cache;
}

void tg_registry_cache_destroy(tg_registry_cache_t *cache)
{
    if (cache == NULL)
        return;
    tg_table_destroy(cache->entries);
    tg_table_destroy(cache->plans);
    free(cache);
}

tg_registry_entry_t *tg_registry_cache_get(tg_registry_cache_t *cache, tg_str_t tenant,
                                           tg_str_t type, uint32_t id)
{
    if ((tenant.len > 0 && !tg_event_tenant_ok(tenant)) || !tg_event_type_name_ok(type))
        return NULL;
    cache_key_t key = key_of(tenant, type, id);
    return tg_table_get(cache->entries, key_view(&key));
}

/* Removes what may go: failures whose time is over, or, if `all`, everything not under way. */
static void purge(tg_registry_cache_t *cache, uint64_t now_ms, bool all)
{
    tg_registry_entry_t **gone =
        calloc(tg_table_len(cache->entries), sizeof(tg_registry_entry_t *));
    if (gone == NULL)
        return;
    size_t count = 0;
    size_t cursor = 0;
    for (tg_registry_entry_t *entry = tg_registry_cache_next(cache, &cursor); entry != NULL;
         entry = tg_registry_cache_next(cache, &cursor)) {
        bool stale = entry->type == NULL && entry->retry_at_ms <= now_ms;
        if (!entry->in_flight && (all || stale))
            gone[count++] = entry;
    }
    for (size_t i = 0; i < count; i++) {
        cache_key_t key =
            key_of(tg_str_from(gone[i]->tenant), tg_str_from(gone[i]->type_name), gone[i]->id);
        bool removed = tg_table_remove(cache->entries, key_view(&key));
        assert(removed);
    }
    free(gone);
}

static void make_room(tg_registry_cache_t *cache, uint64_t now_ms)
{
    if (tg_table_len(cache->entries) >= cache->max)
        purge(cache, now_ms, false);
    if (tg_table_len(cache->entries) >= cache->max)
        purge(cache, now_ms, true);
}

static tg_registry_entry_t *entry_new(tg_str_t tenant, tg_str_t type, uint32_t id)
{
    tg_registry_entry_t *entry = calloc(1, sizeof(*entry));
    if (entry == NULL)
        return NULL;
    memcpy(entry->tenant, tenant.ptr, tenant.len);
    memcpy(entry->type_name, type.ptr, type.len);
    entry->id = id;
    return entry;
}

tg_registry_entry_t *tg_registry_cache_make(tg_registry_cache_t *cache, tg_str_t tenant,
                                            tg_str_t type, uint32_t id, uint64_t now_ms)
{
    if ((tenant.len > 0 && !tg_event_tenant_ok(tenant)) || !tg_event_type_name_ok(type))
        return NULL;
    cache_key_t key = key_of(tenant, type, id);
    tg_registry_entry_t *entry = tg_table_get(cache->entries, key_view(&key));
    if (entry != NULL)
        return entry;
    make_room(cache, now_ms);
    entry = entry_new(tenant, type, id);
    if (entry != NULL && tg_table_put(cache->entries, key_view(&key), entry) != TG_OK) {
        free(entry);
        return NULL;
    }
    return entry;
}

tg_registry_entry_t *tg_registry_cache_next(tg_registry_cache_t *cache, size_t *cursor)
{
    tg_str_t key;
    void *value;
    return tg_table_next(cache->entries, cursor, &key, &value) ? value : NULL;
}

size_t tg_registry_cache_len(const tg_registry_cache_t *cache)
{
    return tg_table_len(cache->entries);
}

tg_event_type_t *tg_registry_cache_plan(tg_registry_cache_t *cache, tg_str_t owner, tg_str_t type,
                                        uint32_t id)
{
    cache_key_t key = key_of(owner, type, id);
    tg_event_type_t *plan = tg_table_get(cache->plans, key_view(&key));
    return plan == NULL ? NULL : tg_event_type_ref(plan);
}

static void forget_plans(tg_registry_cache_t *cache)
{
    tg_table_t *fresh = tg_table_create(cache->max, plan_free);
    if (fresh == NULL)
        return;
    tg_table_destroy(cache->plans);
    cache->plans = fresh;
}

void tg_registry_cache_keep_plan(tg_registry_cache_t *cache, tg_str_t owner, tg_event_type_t *plan)
{
    assert(plan != NULL);
    cache_key_t key = key_of(owner, tg_event_type_name(plan), tg_event_type_schema_id(plan));
    if (tg_table_len(cache->plans) >= cache->max)
        forget_plans(cache);
    tg_event_type_t *own = tg_event_type_ref(plan);
    if (tg_table_put(cache->plans, key_view(&key), own) != TG_OK)
        tg_event_type_unref(own);
}
