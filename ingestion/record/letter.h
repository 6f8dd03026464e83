/* Dead letters of ingestion: an invalid event of a request with ?on_invalid=dead_letter, with its
 * bytes as they came, to the dead-letter topic. The worker puts them from there into their table.
 *
 * Headers, in this order: tg-dlq-origin ("ingestion"; it stands first in no other record of the
 * topic), tg-dlq-id, tg-dlq-code, tg-dlq-text, tg-dlq-field, tg-dlq-form, tg-tenant, tg-type (if
 * the event named one), tg-received-at, traceparent; in binary mode the event's attributes as
 * ce_id, ce_source, ce_type and ce_time.
 *
 * Threads: the loop's. */
#ifndef TG_INGESTION_RECORD_LETTER_H
#define TG_INGESTION_RECORD_LETTER_H

#include "ingestion/body/cloudevent.h"
#include "ingestion/ingestion.h"

typedef struct tg_letter {
    tg_uuid_t id;
    tg_str_t tenant;
    tg_str_t type; /* as the event says; left out where that cannot be a type's name */
    const tg_event_error_t *error;
    const char *form;                  /* "event", "item" or "cloudevent": what the bytes are */
    const tg_cloudevent_t *attributes; /* NULL, or those that stood outside of the bytes */
    int64_t received_at;
    tg_str_t bytes;
} tg_letter_t;

/* The letter's id: with an Idempotency-Key the same at each attempt, else a new one. */
void tg_letter_name(const tg_event_rules_t *rules, tg_uuid_t *out_id);

/* Hands the letter to Kafka. On TG_OK `done` comes later; status as tg_producer_send. */
TG_NODISCARD tg_status_t tg_letter_produce(tg_ingestion_thread_t *thread, const tg_letter_t *letter,
                                           const tg_trace_t *trace, tg_producer_done_fn done,
                                           void *arg);

#endif
