/* One request from h2o's hands to the handler's: route, secret, limits, parameters, deadline.
 *
 * The struct comes from the thread's free list together with its arena, so a request in steady
 * state costs one small malloc, that of the reference in h2o's pool whose disposal tells us that
 * h2o has let go of the request. */
#include <arpa/inet.h>
#include <stdlib.h>

#include "common/base/hash.h"
#include "common/base/time.h"
#include "common/http/guard.h"
#include "common/http/shell/shell.h"

static tg_str_t from_h2o(h2o_iovec_t text)
{
    return (tg_str_t){text.base, text.len};
}

tg_http_thread_t *tg_http_thread_of(h2o_req_t *raw)
{
    return H2O_STRUCT_FROM_MEMBER(tg_http_thread_t, context, raw->conn->ctx);
}

tg_http_conn_t *tg_http_conn_of(h2o_req_t *raw)
{
    return raw->conn->callbacks->get_socket(raw->conn)->on_close.data;
}

/* --- life --- */

static void request_destroy(tg_http_req_t *req)
{
    tg_arena_destroy(req->arena);
    free(req);
}

static tg_http_req_t *request_create(void)
{
    tg_http_req_t *req = calloc(1, sizeof(*req));
    if (req == NULL)
        return NULL;
    req->arena = tg_arena_create(TG_HTTP_ARENA_MAX);
    if (req->arena == NULL) {
        free(req);
        return NULL;
    }
    return req;
}

static tg_http_req_t *request_take(tg_http_thread_t *thread)
{
    if (thread->free_count == 0)
        return request_create();
    h2o_linklist_t *first = thread->free_reqs.next;
    h2o_linklist_unlink(first);
    thread->free_count--;
    return H2O_STRUCT_FROM_MEMBER(tg_http_req_t, link, first);
}

void tg_http_requests_free(tg_http_thread_t *thread)
{
    assert(h2o_linklist_is_empty(&thread->inflight));
    for (h2o_linklist_t *at = thread->free_reqs.next, *next; at != &thread->free_reqs; at = next) {
        next = at->next;
        request_destroy(H2O_STRUCT_FROM_MEMBER(tg_http_req_t, link, at));
    }
    h2o_linklist_init_anchor(&thread->free_reqs);
    thread->free_count = 0;
}

static void count_inflight(tg_http_thread_t *thread)
{
    tg_metric_set(thread->shard, HTTP_INFLIGHT, 0, (int64_t)thread->inflight_count);
}

void tg_http_request_release(tg_http_req_t *req)
{
    assert(req->ref != NULL && req->ref->req == req);
    tg_http_thread_t *thread = req->thread;
    tg_timer_stop(&req->deadline);
    h2o_linklist_unlink(&req->link);
    assert(thread->inflight_count > 0);
    thread->inflight_count--;
    count_inflight(thread);
    if (thread->handling == req)
        thread->handling = NULL;
    req->ref->req = NULL;
    if (thread->free_count == TG_HTTP_FREE_REQS) {
        request_destroy(req);
        return;
    }
    tg_arena_reset(req->arena);
    h2o_linklist_insert(&thread->free_reqs, &req->link);
    thread->free_count++;
}

static void cancel(tg_http_req_t *req, unsigned reason)
{
    tg_metric_add(req->thread->shard, HTTP_CANCELLED, reason, 1);
    void (*on_cancel)(void *) = req->on_cancel;
    req->on_cancel = NULL;
    if (on_cancel != NULL)
        on_cancel(req->user);
}

/* h2o has sent the answer, or has lost the connection before there was one. */
static void on_ref_dispose(void *data)
{
    tg_http_ref_t *ref = data;
    assert(ref->conn != NULL);
    if (ref->req != NULL) {
        tg_http_req_t *req = ref->req;
        req->notes.code = "client_gone";
        tg_http_access_begin(req, 499);
        cancel(req, CANCEL_GONE);
        tg_http_request_release(req);
    }
    tg_http_access_end(ref);
    tg_http_conn_request_done(ref->conn);
}

void tg_http_request_cut(tg_http_req_t *req, int reason)
{
    assert(reason == CANCEL_DEADLINE || reason == CANCEL_DRAIN);
    cancel(req, (unsigned)reason);
    req->close |= reason == CANCEL_DRAIN;
    if (reason == CANCEL_DEADLINE)
        tg_http_fail(req, 504, "deadline_exceeded", (tg_str_t){0},
                     "The answer was not ready within the deadline; what was asked may still "
                     "happen.");
    else
        tg_http_fail(req, 503, "shutting_down", (tg_str_t){0},
                     "The service is shutting down; send the request again.");
}

static void on_deadline(void *arg)
{
    tg_http_request_cut(arg, CANCEL_DEADLINE);
}

/* --- what the head says --- */

static bool is_sane_id(tg_str_t id)
{
    if (id.len == 0 || id.len > TG_HTTP_REQ_ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i], lower = (char)(c | 0x20);
        if (!(lower >= 'a' && lower <= 'z') && !(c >= '0' && c <= '9') && c != '.' && c != '_' &&
            c != '-')
            return false;
    }
    return true;
}

/* splitmix64 over a random start: unique in the thread, and not to be guessed from outside as a
 * count of requests. */
static uint64_t next_id(tg_http_thread_t *thread)
{
    uint64_t x = thread->id_state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

void tg_http_make_id(tg_http_thread_t *thread, char out[TG_HTTP_MADE_ID_LEN])
{
    uint64_t id = next_id(thread);
    tg_hash_hex((const uint8_t *)&id, sizeof(id), out);
}

static void set_id(tg_http_req_t *req)
{
    tg_str_t given = tg_http_header(req, "x-request-id");
    if (is_sane_id(given)) {
        memcpy(req->id, given.ptr, given.len);
        req->id_len = given.len;
        return;
    }
    tg_http_make_id(req->thread, req->id);
    req->id_len = TG_HTTP_MADE_ID_LEN;
}

static void split_target(tg_http_req_t *req)
{
    tg_str_t target = from_h2o(req->raw->input.path);
    const char *mark = target.len == 0 ? NULL : memchr(target.ptr, '?', target.len);
    req->path = target;
    req->query = (tg_str_t){NULL, 0};
    if (mark != NULL) {
        req->path.len = (size_t)(mark - target.ptr);
        req->query = (tg_str_t){mark + 1, target.len - req->path.len - 1};
    }
}

/* Whether the connection stays after the answer (RFC 9112 section 9.3). To h2o "keep-alive" is more
 * than "close", one line says what several do, and each other option ends the connection, such as
 * the TE and Upgrade of clients that could do more than is done here. */
static bool is_persistent(const h2o_req_t *raw)
{
    ssize_t at = -1;
    while ((at = h2o_find_header(&raw->headers, H2O_TOKEN_CONNECTION, at)) >= 0) {
        const h2o_iovec_t *value = &raw->headers.entries[at].value;
        if (h2o_contains_token(value->base, value->len, H2O_STRLIT("close"), ','))
            return false;
    }
    return raw->version >= 0x101 || raw->http1_is_persistent;
}

static tg_http_req_t *request_begin(tg_http_thread_t *thread, h2o_req_t *raw)
{
    tg_http_req_t *req = request_take(thread);
    if (req == NULL)
        return NULL;
    tg_http_ref_t *ref = h2o_mem_alloc_shared(&raw->pool, sizeof(*ref), on_ref_dispose);
    tg_arena_t *arena = req->arena;
    memset(req, 0, sizeof(*req));
    req->arena = arena;
    req->thread = thread;
    req->raw = raw;
    raw->http1_is_persistent = is_persistent(raw);
    req->ref = ref;
    req->conn = tg_http_conn_of(raw);
    assert(req->conn->state == CONN_READING);
    *ref = (tg_http_ref_t){.req = req, .conn = req->conn};
    req->conn->state = CONN_BUSY;
    req->conn->head = h2o_memis(raw->input.method.base, raw->input.method.len, H2O_STRLIT("HEAD"));
    req->started_us = tg_time_mono_us();
    req->deadline_at_ms = tg_loop_now_ms(thread->loop) + thread->settings->limits.deadline_ms;
    h2o_linklist_insert(&thread->inflight, &req->link);
    thread->inflight_count++;
    count_inflight(thread);
    set_id(req);
    split_target(req);
    return req;
}

/* --- the checks, in order; each answers and returns false, or lets the request pass --- */

static bool pass_guard(tg_http_req_t *req)
{
    const tg_guard_refusal_t *refusal =
        tg_http_guard_refusal(req->raw->input.method.base, &req->conn->head);
    if (refusal == NULL)
        return true;
    req->close = true;
    tg_http_conn_linger(req->conn);
    tg_http_fail(req, refusal->http_code, refusal->code, (tg_str_t){0}, "%s", refusal->text);
    return false;
}

/* A service behind the gateway answers health checks on the threads that answer calls: a stuck one
 * then does not look well. They are those of the admin port. */
static tg_status_t find_check(tg_http_req_t *req)
{
    enum { HEALTH_AND_READY = 2 };
    if (req->thread->service->secret == NULL || !tg_str_eq(tg_http_method(req), TG_STR("GET")))
        return TG_NOT_FOUND;
    for (size_t i = 0; i < HEALTH_AND_READY; i++) {
        req->match.route = &tg_http_admin_routes[i];
        if (tg_str_eq(req->path, tg_str_from(req->match.route->path)))
            return TG_OK;
    }
    return TG_NOT_FOUND;
}

/* The path is there, and takes other methods. OPTIONS asks for them (RFC 9110 section 9.3.7), or,
 * for a browser, whether its page may use them. */
static void answer_allow(tg_http_req_t *req)
{
    const char *allow = req->match.allow;
    bool options = tg_str_eq(tg_http_method(req), TG_STR("OPTIONS"));
    if (options && tg_http_cors_preflight(req, allow))
        return;
    tg_http_add_header(req, "allow", tg_str_from(allow));
    if (options)
        tg_http_reply(req, 204, NULL, (tg_str_t){0});
    else
        tg_http_fail(req, 405, "method_not_allowed", (tg_str_t){0}, "This path takes %s.", allow);
}

static tg_status_t find_route(tg_http_req_t *req)
{
    tg_status_t status = tg_routes_find(req->thread->routes, tg_http_method(req), req->path,
                                        req->arena, &req->match);
    if (status != TG_NOT_FOUND)
        return status;
    if (tg_str_eq(req->path, TG_STR("*"))) { /* of OPTIONS only: the server as a whole */
        tg_routes_methods(req->thread->routes, req->match.allow);
        return TG_CONFLICT;
    }
    return find_check(req);
}

static bool pass_route(tg_http_req_t *req)
{
    switch (find_route(req)) {
    case TG_OK:
        req->route = req->match.route;
        return true;
    case TG_CONFLICT:
        answer_allow(req);
        return false;
    case TG_INVALID:
        tg_http_fail(req, 400, "bad_path", (tg_str_t){0},
                     "The path must be percent-encoded UTF-8 without . and .. segments.");
        return false;
    default:
        tg_http_fail(req, 404, "not_found", (tg_str_t){0}, "There is nothing at this path.");
        return false;
    }
}

static void take_deadline(tg_http_req_t *req)
{
    uint64_t left = 0;
    if (tg_str_to_u64(tg_http_header(req, TG_HTTP_DEADLINE_HEADER), &left) != TG_OK)
        return;
    uint64_t now = tg_loop_now_ms(req->thread->loop);
    if (left < req->deadline_at_ms - now)
        req->deadline_at_ms = now + left;
}

static bool pass_secret(tg_http_req_t *req)
{
    assert(req->route != NULL);
    if ((req->route->flags & (TG_HTTP_ROUTE_INTERNAL | TG_HTTP_ROUTE_PEERS_TOO)) == 0)
        return true;
    tg_str_t secret = tg_str_from(req->thread->service->secret);
    tg_str_t given = tg_http_header(req, "x-tidegate-secret");
    if ((req->route->flags & TG_HTTP_ROUTE_PEERS_TOO) != 0 && given.ptr == NULL &&
        tg_http_header(req, "x-tidegate-tenant").ptr == NULL)
        return true;
    if (secret.len == 0 || given.len != secret.len ||
        !tg_hash_equal_ct(given.ptr, secret.ptr, secret.len)) {
        tg_http_fail(req, 403, "forbidden", (tg_str_t){0},
                     "This service answers the gateway only.");
        return false;
    }
    req->from_peer = true;
    req->tenant = tg_http_header(req, "x-tidegate-tenant");
    take_deadline(req);
    return true;
}

static bool pass_limits(tg_http_req_t *req)
{
    tg_http_thread_t *thread = req->thread;
    if (thread->inflight_count > thread->settings->limits.max_inflight) {
        tg_metric_add(thread->shard, HTTP_LIMITED, LIMIT_INFLIGHT, 1);
        tg_http_add_header(req, "retry-after", TG_STR("1"));
        tg_http_fail(req, 503, "overloaded", (tg_str_t){0},
                     "Too many requests are in flight here; try again in a second.");
        return false;
    }
    if (req->raw->entity.len > req->route->max_body) {
        tg_metric_add(thread->shard, HTTP_LIMITED, LIMIT_BODY, 1);
        tg_http_fail(req, 413, "body_too_large", (tg_str_t){0},
                     "The body has %zu bytes; at most %zu are accepted here.", req->raw->entity.len,
                     req->route->max_body);
        return false;
    }
    return true;
}

static bool pass_params(tg_http_req_t *req)
{
    assert(req->params == NULL);
    const tg_http_route_t *route = req->route;
    if (route->params == NULL)
        return true;
    tg_error_t error = {.status = TG_OK};
    tg_str_t name = {NULL, 0};
    req->params = tg_arena_array(req->arena, route->param_count + 1, sizeof(*req->params));
    tg_status_t status = req->params == NULL
                             ? TG_NOMEM
                             : tg_params_parse(route->params, route->param_count, req->query,
                                               req->arena, req->params, &name, &error);
    if (status == TG_OK)
        return true;
    if (status == TG_NOMEM)
        tg_http_fail(req, 503, "overloaded", (tg_str_t){0}, "Out of memory; try again.");
    else
        tg_http_fail(req, 400, "invalid_parameter", name, "%s", error.text);
    return false;
}

static void handle(tg_http_req_t *req)
{
    tg_http_thread_t *thread = req->thread;
    assert(req->route != NULL && thread->handling == NULL);
    uint64_t now = tg_loop_now_ms(thread->loop);
    thread->handling = req;
    req->route->handler(req, thread->thread_ctx);
    if (thread->handling == NULL)
        return; /* answered: the struct may be another request's by now */
    thread->handling = NULL;
    assert(req->on_cancel != NULL); /* whoever answers later must hear of the deadline */
    tg_http_conn_hold(req->conn);
    uint64_t left = req->deadline_at_ms > now ? req->deadline_at_ms - now : 0;
    tg_timer_start(thread->loop, &req->deadline, left, on_deadline, req);
}

int tg_http_request_on_req(h2o_handler_t *self, h2o_req_t *raw)
{
    (void)self;
    tg_http_thread_t *thread = tg_http_thread_of(raw);
    assert(thread->handling == NULL);
    tg_http_req_t *req = request_begin(thread, raw);
    if (req == NULL) {
        h2o_send_error_generic(raw, 503, "Service Unavailable", "out of memory",
                               H2O_SEND_ERROR_HTTP1_CLOSE_CONNECTION);
        return 0;
    }
    if (pass_guard(req) && pass_route(req) && pass_secret(req) && pass_limits(req) &&
        pass_params(req))
        handle(req);
    return 0;
}

/* --- what a handler reads --- */

tg_str_t tg_http_method(const tg_http_req_t *req)
{
    return from_h2o(req->raw->input.method);
}

tg_str_t tg_http_path(const tg_http_req_t *req)
{
    return req->path;
}

tg_str_t tg_http_query_text(const tg_http_req_t *req)
{
    return req->query;
}

tg_str_t tg_http_body(const tg_http_req_t *req)
{
    return from_h2o(req->raw->entity);
}

tg_str_t tg_http_find_header(const tg_http_req_t *req, tg_str_t lower_name)
{
    const h2o_headers_t *headers = &req->raw->headers;
    for (size_t i = 0; i < headers->size; i++) {
        const h2o_header_t *header = &headers->entries[i];
        if (tg_str_eq(from_h2o(*header->name), lower_name))
            return header->value.len == 0 ? (tg_str_t){"", 0} : from_h2o(header->value);
    }
    bool host = tg_str_eq(lower_name, TG_STR("host")); /* h2o has moved it */
    return host ? from_h2o(req->raw->input.authority) : (tg_str_t){NULL, 0};
}

tg_str_t tg_http_segment(const tg_http_req_t *req, unsigned index)
{
    assert(index < req->match.name_count);
    return req->match.names[index];
}

const tg_param_value_t *tg_http_param(const tg_http_req_t *req, unsigned index)
{
    assert(req->params != NULL);
    assert(index < req->route->param_count);
    return &req->params[index];
}

tg_str_t tg_http_request_id(const tg_http_req_t *req)
{
    return (tg_str_t){req->id, req->id_len};
}

/* Made when first asked for: many requests never need it. */
const tg_trace_t *tg_http_trace(const tg_http_req_t *req)
{
    if (!req->has_trace) {
        tg_http_req_t *own = (tg_http_req_t *)req;
        tg_trace_t parent;
        if (tg_trace_parse(tg_http_header(req, "traceparent"), &parent) == TG_OK)
            tg_trace_child(&parent, &own->trace);
        else
            tg_trace_start(&own->trace);
        own->has_trace = true;
    }
    return &req->trace;
}

const tg_http_route_t *tg_http_matched(const tg_http_req_t *req)
{
    return req->route;
}

const void *tg_http_settings(const tg_http_req_t *req)
{
    return req->thread->settings->own;
}

tg_str_t tg_http_tenant(const tg_http_req_t *req)
{
    return req->tenant;
}

bool tg_http_from_peer(const tg_http_req_t *req)
{
    return req->from_peer;
}

tg_str_t tg_http_peer(const tg_http_req_t *req)
{
    if (req->peer_len == 0) {
        tg_http_req_t *own = (tg_http_req_t *)req;
        struct sockaddr_storage where = {0};
        const void *address = &((struct sockaddr_in *)&where)->sin_addr;
        if (req->raw->conn->callbacks->get_peername(req->raw->conn, (struct sockaddr *)&where) == 0)
            return (tg_str_t){"", 0};
        if (where.ss_family == AF_INET6)
            address = &((struct sockaddr_in6 *)&where)->sin6_addr;
        if (inet_ntop(where.ss_family, address, own->peer, sizeof(own->peer)) != NULL)
            own->peer_len = strlen(own->peer);
    }
    return (tg_str_t){req->peer, req->peer_len};
}

uint64_t tg_http_deadline_at(const tg_http_req_t *req)
{
    return req->deadline_at_ms;
}

uint64_t tg_http_started_us(const tg_http_req_t *req)
{
    return req->started_us;
}

tg_loop_t *tg_http_loop(const tg_http_req_t *req)
{
    return req->thread->loop;
}

tg_arena_t *tg_http_arena(const tg_http_req_t *req)
{
    return req->arena;
}

void tg_http_set_user(tg_http_req_t *req, void *user, void (*on_cancel)(void *user))
{
    assert(req != NULL);
    req->user = user;
    req->on_cancel = on_cancel;
}

void *tg_http_user(const tg_http_req_t *req)
{
    return req->user;
}
