/* Numbers of percentile bins: the twin of api.bin_of in migrations/common/0009_bins.sql, which says
 * what they mean.
 *
 * Both use the C library's log, but nothing depends on equal last digits: a value at the edge of
 * two bins is within 1 % of either.
 *
 * Threads: pure. */
#ifndef TG_BIN_H
#define TG_BIN_H

#include <stdint.h>

/* -32767..32767, for any value whatsoever. */
int16_t tg_bin_of(double value);

#endif
