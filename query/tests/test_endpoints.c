/* Requests to plans, through a real server whose handler answers with the plan itself. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/http/tests/support.h"
#include "query/endpoints.h"

#define NOW    INT64_C(1770112805250000) /* 2026-02-03T10:00:05.25Z */
#define SECRET "a-secret-of-the-tests"

static tg_http_config_t config;
static tg_http_route_t *routes;
static tg_http_server_t *server;

/* "shape(param,…) from..to ttl=ms key=…", or the error as the service says it. */
static void handle(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_plan_t *plan = NULL;
    const char *field = "";
    tg_error_t error = {.status = TG_OK};
    tg_status_t status = tg_endpoints_plan(req, NOW, &plan, &field, &error);
    if (status != TG_OK) {
        tg_http_fail(req, status == TG_INVALID ? 400 : 503, "refused", tg_str_from(field), "%s",
                     error.text);
        return;
    }
    tg_buf_t out = tg_buf_make(4096);
    char from[TG_TIME_TEXT_MAX], to[TG_TIME_TEXT_MAX];
    tg_time_format(plan->from, from);
    tg_time_format(plan->to, to);
    tg_buf_printf(&out, "%s(", plan->shape->name);
    for (size_t i = 0; i < plan->param_count; i++) {
        tg_str_t text = {plan->params[i].text, plan->params[i].len};
        tg_buf_str(&out, i > 0 ? TG_STR(",") : TG_STR(""));
        tg_buf_str(&out, plan->params[i].null ? TG_STR("null") : text);
    }
    tg_buf_printf(&out, ") %s..%s ttl=%llu key=%.*s", from, to,
                  (unsigned long long)tg_plan_ttl_ms(plan), (int)plan->key_len, plan->key);
    free(plan);
    tg_http_reply_buf(req, 200, "text/plain", &out);
}

/* The answer to GET `target`; owned by the caller. */
static char *get(const char *target)
{
    char *text = NULL;
    assert_true(asprintf(&text,
                         "GET %s HTTP/1.1\r\nHost: test\r\nX-Tidegate-Secret: " SECRET
                         "\r\nX-Tidegate-Tenant: acme\r\n\r\n",
                         target) > 0);
    int fd = test_connect(tg_http_server_port(server));
    test_say(fd, text);
    char *answer = test_read_answer(fd, false);
    close(fd);
    free(text);
    return answer;
}

static void expect_plan(const char *target, const char *plan)
{
    char *answer = get(target);
    assert_int_equal(test_code(answer), 200);
    assert_string_equal(strstr(answer, "\r\n\r\n") + 4, plan);
    free(answer);
}

static void expect_refusal(const char *target, const char *field)
{
    char *answer = get(target), part[64];
    (void)snprintf(part, sizeof(part), "\"field\":\"%s\"", field);
    if (test_code(answer) != 400)
        fail_msg("%s: %s", target, answer);
    test_assert_has(answer, part);
    free(answer);
}

static char *key_of(const char *target)
{
    char *answer = get(target);
    const char *key = strstr(answer, " key=");
    assert_non_null(key);
    char *copy = strdup(key + 5);
    free(answer);
    return copy;
}

static void each_endpoint_has_its_default_range_and_limit(void **state)
{
    (void)state;
    expect_plan("/v1/kpi/minute",
                "kpi.minute(2026-02-03T08:00:00Z,2026-02-03T10:01:00Z,null,2000)"
                " 2026-02-03T08:00:05.250Z..2026-02-03T10:00:05.250Z ttl=1000 key=kpi.minute");
    expect_plan("/v1/kpi/hour",
                "kpi.hour(2026-01-31T10:00:00Z,2026-02-03T11:00:00Z,null,2000)"
                " 2026-01-31T10:00:05.250Z..2026-02-03T10:00:05.250Z ttl=1000 key=kpi.hour");
    expect_plan("/v1/kpi/latest",
                "kpi.latest.minute(2026-01-27T10:00:00Z,2026-02-03T10:00:00Z,null)"
                " 2026-01-27T10:00:00Z..2026-02-03T10:00:00Z ttl=1000 key=kpi.latest.minute");
    expect_plan("/v1/metrics", "stream(2026-02-03T09:01:00Z,2026-02-03T10:00:05.250Z,null,500,"
                               "2026-02-04T10:00:05.250Z)"
                               " 2026-02-03T09:01:00Z..2026-02-03T10:00:05.250Z ttl=1000"
                               " key=stream");
    expect_plan("/v1/metrics/latest",
                "stream.latest(2026-02-02T10:00:00Z,2026-02-03T10:00:00Z,null,"
                "2026-02-04T10:00:05.250Z)"
                " 2026-02-02T10:00:00Z..2026-02-03T10:00:00Z ttl=1000 key=stream.latest");
    expect_plan("/v1/streams/top",
                "top.donations(2026-02-03T09:01:00Z,2026-02-03T10:00:05.250Z,10)"
                " 2026-02-03T09:01:00Z..2026-02-03T10:00:05.250Z ttl=1000 key=top.donations");
    expect_plan("/v1/metrics/iot/latest",
                "iot.latest(2026-02-02T10:01:00Z,2026-02-04T10:00:05.250Z,null,null,1000)"
                " 2026-02-02T10:01:00Z..2026-02-03T10:00:05.250Z ttl=1000 key=iot.latest");
    expect_plan("/v1/metrics/iot/history?key=d:m",
                "iot.history(2026-02-03T09:00:05.250Z,2026-02-03T10:00:05.250Z,d,m,"
                "2026-02-03T09:00:00Z,500)"
                " 2026-02-03T09:00:05.250Z..2026-02-03T10:00:05.250Z ttl=1000"
                " key=iot.history|0=3:d:m");
    expect_plan("/v1/metrics/activity/latest",
                "activity.latest(2026-02-02T10:00:00Z,2026-02-03T10:00:00Z,null)"
                " 2026-02-02T10:00:00Z..2026-02-03T10:00:00Z ttl=1000 key=activity.latest");
    expect_plan("/v1/metrics/activity/leaderboard",
                "activity.top(2026-02-03T09:01:00Z,2026-02-03T10:00:05.250Z,10)"
                " 2026-02-03T09:01:00Z..2026-02-03T10:00:05.250Z ttl=1000 key=activity.top");
    expect_plan("/v1/signals",
                "signals(2026-02-02T10:00:05.250Z,2026-02-03T10:00:05.250Z,null,null,null,500)"
                " 2026-02-02T10:00:05.250Z..2026-02-03T10:00:05.250Z ttl=1000 key=signals");
    expect_plan("/v1/anomalies",
                "anomalies(2026-02-02T10:00:05.250Z,2026-02-03T10:00:05.250Z,null,null,null,500)"
                " 2026-02-02T10:00:05.250Z..2026-02-03T10:00:05.250Z ttl=1000 key=anomalies");
    expect_plan("/v1/alerts",
                "alerts(2026-02-02T10:00:05.250Z,2026-02-03T10:00:05.250Z,null,null,500)"
                " 2026-02-02T10:00:05.250Z..2026-02-03T10:00:05.250Z ttl=1000 key=alerts");
}

static void parameters_reach_the_statement_in_its_order(void **state)
{
    (void)state;
    expect_plan("/v1/kpi/minute?currency=EUR&limit=7&to=2026-02-03T09:00:00Z&from=1770105630",
                "kpi.minute(2026-02-03T08:00:00Z,2026-02-03T09:00:00Z,EUR,7)"
                " 2026-02-03T08:00:30Z..2026-02-03T09:00:00Z ttl=10000"
                " key=kpi.minute|0=1770105630000000|1=1770109200000000|2=7|3=3:EUR");
    expect_plan("/v1/kpi/latest?bucket=hour&currency=USD",
                "kpi.latest.hour(2025-12-03T10:00:00Z,2026-02-03T10:00:00Z,USD)"
                " 2025-12-03T10:00:00Z..2026-02-03T10:00:00Z ttl=1000"
                " key=kpi.latest.hour|0=1|1=3:USD");
    expect_plan("/v1/metrics?minutes=1&limit=2&stream_id=s%201",
                "stream(2026-02-03T10:00:00Z,2026-02-03T10:00:05.250Z,s 1,2,"
                "2026-02-04T10:00:05.250Z)"
                " 2026-02-03T10:00:00Z..2026-02-03T10:00:05.250Z ttl=1000"
                " key=stream|0=1|1=2|2=3:s 1");
    expect_plan("/v1/streams/top?by=active_viewers&n=100&minutes=10080",
                "top.viewers(2026-01-27T10:01:00Z,2026-02-03T10:00:05.250Z,100)"
                " 2026-01-27T10:01:00Z..2026-02-03T10:00:05.250Z ttl=1000"
                " key=top.viewers|0=10080|1=2|2=100");
    expect_plan("/v1/metrics/iot/latest?metric=t&device_id=d%201&minutes=1&limit=5",
                "iot.latest(2026-02-03T10:00:00Z,2026-02-04T10:00:05.250Z,d 1,t,5)"
                " 2026-02-03T10:00:00Z..2026-02-03T10:00:05.250Z ttl=1000"
                " key=iot.latest|0=1|1=5|2=3:d 1|3=1:t");
    expect_plan("/v1/signals?type=click&source=mobile&user_id=u&limit=2000",
                "signals(2026-02-02T10:00:05.250Z,2026-02-03T10:00:05.250Z,u,mobile,click,2000)"
                " 2026-02-02T10:00:05.250Z..2026-02-03T10:00:05.250Z ttl=1000"
                " key=signals|2=2000|3=1:u|4=1|5=5:click");
    expect_plan("/v1/anomalies?severity=3&anomaly_type=z&user_id=u&to=2026-02-03T00:00:00Z",
                "anomalies(2026-02-02T00:00:00Z,2026-02-03T00:00:00Z,u,z,3,500)"
                " 2026-02-02T00:00:00Z..2026-02-03T00:00:00Z ttl=10000"
                " key=anomalies|1=1770076800000000|3=1:u|4=1:z|5=3");
    expect_plan("/v1/alerts?source=anomaly&severity=1&from=1770105630",
                "alerts(2026-02-03T08:00:30Z,2026-02-03T10:00:05.250Z,anomaly,1,500)"
                " 2026-02-03T08:00:30Z..2026-02-03T10:00:05.250Z ttl=1000"
                " key=alerts|0=1770105630000000|3=1|4=1");
    expect_plan("/v1/metrics/activity/latest?page=/a",
                "activity.latest(2026-02-02T10:00:00Z,2026-02-03T10:00:00Z,/a)"
                " 2026-02-02T10:00:00Z..2026-02-03T10:00:00Z ttl=1000"
                " key=activity.latest|0=2:/a");
}

/* The statement's parameters of a key, up to the sixth. */
static void expect_key(const char *key, const char *device_and_metric)
{
    char target[256], part[128];
    (void)snprintf(target, sizeof(target), "/v1/metrics/iot/history?key=%s", key);
    (void)snprintf(part, sizeof(part), "Z,%s,2026", device_and_metric);
    char *answer = get(target);
    assert_int_equal(test_code(answer), 200);
    test_assert_has(answer, part);
    free(answer);
}

static void a_readings_key_is_split_at_its_last_colon(void **state)
{
    (void)state;
    expect_key("device-1:temperature", "device-1,temperature");
    expect_key("00:1a:2b:temperature", "00:1a:2b,temperature");
    expect_key("d%3At", "d,t");
    expect_refusal("/v1/metrics/iot/history", "key");
    expect_refusal("/v1/metrics/iot/history?key=", "key");
    expect_refusal("/v1/metrics/iot/history?key=device", "key");
    expect_refusal("/v1/metrics/iot/history?key=:temperature", "key");
    expect_refusal("/v1/metrics/iot/history?key=device:", "key");
}

static void each_half_of_a_key_may_have_the_greatest_length_and_no_more(void **state)
{
    (void)state;
    char target[700], half[257];
    memset(half, 'x', 256);
    half[256] = '\0';
    (void)snprintf(target, sizeof(target), "/v1/metrics/iot/history?key=%s:%s", half, half);
    char *key = key_of(target);
    assert_int_equal(strlen(key), strlen("iot.history|0=513:") + 513);
    free(key);
    (void)snprintf(target, sizeof(target), "/v1/metrics/iot/history?key=%sx:m", half);
    expect_refusal(target, "key");
    (void)snprintf(target, sizeof(target), "/v1/metrics/iot/history?key=d:%sx", half);
    expect_refusal(target, "key");
}

static void a_history_begins_at_from_or_minutes_before_its_end(void **state)
{
    (void)state;
    expect_plan("/v1/metrics/iot/history?key=d:m&minutes=2&to=2026-02-03T09:00:30Z&limit=7",
                "iot.history(2026-02-03T08:58:30Z,2026-02-03T09:00:30Z,d,m,2026-02-03T08:58:00Z,7)"
                " 2026-02-03T08:58:30Z..2026-02-03T09:00:30Z ttl=1000"
                " key=iot.history|0=3:d:m|2=1770109230000000|3=2|4=7");
    expect_refusal("/v1/metrics/iot/history?key=d:m&minutes=2&from=2026-02-03T09:00:30Z",
                   "minutes");
}

static void a_given_end_moves_the_default_begin(void **state)
{
    (void)state;
    expect_plan("/v1/kpi/hour?to=2026-01-10T00:00:00Z",
                "kpi.hour(2026-01-07T00:00:00Z,2026-01-10T00:00:00Z,null,2000)"
                " 2026-01-07T00:00:00Z..2026-01-10T00:00:00Z ttl=10000"
                " key=kpi.hour|1=1768003200000000");
}

static void a_range_that_is_empty_or_turned_round_names_from(void **state)
{
    (void)state;
    expect_refusal("/v1/kpi/minute?from=2026-02-03T09:00:00Z&to=2026-02-03T08:59:59Z", "from");
    expect_refusal("/v1/kpi/minute?from=2026-02-03T09:00:00Z&to=2026-02-03T09:00:00Z", "from");
    expect_refusal("/v1/kpi/hour?from=2026-02-03T10:00:06Z", "from"); /* behind now */
    expect_refusal("/v1/kpi/hour?from=2026-02-03T10:00:05.25Z", "from");
}

static void a_parameter_outside_its_range_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *target, *field;
    } cases[] = {
        {"/v1/kpi/minute?limit=0", "limit"},
        {"/v1/kpi/minute?limit=5001", "limit"},
        {"/v1/kpi/minute?limit=1e3", "limit"},
        {"/v1/kpi/minute?currency=", "currency"},
        {"/v1/kpi/minute?from=yesterday", "from"},
        {"/v1/kpi/hour?to=2026-02-30T00:00:00Z", "to"},
        {"/v1/kpi/latest?bucket=day", "bucket"},
        {"/v1/kpi/latest?from=2026-02-03T09:00:00Z", "from"},
        {"/v1/metrics?minutes=10081", "minutes"},
        {"/v1/metrics?minutes=0", "minutes"},
        {"/v1/metrics?stream_id=%C3%28", "stream_id"},
        {"/v1/streams/top?by=revenue", "by"},
        {"/v1/streams/top?n=101", "n"},
        {"/v1/streams/top?n=1&n=1", "n"},
        {"/v1/metrics/latest?tenant=other", "tenant"},
        {"/v1/metrics/iot/latest?limit=5001", "limit"},
        {"/v1/metrics/iot/latest?minutes=10081", "minutes"},
        {"/v1/metrics/iot/latest?key=d:m", "key"},
        {"/v1/metrics/iot/history?key=d:m&limit=0", "limit"},
        {"/v1/metrics/activity/latest?minutes=5", "minutes"},
        {"/v1/metrics/activity/leaderboard?n=101", "n"},
        {"/v1/metrics/activity/leaderboard?by=clicks", "by"},
        {"/v1/signals?limit=2001", "limit"},
        {"/v1/signals?source=fax", "source"},
        {"/v1/anomalies?severity=4", "severity"},
        {"/v1/anomalies?severity=high", "severity"},
        {"/v1/alerts?limit=2001", "limit"},
        {"/v1/alerts?source=all", "source"},
        {"/v1/alerts?from=2026-02-03T09:00:00Z&to=2026-02-03T08:00:00Z", "from"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++)
        expect_refusal(cases[i].target, cases[i].field);
}

static void an_identifier_of_the_greatest_length_fits(void **state)
{
    (void)state;
    char target[400] = "/v1/metrics?stream_id=";
    size_t len = strlen(target);
    memset(target + len, 'x', 256);
    char *key = key_of(target);
    assert_int_equal(strlen(key), strlen("stream|2=256:") + 256);
    free(key);
    target[len + 256] = 'x';
    expect_refusal(target, "stream_id");
}

static void cache_keys_differ_where_answers_do(void **state)
{
    (void)state;
    static const char *const targets[] = {
        "/v1/kpi/minute",
        "/v1/kpi/hour",
        "/v1/kpi/latest",
        "/v1/kpi/latest?bucket=hour",
        "/v1/kpi/minute?limit=1",
        "/v1/kpi/minute?currency=1",
        "/v1/kpi/minute?from=1770109200",
        "/v1/kpi/minute?to=1770109200",
        "/v1/kpi/minute?from=1770109200&to=1770109201",
        "/v1/kpi/minute?currency=EUR&limit=1",
        "/v1/kpi/minute?currency=EUR%7C2%3D1",   /* "EUR|2=1" */
        "/v1/kpi/minute?currency=1%7C3%3D3:EUR", /* "1|3=3:EUR" */
        "/v1/kpi/minute?limit=1&currency=3:EUR",
        "/v1/metrics",
        "/v1/metrics?stream_id=1",
        "/v1/metrics/latest",
        "/v1/metrics/latest?stream_id=1",
        "/v1/metrics/latest?stream_id=%7C0%3D1:1", /* "|0=1:1" */
        "/v1/streams/top",
        "/v1/streams/top?by=chat_messages",
        "/v1/streams/top?n=1",
        "/v1/streams/top?minutes=1",
        "/v1/metrics/iot/latest",
        "/v1/metrics/iot/latest?device_id=d",
        "/v1/metrics/iot/latest?metric=d",
        "/v1/metrics/iot/history?key=d:m",
        "/v1/metrics/iot/history?key=d:m&minutes=1",
        "/v1/metrics/activity/latest",
        "/v1/metrics/activity/leaderboard",
        "/v1/signals",
        "/v1/signals?source=web",
        "/v1/signals?type=web",
        "/v1/signals?user_id=web",
        "/v1/anomalies",
        "/v1/anomalies?severity=1",
        "/v1/alerts",
        "/v1/alerts?severity=1",
        "/v1/alerts?source=rule",
    };
    char *keys[TG_ARRAY_LEN(targets)];
    for (size_t i = 0; i < TG_ARRAY_LEN(targets); i++) {
        keys[i] = key_of(targets[i]);
        for (size_t j = 0; j < i; j++) {
            if (strcmp(keys[i], keys[j]) == 0)
                fail_msg("%s and %s share %s", targets[i], targets[j], keys[i]);
        }
    }
    for (size_t i = 0; i < TG_ARRAY_LEN(targets); i++)
        free(keys[i]);
}

/* Otherwise a long spelling of a short number would be answered as if we had run out of memory. */
static void every_spelling_of_a_value_has_one_cache_key(void **state)
{
    (void)state;
    char *spelled = NULL, zeros[3001];
    memset(zeros, '0', sizeof(zeros) - 1);
    zeros[sizeof(zeros) - 1] = '\0';
    assert_true(asprintf(&spelled, "/v1/kpi/minute?limit=%s5&to=%s1770109200", zeros, zeros) > 0);
    const char *const same[] = {
        "/v1/kpi/minute?to=2026-02-03T09:00:00Z&limit=5",
        "/v1/kpi/minute?limit=5&to=2026-02-03T10:00:00%2B01:00",
        "/v1/kpi/minute?limit=%35&to=1770109200000",
        spelled,
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(same); i++) {
        char *key = key_of(same[i]);
        assert_string_equal(key, "kpi.minute|1=1770109200000000|2=5");
        free(key);
    }
    free(spelled);
}

static int start(void **state)
{
    (void)state;
    static tg_http_service_t service;
    tg_error_t error = {.status = TG_OK};
    config = test_config();
    service = (tg_http_service_t){.name = "query", .config = &config, .secret = SECRET};
    routes = tg_endpoints_routes(handle, &service.route_count);
    service.routes = routes;
    return routes != NULL && tg_http_server_open(&service, &server, &error) == TG_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    tg_http_server_close(server);
    free(routes);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_endpoint_has_its_default_range_and_limit),
        cmocka_unit_test(parameters_reach_the_statement_in_its_order),
        cmocka_unit_test(a_given_end_moves_the_default_begin),
        cmocka_unit_test(a_readings_key_is_split_at_its_last_colon),
        cmocka_unit_test(each_half_of_a_key_may_have_the_greatest_length_and_no_more),
        cmocka_unit_test(a_history_begins_at_from_or_minutes_before_its_end),
        cmocka_unit_test(a_range_that_is_empty_or_turned_round_names_from),
        cmocka_unit_test(a_parameter_outside_its_range_is_named),
        cmocka_unit_test(an_identifier_of_the_greatest_length_fits),
        cmocka_unit_test(cache_keys_differ_where_answers_do),
        cmocka_unit_test(every_spelling_of_a_value_has_one_cache_key),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
