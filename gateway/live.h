/* What of the gateway's settings may change while it runs. An immutable value: each thread sees one
 * until its loop's next turn (common/http/shell/settings.h says how a new one gets there).
 *
 * Threads: made on the main thread; read on any. */
#ifndef TG_GATEWAY_LIVE_H
#define TG_GATEWAY_LIVE_H

#include "gateway/deprecation.h"
#include "gateway/keys/failures.h"

typedef struct tg_gateway_live {
    tg_deprecations_t *deprecations;
    tg_failures_rate_t failures;
} tg_gateway_live_t;

/* For tg_http_service_t: from a tg_gateway_config_t, and back. */
TG_NODISCARD tg_status_t tg_gateway_live_make(void *arg, const void *config, void **out_live,
                                              tg_error_t *error);
void tg_gateway_live_free(void *live); /* NULL is allowed */

const tg_gateway_live_t *tg_gateway_live(const tg_http_req_t *req);

#endif
