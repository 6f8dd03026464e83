/* Answers: bodies, errors in the three formats, and a filter that gives h2o's own errors (a body
 * that is too large or badly chunked) the same form. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/time.h"
#include "common/http/shell/shell.h"

#define TG_HTTP_ERROR_MAX 4096 /* bytes of an error's body */

/* Marks answers as ours, for the filter. */
static h2o_generator_t own_generator;

const char *tg_http_reason(int code)
{
    static const struct {
        int code;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {207, "Multi-Status"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(reasons); i++)
        if (reasons[i].code == code)
            return reasons[i].reason;
    return "Unknown";
}

/* --- sending --- */

static bool has_no_body(int code)
{
    return code < 200 || code == 204 || code == 304;
}

static void add_copy(h2o_req_t *raw, const h2o_token_t *token, tg_str_t value)
{
    h2o_iovec_t copy = h2o_strdup(&raw->pool, value.ptr, value.len);
    h2o_add_header(&raw->pool, &raw->res.headers, token, NULL, copy.base, copy.len);
}

static void add_server(h2o_req_t *raw)
{
    h2o_add_header(&raw->pool, &raw->res.headers, H2O_TOKEN_SERVER, NULL, H2O_STRLIT("tidegate"));
}

void tg_http_add_header(tg_http_req_t *req, const char *name, tg_str_t value)
{
    assert(value.len == 0 || (memchr(value.ptr, '\r', value.len) == NULL &&
                              memchr(value.ptr, '\n', value.len) == NULL &&
                              memchr(value.ptr, '\0', value.len) == NULL));
    h2o_iovec_t copy = h2o_strdup(&req->raw->pool, value.ptr == NULL ? "" : value.ptr, value.len);
    h2o_add_header_by_str(&req->raw->pool, &req->raw->res.headers, name, strlen(name), 1, NULL,
                          copy.base, copy.len);
}

void tg_http_add_cost(tg_http_req_t *req, uint64_t cost)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)cost);
    tg_http_add_header(req, TG_HTTP_COST_HEADER, (tg_str_t){digits, (size_t)len});
}

static void count_answer(tg_http_req_t *req, int code)
{
    tg_metrics_shard_t *shard = req->thread->shard;
    assert(code >= 100 && code < 600);
    tg_metric_add(shard, HTTP_REQUESTS, (unsigned)code / 100 - 1, 1);
    tg_metric_observe(shard, HTTP_SECONDS, 0, (double)(tg_time_mono_us() - req->started_us) * 1e-6);
}

/* `body` must live in the request's pool or longer. */
static void send_answer(tg_http_req_t *req, int code, const char *content_type, h2o_iovec_t body)
{
    h2o_req_t *raw = req->raw;
    tg_http_thread_t *thread = req->thread;
    tg_http_conn_t *conn = req->conn;
    assert(conn->state == CONN_BUSY);

    raw->res.status = code;
    raw->res.reason = tg_http_reason(code);
    if (!has_no_body(code) && content_type != NULL)
        add_copy(raw, H2O_TOKEN_CONTENT_TYPE, tg_str_from(content_type));
    add_server(raw);
    tg_http_add_header(req, "x-request-id", tg_http_request_id(req));
    tg_http_cors_announce(thread, raw);
    if (thread->context.shutdown_requested || req->close) {
        raw->http1_is_persistent = 0;
        tg_http_conn_linger(conn);
    }
    count_answer(req, code);
    tg_http_access_begin(req, code);
    tg_http_request_release(req);

    bool encodes = thread->encoder != NULL && thread->settings->limits.compress;
    if (encodes && code == 304)
        tg_http_encode_unchanged(raw);
    if (!encodes || has_no_body(code) || body.len == 0 ||
        tg_http_encode(thread->encoder, raw, content_type, &body))
        tg_http_send(thread, raw, body);
}

void tg_http_send(tg_http_thread_t *thread, h2o_req_t *raw, h2o_iovec_t body)
{
    tg_http_conn_t *conn = tg_http_conn_of(raw);
    assert(conn->state == CONN_BUSY);
    tg_http_conn_unhold(conn);
    conn->state = CONN_WRITING;
    conn->since_ms = tg_loop_now_ms(thread->loop);
    conn->acked = 0;
    bool bare = has_no_body(raw->res.status);
    if (!bare)
        raw->res.content_length = body.len;
    h2o_start_response(raw, &own_generator);
    h2o_send(raw, &body, bare || conn->head || body.len == 0 ? 0 : 1, H2O_SEND_STATE_FINAL);
}

void tg_http_reply(tg_http_req_t *req, int code, const char *content_type, tg_str_t body)
{
    assert(req != NULL);
    assert(body.ptr != NULL || body.len == 0);
    h2o_iovec_t copy = {NULL, 0};
    if (body.len > 0) {
        copy = h2o_iovec_init(h2o_mem_alloc_pool(&req->raw->pool, body.len), body.len);
        memcpy(copy.base, body.ptr, body.len);
    }
    send_answer(req, code, content_type, copy);
}

static void on_body_dispose(void *data)
{
    const tg_http_bytes_t *body = data;
    body->release(body->owner);
}

void tg_http_reply_bytes(tg_http_req_t *req, int code, const char *content_type,
                         const tg_http_bytes_t *body)
{
    assert(req != NULL);
    assert(body->release != NULL);
    tg_http_bytes_t *kept = h2o_mem_alloc_shared(&req->raw->pool, sizeof(*kept), on_body_dispose);
    *kept = *body;
    send_answer(req, code, content_type,
                h2o_iovec_init((char *)(uintptr_t)body->view.ptr, body->view.len));
}

void tg_http_reply_buf(tg_http_req_t *req, int code, const char *content_type, tg_buf_t *body)
{
    assert(req != NULL && body != NULL);
    if (body->failed) {
        tg_buf_dispose(body);
        tg_http_fail(req, 500, "answer_too_large", (tg_str_t){0},
                     "The answer does not fit; ask for less.");
        return;
    }
    const tg_http_bytes_t bytes = {tg_buf_view(body), free, body->data};
    *body = tg_buf_make(body->max);
    tg_http_reply_bytes(req, code, content_type, &bytes);
}

/* --- errors --- */

static void body_v1(int http_code, const char *code, tg_str_t field, tg_str_t message,
                    tg_str_t request_id, tg_buf_t *out)
{
    (void)http_code;
    tg_buf_str(out, TG_STR("{\"error\":{\"code\":"));
    tg_buf_json_string(out, tg_str_from(code));
    tg_buf_str(out, TG_STR(",\"message\":"));
    tg_buf_json_string(out, message);
    if (field.len > 0) {
        tg_buf_str(out, TG_STR(",\"field\":"));
        tg_buf_json_string(out, field);
    }
    tg_buf_str(out, TG_STR(",\"request_id\":"));
    tg_buf_json_string(out, request_id);
    tg_buf_str(out, TG_STR("}}"));
}

static void body_v2(int http_code, const char *code, tg_str_t field, tg_str_t message,
                    tg_str_t request_id, tg_buf_t *out)
{
    tg_buf_printf(out, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"code\":",
                  tg_http_reason(http_code), http_code);
    tg_buf_json_string(out, tg_str_from(code));
    tg_buf_str(out, TG_STR(",\"detail\":"));
    tg_buf_json_string(out, message);
    if (field.len > 0) {
        tg_buf_str(out, TG_STR(",\"field\":"));
        tg_buf_json_string(out, field);
    }
    tg_buf_str(out, TG_STR(",\"request_id\":"));
    tg_buf_json_string(out, request_id);
    tg_buf_byte(out, '}');
}

static void body_confluent(int http_code, const char *code, tg_str_t field, tg_str_t message,
                           tg_str_t request_id, tg_buf_t *out)
{
    (void)field;
    (void)request_id;
    uint64_t number = 0;
    if (tg_str_to_u64(tg_str_from(code), &number) != TG_OK)
        number = (uint64_t)http_code;
    tg_buf_printf(out, "{\"error_code\":%llu,\"message\":", (unsigned long long)number);
    tg_buf_json_string(out, message);
    tg_buf_byte(out, '}');
}

static const struct {
    const char *content_type;
    void (*write)(int, const char *, tg_str_t, tg_str_t, tg_str_t, tg_buf_t *);
} formats[] = {
    [TG_HTTP_V1] = {"application/json", body_v1},
    [TG_HTTP_V2] = {"application/problem+json", body_v2},
    [TG_HTTP_CONFLUENT] = {"application/vnd.schemaregistry.v1+json", body_confluent},
};

const char *tg_http_error_type(tg_http_format_t format)
{
    assert(format < TG_ARRAY_LEN(formats));
    return formats[format].content_type;
}

void tg_http_error_body(tg_http_format_t format, int http_code, const char *code, tg_str_t field,
                        tg_str_t message, tg_str_t request_id, tg_buf_t *out)
{
    assert(format < TG_ARRAY_LEN(formats));
    formats[format].write(http_code, code, field, message, request_id, out);
}

/* For what no route decides: as the route that comes nearest, or else as the first of all. */
static tg_http_format_t format_of_path(const tg_http_thread_t *thread, tg_str_t path)
{
    const tg_http_route_t *nearest = tg_routes_nearest(thread->routes, path);
    return nearest == NULL ? TG_HTTP_V1 : nearest->format;
}

static tg_http_format_t format_of(const tg_http_req_t *req)
{
    if (req->route != NULL)
        return req->route->format;
    if (req->match.near != NULL)
        return req->match.near->format;
    return format_of_path(req->thread, req->path);
}

void tg_http_fail(tg_http_req_t *req, int http_code, const char *code, tg_str_t field,
                  const char *format, ...)
{
    assert(http_code >= 400 && http_code < 600);
    assert(code != NULL && code[0] != '\0');
    char text[1024];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    size_t used = len < 0 ? 0 : (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;

    tg_http_format_t shape = format_of(req);
    tg_buf_t body = tg_buf_make(TG_HTTP_ERROR_MAX);
    req->notes.code = code;
    if (field.len > 256)
        field.len = 256;
    tg_http_error_body(shape, http_code, code, field, (tg_str_t){text, used},
                       tg_http_request_id(req), &body);
    if (body.failed) { /* six bytes for each of hostile ones: say less */
        tg_buf_clear(&body);
        tg_http_error_body(shape, http_code, code, (tg_str_t){0}, TG_STR("See the code."),
                           tg_http_request_id(req), &body);
    }
    tg_http_reply(req, http_code, tg_http_error_type(shape), tg_buf_view(&body));
    tg_buf_dispose(&body);
}

/* --- h2o's own errors --- */

struct error_stream {
    h2o_ostream_t super;
    h2o_iovec_t body;
};

static void send_error_stream(h2o_ostream_t *self, h2o_req_t *raw, h2o_iovec_t *bufs, size_t count,
                              h2o_send_state_t state)
{
    (void)bufs;
    struct error_stream *stream = (struct error_stream *)self;
    h2o_ostream_send_next(self, raw, &stream->body, count > 0 ? 1 : 0, state);
}

static const char *h2o_error_code(int status)
{
    switch (status) {
    case 413:
        return "body_too_large";
    case 417:
        return "expectation_failed";
    case 503:
        return "overloaded";
    default:
        return "malformed_request";
    }
}

static const char *h2o_error_text(int status)
{
    switch (status) {
    case 413:
        return "The body is larger than anything that is accepted here.";
    case 417:
        return "The only expectation understood is 100-continue.";
    case 503:
        return "Out of memory; try again.";
    default:
        return "The body's framing is malformed: bad chunks, or a bad Content-Length.";
    }
}

/* The answer that h2o is about to send is plain text of its own: replaces its body. */
static void replace_body(h2o_req_t *raw, h2o_ostream_t **slot)
{
    tg_http_thread_t *thread = tg_http_thread_of(raw);
    tg_http_conn_t *conn = tg_http_conn_of(raw);
    assert(raw->res.status >= 400);
    tg_http_format_t shape =
        format_of_path(thread, (tg_str_t){raw->input.path.base, raw->input.path.len});
    char id[TG_HTTP_MADE_ID_LEN];
    tg_http_make_id(thread, id);
    tg_buf_t body = tg_buf_make(TG_HTTP_ERROR_MAX);
    tg_http_error_body(shape, raw->res.status, h2o_error_code(raw->res.status), (tg_str_t){0},
                       tg_str_from(h2o_error_text(raw->res.status)), (tg_str_t){id, sizeof(id)},
                       &body);
    if (!body.failed) {
        struct error_stream *stream =
            (struct error_stream *)h2o_add_ostream(raw, sizeof(*stream), slot);
        stream->super.do_send = send_error_stream;
        stream->body = h2o_strdup(&raw->pool, body.data, body.len);
        raw->res.content_length = body.len;
        raw->res.reason = tg_http_reason(raw->res.status);
        raw->res.headers.size = 0;
        add_server(raw);
        tg_http_cors_announce(thread, raw);
        add_copy(raw, H2O_TOKEN_CONTENT_TYPE, tg_str_from(tg_http_error_type(shape)));
        slot = &stream->super.next;
    }
    tg_buf_dispose(&body);
    tg_http_access_refused(raw, raw->res.status, h2o_error_code(raw->res.status),
                           (tg_str_t){id, sizeof(id)});
    conn->state = CONN_WRITING;
    conn->since_ms = tg_loop_now_ms(thread->loop);
    tg_http_conn_linger(conn);
    tg_metric_add(thread->shard, HTTP_REQUESTS, (unsigned)raw->res.status / 100 - 1, 1);
    if (raw->res.status == 413)
        tg_metric_add(thread->shard, HTTP_LIMITED, LIMIT_BODY, 1);
    h2o_setup_next_ostream(raw, slot);
}

void tg_http_error_filter(h2o_filter_t *self, h2o_req_t *raw, h2o_ostream_t **slot)
{
    (void)self;
    if (raw->_generator == &own_generator)
        h2o_setup_next_ostream(raw, slot);
    else
        replace_body(raw, slot);
}
