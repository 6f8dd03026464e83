/* A short array: a request has a few types, and mostly the one of the event before. */
#include "ingestion/batch/types.h"

#include <stdlib.h>

#include "ingestion/metrics.h"

struct entry {
    char name[TG_EVENT_TYPE_MAX];
    size_t name_len;
    tg_event_type_t *type; /* owned reference */
    tg_status_t status;    /* TG_OK, or why there is no type; TG_FULL: not known yet */
};

struct tg_types {
    tg_ingestion_thread_t *thread;
    tg_str_t tenant;
    void (*on_fetched)(void *arg);
    void *arg;
    bool fetching; /* the last entry */
    struct entry entries[TG_TYPES_MAX];
    size_t count, last;
};

tg_types_t *tg_types_create(tg_ingestion_thread_t *thread, tg_str_t tenant,
                            void (*on_fetched)(void *arg), void *arg)
{
    assert(on_fetched != NULL);
    tg_types_t *types = calloc(1, sizeof(*types));
    if (types == NULL)
        return NULL;
    types->thread = thread;
    types->tenant = tenant;
    types->on_fetched = on_fetched;
    types->arg = arg;
    return types;
}

void tg_types_destroy(tg_types_t *types)
{
    if (types == NULL)
        return;
    assert(!types->fetching);
    for (size_t i = 0; i < types->count; i++)
        tg_event_type_unref(types->entries[i].type);
    free(types);
}

static struct entry *find(tg_types_t *types, tg_str_t name)
{
    for (size_t n = 0; n < types->count; n++) {
        size_t i = (types->last + n) % types->count;
        struct entry *entry = &types->entries[i];
        if (tg_str_eq((tg_str_t){entry->name, entry->name_len}, name)) {
            types->last = i;
            return entry;
        }
    }
    return NULL;
}

static void on_type(void *arg, tg_status_t status, tg_event_type_t *type)
{
    tg_types_t *types = arg;
    tg_ingestion_thread_t *thread = types->thread;
    struct entry *waited = &types->entries[types->count - 1];
    assert(types->fetching);
    assert(waited->status == TG_FULL);
    assert(thread->fetches > 0);
    thread->fetches--;
    tg_metric_add(thread->shard, ING_TYPE_FETCHES, tg_ingestion_fetch_result(status), 1);
    types->fetching = false;
    waited->status = status;
    waited->type = type;
    types->on_fetched(types->arg);
}

/* Adds a type that was not met in this request before. */
static struct entry *add(tg_types_t *types, tg_str_t name)
{
    tg_ingestion_thread_t *thread = types->thread;
    assert(types->count < TG_TYPES_MAX);
    assert(!types->fetching);
    types->last = types->count++;
    struct entry *entry = &types->entries[types->last];
    memcpy(entry->name, name.ptr, name.len);
    entry->name_len = name.len;
    entry->status = TG_OK;
    entry->type = tg_registry_type_cached(thread->registry, types->tenant, name);
    if (entry->type != NULL)
        return entry;
    entry->status = tg_registry_type_fetch(thread->registry, types->tenant, name, thread->loop,
                                           on_type, types) == TG_OK
                        ? TG_FULL
                        : TG_UNAVAILABLE;
    types->fetching = entry->status == TG_FULL;
    thread->fetches += types->fetching ? 1 : 0;
    return entry;
}

tg_status_t tg_types_find(tg_types_t *types, tg_str_t name, const tg_event_type_t **out_type,
                          uint32_t *out_number)
{
    struct entry *entry = find(types, name);
    if (entry == NULL && !tg_event_type_name_ok(name))
        return TG_INVALID;
    if (entry == NULL && types->count == TG_TYPES_MAX)
        return TG_TOO_LARGE;
    if (entry == NULL)
        entry = add(types, name);
    if (entry->status == TG_OK) {
        *out_type = entry->type;
        *out_number = (uint32_t)types->last;
    }
    if (entry->status == TG_INVALID) /* a schema that nobody can send events of */
        return TG_NOT_FOUND;
    return entry->status == TG_OK || entry->status == TG_NOT_FOUND || entry->status == TG_FULL
               ? entry->status
               : TG_UNAVAILABLE;
}
