/* /admin/v1/breakers: what this gateway knows of its upstreams' instances, and an operator's hand
 * on a breaker: open and closed are held until auto lets it go.
 *
 * It concerns this gateway alone, with all its threads, until it ends: other gateways are asked one
 * by one. The audit log has it as breaker.open, breaker.close and breaker.auto; a database that is
 * away does not stop it, because that is when breakers are looked at, and the answer says so.
 *
 * Threads: the request's loop. */
#ifndef TG_GATEWAY_ADMIN_BREAKERS_H
#define TG_GATEWAY_ADMIN_BREAKERS_H

#include "common/http/server.h"

#define TG_ADMIN_BREAKERS_PATH "/admin/v1/breakers"
#define TG_ADMIN_BREAKER_PATH  "/admin/v1/breakers/:upstream/:instance"
#define TG_ADMIN_BREAKER_BODY  ((size_t)1 << 10)

void tg_admin_breakers_list(tg_http_req_t *req, void *thread_ctx);
void tg_admin_breakers_set(tg_http_req_t *req, void *thread_ctx);

#endif
