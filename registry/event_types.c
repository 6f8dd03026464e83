/* handle → one statement → on_rows, which writes a page. One row more than the page is asked for,
 * to know whether there is a next one; a page ends earlier where its schemas are long. */
#include "registry/event_types.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/event/event.h"
#include "common/observe/log.h"
#include "registry/registry.h"

#define ANSWER_MAX ((size_t)64 << 20)
#define PAGE_BYTES                                                                                 \
    "262144" /* of schemas, and the one that passes it: a page is some ms of work                  \
              */
#define NO_FIELD ((tg_str_t){NULL, 0})

/* A tenant's own type is before a built-in one of the same name, which can only be younger. The
 * first schema beyond a page's bytes, and all behind it, are NULL: they belong to the next page. */
static const char types_sql[] =
    "SELECT t.type, t.builtin, t.version, t.schema_id,"
    " CASE WHEN sum(octet_length(t.schema)) OVER (ORDER BY t.type) - octet_length(t.schema)"
    " < $4::bigint THEN t.schema END"
    " FROM (SELECT DISTINCT ON (e.type) e.type, e.context = '' AS builtin, e.version,"
    " e.schema_id, s.schema FROM control.event_types e JOIN control.schemas s"
    " ON s.context = e.context AND s.id = e.schema_id"
    " WHERE e.context IN ($1, '') AND e.version IS NOT NULL AND e.type > $2"
    " ORDER BY e.type, e.context DESC LIMIT $3::integer) t ORDER BY t.type";

enum { SCHEMA = 4 }; /* column */
enum { LIMIT, CURSOR, PARAMS };
static const tg_param_t params[PARAMS] = {
    [LIMIT] = {"limit", TG_PARAM_UINT, NULL, TG_EVENT_TYPES_MAX, 1, TG_EVENT_TYPES_MAX},
    [CURSOR] = {"cursor", TG_PARAM_STR, NULL, 0, 1, TG_EVENT_TYPE_MAX},
};

struct listing { /* lives in the request's arena */
    tg_http_req_t *req;
    tg_pg_call_t *call; /* the one wait in flight */
    size_t limit;
};

/* --- one type --- */

static tg_str_t text_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_string(value) ? (tg_str_t){json_string_value(value), json_string_length(value)}
                                 : (tg_str_t){NULL, 0};
}

static void write_doc(const json_t *object, tg_buf_t *out)
{
    tg_str_t doc = text_of(object, "doc");
    if (doc.ptr == NULL)
        return;
    tg_buf_str(out, TG_STR(",\"doc\":"));
    tg_buf_json_string(out, doc);
}

static tg_status_t write_type(const json_t *type, tg_buf_t *out)
{
    char *text = json_dumps(type, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text == NULL)
        return TG_NOMEM;
    tg_buf_str(out, tg_str_from(text));
    free(text);
    return TG_OK;
}

static tg_status_t write_field(const json_t *field, tg_buf_t *out)
{
    tg_str_t role = text_of(field, "role");
    tg_buf_str(out, TG_STR("{\"name\":"));
    tg_buf_json_string(out, text_of(field, "name"));
    tg_buf_str(out, TG_STR(",\"type\":"));
    tg_status_t status = write_type(json_object_get(field, "type"), out);
    tg_buf_str(out, TG_STR(",\"role\":"));
    if (role.len > 0)
        tg_buf_json_string(out, role);
    else
        tg_buf_str(out, TG_STR("null"));
    bool required = json_object_get(field, "default") == NULL;
    tg_buf_printf(out, ",\"required\":%s", required ? "true" : "false");
    write_doc(field, out);
    tg_buf_byte(out, '}');
    return status;
}

static tg_status_t write_record(const tg_event_type_row_t *row, const json_t *record, tg_buf_t *out)
{
    const json_t *fields = json_object_get(record, "fields");
    if (!json_is_array(fields))
        return TG_INVALID;
    tg_buf_str(out, TG_STR("{\"name\":"));
    tg_buf_json_string(out, row->name);
    tg_buf_printf(out,
                  ",\"subject\":\"" TG_STR_FMT "-value\",\"source\":\"%s\",\"version\":" TG_STR_FMT
                  ",\"schema_id\":" TG_STR_FMT,
                  TG_STR_ARG(row->name), row->builtin ? "built-in" : "own",
                  TG_STR_ARG(row->version), TG_STR_ARG(row->schema_id));
    write_doc(record, out);
    tg_buf_str(out, TG_STR(",\"fields\":["));
    tg_status_t status = TG_OK;
    for (size_t i = 0; i < json_array_size(fields) && status == TG_OK; i++) {
        if (i > 0)
            tg_buf_byte(out, ',');
        status = write_field(json_array_get(fields, i), out);
    }
    tg_buf_str(out, TG_STR("]}"));
    return status;
}

tg_status_t tg_event_type_write(const tg_event_type_row_t *row, tg_buf_t *out)
{
    assert(row != NULL);
    assert(tg_event_type_name_ok(row->name)); /* it stands in JSON as it is */
    json_t *record = json_loadb(row->schema.ptr, row->schema.len, JSON_ALLOW_NUL, NULL);
    tg_status_t status = record == NULL ? TG_INVALID : write_record(row, record, out);
    json_decref(record);
    return status;
}

/* --- the answer --- */

static tg_event_type_row_t read_row(const PGresult *rows, int row)
{
    return (tg_event_type_row_t){
        .name = tg_pg_text(rows, row, 0),
        .builtin = tg_str_eq(tg_pg_text(rows, row, 1), TG_STR("t")),
        .version = tg_pg_text(rows, row, 2),
        .schema_id = tg_pg_text(rows, row, 3),
        .schema = tg_pg_text(rows, row, SCHEMA),
    };
}

static tg_status_t write_page(const PGresult *rows, size_t limit, tg_buf_t *out)
{
    size_t found = (size_t)PQntuples(rows), shown = 0;
    while (shown < found && shown < limit && tg_pg_text(rows, (int)shown, SCHEMA).ptr != NULL)
        shown++;
    tg_status_t status = TG_OK;
    tg_buf_str(out, TG_STR("{\"items\":["));
    for (size_t i = 0; i < shown && status == TG_OK; i++) {
        if (i > 0)
            tg_buf_byte(out, ',');
        const tg_event_type_row_t row = read_row(rows, (int)i);
        status = tg_event_type_write(&row, out);
    }
    tg_buf_str(out, TG_STR("],\"next_cursor\":"));
    if (found > shown && shown > 0)
        tg_buf_json_string(out, tg_pg_text(rows, (int)shown - 1, 0));
    else
        tg_buf_str(out, TG_STR("null"));
    tg_buf_byte(out, '}');
    return out->failed ? TG_TOO_LARGE : status;
}

static void fail(struct listing *listing, tg_status_t status)
{
    tg_http_add_header(listing->req, "retry-after", TG_STR("1"));
    if (status == TG_TIMEOUT)
        tg_http_fail(listing->req, 504, "query_timeout", NO_FIELD,
                     "The registry's database took too long; try again.");
    else
        tg_http_fail(listing->req, 503, "database_unavailable", NO_FIELD,
                     "The registry's database cannot be asked; try again.");
}

static void on_rows(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    struct listing *listing = arg;
    listing->call = NULL;
    if (status != TG_OK) {
        fail(listing, status);
        return;
    }
    tg_buf_t body = tg_buf_make(ANSWER_MAX);
    status = write_page(answer->results[0], listing->limit, &body);
    if (status == TG_OK) {
        tg_http_reply_buf(listing->req, 200, "application/json", &body);
        return;
    }
    tg_buf_dispose(&body);
    if (status == TG_TOO_LARGE)
        tg_http_fail(listing->req, 422, "answer_too_large", TG_STR("limit"),
                     "The types' schemas exceed %zu bytes; ask for fewer.", ANSWER_MAX);
    else
        fail(listing, status);
}

static void on_cancel(void *user)
{
    struct listing *listing = user;
    assert(listing->call != NULL);
    tg_pg_call_cancel(listing->call);
}

static void ask(struct listing *listing, tg_pg_pool_t *pool, tg_str_t context, tg_str_t after)
{
    char limit[24];
    int len = snprintf(limit, sizeof(limit), "%zu", listing->limit + 1);
    const tg_pg_stmt_t stmt = {types_sql,
                               4,
                               {context, after, {limit, (size_t)len}, TG_STR(PAGE_BYTES)}};
    listing->call =
        tg_pg_call(pool, NULL, &stmt, 1, tg_http_deadline_at(listing->req), on_rows, listing);
    if (listing->call == NULL)
        fail(listing, TG_NOMEM);
    else
        tg_http_set_user(listing->req, listing, on_cancel);
}

static void handle(tg_http_req_t *req, void *thread_ctx)
{
    tg_registry_thread_t *thread = thread_ctx;
    tg_str_t tenant = tg_http_tenant(req);
    if (!tg_event_tenant_ok(tenant)) {
        tg_http_fail(req, 400, "invalid_tenant", TG_STR("X-Tidegate-Tenant"),
                     "The gateway named no tenant.");
        return;
    }
    const tg_param_value_t *cursor = tg_http_param(req, CURSOR);
    struct listing *listing = tg_arena_alloc(tg_http_arena(req), sizeof(*listing));
    if (listing == NULL) {
        tg_http_add_header(req, "retry-after", TG_STR("1"));
        tg_http_fail(req, 503, "overloaded", NO_FIELD, "The registry is out of memory; try again.");
        return;
    }
    listing->req = req;
    listing->limit = (size_t)tg_http_param(req, LIMIT)->number;
    ask(listing, thread->pool, tenant, cursor->present ? cursor->text : TG_STR(""));
}

const tg_http_route_t tg_event_types_route = {
    .method = "GET",
    .path = "/v2/event-types",
    .handler = handle,
    .params = params,
    .param_count = PARAMS,
    .format = TG_HTTP_V2,
    .flags = TG_HTTP_ROUTE_INTERNAL,
};
