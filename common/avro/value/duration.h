/* The logical type duration: 12 bytes (months, days and milliseconds, each unsigned and little
 * endian) and its ISO 8601 text, "P1M2DT3.004S".
 *
 * The three counts do not convert into each other (a month has no fixed number of days), so the
 * text keeps them apart: Y and M become months, W and D days, and H, M and S milliseconds.
 *
 * Threads: any. */
#ifndef TG_AVRO_DURATION_H
#define TG_AVRO_DURATION_H

#include "common/base/str.h"

#define TG_AVRO_DURATION_BYTES 12

/* TG_INVALID when it is no duration, negative, finer than a millisecond, or beyond 32 bits. */
TG_NODISCARD tg_status_t tg_avro_duration_from_text(tg_str_t text,
                                                    uint8_t out[TG_AVRO_DURATION_BYTES]);

/* Appends the text with its quotes; `bytes` has TG_AVRO_DURATION_BYTES. */
void tg_avro_duration_write(tg_str_t bytes, tg_buf_t *out);

#endif
