/* The registry's statements: each function is one call of the pool or one statement for a caller's
 * own call, each reader understands one answer.
 *
 * A question names the context of its asker and the one behind it: a subject is seen in the first
 * of the two that has it ("" behind a tenant's own; for an operator both are the same). An alias is
 * followed wherever a subject is named.
 *
 * What changes state is one function in the database, which locks the subject first: race-free
 * between processes, and whole or not at all.
 *
 * Threads: those of the pool. */
#ifndef TG_REGISTRY_STORE_H
#define TG_REGISTRY_STORE_H

#include "common/pg/pool.h"

#define TG_STORE_ROWS_MAX    20000 /* of one answer, whatever limit a client names */
#define TG_STORE_SCHEMAS_MAX 1000  /* of one GET /schemas */

/* Where and how an answer is wanted; the texts are copied by the call. */
typedef struct tg_store_ask {
    tg_pg_pool_t *pool;
    tg_str_t context, behind;
    uint64_t deadline_at_ms;
    tg_pg_done_fn done;
    void *arg;
} tg_store_ask_t;

/* What a list is limited to. */
typedef struct tg_store_page {
    bool deleted;      /* deleted ones too */
    bool deleted_only; /* or only those */
    uint64_t offset, limit;
} tg_store_page_t;

/* --- one version of a subject --- */

typedef struct tg_store_row {
    bool subject_known; /* in what was looked at: deleted ones count where they were asked for */
    bool found;
    tg_str_t context, subject; /* where it is: behind the alias */
    tg_str_t id, version;      /* decimal digits */
    tg_str_t schema;
    tg_str_t guid;
    tg_str_t metadata;   /* JSON; ptr NULL: none */
    tg_str_t references; /* JSON; ptr NULL: none */
    bool deleted;
} tg_store_row_t;

/* Which text is wanted, and whether of a deleted version too. */
typedef struct tg_store_form {
    bool deleted;
    bool original; /* as it was registered, not as it is printed */
} tg_store_form_t;

/* Which schema is looked for: by identity (64 hex digits); or, where `printed` is not NULL, with
 * that text and any metadata. */
typedef struct tg_store_wanted {
    tg_str_t identity;
    tg_str_t printed;
    bool has_references;
} tg_store_wanted_t;

/* By what it is, by number (0: the newest live one), by a JSON object of metadata properties that
 * it must have (the newest). */
tg_pg_call_t *tg_store_find(const tg_store_ask_t *ask, tg_str_t subject,
                            const tg_store_wanted_t *wanted, tg_store_form_t form);
tg_pg_stmt_t tg_store_find_stmt(const tg_store_ask_t *ask, tg_str_t subject,
                                const tg_store_wanted_t *wanted, tg_store_form_t form);
tg_pg_call_t *tg_store_version(const tg_store_ask_t *ask, tg_str_t subject, uint32_t version,
                               tg_store_form_t form);
tg_pg_call_t *tg_store_with_metadata(const tg_store_ask_t *ask, tg_str_t subject, tg_str_t wanted,
                                     tg_store_form_t form);
tg_store_row_t tg_store_read_row(const PGresult *result, int row);

/* All versions: rows of tg_store_read_row. `prefix` of the subject's name; context ptr NULL: all
 * contexts. */
tg_pg_call_t *tg_store_schemas(const tg_store_ask_t *ask, tg_str_t prefix, bool latest_only,
                               const tg_store_page_t *page);

/* --- lists; the first column says whether what was asked about is known (no row or "f": not) ---
 */

/* known, version: negative where deleted, if `negative`. */
tg_pg_call_t *tg_store_versions(const tg_store_ask_t *ask, tg_str_t subject, bool negative,
                                const tg_store_page_t *page);

/* true, context, subject. `flat`: a name that is in both contexts comes once. */
tg_pg_call_t *tg_store_subjects(const tg_store_ask_t *ask, tg_str_t prefix, bool flat,
                                const tg_store_page_t *page);

/* known, id: the schemas with a live version that refer to the version. `everywhere`: from any
 * context, else from the asker's own. */
tg_pg_call_t *tg_store_referenced_by(const tg_store_ask_t *ask, tg_str_t subject, uint32_t version,
                                     bool everywhere);

/* true, context. */
tg_pg_call_t *tg_store_contexts(const tg_store_ask_t *ask);

/* --- schemas by id and guid --- */

/* A row of tg_store_read_row without subject and version, and a further column: the highest id that
 * the asker can see. `subject`, if not NULL, lets a schema of any context be found that has a
 * version of that name (for operators, as Confluent has it). */
tg_pg_call_t *tg_store_schema(const tg_store_ask_t *ask, uint32_t id, tg_str_t subject,
                              bool original);
#define TG_STORE_MAX_ID_COLUMN    10
#define TG_STORE_DELETIONS_COLUMN 11 /* tg_store_deletions as of then */

/* known, context, subject, version: where the schema is used; `subject` ptr NULL: any. */
tg_pg_call_t *tg_store_uses(const tg_store_ask_t *ask, uint32_t id, tg_str_t subject,
                            const tg_store_page_t *page);

/* As tg_store_schema; and true, context, id. `everywhere`: in all contexts. */
tg_pg_call_t *tg_store_guid(const tg_store_ask_t *ask, tg_str_t guid, bool everywhere,
                            bool original);
tg_pg_call_t *tg_store_guid_ids(const tg_store_ask_t *ask, tg_str_t guid, bool everywhere);

/* Whether the first column of a row says so. */
bool tg_store_known(const PGresult *result);

/* The number of permanent deletions ever: what is known of schemas by id is good while it stands.
 */
tg_pg_call_t *tg_store_deletions(const tg_store_ask_t *ask);
uint64_t tg_store_read_count(const PGresult *result, int row, int column);

/* --- changes --- */

/* What a registration must know of its subject. */
typedef struct tg_store_newest {
    tg_str_t subject;  /* behind its alias */
    tg_str_t metadata; /* of the newest live version; ptr NULL: none */
    bool has_room;     /* the context may have (one more) event type of this name */
} tg_store_newest_t;
/* `max_types` ptr NULL: the room does not matter. */
tg_pg_stmt_t tg_store_newest_stmt(tg_str_t context, tg_str_t subject, tg_str_t max_types);
tg_store_newest_t tg_store_read_newest(const PGresult *result);

typedef struct tg_store_new {
    tg_str_t subject; /* the real one, not an alias */
    tg_str_t identity, guid, schema, printed;
    tg_str_t metadata;    /* ptr NULL: none */
    tg_str_t references;  /* JSON of tg_references_t, resolved; "[]": none */
    bool checked;         /* against `newest` */
    uint32_t newest;      /* the newest live version then; 0: none */
    uint32_t id, version; /* of an import; 0: the next */
    uint64_t max_schemas; /* 0: no limit */
} tg_store_new_t;

typedef enum tg_store_outcome {
    TG_STORE_NEW,
    TG_STORE_EXISTING,
    TG_STORE_CHANGED,  /* the subject or a reference is not what was looked at: look again */
    TG_STORE_RESERVED, /* the subject belongs to the default context */
    TG_STORE_FULL,
    TG_STORE_ID_TAKEN,
    TG_STORE_VERSION_TAKEN,
    TG_STORE_USED_UP, /* the subject's version numbers */
    TG_STORE_DONE,
    TG_STORE_NO_SUBJECT,
    TG_STORE_NO_VERSION,
    TG_STORE_SOFT_DELETED, /* already */
    TG_STORE_NOT_DELETED,  /* first */
    TG_STORE_REFERENCED,
    TG_STORE_OUTCOMES,
} tg_store_outcome_t;

typedef struct tg_store_registered {
    tg_store_outcome_t outcome;
    tg_str_t id, version; /* TG_STORE_NEW and TG_STORE_EXISTING */
} tg_store_registered_t;

tg_pg_call_t *tg_store_register(const tg_store_ask_t *ask, const tg_store_new_t *what);
tg_store_registered_t tg_store_read_registered(const tg_pg_answer_t *answer);

typedef struct tg_store_deleted {
    tg_store_outcome_t outcome; /* TG_STORE_DONE and those below it, and TG_STORE_RESERVED */
    tg_str_t versions;          /* "1,2,3": the deleted ones, or the one that is in the way */
} tg_store_deleted_t;

/* `version` NULL: all of the subject. */
tg_pg_call_t *tg_store_delete(const tg_store_ask_t *ask, tg_str_t subject, const uint32_t *version,
                              bool permanent);
tg_store_deleted_t tg_store_read_deleted(const tg_pg_answer_t *answer);

/* --- schemas that were registered before they had a print --- */

#define TG_STORE_AGED_MAX TG_PG_STATEMENTS_MAX /* at a time */

/* Rows id, text; at most TG_STORE_AGED_MAX. */
tg_pg_call_t *tg_store_aged(const tg_store_ask_t *ask);

typedef struct tg_store_aged {
    tg_str_t id;
    tg_str_t printed;
    tg_str_t identity, guid; /* ptr NULL: the old identity stays */
} tg_store_aged_t;
tg_pg_call_t *tg_store_renew(const tg_store_ask_t *ask, const tg_store_aged_t *aged, size_t count);

#endif
