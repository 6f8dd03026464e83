/* What every handler does first and last. Nothing is copied on the way in: texts live in the HTTP
 * request or its arena. */
#include "registry/request.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "common/base/hash.h"
#include "common/base/time.h"
#include "common/event/event.h"
#include "common/observe/log.h"
#include "registry/metrics.h"

#define NO_FIELD    ((tg_str_t){NULL, 0})
#define ANSWER_MS   10                  /* kept for saying that the database was too slow */
#define MESSAGE_MAX ((size_t)256 << 10) /* bytes of an error's body */

/* --- who asks --- */

static bool has_credentials(const tg_http_req_t *req, const tg_registry_thread_t *thread)
{
    static const char scheme[] = "Basic ";
    tg_str_t wanted = thread->operator_basic;
    tg_str_t given = tg_http_header(req, "authorization");
    size_t skip = sizeof(scheme) - 1;
    return wanted.len > 0 && given.len == skip + wanted.len &&
           strncasecmp(given.ptr, scheme, skip) == 0 &&
           tg_hash_equal_ct(given.ptr + skip, wanted.ptr, wanted.len);
}

static bool take_viewer(tg_request_t *request)
{
    tg_http_req_t *req = request->req;
    if (!tg_http_from_peer(req)) {
        if (has_credentials(req, request->thread))
            return true;
        tg_http_add_header(req, "www-authenticate", TG_STR("Basic realm=\"registry\""));
        tg_request_fail(request, 401,
                        "Operators only: name and password as configured (registry.operator.user, "
                        "registry.operator.password). Tenants use the gateway's /v2/registry.");
        return false;
    }
    tg_str_t tenant = tg_http_tenant(req);
    if (tenant.len == 0)
        return true;
    if (!tg_event_tenant_ok(tenant)) {
        tg_request_fail(request, 400, "X-Tidegate-Tenant is no tenant id.");
        return false;
    }
    request->viewer = (tg_viewer_t){.tenant = true, .own = tenant};
    return true;
}

static void fail_context(tg_request_t *request, tg_status_t status)
{
    if (status == TG_DENIED)
        tg_request_fail(request, 42211,
                        "A context cannot be named here: the API key's tenant is the context, and "
                        "it is the whole registry.");
    else
        tg_request_fail(request, 42211,
                        "A context's name is 1 to %d letters, digits, '_', '-' and '.', written "
                        "\":.name:\" before a subject.",
                        TG_CONTEXT_MAX);
}

static bool take_context(tg_request_t *request)
{
    request->context = request->viewer.own;
    bool prefixed = tg_http_matched(request->req)->user != NULL;
    if (prefixed) {
        request->first_segment = 1;
        tg_status_t status =
            tg_context_parse(&request->viewer, tg_http_segment(request->req, 0), &request->context);
        if (status != TG_OK) {
            fail_context(request, status);
            return false;
        }
    }
    request->behind = request->viewer.tenant ? TG_STR("") : request->context;
    return true;
}

tg_request_t *tg_request_begin(tg_http_req_t *req, void *thread_ctx)
{
    tg_request_t *request = tg_arena_alloc(tg_http_arena(req), sizeof(*request));
    if (request == NULL) {
        tg_http_fail(req, 503, "50001", NO_FIELD, "The registry is out of memory; try again.");
        return NULL;
    }
    request->req = req;
    request->thread = thread_ctx;
    request->arena = tg_http_arena(req);
    request->viewer = (tg_viewer_t){.own = TG_STR("")};
    return take_viewer(request) && take_context(request) ? request : NULL;
}

void *tg_request_state(tg_request_t *request, size_t size)
{
    assert(request->user == NULL);
    request->user = tg_arena_alloc(request->arena, size);
    if (request->user == NULL)
        tg_request_fail_store(request, TG_NOMEM, NULL);
    return request->user;
}

/* --- what is asked --- */

tg_str_t tg_request_segment(const tg_request_t *request, unsigned index)
{
    return tg_http_segment(request->req, request->first_segment + index);
}

tg_status_t tg_request_take_subject(tg_request_t *request, tg_str_t text,
                                    tg_subject_name_t *out_subject)
{
    tg_status_t status = tg_context_subject(&request->viewer, request->context, text, out_subject);
    if (status != TG_OK)
        fail_context(request, status);
    return status;
}

bool tg_request_subject(tg_request_t *request, unsigned segment, unsigned flags)
{
    tg_str_t text = tg_request_segment(request, segment);
    if (tg_request_take_subject(request, text, &request->subject) != TG_OK)
        return false;
    request->context = request->subject.context;
    if (!request->viewer.tenant)
        request->behind = request->context;
    tg_str_t name = request->subject.name;
    if (tg_subject_ok(name) || (name.len == 0 && (flags & TG_SUBJECT_MAY_BE_EMPTY) != 0))
        return true;
    tg_request_fail(request, 42208,
                    "A subject is 1 to %d bytes without control characters that do not begin "
                    "with \":*:\".",
                    TG_SUBJECT_MAX);
    return false;
}

bool tg_request_prefix(tg_request_t *request, tg_store_ask_t *ask, tg_str_t *out_prefix)
{
    tg_subject_name_t subject = {request->context, TG_STR("")};
    tg_str_t text = tg_request_text(request, "subjectPrefix", 0);
    bool prefixed = request->first_segment > 0;
    bool any = text.len >= 3 && memcmp(text.ptr, ":*:", 3) == 0;
    if (any)
        text = (tg_str_t){text.ptr + 3, text.len - 3};
    if (text.len > 0 && tg_request_take_subject(request, text, &subject) != TG_OK)
        return false;
    bool all = !request->viewer.tenant && !prefixed && (any || text.ptr == NULL);
    ask->context = all ? (tg_str_t){NULL, 0} : subject.context;
    ask->behind = request->viewer.tenant ? TG_STR("") : subject.context;
    *out_prefix = subject.name;
    return true;
}

/* The `index`-th value of that name, as it came; false when there is none. Names need no decoding:
 * ours have nothing to encode. */
static bool find_parameter(const tg_request_t *request, const char *name, unsigned index,
                           tg_str_t *out_raw)
{
    tg_str_t rest = tg_http_query_text(request->req);
    size_t name_len = strlen(name);
    while (rest.len > 0) {
        const char *end = memchr(rest.ptr, '&', rest.len);
        size_t len = end == NULL ? rest.len : (size_t)(end - rest.ptr);
        bool named = len >= name_len && memcmp(rest.ptr, name, name_len) == 0 &&
                     (len == name_len || rest.ptr[name_len] == '=');
        if (named && index-- == 0) {
            size_t skip = len == name_len ? len : name_len + 1;
            *out_raw = (tg_str_t){rest.ptr + skip, len - skip};
            return true;
        }
        size_t step = end == NULL ? len : len + 1;
        rest = (tg_str_t){rest.ptr + step, rest.len - step};
    }
    return false;
}

bool tg_request_flag(const tg_request_t *request, const char *name)
{
    tg_str_t raw = {NULL, 0};
    return find_parameter(request, name, 0, &raw) && raw.len == 4 &&
           strncasecmp(raw.ptr, "true", 4) == 0;
}

tg_str_t tg_request_text(const tg_request_t *request, const char *name, unsigned index)
{
    tg_str_t raw = {NULL, 0}, text = {NULL, 0};
    if (!find_parameter(request, name, index, &raw) ||
        tg_params_decode(raw, true, request->arena, &text) != TG_OK)
        return NO_FIELD;
    return text;
}

bool tg_request_number(tg_request_t *request, const char *name, int64_t fallback,
                       int64_t *out_number)
{
    tg_str_t raw = {NULL, 0};
    int64_t number = fallback;
    if (find_parameter(request, name, 0, &raw) && tg_str_to_i64(raw, &number) != TG_OK) {
        tg_request_fail(request, 400, "%s must be a whole number.", name);
        return false;
    }
    *out_number = number;
    return true;
}

bool tg_request_body_ok(tg_request_t *request)
{
    static const char *const types[] = {
        "application/vnd.schemaregistry.v1+json",
        "application/vnd.schemaregistry+json",
        "application/json",
        "application/octet-stream",
    };
    tg_str_t given = tg_http_header(request->req, "content-type");
    const char *mark = given.len == 0 ? NULL : memchr(given.ptr, ';', given.len);
    if (mark != NULL)
        given.len = (size_t)(mark - given.ptr);
    while (given.len > 0 && given.ptr[given.len - 1] == ' ')
        given.len--;
    for (size_t i = 0; i < TG_ARRAY_LEN(types); i++) {
        if (given.len == strlen(types[i]) && strncasecmp(given.ptr, types[i], given.len) == 0)
            return true;
    }
    if (given.len == 0)
        return true;
    tg_request_fail(request, 415,
                    "HTTP 415 Unsupported Media Type: send the body as "
                    "application/vnd.schemaregistry.v1+json.");
    return false;
}

bool tg_request_version(tg_request_t *request, tg_str_t text, uint32_t *out_version)
{
    uint64_t value = 0;
    bool latest = tg_str_eq(text, TG_STR("latest")) || tg_str_eq(text, TG_STR("-1"));
    if (!latest && (tg_str_to_u64(text, &value) != TG_OK || value < 1 || value > INT32_MAX)) {
        tg_request_fail(request, 42202,
                        "The specified version '" TG_STR_FMT "' is not a valid version id. Allowed "
                        "values are between [1, 2^31-1] and the string \"latest\"",
                        TG_STR_ARG(text));
        return false;
    }
    *out_version = (uint32_t)value;
    return true;
}

uint64_t tg_request_deadline(const tg_request_t *request)
{
    uint64_t now = tg_loop_now_ms(request->thread->loop);
    uint64_t end = tg_http_deadline_at(request->req);
    return end > now + ANSWER_MS ? end - ANSWER_MS : now;
}

tg_store_ask_t tg_request_ask(tg_request_t *request, tg_pg_done_fn done)
{
    return (tg_store_ask_t){.pool = request->thread->pool,
                            .context = request->context,
                            .behind = request->behind,
                            .deadline_at_ms = tg_request_deadline(request),
                            .done = done,
                            .arg = request};
}

bool tg_request_page(tg_request_t *request, int64_t most, tg_store_page_t *out_page)
{
    int64_t offset = 0, limit = -1;
    if (!tg_request_number(request, "offset", 0, &offset) ||
        !tg_request_number(request, "limit", -1, &limit))
        return false;
    *out_page = (tg_store_page_t){
        .deleted = tg_request_flag(request, "deleted"),
        .deleted_only = tg_request_flag(request, "deletedOnly"),
        .offset = offset > 0 ? (uint64_t)offset : 0,
        .limit = (uint64_t)(limit < 0 || limit > most ? most : limit),
    };
    return true;
}

tg_str_t tg_request_shown(const tg_request_t *request)
{
    tg_buf_t text = tg_buf_make(TG_CONTEXT_MAX + TG_SUBJECT_MAX + 8);
    if (!tg_context_is_plain(&request->viewer, request->context))
        tg_buf_printf(&text, ":." TG_STR_FMT ":", TG_STR_ARG(request->context));
    tg_buf_str(&text, request->subject.name);
    tg_str_t shown = tg_arena_copy(request->arena, tg_buf_view(&text));
    tg_buf_dispose(&text);
    return shown;
}

tg_str_t tg_request_shown_context(const tg_request_t *request)
{
    tg_buf_t text = tg_buf_make(TG_CONTEXT_MAX + 2);
    tg_buf_byte(&text, '.');
    if (!tg_context_is_plain(&request->viewer, request->context))
        tg_buf_str(&text, request->context);
    tg_str_t shown = tg_arena_copy(request->arena, tg_buf_view(&text));
    tg_buf_dispose(&text);
    return shown;
}

/* --- waiting --- */

/* The end, however it comes: what the handler owns goes. */
static void dispose(tg_request_t *request)
{
    void (*fn)(tg_request_t *) = request->dispose;
    request->dispose = NULL;
    if (fn != NULL)
        fn(request);
}

static void on_cancel(void *user)
{
    tg_request_t *request = user;
    if (request->cancel != NULL)
        request->cancel(request->cancel_arg);
    tg_pg_call_cancel(request->call); /* NULL is allowed */
    dispose(request);
}

void tg_request_wait(tg_request_t *request, tg_pg_call_t *call)
{
    static const tg_pg_answer_t none = {.sqlstate = "", .message = ""};
    assert(request->call == NULL); /* one wait at a time */
    assert(request->cancel == NULL);
    request->asked_us = tg_time_mono_us();
    request->call = call;
    if (call == NULL)
        tg_request_fail_store(request, TG_NOMEM, &none);
    else
        tg_http_set_user(request->req, request, on_cancel);
}

void tg_request_wait_other(tg_request_t *request, void (*cancel)(void *), void *arg)
{
    assert(request->call == NULL);
    assert(cancel != NULL);
    request->cancel = cancel;
    request->cancel_arg = arg;
    tg_http_set_user(request->req, request, on_cancel);
}

void tg_request_settle(tg_request_t *request)
{
    if (request->call != NULL)
        tg_metric_observe(request->thread->shard, RG_DB_S, 0,
                          (double)(tg_time_mono_us() - request->asked_us) / 1e6);
    request->call = NULL;
    request->cancel = NULL;
}

bool tg_request_woken(tg_request_t *request, tg_status_t status, const tg_pg_answer_t *answer)
{
    assert(request->call != NULL);
    assert(status != TG_OK || answer->results != NULL);
    tg_request_settle(request);
    if (status != TG_OK)
        tg_request_fail_store(request, status, answer);
    return status == TG_OK;
}

static const struct store_failure {
    tg_status_t status;
    unsigned code;
    const char *message;
} store_failures[] = {
    {TG_UNAVAILABLE, 50301, "The registry's database cannot be reached; try again."},
    {TG_FULL, 50301, "Too many requests wait for the registry's database; try again."},
    {TG_NOMEM, 50301, "The registry is out of memory; try again."},
    {TG_CONFLICT, 50301, "Others change the same subject; try again."},
    {TG_TIMEOUT, 50401, "The registry's database took too long; what was asked may still happen."},
    {TG_INVALID, 42201, "The text holds characters that cannot be stored."},
    {TG_TOO_LARGE, 50001, "The answer is too large; ask for less by offset and limit."},
    {TG_INTERNAL, 50001, "The registry's database refused the request."},
};

void tg_request_fail_store(tg_request_t *request, tg_status_t status, const tg_pg_answer_t *answer)
{
    assert(status != TG_OK);
    const struct store_failure *failure = &store_failures[TG_ARRAY_LEN(store_failures) - 1];
    for (size_t i = 0; i < TG_ARRAY_LEN(store_failures); i++) {
        if (store_failures[i].status == status)
            failure = &store_failures[i];
    }
    tg_metric_add(request->thread->shard, RG_STORE_FAILURES, 0, 1);
    if (failure->code == 50001 && answer != NULL)
        tg_log_error("database_refused", TG_F_TEXT("status", tg_status_name(status)),
                     TG_F_TEXT("sqlstate", answer->sqlstate), TG_F_TEXT("error", answer->message),
                     TG_F_STR("request_id", tg_http_request_id(request->req)));
    if (failure->code == 50301)
        tg_http_add_header(request->req, "retry-after", TG_STR("1"));
    tg_request_fail(request, failure->code, "%s", failure->message);
}

/* --- answers --- */

/* A large answer on its way. */
struct large {
    _Atomic size_t *sending;
    size_t bytes;
    char *data;
};

static void on_sent(void *owner)
{
    struct large *large = owner;
    atomic_fetch_sub(large->sending, large->bytes);
    free(large->data);
    free(large);
}

/* Takes the body and answers the request. */
static void reply_large(tg_request_t *request, tg_buf_t *body)
{
    _Atomic size_t *sending = request->thread->sending;
    size_t before = atomic_fetch_add(sending, body->cap);
    struct large *large =
        before + body->cap > TG_REQUEST_SENDING_MAX ? NULL : malloc(sizeof(*large));
    if (large == NULL) {
        atomic_fetch_sub(sending, body->cap);
        tg_buf_dispose(body);
        tg_metric_add(request->thread->shard, RG_UNSENT, 0, 1);
        tg_http_add_header(request->req, "retry-after", TG_STR("1"));
        tg_request_fail(request, 50301,
                        "Too many large answers wait to be read; try again, or ask for less by "
                        "limit.");
        return;
    }
    *large = (struct large){.sending = sending, .bytes = body->cap, .data = body->data};
    tg_http_bytes_t bytes = {tg_buf_view(body), on_sent, large};
    dispose(request);
    tg_http_reply_bytes(request->req, 200, TG_REQUEST_CONTENT_TYPE, &bytes);
}

void tg_request_reply(tg_request_t *request, tg_buf_t *body)
{
    if (body->failed) {
        tg_buf_dispose(body);
        tg_request_fail(request, 50001,
                        "The answer is too large; ask for less by offset and limit.");
        return;
    }
    if (body->len >= TG_REQUEST_LARGE) {
        reply_large(request, body);
        return;
    }
    dispose(request);
    tg_http_reply_buf(request->req, 200, TG_REQUEST_CONTENT_TYPE, body);
}

void tg_request_reply_text(tg_request_t *request, tg_str_t body)
{
    dispose(request);
    tg_http_reply(request->req, 200, TG_REQUEST_CONTENT_TYPE, body);
}

/* Confluent knows 50001 and 50002 only; ours tell clients by the HTTP code that trying again helps.
 */
static unsigned told_code(unsigned code)
{
    if (code == 50301)
        return 50001;
    return code == 50401 ? 50002 : code;
}

void tg_request_fail_text(tg_request_t *request, unsigned code, tg_str_t message)
{
    assert(code >= 400);
    unsigned http_code = code >= 10000 ? code / 100 : code;
    tg_buf_t body = tg_buf_make(MESSAGE_MAX);
    tg_buf_printf(&body, "{\"error_code\":%u,\"message\":", told_code(code));
    tg_buf_json_string(&body, message);
    tg_buf_byte(&body, '}');
    dispose(request);
    if (body.failed) {
        tg_buf_dispose(&body);
        tg_http_fail(request->req, (int)http_code, "50001", NO_FIELD, "Too long to be told.");
        return;
    }
    tg_http_reply_buf(request->req, (int)http_code, TG_REQUEST_CONTENT_TYPE, &body);
}

void tg_request_fail(tg_request_t *request, unsigned code, const char *format, ...)
{
    char text[1536];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    size_t used = len < 0 ? 0 : (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;
    tg_request_fail_text(request, code, (tg_str_t){text, used});
}

static void count_missing(tg_request_t *request)
{
    tg_metric_add(request->thread->shard, RG_READS, RG_MISSING, 1);
}

void tg_request_no_subject(tg_request_t *request)
{
    count_missing(request);
    tg_request_fail(request, 40401, "Subject '" TG_STR_FMT "' not found.",
                    TG_STR_ARG(tg_request_shown(request)));
}

void tg_request_no_version(tg_request_t *request, tg_str_t version)
{
    count_missing(request);
    tg_request_fail(request, 40402, "Version " TG_STR_FMT " not found.", TG_STR_ARG(version));
}

void tg_request_no_schema(tg_request_t *request)
{
    count_missing(request);
    tg_request_fail(request, 40403, "Schema not found");
}

void tg_request_reserved(tg_request_t *request)
{
    tg_request_fail(request, 40301,
                    "The subject '" TG_STR_FMT "' is built in and cannot be changed by a tenant; "
                    "choose another name.",
                    TG_STR_ARG(request->subject.name));
}
