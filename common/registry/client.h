/* Client of the schema registry with a cache that keeps serving while the registry is away.
 *
 * Schemas by id are immutable: cached for good, within TG_REGISTRY_CACHE_MAX entries of all kinds.
 * The newest version of a type is refreshed in the background every `refresh_ms` while it is in
 * use, so a new version is usable at once and a dead registry changes nothing for known types.
 * Unknown ids and types are remembered for 1 s, so that garbage cannot become load on the registry.
 *
 * It runs on a thread and loop of its own; callers on any thread.
 * Types come back as owned references (tg_event_type_unref). */
#ifndef TG_REGISTRY_CLIENT_H
#define TG_REGISTRY_CLIENT_H

#include "common/event/event.h"
#include "common/loop/loop.h"
#include "common/registry/site.h"

typedef struct tg_registry_client tg_registry_client_t;

#define TG_REGISTRY_CACHE_MAX 10000

typedef struct tg_registry_client_config {
    const tg_registry_site_config_t *site; /* copied */
    uint64_t timeout_ms;                   /* of one fetch */
    uint64_t refresh_ms;                   /* 1,000 */
} tg_registry_client_config_t;

/* Starts the thread; fails only on bad configuration or resources, not when the registry is away.
 */
TG_NODISCARD tg_status_t tg_registry_client_open(const tg_registry_client_config_t *config,
                                                 tg_registry_client_t **out_client,
                                                 tg_error_t *error);
/* Every fetch must have been answered before the loop it posts to goes away; fetches that are still
 * open are answered TG_UNAVAILABLE here. NULL is allowed. */
void tg_registry_client_close(tg_registry_client_t *client);

/* Cache only, for the hot path: the newest version of a type as `tenant` sees it (own context, then
 * the default one), or NULL. */
tg_event_type_t *tg_registry_type_cached(tg_registry_client_t *client, tg_str_t tenant,
                                         tg_str_t type);

/* Fetches; `done` is posted to `loop` within the config's timeout, never called before returning.
 * status: TG_OK (`type` is the callback's), TG_NOT_FOUND (also for a schema without roles),
 * TG_UNAVAILABLE, TG_INVALID (the schema does not compile; logged). On TG_NOMEM `done` does not
 * come. */
typedef void (*tg_registry_done_fn)(void *arg, tg_status_t status, tg_event_type_t *type);
TG_NODISCARD tg_status_t tg_registry_type_fetch(tg_registry_client_t *client, tg_str_t tenant,
                                                tg_str_t type, tg_loop_t *loop,
                                                tg_registry_done_fn done, void *arg);

/* The newest version of the tenant's type may be another one now (tenant "": of the default
 * context's type, whoever sees it): it is asked for at once, and until then what is known serves.
 * A type that was unknown is asked for by whoever wants it next. Any thread. */
void tg_registry_client_announce(tg_registry_client_t *client, tg_str_t tenant, tg_str_t type);

/* The same of all types, when nobody knows which ones. */
void tg_registry_client_announce_all(tg_registry_client_t *client);

/* What the cache holds: types and ids, also those known not to exist. */
size_t tg_registry_client_cached(tg_registry_client_t *client);

/* By id, for consumers: waits at most timeout_ms (TG_TIMEOUT). `type` is the name from the record's
 * header. An id is looked up as `tenant` sees it. Status as above. */
TG_NODISCARD tg_status_t tg_registry_schema_wait(tg_registry_client_t *client, tg_str_t tenant,
                                                 tg_str_t type, uint32_t schema_id,
                                                 uint64_t timeout_ms, tg_event_type_t **out_type);

/* Whether the registry answered lately (for /ready); text for the detail. */
bool tg_registry_client_ready(tg_registry_client_t *client, tg_buf_t *out_detail);

#endif
