/* Cross-origin requests of browsers: what answers say to them, and the preflight.
 *
 * A browser asks first (OPTIONS with Access-Control-Request-Method) whether a page of that origin
 * may send such a request, without a key; so the answer must come before the key is looked for. An
 * origin that is not listed learns nothing from an answer's headers; its requests without preflight
 * are answered as ever, because CORS protects the browser's user, not the API.
 *
 * Origin is part of every answer's Vary when the list has names: a cache must not give one origin
 * what was made for another. */
#include <stdio.h>

#include "common/http/edge/origins.h"
#include "common/http/shell/shell.h"

/* What a page may send, and what it may read beside what every page may. */
static const char allowed_headers[] =
    "Accept, Authorization, Content-Encoding, Content-Type, Idempotency-Key, If-None-Match, "
    "Traceparent, X-API-Key, X-Request-Id, ce-datacontenttype, ce-dataschema, ce-id, ce-source, "
    "ce-specversion, ce-subject, ce-time, ce-traceparent, ce-type";
static const char exposed_headers[] =
    "Deprecation, ETag, Link, Location, RateLimit, RateLimit-Policy, Retry-After, Sunset, "
    "X-Request-Id";

/* `value` must live as long as the answer. */
static void add(h2o_req_t *raw, const char *name, tg_str_t value)
{
    h2o_add_header_by_str(&raw->pool, &raw->res.headers, name, strlen(name), 1, NULL, value.ptr,
                          value.len);
}

/* The settings, and with them the list, may be replaced while the answer is being sent. */
static void add_copy(h2o_req_t *raw, const char *name, tg_str_t value)
{
    h2o_iovec_t copy = h2o_strdup(&raw->pool, value.ptr, value.len);
    add(raw, name, (tg_str_t){copy.base, copy.len});
}

static tg_str_t origin_of(const h2o_req_t *raw)
{
    for (size_t i = 0; i < raw->headers.size; i++) {
        const h2o_header_t *header = &raw->headers.entries[i];
        if (header->name->len == 6 && memcmp(header->name->base, "origin", 6) == 0)
            return (tg_str_t){header->value.base, header->value.len};
    }
    return (tg_str_t){NULL, 0};
}

void tg_http_cors_announce(const tg_http_thread_t *thread, h2o_req_t *raw)
{
    const tg_origins_t *origins = thread->settings->origins;
    if (origins == NULL || !thread->is_api)
        return;
    bool any = tg_origins_is_any(origins);
    if (!any)
        add(raw, "vary", TG_STR("Origin"));
    tg_str_t origin = origin_of(raw);
    tg_str_t listed = any ? TG_STR("*") : tg_origins_find(origins, origin);
    if (listed.ptr == NULL || (!any && origin.ptr == NULL))
        return;
    add_copy(raw, "access-control-allow-origin", listed);
    if (!any)
        add(raw, "access-control-allow-credentials", TG_STR("true"));
    add(raw, "access-control-expose-headers", TG_STR(exposed_headers));
}

bool tg_http_cors_preflight(tg_http_req_t *req, const char *allow)
{
    const tg_origins_t *origins = req->thread->settings->origins;
    tg_str_t origin = origin_of(req->raw);
    if (origins == NULL || !req->thread->is_api || origin.ptr == NULL ||
        tg_http_header(req, "access-control-request-method").ptr == NULL)
        return false;
    if (tg_origins_find(origins, origin).ptr == NULL) {
        tg_http_fail(req, 403, "origin_not_allowed", (tg_str_t){0},
                     "Pages of this origin may not call this API; http.cors_origins lists those "
                     "that may.");
        return true;
    }
    char age[24];
    (void)snprintf(age, sizeof(age), "%llu",
                   (unsigned long long)req->thread->settings->limits.cors_max_age_ms / 1000);
    tg_http_add_header(req, "access-control-allow-methods", tg_str_from(allow));
    tg_http_add_header(req, "access-control-allow-headers", TG_STR(allowed_headers));
    tg_http_add_header(req, "access-control-max-age", tg_str_from(age));
    tg_http_reply(req, 204, NULL, (tg_str_t){0});
    return true;
}
