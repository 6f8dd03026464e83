/* References go to the database as one JSON parameter, so that their number does not change a
 * statement. */
#include "registry/references.h"

#include <stdlib.h>

#define JSON_MAX ((size_t)1 << 20)

#define RESOLVED                                                                                   \
    "SELECT r.position, f.context, f.subject, f.version, f.schema_id FROM"                         \
    " jsonb_to_recordset($1::jsonb) AS r (position integer, context text, behind text,"            \
    " subject text, version integer) LEFT JOIN LATERAL (SELECT v.context, v.subject, v.version,"   \
    " v.schema_id FROM control.subject_versions v WHERE v.context IN (r.context, r.behind)"        \
    " AND v.subject = control.real_subject(r.context, r.subject) AND NOT v.deleted"                \
    " AND (r.version = 0 OR v.version = r.version)"                                                \
    " ORDER BY v.context DESC, v.version DESC LIMIT 1) f ON true"

/* One row beyond the limit tells that there are too many. */
#define CLOSURE(ids)                                                                               \
    "SELECT c.id, CASE WHEN sum(octet_length(coalesce(s.printed, s.schema))) OVER () <= 2097152"   \
    " THEN coalesce(s.printed, s.schema) END FROM control.schema_closure(" ids ") c"               \
    " JOIN control.schemas s ON s.id = c.id ORDER BY c.depth DESC, c.id LIMIT 257"

static const char resolve_sql[] = RESOLVED " ORDER BY r.position";
static const char needed_sql[] =
    "WITH resolved AS (" RESOLVED
    ") " CLOSURE("(SELECT array_agg(schema_id) FROM resolved WHERE schema_id IS NOT NULL)");
static const char closure_sql[] = CLOSURE("$1::integer[]");

/* --- out of a body --- */

static const tg_json_node_t *member(const tg_json_node_t *nodes, size_t object, const char *name)
{
    for (size_t i = object + 1; i < nodes[object].next; i = nodes[i].next) {
        if (tg_str_eq(nodes[i].key, tg_str_from(name)))
            return &nodes[i];
    }
    return NULL;
}

static tg_status_t read_text(const tg_json_node_t *nodes, size_t object, const char *name,
                             size_t max, tg_arena_t *arena, tg_str_t *out, tg_error_t *error)
{
    const tg_json_node_t *node = member(nodes, object, name);
    if (node == NULL || node->type != TG_JSON_STRING || node->value.text.len == 0 ||
        node->value.text.len > max || memchr(node->value.text.ptr, '\0', node->value.text.len))
        return tg_error_set(error, TG_INVALID, "a reference's \"%s\" is a text of 1 to %zu bytes",
                            name, max);
    *out = tg_arena_copy(arena, node->value.text);
    return out->ptr == NULL ? tg_error_set(error, TG_NOMEM, "out of memory") : TG_OK;
}

static tg_status_t read_version(const tg_json_node_t *nodes, size_t object, uint32_t *out,
                                tg_error_t *error)
{
    const tg_json_node_t *node = member(nodes, object, "version");
    bool number = node != NULL && node->type == TG_JSON_INT;
    int64_t value = number ? node->value.integer : 0;
    if (value != -1 && (value < 1 || value > INT32_MAX))
        return tg_error_set(error, TG_INVALID,
                            "a reference's \"version\" is a number from 1, or -1 for the newest");
    *out = value == -1 ? 0 : (uint32_t)value;
    return TG_OK;
}

static tg_status_t read_one(const tg_json_node_t *nodes, size_t index, const tg_viewer_t *viewer,
                            tg_str_t within, tg_arena_t *arena, tg_reference_t *out,
                            tg_error_t *error)
{
    if (nodes[index].type != TG_JSON_OBJECT)
        return tg_error_set(error, TG_INVALID,
                            "\"references\" holds objects with name, subject and version");
    tg_status_t status = read_text(nodes, index, "name", 1024, arena, &out->name, error);
    if (status == TG_OK)
        status = read_text(nodes, index, "subject", TG_SUBJECT_MAX + TG_CONTEXT_MAX + 3, arena,
                           &out->subject, error);
    if (status == TG_OK)
        status = read_version(nodes, index, &out->version, error);
    if (status != TG_OK)
        return status;
    status = tg_context_subject(viewer, within, out->subject, &out->to);
    if (status != TG_OK || !tg_subject_ok(out->to.name))
        return tg_error_set(error, status == TG_DENIED ? TG_DENIED : TG_INVALID,
                            "a reference's subject \"" TG_STR_FMT "\" %s", TG_STR_ARG(out->subject),
                            status == TG_DENIED ? "may not name a context"
                                                : "is no subject's name");
    out->behind = viewer->tenant ? TG_STR("") : out->to.context;
    return TG_OK;
}

static int by_name(const void *a, const void *b)
{
    return tg_str_cmp(((const tg_reference_t *)a)->name, ((const tg_reference_t *)b)->name);
}

tg_status_t tg_references_read(const tg_json_node_t *nodes, size_t index, const tg_viewer_t *viewer,
                               tg_str_t within, tg_arena_t *arena, tg_references_t *out,
                               tg_error_t *error)
{
    const tg_json_node_t *list = &nodes[index];
    *out = (tg_references_t){0};
    if (list->type == TG_JSON_NULL || (list->type == TG_JSON_ARRAY && list->count == 0))
        return TG_OK;
    if (list->type != TG_JSON_ARRAY)
        return tg_error_set(error, TG_INVALID, "\"references\" is no array but %s",
                            tg_json_type_name(list->type));
    if (list->count > TG_REFERENCES_MAX)
        return tg_error_set(error, TG_TOO_LARGE, "\"references\" has %u entries; at most %d",
                            list->count, TG_REFERENCES_MAX);
    out->items = tg_arena_array(arena, list->count, sizeof(*out->items));
    if (out->items == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    for (size_t i = index + 1; i < list->next; i = nodes[i].next) {
        tg_status_t status =
            read_one(nodes, i, viewer, within, arena, &out->items[out->count++], error);
        if (status != TG_OK)
            return status;
    }
    qsort(out->items, out->count, sizeof(*out->items), by_name);
    for (size_t i = 1; i < out->count; i++) {
        if (by_name(&out->items[i - 1], &out->items[i]) == 0)
            return tg_error_set(error, TG_INVALID,
                                "the reference \"" TG_STR_FMT "\" is there twice",
                                TG_STR_ARG(out->items[i].name));
    }
    return TG_OK;
}

/* --- to the database and back --- */

static tg_status_t into_arena(tg_buf_t *text, tg_arena_t *arena, tg_str_t *out)
{
    *out = text->failed ? (tg_str_t){NULL, 0} : tg_arena_copy(arena, tg_buf_view(text));
    tg_buf_dispose(text);
    return out->ptr == NULL ? TG_NOMEM : TG_OK;
}

static void add_text(tg_buf_t *json, const char *name, tg_str_t value)
{
    tg_buf_printf(json, "\"%s\":", name);
    tg_buf_json_string(json, value);
    tg_buf_byte(json, ',');
}

tg_status_t tg_references_stmts(const tg_references_t *references, tg_arena_t *arena,
                                tg_pg_stmt_t out_stmts[TG_REFERENCES_STMTS])
{
    tg_buf_t json = tg_buf_make(JSON_MAX);
    tg_str_t text;
    for (size_t i = 0; i < references->count; i++) {
        const tg_reference_t *one = &references->items[i];
        tg_buf_printf(&json, "%s{\"position\":%zu,", i == 0 ? "[" : ",", i);
        add_text(&json, "context", one->to.context);
        add_text(&json, "behind", one->behind);
        add_text(&json, "subject", one->to.name);
        tg_buf_printf(&json, "\"version\":%u}", one->version);
    }
    tg_buf_str(&json, references->count == 0 ? TG_STR("[]") : TG_STR("]"));
    tg_status_t status = into_arena(&json, arena, &text);
    if (status != TG_OK)
        return status;
    out_stmts[0] = (tg_pg_stmt_t){resolve_sql, 1, {text}};
    out_stmts[1] = (tg_pg_stmt_t){needed_sql, 1, {text}};
    return TG_OK;
}

static uint32_t number(const PGresult *rows, int row, int column)
{
    uint64_t value = 0;
    return tg_str_to_u64(tg_pg_text(rows, row, column), &value) == TG_OK ? (uint32_t)value : 0;
}

tg_status_t tg_references_resolve(tg_references_t *references, const PGresult *rows,
                                  tg_arena_t *arena, tg_error_t *error)
{
    assert((size_t)PQntuples(rows) == references->count);
    for (size_t i = 0; i < references->count; i++) {
        tg_reference_t *one = &references->items[i];
        int row = (int)i;
        one->id = number(rows, row, 4);
        if (one->id == 0 && one->version > 0)
            return tg_error_set(error, TG_NOT_FOUND,
                                "there is no version %u of the subject \"" TG_STR_FMT
                                "\" that the reference \"" TG_STR_FMT "\" names",
                                one->version, TG_STR_ARG(one->subject), TG_STR_ARG(one->name));
        if (one->id == 0)
            return tg_error_set(error, TG_NOT_FOUND,
                                "there is no subject \"" TG_STR_FMT
                                "\" that the reference \"" TG_STR_FMT "\" names",
                                TG_STR_ARG(one->subject), TG_STR_ARG(one->name));
        one->version = number(rows, row, 3);
        one->to.context = tg_arena_copy(arena, tg_pg_text(rows, row, 1));
        one->to.name = tg_arena_copy(arena, tg_pg_text(rows, row, 2));
        if (one->to.context.ptr == NULL || one->to.name.ptr == NULL)
            return tg_error_set(error, TG_NOMEM, "out of memory");
    }
    return TG_OK;
}

tg_status_t tg_references_json(const tg_references_t *references, tg_arena_t *arena,
                               tg_str_t *out_json)
{
    tg_buf_t json = tg_buf_make(JSON_MAX);
    for (size_t i = 0; i < references->count; i++) {
        const tg_reference_t *one = &references->items[i];
        assert(one->id > 0);
        tg_buf_byte(&json, i == 0 ? '[' : ',');
        tg_buf_byte(&json, '{');
        add_text(&json, "name", one->name);
        add_text(&json, "subject", one->subject);
        add_text(&json, "context", one->to.context);
        add_text(&json, "to", one->to.name);
        tg_buf_printf(&json, "\"version\":%u,\"id\":%u}", one->version, one->id);
    }
    tg_buf_str(&json, references->count == 0 ? TG_STR("[]") : TG_STR("]"));
    return into_arena(&json, arena, out_json);
}

/* --- reading --- */

tg_pg_stmt_t tg_closure_stmt(tg_str_t ids)
{
    return (tg_pg_stmt_t){closure_sql, 1, {ids}};
}

tg_status_t tg_closure_parse(const PGresult *rows, tg_closure_t *out, tg_error_t *error)
{
    int count = PQntuples(rows);
    out->count = 0;
    if (count > TG_CLOSURE_MAX || (count > 0 && tg_pg_text(rows, 0, 1).ptr == NULL))
        return tg_error_set(error, TG_TOO_LARGE,
                            "the schema needs more than %d others, or more than %d bytes of them",
                            TG_CLOSURE_MAX, TG_CLOSURE_BYTES_MAX);
    for (int row = 0; row < count; row++) {
        tg_error_t cause = {.status = TG_OK};
        uint32_t id = number(rows, row, 0);
        tg_status_t status =
            tg_avro_schema_parse_refs(tg_pg_text(rows, row, 1),
                                      (const tg_avro_schema_t *const *)out->schemas, out->count,
                                      &out->schemas[out->count], &cause);
        if (status != TG_OK)
            return tg_error_set(error, status, "schema %u, which is needed: %s", id, cause.text);
        out->ids[out->count++] = id;
    }
    return TG_OK;
}

void tg_closure_dispose(tg_closure_t *closure)
{
    for (size_t i = 0; i < closure->count; i++)
        tg_avro_schema_destroy(closure->schemas[i]);
    closure->count = 0;
}

const tg_avro_schema_t *tg_closure_find(const tg_closure_t *closure, uint32_t id)
{
    for (size_t i = 0; i < closure->count; i++) {
        if (closure->ids[i] == id)
            return closure->schemas[i];
    }
    return NULL;
}
