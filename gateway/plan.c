/* The table of limits and its readers. control.limits holds the same rows for those who change
 * plans; a test compares the two. */
#include "gateway/plan.h"

static const char *const class_names[TG_CLASS_COUNT] = {"ingest",   "read", "manage",
                                                        "registry", "live", "admin"};

#define RATE_MAX   INT64_C(1000000)
#define BURST_MAX  INT64_C(1000000)
#define EVENTS_MAX INT64_C(1000000000)
#define BYTES_MAX  (INT64_C(1) << 40)
#define CLASS(name, class)                                                                         \
    {{name "_requests_per_second", 1, RATE_MAX, TG_PLAN_UNSET},                                    \
     offsetof(tg_plan_t, classes[class].requests_per_second)},                                     \
    {                                                                                              \
        {name "_burst", 1, BURST_MAX, TG_PLAN_UNSET}, offsetof(tg_plan_t, classes[class].burst)    \
    }
#define AT(member) offsetof(tg_plan_t, member)
#define NOWHERE    SIZE_MAX /* general rates: they go to the classes */

enum { GENERAL_RATE, GENERAL_BURST, CLASSES };

// clang-format off
static const struct row {
    tg_plan_limit_t limit;
    size_t at;
} rows[] = {
    [GENERAL_RATE] = {{"requests_per_second",    1, RATE_MAX,       1000},     NOWHERE},
    [GENERAL_BURST] = {{"burst",                 1, BURST_MAX,      2000},     NOWHERE},
    [CLASSES] = CLASS("ingest", TG_CLASS_INGEST),
    CLASS("read", TG_CLASS_READ),
    CLASS("manage", TG_CLASS_MANAGE),
    CLASS("registry", TG_CLASS_REGISTRY),
    CLASS("live", TG_CLASS_LIVE),
    CLASS("admin", TG_CLASS_ADMIN),
    {{"events_per_second",    0, EVENTS_MAX,          0},                 AT(events_per_second)},
    {{"events_burst",         0, EVENTS_MAX,          0},                 AT(events_burst)},
    {{"bytes_per_second",     0, BYTES_MAX,           0},                 AT(bytes_per_second)},
    {{"bytes_burst",          0, BYTES_MAX,           0},                 AT(bytes_burst)},
    {{"events_per_day",       0, INT64_C(1000000) * EVENTS_MAX, 0},       AT(events_per_day)},
    {{"read_cost_per_second", 0, EVENTS_MAX,          0},                 AT(read_cost_per_second)},
    {{"read_cost_burst",      0, EVENTS_MAX,          0},                 AT(read_cost_burst)},
    {{"concurrency",          0, 100000,              0},                 AT(concurrency)},
    {{"live_connections",     0, 100000,              100},               AT(live_connections)},
    {{"max_body",             1024, INT64_C(10) << 20, INT64_C(10) << 20}, AT(max_body)},
    {{"weight",               1, 10000,               100},               AT(weight)},
    {{"retention_days",       0, 36500,               0},                 AT(retention_days)},
    {{"active_series",        1, 10000000,            10000},             AT(active_series)},
    {{"versions",             1, TG_PLAN_V1 | TG_PLAN_V2, TG_PLAN_V1 | TG_PLAN_V2}, AT(versions)},
};
// clang-format on

_Static_assert(TG_ARRAY_LEN(rows) <= TG_PLAN_LIMITS_MAX, "settings hold every limit");

const char *tg_route_class_name(tg_route_class_t class)
{
    assert(class < TG_CLASS_COUNT);
    return class_names[class];
}

const tg_plan_limit_t *tg_plan_limit(size_t index)
{
    return index < TG_ARRAY_LEN(rows) ? &rows[index].limit : NULL;
}

tg_plan_settings_t tg_plan_settings_none(void)
{
    tg_plan_settings_t settings;
    for (size_t i = 0; i < TG_PLAN_LIMITS_MAX; i++)
        settings.values[i] = TG_PLAN_UNSET;
    return settings;
}

bool tg_plan_set(tg_plan_settings_t *settings, tg_str_t name, int64_t value)
{
    assert(settings != NULL);
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        const tg_plan_limit_t *limit = &rows[i].limit;
        if (!tg_str_eq(name, tg_str_from(limit->name)))
            continue;
        value = value < limit->low ? limit->low : value;
        settings->values[i] = value > limit->high ? limit->high : value;
        return true;
    }
    return false;
}

static void set_word(tg_plan_settings_t *settings, tg_str_t word)
{
    const char *sign = word.len == 0 ? NULL : memchr(word.ptr, '=', word.len);
    if (sign == NULL)
        return;
    size_t name = (size_t)(sign - word.ptr);
    int64_t value = 0;
    if (tg_str_to_i64((tg_str_t){sign + 1, word.len - name - 1}, &value) == TG_OK)
        (void)tg_plan_set(settings, (tg_str_t){word.ptr, name}, value);
}

tg_plan_settings_t tg_plan_read(tg_str_t text)
{
    tg_plan_settings_t settings = tg_plan_settings_none();
    for (size_t at = 0; at < text.len;) {
        const char *space = memchr(text.ptr + at, ' ', text.len - at);
        size_t end = space == NULL ? text.len : (size_t)(space - text.ptr);
        set_word(&settings, (tg_str_t){text.ptr + at, end - at});
        at = end + 1;
    }
    return settings;
}

/* The value of one limit; a class's is TG_PLAN_UNSET when it is set nowhere. */
static int64_t value_of(size_t index, const tg_plan_settings_t *plan,
                        const tg_plan_settings_t *tenant)
{
    assert(index < TG_ARRAY_LEN(rows));
    if (tenant != NULL && tenant->values[index] != TG_PLAN_UNSET)
        return tenant->values[index];
    if (plan->values[index] != TG_PLAN_UNSET)
        return plan->values[index];
    return rows[index].limit.fallback;
}

tg_plan_t tg_plan_resolve(tg_str_t name, const tg_plan_settings_t *plan,
                          const tg_plan_settings_t *tenant)
{
    assert(plan != NULL);
    tg_plan_t out = {.versions = 0};
    assert(name.len < sizeof(out.name));
    if (name.len > 0)
        memcpy(out.name, name.ptr, name.len);
    for (size_t i = 0; i < TG_CLASS_COUNT; i++)
        out.classes[i] = (tg_plan_class_t){value_of(GENERAL_RATE, plan, tenant),
                                           value_of(GENERAL_BURST, plan, tenant)};
    for (size_t i = CLASSES; i < TG_ARRAY_LEN(rows); i++) {
        int64_t value = value_of(i, plan, tenant);
        if (value != TG_PLAN_UNSET)
            memcpy((char *)&out + rows[i].at, &value, sizeof(value));
    }
    if (out.events_burst == 0)
        out.events_burst = 10 * out.events_per_second;
    if (out.bytes_burst == 0)
        out.bytes_burst = 10 * out.bytes_per_second;
    if (out.read_cost_burst == 0)
        out.read_cost_burst = 10 * out.read_cost_per_second;
    return out;
}
