/* What the registry client knows: entries per (tenant, type, id), where id 0 stands for the newest
 * version and the tenant '' for the default context, and the compiled plans that they share.
 *
 * Why two tables: tenants may see the same schema, which is compiled once and referenced by all
 * their entries (where an id is the same schema for all); whether a tenant may see an id is asked
 * of the registry for each tenant.
 *
 * Limits: `max` entries and as many plans. When all entries are live, those that nobody waits for
 * are dropped together: they come back as they are needed.
 * Threads: one at a time; the client holds its lock. */
#ifndef TG_REGISTRY_CACHE_H
#define TG_REGISTRY_CACHE_H

#include "common/event/event.h"

typedef struct tg_registry_cache tg_registry_cache_t;

typedef struct tg_registry_entry {
    char tenant[TG_EVENT_TENANT_MAX + 1];
    char type_name[TG_EVENT_TYPE_MAX + 1];
    uint32_t id;           /* 0: the newest version */
    tg_event_type_t *type; /* owned reference; NULL when not known */
    tg_status_t failure;   /* why not; TG_OK when never asked */
    bool in_flight;        /* a fetch is under way: the entry stays where it is */
    bool outdated;         /* and what it brings may be older than an announcement */
    uint64_t retry_at_ms;  /* without a type: not asked again before */
    uint64_t fetched_ms, used_ms;
    void *waiters; /* the client's */
} tg_registry_entry_t;

/* Returns an owned cache, or NULL when out of memory. */
tg_registry_cache_t *tg_registry_cache_create(size_t max);
void tg_registry_cache_destroy(tg_registry_cache_t *cache);

/* Borrows the entry, NULL if there is none. */
tg_registry_entry_t *tg_registry_cache_get(tg_registry_cache_t *cache, tg_str_t tenant,
                                           tg_str_t type, uint32_t id);

/* The same, made if need be; NULL when full of fetches or out of memory, or when tenant or type are
 * no such names. */
tg_registry_entry_t *tg_registry_cache_make(tg_registry_cache_t *cache, tg_str_t tenant,
                                            tg_str_t type, uint32_t id, uint64_t now_ms);

/* Walks the entries, *cursor from 0. */
tg_registry_entry_t *tg_registry_cache_next(tg_registry_cache_t *cache, size_t *cursor);

size_t tg_registry_cache_len(const tg_registry_cache_t *cache);

/* The compiled plan of (type, id): an owned reference, or NULL. `owner` is the tenant where ids are
 * each tenant's own, and "" where an id is one schema for all. */
tg_event_type_t *tg_registry_cache_plan(tg_registry_cache_t *cache, tg_str_t owner, tg_str_t type,
                                        uint32_t id);

/* Remembers a plan by its name and id (takes a reference of its own); best effort. */
void tg_registry_cache_keep_plan(tg_registry_cache_t *cache, tg_str_t owner, tg_event_type_t *plan);

#endif
