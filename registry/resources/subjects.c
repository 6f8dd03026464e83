/* /subjects and /subjects/:subject: lists, look-ups, deletion. */
#include "registry/metrics.h"
#include "registry/resources/answer.h"
#include "registry/resources/candidate.h"
#include "registry/resources/deletion.h"
#include "registry/routes.h"

static void count_found(tg_request_t *request)
{
    tg_metric_add(request->thread->shard, RG_READS, RG_FOUND, 1);
}

/* --- GET /subjects --- */

static void on_subjects(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_request_t *request = arg;
    if (!tg_request_woken(request, status, answer))
        return;
    const PGresult *rows = answer->results[0];
    tg_buf_t body = tg_buf_make(TG_REQUEST_ANSWER_MAX);
    tg_buf_byte(&body, '[');
    for (int i = 0; i < PQntuples(rows); i++) {
        if (i > 0)
            tg_buf_byte(&body, ',');
        tg_context_print_subject(&request->viewer, tg_pg_text(rows, i, 1), tg_pg_text(rows, i, 2),
                                 &body);
    }
    tg_buf_byte(&body, ']');
    count_found(request);
    tg_request_reply(request, &body);
}

static void get_subjects(tg_http_req_t *req, void *thread_ctx)
{
    tg_store_page_t page;
    tg_str_t prefix;
    tg_request_t *request = tg_request_begin(req, thread_ctx);
    if (request == NULL || !tg_request_page(request, TG_STORE_ROWS_MAX, &page))
        return;
    tg_store_ask_t ask = tg_request_ask(request, on_subjects);
    if (tg_request_prefix(request, &ask, &prefix))
        tg_request_wait(request, tg_store_subjects(&ask, prefix, request->viewer.tenant, &page));
}

/* --- POST /subjects/:subject --- */

static void dispose(tg_request_t *request)
{
    tg_candidate_dispose(request->user);
}

static void on_found(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_request_t *request = arg;
    if (!tg_request_woken(request, status, answer))
        return;
    tg_store_row_t row = tg_store_read_row(answer->results[0], 0);
    if (!row.subject_known) {
        tg_request_no_subject(request);
        return;
    }
    if (!row.found) {
        tg_request_no_schema(request);
        return;
    }
    tg_buf_t body = tg_buf_make(TG_REQUEST_ANSWER_MAX);
    tg_answer_version(request, &row, &body);
    count_found(request);
    tg_request_reply(request, &body);
}

/* A client that says nothing of metadata finds the schema with any. */
static void on_candidate(tg_request_t *request, tg_candidate_t *candidate)
{
    bool any = candidate->body.metadata.ptr == NULL;
    tg_store_wanted_t wanted = {
        .identity = {candidate->identity.hex, TG_IDENTITY_LEN},
        .printed = any ? tg_buf_view(&candidate->printed) : (tg_str_t){NULL, 0},
        .has_references = candidate->body.references.count > 0,
    };
    tg_store_form_t form = {.deleted = tg_request_flag(request, "deleted"),
                            .original = tg_str_eq(tg_request_text(request, "format", 0),
                                                  TG_STR("original"))};
    tg_store_ask_t ask = tg_request_ask(request, on_found);
    tg_request_wait(request, tg_store_find(&ask, candidate->subject, &wanted, form));
}

static void post_lookup(tg_http_req_t *req, void *thread_ctx)
{
    tg_request_t *request = tg_request_begin(req, thread_ctx);
    if (request == NULL || !tg_request_subject(request, 0, 0))
        return;
    tg_candidate_t *candidate = tg_request_state(request, sizeof(*candidate));
    if (candidate == NULL)
        return;
    candidate->done = on_candidate;
    request->dispose = dispose;
    tg_candidate_begin(request, candidate);
}

/* --- GET /subjects/:subject/metadata --- */

#define PAIRS_MAX 16

/* The pairs of key and value as a JSON object; false when answered. */
static bool take_pairs(tg_request_t *request, tg_str_t *out_json)
{
    tg_buf_t json = tg_buf_make(64u << 10);
    unsigned count = 0;
    for (; count < PAIRS_MAX; count++) {
        tg_str_t key = tg_request_text(request, "key", count);
        tg_str_t value = tg_request_text(request, "value", count);
        if (key.ptr == NULL || value.ptr == NULL)
            break;
        tg_buf_byte(&json, count == 0 ? '{' : ',');
        tg_buf_json_string(&json, key);
        tg_buf_byte(&json, ':');
        tg_buf_json_string(&json, value);
    }
    tg_buf_byte(&json, '}');
    *out_json = tg_arena_copy(request->arena, tg_buf_view(&json));
    bool good = count > 0 && !json.failed && out_json->ptr != NULL;
    tg_buf_dispose(&json);
    if (!good)
        tg_request_fail(request, 400, "Name one to %d pairs of key and value.", PAIRS_MAX);
    return good;
}

static void get_metadata(tg_http_req_t *req, void *thread_ctx)
{
    tg_str_t wanted;
    tg_request_t *request = tg_request_begin(req, thread_ctx);
    if (request == NULL || !tg_request_subject(request, 0, 0) || !take_pairs(request, &wanted))
        return;
    tg_store_form_t form = {.deleted = tg_request_flag(request, "deleted"),
                            .original = tg_str_eq(tg_request_text(request, "format", 0),
                                                  TG_STR("original"))};
    tg_store_ask_t ask = tg_request_ask(request, on_found);
    tg_request_wait(request, tg_store_with_metadata(&ask, request->subject.name, wanted, form));
}

/* --- DELETE /subjects/:subject --- */

static void delete_subject(tg_http_req_t *req, void *thread_ctx)
{
    tg_request_t *request = tg_request_begin(req, thread_ctx);
    if (request != NULL && tg_request_subject(request, 0, 0))
        tg_deletion_begin(request, (tg_str_t){NULL, 0});
}

// clang-format off
const tg_registry_route_t tg_subjects_routes[] = {
    {"GET",    "/subjects",                   get_subjects,   0},
    {"POST",   "/subjects/:subject",          post_lookup,    TG_REQUEST_BODY_MAX},
    {"DELETE", "/subjects/:subject",          delete_subject, TG_REQUEST_BODY_MAX},
    {"GET",    "/subjects/:subject/metadata", get_metadata,   0},
};
// clang-format on
const size_t tg_subjects_route_count = TG_ARRAY_LEN(tg_subjects_routes);
