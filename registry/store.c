/* SQL of the registry. Each literal's address is the key of its prepared statement. */
#include "registry/store.h"

#include <stdio.h>

/* The context that a reader sees the subject in: "" sorts before any tenant. */
#define SEEN                                                                                       \
    "WITH seen AS (SELECT max(context) AS context FROM control.subject_versions"                   \
    " WHERE context IN ($1, '') AND subject = $2 AND NOT deleted) "

static const char find_sql[] =
    SEEN "SELECT seen.context IS NOT NULL, f.id, f.version, f.schema FROM seen LEFT JOIN LATERAL"
         " (SELECT s.id, v.version, s.schema FROM control.schemas s"
         " JOIN control.subject_versions v ON v.context = s.context AND v.schema_id = s.id"
         " WHERE s.context = seen.context AND s.fingerprint = decode($3, 'hex')"
         " AND v.subject = $2 AND NOT v.deleted ORDER BY v.version DESC LIMIT 1) f ON true";

static const char version_sql[] =
    SEEN "SELECT seen.context IS NOT NULL, f.id, f.version, f.schema FROM seen LEFT JOIN LATERAL"
         " (SELECT s.id, v.version, s.schema FROM control.subject_versions v"
         " JOIN control.schemas s ON s.context = v.context AND s.id = v.schema_id"
         " WHERE v.context = seen.context AND v.subject = $2 AND NOT v.deleted"
         " AND ($3::integer = 0 OR v.version = $3::integer)"
         " ORDER BY v.version DESC LIMIT 1) f ON true";

static const char versions_sql[] =
    SEEN "SELECT v.version FROM control.subject_versions v JOIN seen ON v.context = seen.context"
         " WHERE v.subject = $2 AND NOT v.deleted ORDER BY v.version";

static const char subjects_sql[] = "SELECT DISTINCT subject FROM control.subject_versions"
                                   " WHERE context IN ($1, '') AND NOT deleted ORDER BY subject";

static const char schema_sql[] =
    "SELECT schema FROM control.schemas WHERE context IN ($1, '') AND id = $2::integer";

static const char lock_sql[] = "SELECT pg_advisory_xact_lock(hashtextextended($1 || '/' || $2, 0))";

/* $1 context, $2 subject: another's subject is never taken over, except by the default context. */
#define FREE                                                                                       \
    "($1 = '' OR NOT EXISTS (SELECT FROM control.subject_versions r"                               \
    " WHERE r.context = '' AND r.subject = $2 AND NOT r.deleted))"

/* NOT EXISTS keeps ids from being burnt; DO NOTHING settles the race of two subjects for one
 * schema. */
static const char add_schema_sql[] =
    "INSERT INTO control.schemas (context, schema, fingerprint)"
    " SELECT $1, $3, decode($4, 'hex') WHERE " FREE " AND NOT EXISTS (SELECT FROM control.schemas s"
    " WHERE s.context = $1 AND s.fingerprint = decode($4, 'hex'))"
    " AND ($1 = '' OR (SELECT count(*) FROM control.schemas c WHERE c.context = $1) < $5::bigint)"
    " ON CONFLICT DO NOTHING";

static const char add_version_sql[] =
    "INSERT INTO control.subject_versions (context, subject, version, schema_id)"
    " SELECT $1, $2, 1 + coalesce((SELECT max(m.version) FROM control.subject_versions m"
    " WHERE m.context = $1 AND m.subject = $2), 0), s.id FROM control.schemas s"
    " WHERE s.context = $1 AND s.fingerprint = decode($3, 'hex') AND " FREE
    " AND NOT EXISTS (SELECT FROM control.subject_versions v WHERE v.context = $1"
    " AND v.subject = $2 AND v.schema_id = s.id AND NOT v.deleted)";

static const char registered_sql[] =
    "SELECT NOT " FREE ", f.id, f.version FROM (VALUES (1)) one LEFT JOIN LATERAL"
    " (SELECT s.id, v.version FROM control.schemas s"
    " JOIN control.subject_versions v ON v.context = s.context AND v.schema_id = s.id"
    " WHERE s.context = $1 AND s.fingerprint = decode($3, 'hex') AND v.subject = $2"
    " AND NOT v.deleted ORDER BY v.version DESC LIMIT 1) f ON true";

static tg_pg_call_t *call(const tg_store_ask_t *ask, const tg_pg_stmt_t *stmts, size_t count)
{
    assert(ask->pool != NULL);
    assert(ask->context.ptr != NULL);
    return tg_pg_call(ask->pool, NULL, stmts, count, ask->deadline_at_ms, ask->done, ask->arg);
}

static tg_str_t number(uint64_t value, char out[24])
{
    int len = snprintf(out, 24, "%llu", (unsigned long long)value);
    assert(len > 0);
    return (tg_str_t){out, (size_t)len};
}

tg_pg_call_t *tg_store_find(const tg_store_ask_t *ask, tg_str_t subject, tg_str_t fingerprint)
{
    assert(fingerprint.len == 64);
    tg_pg_stmt_t stmt = {find_sql, 3, {ask->context, subject, fingerprint}};
    return call(ask, &stmt, 1);
}

tg_pg_call_t *tg_store_register(const tg_store_ask_t *ask, tg_str_t subject, tg_str_t schema,
                                tg_str_t fingerprint, uint64_t max_schemas)
{
    assert(subject.len > 0);
    assert(fingerprint.len == 64);
    char text[24];
    tg_str_t limit = number(max_schemas, text);
    tg_pg_stmt_t stmts[] = {
        {lock_sql, 2, {ask->context, subject}},
        {add_schema_sql, 5, {ask->context, subject, schema, fingerprint, limit}},
        {add_version_sql, 3, {ask->context, subject, fingerprint}},
        {registered_sql, 3, {ask->context, subject, fingerprint}},
    };
    return call(ask, stmts, TG_ARRAY_LEN(stmts));
}

tg_pg_call_t *tg_store_version(const tg_store_ask_t *ask, tg_str_t subject, uint32_t version)
{
    char text[24];
    tg_pg_stmt_t stmt = {version_sql, 3, {ask->context, subject, number(version, text)}};
    return call(ask, &stmt, 1);
}

tg_pg_call_t *tg_store_versions(const tg_store_ask_t *ask, tg_str_t subject)
{
    tg_pg_stmt_t stmt = {versions_sql, 2, {ask->context, subject}};
    return call(ask, &stmt, 1);
}

tg_pg_call_t *tg_store_subjects(const tg_store_ask_t *ask)
{
    tg_pg_stmt_t stmt = {subjects_sql, 1, {ask->context}};
    return call(ask, &stmt, 1);
}

tg_pg_call_t *tg_store_schema(const tg_store_ask_t *ask, uint32_t id)
{
    char text[24];
    tg_pg_stmt_t stmt = {schema_sql, 2, {ask->context, number(id, text)}};
    return call(ask, &stmt, 1);
}

static bool is_true(tg_str_t cell)
{
    return tg_str_eq(cell, TG_STR("t"));
}

tg_store_row_t tg_store_read_row(const tg_pg_answer_t *answer)
{
    assert(answer->count == 1);
    const PGresult *result = answer->results[0];
    assert(PQntuples(result) == 1); /* a left join of one row */
    tg_str_t id = tg_pg_text(result, 0, 1);
    return (tg_store_row_t){
        .subject_known = is_true(tg_pg_text(result, 0, 0)),
        .found = id.ptr != NULL,
        .id = id,
        .version = tg_pg_text(result, 0, 2),
        .schema = tg_pg_text(result, 0, 3),
    };
}

tg_store_registered_t tg_store_read_registered(const tg_pg_answer_t *answer)
{
    assert(answer->count == 4);
    const PGresult *result = answer->results[3];
    assert(PQntuples(result) == 1);
    bool reserved = is_true(tg_pg_text(result, 0, 0));
    tg_str_t id = tg_pg_text(result, 0, 1);
    return (tg_store_registered_t){
        .reserved = reserved && id.ptr == NULL,
        .full = !reserved && id.ptr == NULL,
        .id = id,
        .version = tg_pg_text(result, 0, 2),
    };
}
