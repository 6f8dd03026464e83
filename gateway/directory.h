/* Who may come in: tenants with their plans, and API keys, as one immutable snapshot of the control
 * tables.
 *
 * The configuration watch asks the loader for a new snapshot whenever the tables' version moves, so
 * a request looks only into memory and a revocation is in force within one poll (300 ms). The
 * loader reads only the rows that changed since its last snapshot, and the new snapshot shares with
 * the old one all that did not: a change among 100,000 tenants costs what a change among ten does.
 * After a new connection everything is read, because the server may be another one.
 *
 * Each tenant has a small number, the same in all snapshots, by which other modules keep what must
 * outlive a snapshot (rate limits: a reload forgives nobody).
 *
 * Limits: 100,000 tenants, 1,000,000 keys, 1,000 plans; beyond that a snapshot is refused and the
 * old one stays.
 *
 * Threads: a snapshot may be read by any; loading belongs to the watch's thread. */
#ifndef TG_GATEWAY_DIRECTORY_H
#define TG_GATEWAY_DIRECTORY_H

#include <libpq-fe.h>

#include "common/auth/key.h"
#include "common/base/hash.h"
#include "gateway/plan.h"

#define TG_DIRECTORY_TENANTS_MAX 100000
#define TG_DIRECTORY_KEYS_MAX    1000000
#define TG_DIRECTORY_PLANS_MAX   1000

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
    uint32_t number; /* 0..TG_DIRECTORY_TENANTS_MAX-1; a deleted one's is given again */
    bool disabled;
    bool is_operator;      /* its keys may have the scope admin */
    const tg_plan_t *plan; /* with the tenant's own limits; never NULL */
} tg_tenant_t;

typedef struct tg_api_key {
    char id[TG_KEY_ID_LEN + 1];
    uint8_t scopes;
    uint32_t tenant;               /* number */
    int64_t expires_at;            /* µs; INT64_MAX: never */
    uint8_t sha256[TG_SHA256_LEN]; /* of the whole key text */
} tg_api_key_t;

typedef struct tg_directory tg_directory_t;
typedef struct tg_directory_loader tg_directory_loader_t; /* outlives all snapshots */

tg_directory_loader_t *tg_directory_loader_create(void); /* NULL when out of memory */
void tg_directory_loader_destroy(tg_directory_loader_t *loader);

/* tg_config_watch callbacks; `arg` is the loader. Loading runs inside the watch's transaction.
 * Revoked keys and those of unknown tenants are left out. */
void *tg_directory_load(PGconn *connection, void *arg, tg_error_t *error);
void tg_directory_release(void *snapshot, void *arg);

/* The key with this id and its tenant, or NULL. Both are borrowed from the snapshot. */
const tg_api_key_t *tg_directory_find(const tg_directory_t *directory, tg_str_t key_id,
                                      const tg_tenant_t **out_tenant);

typedef struct tg_directory_stats {
    size_t tenants, keys, plans;
    size_t bytes;     /* of memory that this snapshot holds, shared or not, without the loader's */
    uint64_t load_us; /* what reading it took */
    bool whole;       /* everything was read, not the changes alone */
} tg_directory_stats_t;
tg_directory_stats_t tg_directory_stats(const tg_directory_t *directory);

#endif
