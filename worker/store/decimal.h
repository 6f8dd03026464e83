/* Exact sums of doubles as decimals: each double counts as its shortest decimal text, the same text
 * that PostgreSQL prints for it, so that a minute's sum equals sum(value::text::numeric) of its
 * rows.
 *
 * Why not add doubles: 0.1 + 0.2 is not 0.3, and a sum that depends on the order of arrival cannot
 * be checked. Why not add in the database: a numeric per row costs more than the row's insert.
 *
 * Nearly all amounts have at most 15 digits and 9 decimals: those are scaled integers in 128 bits.
 * Any other double goes through text into a wide fixed-point number that covers every exponent.
 *
 * Limit: 2^32 additions per sum. Threads: a value of one thread. */
#ifndef TG_DECIMAL_H
#define TG_DECIMAL_H

#include "common/base/arena.h"

typedef struct tg_decimal {
    __int128 scaled; /* the part of the sum that fits, times 10^scale */
    unsigned scale;  /* 0..TG_DECIMAL_SCALE_MAX */
    int64_t *wide;   /* the rest; in the arena; NULL while unused */
} tg_decimal_t;

#define TG_DECIMAL_SCALE_MAX 9
#define TG_DECIMAL_TEXT_MAX  800 /* bytes that tg_decimal_format may write, with its NUL */

/* Adds a finite `value`. The wide part comes from `arena`; TG_NOMEM when it is at its limit, and
 * then the sum is unchanged. */
TG_NODISCARD tg_status_t tg_decimal_add(tg_decimal_t *sum, double value, tg_arena_t *arena);

/* Writes the sum as plain digits ("-12.5", no exponent, no trailing zeros); returns the length. */
size_t tg_decimal_format(const tg_decimal_t *sum, char out[TG_DECIMAL_TEXT_MAX]);

#endif
