/* What is asked of the registry as a whole: contexts, types, who it is. */
#include "registry/routes.h"

static void get_root(tg_http_req_t *req, void *thread_ctx)
{
    tg_request_t *request = tg_request_begin(req, thread_ctx);
    if (request != NULL)
        tg_request_reply_text(request, TG_STR("{}"));
}

static void get_types(tg_http_req_t *req, void *thread_ctx)
{
    tg_request_t *request = tg_request_begin(req, thread_ctx);
    if (request != NULL)
        tg_request_reply_text(request, TG_STR("[\"AVRO\"]"));
}

static void get_cluster(tg_http_req_t *req, void *thread_ctx)
{
    tg_request_t *request = tg_request_begin(req, thread_ctx);
    if (request != NULL)
        tg_request_reply_text(request, TG_STR("{\"id\":\"\",\"scope\":{\"path\":[],\"clusters\":"
                                              "{\"schema-registry-cluster\":\"tidegate\"}}}"));
}

static void get_release(tg_http_req_t *req, void *thread_ctx)
{
    tg_request_t *request = tg_request_begin(req, thread_ctx);
    if (request != NULL)
        tg_request_reply_text(request,
                              TG_STR("{\"version\":\"" TG_VERSION "\",\"commitId\":\"\"}"));
}

/* The default context is always there. */
static void on_contexts(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_request_t *request = arg;
    if (!tg_request_woken(request, status, answer))
        return;
    const PGresult *rows = answer->results[0];
    tg_buf_t body = tg_buf_make(TG_REQUEST_ANSWER_MAX);
    tg_buf_str(&body, TG_STR("[\".\""));
    for (int i = 0; i < PQntuples(rows); i++) {
        tg_str_t context = tg_pg_text(rows, i, 1);
        if (context.len == 0)
            continue;
        tg_buf_byte(&body, ',');
        tg_context_print(&request->viewer, context, &body);
    }
    tg_buf_byte(&body, ']');
    tg_request_reply(request, &body);
}

static void get_contexts(tg_http_req_t *req, void *thread_ctx)
{
    tg_request_t *request = tg_request_begin(req, thread_ctx);
    if (request == NULL)
        return;
    if (request->viewer.tenant) {
        tg_request_reply_text(request, TG_STR("[\".\"]"));
        return;
    }
    tg_store_ask_t ask = tg_request_ask(request, on_contexts);
    tg_request_wait(request, tg_store_contexts(&ask));
}

// clang-format off
const tg_registry_route_t tg_contexts_routes[] = {
    {"GET", "/",                    get_root,     0},
    {"GET", "/contexts",            get_contexts, 0},
    {"GET", "/schemas/types",       get_types,    0},
    {"GET", "/v1/metadata/id",      get_cluster,  0},
    {"GET", "/v1/metadata/version", get_release,  0},
};
// clang-format on
const size_t tg_contexts_route_count = TG_ARRAY_LEN(tg_contexts_routes);
