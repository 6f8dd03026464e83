/* All limits of a tenant at once: whether a request may go on, and what it is charged.
 *
 * A request holds a charge from its admission to its end. Up front it pays one request of its
 * class; for ingestion its body's bytes and one event as well, for reads a cost of one; what it
 * really had is settled from the upstream's answer, and may take the limit into debt. A refusal
 * takes nothing.
 *
 * Memory: half a kilobyte for each tenant that has ever asked, kept for the process's life; a
 * pointer for each that there may be. Threads: any; settle and end on the thread of the lessor
 * given. */
#ifndef TG_LIMIT_LIMITS_H
#define TG_LIMIT_LIMITS_H

#include "gateway/limit/lessor.h"
#include "gateway/plan.h"

typedef enum tg_limit {
    TG_LIMIT_REQUESTS, /* of the class */
    TG_LIMIT_EVENTS,
    TG_LIMIT_BYTES,
    TG_LIMIT_DAY, /* events per UTC day */
    TG_LIMIT_COST,
    TG_LIMIT_CONCURRENCY,
    TG_LIMIT_COUNT,
    TG_LIMIT_NONE = TG_LIMIT_COUNT,
} tg_limit_t;

typedef struct tg_limits tg_limits_t;
typedef struct tg_tenant_limits tg_tenant_limits_t;

/* For tenants numbered below `max_tenants`; NULL when out of memory. */
tg_limits_t *tg_limits_create(size_t max_tenants);
void tg_limits_destroy(tg_limits_t *limits); /* after all lessors; NULL is allowed */

/* What one request holds; zeroed: nothing. */
typedef struct tg_charge {
    tg_tenant_limits_t *tenant;
    tg_lessor_t *lessor;
    tg_limit_rate_t events, day, cost; /* of the plan at the time; units 0: not limited */
    bool concurrent;
} tg_charge_t;

typedef struct tg_verdict {
    tg_limit_t refused;             /* TG_LIMIT_NONE: admitted */
    int64_t limit;                  /* of what refused: its number in the plan */
    tg_allowance_answer_t requests; /* of the class */
    tg_allowance_answer_t other;    /* of what refused, if it is not the class's */
} tg_verdict_t;

typedef struct tg_limit_request {
    tg_str_t tenant; /* id */
    size_t number;   /* the tenant's, dense */
    const tg_plan_t *plan;
    tg_route_class_t class;
    int64_t body_bytes;
    uint64_t now_us; /* monotonic */
} tg_limit_request_t;

/* TG_NOMEM aside, the verdict says all. When admitted, the charge must be ended. */
TG_NODISCARD tg_status_t tg_limits_admit(tg_limits_t *limits, tg_lessor_t *lessor,
                                         const tg_limit_request_t *request, tg_charge_t *charge,
                                         tg_verdict_t *out_verdict);

/* Pays for what there was beyond what was paid up front. */
void tg_charge_settle_events(tg_charge_t *charge, int64_t events);
void tg_charge_settle_cost(tg_charge_t *charge, int64_t cost);
void tg_charge_end(tg_charge_t *charge); /* a zeroed or ended one is allowed */

/* Values of the headers RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-08)
 * and, when refused, of Retry-After in seconds. */
#define TG_LIMIT_TEXT_MAX 160
void tg_verdict_write(const tg_verdict_t *verdict, const tg_plan_t *plan, tg_route_class_t class,
                      char limit[TG_LIMIT_TEXT_MAX], char policy[TG_LIMIT_TEXT_MAX]);
int64_t tg_verdict_retry_after_s(const tg_verdict_t *verdict);

/* What the limit counts: "ingest requests per second", "events per day", …; for messages. */
void tg_verdict_describe(const tg_verdict_t *verdict, tg_route_class_t class,
                         char out[TG_LIMIT_TEXT_MAX]);

#endif
