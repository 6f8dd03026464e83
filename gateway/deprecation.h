/* Which paths are to go, since when, until when, and what takes their place: headers on each
 * answer.
 *
 * From one line of configuration, entries separated by semicolons:
 *
 *     PATH DEPRECATED SUNSET SUCCESSOR; …
 *     /v1/metrics 2026-12-01 2027-06-30 /v2/query; /v1/signals 2026-12-01 - -
 *
 * PATH is a path in its /v1 or /v2 spelling (aliases follow it), or the beginning of one and a
 * star; the first entry that fits counts. DEPRECATED and SUNSET are days in UTC; "-" leaves a
 * header out. Headers: Deprecation (RFC 9745), Sunset (RFC 8594), Link with
 * rel="successor-version" (RFC 5829).
 *
 * Limits: TG_DEPRECATIONS_MAX entries. Threads: immutable after the parse. */
#ifndef TG_GATEWAY_DEPRECATION_H
#define TG_GATEWAY_DEPRECATION_H

#include "common/http/server.h"

#define TG_DEPRECATIONS_MAX 64

typedef struct tg_deprecations tg_deprecations_t;

/* TG_INVALID names the entry and what is wrong with it. An empty text gives an empty list. */
TG_NODISCARD tg_status_t tg_deprecations_parse(tg_str_t text, tg_deprecations_t **out_list,
                                               tg_error_t *error);
void tg_deprecations_destroy(tg_deprecations_t *list); /* NULL is allowed */

typedef struct tg_deprecation {
    char path[256];
    bool is_prefix;
    char since[32], sunset[40], link[320]; /* values of the headers; "": none */
} tg_deprecation_t;

/* The entry for a request's path as it came, or NULL. */
const tg_deprecation_t *tg_deprecations_find(const tg_deprecations_t *list, tg_str_t path);

/* Adds its headers to the request's answer, if there is an entry. */
void tg_deprecations_announce(const tg_deprecations_t *list, tg_http_req_t *req);

#endif
