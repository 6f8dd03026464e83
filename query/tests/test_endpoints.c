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
                "kpi.minute(2026-02-03T08:00:00Z,2026-02-03T10:00:05.250Z,null,2000)"
                " 2026-02-03T08:00:05.250Z..2026-02-03T10:00:05.250Z ttl=1000 key=kpi.minute");
    expect_plan("/v1/kpi/hour",
                "kpi.hour(2026-01-31T10:00:00Z,2026-02-03T10:00:05.250Z,null,2000)"
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
        cmocka_unit_test(a_range_that_is_empty_or_turned_round_names_from),
        cmocka_unit_test(a_parameter_outside_its_range_is_named),
        cmocka_unit_test(an_identifier_of_the_greatest_length_fits),
        cmocka_unit_test(cache_keys_differ_where_answers_do),
        cmocka_unit_test(every_spelling_of_a_value_has_one_cache_key),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
