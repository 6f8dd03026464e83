/* CloudEvents 1.0 (https://github.com/cloudevents/spec): the context attributes of an event, from
 * its JSON (structured mode and batches) or from ce-* headers (binary mode).
 *
 * One table of attributes serves both. Attributes that are not in it are extensions; they are
 * ignored, as consumers must, but for `traceparent` (distributed tracing extension). `subject` and
 * `dataschema` are checked and not used: what an event is about stands in its fields, and the
 * schema is the type's.
 *
 * Limits: TG_CLOUDEVENT_TEXT_MAX bytes of an attribute, TG_EVENT_TEXT_MAX of the id.
 * Threads: plain functions. */
#ifndef TG_INGESTION_BODY_CLOUDEVENT_H
#define TG_INGESTION_BODY_CLOUDEVENT_H

#include "common/event/event.h"

#define TG_CLOUDEVENT_TEXT_MAX 2048

typedef struct tg_cloudevent {
    tg_str_t type; /* the event type: without the "-value" of a registry's subject */
    tg_str_t id, source, time;
    tg_str_t traceparent;
    size_t data;     /* structured: index of the event's object; 0: see `base64` */
    tg_str_t base64; /* structured: data_base64; JSON of the event once decoded */
} tg_cloudevent_t;

/* Reads the structured event nodes[0]; texts are borrowed from the nodes. TG_INVALID with `error`
 * filled. */
TG_NODISCARD tg_status_t tg_cloudevent_read(const tg_json_node_t *nodes, tg_cloudevent_t *out_event,
                                            tg_event_error_t *error);

/* Gives the header's value, {NULL, 0} if it is absent. */
typedef tg_str_t (*tg_cloudevent_header_fn)(void *arg, const char *lower_name);

/* Whether a request without a CloudEvents media type is one in binary mode: it has one of the
 * required attributes. */
bool tg_cloudevent_is_binary(tg_cloudevent_header_fn header, void *arg);

/* Reads the ce-* headers. Their values are unquoted and percent-decoded into `texts`, which the
 * event borrows. TG_INVALID with `error` filled; TG_NOMEM. */
TG_NODISCARD tg_status_t tg_cloudevent_read_headers(tg_cloudevent_header_fn header, void *arg,
                                                    tg_buf_t *texts, tg_cloudevent_t *out_event,
                                                    tg_event_error_t *error);

/* Decodes base64 (RFC 4648 section 4, padded, nothing between) onto `out`. TG_INVALID, TG_NOMEM. */
TG_NODISCARD tg_status_t tg_cloudevent_decode_base64(tg_str_t text, tg_buf_t *out);

#endif
