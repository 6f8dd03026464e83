/* POST /v1/events/:type: one flat event, answered after its acknowledgement.
 *
 * Threads: the loop's. */
#ifndef TG_INGESTION_SINGLE_H
#define TG_INGESTION_SINGLE_H

#include "ingestion/ingestion.h"

enum { TG_SINGLE_PARAM_ON_INVALID, TG_SINGLE_PARAM_COUNT };
extern const tg_param_t tg_single_params[TG_SINGLE_PARAM_COUNT];

void tg_single_handle(tg_http_req_t *req, void *thread_ctx);

#endif
