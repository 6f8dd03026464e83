/* One single event's way, once its type is known: parse, check, encode, hand to Kafka, hear.
 *
 * It may come as a request of its own (single.h) or in a bundle of the gateway's (bundle.h); how
 * it is asked for and answered is theirs.
 *
 * Threads: the loop's. */
#ifndef TG_INGESTION_SINGLE_DELIVERY_H
#define TG_INGESTION_SINGLE_DELIVERY_H

#include "ingestion/ingestion.h"

#define TG_DELIVERY_ANSWER_MAX 128 /* bytes of a success's body */

/* How it ended. Texts are borrowed until the callback returns. */
typedef struct tg_outcome {
    int http_code;       /* 202: acknowledged by Kafka */
    const char *code;    /* of an error; a literal */
    tg_str_t field;      /* of an error; may be empty */
    const char *message; /* of an error */
    const tg_uuid_t *id; /* 202 */
    int64_t received_at; /* 202 */
} tg_outcome_t;

/* Called once, later or before tg_delivery_start has returned. */
typedef void (*tg_delivery_done_fn)(void *arg, const tg_outcome_t *outcome);

typedef struct tg_delivery {
    tg_ingestion_thread_t *thread;
    tg_event_rules_t rules; /* its texts need to live until tg_delivery_start returns */
    tg_delivery_done_fn done;
    void *arg;
    bool buries; /* what is refused is the caller's to store and to count */
    tg_uuid_t id;
    uint64_t produced_us; /* monotonic */
} tg_delivery_t;

/* `delivery` must live until `done`; the other arguments are used at once. */
void tg_delivery_start(tg_delivery_t *delivery, const tg_event_type_t *type, tg_str_t body,
                       const tg_trace_t *trace);

/* The end of an event whose type could not be had; `status` is the registry client's. */
void tg_delivery_without_type(tg_delivery_t *delivery, tg_status_t status);

/* Writes {"event_id","received_at"} of a 202; returns its length. */
size_t tg_delivery_answer(const tg_outcome_t *outcome, char out[TG_DELIVERY_ANSWER_MAX]);

#endif
