/* The client against scripted upstreams: reuse, retries, limits, breakers. Everything runs on the
 * test's own loop; upstreams are threads. */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/time.h"
#include "common/http/client.h"
#include "common/http/tests/support.h"

#define OK_BODY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"

static tg_loop_t *loop;

struct result {
    unsigned calls;
    tg_status_t status;
    int code;
    char body[64], type[64];
};

static void on_done(void *arg, tg_status_t status, const tg_http_response_t *response)
{
    struct result *result = arg;
    result->calls++;
    result->status = status;
    if (status != TG_OK) {
        assert_null(response);
        return;
    }
    result->code = response->code;
    (void)snprintf(result->body, sizeof(result->body), TG_STR_FMT, TG_STR_ARG(response->body));
    (void)snprintf(result->type, sizeof(result->type), TG_STR_FMT,
                   TG_STR_ARG(tg_http_response_header(response, "content-type")));
}

static tg_http_client_t *open_client_at(const char *instances, size_t connections, size_t waiting)
{
    tg_http_client_config_t config = {.name = "up",
                                      .instances = instances,
                                      .max_connections = connections,
                                      .max_waiting = waiting,
                                      .max_body = 10000,
                                      .connect_timeout_ms = 1000,
                                      .idle_timeout_ms = 60000,
                                      .breaker = TG_BREAKER_DEFAULTS};
    tg_http_client_t *client = NULL;
    tg_error_t error = {.text = ""};
    if (tg_http_client_open(loop, &config, &client, &error) != TG_OK)
        fail_msg("%s", error.text);
    return client;
}

static tg_http_client_t *open_client(uint16_t port)
{
    char address[32];
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", port);
    return open_client_at(address, 8, 8);
}

static tg_http_call_t *start(tg_http_client_t *client, const char *method, const char *body,
                             uint64_t within_ms, struct result *result)
{
    static const tg_http_header_t headers[] = {
        {{"x-tidegate-tenant", 17}, {"acme", 4}},
    };
    tg_http_request_t request = {.method = tg_str_from(method),
                                 .target = TG_STR("/v1/x?y=1"),
                                 .headers = headers,
                                 .header_count = 1,
                                 .body = tg_str_from(body),
                                 .deadline_at_ms = tg_loop_now_ms(loop) + within_ms,
                                 .idempotent = strcmp(method, "POST") != 0};
    *result = (struct result){0};
    tg_http_call_t *call = tg_http_client_call(client, &request, on_done, result);
    assert_non_null(call);
    assert_int_equal(result->calls, 0); /* never before returning */
    return call;
}

static void wait_for(const struct result *result)
{
    uint64_t until = tg_time_mono_ms() + TEST_WAIT_MS;
    while (result->calls == 0 && tg_time_mono_ms() < until)
        tg_loop_turn(loop, 10);
    assert_int_equal(result->calls, 1);
}

static struct result get(tg_http_client_t *client)
{
    struct result result;
    (void)start(client, "GET", "", 5000, &result);
    wait_for(&result);
    return result;
}

static struct result post(tg_http_client_t *client)
{
    struct result result;
    (void)start(client, "POST", "{\"a\":1}", 5000, &result);
    wait_for(&result);
    return result;
}

static tg_http_instance_stats_t stats(const tg_http_client_t *client)
{
    tg_http_instance_stats_t one;
    assert_int_equal(tg_http_client_stats(client, &one, 1), 1);
    return one;
}

/* --- the plain way --- */

static void a_request_goes_out_as_it_was_given(void **state)
{
    (void)state;
    const char *const script[] = {OK_BODY, NULL};
    test_upstream_t *upstream = test_upstream_start(script);
    tg_http_client_t *client = open_client(test_upstream_port(upstream));
    struct result result = post(client);
    assert_int_equal(result.status, TG_OK);
    assert_int_equal(result.code, 200);
    assert_string_equal(result.body, "ok");
    assert_string_equal(result.type, "text/plain");
    tg_http_client_close(client);
    assert_string_equal(test_upstream_last(upstream),
                        "POST /v1/x?y=1 HTTP/1.1\r\nhost: up\r\nx-tidegate-tenant: acme\r\n"
                        "content-length: 7\r\n\r\n{\"a\":1}");
    test_upstream_stop(upstream);
}

/* As of when its bytes go, not of when the call began. */
static void a_try_tells_the_time_that_is_left(void **state)
{
    (void)state;
    const char *const script[] = {OK_BODY, NULL};
    test_upstream_t *upstream = test_upstream_start(script);
    tg_http_client_t *client = open_client(test_upstream_port(upstream));
    uint64_t began = tg_loop_now_ms(loop);
    const tg_http_request_t request = {.method = TG_STR("GET"),
                                       .target = TG_STR("/v1/x"),
                                       .deadline_at_ms = began + 5000,
                                       .deadline_name = TG_STR("deadline-ms")};
    struct result result = {0};
    assert_non_null(tg_http_client_call(client, &request, on_done, &result));
    while (tg_time_mono_ms() < began + 20)
        ; /* the connection is not made before the loop turns */
    wait_for(&result);
    tg_http_client_close(client);
    const char *last = test_upstream_last(upstream), *told = strstr(last, "\r\ndeadline-ms: ");
    assert_non_null(told);
    assert_in_range(strtol(told + 15, NULL, 10), 1, 4980);
    assert_non_null(strstr(told + 15, "\r\n\r\n"));
    test_upstream_stop(upstream);
}

static void calls_one_after_the_other_share_a_connection(void **state)
{
    (void)state;
    const char *const script[] = {
        OK_BODY,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        OK_BODY,
        NULL};
    test_upstream_t *upstream = test_upstream_start(script);
    tg_http_client_t *client = open_client(test_upstream_port(upstream));
    const int codes[] = {200, 200, 204, 404, 200};
    for (size_t i = 0; i < TG_ARRAY_LEN(codes); i++) {
        struct result result = get(client);
        assert_int_equal(result.status, TG_OK);
        assert_int_equal(result.code, codes[i]);
        assert_string_equal(result.body, i == 1 ? "abc" : i == 2 || i == 3 ? "" : "ok");
    }
    assert_int_equal(test_upstream_connections(upstream), 1);
    assert_int_equal(stats(client).connections, 1);
    assert_int_equal(stats(client).calls_total, 5);
    tg_http_client_close(client);
    test_upstream_stop(upstream);
}

static void a_connection_that_must_not_be_kept_is_closed(void **state)
{
    (void)state;
    const char *const script[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nleftover", OK_BODY, NULL};
    test_upstream_t *upstream = test_upstream_start(script);
    tg_http_client_t *client = open_client(test_upstream_port(upstream));
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(get(client).status, TG_OK);
        assert_int_equal(test_upstream_connections(upstream), i);
    }
    tg_http_client_close(client);
    test_upstream_stop(upstream);
}

static void interim_answers_are_skipped_and_a_late_one_poisons_nothing(void **state)
{
    (void)state;
    const char *const script[] = {
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK_BODY,
        OK_BODY "HTTP/1.1 102 Processing\r\n\r\n", /* behind the answer */
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", NULL};
    const int codes[] = {200, 200, 404};
    test_upstream_t *upstream = test_upstream_start(script);
    tg_http_client_t *client = open_client(test_upstream_port(upstream));
    for (size_t i = 0; i < TG_ARRAY_LEN(codes); i++)
        assert_int_equal(post(client).code, codes[i]);
    assert_int_equal(test_upstream_connections(upstream), 2);
    assert_int_equal(stats(client).failures_total, 0);
    tg_http_client_close(client);
    test_upstream_stop(upstream);
}

/* --- connections that end --- */

static void a_kept_connection_found_closed_is_no_failure(void **state)
{
    (void)state;
    const char *const script[] = {OK_BODY, TEST_CLOSE, OK_BODY, TEST_CLOSE, OK_BODY, NULL};
    test_upstream_t *upstream = test_upstream_start(script);
    tg_http_client_t *client = open_client(test_upstream_port(upstream));
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(post(client).status, TG_OK);
        while (stats(client).connections > 0 && i < 2)
            tg_loop_turn(loop, 10); /* its end is seen while it is idle */
    }
    assert_int_equal(stats(client).failures_total, 0);
    tg_http_client_close(client);
    test_upstream_stop(upstream);
}

static void an_idempotent_request_goes_again_on_a_fresh_connection(void **state)
{
    (void)state;
    /* The second request is read on the kept connection, which then ends without a word: the
     * script's text for it is empty, and TEST_CLOSE follows. */
    const char *const script[] = {OK_BODY, "", TEST_CLOSE, OK_BODY, NULL};
    test_upstream_t *upstream = test_upstream_start(script);
    tg_http_client_t *client = open_client(test_upstream_port(upstream));
    assert_int_equal(get(client).status, TG_OK);
    assert_int_equal(get(client).status, TG_OK);
    assert_int_equal(test_upstream_connections(upstream), 2);
    tg_http_client_close(client);
    test_upstream_stop(upstream);
}

static void a_request_that_may_have_happened_is_not_sent_twice(void **state)
{
    (void)state;
    const char *const script[] = {TEST_CLOSE, OK_BODY, NULL};
    test_upstream_t *upstream = test_upstream_start(script);
    tg_http_client_t *client = open_client(test_upstream_port(upstream));
    assert_int_equal(post(client).status, TG_UNAVAILABLE);
    assert_int_equal(test_upstream_requests(upstream), 1);
    assert_int_equal(stats(client).failures_total, 1);
    assert_int_equal(post(client).status, TG_OK);
    tg_http_client_close(client);
    test_upstream_stop(upstream);
}

static void malformed_answers_fail_the_call(void **state)
{
    (void)state;
    const char *const script[] = {
        "HTTP/1.1 200 OK\r\n\r\nno framing",
        TEST_CLOSE,
        "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n",
        TEST_CLOSE,
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        TEST_CLOSE,
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        TEST_CLOSE,
        NULL};
    const tg_status_t expected[] = {TG_INTERNAL, TG_INTERNAL, TG_INTERNAL, TG_INTERNAL};
    test_upstream_t *upstream = test_upstream_start(script);
    tg_http_client_t *client = open_client(test_upstream_port(upstream));
    for (size_t i = 0; i < TG_ARRAY_LEN(expected); i++)
        assert_int_equal(post(client).status, expected[i]);
    assert_int_equal(stats(client).failures_total, 3); /* too large an answer is none */
    tg_http_client_close(client);
    test_upstream_stop(upstream);
}

/* --- time --- */

static void a_silent_upstream_times_out(void **state)
{
    (void)state;
    const char *const script[] = {TEST_SILENT, OK_BODY, NULL};
    test_upstream_t *upstream = test_upstream_start(script);
    tg_http_client_t *client = open_client(test_upstream_port(upstream));
    struct result result;
    (void)start(client, "GET", "", 50, &result);
    wait_for(&result);
    assert_int_equal(result.status, TG_TIMEOUT);
    assert_int_equal(stats(client).failures_total, 1);
    assert_int_equal(stats(client).connections, 0);
    (void)start(client, "GET", "", 0, &result);
    wait_for(&result);
    assert_int_equal(result.status, TG_TIMEOUT);
    assert_int_equal(get(client).status, TG_OK);
    tg_http_client_close(client);
    test_upstream_stop(upstream);
}

static void a_cancelled_call_never_calls_back(void **state)
{
    (void)state;
    const char *const script[] = {TEST_SILENT, OK_BODY, NULL};
    test_upstream_t *upstream = test_upstream_start(script);
    char address[32];
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", test_upstream_port(upstream));
    tg_http_client_t *client = open_client_at(address, 1, 1);
    struct result sent, waiting, refused, next;
    tg_http_call_t *first = start(client, "GET", "", 5000, &sent);
    tg_http_call_t *second = start(client, "GET", "", 5000, &waiting);
    tg_http_call_t *third = start(client, "GET", "", 5000, &refused);
    while (test_upstream_requests(upstream) == 0)
        tg_loop_turn(loop, 1);
    assert_int_equal(refused.calls, 1);
    assert_int_equal(refused.status, TG_FULL);
    (void)third;
    tg_http_call_cancel(second);
    tg_http_call_cancel(first);
    tg_http_call_t *unstarted = start(client, "GET", "", 0, &next);
    tg_http_call_cancel(unstarted);
    tg_http_call_cancel(NULL);
    assert_int_equal(get(client).status, TG_OK);
    assert_int_equal(sent.calls + waiting.calls + next.calls, 0);
    assert_int_equal(stats(client).failures_total, 0);
    tg_http_client_close(client);
    test_upstream_stop(upstream);
}

static void calls_beyond_the_connections_wait_in_order(void **state)
{
    (void)state;
    const char *const script[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n3",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n4", NULL};
    test_upstream_t *upstream = test_upstream_start(script);
    char address[32];
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", test_upstream_port(upstream));
    tg_http_client_t *client = open_client_at(address, 1, 3);
    struct result results[4];
    for (size_t i = 0; i < TG_ARRAY_LEN(results); i++)
        (void)start(client, "GET", "", 5000, &results[i]);
    assert_int_equal(stats(client).waiting, 3);
    for (size_t i = 0; i < TG_ARRAY_LEN(results); i++) {
        wait_for(&results[i]);
        char expected[2] = {(char)('1' + i), '\0'};
        assert_string_equal(results[i].body, expected);
    }
    assert_int_equal(test_upstream_connections(upstream), 2);
    tg_http_client_close(client);
    test_upstream_stop(upstream);
}

/* --- instances --- */

static void an_instance_that_refuses_is_stepped_over(void **state)
{
    (void)state;
    const char *const script[] = {OK_BODY, OK_BODY, OK_BODY, OK_BODY, OK_BODY, OK_BODY,
                                  OK_BODY, OK_BODY, OK_BODY, OK_BODY, NULL};
    test_upstream_t *upstream = test_upstream_start(script);
    char addresses[64];
    (void)snprintf(addresses, sizeof(addresses), "127.0.0.1:%u, 127.0.0.1:%u", test_free_port(),
                   test_upstream_port(upstream));
    tg_http_client_t *client = open_client_at(addresses, 4, 4);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(post(client).status, TG_OK); /* nothing was sent: even a POST goes on */
    tg_http_client_close(client);
    test_upstream_stop(upstream);
}

static void an_idempotent_request_is_tried_on_another_instance(void **state)
{
    (void)state;
    const char *const broken[] = {TEST_CLOSE, TEST_CLOSE, TEST_CLOSE, TEST_CLOSE, NULL};
    const char *const good[] = {OK_BODY, OK_BODY, OK_BODY, OK_BODY, NULL};
    test_upstream_t *bad_one = test_upstream_start(broken);
    test_upstream_t *good_one = test_upstream_start(good);
    char addresses[64];
    (void)snprintf(addresses, sizeof(addresses), "127.0.0.1:%u,127.0.0.1:%u",
                   test_upstream_port(bad_one), test_upstream_port(good_one));
    tg_http_client_t *client = open_client_at(addresses, 4, 4);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(get(client).status, TG_OK);
    tg_http_client_close(client);
    test_upstream_stop(bad_one);
    test_upstream_stop(good_one);
}

static void retries_stay_within_their_budget(void **state)
{
    (void)state;
    /* Two instances that close after each request: a call is one try and at most one retry. */
    static const char *script[300];
    for (size_t i = 0; i < TG_ARRAY_LEN(script) - 1; i++)
        script[i] = TEST_CLOSE;
    test_upstream_t *one = test_upstream_start(script), *two = test_upstream_start(script);
    char addresses[64];
    (void)snprintf(addresses, sizeof(addresses), "127.0.0.1:%u,127.0.0.1:%u",
                   test_upstream_port(one), test_upstream_port(two));
    tg_http_client_config_t config = {.name = "up",
                                      .instances = addresses,
                                      .max_connections = 4,
                                      .max_waiting = 4,
                                      .max_body = 100,
                                      .connect_timeout_ms = 1000,
                                      .idle_timeout_ms = 1000,
                                      .breaker = {10000, 100, 10000, 10000, 1000, 1000, 1}};
    tg_http_client_t *client = NULL;
    assert_int_equal(tg_http_client_open(loop, &config, &client, NULL), TG_OK);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(get(client).status, TG_UNAVAILABLE);
    unsigned tries = test_upstream_requests(one) + test_upstream_requests(two);
    assert_in_range(tries, 100 + 10, 100 + 10 + 10 + 1); /* the first credit, and 10 % */
    tg_http_client_close(client);
    test_upstream_stop(one);
    test_upstream_stop(two);
}

static void a_breaker_opens_and_answers_at_once(void **state)
{
    (void)state;
    tg_http_client_t *client = open_client(test_free_port());
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(post(client).status, TG_UNAVAILABLE);
    assert_int_equal(stats(client).breaker, TG_BREAKER_OPEN);
    assert_int_equal(stats(client).failures_total, 5);
    assert_int_equal(post(client).status, TG_UNAVAILABLE);
    assert_int_equal(stats(client).calls_total, 5); /* the sixth went nowhere */
    tg_http_client_close(client);
}

static void only_500_502_and_504_are_failures_of_the_instance(void **state)
{
    (void)state;
#define CODE(n) "HTTP/1.1 " #n " X\r\nContent-Length: 0\r\n\r\n"
    const char *const script[] = {CODE(500), CODE(501), CODE(502), CODE(503), CODE(504),
                                  CODE(429), CODE(400), CODE(408), NULL};
    test_upstream_t *upstream = test_upstream_start(script);
    tg_http_client_t *client = open_client(test_upstream_port(upstream));
    for (size_t i = 0; i < TG_ARRAY_LEN(script) - 1; i++)
        assert_int_equal(post(client).status, TG_OK);
    assert_int_equal(stats(client).failures_total, 3);
    tg_http_client_close(client);
    test_upstream_stop(upstream);
}

#define CODE_LATER(n) "HTTP/1.1 " #n " X\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n"

static void a_503_ends_a_row_of_failures_only_if_it_says_when_to_come_again(void **state)
{
    (void)state;
    const char *const script[] = {CODE(500),       CODE(500), CODE(500), CODE(500),
                                  CODE_LATER(503), CODE(500), CODE(500), CODE(500),
                                  CODE(500),       CODE(503), CODE(500), NULL};
    test_upstream_t *upstream = test_upstream_start(script);
    tg_http_client_t *client = open_client(test_upstream_port(upstream));
    for (size_t i = 0; i < TG_ARRAY_LEN(script) - 1; i++) {
        assert_int_equal(stats(client).breaker, TG_BREAKER_CLOSED);
        assert_int_equal(post(client).status, TG_OK);
    }
    assert_int_equal(stats(client).breaker, TG_BREAKER_OPEN);
    tg_http_client_close(client);
    test_upstream_stop(upstream);
}

static void a_large_body_goes_out_and_comes_back(void **state)
{
    (void)state;
    static char body[50001], answer[9100];
    memset(body, 'b', sizeof(body) - 1);
    int head = sprintf(answer, "HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n");
    memset(answer + head, 'a', 9000);
    const char *const script[] = {answer, NULL};
    test_upstream_t *upstream = test_upstream_start(script);
    tg_http_client_t *client = open_client(test_upstream_port(upstream));
    struct result result;
    (void)start(client, "PUT", body, 5000, &result);
    wait_for(&result);
    assert_int_equal(result.status, TG_OK);
    assert_int_equal(result.body[0], 'a');
    tg_http_client_close(client);
    assert_non_null(strstr(test_upstream_last(upstream), body));
    test_upstream_stop(upstream);
}

struct taken {
    unsigned calls;
    tg_http_bytes_t body;
};

static void on_done_take(void *arg, tg_status_t status, const tg_http_response_t *response)
{
    struct taken *taken = arg;
    assert_int_equal(status, TG_OK);
    tg_http_response_take(response, &taken->body);
    assert_non_null(tg_http_response_header(response, "content-type").ptr);
    taken->calls++;
}

static void a_taken_body_outlives_its_connections_next_answers(void **state)
{
    (void)state;
    static char large[9100];
    int head =
        sprintf(large, "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 9000\r\n\r\n");
    memset(large + head, 'a', 9000);
    const char *const script[] = {large, OK_BODY, large, OK_BODY, NULL};
    const size_t sizes[] = {9000, 2, 9000};
    struct taken taken[3] = {0};
    test_upstream_t *upstream = test_upstream_start(script);
    tg_http_client_t *client = open_client(test_upstream_port(upstream));
    for (size_t i = 0; i < TG_ARRAY_LEN(taken); i++) {
        tg_http_request_t request = {.method = TG_STR("GET"),
                                     .target = TG_STR("/"),
                                     .deadline_at_ms = tg_loop_now_ms(loop) + 5000,
                                     .idempotent = true};
        assert_non_null(tg_http_client_call(client, &request, on_done_take, &taken[i]));
        uint64_t until = tg_time_mono_ms() + TEST_WAIT_MS;
        while (taken[i].calls == 0 && tg_time_mono_ms() < until)
            tg_loop_turn(loop, 10);
        assert_int_equal(taken[i].calls, 1);
    }
    assert_string_equal(get(client).body, "ok");
    assert_int_equal(test_upstream_connections(upstream), 1);
    tg_http_client_close(client);
    test_upstream_stop(upstream);
    for (size_t i = 0; i < TG_ARRAY_LEN(taken); i++) {
        tg_str_t body = taken[i].body.view;
        assert_int_equal(body.len, sizes[i]);
        assert_memory_equal(body.ptr, body.len == 2 ? "ok" : large + head, body.len);
        taken[i].body.release(taken[i].body.owner);
    }
}

static void bad_addresses_stop_the_start(void **state)
{
    (void)state;
    const char *const bad[] = {
        "",
        "nonsense",
        ":80",
        "127.0.0.1:x",
        "127.0.0.1:80,,127.0.0.1:81",
        "1:1,1:1,1:1,1:1,1:1,1:1,1:1,1:1,1:1,1:1,1:1,1:1,1:1,1:1,1:1,1:1,1:1"};
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        tg_http_client_config_t config = {.name = "up",
                                          .instances = bad[i],
                                          .max_connections = 1,
                                          .breaker = TG_BREAKER_DEFAULTS};
        tg_http_client_t *client = NULL;
        tg_error_t error = {.text = ""};
        assert_int_not_equal(tg_http_client_open(loop, &config, &client, &error), TG_OK);
        assert_null(client);
        assert_true(strlen(error.text) > 5);
    }
}

/* --- with the real server at the other end --- */

static void on_big(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_http_reply(req, 200, "text/plain", tg_http_header(req, "x-tidegate-tenant"));
}

static void the_server_shell_understands_the_client(void **state)
{
    (void)state;
    static const tg_http_route_t routes[] = {
        {.method = "GET", .path = "/v1/x", .handler = on_big},
        {.method = "POST", .path = "/v1/x", .handler = on_big, .max_body = 10}};
    tg_http_config_t config = test_config();
    tg_http_service_t service = {.name = "s",
                                 .config = &config,
                                 .routes = routes,
                                 .route_count = 2};
    tg_http_server_t *server = NULL;
    assert_int_equal(tg_http_server_open(&service, &server, NULL), TG_OK);
    tg_http_client_t *client = open_client(tg_http_server_port(server));
    for (unsigned i = 0; i < 100; i++) {
        struct result result = i % 2 == 0 ? get(client) : post(client);
        assert_int_equal(result.code, 200);
        assert_string_equal(result.body, "acme");
    }
    struct result head;
    (void)start(client, "HEAD", "", 5000, &head);
    wait_for(&head);
    assert_int_equal(head.code, 200);
    assert_string_equal(head.body, "");
    assert_int_equal(stats(client).connections, 1);
    tg_http_client_close(client);
    tg_http_server_close(server);
}

static int open_loop(void **state)
{
    (void)state;
    loop = tg_loop_create();
    return loop == NULL;
}

static int close_loop(void **state)
{
    (void)state;
    tg_loop_turn(loop, 0);
    tg_loop_destroy(loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_goes_out_as_it_was_given),
        cmocka_unit_test(a_try_tells_the_time_that_is_left),
        cmocka_unit_test(calls_one_after_the_other_share_a_connection),
        cmocka_unit_test(a_connection_that_must_not_be_kept_is_closed),
        cmocka_unit_test(interim_answers_are_skipped_and_a_late_one_poisons_nothing),
        cmocka_unit_test(a_kept_connection_found_closed_is_no_failure),
        cmocka_unit_test(an_idempotent_request_goes_again_on_a_fresh_connection),
        cmocka_unit_test(a_request_that_may_have_happened_is_not_sent_twice),
        cmocka_unit_test(malformed_answers_fail_the_call),
        cmocka_unit_test(a_silent_upstream_times_out),
        cmocka_unit_test(a_cancelled_call_never_calls_back),
        cmocka_unit_test(calls_beyond_the_connections_wait_in_order),
        cmocka_unit_test(an_instance_that_refuses_is_stepped_over),
        cmocka_unit_test(an_idempotent_request_is_tried_on_another_instance),
        cmocka_unit_test(retries_stay_within_their_budget),
        cmocka_unit_test(a_breaker_opens_and_answers_at_once),
        cmocka_unit_test(only_500_502_and_504_are_failures_of_the_instance),
        cmocka_unit_test(a_503_ends_a_row_of_failures_only_if_it_says_when_to_come_again),
        cmocka_unit_test(a_large_body_goes_out_and_comes_back),
        cmocka_unit_test(a_taken_body_outlives_its_connections_next_answers),
        cmocka_unit_test(bad_addresses_stop_the_start),
        cmocka_unit_test(the_server_shell_understands_the_client),
    };
    return cmocka_run_group_tests(tests, open_loop, close_loop);
}
