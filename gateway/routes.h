/* The public route table: which path goes to which service, what scope and limits it needs.
 *
 * One row per public path; the rows of v1 answer under /v1, /api/v1 and without a version. The
 * table is expanded once at start into what the HTTP shell wants.
 *
 * Threads: read-only after tg_routes_expand. */
#ifndef TG_GATEWAY_ROUTES_H
#define TG_GATEWAY_ROUTES_H

#include "common/http/server.h"
#include "gateway/directory.h"

typedef enum tg_upstream {
    TG_UP_INGESTION,
    TG_UP_QUERY,
    TG_UP_REGISTRY,
    TG_UP_COUNT
} tg_upstream_t;

typedef struct tg_public_route {
    const char *method;
    const char *path; /* v1: what follows the version; the registry's: its prefix; else all of it */
    bool v1;          /* three prefixes */
    tg_upstream_t upstream;
    tg_scope_t scope;
    tg_route_class_t rate_class;
    size_t max_body;
    tg_http_format_t format;
} tg_public_route_t;

/* "ingestion", "query", "registry". */
const char *tg_upstream_name(tg_upstream_t upstream);

/* Gives the shell's table (owned, freed by tg_routes_dispose): the open routes (/health, /ready and
 * the documentation's), then every public route under each of its prefixes, with `handler` and the
 * public route as `user`. NULL when out of memory. */
tg_http_route_t *tg_routes_expand(tg_http_handler_fn handler, size_t *out_count);
void tg_routes_dispose(tg_http_route_t *routes, size_t count);

/* The upstream's origin-form target: the path as it came (percent-encoded) in its one canonical
 * spelling, aliases resolved, and the query as it came. It stands in `buf`, whose content it
 * replaces; empty when it does not fit there. */
tg_str_t tg_routes_target(const tg_public_route_t *route, tg_str_t path, tg_str_t query,
                          tg_buf_t *buf);

#endif
