/* One builder per family of parameters; the table at the end joins route, parameters, shape and
 * builder.
 *
 * The newest bucket that is complete: its end lies at least the lateness (5 s) in the past. The
 * cache key is made of the parameters as the client gave them, not of the moving range that
 * defaults imply, so that everybody who asks for "the last two hours" shares one answer. */
#include "query/endpoints.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query/sql.h"

#define LATENESS_US  (5 * TG_US_PER_SECOND)
#define LIMIT_MAX    5000
#define ROWS_MAX     2000  /* limit of lists whose rows are documents */
#define MINUTES_MAX  10080 /* a week */
#define TOP_MAX      100
#define NAME_MAX_LEN 256
#define KEY_MAX_LEN  (2 * NAME_MAX_LEN + 1) /* device:metric */

typedef struct endpoint {
    const char *path;
    const tg_param_t *params;
    size_t param_count;
    void (*build)(const tg_http_req_t *req, const struct endpoint *endpoint, tg_plan_t *plan);
    /* What no row of parameters can say: TG_INVALID naming the field. NULL: nothing. */
    tg_status_t (*check)(const tg_http_req_t *req, const char **out_field, tg_error_t *error);
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
enum { READING_MINUTES, READING_LIMIT, READING_DEVICE, READING_METRIC };
static const tg_param_t reading_params[] = {
    {.name = "minutes",   .type = TG_PARAM_UINT, .fallback = 1440, .min = 1, .max = MINUTES_MAX},
    {.name = "limit",     .type = TG_PARAM_UINT, .fallback = 1000, .min = 1, .max = LIMIT_MAX},
    {.name = "device_id", .type = TG_PARAM_STR, .min = 1, .max = NAME_MAX_LEN},
    {.name = "metric",    .type = TG_PARAM_STR, .min = 1, .max = NAME_MAX_LEN},
};
enum { HISTORY_KEY, HISTORY_FROM, HISTORY_TO, HISTORY_MINUTES, HISTORY_LIMIT };
static const tg_param_t history_params[] = {
    {.name = "key",     .type = TG_PARAM_STR, .min = 3, .max = KEY_MAX_LEN},
    {.name = "from",    .type = TG_PARAM_TIME},
    {.name = "to",      .type = TG_PARAM_TIME},
    {.name = "minutes", .type = TG_PARAM_UINT, .fallback = 60, .min = 1, .max = MINUTES_MAX},
    {.name = "limit",   .type = TG_PARAM_UINT, .fallback = 500, .min = 1, .max = LIMIT_MAX},
};
enum { ACTIVITY_PAGE };
static const tg_param_t activity_params[] = {
    {.name = "page", .type = TG_PARAM_STR, .min = 1, .max = NAME_MAX_LEN},
};
enum { LEADERS_MINUTES, LEADERS_N };
static const tg_param_t leaderboard_params[] = {
    {.name = "minutes", .type = TG_PARAM_UINT, .fallback = 60, .min = 1, .max = MINUTES_MAX},
    {.name = "n",       .type = TG_PARAM_UINT, .fallback = 10, .min = 1, .max = TOP_MAX},
};
/* Lists of single rows begin with the same three. */
enum { ROWS_FROM, ROWS_TO, ROWS_LIMIT, ROWS_OWN };
#define ROWS_PARAMS                                                                                \
    {.name = "from",  .type = TG_PARAM_TIME},                                                      \
    {.name = "to",    .type = TG_PARAM_TIME},                                                      \
    {.name = "limit", .type = TG_PARAM_UINT, .fallback = 500, .min = 1, .max = ROWS_MAX}
enum { SIGNAL_USER = ROWS_OWN, SIGNAL_SOURCE, SIGNAL_TYPE };
static const tg_param_t signal_params[] = {
    ROWS_PARAMS,
    {.name = "user_id", .type = TG_PARAM_STR, .min = 1, .max = NAME_MAX_LEN},
    {.name = "source",  .type = TG_PARAM_ENUM, .allowed = "web|mobile|api"},
    {.name = "type",    .type = TG_PARAM_STR, .min = 1, .max = NAME_MAX_LEN},
};
enum { ANOMALY_USER = ROWS_OWN, ANOMALY_TYPE, ANOMALY_SEVERITY };
static const tg_param_t anomaly_params[] = {
    ROWS_PARAMS,
    {.name = "user_id",      .type = TG_PARAM_STR, .min = 1, .max = NAME_MAX_LEN},
    {.name = "anomaly_type", .type = TG_PARAM_STR, .min = 1, .max = NAME_MAX_LEN},
    {.name = "severity",     .type = TG_PARAM_UINT, .min = 1, .max = 3},
};
enum { ALERT_SOURCE = ROWS_OWN, ALERT_SEVERITY };
static const tg_param_t alert_params[] = {
    ROWS_PARAMS,
    {.name = "source",   .type = TG_PARAM_ENUM, .allowed = "rule|anomaly"},
    {.name = "severity", .type = TG_PARAM_UINT, .min = 1, .max = 3},
};
// clang-format on

/* The answer's range; the plan's `to` is now so far. */
static void set_range(tg_plan_t *plan, const tg_param_value_t *from, const tg_param_value_t *to,
                      int64_t window_us)
{
    assert(window_us > 0);
    if (to->present)
        plan->to = to->number;
    plan->from = from->present ? from->number : plan->to - window_us;
}

static void build_range(const tg_http_req_t *req, const endpoint_t *endpoint, tg_plan_t *plan)
{
    set_range(plan, tg_http_param(req, RANGE_FROM), tg_http_param(req, RANGE_TO),
              endpoint->window_us);
    plan->shape = &endpoint->shapes[0];
    tg_plan_time(plan, tg_time_floor(plan->from, endpoint->bucket_us));
    /* Rounded up: buckets that begin before `to` are those before that. */
    tg_plan_time(plan, tg_time_floor(plan->to - 1, endpoint->bucket_us) + endpoint->bucket_us);
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

/* The newest reading may bear a time ahead of ours. */
static void build_reading_latest(const tg_http_req_t *req, const endpoint_t *endpoint,
                                 tg_plan_t *plan)
{
    plan->shape = &endpoint->shapes[0];
    plan->from = tg_time_floor(plan->to, TG_US_PER_MINUTE) -
                 (tg_http_param(req, READING_MINUTES)->number - 1) * TG_US_PER_MINUTE;
    tg_plan_time(plan, plan->from);
    tg_plan_time(plan, plan->now + TG_US_PER_DAY);
    tg_plan_text(plan, tg_http_param(req, READING_DEVICE));
    tg_plan_text(plan, tg_http_param(req, READING_METRIC));
    tg_plan_number(plan, tg_http_param(req, READING_LIMIT)->number);
}

/* Splits device:metric at the last colon: devices are often named by addresses with colons. */
static bool split_key(tg_str_t key, tg_str_t *out_device, tg_str_t *out_metric)
{
    const char *colon = key.len > 0 ? memrchr(key.ptr, ':', key.len) : NULL;
    if (colon == NULL)
        return false;
    *out_device = (tg_str_t){key.ptr, (size_t)(colon - key.ptr)};
    *out_metric = (tg_str_t){colon + 1, key.len - out_device->len - 1};
    return out_device->len >= 1 && out_device->len <= NAME_MAX_LEN && out_metric->len >= 1 &&
           out_metric->len <= NAME_MAX_LEN;
}

static tg_status_t check_history(const tg_http_req_t *req, const char **out_field,
                                 tg_error_t *error)
{
    tg_str_t device, metric;
    *out_field = "key";
    if (!split_key(tg_http_param(req, HISTORY_KEY)->text, &device, &metric))
        return tg_error_set(error, TG_INVALID,
                            "key is needed: device:metric, each of 1 to %d bytes", NAME_MAX_LEN);
    *out_field = "minutes";
    if (tg_http_param(req, HISTORY_MINUTES)->present && tg_http_param(req, HISTORY_FROM)->present)
        return tg_error_set(error, TG_INVALID, "either minutes or from may be given, not both");
    return TG_OK;
}

static void build_history(const tg_http_req_t *req, const endpoint_t *endpoint, tg_plan_t *plan)
{
    tg_str_t device, metric;
    bool split = split_key(tg_http_param(req, HISTORY_KEY)->text, &device, &metric);
    assert(split); /* check_history */
    set_range(plan, tg_http_param(req, HISTORY_FROM), tg_http_param(req, HISTORY_TO),
              tg_http_param(req, HISTORY_MINUTES)->number * TG_US_PER_MINUTE);
    plan->shape = &endpoint->shapes[0];
    tg_plan_time(plan, plan->from);
    tg_plan_time(plan, plan->to);
    tg_plan_str(plan, device);
    tg_plan_str(plan, metric);
    tg_plan_time(plan, tg_time_floor(plan->from, TG_US_PER_MINUTE));
    tg_plan_number(plan, tg_http_param(req, HISTORY_LIMIT)->number);
}

static void build_activity_latest(const tg_http_req_t *req, const endpoint_t *endpoint,
                                  tg_plan_t *plan)
{
    plan->shape = &endpoint->shapes[0];
    plan->to = tg_time_floor(plan->now - LATENESS_US, TG_US_PER_MINUTE);
    plan->from = plan->to - TG_US_PER_DAY;
    tg_plan_time(plan, plan->from);
    tg_plan_time(plan, plan->to);
    tg_plan_text(plan, tg_http_param(req, ACTIVITY_PAGE));
}

static void build_leaderboard(const tg_http_req_t *req, const endpoint_t *endpoint, tg_plan_t *plan)
{
    plan->shape = &endpoint->shapes[0];
    plan->from = tg_time_floor(plan->to, TG_US_PER_MINUTE) -
                 (tg_http_param(req, LEADERS_MINUTES)->number - 1) * TG_US_PER_MINUTE;
    tg_plan_time(plan, plan->from);
    tg_plan_time(plan, plan->to);
    tg_plan_number(plan, tg_http_param(req, LEADERS_N)->number);
}

/* Range and shape of a list of single rows. */
static void begin_rows(const tg_http_req_t *req, const endpoint_t *endpoint, tg_plan_t *plan)
{
    set_range(plan, tg_http_param(req, ROWS_FROM), tg_http_param(req, ROWS_TO),
              endpoint->window_us);
    plan->shape = &endpoint->shapes[0];
    tg_plan_time(plan, plan->from);
    tg_plan_time(plan, plan->to);
}

static void build_signals(const tg_http_req_t *req, const endpoint_t *endpoint, tg_plan_t *plan)
{
    begin_rows(req, endpoint, plan);
    tg_plan_text(plan, tg_http_param(req, SIGNAL_USER));
    tg_plan_text(plan, tg_http_param(req, SIGNAL_SOURCE));
    tg_plan_text(plan, tg_http_param(req, SIGNAL_TYPE));
    tg_plan_number(plan, tg_http_param(req, ROWS_LIMIT)->number);
}

static void build_anomalies(const tg_http_req_t *req, const endpoint_t *endpoint, tg_plan_t *plan)
{
    begin_rows(req, endpoint, plan);
    tg_plan_text(plan, tg_http_param(req, ANOMALY_USER));
    tg_plan_text(plan, tg_http_param(req, ANOMALY_TYPE));
    tg_plan_optional_number(plan, tg_http_param(req, ANOMALY_SEVERITY));
    tg_plan_number(plan, tg_http_param(req, ROWS_LIMIT)->number);
}

static void build_alerts(const tg_http_req_t *req, const endpoint_t *endpoint, tg_plan_t *plan)
{
    begin_rows(req, endpoint, plan);
    tg_plan_text(plan, tg_http_param(req, ALERT_SOURCE));
    tg_plan_optional_number(plan, tg_http_param(req, ALERT_SEVERITY));
    tg_plan_number(plan, tg_http_param(req, ROWS_LIMIT)->number);
}

#define PARAMS(rows) .params = (rows), .param_count = TG_ARRAY_LEN(rows)
// clang-format off
static const endpoint_t endpoints[] = {
    {"/v1/kpi/minute",     PARAMS(range_params),         build_range,         .shapes = &tg_sql_kpi[0], .window_us = 2 * TG_US_PER_HOUR, .bucket_us = TG_US_PER_MINUTE},
    {"/v1/kpi/hour",       PARAMS(range_params),         build_range,         .shapes = &tg_sql_kpi[1], .window_us = 3 * TG_US_PER_DAY,  .bucket_us = TG_US_PER_HOUR},
    {"/v1/kpi/latest",     PARAMS(latest_params),        build_latest,        .shapes = tg_sql_kpi_latest},
    {"/v1/metrics",        PARAMS(stream_params),        build_stream,        .shapes = &tg_sql_stream},
    {"/v1/metrics/latest", PARAMS(stream_latest_params), build_stream_latest, .shapes = &tg_sql_stream_latest},
    {"/v1/streams/top",    PARAMS(top_params),           build_top,           .shapes = tg_sql_top},
    {"/v1/metrics/iot/latest",           PARAMS(reading_params),     build_reading_latest,  .shapes = &tg_sql_reading_latest},
    {"/v1/metrics/iot/history",          PARAMS(history_params),     build_history,         .shapes = &tg_sql_reading_history, .check = check_history},
    {"/v1/metrics/activity/latest",      PARAMS(activity_params),    build_activity_latest, .shapes = &tg_sql_activity_latest},
    {"/v1/metrics/activity/leaderboard", PARAMS(leaderboard_params), build_leaderboard,     .shapes = &tg_sql_leaderboard},
    {"/v1/signals",        PARAMS(signal_params),        build_signals,       .shapes = &tg_sql_signals,   .window_us = TG_US_PER_DAY},
    {"/v1/anomalies",      PARAMS(anomaly_params),       build_anomalies,     .shapes = &tg_sql_anomalies, .window_us = TG_US_PER_DAY},
    {"/v1/alerts",         PARAMS(alert_params),         build_alerts,        .shapes = &tg_sql_alerts,    .window_us = TG_US_PER_DAY},
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
    _Static_assert(TG_PLAN_KEY_MAX >= 64 + KEY_MAX_LEN - NAME_MAX_LEN +
                                          TG_PLAN_PARAMS_MAX * (NAME_MAX_LEN + KEY_NUMBER_MAX),
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
    tg_status_t status = endpoint->check == NULL ? TG_OK : endpoint->check(req, out_field, error);
    if (status != TG_OK)
        return status;
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
