/* SQL of reading. Each literal's address is the key of its prepared statement. */
#include "registry/store/store.h"

#include <stdio.h>

#include "registry/store/call.h"

/* $1 context, $2 behind, $3 subject, $4 deleted ones too. The context that a reader sees the
 * subject in: "" sorts before any other. */
#define SEEN                                                                                       \
    "WITH q AS (SELECT control.real_subject($1, $3) AS subject), seen AS"                          \
    " (SELECT q.subject, (SELECT max(v.context) FROM control.subject_versions v"                   \
    " WHERE v.context IN ($1, $2) AND v.subject = q.subject AND (NOT v.deleted OR $4::boolean))"   \
    " AS context FROM q) "

#define REFERENCES                                                                                 \
    "(SELECT '[' || string_agg('{\"name\":' || to_json(r.name)::text || ',\"subject\":'"           \
    " || to_json(r.subject)::text || ',\"version\":' || r.version || '}', ',' ORDER BY "           \
    "r.position)"                                                                                  \
    " || ']' FROM control.schema_references r WHERE r.schema_id = s.id) AS refs"

/* What belongs to a schema, given whether the original is wanted. */
#define SCHEMA(original)                                                                           \
    "CASE WHEN " original " THEN s.schema ELSE coalesce(s.printed, s.schema) END AS schema,"       \
    " s.guid, s.metadata, " REFERENCES

/* The columns of tg_store_read_row. */
#define ROW                                                                                        \
    "SELECT seen.context IS NOT NULL, seen.context, seen.subject, f.id, f.version, f.deleted,"     \
    " f.schema, f.guid, f.metadata, f.refs FROM seen LEFT JOIN LATERAL (SELECT s.id, v.version,"   \
    " v.deleted, "

#define FROM_BOTH                                                                                  \
    " FROM control.subject_versions v JOIN control.schemas s"                                      \
    " ON s.context = v.context AND s.id = v.schema_id"                                             \
    " WHERE v.context = seen.context AND v.subject = seen.subject"

static const char find_sql[] = SEEN ROW SCHEMA("$6::boolean") FROM_BOTH
    " AND (s.fingerprint = decode($5, 'hex') OR (s.printed = $7 AND $8::boolean = EXISTS"
    " (SELECT FROM control.schema_references r WHERE r.schema_id = s.id)))"
    " AND (NOT v.deleted OR $4::boolean)"
    " ORDER BY v.deleted, s.fingerprint = decode($5, 'hex') DESC, v.version DESC LIMIT 1)"
    " f ON true";

static const char version_sql[] = SEEN ROW SCHEMA("$6::boolean") FROM_BOTH
    " AND (($5::integer = 0 AND NOT v.deleted)"
    " OR (v.version = $5::integer AND (NOT v.deleted OR $4::boolean)))"
    " ORDER BY v.version DESC LIMIT 1) f ON true";

static const char with_metadata_sql[] = SEEN ROW SCHEMA("$6::boolean") FROM_BOTH
    " AND s.metadata::jsonb -> 'properties' @> $5::jsonb"
    " AND (NOT v.deleted OR $4::boolean) ORDER BY v.version DESC LIMIT 1) f ON true";

/* $5 deleted ones only, $6 negative. */
static const char versions_sql[] = SEEN
    "SELECT seen.context IS NOT NULL, f.version FROM seen LEFT JOIN LATERAL"
    " (SELECT CASE WHEN $6::boolean AND v.deleted THEN -v.version ELSE v.version END AS version"
    " FROM control.subject_versions v WHERE v.context = seen.context"
    " AND v.subject = seen.subject AND (NOT v.deleted OR $4::boolean)"
    " AND (v.deleted OR NOT $5::boolean)"
    " ORDER BY v.version OFFSET $7::bigint LIMIT $8::bigint) f ON true"
    " ORDER BY abs(f.version)";

/* $5 version, $6 from everywhere. */
static const char referenced_by_sql[] =
    SEEN "SELECT f.version IS NOT NULL, g.id, seen.context IS NOT NULL FROM seen"
         " LEFT JOIN LATERAL (SELECT v.version"
         " FROM control.subject_versions v WHERE v.context = seen.context"
         " AND v.subject = seen.subject AND NOT v.deleted"
         " AND ($5::integer = 0 OR v.version = $5::integer) ORDER BY v.version DESC LIMIT 1) f"
         " ON true LEFT JOIN LATERAL (SELECT DISTINCT s.id FROM control.schema_references r"
         " JOIN control.schemas s ON s.id = r.schema_id WHERE r.to_context = seen.context"
         " AND r.to_subject = seen.subject AND r.version = f.version"
         " AND ($6::boolean OR s.context = $1) AND EXISTS (SELECT FROM control.subject_versions u"
         " WHERE u.context = s.context AND u.schema_id = s.id AND NOT u.deleted)"
         " LIMIT 10000) g ON true ORDER BY g.id";

/* $1 context (NULL: all), $2 behind, $3 prefix, $4 deleted ones too, $5 only those, $8 flat. */
static const char subjects_sql[] =
    "SELECT true, CASE WHEN $8::boolean THEN '' ELSE v.context END, v.subject"
    " FROM control.subject_versions v WHERE ($1::text IS NULL OR v.context IN ($1, $2))"
    " AND starts_with(v.subject, $3) GROUP BY 2, 3"
    " HAVING CASE WHEN $5::boolean THEN bool_and(v.deleted)"
    " ELSE $4::boolean OR NOT bool_and(v.deleted) END"
    " ORDER BY 2, 3 OFFSET $6::bigint LIMIT $7::bigint";

/* Likewise, $8 the newest only. The texts of one answer are at most 16 MiB; the reader goes on with
 * an offset. */
static const char schemas_sql[] =
    "WITH page AS (SELECT v.context, v.subject, v.version, v.deleted, v.schema_id"
    " FROM control.subject_versions v WHERE ($1::text IS NULL OR v.context IN ($1, $2))"
    " AND starts_with(v.subject, $3) AND (NOT v.deleted OR $4::boolean)"
    " AND (v.deleted OR NOT $5::boolean) AND NOT ($8::boolean AND EXISTS"
    " (SELECT FROM control.subject_versions n WHERE n.context = v.context"
    " AND n.subject = v.subject AND n.version > v.version AND (NOT n.deleted OR $4::boolean)))"
    " ORDER BY v.context, v.subject, v.version OFFSET $6::bigint LIMIT $7::bigint),"
    " sized AS (SELECT page.*, sum(octet_length(coalesce(s.printed, s.schema)))"
    " OVER (ORDER BY page.context, page.subject, page.version) AS bytes"
    " FROM page JOIN control.schemas s ON s.id = page.schema_id)"
    " SELECT true, v.context, v.subject, s.id, v.version, v.deleted, " SCHEMA(
        "false") " FROM sized v JOIN control.schemas s ON s.id = v.schema_id WHERE v.bytes <= "
                 "16777216"
                 " ORDER BY v.context, v.subject, v.version";

static const char contexts_sql[] =
    "SELECT DISTINCT true, context FROM control.subject_versions ORDER BY context LIMIT 20000";

#define BY_ID_ROW                                                                                  \
    "SELECT true, s.context, NULL, s.id, NULL, false, " SCHEMA(                                    \
        "$4::boolean") ", (SELECT max(m.id) FROM control.schemas m WHERE m.context IN ($1, $2)),"  \
                       " (SELECT deletions FROM control.registry_state)"                           \
                       " FROM control.schemas s WHERE "

/* $3 id, $5 a subject whose context is not known. */
static const char schema_sql[] =
    BY_ID_ROW "s.id = $3::integer AND (s.context IN ($1, $2) OR EXISTS"
              " (SELECT FROM control.subject_versions v WHERE v.context = s.context"
              " AND v.schema_id = s.id AND v.subject = $5))";

static const char guid_sql[] = BY_ID_ROW "s.guid = $3::uuid AND ($5::boolean OR s.context IN"
                                         " ($1, $2)) ORDER BY s.context DESC, s.id LIMIT 1";

static const char guid_ids_sql[] =
    "SELECT true, s.context, s.id FROM control.schemas s WHERE s.guid = $3::uuid"
    " AND ($4::boolean OR s.context IN ($1, $2)) ORDER BY s.context, s.id LIMIT 20000";

/* $3 id, $4 deleted ones too, $5 deleted ones only, $8 subject. */
static const char uses_sql[] =
    "SELECT true, v.context, v.subject, v.version FROM control.schemas s"
    " LEFT JOIN control.subject_versions v ON v.context = s.context AND v.schema_id = s.id"
    " AND (NOT v.deleted OR $4::boolean) AND (v.deleted OR NOT $5::boolean)"
    " AND ($8::text IS NULL OR v.subject = $8) WHERE s.id = $3::integer"
    " AND s.context IN ($1, $2) ORDER BY v.context, v.subject, v.version"
    " OFFSET $6::bigint LIMIT $7::bigint";

/* What a registration must know of its subject: its real name, the metadata of its newest version,
 * and whether it may become an event type. */
static const char newest_sql[] =
    "SELECT q.subject, (SELECT s.metadata FROM control.subject_versions v JOIN control.schemas s"
    " ON s.context = v.context AND s.id = v.schema_id WHERE v.context = $1"
    " AND v.subject = q.subject AND NOT v.deleted ORDER BY v.version DESC LIMIT 1),"
    " $3::bigint IS NULL OR control.event_type_room($1, q.subject, $3::bigint)"
    " FROM (SELECT control.real_subject($1, $2) AS subject) q";

static const char deletions_sql[] = "SELECT deletions FROM control.registry_state";

/* --- calls --- */

static tg_pg_call_t *call(const tg_store_ask_t *ask, const tg_pg_stmt_t *stmt)
{
    return tg_store_call(ask, stmt, 1);
}

tg_pg_stmt_t tg_store_find_stmt(const tg_store_ask_t *ask, tg_str_t subject,
                                const tg_store_wanted_t *wanted, tg_store_form_t form)
{
    assert(wanted->identity.len == 64);
    return (tg_pg_stmt_t){find_sql,
                          8,
                          {ask->context, ask->behind, subject, tg_store_flag(form.deleted),
                           wanted->identity, tg_store_flag(form.original), wanted->printed,
                           tg_store_flag(wanted->has_references)}};
}

tg_pg_call_t *tg_store_find(const tg_store_ask_t *ask, tg_str_t subject,
                            const tg_store_wanted_t *wanted, tg_store_form_t form)
{
    tg_pg_stmt_t stmt = tg_store_find_stmt(ask, subject, wanted, form);
    return call(ask, &stmt);
}

tg_pg_call_t *tg_store_version(const tg_store_ask_t *ask, tg_str_t subject, uint32_t version,
                               tg_store_form_t form)
{
    tg_store_digits_t digits;
    tg_pg_stmt_t stmt = {version_sql,
                         6,
                         {ask->context, ask->behind, subject, tg_store_flag(form.deleted),
                          tg_store_number(version, &digits), tg_store_flag(form.original)}};
    return call(ask, &stmt);
}

tg_pg_call_t *tg_store_with_metadata(const tg_store_ask_t *ask, tg_str_t subject, tg_str_t wanted,
                                     tg_store_form_t form)
{
    tg_pg_stmt_t stmt = {with_metadata_sql,
                         6,
                         {ask->context, ask->behind, subject, tg_store_flag(form.deleted), wanted,
                          tg_store_flag(form.original)}};
    return call(ask, &stmt);
}

tg_pg_call_t *tg_store_versions(const tg_store_ask_t *ask, tg_str_t subject, bool negative,
                                const tg_store_page_t *page)
{
    tg_store_digits_t offset, limit;
    bool deleted = page->deleted || page->deleted_only;
    tg_pg_stmt_t stmt = {versions_sql,
                         8,
                         {ask->context, ask->behind, subject, tg_store_flag(deleted),
                          tg_store_flag(page->deleted_only), tg_store_flag(negative),
                          tg_store_number(page->offset, &offset),
                          tg_store_number(page->limit, &limit)}};
    return call(ask, &stmt);
}

tg_pg_call_t *tg_store_referenced_by(const tg_store_ask_t *ask, tg_str_t subject, uint32_t version,
                                     bool everywhere)
{
    tg_store_digits_t digits;
    tg_pg_stmt_t stmt = {referenced_by_sql,
                         6,
                         {ask->context, ask->behind, subject, tg_store_flag(false),
                          tg_store_number(version, &digits), tg_store_flag(everywhere)}};
    return call(ask, &stmt);
}

/* Both lists over subjects take the same parameters. */
static tg_pg_call_t *list(const tg_store_ask_t *ask, const char *sql, tg_str_t prefix, bool last,
                          const tg_store_page_t *page)
{
    tg_store_digits_t offset, limit;
    tg_pg_stmt_t stmt = {sql,
                         8,
                         {ask->context, ask->behind, prefix,
                          tg_store_flag(page->deleted || page->deleted_only),
                          tg_store_flag(page->deleted_only), tg_store_number(page->offset, &offset),
                          tg_store_number(page->limit, &limit), tg_store_flag(last)}};
    return call(ask, &stmt);
}

tg_pg_call_t *tg_store_subjects(const tg_store_ask_t *ask, tg_str_t prefix, bool flat,
                                const tg_store_page_t *page)
{
    return list(ask, subjects_sql, prefix, flat, page);
}

tg_pg_call_t *tg_store_schemas(const tg_store_ask_t *ask, tg_str_t prefix, bool latest_only,
                               const tg_store_page_t *page)
{
    return list(ask, schemas_sql, prefix, latest_only, page);
}

tg_pg_call_t *tg_store_contexts(const tg_store_ask_t *ask)
{
    tg_pg_stmt_t stmt = {contexts_sql, 0, {{NULL, 0}}};
    return call(ask, &stmt);
}

tg_pg_call_t *tg_store_schema(const tg_store_ask_t *ask, uint32_t id, tg_str_t subject,
                              bool original)
{
    tg_store_digits_t digits;
    tg_pg_stmt_t stmt = {schema_sql,
                         5,
                         {ask->context, ask->behind, tg_store_number(id, &digits),
                          tg_store_flag(original), subject}};
    return call(ask, &stmt);
}

tg_pg_call_t *tg_store_uses(const tg_store_ask_t *ask, uint32_t id, tg_str_t subject,
                            const tg_store_page_t *page)
{
    tg_store_digits_t digits, offset, limit;
    tg_pg_stmt_t stmt = {uses_sql,
                         8,
                         {ask->context, ask->behind, tg_store_number(id, &digits),
                          tg_store_flag(page->deleted || page->deleted_only),
                          tg_store_flag(page->deleted_only), tg_store_number(page->offset, &offset),
                          tg_store_number(page->limit, &limit), subject}};
    return call(ask, &stmt);
}

tg_pg_call_t *tg_store_guid(const tg_store_ask_t *ask, tg_str_t guid, bool everywhere,
                            bool original)
{
    tg_pg_stmt_t stmt = {guid_sql,
                         5,
                         {ask->context, ask->behind, guid, tg_store_flag(original),
                          tg_store_flag(everywhere)}};
    return call(ask, &stmt);
}

tg_pg_call_t *tg_store_guid_ids(const tg_store_ask_t *ask, tg_str_t guid, bool everywhere)
{
    tg_pg_stmt_t stmt = {guid_ids_sql,
                         4,
                         {ask->context, ask->behind, guid, tg_store_flag(everywhere)}};
    return call(ask, &stmt);
}

tg_pg_stmt_t tg_store_newest_stmt(tg_str_t context, tg_str_t subject, tg_str_t max_types)
{
    return (tg_pg_stmt_t){newest_sql, 3, {context, subject, max_types}};
}

tg_store_newest_t tg_store_read_newest(const PGresult *result)
{
    assert(PQntuples(result) == 1);
    return (tg_store_newest_t){.subject = tg_pg_text(result, 0, 0),
                               .metadata = tg_pg_text(result, 0, 1),
                               .has_room = tg_str_eq(tg_pg_text(result, 0, 2), TG_STR("t"))};
}

tg_pg_call_t *tg_store_deletions(const tg_store_ask_t *ask)
{
    tg_pg_stmt_t stmt = {deletions_sql, 0, {{NULL, 0}}};
    return call(ask, &stmt);
}

uint64_t tg_store_read_count(const PGresult *result, int row, int column)
{
    uint64_t value = 0;
    return tg_str_to_u64(tg_pg_text(result, row, column), &value) == TG_OK ? value : 0;
}

/* --- readers --- */

static bool is_true(tg_str_t cell)
{
    return tg_str_eq(cell, TG_STR("t"));
}

bool tg_store_known(const PGresult *result)
{
    return PQntuples(result) > 0 && is_true(tg_pg_text(result, 0, 0));
}

tg_store_row_t tg_store_read_row(const PGresult *result, int row)
{
    assert(row >= 0);
    assert(row < PQntuples(result));
    tg_str_t id = tg_pg_text(result, row, 3);
    return (tg_store_row_t){
        .subject_known = is_true(tg_pg_text(result, row, 0)),
        .found = id.ptr != NULL,
        .context = tg_pg_text(result, row, 1),
        .subject = tg_pg_text(result, row, 2),
        .id = id,
        .version = tg_pg_text(result, row, 4),
        .deleted = is_true(tg_pg_text(result, row, 5)),
        .schema = tg_pg_text(result, row, 6),
        .guid = tg_pg_text(result, row, 7),
        .metadata = tg_pg_text(result, row, 8),
        .references = tg_pg_text(result, row, 9),
    };
}
