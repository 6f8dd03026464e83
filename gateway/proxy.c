/* start -> admit -> (the upstream's queue) -> send: forward -> on_answer, or, for a single event in
 * its common form, gather -> on_outcome; the shell's deadline or a leaving client cut in through
 * on_gone. Each path ends in exactly one tg_http_reply or tg_http_fail, or in on_gone. */
#include "gateway/proxy.h"

#include "common/base/time.h"
#include "common/event/event.h"
#include "gateway/gateway.h"
#include "gateway/keys/gate.h"
#include "gateway/live.h"
#include "gateway/metrics.h"
#include "gateway/overload/band.h"

#define DEADLINE_GAP 50                /* ms kept for our own answer when the upstream is late */
#define COPIED_MAX   ((size_t)4 << 10) /* bytes; a larger body is sent from where it was read */

/* Where a request is; it has one wait at a time. */
enum step { STEP_QUEUED, STEP_CALLED, STEP_GATHERED };

struct exchange {
    tg_http_req_t *req;
    tg_gateway_thread_t *thread;
    const tg_public_route_t *route;
    tg_str_t tenant;
    uint16_t retention_days; /* of its plan; 0: as the platform */
    uint64_t started_us, sent_us;
    tg_charge_t charge;
    enum step step;
    tg_fair_item_t place; /* in the upstream's queue, or on its way */
    tg_http_call_t *call;
    tg_gather_item_t item;
};

/* Client headers that travel on, and upstream headers that travel back. */
// clang-format off
static const tg_str_t request_headers[] = {
    TG_STR("content-type"), TG_STR("content-encoding"), TG_STR("accept"),
    TG_STR("idempotency-key"), TG_STR("if-none-match"),
};
/* Those of POST /v2/events besides: attributes of a CloudEvent in binary mode, whose further ones
 * (extensions) mean nothing to ingestion. */
static const tg_str_t event_headers[] = {
    TG_STR("ce-specversion"), TG_STR("ce-id"), TG_STR("ce-source"), TG_STR("ce-type"),
    TG_STR("ce-time"), TG_STR("ce-subject"), TG_STR("ce-dataschema"),
    TG_STR("ce-datacontenttype"), TG_STR("ce-traceparent"),
};
static const tg_str_t answer_headers[] = {
    TG_STR("retry-after"), TG_STR("etag"), TG_STR("cache-control"), TG_STR("vary"),
    TG_STR("location"), TG_STR("link"), TG_STR("allow"), TG_STR("accept-encoding"),
};
// clang-format on

static tg_fair_t *queue_of(const struct exchange *exchange)
{
    return exchange->thread->queues[exchange->route->upstream];
}

static uint64_t now_ms(const struct exchange *exchange)
{
    return tg_loop_now_ms(exchange->thread->loop);
}

/* No more is to come from the upstream, which is `busy` if it had no time or strength for this. */
static void finish(struct exchange *exchange, unsigned result, bool busy)
{
    assert(result < GW_UP_RESULTS);
    uint64_t now_us = tg_time_mono_us();
    tg_charge_end(&exchange->charge);
    tg_fair_leave(queue_of(exchange), &exchange->place, busy, now_us, now_ms(exchange));
    tg_metrics_shard_t *shard = exchange->thread->shard;
    unsigned upstream = exchange->route->upstream;
    tg_metric_add(shard, GW_UPSTREAM, upstream * GW_UP_RESULTS + result, 1);
    tg_metric_observe(shard, GW_UPSTREAM_S, upstream,
                      (double)(now_us - exchange->started_us) / 1e6);
    tg_http_note_hops(exchange->req, exchange->sent_us - exchange->started_us,
                      now_us - exchange->sent_us);
}

static void reply_upstream(struct exchange *exchange, const tg_http_response_t *response)
{
    assert(response->code >= 200); /* the client drops interim answers */
    tg_http_req_t *req = exchange->req;
    tg_str_t type = tg_http_response_header(response, "content-type");
    char content_type[128] = "application/octet-stream";

    if (type.len > 0 && type.len < sizeof(content_type)) {
        memcpy(content_type, type.ptr, type.len);
        content_type[type.len] = '\0';
    }
    for (size_t i = 0; i < TG_ARRAY_LEN(answer_headers); i++) {
        tg_str_t value = tg_http_response_find(response, answer_headers[i]);
        if (value.len > 0)
            tg_http_add_header(req, answer_headers[i].ptr, value);
    }
    if (response->body.len <= COPIED_MAX) {
        tg_http_reply(req, response->code, content_type, response->body);
        return;
    }
    tg_http_bytes_t body;
    tg_http_response_take(response, &body);
    tg_http_reply_bytes(req, response->code, content_type, &body);
}

static void fail_unavailable(struct exchange *exchange, const char *code, const char *why)
{
    tg_http_add_header(exchange->req, "retry-after", TG_STR("1"));
    tg_http_fail(exchange->req, 503, code, TG_STR(""), "The %s service %s; retry with the same id.",
                 tg_upstream_name(exchange->route->upstream), why);
}

/* Pays for the events of a batch, or for what a read has cost, by the upstream's own count. */
static void settle(struct exchange *exchange, const tg_http_response_t *response)
{
    uint64_t count = 0;
    if (tg_str_to_u64(tg_http_response_header(response, TG_HTTP_COST_HEADER), &count) != TG_OK ||
        count > TG_LIMIT_UNITS_MAX)
        return;
    if (exchange->route->rate_class == TG_CLASS_INGEST)
        tg_charge_settle_events(&exchange->charge, (int64_t)count);
    else
        tg_charge_settle_cost(&exchange->charge, (int64_t)count);
}

static void on_answer(void *arg, tg_status_t status, const tg_http_response_t *response)
{
    struct exchange *exchange = arg;
    assert(status != TG_OK || response != NULL);
    const char *upstream = tg_upstream_name(exchange->route->upstream);

    switch (status) {
    case TG_OK:
        settle(exchange, response);
        finish(exchange, GW_UP_OK, response->code == 503);
        reply_upstream(exchange, response);
        return;
    case TG_TIMEOUT:
        finish(exchange, GW_UP_TIMEOUT, true);
        tg_http_fail(exchange->req, 504, "deadline_exceeded", TG_STR(""),
                     "The %s service did not answer in time; retry with the same id.", upstream);
        return;
    case TG_FULL:
        finish(exchange, GW_UP_FULL, true);
        fail_unavailable(exchange, "overloaded", "has too many requests waiting");
        return;
    case TG_UNAVAILABLE:
        finish(exchange, GW_UP_UNAVAILABLE, true);
        fail_unavailable(exchange, "upstream_unavailable", "cannot be reached");
        return;
    default:
        finish(exchange, GW_UP_MALFORMED, false);
        tg_http_fail(exchange->req, 502, "bad_upstream_answer", TG_STR(""),
                     "The %s service gave an answer that could not be read.", upstream);
    }
}

/* The client has left, or the deadline has passed and the shell has answered. */
static void on_gone(void *user)
{
    struct exchange *exchange = user;
    tg_gateway_thread_t *thread = exchange->thread;
    tg_metric_add(thread->shard, GW_CLIENT_GONE, 0, 1);
    tg_charge_end(&exchange->charge);
    if (exchange->step == STEP_QUEUED) {
        tg_fair_cancel(queue_of(exchange), &exchange->place);
        return;
    }
    if (exchange->step == STEP_GATHERED)
        tg_gather_cancel(thread->gather, &exchange->item);
    else
        tg_http_call_cancel(exchange->call);
    tg_fair_forget(queue_of(exchange), now_ms(exchange));
}

/* When the upstream's answer must be there. */
static uint64_t upstream_deadline(const struct exchange *exchange)
{
    uint64_t now = tg_loop_now_ms(exchange->thread->loop);
    uint64_t deadline = tg_http_deadline_at(exchange->req);
    return deadline > now + DEADLINE_GAP ? deadline - DEADLINE_GAP : now + 1;
}

#define FORWARD_HEADERS_MAX (TG_ARRAY_LEN(request_headers) + TG_ARRAY_LEN(event_headers) + 6)

/* Appends those of the request's headers that it has. */
static size_t copy_headers(const tg_http_req_t *req, const tg_str_t *names, size_t name_count,
                           tg_http_header_t *out, size_t count)
{
    for (size_t i = 0; i < name_count; i++) {
        tg_str_t value = tg_http_find_header(req, names[i]);
        if (value.len > 0)
            out[count++] = (tg_http_header_t){names[i], value};
    }
    return count;
}

/* What stands in the upstream's request and nowhere else. */
struct own_texts {
    char retention[TG_U64_DIGITS], trace[TG_TRACE_TEXT_LEN];
};

/* Fills the upstream's headers; their texts live in the request's arena or in `texts`. */
static size_t build_headers(const struct exchange *exchange, struct own_texts *texts,
                            tg_http_header_t out[FORWARD_HEADERS_MAX])
{
    const tg_http_req_t *req = exchange->req;
    bool ingestion = exchange->route->upstream == TG_UP_INGESTION;
    size_t count = 0;
    tg_trace_format(tg_http_trace(req), texts->trace);
    out[count++] = (tg_http_header_t){TG_STR("x-tidegate-secret"),
                                      tg_gateway_secret(exchange->thread->gateway)};
    out[count++] = (tg_http_header_t){TG_STR("x-tidegate-tenant"), exchange->tenant};
    if (ingestion && exchange->retention_days > 0)
        out[count++] = (tg_http_header_t){
            TG_STR("x-tidegate-retention-days"),
            {texts->retention, (size_t)(tg_str_put_u64(texts->retention, exchange->retention_days) -
                                        texts->retention)}};
    out[count++] = (tg_http_header_t){TG_STR("x-request-id"), tg_http_request_id(req)};
    out[count++] = (tg_http_header_t){TG_STR("traceparent"), {texts->trace, sizeof(texts->trace)}};
    count = copy_headers(req, request_headers, TG_ARRAY_LEN(request_headers), out, count);
    if (ingestion && !exchange->route->v1)
        count = copy_headers(req, event_headers, TG_ARRAY_LEN(event_headers), out, count);
    assert(count <= FORWARD_HEADERS_MAX);
    return count;
}

/* HEAD is asked as GET: the shell tells the answer's length and leaves its body out. */
static tg_str_t upstream_method(const tg_http_req_t *req)
{
    tg_str_t method = tg_http_method(req);
    return tg_str_eq(method, TG_STR("HEAD")) ? TG_STR("GET") : method;
}

static void forward(struct exchange *exchange)
{
    assert(exchange->tenant.len > 0);
    tg_http_req_t *req = exchange->req;
    TG_UNINITIALIZED struct own_texts texts;

    tg_str_t target = tg_routes_target(exchange->route, tg_http_path(req), tg_http_query_text(req),
                                       &exchange->thread->target);
    if (target.len == 0) {
        tg_charge_end(&exchange->charge);
        tg_fair_forget(queue_of(exchange), now_ms(exchange));
        tg_http_fail(req, 414, "uri_too_long", TG_STR(""),
                     "The request's path and query exceed %zu bytes.", TG_GATEWAY_TARGET_MAX);
        return;
    }
    TG_UNINITIALIZED tg_http_header_t headers[FORWARD_HEADERS_MAX];
    tg_http_request_t upstream = {
        .method = upstream_method(req),
        .target = target,
        .headers = headers,
        .header_count = build_headers(exchange, &texts, headers),
        .body = tg_http_body(req),
        .deadline_at_ms = upstream_deadline(exchange),
        .deadline_name = TG_STR(TG_HTTP_DEADLINE_HEADER),
        .idempotent = strcmp(exchange->route->method, "GET") == 0,
    };
    exchange->step = STEP_CALLED;
    exchange->call = tg_http_client_call(exchange->thread->clients[exchange->route->upstream],
                                         &upstream, on_answer, exchange);
    if (exchange->call == NULL)
        on_answer(exchange, TG_FULL, NULL);
}

/* --- a single event, in company --- */

static void reply_outcome(struct exchange *exchange, const tg_bundle_outcome_t *outcome)
{
    tg_http_req_t *req = exchange->req;
    if (outcome->http_code < 300) {
        tg_http_reply(req, outcome->http_code, "application/json", outcome->body);
        return;
    }
    if (outcome->http_code == 503)
        tg_http_add_header(req, "retry-after", TG_STR("1"));
    tg_str_t code = tg_arena_copy(tg_http_arena(req), outcome->code);
    tg_http_fail(req, outcome->http_code, code.ptr == NULL ? "internal" : code.ptr, outcome->field,
                 TG_STR_FMT, TG_STR_ARG(outcome->message));
}

static void on_outcome(void *arg, tg_status_t status, const tg_bundle_outcome_t *outcome)
{
    struct exchange *exchange = arg;
    if (status == TG_OK && outcome->http_code == TG_BUNDLE_ALONE) {
        forward(exchange);
    } else if (status == TG_OK && outcome->http_code >= 200 && outcome->http_code < 600) {
        finish(exchange, GW_UP_OK, outcome->http_code == 503);
        reply_outcome(exchange, outcome);
    } else {
        on_answer(exchange, status == TG_OK ? TG_INTERNAL : status, NULL);
    }
}

/* Only what needs no word of explanation: anything else goes alone, and is told what is wrong. */
static bool may_gather(const struct exchange *exchange)
{
    const tg_http_req_t *req = exchange->req;
    size_t body = tg_http_body(req).len;
    return exchange->route->upstream == TG_UP_INGESTION && exchange->route->v1 &&
           exchange->thread->gather != NULL && body > 0 && body <= TG_BUNDLE_BODY_MAX &&
           tg_http_query_text(req).len == 0 &&
           tg_str_eq(tg_http_header(req, "content-type"), TG_STR("application/json")) &&
           tg_http_header(req, "content-encoding").len == 0 &&
           tg_http_header(req, "idempotency-key").len <= TG_BUNDLE_KEY_MAX &&
           tg_event_type_name_ok(tg_http_segment(req, 0));
}

static void gather(struct exchange *exchange)
{
    tg_http_req_t *req = exchange->req;
    exchange->step = STEP_GATHERED;
    exchange->item = (tg_gather_item_t){
        .event = {.tenant = exchange->tenant,
                  .type = tg_http_segment(req, 0),
                  .idempotency_key = tg_http_header(req, "idempotency-key"),
                  .retention_days = exchange->retention_days,
                  .trace = *tg_http_trace(req),
                  .body = tg_http_body(req)},
        .deadline_at_ms = upstream_deadline(exchange),
        .done = on_outcome,
        .arg = exchange,
    };
    tg_gather_add(exchange->thread->gather, &exchange->item);
}

/* --- whether it may go at all --- */

static void fail_memory(tg_http_req_t *req)
{
    tg_http_fail(req, 503, "overloaded", TG_STR(""), "The gateway is out of memory; retry.");
}

static bool admit(tg_http_req_t *req, const tg_gateway_thread_t *thread,
                  const tg_public_route_t *route, const tg_tenant_t *tenant, tg_charge_t *charge)
{
    if ((tenant->plan->versions & (route->v1 ? TG_PLAN_V1 : TG_PLAN_V2)) == 0) {
        tg_http_fail(req, 403, "version_disabled", TG_STR(""),
                     "The plan does not include %s of the API.", route->v1 ? "v1" : "v2");
        return false;
    }
    return tg_gate_admit(req, thread, route->rate_class, tenant, charge);
}

/* --- its turn --- */

static void send_on(struct exchange *exchange)
{
    if (may_gather(exchange))
        gather(exchange);
    else
        forward(exchange);
}

static void fail_queued(struct exchange *exchange, unsigned reason)
{
    unsigned upstream = exchange->route->upstream;
    tg_metric_add(exchange->thread->shard, GW_QUEUE_ENDS, upstream * GW_QUEUE_REASONS + reason, 1);
    tg_charge_end(&exchange->charge);
    tg_http_note_hops(exchange->req, exchange->sent_us - exchange->started_us, 0);
    if (reason == GW_QUEUE_LATE)
        tg_http_fail(exchange->req, 504, "deadline_exceeded", TG_STR(""),
                     "The %s service is busy, and the request's turn did not come in time; retry "
                     "with the same id.",
                     tg_upstream_name(exchange->route->upstream));
    else
        fail_unavailable(exchange, "overloaded", "has too many requests waiting");
}

static void on_turn(void *arg, tg_fair_end_t end)
{
    struct exchange *exchange = arg;
    exchange->sent_us = tg_time_mono_us();
    if (end == TG_FAIR_GO)
        send_on(exchange);
    else
        fail_queued(exchange, end == TG_FAIR_LATE ? GW_QUEUE_LATE : GW_QUEUE_DROPPED);
}

/* What asks for nothing in particular is no export, which most requests need no clock to tell. */
static tg_fair_band_t band_of(const struct exchange *exchange)
{
    tg_str_t query = tg_http_query_text(exchange->req);
    return query.len == 0
               ? TG_BAND_FIRST
               : tg_band_of(exchange->route, query, tg_time_now(), tg_http_arena(exchange->req));
}

/* A body costs as much as it has kilobytes, so that a tenant of batches does not pass for one of
 * single events. */
static void queue(struct exchange *exchange, const tg_tenant_t *tenant)
{
    exchange->step = STEP_QUEUED;
    exchange->place = (tg_fair_item_t){
        .tenant = tenant->number,
        .weight = (uint32_t)tenant->plan->weight,
        .cost = 1 + (uint32_t)(tg_http_body(exchange->req).len >> 10),
        .band = band_of(exchange),
        .since_us = exchange->started_us,
        .deadline_ms = upstream_deadline(exchange),
        .done = on_turn,
        .arg = exchange,
    };
    switch (tg_fair_enter(queue_of(exchange), &exchange->place)) {
    case TG_FAIR_ENTERED:
        send_on(exchange);
        return;
    case TG_FAIR_WAITS:
        return;
    case TG_FAIR_FULL:
        fail_queued(exchange, GW_QUEUE_FULL);
        return;
    }
}

void tg_proxy_handle(tg_http_req_t *req, void *thread_ctx)
{
    tg_gateway_thread_t *thread = thread_ctx;
    const tg_public_route_t *route = tg_http_matched(req)->user;
    assert(thread != NULL && route != NULL);
    tg_identity_t identity;
    tg_charge_t charge;
    tg_deprecations_announce(tg_gateway_live(req)->deprecations, req);
    if (!tg_gate_enter(req, thread, route->scope, &identity) ||
        !admit(req, thread, route, identity.tenant, &charge))
        return;

    tg_str_t id = tg_arena_copy(tg_http_arena(req), tg_str_from(identity.tenant->id));
    struct exchange *exchange = tg_arena_alloc(tg_http_arena(req), sizeof(*exchange));
    if (exchange == NULL || id.ptr == NULL) {
        tg_charge_end(&charge);
        fail_memory(req);
        return;
    }
    exchange->charge = charge;
    exchange->req = req;
    exchange->thread = thread;
    exchange->route = route;
    exchange->tenant = id;
    exchange->retention_days = (uint16_t)identity.tenant->plan->retention_days;
    exchange->started_us = exchange->sent_us = tg_http_started_us(req);
    tg_http_set_user(req, exchange, on_gone);
    queue(exchange, identity.tenant);
}
