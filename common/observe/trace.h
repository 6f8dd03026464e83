/* W3C trace context (Trace Context Level 1): the traceparent header, carried from the gateway
 * through HTTP and Kafka headers to the database write.
 *
 * Threads: plain values. */
#ifndef TG_TRACE_H
#define TG_TRACE_H

#include "common/base/str.h"

#define TG_TRACE_TEXT_LEN 55 /* 00-<32 hex>-<16 hex>-<2 hex> */

typedef struct tg_trace {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t flags;
} tg_trace_t;

/* Parses a traceparent; TG_INVALID for anything malformed, all-zero ids or version ff. */
TG_NODISCARD tg_status_t tg_trace_parse(tg_str_t text, tg_trace_t *out_trace);

/* A new random trace, not sampled. */
void tg_trace_start(tg_trace_t *out_trace);

/* The same trace with a new random span id. */
void tg_trace_child(const tg_trace_t *parent, tg_trace_t *out_child);

/* Writes 55 characters, no NUL. */
void tg_trace_format(const tg_trace_t *trace, char out[TG_TRACE_TEXT_LEN]);

#endif
