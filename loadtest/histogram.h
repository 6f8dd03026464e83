/* Latencies in buckets of 1/64 of their size: any percentile is right to 1.6 %, in 16 KiB, however
 * long the run.
 *
 * Threads: values of one thread. */
#ifndef TG_HISTOGRAM_H
#define TG_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define TG_HISTOGRAM_EXACT   64 /* below this many µs each has its own bucket */
#define TG_HISTOGRAM_BUCKETS ((size_t)TG_HISTOGRAM_EXACT * 32)

typedef struct tg_histogram {
    uint64_t count;
    uint64_t buckets[TG_HISTOGRAM_BUCKETS];
} tg_histogram_t;

void tg_histogram_add(tg_histogram_t *histogram, uint64_t us);

/* The latency that `share` (0 to 1) of the values do not exceed, in ms; 0 when there is none. */
double tg_histogram_ms(const tg_histogram_t *histogram, double share);

#endif
