/* Bucket = 64 * (how often the value must be halved to fit) + what is left of it. */
#include "loadtest/histogram.h"

#include <assert.h>

static size_t bucket_of(uint64_t us)
{
    size_t halvings = 0;
    while (us >= TG_HISTOGRAM_EXACT) {
        us /= 2;
        halvings++;
    }
    size_t bucket = TG_HISTOGRAM_EXACT * halvings + us;
    return bucket < TG_HISTOGRAM_BUCKETS ? bucket : TG_HISTOGRAM_BUCKETS - 1;
}

void tg_histogram_add(tg_histogram_t *histogram, uint64_t us)
{
    histogram->buckets[bucket_of(us)]++;
    histogram->count++;
}

double tg_histogram_ms(const tg_histogram_t *histogram, double share)
{
    assert(share >= 0 && share <= 1);
    double wanted = share * (double)histogram->count, seen = 0;
    for (size_t i = 0; i < TG_HISTOGRAM_BUCKETS && histogram->count > 0; i++) {
        seen += (double)histogram->buckets[i];
        if (seen >= wanted && seen > 0)
            return (double)((uint64_t)(i % TG_HISTOGRAM_EXACT) << (i / TG_HISTOGRAM_EXACT)) / 1000;
    }
    return 0;
}
