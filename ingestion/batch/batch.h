/* POST /v2/events: many events, one result for each.
 *
 * The forms are those of form.h. An item of an array or of lines is {"type":"order","data":{…}};
 * with the query parameter ?type=order it is the flat event itself. Such an envelope takes these
 * two members and no other, so that an id or a time that stands in the wrong place is refused
 * instead of ignored; in a CloudEvent they have a meaning.
 *
 * Limits: request.max_bytes (after decompression), request.max_events, event.max_bytes,
 * TG_TYPES_MAX.
 * Threads: the loop's. */
#ifndef TG_INGESTION_BATCH_H
#define TG_INGESTION_BATCH_H

#include "ingestion/ingestion.h"

enum {
    TG_BATCH_PARAM_TYPE,
    TG_BATCH_PARAM_STRICT,
    TG_BATCH_PARAM_ON_INVALID,
    TG_BATCH_PARAM_COUNT
};
extern const tg_param_t tg_batch_params[TG_BATCH_PARAM_COUNT];

void tg_batch_handle(tg_http_req_t *req, void *thread_ctx);

#endif
