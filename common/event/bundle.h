/* Bundles: several clients' single events in one request from the gateway to ingestion, and their
 * outcomes in its answer.
 *
 * Why: a hop costs two system calls and a wake-up on each side, whatever it carries. The requests
 * that reach a gateway while others are on their way share one hop; see
 * docs/decisions/0007-bundled-singles.md.
 *
 * A bundle is a sequence of events, an answer the sequence of their outcomes in the same order;
 * numbers are big endian, texts are a length and the bytes:
 *
 *   event    u8 tenant, u8 type, u8 idempotency key, u16 days kept, 55 bytes traceparent, u32 body
 *   outcome  u16 HTTP code, u8 error code, u8 field, u16 message, u16 body
 *
 * Both sides are our own processes; the reader trusts neither.
 *
 * Threads: plain values. */
#ifndef TG_BUNDLE_H
#define TG_BUNDLE_H

#include "common/observe/trace.h"

#define TG_BUNDLE_PATH       "/internal/bundle"
#define TG_BUNDLE_MEDIA_TYPE "application/vnd.tidegate.bundle"
#define TG_BUNDLE_EVENTS_MAX 256 /* events of one bundle */
#define TG_BUNDLE_BODY_MAX                                                                         \
    ((size_t)16 << 10)                          /* bytes of one event's JSON; larger ones go alone \
                                                 */
#define TG_BUNDLE_KEY_MAX   128                 /* bytes of an Idempotency-Key */
#define TG_BUNDLE_BYTES_MAX ((size_t)320 << 10) /* of the whole bundle */
#define TG_BUNDLE_ALONE     0                   /* "HTTP code": to be sent by itself */

typedef struct tg_bundle_event {
    tg_str_t tenant, type;
    tg_str_t idempotency_key; /* empty: none */
    uint16_t retention_days;  /* of the tenant; 0: as the platform */
    tg_trace_t trace;         /* the sender's span */
    tg_str_t body;
} tg_bundle_event_t;

typedef struct tg_bundle_outcome {
    int http_code;                 /* or TG_BUNDLE_ALONE */
    tg_str_t code, field, message; /* of an error */
    tg_str_t body;                 /* of a success */
} tg_bundle_outcome_t;

/* Bytes that the event takes in a bundle. */
size_t tg_bundle_event_size(const tg_bundle_event_t *event);

/* Append to `out`, whose `failed` tells that something did not fit. Texts are within the format's
 * limits (asserted). */
void tg_bundle_put_event(const tg_bundle_event_t *event, tg_buf_t *out);
void tg_bundle_put_outcome(const tg_bundle_outcome_t *outcome, tg_buf_t *out);

/* Take the first item off `rest`, which must not be empty; texts are borrowed from it. TG_INVALID
 * when the bytes are not one, `rest` is then spoilt. */
TG_NODISCARD tg_status_t tg_bundle_take_event(tg_str_t *rest, tg_bundle_event_t *out_event);
TG_NODISCARD tg_status_t tg_bundle_take_outcome(tg_str_t *rest, tg_bundle_outcome_t *out_outcome);

#endif
