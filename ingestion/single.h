/* POST /v1/events/:type: one flat event, answered after its acknowledgement.
 *
 * Threads: the loop's. */
#ifndef TG_INGESTION_SINGLE_H
#define TG_INGESTION_SINGLE_H

#include "ingestion/ingestion.h"

void tg_single_handle(tg_http_req_t *req, void *thread_ctx);

#endif
