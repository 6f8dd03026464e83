/* /subjects/:subject/versions, but for registration: begin → one call of the store → its on_
 * callback answers. */
#include "registry/metrics.h"
#include "registry/resources/answer.h"
#include "registry/resources/deletion.h"
#include "registry/resources/resolved.h"
#include "registry/routes.h"

static void count_found(tg_request_t *request)
{
    tg_metric_add(request->thread->shard, RG_READS, RG_FOUND, 1);
}

static tg_request_t *begin(tg_http_req_t *req, void *thread_ctx)
{
    tg_request_t *request = tg_request_begin(req, thread_ctx);
    return request != NULL && tg_request_subject(request, 0, 0) ? request : NULL;
}

/* --- GET …/versions --- */

static void on_versions(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_request_t *request = arg;
    if (!tg_request_woken(request, status, answer))
        return;
    const PGresult *rows = answer->results[0];
    if (!tg_store_known(rows)) {
        tg_request_no_subject(request);
        return;
    }
    tg_buf_t body = tg_buf_make(TG_REQUEST_ANSWER_MAX);
    tg_buf_byte(&body, '[');
    for (int i = 0; i < PQntuples(rows); i++) {
        if (i > 0)
            tg_buf_byte(&body, ',');
        tg_buf_str(&body, tg_pg_text(rows, i, 1)); /* the one row of an empty list has none */
    }
    tg_buf_byte(&body, ']');
    count_found(request);
    tg_request_reply(request, &body);
}

static void get_versions(tg_http_req_t *req, void *thread_ctx)
{
    tg_store_page_t page;
    tg_request_t *request = begin(req, thread_ctx);
    if (request == NULL || !tg_request_page(request, TG_STORE_ROWS_MAX, &page))
        return;
    bool negative = tg_request_flag(request, "deletedAsNegative");
    tg_store_ask_t ask = tg_request_ask(request, on_versions);
    tg_request_wait(request, tg_store_versions(&ask, request->subject.name, negative, &page));
}

/* --- GET …/versions/:version and /schema --- */

static void fail_missing(tg_request_t *request, bool subject_known)
{
    tg_str_t wanted = tg_request_segment(request, 1);
    bool latest = tg_str_eq(wanted, TG_STR("latest"));
    if (!subject_known)
        tg_request_no_subject(request);
    else
        tg_request_no_version(request, latest ? TG_STR("-1") : wanted);
}

/* What is to be answered, and how. */
struct one {
    tg_format_t format;
    tg_resolved_fn answer;
};

static void answer_version(tg_request_t *request, const tg_store_row_t *row)
{
    tg_buf_t body = tg_buf_make(TG_REQUEST_ANSWER_MAX);
    tg_answer_version(request, row, &body);
    count_found(request);
    tg_request_reply(request, &body);
}

static void answer_text(tg_request_t *request, const tg_store_row_t *row)
{
    count_found(request);
    tg_request_reply_text(request, row->schema);
}

static void on_version(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_request_t *request = arg;
    const struct one *op = request->user;
    if (!tg_request_woken(request, status, answer))
        return;
    tg_store_row_t row = tg_store_read_row(answer->results[0], 0);
    if (row.found)
        tg_resolved_answer(request, &row, op->format, op->answer);
    else
        fail_missing(request, row.subject_known);
}

static void get_one(tg_http_req_t *req, void *thread_ctx, tg_resolved_fn answer)
{
    uint32_t version = 0;
    tg_request_t *request = begin(req, thread_ctx);
    if (request == NULL || !tg_request_version(request, tg_request_segment(request, 1), &version))
        return;
    struct one *op = tg_request_state(request, sizeof(*op));
    if (op == NULL)
        return;
    *op = (struct one){.format = tg_request_format(request), .answer = answer};
    tg_store_form_t form = {.deleted = tg_request_flag(request, "deleted"),
                            .original = op->format == TG_FORMAT_ORIGINAL};
    tg_store_ask_t ask = tg_request_ask(request, on_version);
    tg_request_wait(request, tg_store_version(&ask, request->subject.name, version, form));
}

static void get_version(tg_http_req_t *req, void *thread_ctx)
{
    get_one(req, thread_ctx, answer_version);
}

static void get_version_text(tg_http_req_t *req, void *thread_ctx)
{
    get_one(req, thread_ctx, answer_text);
}

/* --- GET …/versions/:version/referencedby --- */

static void on_referenced_by(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_request_t *request = arg;
    if (!tg_request_woken(request, status, answer))
        return;
    const PGresult *rows = answer->results[0];
    if (!tg_store_known(rows)) {
        bool subject_known = tg_str_eq(tg_pg_text(rows, 0, 2), TG_STR("t"));
        fail_missing(request, subject_known);
        return;
    }
    tg_buf_t body = tg_buf_make(TG_REQUEST_ANSWER_MAX);
    tg_buf_byte(&body, '[');
    for (int i = 0; i < PQntuples(rows); i++) {
        if (i > 0)
            tg_buf_byte(&body, ',');
        tg_buf_str(&body, tg_pg_text(rows, i, 1));
    }
    tg_buf_byte(&body, ']');
    count_found(request);
    tg_request_reply(request, &body);
}

static void get_referenced_by(tg_http_req_t *req, void *thread_ctx)
{
    uint32_t version = 0;
    tg_request_t *request = begin(req, thread_ctx);
    if (request == NULL || !tg_request_version(request, tg_request_segment(request, 1), &version))
        return;
    tg_store_ask_t ask = tg_request_ask(request, on_referenced_by);
    tg_request_wait(request, tg_store_referenced_by(&ask, request->subject.name, version,
                                                    !request->viewer.tenant));
}

/* --- DELETE …/versions/:version --- */

static void delete_version(tg_http_req_t *req, void *thread_ctx)
{
    tg_request_t *request = begin(req, thread_ctx);
    if (request != NULL)
        tg_deletion_begin(request, tg_request_segment(request, 1));
}

// clang-format off
const tg_registry_route_t tg_versions_routes[] = {
    {"GET",    "/subjects/:subject/versions",                       get_versions,      0},
    {"GET",    "/subjects/:subject/versions/:version",              get_version,       0},
    {"GET",    "/subjects/:subject/versions/:version/schema",       get_version_text,  0},
    {"GET",    "/subjects/:subject/versions/:version/referencedby", get_referenced_by, 0},
    {"DELETE", "/subjects/:subject/versions/:version",              delete_version,    TG_REQUEST_BODY_MAX},
};
// clang-format on
const size_t tg_versions_route_count = TG_ARRAY_LEN(tg_versions_routes);
