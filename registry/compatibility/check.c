/* start → on_first → (on_page | on_closure | on_slice)* → finish. Each callback ends in exactly one
 * of: arm the next wait, or finish().
 *
 * `todo` is what is still to be looked at, newest first. A schema that is not in the cache is put
 * there from the text that came with its row, or, where it refers to others, from its closure; so
 * that examining is always: take it out of the cache, compare. */
#include "registry/compatibility/check.h"

#include <stdio.h>

#include "common/base/time.h"
#include "registry/references.h"
#include "registry/roles.h"
#include "registry/settings/metadata.h"
#include "registry/settings/store.h"

enum purpose { ROLES = 1, COMPARE = 2 };

struct todo {
    uint32_t id;
    int version;
    unsigned purpose;
};

struct tg_check {
    tg_check_ask_t ask;
    tg_check_result_t result;
    tg_pg_call_t *call; /* the one wait in flight, or: */
    tg_timer_t timer;
    struct todo todo[TG_CHECK_PAGE];
    size_t next, count; /* of todo */
    bool more;          /* pages */
    int before;         /* the next page begins below this version */
    tg_str_t group;     /* the value that earlier versions must have as well */
};

/* The columns of first_sql; page_sql has another fifth one, a closure the first two. */
enum { ID, TEXT, REFERS, VERSION, DELETED, METADATA, DELETIONS, FOUND = DELETED };
#define SCHEMA                                                                                     \
    "s.id, coalesce(s.printed, s.schema) AS text,"                                                 \
    " EXISTS (SELECT FROM control.schema_references r WHERE r.schema_id = s.id) AS refers"

/* $1 context, $2 subject. */
#define NEWEST(which)                                                                              \
    "(SELECT n.version FROM control.subject_versions n WHERE n.context = $1 AND n.subject = $2"    \
    " " which " ORDER BY n.version DESC LIMIT 1)"

static const char first_sql[] =
    "SELECT " SCHEMA ", v.version, v.deleted, s.metadata,"
    " (SELECT deletions FROM control.registry_state)"
    " FROM control.subject_versions v JOIN control.schemas s ON s.id = v.schema_id"
    " WHERE v.context = $1 AND v.subject = $2 AND v.version IN (" NEWEST("") ", " NEWEST(
        "AND NOT n.deleted") ", $3::integer) ORDER BY v.version DESC";

/* Rows until their texts together are long enough: what is parsed in one turn is bounded. */
static const char page_sql[] =
    "WITH p AS (SELECT " SCHEMA ", v.version FROM control.subject_versions v"
    " JOIN control.schemas s ON s.id = v.schema_id"
    " WHERE v.context = $1 AND v.subject = $2 AND NOT v.deleted AND v.version < $3::integer"
    " AND ($4::text IS NULL OR (s.metadata::jsonb #>> ARRAY['properties', $4])"
    " IS NOT DISTINCT FROM $5::text) ORDER BY v.version DESC LIMIT $6::integer)"
    " SELECT q.id, q.text, q.refers, q.version, q.found FROM (SELECT p.*, count(*) OVER () AS "
    "found,"
    " sum(octet_length(p.text)) OVER (ORDER BY p.version DESC) - octet_length(p.text) AS above"
    " FROM p) q WHERE q.above < $7::bigint ORDER BY q.version DESC";

static const tg_pg_answer_t no_answer = {.sqlstate = "", .message = ""};

static void finish(tg_check_t *check, tg_status_t status, const tg_pg_answer_t *answer)
{
    assert(check->call == NULL);
    tg_timer_stop(&check->timer);
    if (status == TG_OK)
        status = tg_findings_close(&check->result.findings, check->result.scope.effective.level);
    check->ask.done(check->ask.arg, status, answer, &check->result);
}

static void wait_for(tg_check_t *check, tg_pg_call_t *call)
{
    assert(check->call == NULL);
    check->call = call;
    if (call == NULL)
        finish(check, TG_NOMEM, &no_answer);
}

static tg_str_t number(int64_t value, char out[24])
{
    int len = snprintf(out, 24, "%lld", (long long)value);
    assert(len > 0);
    return (tg_str_t){out, (size_t)len};
}

static uint64_t cell_number(const PGresult *rows, int row, int column)
{
    uint64_t value = 0;
    tg_status_t status = tg_str_to_u64(tg_pg_text(rows, row, column), &value);
    assert(status == TG_OK); /* an integer column that is not null */
    (void)status;
    return value;
}

static bool is_true(const PGresult *rows, int row, int column)
{
    return tg_str_eq(tg_pg_text(rows, row, column), TG_STR("t"));
}

/* --- parsing rows into the cache --- */

/* A stored schema that today's checks refuse speaks against nothing but is said. */
static tg_status_t unreadable(tg_check_t *check, uint32_t id, const tg_error_t *error)
{
    char text[640];
    snprintf(text, sizeof(text), "The earlier schema with id %u cannot be read any more: %s", id,
             error->text);
    return tg_findings_add(&check->result.findings, "UNREADABLE", text);
}

static void put_plain_rows(tg_check_t *check, const PGresult *rows)
{
    for (int row = 0; row < PQntuples(rows); row++) {
        uint32_t id = (uint32_t)cell_number(rows, row, ID);
        tg_str_t text = tg_pg_text(rows, row, TEXT);
        tg_avro_schema_t *schema = NULL;
        if (is_true(rows, row, REFERS) || tg_parsed_cache_get(check->ask.cache, id) != NULL)
            continue;
        /* What fails here fails again, with its reason, when it is examined. */
        if (tg_avro_schema_parse(text, &schema, NULL) == TG_OK &&
            tg_parsed_cache_put(check->ask.cache, id, schema, text.len) != TG_OK)
            return;
    }
}

/* Parses a schema with what it refers to. The wanted one comes last and stays. */
static tg_status_t put_closure(tg_check_t *check, const PGresult *rows, tg_error_t *error)
{
    tg_closure_t closure = {.count = 0};
    tg_status_t status = tg_closure_parse(rows, &closure, error);
    for (size_t i = 0; i < closure.count && status == TG_OK; i++) {
        tg_avro_schema_t *schema = closure.schemas[i];
        closure.schemas[i] = NULL; /* the cache takes it */
        status = tg_parsed_cache_put(check->ask.cache, closure.ids[i], schema,
                                     tg_pg_text(rows, (int)i, TEXT).len);
    }
    tg_closure_dispose(&closure);
    return status;
}

/* --- examining --- */

static tg_status_t check_roles(tg_check_t *check, const tg_avro_schema_t *schema)
{
    tg_error_t error = {.status = TG_OK};
    tg_status_t status = tg_roles_check(tg_avro_schema_root(schema), check->ask.root, &error);
    return status == TG_INVALID
               ? tg_findings_add(&check->result.findings, "ROLE_CHANGED", error.text)
               : status;
}

static tg_status_t examine(tg_check_t *check, const struct todo *todo,
                           const tg_avro_schema_t *schema)
{
    tg_status_t status = TG_OK;
    if (todo->purpose & ROLES)
        status = check_roles(check, schema);
    if (status == TG_OK && todo->purpose & COMPARE)
        status = tg_compatibility_compare(check->result.scope.effective.level, check->ask.root,
                                          schema, todo->version, &check->result.findings);
    return status;
}

static void on_closure(void *arg, tg_status_t status, const tg_pg_answer_t *answer);
static void on_page(void *arg, tg_status_t status, const tg_pg_answer_t *answer);
static void on_slice(void *arg);

static void load_closure(tg_check_t *check, uint32_t id)
{
    char ids[24];
    int len = snprintf(ids, sizeof(ids), "{%u}", id);
    assert(len > 2);
    tg_pg_stmt_t stmt = tg_closure_stmt((tg_str_t){ids, (size_t)len});
    wait_for(check, tg_pg_call(check->ask.pool, NULL, &stmt, 1, check->ask.deadline_at_ms,
                               on_closure, check));
}

static void load_page(tg_check_t *check)
{
    char before[24], limit[24], bytes[24];
    const tg_check_ask_t *ask = &check->ask;
    tg_pg_stmt_t stmt = {page_sql,
                         7,
                         {ask->context, ask->subject, number(check->before, before),
                          check->result.scope.effective.group, check->group,
                          number(check->more ? TG_CHECK_PAGE : 1, limit),
                          number(TG_CHECK_PAGE_TEXT, bytes)}};
    wait_for(check, tg_pg_call(ask->pool, NULL, &stmt, 1, ask->deadline_at_ms, on_page, check));
}

/* Goes through todo; arms the next wait or finishes. One version that does not fit is enough. */
static void proceed(tg_check_t *check)
{
    uint64_t began = tg_time_mono_ms();
    while (check->next < check->count && check->result.findings.count == 0) {
        const struct todo *todo = &check->todo[check->next];
        const tg_avro_schema_t *schema = tg_parsed_cache_get(check->ask.cache, todo->id);
        if (schema == NULL) {
            load_closure(check, todo->id);
            return;
        }
        tg_status_t status = examine(check, todo, schema);
        if (status != TG_OK) {
            finish(check, status, &no_answer);
            return;
        }
        check->next++;
        if (tg_time_mono_ms() - began >= TG_CHECK_SLICE_MS) {
            tg_timer_start(check->ask.loop, &check->timer, 0, on_slice, check);
            return;
        }
    }
    if (check->before > 0 && check->result.findings.count == 0)
        load_page(check);
    else
        finish(check, TG_OK, &no_answer);
}

static void on_slice(void *arg)
{
    tg_check_t *check = arg;
    if (tg_loop_now_ms(check->ask.loop) >= check->ask.deadline_at_ms)
        finish(check, TG_TIMEOUT, &no_answer);
    else
        proceed(check);
}

static void on_closure(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_check_t *check = arg;
    assert(check->call != NULL);
    check->call = NULL;
    if (status != TG_OK) {
        finish(check, status, answer);
        return;
    }
    tg_error_t error = {.status = TG_OK};
    uint32_t id = check->todo[check->next].id;
    status = put_closure(check, answer->results[0], &error);
    if (status == TG_OK && tg_parsed_cache_get(check->ask.cache, id) == NULL)
        status = tg_error_set(&error, TG_INVALID, "it is gone");
    if (status == TG_INVALID || status == TG_TOO_LARGE) {
        check->next++;
        status = unreadable(check, id, &error);
    }
    if (status == TG_OK)
        proceed(check);
    else
        finish(check, status, &no_answer);
}

static void on_page(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_check_t *check = arg;
    assert(check->call != NULL);
    check->call = NULL;
    if (status != TG_OK) {
        finish(check, status, answer);
        return;
    }
    const PGresult *rows = answer->results[0];
    int count = PQntuples(rows);
    uint64_t found = count == 0 ? 0 : cell_number(rows, 0, FOUND);
    bool last = found < TG_CHECK_PAGE && found == (uint64_t)count; /* nothing below, nothing cut */
    put_plain_rows(check, rows);
    check->next = check->count = 0;
    for (int row = 0; row < count && row < TG_CHECK_PAGE; row++) {
        int version = (int)cell_number(rows, row, VERSION);
        check->todo[check->count++] =
            (struct todo){(uint32_t)cell_number(rows, row, ID), version, COMPARE};
        check->before = version;
    }
    if (!check->more || last)
        check->before = 0;
    proceed(check);
}

/* --- the first answer --- */

static bool same_group(tg_str_t a, tg_str_t b)
{
    return (a.ptr == NULL) == (b.ptr == NULL) && tg_str_eq(a, b);
}

/* Whether the version of that row is to be compared by the group of the configuration. */
static tg_status_t in_group(tg_check_t *check, tg_str_t metadata, bool *out)
{
    tg_str_t name = check->result.scope.effective.group, value = {NULL, 0};
    tg_status_t status = TG_OK;
    if (name.ptr != NULL)
        status = tg_metadata_property(metadata, name, check->ask.arena, &value);
    *out = name.ptr == NULL || same_group(value, check->group);
    return status;
}

static tg_status_t take_row(tg_check_t *check, const PGresult *rows, int row)
{
    tg_check_result_t *result = &check->result;
    int version = (int)cell_number(rows, row, VERSION);
    bool live = !is_true(rows, row, DELETED);
    bool newest = live && result->newest_version == 0, fits = false;
    if (newest)
        result->newest_version = version;
    bool asked = check->ask.version > 0 ? live && (uint32_t)version == check->ask.version : newest;
    if (asked)
        result->version_known = true;
    tg_status_t status = in_group(check, tg_pg_text(rows, row, METADATA), &fits);
    struct todo todo = {.id = (uint32_t)cell_number(rows, row, ID), .version = version};
    if (row == 0 && check->ask.keeps_roles)
        todo.purpose |= ROLES;
    if (asked && fits && result->scope.effective.level != TG_LEVEL_NONE)
        todo.purpose |= COMPARE;
    if (todo.purpose != 0)
        check->todo[check->count++] = todo;
    return status;
}

/* Which versions beyond the first rows are to be compared: `before` stays 0 where none are. */
static void plan_pages(tg_check_t *check)
{
    const tg_subject_config_t *effective = &check->result.scope.effective;
    bool compared = false;
    for (size_t i = 0; i < check->count; i++)
        compared = compared || (check->todo[i].purpose & COMPARE) != 0;
    check->more = tg_level_is_transitive(effective->level) && !check->ask.newest_only;
    bool searching = !compared && effective->group.ptr != NULL && !check->ask.newest_only;
    if (check->ask.version == 0 && effective->level != TG_LEVEL_NONE &&
        (check->more || searching) && check->result.newest_version > 1)
        check->before = check->result.newest_version;
}

static tg_status_t read_first(tg_check_t *check, const tg_pg_answer_t *answer)
{
    tg_check_result_t *result = &check->result;
    const PGresult *rows = answer->results[0];
    tg_status_t status = TG_OK;
    if (check->ask.scope != NULL)
        result->scope = *check->ask.scope;
    else
        status = tg_scope_read(answer->results[1], check->ask.context, check->ask.subject,
                               check->ask.arena, &result->scope);
    if (status == TG_OK && result->scope.effective.group.ptr != NULL)
        status = tg_metadata_property(check->ask.metadata, result->scope.effective.group,
                                      check->ask.arena, &check->group);
    if (status != TG_OK || PQntuples(rows) == 0)
        return status;
    tg_parsed_cache_see(check->ask.cache, cell_number(rows, 0, DELETIONS));
    put_plain_rows(check, rows);
    for (int row = 0; row < PQntuples(rows) && status == TG_OK; row++)
        status = take_row(check, rows, row);
    result->subject_known = result->newest_version > 0;
    plan_pages(check);
    return status;
}

static void on_first(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_check_t *check = arg;
    assert(check->call != NULL);
    check->call = NULL;
    if (status != TG_OK) {
        finish(check, status, answer);
        return;
    }
    status = read_first(check, answer);
    if (status == TG_OK)
        proceed(check);
    else
        finish(check, status, &no_answer);
}

tg_check_t *tg_check_start(const tg_check_ask_t *ask)
{
    assert(ask != NULL);
    assert(ask->root != NULL);
    assert(ask->done != NULL);
    tg_check_t *check = tg_arena_alloc(ask->arena, sizeof(*check));
    if (check == NULL)
        return NULL;
    check->ask = *ask;
    check->result.findings.arena = ask->arena;
    char version[24];
    tg_pg_stmt_t stmts[] = {
        {first_sql, 3, {ask->context, ask->subject, number(ask->version, version)}},
        tg_scope_stmt(ask->context, ask->subject),
    };
    check->call = tg_pg_call(ask->pool, NULL, stmts, ask->scope == NULL ? 2 : 1,
                             ask->deadline_at_ms, on_first, check);
    return check->call == NULL ? NULL : check;
}

void tg_check_cancel(tg_check_t *check)
{
    assert(check != NULL);
    tg_timer_stop(&check->timer);
    tg_pg_call_cancel(check->call);
    check->call = NULL;
}
