/* The callers' side: what is known is answered at once, and who asks for something else waits for
 * its fetch. Those with a loop hear there; those without wait on the condition. */
#include "common/registry/private.h"

#include <stdlib.h>
#include <time.h>

/* --- delivering --- */

static void on_deliver(void *arg)
{
    struct waiter *waiter = arg;
    waiter->done(waiter->arg, waiter->status, waiter->type);
    free(waiter);
}

void tg_registry_deliver(tg_registry_client_t *client, struct waiter *waiter, tg_status_t status,
                         tg_event_type_t *type)
{
    waiter->status = status;
    waiter->type = type != NULL ? tg_event_type_ref(type) : NULL;
    if (tg_loop_post(waiter->loop, on_deliver, waiter) == TG_OK)
        return;
    waiter->next = client->undelivered;
    client->undelivered = waiter;
}

void tg_registry_deliver_again(tg_registry_client_t *client)
{
    struct waiter *list = client->undelivered;
    client->undelivered = NULL;
    while (list != NULL) {
        struct waiter *waiter = list;
        list = waiter->next;
        if (tg_loop_post(waiter->loop, on_deliver, waiter) == TG_OK)
            continue;
        waiter->next = client->undelivered;
        client->undelivered = waiter;
    }
}

void tg_registry_drop_undelivered(tg_registry_client_t *client)
{
    assert(client->undelivered == NULL || client->closing);
    while (client->undelivered != NULL) {
        struct waiter *waiter = client->undelivered;
        client->undelivered = waiter->next;
        tg_event_type_unref(waiter->type);
        free(waiter);
    }
}

/* --- asking --- */

/* Whose entry serves a request. A built-in type is the default context's for everybody, so all
 * tenants share one: a tenant that was never seen before depends no more on the registry than
 * others. */
static tg_str_t context_of(tg_str_t tenant, tg_str_t type)
{
    return tg_event_type_builtin(type) ? TG_STR("") : tenant;
}

tg_event_type_t *tg_registry_type_cached(tg_registry_client_t *client, tg_str_t tenant,
                                         tg_str_t type)
{
    tg_event_type_t *found = NULL;
    pthread_mutex_lock(&client->mutex);
    tg_registry_entry_t *entry =
        tg_registry_cache_get(client->cache, context_of(tenant, type), type, 0);
    if (entry != NULL && entry->type != NULL) {
        entry->used_ms = tg_time_mono_ms();
        found = tg_event_type_ref(entry->type);
    }
    pthread_mutex_unlock(&client->mutex);
    return found;
}

/* What is known without a fetch; TG_FULL: nothing, ask. The mutex is held. */
static tg_status_t known(tg_registry_entry_t *entry, uint64_t now)
{
    if (entry->type != NULL)
        return TG_OK;
    if (!entry->in_flight && entry->failure != TG_OK && now < entry->retry_at_ms)
        return entry->failure;
    return TG_FULL;
}

/* Answers `waiter` from what is known, or hangs it on the entry's fetch. The mutex is held. */
static void ask(tg_registry_client_t *client, tg_registry_entry_t *entry, struct waiter *waiter)
{
    uint64_t now = tg_time_mono_ms();
    entry->used_ms = now;
    tg_status_t status = known(entry, now);
    if (status == TG_FULL && !entry->in_flight && tg_registry_request_fetch(client, entry) != TG_OK)
        status = TG_UNAVAILABLE;
    if (status != TG_FULL) {
        tg_registry_deliver(client, waiter, status, entry->type);
        return;
    }
    waiter->next = entry->waiters;
    entry->waiters = waiter;
}

tg_status_t tg_registry_type_fetch(tg_registry_client_t *client, tg_str_t tenant, tg_str_t type,
                                   tg_loop_t *loop, tg_registry_done_fn done, void *arg)
{
    assert(loop != NULL);
    assert(done != NULL);
    struct waiter *waiter = calloc(1, sizeof(*waiter));
    if (waiter == NULL)
        return TG_NOMEM;
    waiter->loop = loop;
    waiter->done = done;
    waiter->arg = arg;
    bool named = tg_event_tenant_ok(tenant) && tg_event_type_name_ok(type);

    pthread_mutex_lock(&client->mutex);
    tg_registry_entry_t *entry =
        !named ? NULL
               : tg_registry_cache_make(client->cache, context_of(tenant, type), type, 0,
                                        tg_time_mono_ms());
    if (entry != NULL)
        ask(client, entry, waiter);
    else
        tg_registry_deliver(client, waiter, named ? TG_UNAVAILABLE : TG_NOT_FOUND, NULL);
    pthread_mutex_unlock(&client->mutex);
    return TG_OK;
}

static struct timespec monotonic_at(uint64_t ms)
{
    return (struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
}

/* One look; TG_FULL: wait for a change and look again. The mutex is held. */
static tg_status_t look(tg_registry_client_t *client, tg_str_t tenant, tg_str_t type,
                        uint32_t schema_id, tg_event_type_t **out_type)
{
    uint64_t now = tg_time_mono_ms();
    tg_registry_entry_t *entry =
        tg_registry_cache_make(client->cache, context_of(tenant, type), type, schema_id, now);
    if (entry == NULL)
        return TG_UNAVAILABLE;
    entry->used_ms = now;
    tg_status_t status = known(entry, now);
    if (status == TG_OK)
        *out_type = tg_event_type_ref(entry->type);
    if (status == TG_FULL && !entry->in_flight && tg_registry_request_fetch(client, entry) != TG_OK)
        return TG_UNAVAILABLE;
    return status;
}

tg_status_t tg_registry_schema_wait(tg_registry_client_t *client, tg_str_t tenant, tg_str_t type,
                                    uint32_t schema_id, uint64_t timeout_ms,
                                    tg_event_type_t **out_type)
{
    assert(out_type != NULL);
    if (schema_id == 0 || !tg_event_tenant_ok(tenant) || !tg_event_type_name_ok(type))
        return TG_NOT_FOUND;
    struct timespec until = monotonic_at(tg_time_mono_ms() + timeout_ms);

    pthread_mutex_lock(&client->mutex);
    tg_status_t status = look(client, tenant, type, schema_id, out_type);
    while (status == TG_FULL) {
        if (pthread_cond_timedwait(&client->changed, &client->mutex, &until) != 0)
            break;
        status = look(client, tenant, type, schema_id, out_type);
    }
    pthread_mutex_unlock(&client->mutex);
    return status == TG_FULL ? TG_TIMEOUT : status;
}

/* --- announcements --- */

/* Fetched at once where it is known. The mutex is held. */
static void renew(tg_registry_client_t *client, tg_registry_entry_t *entry)
{
    tg_registry_outdate(entry);
    if (entry->type != NULL && !entry->in_flight)
        (void)tg_registry_request_fetch(client, entry); /* else by the tick */
}

void tg_registry_client_announce(tg_registry_client_t *client, tg_str_t tenant, tg_str_t type)
{
    pthread_mutex_lock(&client->mutex);
    tg_registry_entry_t *entry = tg_registry_cache_get(client->cache, tenant, type, 0);
    if (tenant.len > 0 && entry != NULL)
        renew(client, entry);
    size_t cursor = 0;
    while (tenant.len == 0 && (entry = tg_registry_cache_next(client->cache, &cursor)) != NULL) {
        if (entry->id == 0 && tg_str_eq(tg_str_from(entry->type_name), type))
            renew(client, entry);
    }
    pthread_mutex_unlock(&client->mutex);
}

void tg_registry_client_announce_all(tg_registry_client_t *client)
{
    uint64_t now = tg_time_mono_ms();
    pthread_mutex_lock(&client->mutex);
    size_t cursor = 0;
    tg_registry_entry_t *entry = tg_registry_cache_next(client->cache, &cursor);
    for (; entry != NULL; entry = tg_registry_cache_next(client->cache, &cursor)) {
        if (entry->id != 0)
            continue;
        tg_registry_outdate(entry);
        entry->used_ms = now; /* so that the tick takes it, some at a time */
    }
    pthread_mutex_unlock(&client->mutex);
}
