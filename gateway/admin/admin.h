/* The admin API below /admin/v1: tenants, plans, keys and the audit log, for keys with the scope
 * admin.
 *
 * Each route is one row: a function of schema `admin` in the database and where its arguments come
 * from. The functions check, change and write the audit log in one transaction, and answer with the
 * JSON that is sent; the command line calls the same ones. What this side adds is who asks, from
 * where, and the text of new keys, which the database never sees.
 *
 * Limits: bodies of 64 KiB, 1,000 rows per page, two connections per thread.
 * Threads: the request's loop. */
#ifndef TG_GATEWAY_ADMIN_H
#define TG_GATEWAY_ADMIN_H

#include "common/http/server.h"
#include "common/pg/pool.h"
#include "gateway/gateway.h"

/* Opens the pool of the admin role; *out_pool stays NULL when `dsn` is empty: the API is off. */
TG_NODISCARD tg_status_t tg_admin_open(tg_loop_t *loop, const char *dsn, tg_pg_pool_t **out_pool,
                                       tg_error_t *error);

/* Appends the routes to a table that tg_routes_expand made; false when out of memory. */
TG_NODISCARD bool tg_admin_routes(tg_http_route_t **routes, size_t *count);

/* The first statement of a call on the pool: for whom and from where, for the audit log. */
#define TG_ADMIN_ACTOR_SQL                                                                         \
    "select set_config('tidegate.actor', 'key:' || $1, true),"                                     \
    " set_config('tidegate.address', $2, true)"

/* The gate of each route here: false when the request has been answered. The key's id lives in the
 * request's arena; the charge must be ended. */
TG_NODISCARD bool tg_admin_enter(tg_http_req_t *req, tg_gateway_thread_t *thread,
                                 tg_str_t *out_key_id, tg_charge_t *out_charge);

#endif
