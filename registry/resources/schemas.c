/* /schemas: by id, by guid, all of them. begin → one call of the store → its on_ callback answers.
 */
#include "registry/metrics.h"
#include "registry/resources/answer.h"
#include "registry/resources/resolved.h"
#include "registry/routes.h"
#include "registry/store/answers.h"

static void count(tg_request_t *request, unsigned result)
{
    tg_metric_add(request->thread->shard, RG_READS, result, 1);
}

/* --- GET /schemas/ids/:id and /schema --- */

struct by_id {
    uint32_t id;
    bool raw;       /* the schema's text alone */
    bool with_max;  /* fetchMaxId */
    bool cacheable; /* it is what everybody asks for */
    tg_format_t format;
};

static void reply_schema(tg_request_t *request, const tg_store_row_t *row, tg_str_t max_id,
                         bool raw)
{
    count(request, RG_FOUND);
    if (raw) {
        tg_request_reply_text(request, row->schema);
        return;
    }
    tg_buf_t body = tg_buf_make(TG_REQUEST_ANSWER_MAX);
    tg_answer_schema(row, max_id, &body);
    tg_request_reply(request, &body);
}

static void reply_kept(tg_request_t *request, const tg_store_row_t *row, uint64_t deletions)
{
    struct by_id *op = request->user;
    tg_answers_t *answers = request->thread->answers;
    tg_buf_t body = tg_buf_make(TG_REQUEST_ANSWER_MAX);
    tg_answer_schema(row, (tg_str_t){NULL, 0}, &body);
    if (!body.failed && tg_answers_see(answers, deletions))
        tg_answers_put(answers, request->context, op->id, tg_buf_view(&body));
    count(request, RG_FOUND);
    tg_request_reply(request, &body);
}

static void answer_resolved(tg_request_t *request, const tg_store_row_t *row)
{
    const struct by_id *op = request->user;
    reply_schema(request, row, (tg_str_t){NULL, 0}, op->raw);
}

static void on_schema(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_request_t *request = arg;
    struct by_id *op = request->user;
    if (!tg_request_woken(request, status, answer))
        return;
    const PGresult *rows = answer->results[0];
    if (PQntuples(rows) == 0) {
        count(request, RG_MISSING);
        tg_request_fail(request, 40403, "Schema %u not found", op->id);
        return;
    }
    tg_store_row_t row = tg_store_read_row(rows, 0);
    tg_str_t max_id = tg_pg_text(rows, 0, TG_STORE_MAX_ID_COLUMN);
    bool written_out = op->format == TG_FORMAT_RESOLVED && row.references.ptr != NULL;
    if (written_out)
        tg_resolved_answer(request, &row, op->format, answer_resolved);
    else if (op->cacheable)
        reply_kept(request, &row, tg_store_read_count(rows, 0, TG_STORE_DELETIONS_COLUMN));
    else
        reply_schema(request, &row, op->with_max ? max_id : (tg_str_t){NULL, 0}, op->raw);
}

static bool reply_from_cache(tg_request_t *request, uint32_t id)
{
    tg_str_t body = tg_answers_get(request->thread->answers, request->context, id);
    tg_metric_add(request->thread->shard, RG_CACHE, body.ptr == NULL, 1);
    if (body.ptr == NULL)
        return false;
    count(request, RG_FOUND);
    tg_request_reply_text(request, body);
    return true;
}

/* "subject" chooses the context; false when answered. */
static bool take_subject(tg_request_t *request, tg_str_t *out_name)
{
    tg_subject_name_t subject;
    tg_str_t text = tg_request_text(request, "subject", 0);
    *out_name = (tg_str_t){NULL, 0};
    if (text.len == 0)
        return true;
    if (tg_request_take_subject(request, text, &subject) != TG_OK)
        return false;
    request->context = subject.context;
    if (!request->viewer.tenant && subject.context.len == 0 && subject.name.len > 0)
        *out_name = subject.name;
    return true;
}

static bool parse_id(tg_request_t *request, uint32_t *out_id)
{
    uint64_t id = 0;
    tg_str_t text = tg_request_segment(request, 0);
    if (tg_str_to_u64(text, &id) != TG_OK || id < 1 || id > INT32_MAX) {
        count(request, RG_MISSING);
        tg_request_fail(request, 40403, "Schema " TG_STR_FMT " not found", TG_STR_ARG(text));
        return false;
    }
    *out_id = (uint32_t)id;
    return true;
}

static void get_by_id(tg_http_req_t *req, void *thread_ctx, bool raw)
{
    struct by_id op = {.raw = raw};
    tg_str_t subject = {NULL, 0};
    tg_request_t *request = tg_request_begin(req, thread_ctx);
    if (request == NULL || !parse_id(request, &op.id))
        return;
    request->behind = TG_STR("");
    if (tg_http_query_text(req).len > 0) {
        op.format = tg_request_format(request);
        op.with_max = tg_request_flag(request, "fetchMaxId");
        if (!take_subject(request, &subject))
            return;
    }
    op.cacheable = !raw && !op.with_max && op.format == TG_FORMAT_PRINTED;
    if (op.cacheable && reply_from_cache(request, op.id))
        return;
    op.cacheable = op.cacheable && subject.ptr == NULL;
    struct by_id *kept = tg_request_state(request, sizeof(op));
    if (kept == NULL)
        return;
    *kept = op;
    tg_store_ask_t ask = tg_request_ask(request, on_schema);
    tg_request_wait(request,
                    tg_store_schema(&ask, op.id, subject, op.format == TG_FORMAT_ORIGINAL));
}

static void get_schema(tg_http_req_t *req, void *thread_ctx)
{
    get_by_id(req, thread_ctx, false);
}

static void get_schema_text(tg_http_req_t *req, void *thread_ctx)
{
    get_by_id(req, thread_ctx, true);
}

/* --- GET /schemas/ids/:id/subjects and /versions --- */

/* A row with no subject says that the schema is there and is used nowhere (any more). */
static void reply_uses(tg_request_t *request, const PGresult *rows, bool versions)
{
    tg_buf_t body = tg_buf_make(TG_REQUEST_ANSWER_MAX);
    tg_str_t before = {NULL, 0};
    tg_buf_byte(&body, '[');
    for (int i = 0; i < PQntuples(rows); i++) {
        tg_str_t context = tg_pg_text(rows, i, 1), subject = tg_pg_text(rows, i, 2);
        if (subject.ptr == NULL || (!versions && tg_str_eq(subject, before)))
            continue;
        before = subject;
        if (body.len > 1)
            tg_buf_byte(&body, ',');
        if (versions)
            tg_buf_str(&body, TG_STR("{\"subject\":"));
        tg_context_print_subject(&request->viewer, context, subject, &body);
        if (versions)
            tg_buf_printf(&body, ",\"version\":" TG_STR_FMT "}",
                          TG_STR_ARG(tg_pg_text(rows, i, 3)));
    }
    tg_buf_byte(&body, ']');
    count(request, RG_FOUND);
    tg_request_reply(request, &body);
}

static void on_uses(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_request_t *request = arg;
    const struct by_id *op = request->user;
    if (!tg_request_woken(request, status, answer))
        return;
    if (tg_store_known(answer->results[0])) {
        reply_uses(request, answer->results[0], op->raw);
        return;
    }
    count(request, RG_MISSING);
    tg_request_fail(request, 40403, "Schema %u not found", op->id);
}

static void get_uses(tg_http_req_t *req, void *thread_ctx, bool versions)
{
    tg_subject_name_t subject = {TG_STR(""), {NULL, 0}};
    tg_store_page_t page;
    tg_request_t *request = tg_request_begin(req, thread_ctx);
    struct by_id *op = request == NULL ? NULL : tg_request_state(request, sizeof(*op));
    if (op == NULL || !parse_id(request, &op->id))
        return;
    op->raw = versions;
    request->behind = TG_STR("");
    tg_str_t text = tg_request_text(request, "subject", 0);
    if (!tg_request_page(request, TG_STORE_ROWS_MAX, &page) ||
        (text.len > 0 && tg_request_take_subject(request, text, &subject) != TG_OK))
        return;
    if (text.len > 0)
        request->context = subject.context;
    tg_store_ask_t ask = tg_request_ask(request, on_uses);
    tg_request_wait(request, tg_store_uses(&ask, op->id, subject.name, &page));
}

static void get_id_subjects(tg_http_req_t *req, void *thread_ctx)
{
    get_uses(req, thread_ctx, false);
}

static void get_id_versions(tg_http_req_t *req, void *thread_ctx)
{
    get_uses(req, thread_ctx, true);
}

/* --- GET /schemas/guids/:guid and /ids --- */

static bool is_guid(tg_str_t text)
{
    if (text.len != 36)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        char c = text.ptr[i], lower = (char)(c | 0x20);
        bool digit = (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'f');
        if (dash ? c != '-' : !digit)
            return false;
    }
    return true;
}

static void on_guid(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_request_t *request = arg;
    if (!tg_request_woken(request, status, answer))
        return;
    if (PQntuples(answer->results[0]) == 0) {
        tg_request_no_schema(request);
        return;
    }
    tg_store_row_t row = tg_store_read_row(answer->results[0], 0);
    reply_schema(request, &row, (tg_str_t){NULL, 0}, false);
}

static void get_guid(tg_http_req_t *req, void *thread_ctx)
{
    tg_request_t *request = tg_request_begin(req, thread_ctx);
    if (request == NULL)
        return;
    tg_str_t guid = tg_request_segment(request, 0);
    if (!is_guid(guid)) {
        tg_request_no_schema(request);
        return;
    }
    bool original = tg_str_eq(tg_request_text(request, "format", 0), TG_STR("original"));
    tg_store_ask_t ask = tg_request_ask(request, on_guid);
    tg_request_wait(request, tg_store_guid(&ask, guid, !request->viewer.tenant, original));
}

static void on_guid_ids(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_request_t *request = arg;
    if (!tg_request_woken(request, status, answer))
        return;
    const PGresult *rows = answer->results[0];
    tg_buf_t body = tg_buf_make(TG_REQUEST_ANSWER_MAX);
    tg_buf_byte(&body, '[');
    for (int i = 0; i < PQntuples(rows); i++) {
        tg_buf_str(&body, i > 0 ? TG_STR(",{\"context\":") : TG_STR("{\"context\":"));
        tg_context_print(&request->viewer, tg_pg_text(rows, i, 1), &body);
        tg_buf_printf(&body, ",\"id\":" TG_STR_FMT "}", TG_STR_ARG(tg_pg_text(rows, i, 2)));
    }
    tg_buf_byte(&body, ']');
    count(request, RG_FOUND);
    tg_request_reply(request, &body);
}

static void get_guid_ids(tg_http_req_t *req, void *thread_ctx)
{
    tg_request_t *request = tg_request_begin(req, thread_ctx);
    if (request == NULL)
        return;
    tg_str_t guid = tg_request_segment(request, 0);
    if (!is_guid(guid)) {
        tg_request_reply_text(request, TG_STR("[]"));
        return;
    }
    tg_store_ask_t ask = tg_request_ask(request, on_guid_ids);
    tg_request_wait(request, tg_store_guid_ids(&ask, guid, !request->viewer.tenant));
}

/* --- GET /schemas --- */

static void on_schemas(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_request_t *request = arg;
    if (!tg_request_woken(request, status, answer))
        return;
    tg_buf_t body = tg_buf_make(TG_REQUEST_ANSWER_MAX);
    tg_buf_byte(&body, '[');
    for (int i = 0; i < PQntuples(answer->results[0]); i++) {
        tg_store_row_t row = tg_store_read_row(answer->results[0], i);
        if (i > 0)
            tg_buf_byte(&body, ',');
        tg_answer_version(request, &row, &body);
    }
    tg_buf_byte(&body, ']');
    count(request, RG_FOUND);
    tg_request_reply(request, &body);
}

static void get_schemas(tg_http_req_t *req, void *thread_ctx)
{
    tg_store_page_t page;
    tg_str_t prefix;
    tg_request_t *request = tg_request_begin(req, thread_ctx);
    if (request == NULL || !tg_request_page(request, TG_STORE_SCHEMAS_MAX, &page))
        return;
    bool latest_only = tg_request_flag(request, "latestOnly");
    tg_store_ask_t ask = tg_request_ask(request, on_schemas);
    if (tg_request_prefix(request, &ask, &prefix))
        tg_request_wait(request, tg_store_schemas(&ask, prefix, latest_only, &page));
}

// clang-format off
const tg_registry_route_t tg_schemas_routes[] = {
    {"GET", "/schemas/ids/:id",          get_schema,      0},
    {"GET", "/schemas/ids/:id/schema",   get_schema_text, 0},
    {"GET", "/schemas/ids/:id/subjects", get_id_subjects, 0},
    {"GET", "/schemas/ids/:id/versions", get_id_versions, 0},
    {"GET", "/schemas/guids/:guid",      get_guid,        0},
    {"GET", "/schemas/guids/:guid/ids",  get_guid_ids,    0},
    {"GET", "/schemas",                  get_schemas,     0},
};
// clang-format on
const size_t tg_schemas_route_count = TG_ARRAY_LEN(tg_schemas_routes);
