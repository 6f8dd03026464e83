/* The server shell over real loopback sockets: answers, errors, who is a peer, the admin port, and
 * starts that fail. Draining has its own program. */
#include <stdio.h>
#include <stdlib.h>

#include "common/http/tests/support.h"

#define H   "Host: a\r\n"
#define END H "Connection: close\r\n\r\n"

static tg_http_server_t *server;
static tg_http_config_t config;
static bool is_ready = true;

static uint16_t port(void)
{
    return tg_http_server_port(server);
}

/* --- handlers --- */

static void on_overflow(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_buf_t body = tg_buf_make(10);
    tg_buf_str(&body, TG_STR("more than ten"));
    tg_http_reply_buf(req, 200, "text/plain", &body);
}

static void on_params(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_buf_t body = tg_buf_make(1000);
    tg_buf_printf(&body, "%lld " TG_STR_FMT " " TG_STR_FMT,
                  (long long)tg_http_param(req, 0)->number, TG_STR_ARG(tg_http_segment(req, 0)),
                  TG_STR_ARG(tg_http_query_text(req)));
    tg_http_reply_buf(req, 200, "text/plain", &body);
}

/* Everything that a handler can read, as one text. */
static void on_inspect(tg_http_req_t *req, void *thread_ctx)
{
    char trace[TG_TRACE_TEXT_LEN];
    tg_trace_format(tg_http_trace(req), trace);
    tg_buf_t body = tg_buf_make(4000);
    tg_buf_printf(&body, "method=" TG_STR_FMT " path=" TG_STR_FMT " by=%s tenant=[" TG_STR_FMT "] ",
                  TG_STR_ARG(tg_http_method(req)), TG_STR_ARG(tg_http_path(req)),
                  tg_http_from_peer(req) ? "peer" : "other", TG_STR_ARG(tg_http_tenant(req)));
    tg_buf_printf(&body, "peer=" TG_STR_FMT " x=[" TG_STR_FMT "] trace=%.55s ctx=%s left=%d",
                  TG_STR_ARG(tg_http_peer(req)), TG_STR_ARG(tg_http_header(req, "x-test")), trace,
                  (const char *)thread_ctx,
                  (int)(tg_http_deadline_at(req) - tg_loop_now_ms(tg_http_loop(req))));
    assert_ptr_equal(tg_http_user(req), NULL);
    tg_http_reply_buf(req, 200, "text/plain", &body);
}

static void on_fail(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    bool confluent = tg_http_matched(req)->format == TG_HTTP_CONFLUENT;
    tg_http_fail(req, 422, confluent ? "42201" : "bad_value", TG_STR("amount"), "%s is \"bad\"\n",
                 "amount");
}

static const tg_param_t params[] = {
    {.name = "limit", .type = TG_PARAM_UINT, .fallback = 7, .min = 1, .max = 10}};

static const tg_http_route_t routes[] = {
    {.method = "GET", .path = "/hello", .handler = test_on_hello},
    {.method = "GET", .path = "/overflow", .handler = on_overflow},
    {.method = "GET", .path = "/empty", .handler = test_on_empty},
    {.method = "GET",
     .path = "/params/:x",
     .handler = on_params,
     .params = params,
     .param_count = 1},
    {.method = "GET", .path = "/inspect", .handler = on_inspect},
    {.method = "GET", .path = "/internal", .handler = on_inspect, .flags = TG_HTTP_ROUTE_INTERNAL},
    {.method = "GET",
     .path = "/peers-too",
     .handler = on_inspect,
     .flags = TG_HTTP_ROUTE_PEERS_TOO},
    {.method = "GET", .path = "/fail", .handler = on_fail},
    {.method = "GET", .path = "/v2/fail", .handler = on_fail, .format = TG_HTTP_V2},
    {.method = "GET", .path = "/subjects", .handler = on_fail, .format = TG_HTTP_CONFLUENT},
    {.method = "GET", .path = "/ready", .handler = tg_http_handle_ready},
};

/* --- answers --- */

static void an_answer_has_body_type_length_and_id(void **state)
{
    (void)state;
    char *answer = test_exchange(port(), "GET /hello HTTP/1.1\r\n" END);
    assert_int_equal(test_code(answer), 200);
    test_assert_has(answer, "content-length: 5\r\n");
    test_assert_has(answer, "content-type: text/plain\r\n");
    test_assert_has(answer, "cache-control: no-store\r\n");
    test_assert_has(answer, "x-request-id: ");
    test_assert_has(answer, "server: tidegate\r\n");
    test_assert_has(answer, "\r\n\r\nHello");
    free(answer);
}

static void a_sane_request_id_is_kept_and_another_replaced(void **state)
{
    (void)state;
    char *answer = test_exchange(port(), "GET /hello HTTP/1.1\r\nX-Request-Id: Ab.c_1-2\r\n" END);
    test_assert_has(answer, "x-request-id: Ab.c_1-2\r\n");
    free(answer);
    answer = test_exchange(port(), "GET /hello HTTP/1.1\r\nX-Request-Id: a b\r\n" END);
    assert_null(strstr(answer, "x-request-id: a b"));
    free(answer);
}

static void head_has_the_length_and_no_body(void **state)
{
    (void)state;
    char *answer = test_exchange(port(), "HEAD /hello HTTP/1.1\r\n" END);
    test_assert_has(answer, "content-length: 5\r\n");
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    free(answer);
    answer = test_exchange(port(), "HEAD /nowhere HTTP/1.1\r\n" END);
    assert_int_equal(test_code(answer), 404);
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    free(answer);
}

static void no_content_has_neither_body_nor_length(void **state)
{
    (void)state;
    char *answer = test_exchange(port(), "GET /empty HTTP/1.1\r\n" END);
    assert_int_equal(test_code(answer), 204);
    assert_null(strcasestr(answer, "content-length"));
    free(answer);
}

static void unknown_paths_and_methods_are_told(void **state)
{
    (void)state;
    char *answer = test_exchange(port(), "GET /nowhere HTTP/1.1\r\n" END);
    assert_int_equal(test_code(answer), 404);
    test_assert_has(answer, "\"code\":\"not_found\"");
    free(answer);
    answer = test_exchange(port(), "DELETE /hello HTTP/1.1\r\n" END);
    assert_int_equal(test_code(answer), 405);
    test_assert_has(answer, "allow: GET, HEAD, OPTIONS\r\n");
    free(answer);
}

static void parameters_are_typed_and_bounded(void **state)
{
    (void)state;
    char *answer = test_exchange(port(), "GET /params/a%2Fb?limit=3 HTTP/1.1\r\n" END);
    test_assert_has(answer, "\r\n\r\n3 a/b limit=3");
    free(answer);
    answer = test_exchange(port(), "GET /params/x HTTP/1.1\r\n" END);
    test_assert_has(answer, "\r\n\r\n7 x ");
    free(answer);
    answer = test_exchange(port(), "GET /params/x?limit=11 HTTP/1.1\r\n" END);
    assert_int_equal(test_code(answer), 400);
    test_assert_has(answer, "\"code\":\"invalid_parameter\"");
    test_assert_has(answer, "\"field\":\"limit\"");
    test_assert_has(answer, "between 1 and 10");
    free(answer);
}

static void errors_have_the_form_of_their_route(void **state)
{
    (void)state;
    static const struct {
        const char *path, *type, *body;
    } cases[] = {
        {"/fail", "content-type: application/json\r\n",
         "{\"error\":{\"code\":\"bad_value\",\"message\":\"amount is \\\"bad\\\"\\n\","
         "\"field\":\"amount\",\"request_id\":\"r1\"}}"},
        {"/v2/fail", "content-type: application/problem+json\r\n",
         "{\"type\":\"about:blank\",\"title\":\"Unprocessable Content\",\"status\":422,"
         "\"code\":\"bad_value\",\"detail\":\"amount is \\\"bad\\\"\\n\",\"field\":\"amount\","
         "\"request_id\":\"r1\"}"},
        {"/subjects", "content-type: application/vnd.schemaregistry.v1+json\r\n",
         "{\"error_code\":42201,\"message\":\"amount is \\\"bad\\\"\\n\"}"},
        {"/v2/nowhere", "content-type: application/problem+json\r\n", "\"status\":404"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        char request[128];
        (void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nX-Request-Id: r1\r\n" END,
                       cases[i].path);
        char *answer = test_exchange(port(), request);
        test_assert_has(answer, cases[i].type);
        test_assert_has(answer, cases[i].body);
        free(answer);
    }
}

static void an_answer_that_overflowed_is_an_error(void **state)
{
    (void)state;
    char *answer = test_exchange(port(), "GET /overflow HTTP/1.1\r\n" END);
    assert_int_equal(test_code(answer), 500);
    test_assert_has(answer, "answer_too_large");
    free(answer);
}

static void a_handler_sees_headers_trace_and_peer(void **state)
{
    (void)state;
    char *answer = test_exchange(
        port(), "GET /inspect HTTP/1.1\r\nX-Test: t\r\nX-Tidegate-Tenant: forged\r\n"
                "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n" END);
    test_assert_has(answer, "method=GET path=/inspect by=other tenant=[] peer=127.0.0.1 x=[t] "
                            "trace=00-0af7651916cd43dd8448eb211c80319c-");
    assert_null(strstr(answer, "b7ad6b7169203331")); /* a span of our own */
    test_assert_has(answer, "ctx=state");
    free(answer);
}

/* --- the secret --- */

static void internal_routes_need_the_secret(void **state)
{
    (void)state;
    const char *const wrong[] = {"", "X-Tidegate-Secret: wrong!\r\n", "X-Tidegate-Secret: hush\r\n",
                                 "X-Tidegate-Secret: hush hush 2\r\n", "X-Tidegate-Secret:\r\n"};
    for (size_t i = 0; i < TG_ARRAY_LEN(wrong); i++) {
        char request[256];
        (void)snprintf(request, sizeof(request),
                       "GET /internal HTTP/1.1\r\nX-Tidegate-Tenant: a\r\n%s" END, wrong[i]);
        char *answer = test_exchange(port(), request);
        assert_int_equal(test_code(answer), 403);
        assert_null(strstr(answer, "tenant=["));
        free(answer);
    }
    char *answer = test_exchange(port(), "GET /internal HTTP/1.1\r\nX-Tidegate-Tenant: acme\r\n"
                                         "X-Tidegate-Secret: hush hush\r\n"
                                         "X-Tidegate-Deadline-Ms: 123\r\n" END);
    assert_int_equal(test_code(answer), 200);
    test_assert_has(answer, "tenant=[acme]");
    const char *left = strstr(answer, "left=");
    assert_non_null(left);
    assert_in_range(strtol(left + 5, NULL, 10), 1, 123);
    free(answer);
}

static void a_route_for_others_than_peers_too_tells_them_apart(void **state)
{
    (void)state;
    static const struct {
        const char *headers;
        int code;
        const char *has;
    } cases[] = {
        {"", 200, "by=other tenant=[]"},
        {"X-Tidegate-Secret: hush hush\r\n", 200, "by=peer tenant=[]"},
        {"X-Tidegate-Tenant: acme\r\nX-Tidegate-Secret: hush hush\r\n", 200,
         "by=peer tenant=[acme]"},
        {"X-Tidegate-Tenant: acme\r\n", 403, ""},
        {"X-Tidegate-Tenant:\r\n", 403, ""},
        {"X-Tidegate-Secret: hush\r\n", 403, ""},
        {"X-Tidegate-Secret:\r\n", 403, ""},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        char request[256];
        (void)snprintf(request, sizeof(request), "GET /peers-too HTTP/1.1\r\n%s" END,
                       cases[i].headers);
        char *answer = test_exchange(port(), request);
        assert_int_equal(test_code(answer), cases[i].code);
        test_assert_has(answer, cases[i].has);
        free(answer);
    }
}

/* --- the admin port --- */

static void health_ready_and_metrics_are_served(void **state)
{
    (void)state;
    uint16_t admin = tg_http_server_admin_port(server);
    char *answer = test_exchange(admin, "GET /health HTTP/1.1\r\n" END);
    test_assert_has(answer, "{\"status\":\"ok\"}");
    free(answer);
    answer = test_exchange(admin, "GET /ready HTTP/1.1\r\n" END);
    assert_int_equal(test_code(answer), 200);
    test_assert_has(answer, "\"ready\":true");
    test_assert_has(answer, "{\"name\":\"kafka\",\"ready\":true}");
    free(answer);
    __atomic_store_n(&is_ready, false, __ATOMIC_SEQ_CST);
    answer = test_exchange(port(), "GET /ready HTTP/1.1\r\n" END);
    assert_int_equal(test_code(answer), 503);
    test_assert_has(answer, "\"ready\":false");
    free(answer);
    __atomic_store_n(&is_ready, true, __ATOMIC_SEQ_CST);
    answer = test_exchange(admin, "GET /metrics HTTP/1.1\r\n" END);
    test_assert_has(answer, "text/plain; version=0.0.4");
    test_assert_has(answer, "tidegate_http_requests_total{code=\"2xx\"} ");
    test_assert_has(answer, "tidegate_http_request_seconds_bucket{");
    test_assert_has(answer, "tidegate_test_things_total 3\n");
    const char *first = strstr(answer, "\nprocess_resident_memory_bytes ");
    assert_non_null(first);
    assert_null(strstr(first + 1, "\nprocess_resident_memory_bytes "));
    free(answer);
}

/* --- start --- */

static void a_port_in_use_is_named(void **state)
{
    (void)state;
    char listen[32];
    (void)snprintf(listen, sizeof(listen), "127.0.0.1:%u", port());
    tg_http_config_t taken = config;
    taken.listen = listen;
    tg_http_service_t service = {.name = "second",
                                 .config = &taken,
                                 .routes = routes,
                                 .route_count = 1};
    tg_http_server_t *second = NULL;
    tg_error_t error;
    assert_int_equal(tg_http_server_open(&service, &second, &error), TG_CONFLICT);
    assert_null(second);
    assert_non_null(strstr(error.text, listen));
    assert_non_null(strstr(error.text, "in use"));
    taken.listen = "nonsense";
    assert_int_equal(tg_http_server_open(&service, &second, &error), TG_INVALID);
}

static tg_status_t start_badly(void *arg, tg_loop_t *loop, tg_metrics_shard_t *shard, void **ctx,
                               tg_error_t *error)
{
    (void)loop;
    (void)shard;
    *ctx = NULL;
    if (__atomic_fetch_add((int *)arg, 1, __ATOMIC_SEQ_CST) == 0)
        return TG_OK;
    return tg_error_set(error, TG_UNAVAILABLE, "no database");
}

static void a_thread_that_cannot_start_stops_all(void **state)
{
    (void)state;
    int started = 0;
    tg_http_config_t three = config;
    three.threads = 3;
    tg_http_service_t service = {.name = "bad",
                                 .config = &three,
                                 .routes = routes,
                                 .route_count = 1,
                                 .thread_start = start_badly,
                                 .arg = &started};
    tg_http_server_t *bad = NULL;
    tg_error_t error;
    assert_int_equal(tg_http_server_open(&service, &bad, &error), TG_UNAVAILABLE);
    assert_string_equal(error.text, "no database");
}

/* --- the server under test --- */

static tg_status_t start_thread(void *arg, tg_loop_t *loop, tg_metrics_shard_t *shard,
                                void **out_thread_ctx, tg_error_t *error)
{
    (void)loop;
    (void)error;
    tg_metric_add(shard, 0, 0, 3);
    *out_thread_ctx = arg;
    return TG_OK;
}

static bool ready(void *arg, tg_buf_t *out)
{
    (void)arg;
    bool yes = __atomic_load_n(&is_ready, __ATOMIC_SEQ_CST);
    tg_buf_printf(out, "{\"name\":\"kafka\",\"ready\":%s}", yes ? "true" : "false");
    return yes;
}

static tg_metrics_t *metrics;

static int open_server(void **state)
{
    (void)state;
    static const tg_metric_desc_t descs[] = {
        {TG_COUNTER, "tidegate_test_things_total", "", "Things."}};
    static tg_http_service_t service;
    metrics = tg_metrics_create(descs, 1);
    config = test_short_config();
    service = (tg_http_service_t){.name = "test",
                                  .config = &config,
                                  .routes = routes,
                                  .route_count = TG_ARRAY_LEN(routes),
                                  .secret = "hush hush",
                                  .metrics = metrics,
                                  .thread_start = start_thread,
                                  .ready = ready,
                                  .arg = "state"};
    tg_error_t error;
    return tg_http_server_open(&service, &server, &error) != TG_OK;
}

static int close_server(void **state)
{
    (void)state;
    tg_http_server_close(server);
    tg_metrics_destroy(metrics);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_has_body_type_length_and_id),
        cmocka_unit_test(a_sane_request_id_is_kept_and_another_replaced),
        cmocka_unit_test(head_has_the_length_and_no_body),
        cmocka_unit_test(no_content_has_neither_body_nor_length),
        cmocka_unit_test(unknown_paths_and_methods_are_told),
        cmocka_unit_test(parameters_are_typed_and_bounded),
        cmocka_unit_test(errors_have_the_form_of_their_route),
        cmocka_unit_test(an_answer_that_overflowed_is_an_error),
        cmocka_unit_test(a_handler_sees_headers_trace_and_peer),
        cmocka_unit_test(internal_routes_need_the_secret),
        cmocka_unit_test(a_route_for_others_than_peers_too_tells_them_apart),
        cmocka_unit_test(health_ready_and_metrics_are_served),
        cmocka_unit_test(a_port_in_use_is_named),
        cmocka_unit_test(a_thread_that_cannot_start_stops_all),
    };
    return cmocka_run_group_tests(tests, open_server, close_server);
}
