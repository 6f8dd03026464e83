/* Points in time as int64 microseconds since 1970-01-01T00:00:00Z, and their text.
 *
 * One unit everywhere: JSON, Avro (timestamp-micros), Kafka headers and PostgreSQL all meet here.
 * Text follows RFC 3339 (section 5.6), any offset, seconds to nanoseconds; digits beyond
 * microseconds are dropped. Years 0001 to 9999.
 *
 * Threads: all functions may be called from any thread. */
#ifndef TG_TIME_H
#define TG_TIME_H

#include "common/base/str.h"

#define TG_US_PER_MS     INT64_C(1000)
#define TG_US_PER_SECOND INT64_C(1000000)
#define TG_US_PER_MINUTE (60 * TG_US_PER_SECOND)
#define TG_US_PER_HOUR   (60 * TG_US_PER_MINUTE)
#define TG_US_PER_DAY    (24 * TG_US_PER_HOUR)
#define TG_TIME_TEXT_MAX 32 /* bytes that tg_time_format needs, with its NUL */

/* Wall clock, µs since the epoch. */
int64_t tg_time_now(void);

/* Monotonic clock, for deadlines and durations only. */
uint64_t tg_time_mono_ms(void);
uint64_t tg_time_mono_us(void);

/* RFC 3339 text to µs; a space or lower-case letters in place of T and Z are accepted, a leap
 * second reads as the second before it. TG_INVALID leaves the output untouched. */
TG_NODISCARD tg_status_t tg_time_parse(tg_str_t text, int64_t *out_us);

/* Writes "2026-02-03T10:00:05Z", with .mmm or .uuuuuu only when not zero. Returns its length. */
size_t tg_time_format(int64_t us, char out[TG_TIME_TEXT_MAX]);

/* Rounds down to a multiple of `unit_us`, also below zero. */
static inline int64_t tg_time_floor(int64_t us, int64_t unit_us)
{
    int64_t rest = us % unit_us;
    return us - (rest < 0 ? rest + unit_us : rest);
}

#endif
