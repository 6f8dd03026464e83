/* POST /v2/events: many events, one result for each.
 *
 * The body is a JSON array (application/json) or lines (application/x-ndjson). Each item is
 * {"type":"order","data":{…}}; with the query parameter ?type=order it is the flat event itself.
 * An envelope takes these two members and no other, so that an id or a time that stands in the
 * wrong place is refused instead of ignored.
 *
 * Limits: request.max_bytes, request.max_events, event.max_bytes, TG_BATCH_TYPES_MAX.
 * Threads: the loop's. */
#ifndef TG_INGESTION_BATCH_H
#define TG_INGESTION_BATCH_H

#include "ingestion/ingestion.h"

#define TG_BATCH_TYPES_MAX 64 /* different types in one request */

enum { TG_BATCH_PARAM_TYPE };
extern const tg_param_t tg_batch_params[1];

void tg_batch_handle(tg_http_req_t *req, void *thread_ctx);

#endif
