/* The tenant's allowances hang on its number in the directory, so that finding them costs next to
 * nothing and a new snapshot forgives nobody. */
#include "gateway/limit/limits.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/time.h"

#define DAY_S INT64_C(86400)

/* Allowances of a tenant: one per class, then one for each other limit. */
enum { AT_EVENTS = TG_CLASS_COUNT, AT_BYTES, AT_DAY, AT_COST, ALLOWANCES };

struct tg_tenant_limits {
    tg_allowance_t allowances[ALLOWANCES];
    _Atomic int64_t in_flight;
    tg_tenant_limits_t *before; /* whose number this was */
    char id[64];
};

struct tg_limits {
    size_t count;
    _Atomic(tg_tenant_limits_t *) tenants[];
};

/* Names of buckets in Redis and of policies in the headers. */
static const char *name_of(unsigned allowance)
{
    static const char *const names[] = {"events", "bytes", "events-per-day", "read-cost"};
    assert(allowance < ALLOWANCES);
    return allowance < TG_CLASS_COUNT ? tg_route_class_name((tg_route_class_t)allowance)
                                      : names[allowance - TG_CLASS_COUNT];
}

tg_limits_t *tg_limits_create(size_t max_tenants)
{
    tg_limits_t *limits = calloc(1, sizeof(*limits) + max_tenants * sizeof(limits->tenants[0]));
    if (limits != NULL)
        limits->count = max_tenants;
    return limits;
}

void tg_limits_destroy(tg_limits_t *limits)
{
    for (size_t i = 0; limits != NULL && i < limits->count; i++) {
        tg_tenant_limits_t *tenant = atomic_load(&limits->tenants[i]);
        while (tenant != NULL) {
            tg_tenant_limits_t *before = tenant->before;
            free(tenant);
            tenant = before;
        }
    }
    free(limits);
}

/* The tenant's, made at its first request; NULL without memory. Requests and leases of a deleted
 * tenant that had the number before may still be under way, so its limits stay. */
static tg_tenant_limits_t *limits_of(tg_limits_t *limits, const tg_limit_request_t *request)
{
    assert(request->number < limits->count);
    _Atomic(tg_tenant_limits_t *) *slot = &limits->tenants[request->number];
    tg_tenant_limits_t *tenant = atomic_load(slot), *made = NULL;

    while (tenant == NULL || !tg_str_eq(tg_str_from(tenant->id), request->tenant)) {
        if (made == NULL && (made = calloc(1, sizeof(*made))) == NULL)
            return NULL;
        assert(request->tenant.len < sizeof(made->id));
        memcpy(made->id, request->tenant.ptr, request->tenant.len);
        made->before = tenant;
        if (atomic_compare_exchange_strong(slot, &tenant, made))
            return made;
    }
    free(made); /* another thread was faster */
    return tenant;
}

static tg_limit_rate_t rate_of(int64_t units, int64_t burst)
{
    return (tg_limit_rate_t){.units = units, .period_s = 1, .burst = burst};
}

static tg_allowance_answer_t take(const tg_charge_t *charge, unsigned allowance,
                                  const tg_limit_rate_t *rate, int64_t cost, uint64_t now_us)
{
    tg_tenant_limits_t *tenant = charge->tenant;
    tg_allowance_answer_t answer =
        tg_allowance_take(&tenant->allowances[allowance], rate, tg_lessor_shares(charge->lessor),
                          (int64_t)now_us * 1000, cost);
    if (answer.wants_lease)
        tg_lessor_lease(charge->lessor, tg_str_from(tenant->id), name_of(allowance),
                        &tenant->allowances[allowance], rate);
    return answer;
}

static void pay(const tg_charge_t *charge, unsigned allowance, const tg_limit_rate_t *rate,
                int64_t cost)
{
    if (rate->units == 0 || cost == 0)
        return;
    if (cost > TG_LIMIT_UNITS_MAX)
        cost = TG_LIMIT_UNITS_MAX;
    tg_allowance_charge(&charge->tenant->allowances[allowance], rate,
                        tg_lessor_shares(charge->lessor), (int64_t)tg_time_mono_us() * 1000, cost);
}

/* One limit of the list that a request has to pass. */
struct toll {
    tg_limit_t limit;
    unsigned allowance;
    tg_limit_rate_t rate;
    int64_t cost;
};

#define TOLLS_MAX 4

static size_t list_tolls(const tg_limit_request_t *request, struct toll out[TOLLS_MAX])
{
    const tg_plan_t *plan = request->plan;
    const tg_plan_class_t *class = &plan->classes[request->class];
    const struct toll all[] = {
        {TG_LIMIT_REQUESTS, request->class, rate_of(class->requests_per_second, class->burst), 1},
        {TG_LIMIT_EVENTS, AT_EVENTS, rate_of(plan->events_per_second, plan->events_burst), 1},
        {TG_LIMIT_BYTES, AT_BYTES, rate_of(plan->bytes_per_second, plan->bytes_burst),
         request->body_bytes},
        {TG_LIMIT_DAY, AT_DAY, {plan->events_per_day, DAY_S, plan->events_per_day}, 1},
        {TG_LIMIT_COST, AT_COST, rate_of(plan->read_cost_per_second, plan->read_cost_burst), 1},
    };
    size_t count = 0;
    for (size_t i = 0; i < TG_ARRAY_LEN(all); i++) {
        bool of_ingest = all[i].limit >= TG_LIMIT_EVENTS && all[i].limit <= TG_LIMIT_DAY;
        bool applies = all[i].limit == TG_LIMIT_REQUESTS ||
                       (of_ingest && request->class == TG_CLASS_INGEST) ||
                       (all[i].limit == TG_LIMIT_COST && request->class == TG_CLASS_READ);
        if (applies && all[i].rate.units > 0)
            out[count++] = all[i];
    }
    assert(count >= 1 && count <= TOLLS_MAX);
    return count;
}

static int64_t until_midnight_ns(void)
{
    return (DAY_S * TG_US_PER_SECOND - tg_time_now() % TG_US_PER_DAY) * 1000;
}

/* Passes the tolls in order; at a refusal gives back what was paid. */
static void pass(tg_charge_t *charge, const struct toll *tolls, size_t count, uint64_t now_us,
                 tg_verdict_t *verdict)
{
    for (size_t i = 0; i < count; i++) {
        tg_allowance_answer_t answer =
            take(charge, tolls[i].allowance, &tolls[i].rate, tolls[i].cost, now_us);
        if (i == 0)
            verdict->requests = answer;
        if (answer.admitted)
            continue;
        verdict->refused = tolls[i].limit;
        verdict->limit = tolls[i].rate.units;
        verdict->other = answer;
        if (tolls[i].limit == TG_LIMIT_DAY)
            verdict->other.retry_after_ns = verdict->other.reset_ns = until_midnight_ns();
        for (size_t paid = 0; paid < i; paid++)
            pay(charge, tolls[paid].allowance, &tolls[paid].rate, -tolls[paid].cost);
        return;
    }
}

static bool enter(tg_charge_t *charge, int64_t most)
{
    if (most == 0)
        return true;
    if (atomic_fetch_add(&charge->tenant->in_flight, 1) >= most) {
        atomic_fetch_sub(&charge->tenant->in_flight, 1);
        return false;
    }
    charge->concurrent = true;
    return true;
}

tg_status_t tg_limits_admit(tg_limits_t *limits, tg_lessor_t *lessor,
                            const tg_limit_request_t *request, tg_charge_t *charge,
                            tg_verdict_t *out_verdict)
{
    struct toll tolls[TOLLS_MAX];
    *charge = (tg_charge_t){.tenant = limits_of(limits, request), .lessor = lessor};
    *out_verdict = (tg_verdict_t){.refused = TG_LIMIT_NONE};
    if (charge->tenant == NULL)
        return TG_NOMEM;
    size_t count = list_tolls(request, tolls);
    for (size_t i = 1; i < count; i++) {
        if (tolls[i].limit == TG_LIMIT_EVENTS)
            charge->events = tolls[i].rate;
        else if (tolls[i].limit == TG_LIMIT_DAY)
            charge->day = tolls[i].rate;
        else if (tolls[i].limit == TG_LIMIT_COST)
            charge->cost = tolls[i].rate;
    }
    if (!enter(charge, request->plan->concurrency)) {
        out_verdict->refused = TG_LIMIT_CONCURRENCY;
        out_verdict->limit = request->plan->concurrency;
        out_verdict->other.retry_after_ns = TG_US_PER_SECOND * 1000;
        return TG_OK;
    }
    pass(charge, tolls, count, request->now_us, out_verdict);
    if (out_verdict->refused != TG_LIMIT_NONE)
        tg_charge_end(charge);
    return TG_OK;
}

void tg_charge_settle_events(tg_charge_t *charge, int64_t events)
{
    if (charge->tenant == NULL || events == 1)
        return;
    pay(charge, AT_EVENTS, &charge->events, events - 1);
    pay(charge, AT_DAY, &charge->day, events - 1);
}

void tg_charge_settle_cost(tg_charge_t *charge, int64_t cost)
{
    if (charge->tenant != NULL)
        pay(charge, AT_COST, &charge->cost, cost - 1);
}

void tg_charge_end(tg_charge_t *charge)
{
    if (charge->concurrent)
        atomic_fetch_sub(&charge->tenant->in_flight, 1);
    *charge = (tg_charge_t){0};
}

/* --- words --- */

static int64_t seconds_up(int64_t ns)
{
    return (ns + 999999999) / 1000000000;
}

static const char *other_name(tg_limit_t limit)
{
    assert(limit >= TG_LIMIT_EVENTS && limit <= TG_LIMIT_COST);
    return name_of((unsigned)(limit - TG_LIMIT_EVENTS) + AT_EVENTS);
}

static bool has_bucket(tg_limit_t limit)
{
    return limit >= TG_LIMIT_EVENTS && limit <= TG_LIMIT_COST;
}

/* Written by hand, as each answer has them: printf takes several times as long. */
static char *put_text(char *at, const char *text)
{
    size_t len = strlen(text);
    memcpy(at, text, len);
    return at + len;
}

/* "name";r=1;t=2 and what comes of other keys; ends with a NUL. */
static char *put_item(char *at, const char *name, const char *keys[2], const int64_t values[2])
{
    at = put_text(put_text(put_text(at, "\""), name), "\"");
    for (size_t i = 0; i < 2; i++)
        at = tg_str_put_u64(put_text(at, keys[i]), values[i] < 0 ? 0 : (uint64_t)values[i]);
    *at = '\0';
    return at;
}

/* Two items of the longest name and numbers. */
_Static_assert(TG_LIMIT_TEXT_MAX >= 2 * (2 + 16 + 2 * (3 + 20)) + 3, "both items fit");

void tg_verdict_write(const tg_verdict_t *verdict, const tg_plan_t *plan, tg_route_class_t class,
                      char limit[TG_LIMIT_TEXT_MAX], char policy[TG_LIMIT_TEXT_MAX])
{
    static const char *of_limit[] = {";r=", ";t="}, *of_policy[] = {";q=", ";w="};
    const char *name = tg_route_class_name(class);
    char *at = put_item(limit, name, of_limit,
                        (const int64_t[]){verdict->requests.remaining,
                                          seconds_up(verdict->requests.reset_ns)});
    char *to = put_item(policy, name, of_policy,
                        (const int64_t[]){plan->classes[class].requests_per_second, 1});
    if (!has_bucket(verdict->refused))
        return;
    const char *other = other_name(verdict->refused);
    int64_t window = verdict->refused == TG_LIMIT_DAY ? DAY_S : 1;
    put_item(put_text(at, ", "), other, of_limit,
             (const int64_t[]){0, seconds_up(verdict->other.reset_ns)});
    put_item(put_text(to, ", "), other, of_policy, (const int64_t[]){verdict->limit, window});
}

int64_t tg_verdict_retry_after_s(const tg_verdict_t *verdict)
{
    int64_t wait =
        seconds_up(verdict->refused == TG_LIMIT_REQUESTS ? verdict->requests.retry_after_ns
                                                         : verdict->other.retry_after_ns);
    return wait < 1 ? 1 : wait;
}

void tg_verdict_describe(const tg_verdict_t *verdict, tg_route_class_t class,
                         char out[TG_LIMIT_TEXT_MAX])
{
    static const char *const words[TG_LIMIT_COUNT] = {
        [TG_LIMIT_REQUESTS] = "requests per second", [TG_LIMIT_EVENTS] = "events per second",
        [TG_LIMIT_BYTES] = "bytes per second",       [TG_LIMIT_DAY] = "events per day (UTC)",
        [TG_LIMIT_COST] = "read cost per second",    [TG_LIMIT_CONCURRENCY] = "requests at a time",
    };
    assert(verdict->refused < TG_LIMIT_COUNT);
    bool of_class = verdict->refused == TG_LIMIT_REQUESTS;
    (void)snprintf(out, TG_LIMIT_TEXT_MAX, "%lld %s%s%s", (long long)verdict->limit,
                   of_class ? tg_route_class_name(class) : "", of_class ? " " : "",
                   words[verdict->refused]);
}
