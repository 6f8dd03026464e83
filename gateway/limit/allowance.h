/* One limit of one tenant in this process: what may still be spent here.
 *
 * Several gateways share a limit by a bucket in Redis (gateway/limit/lessor.h). None of them asks
 * it while a request waits: each leases blocks ahead and spends them from memory. A lease is
 *
 *   attached   `balance` is what has been leased and not spent. Below zero it is spent on credit:
 *              this gateway's share of what the store was last seen to have and of what the rate
 *              gave since, or, after a second without a lease, of the burst. The next lease pays
 *              that first; beyond the credit requests are refused.
 *   detached   the store does not answer: a bucket of this process alone, with the gateway's share
 *              of the limit, by the generic cell rate algorithm (ITU-T I.371, annex A), which
 *              begins with the credit. What is spent meanwhile is owed, so that the store's bucket
 *              is right when it is back.
 *
 * All that is ever spent, in units: at most burst + rate × time + one block for each gateway, which
 * is what it may hold when the store is full; a block is what the rate gives in 20 ms, at least one
 * unit. More for a while, and taken back afterwards: the share of the burst of a gateway that had
 * nothing to do while others were at the limit; the shares of those that do not reach the store
 * while others do.
 *
 * A request is admitted while something is left, and charged in full: a large one goes into debt,
 * which later ones wait off. Time is monotonic ns; a wall clock does not matter here.
 *
 * Threads: take and charge from any, without a lock; two at the same instant may both spend the
 * last unit. lease_begin gives the lease to one of them, which ends it by lease_granted or
 * lease_failed. */
#ifndef TG_LIMIT_ALLOWANCE_H
#define TG_LIMIT_ALLOWANCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define TG_LIMIT_UNITS_MAX INT64_C(1000000000000) /* of a rate, a burst or a cost */

typedef struct tg_limit_rate {
    int64_t units;    /* in each period; at least 1 */
    int64_t period_s; /* 1, or 86,400 for a quota of the day, which comes back at midnight UTC */
    int64_t burst;    /* units that may come at once; at least 1; of a quota: the quota */
} tg_limit_rate_t;

/* Zeroed before first use. */
typedef struct tg_allowance {
    _Atomic int64_t balance;
    _Atomic int64_t arrival_ns;   /* detached: the theoretical arrival time */
    _Atomic int64_t owed;         /* spent, and the store does not know */
    _Atomic int64_t store_left;   /* what the store had after the last lease */
    _Atomic int64_t leased_at_ns; /* the last lease */
    _Atomic int64_t lease_at_ns;  /* none before */
    _Atomic unsigned state;
} tg_allowance_t;

typedef struct tg_allowance_answer {
    bool admitted;
    bool wants_lease;       /* call tg_allowance_lease_begin */
    int64_t remaining;      /* units that could come now, as far as is known here */
    int64_t retry_after_ns; /* 0 when admitted */
    int64_t reset_ns;       /* until all of the burst is there again */
} tg_allowance_answer_t;

/* Spends `cost` if something is left. `shares`: gateways among which a detached limit is divided.
 */
tg_allowance_answer_t tg_allowance_take(tg_allowance_t *allowance, const tg_limit_rate_t *rate,
                                        unsigned shares, int64_t now_ns, int64_t cost);

/* Spends more afterwards, whatever is left, or gives back (a negative cost). */
void tg_allowance_charge(tg_allowance_t *allowance, const tg_limit_rate_t *rate, unsigned shares,
                         int64_t now_ns, int64_t cost);

/* What to ask the store for. */
typedef struct tg_lease {
    int64_t want; /* units */
    int64_t owed; /* to be taken from the store before */
    bool
        joining; /* back from detachment: no refill for the time since, nor a burst to begin with */
} tg_lease_t;

/* True for the one caller that is to ask now. */
bool tg_allowance_lease_begin(tg_allowance_t *allowance, const tg_limit_rate_t *rate,
                              int64_t now_ns, tg_lease_t *out_lease);

/* `left` is what the store has now, negative when it is in debt. */
void tg_allowance_lease_granted(tg_allowance_t *allowance, const tg_limit_rate_t *rate,
                                unsigned shares, const tg_lease_t *lease, int64_t granted,
                                int64_t left, int64_t now_ns);
void tg_allowance_lease_failed(tg_allowance_t *allowance, const tg_limit_rate_t *rate,
                               unsigned shares, const tg_lease_t *lease, int64_t now_ns);

bool tg_allowance_detached(const tg_allowance_t *allowance);

#endif
