/* Who may come in: tenants, plans and API keys as one immutable snapshot of the control tables.
 *
 * The configuration watch loads a snapshot whenever the tables' version moves and swaps it in, so
 * a request looks only into memory and a revocation is in force within one poll (300 ms).
 * Rate-limit buckets outlive snapshots: they hang on a table of their own, so that a reload
 * forgives nobody.
 *
 * Limits: 100,000 tenants, 1,000,000 keys; beyond that a snapshot is refused and the old one stays.
 * Threads: a snapshot may be read by any; loading belongs to the watch's thread. */
#ifndef TG_GATEWAY_DIRECTORY_H
#define TG_GATEWAY_DIRECTORY_H

#include <libpq-fe.h>

#include "common/base/hash.h"
#include "common/base/table.h"
#include "gateway/bucket.h"
#include "gateway/plan.h"

#define TG_DIRECTORY_TENANTS_MAX 100000
#define TG_DIRECTORY_KEYS_MAX    1000000

/* What a key may do; a route needs exactly one of them. */
typedef enum tg_scope {
    TG_SCOPE_INGEST = 1,
    TG_SCOPE_READ = 2,
    TG_SCOPE_MANAGE = 4,
    TG_SCOPE_REGISTRY = 8,
    TG_SCOPE_ADMIN = 16,
} tg_scope_t;

/* Word for an error text; "" for several bits. */
const char *tg_scope_name(tg_scope_t scope);

typedef struct tg_tenant {
    char id[64];
    uint32_t number; /* dense, the same in all snapshots; a deleted one's is given again */
    bool disabled;
    const tg_plan_t *plan;   /* with the tenant's own limits; never NULL */
    tg_bucket_rate_t rate;   /* requests; the same for each class */
    int64_t rate_per_second; /* as the plan says it, for the RateLimit-Policy header */
    tg_bucket_t *buckets;    /* [TG_CLASS_COUNT]; owned by the bucket table */
} tg_tenant_t;

typedef struct tg_api_key {
    const tg_tenant_t *tenant;
    uint8_t sha256[TG_SHA256_LEN]; /* of the whole key text */
    unsigned scopes;
    int64_t expires_at; /* µs; INT64_MAX: never */
} tg_api_key_t;

typedef struct tg_directory tg_directory_t;
typedef struct tg_bucket_table tg_bucket_table_t; /* outlives all snapshots */

tg_bucket_table_t *tg_bucket_table_create(void); /* NULL when out of memory */
void tg_bucket_table_destroy(tg_bucket_table_t *table);

/* tg_config_watch callbacks; `arg` is the bucket table. Revoked keys and those of unknown tenants
 * are left out. */
void *tg_directory_load(PGconn *connection, void *arg, tg_error_t *error);
void tg_directory_release(void *snapshot, void *arg);

/* The key with this id, or NULL. Borrowed from the snapshot. */
const tg_api_key_t *tg_directory_find(const tg_directory_t *directory, tg_str_t key_id);

size_t tg_directory_tenants(const tg_directory_t *directory);
size_t tg_directory_keys(const tg_directory_t *directory);

#endif
