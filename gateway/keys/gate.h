/* The gate of every route that needs a key: who asks, and whether the key may do that.
 *
 * It answers for those whom it does not let through: 401 without a key or with a wrong one, 403
 * without the scope, 429 after too many failures from one address, 503 before the first snapshot.
 *
 * Threads: the request's loop. */
#ifndef TG_GATEWAY_GATE_H
#define TG_GATEWAY_GATE_H

#include "gateway/auth.h"
#include "gateway/gateway.h"

/* False when the request has been answered. The identity is borrowed from the thread's snapshot:
 * until the loop's next turn. */
TG_NODISCARD bool tg_gate_enter(tg_http_req_t *req, tg_gateway_thread_t *thread, tg_scope_t needed,
                                tg_identity_t *out_identity);

#endif
