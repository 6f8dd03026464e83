/* One item of a request, whatever its form: where the event's object is, of which type it is, and
 * what its envelope says of it.
 *
 * Threads: the loop's. */
#ifndef TG_INGESTION_BODY_ITEM_H
#define TG_INGESTION_BODY_ITEM_H

#include "ingestion/body/cloudevent.h"
#include "ingestion/body/form.h"
#include "ingestion/ingestion.h"

#define TG_ITEM_HEADERS_MAX ((size_t)64 << 10) /* bytes of all ce-* headers */

/* What is the same for all items of a request. */
typedef struct tg_item_source {
    tg_ingestion_thread_t *thread;
    tg_http_req_t *req; /* for its headers, in binary mode */
    tg_form_t form;
    tg_str_t type;  /* of ?type=; it counts before what an item says; "" if none */
    tg_buf_t texts; /* decoded headers or data_base64 */
} tg_item_source_t;

typedef struct tg_item {
    const tg_json_node_t *nodes;
    size_t at;             /* of the event's object */
    tg_str_t type;         /* also set when the read fails, if it was known by then */
    tg_cloudevent_t cloud; /* its attributes; all empty in other forms */
    tg_trace_t trace;      /* if it has one of its own */
    bool has_trace;
    bool within_data; /* the event stands in the member "data" */
} tg_item_t;

/* Reads one item; all is borrowed until the next read on this thread. TG_INVALID or TG_TOO_LARGE
 * with `error` filled; TG_NOMEM. */
TG_NODISCARD tg_status_t tg_item_read(tg_item_source_t *source, tg_str_t text, tg_item_t *out_item,
                                      tg_event_error_t *error);

/* Makes the field of an error that came from tg_event_encode the one that the client has sent. */
void tg_item_blame(const tg_item_source_t *source, const tg_item_t *item, tg_event_error_t *error);

#endif
