/* The event types of one request: each looked up once, fetched from the registry where the cache
 * does not have it, and kept until the end, so that all its events are read by one version.
 *
 * Limits: TG_TYPES_MAX different types. Threads: the loop's. */
#ifndef TG_INGESTION_BATCH_TYPES_H
#define TG_INGESTION_BATCH_TYPES_H

#include "ingestion/ingestion.h"

#define TG_TYPES_MAX 64

typedef struct tg_types tg_types_t;

/* Returns an owned set for the tenant's (borrowed) types, or NULL when out of memory. `on_fetched`
 * is called after each fetch. */
tg_types_t *tg_types_create(tg_ingestion_thread_t *thread, tg_str_t tenant,
                            void (*on_fetched)(void *arg), void *arg);
void tg_types_destroy(tg_types_t *types); /* no fetch may be under way; NULL is allowed */

/* TG_OK with the type and its number within the request; TG_INVALID it is no name; TG_NOT_FOUND;
 * TG_TOO_LARGE it would be one too many; TG_UNAVAILABLE the registry cannot be asked; TG_FULL it is
 * being fetched: ask again after on_fetched. */
TG_NODISCARD tg_status_t tg_types_find(tg_types_t *types, tg_str_t name,
                                       const tg_event_type_t **out_type, uint32_t *out_number);

#endif
