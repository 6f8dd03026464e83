/* The registry's statements: each function is one call of the pool, each row reader understands its
 * answer.
 *
 * A context is a tenant's id, or "" for the default one. Reading sees the tenant's own context and,
 * where that has nothing, the default one; writing goes to the own context only.
 *
 * Registering is race-free: an advisory lock per context and subject makes registrations of one
 * subject stand in line, the lock dies with the transaction, and the unique constraints hold
 * whatever happens. Asking first (tg_store_find) keeps a repeated registration from writing at all.
 *
 * Threads: those of the pool. */
#ifndef TG_REGISTRY_STORE_H
#define TG_REGISTRY_STORE_H

#include "common/pg/pool.h"

/* Where and how an answer is wanted; the texts are copied by the call. */
typedef struct tg_store_ask {
    tg_pg_pool_t *pool;
    tg_str_t context;
    uint64_t deadline_at_ms;
    tg_pg_done_fn done;
    void *arg;
} tg_store_ask_t;

/* All give NULL only when out of memory. `fingerprint` is in hex digits. */
tg_pg_call_t *tg_store_find(const tg_store_ask_t *ask, tg_str_t subject, tg_str_t fingerprint);
tg_pg_call_t *tg_store_register(const tg_store_ask_t *ask, tg_str_t subject, tg_str_t schema,
                                tg_str_t fingerprint, uint64_t max_schemas);
tg_pg_call_t *tg_store_version(const tg_store_ask_t *ask, tg_str_t subject,
                               uint32_t version); /* 0: the latest */
tg_pg_call_t *tg_store_versions(const tg_store_ask_t *ask, tg_str_t subject);
tg_pg_call_t *tg_store_subjects(const tg_store_ask_t *ask);
tg_pg_call_t *tg_store_schema(const tg_store_ask_t *ask, uint32_t id);

/* The row of tg_store_find and tg_store_version. */
typedef struct tg_store_row {
    bool subject_known;
    bool found;
    tg_str_t id, version; /* decimal digits */
    tg_str_t schema;
} tg_store_row_t;
tg_store_row_t tg_store_read_row(const tg_pg_answer_t *answer);

/* The row of tg_store_register. */
typedef struct tg_store_registered {
    bool reserved;        /* the subject belongs to the default context */
    bool full;            /* the context has max_schemas */
    tg_str_t id, version; /* empty when refused */
} tg_store_registered_t;
tg_store_registered_t tg_store_read_registered(const tg_pg_answer_t *answer);

#endif
