/* The envelope of a batch item: {"type":"order","data":{…}}.
 *
 * Threads: plain functions. */
#ifndef TG_INGESTION_BODY_ENVELOPE_H
#define TG_INGESTION_BODY_ENVELOPE_H

#include "common/event/event.h"

typedef struct tg_envelope {
    tg_str_t type;
    size_t data; /* index of the event's object */
} tg_envelope_t;

/* Reads the envelope nodes[0]. TG_INVALID with `error` filled. */
TG_NODISCARD tg_status_t tg_envelope_read(const tg_json_node_t *nodes, tg_envelope_t *out_envelope,
                                          tg_event_error_t *error);

/* Puts "data." before the field of an error inside the event. */
void tg_envelope_prefix(tg_event_error_t *error);

#endif
