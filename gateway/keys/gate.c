/* See gate.h. */
#include "gateway/keys/gate.h"

#include <stdio.h>

#include "common/base/time.h"
#include "gateway/live.h"
#include "gateway/metrics.h"

static void refuse_failure(tg_http_req_t *req, tg_gateway_thread_t *thread, int64_t wait_us)
{
    char text[24];
    long long wait_s = (wait_us + TG_US_PER_SECOND - 1) / TG_US_PER_SECOND;
    tg_metric_add(thread->shard, GW_AUTH_LIMITED, 0, 1);
    (void)snprintf(text, sizeof(text), "%lld", wait_s);
    tg_http_add_header(req, "retry-after", tg_str_from(text));
    tg_http_fail(req, 429, "too_many_failures", TG_STR(""),
                 "Too many requests with wrong API keys came from this address; a valid key is let "
                 "in at any time, a wrong one answered again after %lld s.",
                 wait_s);
}

static void refuse(tg_http_req_t *req, tg_gateway_thread_t *thread, tg_auth_result_t result,
                   tg_scope_t needed)
{
    assert(result != TG_AUTH_OK);
    if (result == TG_AUTH_AMBIGUOUS) {
        tg_http_fail(req, 400, "ambiguous_key", TG_STR(""),
                     "Authorization and X-API-Key hold different keys; send one of them.");
        return;
    }
    if (result == TG_AUTH_FORBIDDEN) {
        tg_http_fail(req, 403, "insufficient_scope", TG_STR(""),
                     "This path needs a key with the scope \"%s\".", tg_scope_name(needed));
        return;
    }
    int64_t wait_us = result == TG_AUTH_INVALID
                          ? tg_failures_note(thread->failures, &tg_gateway_live(req)->failures,
                                             tg_http_peer(req), (int64_t)tg_time_mono_us())
                          : 0;
    if (wait_us > 0) {
        refuse_failure(req, thread, wait_us);
        return;
    }
    /* Browsers ask people for a password on Basic, so it is offered to registry clients only. */
    bool basic = tg_http_matched(req)->format == TG_HTTP_CONFLUENT;
    tg_http_add_header(req, "www-authenticate",
                       basic ? TG_STR("Basic realm=\"tidegate\", Bearer realm=\"tidegate\"")
                             : TG_STR("Bearer realm=\"tidegate\""));
    if (result == TG_AUTH_MISSING)
        tg_http_fail(req, 401, "missing_key", TG_STR(""),
                     "Send an API key as X-API-Key, Authorization: Bearer, or the password of "
                     "Basic.");
    else
        tg_http_fail(req, 401, "invalid_key", TG_STR(""),
                     "The API key is malformed, unknown, expired or revoked.");
}

bool tg_gate_enter(tg_http_req_t *req, tg_gateway_thread_t *thread, tg_scope_t needed,
                   tg_identity_t *out_identity)
{
    assert(thread != NULL);
    assert(out_identity != NULL);
    static const unsigned labels[] = {[TG_AUTH_OK] = GW_AUTH_OK,
                                      [TG_AUTH_MISSING] = GW_AUTH_MISSING,
                                      [TG_AUTH_INVALID] = GW_AUTH_INVALID,
                                      [TG_AUTH_FORBIDDEN] = GW_AUTH_FORBIDDEN,
                                      [TG_AUTH_AMBIGUOUS] = GW_AUTH_AMBIGUOUS};
    const tg_directory_t *directory = tg_gateway_directory(thread);
    if (directory == NULL) {
        tg_metric_add(thread->shard, GW_AUTH, GW_AUTH_NOT_LOADED, 1);
        tg_http_add_header(req, "retry-after", TG_STR("1"));
        tg_http_fail(req, 503, "not_ready", TG_STR(""), "The gateway has not read its keys yet.");
        return false;
    }
    tg_credentials_t credentials = {tg_http_header(req, "authorization"),
                                    tg_http_header(req, "x-api-key")};
    tg_auth_result_t result =
        tg_auth_check(directory, &credentials, needed, tg_time_now(), out_identity);
    tg_metric_add(thread->shard, GW_AUTH, labels[result], 1);
    if (result == TG_AUTH_OK || result == TG_AUTH_FORBIDDEN)
        tg_http_note_key(req, tg_str_from(out_identity->tenant->id),
                         tg_str_from(out_identity->key->id));
    if (result == TG_AUTH_OK || result == TG_AUTH_FORBIDDEN)
        tg_uses_note(thread->uses, out_identity->key->id, (int64_t)tg_http_started_us(req));
    if (result == TG_AUTH_OK)
        return true;
    refuse(req, thread, result, needed);
    return false;
}

static void fail_limited(tg_http_req_t *req, const tg_gateway_thread_t *thread,
                         tg_route_class_t class, const tg_verdict_t *verdict)
{
    char text[TG_LIMIT_TEXT_MAX];
    long long wait_s = (long long)tg_verdict_retry_after_s(verdict);
    bool quota = verdict->refused == TG_LIMIT_DAY;

    tg_metric_add(thread->shard, GW_LIMITED, class * TG_LIMIT_COUNT + verdict->refused, 1);
    (void)snprintf(text, sizeof(text), "%lld", wait_s);
    tg_http_add_header(req, "retry-after", tg_str_from(text));
    tg_verdict_describe(verdict, class, text);
    tg_http_fail(req, 429, quota ? "quota_exceeded" : "rate_limited", TG_STR(""),
                 "The plan allows %s; retry after %lld s.", text, wait_s);
}

bool tg_gate_admit(tg_http_req_t *req, const tg_gateway_thread_t *thread, tg_route_class_t class,
                   const tg_tenant_t *tenant, tg_charge_t *out_charge)
{
    const tg_limit_request_t request = {
        .tenant = tg_str_from(tenant->id),
        .number = tenant->number,
        .plan = tenant->plan,
        .class = class,
        .body_bytes = (int64_t)tg_http_body(req).len,
        .now_us = tg_http_started_us(req),
    };
    TG_UNINITIALIZED char limit[TG_LIMIT_TEXT_MAX], policy[TG_LIMIT_TEXT_MAX];
    tg_verdict_t verdict;

    if (request.body_bytes > request.plan->max_body) {
        tg_http_fail(req, 413, "body_too_large", TG_STR(""),
                     "The plan allows bodies of at most %lld bytes.",
                     (long long)request.plan->max_body);
        return false;
    }
    if (tg_limits_admit(tg_gateway_limits(thread->gateway), thread->lessor, &request, out_charge,
                        &verdict) != TG_OK) {
        tg_http_fail(req, 503, "overloaded", TG_STR(""), "The gateway is out of memory; retry.");
        return false;
    }
    tg_verdict_write(&verdict, request.plan, request.class, limit, policy);
    tg_http_add_header(req, "ratelimit", tg_str_from(limit));
    tg_http_add_header(req, "ratelimit-policy", tg_str_from(policy));
    if (verdict.refused != TG_LIMIT_NONE)
        fail_limited(req, thread, class, &verdict);
    return verdict.refused == TG_LIMIT_NONE;
}
