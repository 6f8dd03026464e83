/* Whether a schema may be the next version of a subject: asks the database for the subject's
 * configuration and the earlier versions that its level looks at, and compares.
 *
 * The same is asked by the compatibility routes and by each registration. Beside the level there is
 * a rule that no level lifts: a new version of an event type keeps the roles of the newest version
 * that was not deleted permanently (registry/roles.h).
 *
 * One round trip where the level looks at the newest version only; at most TG_CHECK_PAGE versions
 * per further one. Schemas that were compared before come from a cache.
 *
 * Limits: the deadline bounds the versions; a comparison that takes long gives way to other
 * requests after each TG_CHECK_SLICE_MS.
 * Threads: those of the pool. */
#ifndef TG_REGISTRY_COMPATIBILITY_CHECK_H
#define TG_REGISTRY_COMPATIBILITY_CHECK_H

#include "common/pg/pool.h"
#include "registry/compatibility/cache.h"
#include "registry/compatibility/findings.h"

#define TG_CHECK_PAGE      16          /* versions that are read at a time, */
#define TG_CHECK_PAGE_TEXT (256 << 10) /* as long as their texts are not longer than this */
#define TG_CHECK_SLICE_MS  10

typedef struct tg_check tg_check_t;

typedef struct tg_check_result {
    tg_scope_t scope;
    bool subject_known; /* has a live version */
    bool version_known; /* `version` of the question is a live one */
    int newest_version; /* the newest live one, 0 if none */
    tg_findings_t findings;
} tg_check_result_t;

/* `result` is borrowed until return and meaningless unless TG_OK. With another status `answer` has
 * the server's words where it was asked (never NULL). */
typedef void (*tg_check_done_fn)(void *arg, tg_status_t status, const tg_pg_answer_t *answer,
                                 const tg_check_result_t *result);

/* Texts, `root` and `scope` are borrowed until `done`. */
typedef struct tg_check_ask {
    tg_loop_t *loop;
    tg_pg_pool_t *pool;
    tg_parsed_cache_t *cache;
    tg_arena_t *arena;
    uint64_t deadline_at_ms;
    tg_str_t context, subject;  /* the subject behind an alias */
    const tg_scope_t *scope;    /* NULL: to be read */
    const tg_avro_type_t *root; /* the new schema */
    tg_str_t metadata;          /* its own, as merged; ptr NULL: none */
    uint32_t version;           /* compare with this one only; 0: as the level says */
    bool newest_only;           /* whatever the level says */
    bool keeps_roles;           /* the subject is an event type's */
    tg_check_done_fn done;
    void *arg;
} tg_check_ask_t;

/* NULL only when out of memory; all else comes through `done`, never before returning. The check is
 * dead once `done` is called. It lives in the ask's arena. */
tg_check_t *tg_check_start(const tg_check_ask_t *ask);

/* After this `done` cannot come. */
void tg_check_cancel(tg_check_t *check);

#endif
