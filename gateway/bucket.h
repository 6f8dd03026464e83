/* Rate limit of one tenant and route class: the generic cell rate algorithm on one atomic number.
 *
 * GCRA keeps only the theoretical arrival time (ITU-T I.371 annex A): a request of cost n moves it
 * n intervals ahead, and is admitted while it is not further ahead of now than the burst allows.
 * The balance is asked before the cost is charged, so one large request may take the bucket into
 * debt, which later requests wait off.
 *
 * The clock is monotonic: a wall clock that is set back would refuse everybody for as long.
 *
 * Threads: any; one compare-and-swap, no lock. */
#ifndef TG_GATEWAY_BUCKET_H
#define TG_GATEWAY_BUCKET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct tg_bucket {
    _Atomic int64_t arrival_us; /* theoretical arrival time, monotonic µs */
} tg_bucket_t;

typedef struct tg_bucket_rate {
    int64_t interval_us; /* between two units of cost at the sustained rate; at least 1 */
    int64_t burst;       /* units that may come at once; at least 1 */
} tg_bucket_rate_t;

typedef struct tg_bucket_answer {
    bool admitted;
    int64_t remaining;      /* units that could come right now; 0 when refused */
    int64_t retry_after_us; /* until the balance is positive; 0 when admitted */
    int64_t reset_us;       /* until the bucket is full again */
} tg_bucket_answer_t;

/* `units_per_second` and `burst` at least 1; rates above 1,000,000/s count as that. */
tg_bucket_rate_t tg_bucket_rate(int64_t units_per_second, int64_t burst);

tg_bucket_answer_t tg_bucket_take(tg_bucket_t *bucket, const tg_bucket_rate_t *rate, int64_t now_us,
                                  int64_t cost);

#endif
