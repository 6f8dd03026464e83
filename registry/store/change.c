/* Registering and deleting: calls of the functions that migration 0022 puts into the database. */
#include <stdio.h>

#include "registry/store/call.h"
#include "registry/store/store.h"

static const char register_sql[] =
    "SELECT r.outcome, r.id, r.version FROM control.register_schema($1, $2, decode($3, 'hex'),"
    " $4::uuid, $5, $6, $7, $8::jsonb, $9::integer, $10::integer, $11::integer, $12::bigint) r";

/* A tenant sees the default context's subjects, so it is told that they are not its own. */
static const char delete_sql[] =
    "SELECT CASE WHEN d.outcome = 'no_subject' AND $2 <> $1 AND EXISTS"
    " (SELECT FROM control.subject_versions v WHERE v.context = $2 AND v.subject = $3"
    " AND NOT v.deleted) THEN 'reserved' ELSE d.outcome END, array_to_string(d.versions, ',')"
    " FROM control.delete_versions($1, control.real_subject($1, $3), $4::integer, $5::boolean) d";

tg_str_t tg_store_number(uint64_t value, tg_store_digits_t *digits)
{
    int len = snprintf(digits->text, sizeof(digits->text), "%llu", (unsigned long long)value);
    assert(len > 0);
    return (tg_str_t){digits->text, (size_t)len};
}

tg_pg_call_t *tg_store_call(const tg_store_ask_t *ask, const tg_pg_stmt_t *stmts, size_t count)
{
    assert(ask->pool != NULL);
    assert(ask->behind.ptr != NULL); /* NULL would be SQL NULL, which is no context */
    return tg_pg_call(ask->pool, NULL, stmts, count, ask->deadline_at_ms, ask->done, ask->arg);
}

/* SQL NULL for "not said". */
static tg_str_t number_or_null(uint64_t value, bool said, tg_store_digits_t *digits)
{
    return said ? tg_store_number(value, digits) : (tg_str_t){NULL, 0};
}

tg_pg_call_t *tg_store_register(const tg_store_ask_t *ask, const tg_store_new_t *what)
{
    assert(what->subject.len > 0);
    assert(what->identity.len == 64);
    tg_store_digits_t newest, id, version, max;
    tg_pg_stmt_t stmt = {register_sql,
                         12,
                         {ask->context, what->subject, what->identity, what->guid, what->schema,
                          what->printed, what->metadata, what->references,
                          number_or_null(what->newest, what->checked, &newest),
                          number_or_null(what->id, what->id > 0, &id),
                          number_or_null(what->version, what->version > 0, &version),
                          number_or_null(what->max_schemas, what->max_schemas > 0, &max)}};
    return tg_store_call(ask, &stmt, 1);
}

tg_pg_call_t *tg_store_delete(const tg_store_ask_t *ask, tg_str_t subject, const uint32_t *version,
                              bool permanent)
{
    tg_store_digits_t digits;
    tg_pg_stmt_t stmt = {delete_sql,
                         5,
                         {ask->context, ask->behind, subject,
                          number_or_null(version == NULL ? 0 : *version, version != NULL, &digits),
                          tg_store_flag(permanent)}};
    return tg_store_call(ask, &stmt, 1);
}

static tg_store_outcome_t outcome_of(tg_str_t word)
{
    static const char *const words[TG_STORE_OUTCOMES] = {
        [TG_STORE_NEW] = "new",
        [TG_STORE_EXISTING] = "existing",
        [TG_STORE_CHANGED] = "changed",
        [TG_STORE_RESERVED] = "reserved",
        [TG_STORE_FULL] = "full",
        [TG_STORE_ID_TAKEN] = "id_taken",
        [TG_STORE_VERSION_TAKEN] = "version_taken",
        [TG_STORE_USED_UP] = "used_up",
        [TG_STORE_DONE] = "done",
        [TG_STORE_NO_SUBJECT] = "no_subject",
        [TG_STORE_NO_VERSION] = "no_version",
        [TG_STORE_SOFT_DELETED] = "soft_deleted",
        [TG_STORE_NOT_DELETED] = "not_deleted",
        [TG_STORE_REFERENCED] = "referenced",
    };
    size_t at = 0;
    while (at < TG_STORE_OUTCOMES && !tg_str_eq(word, tg_str_from(words[at])))
        at++;
    assert(at < TG_STORE_OUTCOMES); /* our own functions' words */
    return (tg_store_outcome_t)at;
}

tg_store_registered_t tg_store_read_registered(const tg_pg_answer_t *answer)
{
    assert(answer->count == 1);
    const PGresult *result = answer->results[0];
    assert(PQntuples(result) == 1);
    return (tg_store_registered_t){.outcome = outcome_of(tg_pg_text(result, 0, 0)),
                                   .id = tg_pg_text(result, 0, 1),
                                   .version = tg_pg_text(result, 0, 2)};
}

tg_store_deleted_t tg_store_read_deleted(const tg_pg_answer_t *answer)
{
    assert(answer->count == 1);
    const PGresult *result = answer->results[0];
    assert(PQntuples(result) == 1);
    return (tg_store_deleted_t){.outcome = outcome_of(tg_pg_text(result, 0, 0)),
                                .versions = tg_pg_text(result, 0, 1)};
}

/* --- what an earlier release has registered --- */

static const char aged_sql[] = "SELECT id, schema FROM control.schemas WHERE printed IS NULL"
                               " ORDER BY id LIMIT 8";

static const char renew_sql[] =
    "UPDATE control.schemas AS s SET printed = $2, guid = $4::uuid, fingerprint = CASE"
    " WHEN $3::text IS NULL OR EXISTS (SELECT FROM control.schemas o WHERE o.context = s.context"
    " AND o.fingerprint = decode($3, 'hex')) THEN s.fingerprint ELSE decode($3, 'hex') END"
    " WHERE s.id = $1::integer AND s.printed IS NULL";

tg_pg_call_t *tg_store_aged(const tg_store_ask_t *ask)
{
    _Static_assert(TG_STORE_AGED_MAX == 8, "as the statement has it");
    tg_pg_stmt_t stmt = {aged_sql, 0, {{NULL, 0}}};
    return tg_store_call(ask, &stmt, 1);
}

tg_pg_call_t *tg_store_renew(const tg_store_ask_t *ask, const tg_store_aged_t *aged, size_t count)
{
    assert(count > 0);
    assert(count <= TG_STORE_AGED_MAX);
    tg_pg_stmt_t stmts[TG_STORE_AGED_MAX];
    for (size_t i = 0; i < count; i++)
        stmts[i] = (tg_pg_stmt_t){renew_sql,
                                  4,
                                  {aged[i].id, aged[i].printed, aged[i].identity, aged[i].guid}};
    return tg_store_call(ask, stmts, count);
}
