/* One request through the gateway: check, limit, rebuild for the upstream, relay the answer.
 *
 * The upstream request is built anew from what the gateway understood: a closed list of headers,
 * its own framing, and the identity in X-Tidegate-* with the shared secret. What a client sends
 * under these names never travels on. The answer's headers pass through a closed list as well.
 *
 * Threads: on the request's loop. */
#ifndef TG_GATEWAY_PROXY_H
#define TG_GATEWAY_PROXY_H

#include "common/http/server.h"

/* Handler of every public route; `thread_ctx` is a tg_gateway_thread_t. */
void tg_proxy_handle(tg_http_req_t *req, void *thread_ctx);

#endif
