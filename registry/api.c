/* Each handler: begin → one call of the store → its on_ callback answers. Registration asks first
 * and writes only what is not there: begin → on_looked_up → on_registered. */
#include "registry/api.h"

#include "common/base/time.h"
#include "common/event/event.h"
#include "common/observe/log.h"
#include "registry/metrics.h"
#include "registry/registry.h"
#include "registry/store.h"
#include "registry/submission.h"

#define CONTENT_TYPE "application/vnd.schemaregistry.v1+json"
#define ANSWER_MAX   ((size_t)64 << 20)
#define NO_FIELD     ((tg_str_t){NULL, 0})

/* One request; lives in its arena. */
struct op {
    tg_http_req_t *req;
    tg_registry_thread_t *thread;
    tg_pg_call_t *call; /* the one wait in flight */
    uint64_t asked_us;
    tg_str_t context, subject, schema;
    char fingerprint[TG_FINGERPRINT_LEN];
    tg_str_t wanted; /* the version or id of the path */
    bool registers;
};

/* --- the ends of a request --- */

static void count(struct op *op, unsigned result)
{
    tg_metric_add(op->thread->shard, op->registers ? RG_REGISTERED : RG_READS, result, 1);
}

static void reply(struct op *op, tg_buf_t *body)
{
    if (body->failed) {
        tg_buf_dispose(body);
        tg_http_fail(op->req, 500, "50001", NO_FIELD, "The answer is too large.");
        return;
    }
    tg_http_reply_buf(op->req, 200, CONTENT_TYPE, body);
}

static const struct store_failure {
    tg_status_t status;
    int http_code;
    const char *code, *message;
} store_failures[] = {
    {TG_UNAVAILABLE, 503, "50001", "The registry's database cannot be reached; try again."},
    {TG_FULL, 503, "50001", "Too many requests wait for the registry's database; try again."},
    {TG_NOMEM, 503, "50001", "The registry is out of memory; try again."},
    {TG_TIMEOUT, 504, "50002", "The registry's database took too long; try again."},
    {TG_INVALID, 422, "42201", "The text holds characters that cannot be stored."},
    {TG_INTERNAL, 500, "50001", "The registry's database refused the request."},
};

static void fail_store(struct op *op, tg_status_t status, const tg_pg_answer_t *answer)
{
    const struct store_failure *failure = &store_failures[TG_ARRAY_LEN(store_failures) - 1];
    for (size_t i = 0; i < TG_ARRAY_LEN(store_failures); i++) {
        if (store_failures[i].status == status)
            failure = &store_failures[i];
    }
    count(op, op->registers ? RG_FAILED : RG_READ_FAILED);
    if (failure->http_code == 500)
        tg_log_error("database_refused", TG_F_TEXT("status", tg_status_name(status)),
                     TG_F_TEXT("sqlstate", answer->sqlstate), TG_F_TEXT("error", answer->message),
                     TG_F_STR("request_id", tg_http_request_id(op->req)));
    if (failure->http_code == 503)
        tg_http_add_header(op->req, "retry-after", TG_STR("1"));
    tg_http_fail(op->req, failure->http_code, failure->code, NO_FIELD, "%s", failure->message);
}

static void fail_missing(struct op *op, const char *code, const char *what, tg_str_t name)
{
    count(op, RG_MISSING);
    tg_http_fail(op->req, 404, code, NO_FIELD, "%s '" TG_STR_FMT "' not found.", what,
                 TG_STR_ARG(name));
}

/* --- the beginning --- */

static void on_cancel(void *user)
{
    struct op *op = user;
    assert(op->call != NULL);
    tg_pg_call_cancel(op->call);
}

/* NULL when the request is answered already. */
static struct op *begin(tg_http_req_t *req, void *thread_ctx)
{
    tg_str_t tenant = tg_http_tenant(req);
    if (tenant.len > 0 && !tg_event_tenant_ok(tenant)) {
        tg_http_fail(req, 400, "400", NO_FIELD, "X-Tidegate-Tenant is no tenant id.");
        return NULL;
    }
    struct op *op = tg_arena_alloc(tg_http_arena(req), sizeof(*op));
    if (op == NULL) {
        tg_http_fail(req, 503, "50001", NO_FIELD, "The registry is out of memory; try again.");
        return NULL;
    }
    op->req = req;
    op->thread = thread_ctx;
    op->context = tenant.len > 0 ? tenant : TG_STR("");
    return op;
}

static struct op *begin_subject(tg_http_req_t *req, void *thread_ctx)
{
    struct op *op = begin(req, thread_ctx);
    if (op == NULL)
        return NULL;
    op->subject = tg_http_segment(req, 0);
    if (!tg_subject_ok(op->subject)) {
        tg_http_fail(req, 422, "42208", NO_FIELD,
                     "The subject is 1 to %d bytes without control characters, and without a "
                     "context of its own (the API key's tenant is the context).",
                     TG_SUBJECT_MAX);
        return NULL;
    }
    return op;
}

/* Reads and checks the submitted schema; NULL when answered already. */
static struct op *begin_submission(tg_http_req_t *req, void *thread_ctx, bool registers)
{
    struct op *op = begin_subject(req, thread_ctx);
    tg_error_t error = {.status = TG_OK};
    if (op == NULL)
        return NULL;
    op->registers = registers;
    tg_status_t status = tg_submission_read(op->thread->parser, tg_http_body(req),
                                            tg_http_arena(req), &op->schema, &error);
    if (status == TG_OK)
        status = tg_submission_check(op->subject, op->schema, op->fingerprint, &error);
    if (status == TG_OK)
        return op;
    if (registers)
        count(op, RG_INVALID);
    tg_http_fail(req, status == TG_NOMEM ? 503 : 422, status == TG_NOMEM ? "50001" : "42201",
                 NO_FIELD, "%s", error.text);
    return NULL;
}

static tg_store_ask_t ask(struct op *op, tg_pg_done_fn done)
{
    assert(op->context.ptr != NULL); /* NULL would be SQL NULL, which is no context */
    op->asked_us = tg_time_mono_us();
    return (tg_store_ask_t){.pool = op->thread->pool,
                            .context = op->context,
                            .deadline_at_ms = tg_http_deadline_at(op->req),
                            .done = done,
                            .arg = op};
}

static void wait_for(struct op *op, tg_pg_call_t *call)
{
    assert(op->call == NULL); /* one wait at a time */
    static const tg_pg_answer_t none = {.sqlstate = "", .message = ""};
    op->call = call;
    if (call == NULL)
        fail_store(op, TG_NOMEM, &none);
    else
        tg_http_set_user(op->req, op, on_cancel);
}

/* The first lines of each callback; false when the request is answered. */
static bool answered_well(struct op *op, tg_status_t status, const tg_pg_answer_t *answer)
{
    assert(op->call != NULL);
    assert(status != TG_OK || answer->results != NULL);
    op->call = NULL;
    tg_metric_observe(op->thread->shard, RG_DB_S, 0,
                      (double)(tg_time_mono_us() - op->asked_us) / 1e6);
    if (status != TG_OK)
        fail_store(op, status, answer);
    return status == TG_OK;
}

static tg_str_t fingerprint_of(const struct op *op)
{
    return (tg_str_t){op->fingerprint, TG_FINGERPRINT_LEN};
}

/* --- POST /subjects/:subject/versions --- */

static void reply_id(struct op *op, tg_str_t id)
{
    tg_buf_t body = tg_buf_make(ANSWER_MAX);
    tg_buf_printf(&body, "{\"id\":" TG_STR_FMT "}", TG_STR_ARG(id));
    reply(op, &body);
}

static void on_registered(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    struct op *op = arg;
    if (!answered_well(op, status, answer))
        return;
    tg_store_registered_t row = tg_store_read_registered(answer);
    if (row.reserved) {
        count(op, RG_REFUSED);
        tg_http_fail(op->req, 403, "40301", NO_FIELD,
                     "The subject '" TG_STR_FMT "' is built in and cannot be changed by a tenant; "
                     "choose another name.",
                     TG_STR_ARG(op->subject));
    } else if (row.full) {
        count(op, RG_REFUSED);
        tg_http_fail(op->req, 422, "42210", NO_FIELD,
                     "The tenant has reached its limit of %llu schemas.",
                     (unsigned long long)op->thread->config->max_schemas);
    } else {
        count(op, RG_NEW);
        tg_log_info("schema_registered", TG_F_STR("tenant", op->context),
                    TG_F_STR("subject", op->subject), TG_F_STR("id", row.id),
                    TG_F_STR("version", row.version),
                    TG_F_STR("request_id", tg_http_request_id(op->req)));
        reply_id(op, row.id);
    }
}

static void on_looked_up(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    struct op *op = arg;
    if (!answered_well(op, status, answer))
        return;
    tg_store_row_t row = tg_store_read_row(answer);
    if (row.found) {
        count(op, RG_EXISTING);
        reply_id(op, row.id);
        return;
    }
    tg_store_ask_t question = ask(op, on_registered);
    wait_for(op, tg_store_register(&question, op->subject, op->schema, fingerprint_of(op),
                                   op->thread->config->max_schemas));
}

static void post_version(tg_http_req_t *req, void *thread_ctx)
{
    struct op *op = begin_submission(req, thread_ctx, true);
    if (op == NULL)
        return;
    tg_store_ask_t question = ask(op, on_looked_up);
    wait_for(op, tg_store_find(&question, op->subject, fingerprint_of(op)));
}

/* --- POST /subjects/:subject and GET /subjects/:subject/versions/:version --- */

static void reply_version(struct op *op, const tg_store_row_t *row)
{
    assert(row->found);
    tg_buf_t body = tg_buf_make(ANSWER_MAX);
    tg_buf_str(&body, TG_STR("{\"subject\":"));
    tg_buf_json_string(&body, op->subject);
    tg_buf_printf(&body, ",\"version\":" TG_STR_FMT ",\"id\":" TG_STR_FMT ",\"schema\":",
                  TG_STR_ARG(row->version), TG_STR_ARG(row->id));
    tg_buf_json_string(&body, row->schema);
    tg_buf_byte(&body, '}');
    count(op, RG_FOUND);
    reply(op, &body);
}

static void on_version(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    struct op *op = arg;
    if (!answered_well(op, status, answer))
        return;
    tg_store_row_t row = tg_store_read_row(answer);
    if (row.found)
        reply_version(op, &row);
    else if (!row.subject_known)
        fail_missing(op, "40401", "Subject", op->subject);
    else if (op->wanted.len > 0)
        fail_missing(op, "40402", "Version", op->wanted);
    else
        fail_missing(op, "40403", "This schema under subject", op->subject);
}

static void post_lookup(tg_http_req_t *req, void *thread_ctx)
{
    struct op *op = begin_submission(req, thread_ctx, false);
    if (op == NULL)
        return;
    tg_store_ask_t question = ask(op, on_version);
    wait_for(op, tg_store_find(&question, op->subject, fingerprint_of(op)));
}

/* 1 to 2^31-1; "latest" and "-1" are 0. */
static bool parse_version(tg_str_t text, uint32_t *out_version)
{
    uint64_t value = 0;
    if (tg_str_eq(text, TG_STR("latest")) || tg_str_eq(text, TG_STR("-1"))) {
        *out_version = 0;
        return true;
    }
    if (tg_str_to_u64(text, &value) != TG_OK || value < 1 || value > INT32_MAX)
        return false;
    *out_version = (uint32_t)value;
    return true;
}

static void get_version(tg_http_req_t *req, void *thread_ctx)
{
    struct op *op = begin_subject(req, thread_ctx);
    uint32_t version = 0;
    if (op == NULL)
        return;
    op->wanted = tg_http_segment(req, 1);
    if (!parse_version(op->wanted, &version)) {
        tg_http_fail(req, 422, "42202", NO_FIELD,
                     "The specified version '" TG_STR_FMT "' is not a valid version id. Allowed "
                     "values are between [1, 2^31-1] and the string \"latest\"",
                     TG_STR_ARG(op->wanted));
        return;
    }
    tg_store_ask_t question = ask(op, on_version);
    wait_for(op, tg_store_version(&question, op->subject, version));
}

/* --- GET /subjects and /subjects/:subject/versions --- */

static void reply_list(struct op *op, const PGresult *rows, bool quoted)
{
    tg_buf_t body = tg_buf_make(ANSWER_MAX);
    tg_buf_byte(&body, '[');
    for (int i = 0; i < PQntuples(rows); i++) {
        if (i > 0)
            tg_buf_byte(&body, ',');
        if (quoted)
            tg_buf_json_string(&body, tg_pg_text(rows, i, 0));
        else
            tg_buf_str(&body, tg_pg_text(rows, i, 0));
    }
    tg_buf_byte(&body, ']');
    count(op, RG_FOUND);
    reply(op, &body);
}

static void on_subjects(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    struct op *op = arg;
    if (answered_well(op, status, answer))
        reply_list(op, answer->results[0], true);
}

static void get_subjects(tg_http_req_t *req, void *thread_ctx)
{
    struct op *op = begin(req, thread_ctx);
    if (op == NULL)
        return;
    tg_store_ask_t question = ask(op, on_subjects);
    wait_for(op, tg_store_subjects(&question));
}

static void on_versions(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    struct op *op = arg;
    if (!answered_well(op, status, answer))
        return;
    if (PQntuples(answer->results[0]) == 0)
        fail_missing(op, "40401", "Subject", op->subject);
    else
        reply_list(op, answer->results[0], false);
}

static void get_versions(tg_http_req_t *req, void *thread_ctx)
{
    struct op *op = begin_subject(req, thread_ctx);
    if (op == NULL)
        return;
    tg_store_ask_t question = ask(op, on_versions);
    wait_for(op, tg_store_versions(&question, op->subject));
}

/* --- GET /schemas/ids/:id and /schemas/types --- */

static void on_schema(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    struct op *op = arg;
    if (!answered_well(op, status, answer))
        return;
    if (PQntuples(answer->results[0]) == 0) {
        fail_missing(op, "40403", "Schema", op->wanted);
        return;
    }
    tg_buf_t body = tg_buf_make(ANSWER_MAX);
    tg_buf_str(&body, TG_STR("{\"schema\":"));
    tg_buf_json_string(&body, tg_pg_text(answer->results[0], 0, 0));
    tg_buf_byte(&body, '}');
    count(op, RG_FOUND);
    reply(op, &body);
}

static void get_schema(tg_http_req_t *req, void *thread_ctx)
{
    struct op *op = begin(req, thread_ctx);
    uint64_t id = 0;
    if (op == NULL)
        return;
    op->wanted = tg_http_segment(req, 0);
    if (tg_str_to_u64(op->wanted, &id) != TG_OK || id < 1 || id > INT32_MAX) {
        fail_missing(op, "40403", "Schema", op->wanted);
        return;
    }
    tg_store_ask_t question = ask(op, on_schema);
    wait_for(op, tg_store_schema(&question, (uint32_t)id));
}

static void get_types(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_http_reply(req, 200, CONTENT_TYPE, TG_STR("[\"AVRO\"]"));
}

// clang-format off
#define ROUTE(method, path, handler, body) \
    {method, path, handler, NULL, 0, body, TG_HTTP_CONFLUENT, TG_HTTP_ROUTE_INTERNAL, NULL}
const tg_http_route_t tg_api_routes[] = {
    ROUTE("GET",  "/schemas/types",                       get_types,    0),
    ROUTE("GET",  "/schemas/ids/:id",                     get_schema,   0),
    ROUTE("GET",  "/subjects",                            get_subjects, 0),
    ROUTE("POST", "/subjects/:subject",                   post_lookup,  TG_SUBMISSION_BODY_MAX),
    ROUTE("GET",  "/subjects/:subject/versions",          get_versions, 0),
    ROUTE("POST", "/subjects/:subject/versions",          post_version, TG_SUBMISSION_BODY_MAX),
    ROUTE("GET",  "/subjects/:subject/versions/:version", get_version,  0),
};
// clang-format on
const size_t tg_api_route_count = TG_ARRAY_LEN(tg_api_routes);
