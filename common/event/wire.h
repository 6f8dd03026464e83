/* The Kafka headers of an event record: names, binary forms, writing and reading.
 *
 * tg-tenant, tg-type: text. tg-event, 33 bytes: the id (16), occurred_at and received_at (int64 µs,
 * big endian), and whether the time is our own (one byte, 0 or 1): in one header, because each
 * costs whoever reads the record an allocation. traceparent: W3C text. A record without the first
 * three is a dead letter that only the operator sees.
 *
 * Threads: values of one thread. */
#ifndef TG_EVENT_WIRE_H
#define TG_EVENT_WIRE_H

#include <librdkafka/rdkafka.h>

#include "common/event/event.h"
#include "common/observe/trace.h"

/* Gives the headers of `event` (owned; rd_kafka_producev takes them), or NULL when out of memory.
 * `trace` may be NULL. */
rd_kafka_headers_t *tg_event_headers(const tg_event_t *event, const tg_trace_t *trace);

/* The value of the last header of that name, borrowed; ptr NULL when there is none. */
tg_str_t tg_event_header(const rd_kafka_headers_t *headers, const char *name);

/* Fills tenant, type, id, times and time_own of `event` from a record's headers. Texts are borrowed
 * from the message. TG_INVALID names the missing or malformed header. */
TG_NODISCARD tg_status_t tg_event_read_headers(const rd_kafka_message_t *message, tg_event_t *event,
                                               tg_error_t *error);

#endif
