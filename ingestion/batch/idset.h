/* The identities of one request's events: finds the earlier item that an item repeats.
 *
 * Why not tg_table: there a key is copied and hashed bytewise. Here an identity is 16 bytes of id
 * and a time that the items hold anyway, and a batch must spend some 20 ns on it.
 *
 * Limits: the number of items, given at the start. Threads: one at a time. */
#ifndef TG_INGESTION_BATCH_IDSET_H
#define TG_INGESTION_BATCH_IDSET_H

#include "common/base/uuid.h"

typedef struct tg_idset tg_idset_t;

typedef struct tg_identity {
    tg_uuid_t id;
    int64_t occurred_at;
    uint32_t type; /* number of the type within the request */
} tg_identity_t;

#define TG_IDSET_NONE UINT32_MAX

/* Returns an owned set for at most `max_items`, or NULL when out of memory. */
tg_idset_t *tg_idset_create(size_t max_items);
void tg_idset_destroy(tg_idset_t *set); /* NULL is allowed */

/* Adds `identity` under `index`, or gives the index of the same identity added before. */
uint32_t tg_idset_add(tg_idset_t *set, const tg_identity_t *identity, uint32_t index);

#endif
