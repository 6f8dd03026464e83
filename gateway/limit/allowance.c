/* The arithmetic of allowance.h. Units are integers; only the time that they take is computed in
 * floating point, where 2^53 ns are 104 days. */
#include "gateway/limit/allowance.h"

#include <assert.h>

#define NS_PER_SECOND   INT64_C(1000000000)
#define BLOCKS_PER_S    50    /* 20 ms */
#define QUOTA_BLOCKS    10000 /* of a day's quota */
#define RETRY_LEASE_NS  (NS_PER_SECOND / 2)
#define DEBT_TIME_MAX_S 86400

#define VIEW_NS NS_PER_SECOND /* for so long the last lease tells what the store has */

enum { DETACHED = 1, LEASING = 2, KNOWN = 4 /* once granted */ };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static bool is_quota(const tg_limit_rate_t *rate)
{
    return rate->period_s != 1;
}

static int64_t block_of(const tg_limit_rate_t *rate)
{
    return most(1, rate->units / (is_quota(rate) ? QUOTA_BLOCKS : BLOCKS_PER_S));
}

/* How long the rate takes for so many units, when it is divided by `shares`. */
static int64_t time_of(const tg_limit_rate_t *rate, unsigned shares, int64_t units)
{
    double ns = (double)units * (double)rate->period_s * 1e9 * shares / (double)rate->units;
    double limit = (double)DEBT_TIME_MAX_S * 1e9;
    return (int64_t)(ns > limit ? limit : ns < -limit ? -limit : ns);
}

/* What may come at once while detached. A quota is spread over the day then. */
static int64_t share_of_burst(const tg_limit_rate_t *rate, unsigned shares)
{
    return most(1, is_quota(rate) ? block_of(rate) : rate->burst / shares);
}

static unsigned state_of(const tg_allowance_t *a)
{
    return atomic_load_explicit(&a->state, memory_order_acquire);
}

static int64_t read_ns(const _Atomic int64_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

static bool lease_is_due(const tg_allowance_t *a, int64_t now_ns)
{
    return (state_of(a) & LEASING) == 0 && now_ns >= read_ns(&a->lease_at_ns);
}

/* --- attached --- */

/* What the rate gives in such a time; a quota gives nothing before its day ends. */
static int64_t refill_of(const tg_limit_rate_t *rate, int64_t ns)
{
    return is_quota(rate) ? 0 : (int64_t)((double)ns * (double)rate->units / 1e9);
}

/* What the store has, as far as is known here. */
static int64_t view_of(const tg_allowance_t *a, const tg_limit_rate_t *rate, int64_t now_ns)
{
    int64_t since = now_ns - read_ns(&a->leased_at_ns);
    bool fresh = (state_of(a) & KNOWN) != 0 && since <= VIEW_NS;
    return fresh ? least(rate->burst, read_ns(&a->store_left) + refill_of(rate, since))
                 : rate->burst;
}

/* This gateway's share of it, rounded up: what may be spent before a lease has paid it. */
static int64_t credit_of(int64_t store, unsigned shares)
{
    return (most(store, 0) + shares - 1) / shares;
}

static tg_allowance_answer_t take_leased(tg_allowance_t *a, const tg_limit_rate_t *rate,
                                         unsigned shares, int64_t now_ns, int64_t cost)
{
    int64_t had = read_ns(&a->balance), store = view_of(a, rate, now_ns);
    /* A plan that has become smaller holds for what was leased by the larger one. */
    while (had > rate->burst && !atomic_compare_exchange_weak(&a->balance, &had, rate->burst))
        continue;
    had = least(had, rate->burst);
    store = least(store, rate->burst - had);
    int64_t credit = credit_of(store, shares);

    while (had + credit > 0 && !atomic_compare_exchange_weak(&a->balance, &had, had - cost))
        continue;
    bool admitted = had + credit > 0;
    int64_t left = admitted ? had - cost : had;
    tg_allowance_answer_t answer = {
        .admitted = admitted,
        .remaining = most(0, left + store),
        .reset_ns = most(0, time_of(rate, 1, rate->burst - left - store)),
        .wants_lease = 2 * left < block_of(rate) && lease_is_due(a, now_ns),
    };
    if (!admitted)
        answer.retry_after_ns =
            most(time_of(rate, 1, 1 - left - least(store, 0)), read_ns(&a->lease_at_ns) - now_ns);
    return answer;
}

/* --- detached --- */

static tg_allowance_answer_t take_alone(tg_allowance_t *a, const tg_limit_rate_t *rate,
                                        unsigned shares, int64_t now_ns, int64_t cost)
{
    int64_t room = time_of(rate, shares, share_of_burst(rate, shares));
    int64_t unit = time_of(rate, shares, 1), charge = time_of(rate, shares, cost);
    int64_t seen = read_ns(&a->arrival_ns);
    bool wants_lease = lease_is_due(a, now_ns);

    for (;;) {
        int64_t from = most(seen, now_ns), balance = room - (from - now_ns);
        if (balance < unit)
            return (tg_allowance_answer_t){.wants_lease = wants_lease,
                                           .retry_after_ns = unit - balance,
                                           .reset_ns = from - now_ns};
        if (!atomic_compare_exchange_weak(&a->arrival_ns, &seen, from + charge))
            continue;
        atomic_fetch_add(&a->owed, cost);
        return (tg_allowance_answer_t){.admitted = true,
                                       .wants_lease = wants_lease,
                                       .remaining = most(0, (balance - charge) / most(unit, 1)),
                                       .reset_ns = from + charge - now_ns};
    }
}

/* The bucket of its own begins with what is leased and not spent and with this gateway's share of
 * what the store had. The store hears of what is taken from that share, before or from now on; what
 * was leased is paid for, and a debt beyond the share is waited off here. */
static void detach(tg_allowance_t *a, const tg_limit_rate_t *rate, unsigned shares, int64_t now_ns)
{
    int64_t burst = share_of_burst(rate, shares);
    int64_t credit = least(credit_of(view_of(a, rate, now_ns), shares), burst);
    int64_t left = atomic_exchange(&a->balance, 0), had = least(left + credit, burst);

    atomic_fetch_sub(&a->owed, most(left, -credit));
    atomic_store(&a->arrival_ns, now_ns + time_of(rate, shares, burst - had));
}

/* A debt that has not been waited off yet. */
static int64_t debt_of(const tg_allowance_t *a, const tg_limit_rate_t *rate, unsigned shares,
                       int64_t now_ns)
{
    int64_t room = time_of(rate, shares, share_of_burst(rate, shares));
    int64_t late = read_ns(&a->arrival_ns) - now_ns - room;
    return late > 0 ? late / most(1, time_of(rate, shares, 1)) : 0;
}

/* --- both --- */

tg_allowance_answer_t tg_allowance_take(tg_allowance_t *allowance, const tg_limit_rate_t *rate,
                                        unsigned shares, int64_t now_ns, int64_t cost)
{
    assert(rate->units >= 1 && rate->period_s >= 1 && rate->burst >= 1);
    assert(cost >= 0 && cost <= TG_LIMIT_UNITS_MAX);
    assert(shares >= 1);
    return tg_allowance_detached(allowance) ? take_alone(allowance, rate, shares, now_ns, cost)
                                            : take_leased(allowance, rate, shares, now_ns, cost);
}

void tg_allowance_charge(tg_allowance_t *allowance, const tg_limit_rate_t *rate, unsigned shares,
                         int64_t now_ns, int64_t cost)
{
    assert(cost >= -TG_LIMIT_UNITS_MAX && cost <= TG_LIMIT_UNITS_MAX);
    if ((state_of(allowance) & DETACHED) == 0) {
        atomic_fetch_sub(&allowance->balance, cost);
        return;
    }
    int64_t charge = time_of(rate, shares, cost), seen = read_ns(&allowance->arrival_ns);
    while (
        !atomic_compare_exchange_weak(&allowance->arrival_ns, &seen, most(seen, now_ns) + charge))
        continue;
    atomic_fetch_add(&allowance->owed, cost);
}

bool tg_allowance_lease_begin(tg_allowance_t *allowance, const tg_limit_rate_t *rate,
                              int64_t now_ns, tg_lease_t *out_lease)
{
    if (!lease_is_due(allowance, now_ns) ||
        (atomic_fetch_or(&allowance->state, LEASING) & LEASING) != 0)
        return false;
    int64_t had = least(read_ns(&allowance->balance), block_of(rate));
    *out_lease = (tg_lease_t){
        .want = block_of(rate) - had,
        .owed = atomic_exchange(&allowance->owed, 0),
        .joining = (state_of(allowance) & DETACHED) != 0,
    };
    return true;
}

void tg_allowance_lease_granted(tg_allowance_t *allowance, const tg_limit_rate_t *rate,
                                unsigned shares, const tg_lease_t *lease, int64_t granted,
                                int64_t left, int64_t now_ns)
{
    assert(granted >= 0 && granted <= lease->want);
    if (lease->joining) /* what was spent alone since the lease began is paid from the grant */
        granted -= debt_of(allowance, rate, shares, now_ns) + atomic_exchange(&allowance->owed, 0);
    atomic_store(&allowance->store_left, left);
    atomic_store(&allowance->leased_at_ns, now_ns);
    atomic_fetch_add(&allowance->balance, granted);
    int64_t pause = granted < lease->want ? time_of(rate, 1, (block_of(rate) + 1) / 2) : 0;
    atomic_store(&allowance->lease_at_ns, now_ns + least(pause, NS_PER_SECOND));
    atomic_store_explicit(&allowance->state, KNOWN, memory_order_release);
}

void tg_allowance_lease_failed(tg_allowance_t *allowance, const tg_limit_rate_t *rate,
                               unsigned shares, const tg_lease_t *lease, int64_t now_ns)
{
    atomic_fetch_add(&allowance->owed, lease->owed);
    if ((state_of(allowance) & DETACHED) == 0)
        detach(allowance, rate, shares, now_ns);
    atomic_store(&allowance->lease_at_ns, now_ns + RETRY_LEASE_NS);
    atomic_store_explicit(&allowance->state, DETACHED | (state_of(allowance) & KNOWN),
                          memory_order_release);
}

bool tg_allowance_detached(const tg_allowance_t *allowance)
{
    return (state_of(allowance) & DETACHED) != 0;
}
