/* Logical types: their text to the underlying number and back.
 *
 * Threads: any. */
#ifndef TG_AVRO_LOGICAL_H
#define TG_AVRO_LOGICAL_H

#include "common/avro/schema.h"

/* Whether int or long of this logical type is written as text in JSON. */
static inline bool tg_avro_logical_is_time(tg_avro_logical_t logical)
{
    return logical >= TG_AVRO_DATE;
}

/* The underlying number of a time's text ("2026-02-03", "10:00:05.25", RFC 3339), or TG_INVALID. */
TG_NODISCARD tg_status_t tg_avro_time_from_text(tg_avro_logical_t logical, tg_str_t text,
                                                int64_t *out_value);

/* µs since the epoch to the unit of a timestamp type; TG_INVALID where nanoseconds overflow. */
TG_NODISCARD tg_status_t tg_avro_time_from_us(tg_avro_logical_t logical, int64_t us,
                                              int64_t *out_value);

/* The unit of a timestamp type to µs; TG_INVALID on overflow. Nanoseconds are rounded down. */
TG_NODISCARD tg_status_t tg_avro_time_to_us(tg_avro_logical_t logical, int64_t value,
                                            int64_t *out_us);

/* Appends the text with its quotes; TG_INVALID when the value lies outside the years 1 to 9999 or
 * outside the day. */
TG_NODISCARD tg_status_t tg_avro_time_write(tg_avro_logical_t logical, int64_t value,
                                            tg_buf_t *out);

/* What a client may write, for messages. */
const char *tg_avro_time_expectation(tg_avro_logical_t logical);

/* Decimal text ("-12.50", "1e3") to the big-endian two's complement of its unscaled value, of the
 * fewest bytes. `out` has room for TG_AVRO_DECIMAL_BYTES. TG_INVALID when it is no number, has more
 * digits than the precision or more places than the scale. */
#define TG_AVRO_DECIMAL_BYTES 420 /* ceil(1000 digits * log2(10) / 8) and a sign */
TG_NODISCARD tg_status_t tg_avro_decimal_from_text(const tg_avro_type_t *type, tg_str_t text,
                                                   uint8_t *out, size_t *out_len);

/* Appends the number; TG_INVALID when the bytes hold more digits than the precision. */
TG_NODISCARD tg_status_t tg_avro_decimal_write(const tg_avro_type_t *type, tg_str_t bytes,
                                               tg_buf_t *out);

#endif
