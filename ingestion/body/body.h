/* The body of a request as it was before its Content-Encoding.
 *
 * What is decompressed is charged to the thread's byte budget (kafka.max_inflight) for as long as
 * it is held, since a small request may become a large one here.
 *
 * Threads: the loop's. */
#ifndef TG_INGESTION_BODY_H
#define TG_INGESTION_BODY_H

#include "ingestion/ingestion.h"

typedef struct tg_body {
    tg_str_t text; /* borrowed from the request, or from `unpacked` */
    tg_buf_t unpacked;
} tg_body_t;

/* Gives the body of at most `max_bytes`; when it fails, the request was answered. */
TG_NODISCARD tg_status_t tg_body_open(tg_ingestion_thread_t *thread, tg_http_req_t *req,
                                      size_t max_bytes, tg_body_t *out_body);
void tg_body_close(tg_ingestion_thread_t *thread, tg_body_t *body); /* again is allowed */

/* Whether `bytes` more may be held or be under way to Kafka. One request is always let in. */
bool tg_body_budget(const tg_ingestion_thread_t *thread, size_t bytes);

#endif
