/* References: the named types that a schema takes from versions of other subjects.
 *
 * A reference without a context is looked for where the schema is registered, then (a tenant's) in
 * the default context. It is resolved once, at registration: "latest" becomes a number, and the
 * schema it stands for is remembered by id, so that what a schema means never changes.
 *
 * To read a schema, everything that it needs is parsed first, in the order that
 * control.schema_closure gives.
 *
 * Limits: TG_REFERENCES_MAX of one schema; TG_CLOSURE_MAX schemas of TG_CLOSURE_BYTES_MAX together
 * are read for one.
 * Threads: values of one thread. */
#ifndef TG_REGISTRY_REFERENCES_H
#define TG_REGISTRY_REFERENCES_H

#include "common/avro/schema.h"
#include "common/base/arena.h"
#include "common/json/json.h"
#include "common/pg/pool.h"
#include "registry/context.h"

#define TG_REFERENCES_MAX    64
#define TG_CLOSURE_MAX       256
#define TG_CLOSURE_BYTES_MAX 2097152 /* as digits stand in the SQL */

typedef struct tg_reference {
    tg_str_t name;        /* the full name of the type, by which the schema means it */
    tg_str_t subject;     /* as it was given */
    tg_subject_name_t to; /* where that is looked for; where it is, once resolved */
    tg_str_t behind;      /* where next */
    uint32_t version;     /* 0: the newest; resolved: the number */
    uint32_t id;          /* 0 until resolved */
} tg_reference_t;

typedef struct tg_references {
    size_t count;
    tg_reference_t *items; /* sorted by name; in the arena */
} tg_references_t;

/* Reads [{"name", "subject", "version"}, …] at nodes[index]; null is none. TG_INVALID and TG_DENIED
 * with the reason. */
TG_NODISCARD tg_status_t tg_references_read(const tg_json_node_t *nodes, size_t index,
                                            const tg_viewer_t *viewer, tg_str_t within,
                                            tg_arena_t *arena, tg_references_t *out,
                                            tg_error_t *error);

/* The two statements that resolve them and read all that they need; texts are in the arena. */
#define TG_REFERENCES_STMTS 2
TG_NODISCARD tg_status_t tg_references_stmts(const tg_references_t *references, tg_arena_t *arena,
                                             tg_pg_stmt_t out_stmts[TG_REFERENCES_STMTS]);

/* The answer to the first: fills to, version and id. TG_NOT_FOUND names the first that is missing.
 */
TG_NODISCARD tg_status_t tg_references_resolve(tg_references_t *references, const PGresult *rows,
                                               tg_arena_t *arena, tg_error_t *error);

/* The resolved ones as control.register_schema takes them; "[]" for none. */
TG_NODISCARD tg_status_t tg_references_json(const tg_references_t *references, tg_arena_t *arena,
                                            tg_str_t *out_json);

/* --- reading schemas with what they need --- */

/* Rows (id, text) of the schemas and all that they refer to, in dependency order; `ids` is
 * "{1,2,3}". The text is NULL when all together are too long. */
tg_pg_stmt_t tg_closure_stmt(tg_str_t ids);

typedef struct tg_closure {
    size_t count;
    uint32_t ids[TG_CLOSURE_MAX];
    tg_avro_schema_t *schemas[TG_CLOSURE_MAX]; /* owned */
} tg_closure_t;

/* Parses those rows (or the answer to the second of tg_references_stmts). `out` is to be disposed
 * whatever comes of it. TG_TOO_LARGE, TG_INVALID (a stored schema that no longer reads), TG_NOMEM.
 */
TG_NODISCARD tg_status_t tg_closure_parse(const PGresult *rows, tg_closure_t *out,
                                          tg_error_t *error);
void tg_closure_dispose(tg_closure_t *closure);

/* Borrows the schema of that id; NULL if it is not there. */
const tg_avro_schema_t *tg_closure_find(const tg_closure_t *closure, uint32_t id);

#endif
