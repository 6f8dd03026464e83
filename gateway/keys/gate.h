/* The gate of every route that needs a key: who asks, whether the key may do that, and whether its
 * tenant may do it now.
 *
 * It answers for those whom it does not let through: 401 without a key or with a wrong one, 403
 * without the scope, 429 after too many failures from one address, 503 before the first snapshot.
 *
 * Threads: the request's loop. */
#ifndef TG_GATEWAY_GATE_H
#define TG_GATEWAY_GATE_H

#include "gateway/auth.h"
#include "gateway/gateway.h"
#include "gateway/limit/limits.h"

/* False when the request has been answered. The identity is borrowed from the thread's snapshot:
 * until the loop's next turn. */
TG_NODISCARD bool tg_gate_enter(tg_http_req_t *req, tg_gateway_thread_t *thread, tg_scope_t needed,
                                tg_identity_t *out_identity);

/* Charges the tenant's limits and says so in the answer's headers; false when the request has been
 * answered: 429, or 413 for a body beyond the plan's. When true the charge must be ended. */
TG_NODISCARD bool tg_gate_admit(tg_http_req_t *req, const tg_gateway_thread_t *thread,
                                tg_route_class_t class, const tg_tenant_t *tenant,
                                tg_charge_t *out_charge);

#endif
