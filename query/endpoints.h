/* The v1 reads: parameters of each route, and how a request becomes a plan.
 *
 * v1 keeps flat, per-domain shapes over the built-in types. A new read is a new row of the table
 * here, its statement and its columns.
 *
 * Threads: read-only tables; a plan belongs to its caller. */
#ifndef TG_QUERY_ENDPOINTS_H
#define TG_QUERY_ENDPOINTS_H

#include "query/plan.h"

/* The routes of the HTTP shell, all with `handler` and an endpoint as `user`. Owned (free), NULL
 * when out of memory. */
tg_http_route_t *tg_endpoints_routes(tg_http_handler_fn handler, size_t *out_count);

/* Turns the parsed request into an owned plan (free). On TG_INVALID the error text is for the
 * client and *out_field names the parameter; TG_NOMEM. */
TG_NODISCARD tg_status_t tg_endpoints_plan(const tg_http_req_t *req, int64_t now,
                                           tg_plan_t **out_plan, const char **out_field,
                                           tg_error_t *error);

#endif
