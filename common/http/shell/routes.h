/* The route table, compiled: paths cut into segments once, matched without copying.
 *
 * Segments are compared percent-decoded, so "/v1/%65vents" is "/v1/events"; a segment that is or
 * decodes to "." or ".." is refused, because such paths mean different things to different servers.
 *
 * Limits: 16 segments of a route and its ":name"s, 32 of a request's path.
 * Threads: read-only after create. */
#ifndef TG_HTTP_ROUTES_H
#define TG_HTTP_ROUTES_H

#include "common/base/arena.h"
#include "common/http/server.h"

#define TG_ROUTE_SEGMENTS_MAX 16
#define TG_PATH_SEGMENTS_MAX  32
#define TG_ROUTE_ALLOW_MAX    64

typedef struct tg_routes tg_routes_t;

typedef struct tg_route_match {
    const tg_http_route_t *route;
    tg_str_t names[TG_ROUTE_SEGMENTS_MAX]; /* the :name segments and the rest of "*", decoded */
    unsigned name_count;
    /* On TG_CONFLICT: the first row of the path, and its methods: "GET, HEAD, POST, OPTIONS". */
    const tg_http_route_t *near;
    char allow[TG_ROUTE_ALLOW_MAX];
} tg_route_match_t;

/* Returns an owned table that borrows `routes`, or NULL when out of memory. A bad row asserts. */
tg_routes_t *tg_routes_create(const tg_http_route_t *routes, size_t count);
void tg_routes_destroy(tg_routes_t *routes);

/* TG_OK with the first row that fits; TG_NOT_FOUND: no row has this path; TG_CONFLICT: only for
 * other methods; TG_INVALID: dot segments or escapes that are not UTF-8; TG_NOMEM. Texts that had
 * to be decoded come from `arena`. */
TG_NODISCARD tg_status_t tg_routes_find(const tg_routes_t *routes, tg_str_t method, tg_str_t path,
                                        tg_arena_t *arena, tg_route_match_t *out_match);

/* The methods that there are at all. */
void tg_routes_methods(const tg_routes_t *routes, char out_allow[TG_ROUTE_ALLOW_MAX]);

/* The row whose path has most leading segments with `path`, as it came, in common; the first of
 * them, NULL when there are no rows. */
const tg_http_route_t *tg_routes_nearest(const tg_routes_t *routes, tg_str_t path);

#endif
