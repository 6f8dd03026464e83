/* What a tenant may use: every limit of a plan, as numbers.
 *
 * A limit is one row of a table (name, bounds, default); the control tables keep those that differ
 * from the default under the same names, first the plan's, then the tenant's own over them. Whoever
 * reads a plan therefore never meets an absent value or one out of its bounds: what the tables hold
 * is clamped.
 *
 * The rates of a class follow the plan's general ones unless they are set for the class; of two
 * settings the more specific name wins, and of the same name the tenant's.
 *
 * Threads: read-only tables; a plan belongs to who made it. */
#ifndef TG_GATEWAY_PLAN_H
#define TG_GATEWAY_PLAN_H

#include "common/base/str.h"

/* Each class of route has limits of its own, so that reads cannot starve writes. */
typedef enum tg_route_class {
    TG_CLASS_INGEST,
    TG_CLASS_READ,
    TG_CLASS_MANAGE,
    TG_CLASS_REGISTRY,
    TG_CLASS_LIVE,
    TG_CLASS_ADMIN,
    TG_CLASS_COUNT
} tg_route_class_t;

/* "ingest", …: as in the names of limits, metrics and the RateLimit header. */
const char *tg_route_class_name(tg_route_class_t class);

enum { TG_PLAN_V1 = 1, TG_PLAN_V2 = 2 }; /* bits of `versions` */

typedef struct tg_plan_class {
    int64_t requests_per_second, burst; /* at least 1 */
} tg_plan_class_t;

/* 0 means "not limited" where 0 is allowed at all: see the table in plan.c. */
typedef struct tg_plan {
    char name[64];
    tg_plan_class_t classes[TG_CLASS_COUNT];
    int64_t events_per_second, events_burst; /* burst 0: ten seconds' worth */
    int64_t bytes_per_second, bytes_burst;   /* of request bodies; burst 0: as above */
    int64_t events_per_day;                  /* UTC days */
    int64_t read_cost_per_second, read_cost_burst;
    int64_t concurrency;      /* requests in flight, per gateway */
    int64_t live_connections; /* per gateway */
    int64_t max_body;         /* bytes; a route's own limit holds beside it */
    int64_t weight;           /* share of a busy upstream, against other tenants' */
    int64_t retention_days;
    int64_t active_series;
    int64_t versions; /* TG_PLAN_V1 | TG_PLAN_V2 */
} tg_plan_t;

/* The settings of a plan or tenant: a value for each limit that is set, by its place in the table.
 */
#define TG_PLAN_LIMITS_MAX 32
#define TG_PLAN_UNSET      INT64_MIN
typedef struct tg_plan_settings {
    int64_t values[TG_PLAN_LIMITS_MAX];
} tg_plan_settings_t;

typedef struct tg_plan_limit {
    const char *name;
    int64_t low, high;
    int64_t fallback; /* TG_PLAN_UNSET: follows the general limit */
} tg_plan_limit_t;

/* Rows of the table, in order; NULL behind the last. */
const tg_plan_limit_t *tg_plan_limit(size_t index);

/* Nothing is set. */
tg_plan_settings_t tg_plan_settings_none(void);

/* Sets a limit by name, clamped to its bounds; false when there is no such limit. */
bool tg_plan_set(tg_plan_settings_t *settings, tg_str_t name, int64_t value);

/* Reads settings as the control tables write them: "name=value name=value". Unknown names and
 * values that are no numbers are passed over: a newer schema must not stop an older gateway. */
tg_plan_settings_t tg_plan_read(tg_str_t text);

/* The plan that results: defaults, the plan's settings, then the tenant's (NULL: none). */
tg_plan_t tg_plan_resolve(tg_str_t name, const tg_plan_settings_t *plan,
                          const tg_plan_settings_t *tenant);

#endif
