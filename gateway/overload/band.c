/* Reads the few parameters that say how much is asked for; the rest is not looked at. */
#include "gateway/overload/band.h"

#include "common/base/time.h"
#include "common/http/params.h"

#define RANGE_MAX (TG_BAND_DAYS_MAX * TG_US_PER_DAY)

enum { ASK_LIMIT, ASK_FROM, ASK_TO, ASK_COUNT };

static const tg_param_t asked[ASK_COUNT] = {
    [ASK_LIMIT] = {.name = "limit", .type = TG_PARAM_UINT, .max = INT64_MAX},
    [ASK_FROM] = {.name = "from", .type = TG_PARAM_TIME, .max = INT64_MAX},
    [ASK_TO] = {.name = "to", .type = TG_PARAM_TIME, .max = INT64_MAX},
};

static tg_str_t take_pair(tg_str_t *query)
{
    const char *end = memchr(query->ptr, '&', query->len);
    size_t len = end != NULL ? (size_t)(end - query->ptr) : query->len;
    tg_str_t pair = {query->ptr, len};
    size_t used = end != NULL ? len + 1 : len;
    *query = (tg_str_t){query->ptr + used, query->len - used};
    return pair;
}

static void read_value(const tg_param_t *param, tg_str_t pair, tg_arena_t *arena,
                       tg_param_value_t *out_value)
{
    tg_param_value_t value = {0};
    tg_str_t name;
    tg_error_t error;
    if (tg_params_parse(param, 1, pair, arena, &value, &name, &error) == TG_OK)
        *out_value = value;
}

static void read_pair(tg_str_t pair, tg_arena_t *arena, tg_param_value_t values[ASK_COUNT])
{
    for (size_t i = 0; i < ASK_COUNT; i++) {
        size_t len = strlen(asked[i].name);
        if (pair.len > len && pair.ptr[len] == '=' && memcmp(pair.ptr, asked[i].name, len) == 0)
            read_value(&asked[i], pair, arena, &values[i]);
    }
}

static bool is_export(tg_str_t query, int64_t now, tg_arena_t *arena)
{
    tg_param_value_t values[ASK_COUNT] = {0};

    while (query.len > 0)
        read_pair(take_pair(&query), arena, values);
    int64_t to =
        values[ASK_TO].present && values[ASK_TO].number < now ? values[ASK_TO].number : now;
    return values[ASK_LIMIT].number > TG_BAND_ROWS_MAX ||
           (values[ASK_FROM].present && values[ASK_FROM].number < to - RANGE_MAX);
}

tg_fair_band_t tg_band_of(const tg_public_route_t *route, tg_str_t query, int64_t now,
                          tg_arena_t *arena)
{
    assert(route != NULL);
    assert(now > RANGE_MAX);
    return route->rate_class == TG_CLASS_READ && is_export(query, now, arena) ? TG_BAND_SECOND
                                                                              : TG_BAND_FIRST;
}
