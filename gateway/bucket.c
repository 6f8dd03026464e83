/* The arithmetic of bucket.h. All of it is integer µs, so that two threads that read the same clock
 * agree to the unit. */
#include "gateway/bucket.h"

#include <assert.h>

#define RATE_MAX INT64_C(1000000)
#define COST_MAX INT64_C(1000000000)

tg_bucket_rate_t tg_bucket_rate(int64_t units_per_second, int64_t burst)
{
    assert(units_per_second >= 1);
    assert(burst >= 1);
    if (units_per_second > RATE_MAX)
        units_per_second = RATE_MAX;
    return (tg_bucket_rate_t){.interval_us = RATE_MAX / units_per_second,
                              .burst = burst > RATE_MAX ? RATE_MAX : burst};
}

tg_bucket_answer_t tg_bucket_take(tg_bucket_t *bucket, const tg_bucket_rate_t *rate, int64_t now_us,
                                  int64_t cost)
{
    assert(rate->interval_us >= 1);
    assert(rate->burst >= 1);
    assert(cost >= 0 && cost <= COST_MAX);
    int64_t room = rate->burst * rate->interval_us;
    int64_t seen = atomic_load_explicit(&bucket->arrival_us, memory_order_relaxed);

    for (;;) {
        int64_t from = seen > now_us ? seen : now_us;
        int64_t balance = room - (from - now_us); /* in µs; positive means admit */
        if (balance < rate->interval_us)
            return (tg_bucket_answer_t){.retry_after_us = rate->interval_us - balance,
                                        .reset_us = from - now_us};
        int64_t next = from + cost * rate->interval_us;
        if (atomic_compare_exchange_weak_explicit(&bucket->arrival_us, &seen, next,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            int64_t left = room - (next - now_us);
            return (tg_bucket_answer_t){.admitted = true,
                                        .remaining = left > 0 ? left / rate->interval_us : 0,
                                        .reset_us = next - now_us};
        }
    }
}
