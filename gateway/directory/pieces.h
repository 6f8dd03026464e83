/* What snapshots of the directory are made of: counted pieces that several snapshots share.
 *
 * A snapshot is an array of key shards (by hash of the key's id) and one of tenant chunks (by
 * number). A piece that more than one snapshot holds is never changed: who wants to change it takes
 * a copy first (tg_directory_own_*), which costs a few kilobytes whatever the directory's size.
 *
 * Threads: counts are atomic, so that any thread may let a snapshot go; changing belongs to the
 * loader's. */
#ifndef TG_GATEWAY_DIRECTORY_PIECES_H
#define TG_GATEWAY_DIRECTORY_PIECES_H

#include <stdatomic.h>

#include "gateway/directory.h"

#define TG_CHUNK_TENANTS 64
#define TG_CHUNKS        ((TG_DIRECTORY_TENANTS_MAX + TG_CHUNK_TENANTS - 1) / TG_CHUNK_TENANTS)
#define TG_SHARD_BITS    12
#define TG_SHARDS        (1 << TG_SHARD_BITS)

/* A plan as such, or one tenant's with its own limits. */
typedef struct tg_plan_box {
    atomic_uint refs;
    tg_plan_t plan;
    tg_plan_settings_t settings; /* what the plan, or the tenant, sets itself */
} tg_plan_box_t;

typedef struct tg_tenant_slot {
    tg_tenant_t tenant; /* id "": free */
    tg_plan_box_t *box; /* one reference; tenant.plan points into it */
    uint32_t plan;      /* number of the plan */
    bool own;           /* the box is this tenant's alone */
} tg_tenant_slot_t;

typedef struct tg_tenant_chunk {
    atomic_uint refs;
    tg_tenant_slot_t slots[TG_CHUNK_TENANTS];
} tg_tenant_chunk_t;

/* Keys sorted by hash; the hashes stand behind them. */
typedef struct tg_key_shard {
    atomic_uint refs;
    uint32_t count, capacity;
    tg_api_key_t keys[];
} tg_key_shard_t;

struct tg_directory {
    atomic_uint refs;
    tg_directory_stats_t stats;
    tg_plan_box_t *plans[TG_DIRECTORY_PLANS_MAX]; /* by number; NULL: free */
    tg_tenant_chunk_t *chunks[TG_CHUNKS];         /* NULL: empty */
    tg_key_shard_t *shards[TG_SHARDS];
};

/* An empty snapshot, or one that shares everything with `from`. NULL when out of memory. */
tg_directory_t *tg_directory_copy(const tg_directory_t *from);
void tg_directory_unref(tg_directory_t *directory); /* NULL is allowed */

tg_plan_box_t *tg_plan_box_create(tg_str_t name, const tg_plan_settings_t *plan,
                                  const tg_plan_settings_t *tenant);
tg_plan_box_t *tg_plan_box_ref(tg_plan_box_t *box);
void tg_plan_box_unref(tg_plan_box_t *box); /* NULL is allowed */

/* The tenant's place, for reading; NULL when free. */
const tg_tenant_slot_t *tg_directory_slot(const tg_directory_t *directory, uint32_t number);
/* The place to be written in this snapshot alone; NULL when out of memory. */
tg_tenant_slot_t *tg_directory_own_slot(tg_directory_t *directory, uint32_t number);

/* Puts the key in place of one of the same id. */
TG_NODISCARD tg_status_t tg_directory_put_key(tg_directory_t *directory, const tg_api_key_t *key);
/* Takes one out, if it is there. */
TG_NODISCARD tg_status_t tg_directory_drop_key(tg_directory_t *directory, tg_str_t id);
/* Takes out all keys of tenants for which `gone[number]`. */
TG_NODISCARD tg_status_t tg_directory_drop_keys_of(tg_directory_t *directory, const bool *gone);

/* Adds up stats.bytes and the counts. */
void tg_directory_measure(tg_directory_t *directory);

#endif
