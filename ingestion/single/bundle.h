/* POST /internal/bundle: single events that the gateway has gathered from several clients, answered
 * when the last of them has its outcome (common/event/bundle.h).
 *
 * An event whose type is not cached is answered "alone": the gateway sends it by itself, so that
 * nobody else's event waits for the registry.
 *
 * Threads: the loop's. */
#ifndef TG_INGESTION_SINGLE_BUNDLE_H
#define TG_INGESTION_SINGLE_BUNDLE_H

#include "ingestion/ingestion.h"

void tg_bundle_handle(tg_http_req_t *req, void *thread_ctx);

#endif
