/* POST /admin/v1/reload: this gateway reads its settings again, as on SIGHUP, and says what has
 * changed or why nothing has. The audit log has it as gateway.reload; a database that is away does
 * not stop it, and the answer says so.
 *
 * Threads: the request's loop. */
#ifndef TG_GATEWAY_ADMIN_RELOAD_H
#define TG_GATEWAY_ADMIN_RELOAD_H

#include "common/http/server.h"

#define TG_ADMIN_RELOAD_PATH "/admin/v1/reload"

void tg_admin_reload_handle(tg_http_req_t *req, void *thread_ctx);

#endif
