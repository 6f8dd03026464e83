/* See gate.h. */
#include "gateway/keys/gate.h"

#include <stdio.h>

#include "common/base/time.h"
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
    if (result == TG_AUTH_FORBIDDEN) {
        tg_http_fail(req, 403, "insufficient_scope", TG_STR(""),
                     "This path needs a key with the scope \"%s\".", tg_scope_name(needed));
        return;
    }
    int64_t wait_us =
        result == TG_AUTH_INVALID
            ? tg_failures_note(thread->failures, tg_http_peer(req), (int64_t)tg_time_mono_us())
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
                                      [TG_AUTH_FORBIDDEN] = GW_AUTH_FORBIDDEN};
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
        tg_uses_note(thread->uses, out_identity->key->id, (int64_t)tg_time_mono_us());
    if (result == TG_AUTH_OK)
        return true;
    refuse(req, thread, result, needed);
    return false;
}
