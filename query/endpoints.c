/* One builder per family of parameters; the table at the end joins route, parameters, shape and
 * builder.
 *
 * The newest bucket that is complete: its end lies at least the lateness (5 s) in the past. The
 * cache key is made of the parameters as the client gave them, not of the moving range that
 * defaults imply, so that everybody who asks for "the last two hours" shares one answer. */
#include "query/endpoints.h"

#include <stdio.h>
#include <stdlib.h>

#include "query/sql.h"

#define LATENESS_US  (5 * TG_US_PER_SECOND)
#define LIMIT_MAX    5000
#define MINUTES_MAX  10080 /* a week */
#define TOP_MAX      100
#define NAME_MAX_LEN 256

typedef struct endpoint {
    const char *path;
    const tg_param_t *params;
    size_t param_count;
    void (*build)(const tg_http_req_t *req, const struct endpoint *endpoint, tg_plan_t *plan);
    const tg_shape_t *shapes; /* one, or one per value of an enum parameter */
    int64_t window_us;        /* default range; 0: the endpoint has no from and to */
    int64_t bucket_us;
} endpoint_t;

// clang-format off
enum { RANGE_FROM, RANGE_TO, RANGE_LIMIT, RANGE_CURRENCY };
static const tg_param_t range_params[] = {
    {.name = "from",     .type = TG_PARAM_TIME},
    {.name = "to",       .type = TG_PARAM_TIME},
    {.name = "limit",    .type = TG_PARAM_UINT, .fallback = 2000, .min = 1, .max = LIMIT_MAX},
    {.name = "currency", .type = TG_PARAM_STR, .min = 1, .max = NAME_MAX_LEN},
};
enum { LATEST_BUCKET, LATEST_CURRENCY };
static const tg_param_t latest_params[] = {
    {.name = "bucket",   .type = TG_PARAM_ENUM, .allowed = "minute|hour"},
    {.name = "currency", .type = TG_PARAM_STR, .min = 1, .max = NAME_MAX_LEN},
};
enum { STREAM_MINUTES, STREAM_LIMIT, STREAM_ID };
static const tg_param_t stream_params[] = {
    {.name = "minutes",   .type = TG_PARAM_UINT, .fallback = 60, .min = 1, .max = MINUTES_MAX},
    {.name = "limit",     .type = TG_PARAM_UINT, .fallback = 500, .min = 1, .max = LIMIT_MAX},
    {.name = "stream_id", .type = TG_PARAM_STR, .min = 1, .max = NAME_MAX_LEN},
};
enum { STREAM_LATEST_ID };
static const tg_param_t stream_latest_params[] = {
    {.name = "stream_id", .type = TG_PARAM_STR, .min = 1, .max = NAME_MAX_LEN},
};
enum { TOP_MINUTES, TOP_BY, TOP_N };
static const tg_param_t top_params[] = {
    {.name = "minutes", .type = TG_PARAM_UINT, .fallback = 60, .min = 1, .max = MINUTES_MAX},
    {.name = "by",      .type = TG_PARAM_ENUM, .allowed = "donations_usd|chat_messages|active_viewers"},
    {.name = "n",       .type = TG_PARAM_UINT, .fallback = 10, .min = 1, .max = TOP_MAX},
};
// clang-format on

static void build_range(const tg_http_req_t *req, const endpoint_t *endpoint, tg_plan_t *plan)
{
    const tg_param_value_t *from = tg_http_param(req, RANGE_FROM),
                           *to = tg_http_param(req, RANGE_TO);
    if (to->present)
        plan->to = to->number;
    plan->from = from->present ? from->number : plan->to - endpoint->window_us;
    plan->shape = &endpoint->shapes[0];
    tg_plan_time(plan, tg_time_floor(plan->from, endpoint->bucket_us));
    tg_plan_time(plan, plan->to);
    tg_plan_text(plan, tg_http_param(req, RANGE_CURRENCY));
    tg_plan_number(plan, tg_http_param(req, RANGE_LIMIT)->number);
}

static void build_latest(const tg_http_req_t *req, const endpoint_t *endpoint, tg_plan_t *plan)
{
    static const int64_t unit[] = {TG_US_PER_MINUTE, TG_US_PER_HOUR};
    static const int64_t look_back[] = {7 * TG_US_PER_DAY, 62 * TG_US_PER_DAY};
    size_t bucket = (size_t)tg_http_param(req, LATEST_BUCKET)->number;
    assert(bucket < TG_ARRAY_LEN(unit));
    plan->shape = &endpoint->shapes[bucket];
    plan->to = tg_time_floor(plan->now - LATENESS_US, unit[bucket]);
    plan->from = plan->to - look_back[bucket];
    tg_plan_time(plan, plan->from);
    tg_plan_time(plan, plan->to);
    tg_plan_text(plan, tg_http_param(req, LATEST_CURRENCY));
}

static void build_stream(const tg_http_req_t *req, const endpoint_t *endpoint, tg_plan_t *plan)
{
    int64_t minutes = tg_http_param(req, STREAM_MINUTES)->number;
    plan->shape = &endpoint->shapes[0];
    plan->from = tg_time_floor(plan->to, TG_US_PER_MINUTE) - (minutes - 1) * TG_US_PER_MINUTE;
    tg_plan_time(plan, plan->from);
    tg_plan_time(plan, plan->to);
    tg_plan_text(plan, tg_http_param(req, STREAM_ID));
    tg_plan_number(plan, tg_http_param(req, STREAM_LIMIT)->number);
    tg_plan_time(plan, plan->now + TG_US_PER_DAY);
}

static void build_stream_latest(const tg_http_req_t *req, const endpoint_t *endpoint,
                                tg_plan_t *plan)
{
    plan->shape = &endpoint->shapes[0];
    plan->to = tg_time_floor(plan->now - LATENESS_US, TG_US_PER_MINUTE);
    plan->from = plan->to - TG_US_PER_DAY;
    tg_plan_time(plan, plan->from);
    tg_plan_time(plan, plan->to);
    tg_plan_text(plan, tg_http_param(req, STREAM_LATEST_ID));
    tg_plan_time(plan, plan->now + TG_US_PER_DAY);
}

static void build_top(const tg_http_req_t *req, const endpoint_t *endpoint, tg_plan_t *plan)
{
    size_t by = (size_t)tg_http_param(req, TOP_BY)->number;
    assert(by < TG_ARRAY_LEN(tg_sql_top));
    plan->shape = &endpoint->shapes[by];
    plan->from = tg_time_floor(plan->to, TG_US_PER_MINUTE) -
                 (tg_http_param(req, TOP_MINUTES)->number - 1) * TG_US_PER_MINUTE;
    tg_plan_time(plan, plan->from);
    tg_plan_time(plan, plan->to);
    tg_plan_number(plan, tg_http_param(req, TOP_N)->number);
}

#define PARAMS(rows) (rows), TG_ARRAY_LEN(rows)
// clang-format off
static const endpoint_t endpoints[] = {
    {"/v1/kpi/minute",     PARAMS(range_params),         build_range,         &tg_sql_kpi[0], 2 * TG_US_PER_HOUR, TG_US_PER_MINUTE},
    {"/v1/kpi/hour",       PARAMS(range_params),         build_range,         &tg_sql_kpi[1], 3 * TG_US_PER_DAY,  TG_US_PER_HOUR},
    {"/v1/kpi/latest",     PARAMS(latest_params),        build_latest,        tg_sql_kpi_latest, 0, 0},
    {"/v1/metrics",        PARAMS(stream_params),        build_stream,        &tg_sql_stream,    0, 0},
    {"/v1/metrics/latest", PARAMS(stream_latest_params), build_stream_latest, &tg_sql_stream_latest, 0, 0},
    {"/v1/streams/top",    PARAMS(top_params),           build_top,           tg_sql_top,        0, 0},
};
// clang-format on

tg_http_route_t *tg_endpoints_routes(tg_http_handler_fn handler, size_t *out_count)
{
    assert(handler != NULL && out_count != NULL);
    tg_http_route_t *routes = calloc(TG_ARRAY_LEN(endpoints), sizeof(*routes));
    if (routes == NULL)
        return NULL;
    for (size_t i = 0; i < TG_ARRAY_LEN(endpoints); i++) {
        const endpoint_t *endpoint = &endpoints[i];
        routes[i] = (tg_http_route_t){.method = "GET",
                                      .path = endpoint->path,
                                      .handler = handler,
                                      .params = endpoint->params,
                                      .param_count = endpoint->param_count,
                                      .format = TG_HTTP_V1,
                                      .flags = TG_HTTP_ROUTE_INTERNAL,
                                      .user = endpoint};
    }
    *out_count = TG_ARRAY_LEN(endpoints);
    return routes;
}

#define KEY_NUMBER_MAX 32 /* bytes that a parameter takes besides its text */

/* name|param=value|… of the parameters that are present. A text comes with its length, so that no
 * value can imitate another key; all else by what it means, so that every spelling of a time or a
 * number is one key. */
static void build_key(const tg_http_req_t *req, const endpoint_t *endpoint, tg_plan_t *plan)
{
    _Static_assert(TG_PLAN_KEY_MAX >= 64 + TG_PLAN_PARAMS_MAX * (NAME_MAX_LEN + KEY_NUMBER_MAX),
                   "every key fits");
    assert(endpoint->param_count <= TG_PLAN_PARAMS_MAX);
    size_t at = (size_t)snprintf(plan->key, sizeof(plan->key), "%s", plan->shape->name);
    for (unsigned i = 0; i < endpoint->param_count; i++) {
        const tg_param_value_t *value = tg_http_param(req, i);
        if (!value->present)
            continue;
        int n = endpoint->params[i].type == TG_PARAM_STR
                    ? snprintf(plan->key + at, sizeof(plan->key) - at, "|%u=%zu:" TG_STR_FMT, i,
                               value->text.len, TG_STR_ARG(value->text))
                    : snprintf(plan->key + at, sizeof(plan->key) - at, "|%u=%lld", i,
                               (long long)value->number);
        assert(n > 0 && (size_t)n < sizeof(plan->key) - at);
        at += (size_t)n;
    }
    plan->key_len = at;
}

tg_status_t tg_endpoints_plan(const tg_http_req_t *req, int64_t now, tg_plan_t **out_plan,
                              const char **out_field, tg_error_t *error)
{
    assert(out_plan != NULL && out_field != NULL);
    const endpoint_t *endpoint = tg_http_matched(req)->user;
    tg_plan_t *plan = calloc(1, sizeof(*plan));
    if (plan == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    plan->now = now;
    plan->to = now;
    endpoint->build(req, endpoint, plan);
    assert(plan->shape != NULL);
    if (plan->from >= plan->to) {
        free(plan);
        *out_field = "from";
        return tg_error_set(error, TG_INVALID, "from must be before to (to is now when not given)");
    }
    build_key(req, endpoint, plan);
    *out_plan = plan;
    return TG_OK;
}
