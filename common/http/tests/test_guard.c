/* The guard in force: malformed requests over a real socket to a real server, each of which h2o
 * alone would have accepted or answered in its own words. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/http/guard.h"
#include "common/http/tests/support.h"

static tg_http_server_t *server;
static unsigned handled;

static void on_any(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    __atomic_fetch_add(&handled, 1, __ATOMIC_RELAXED);
    tg_http_reply(req, 200, "text/plain", tg_http_body(req));
}

static const tg_http_route_t routes[] = {
    {.method = "GET", .path = "/a", .handler = on_any},
    {.method = "POST", .path = "/a", .handler = on_any, .max_body = 1000},
    {.method = "GET", .path = "/v2/a", .handler = on_any, .format = TG_HTTP_V2},
};

#define H "Host: a\r\n"

/* The refusal, one answer and no more, and no handler has seen anything. */
static void check_one(const char *request, int code)
{
    unsigned before = __atomic_load_n(&handled, __ATOMIC_RELAXED);
    char *answer = test_exchange(tg_http_server_port(server), request);
    if (test_code(answer) != code || strstr(answer, "}HTTP/1.1 ") != NULL)
        fail_msg("wanted %d for:\n%s\ngot:\n%s", code, strlen(request) < 1000 ? request : "(long)",
                 answer);
    test_assert_has(answer, "connection: close");
    test_assert_has(answer, "{\"error\":{\"code\":\"");
    free(answer);
    assert_int_equal(__atomic_load_n(&handled, __ATOMIC_RELAXED), before);
}

/* Each as it stands, and with a request behind it that must never be seen as one. */
static void check_all(const char *const *cases, size_t count, int code)
{
    for (size_t i = 0; i < count; i++) {
        check_one(cases[i], code);
        char *followed = NULL;
        assert_true(asprintf(&followed, "%sGET /a HTTP/1.1\r\n" H "\r\n", cases[i]) > 0);
        check_one(followed, code);
        free(followed);
    }
}

static void framing_that_two_servers_read_differently_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "POST /a HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "POST /a HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        "POST /a HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "POST /a HTTP/1.1\r\n" H "Content-Length: 1,1\r\n\r\nx",
        "POST /a HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\nx",
        "POST /a HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\nx",
        "POST /a HTTP/1.1\r\n" H "Content-Length: 1 2\r\n\r\nx",
        "POST /a HTTP/1.1\r\n" H "Content-Length:\r\n\r\nx",
        "POST /a HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\nx",
        "POST /a HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\nx",
        "POST /a HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n",
        "POST /a HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST /a HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST /a HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
        "POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /a HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /a HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "POST /a HTTP/1.1\r\n" H "Transfer-Encoding:\x0b"
        "chunked\r\n\r\n0\r\n\r\n",
        "POST /a HTTP/1.1\r\n" H "Transfer-Encoding\r\n : chunked\r\n\r\n0\r\n\r\n",
        "POST /a HTTP/1.1\r\n" H "Content-Length : 1\r\n\r\nx",
        "POST /a HTTP/1.1\r\n" H "Content-Length\t: 1\r\n\r\nx",
    };
    check_all(cases, TG_ARRAY_LEN(cases), 400);
}

static void chunks_that_are_not_well_formed_are_refused(void **state)
{
    (void)state;
#define C "POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
    static const char *const cases[] = {
        C "g\r\n\r\n0\r\n\r\n",
        C "\r\n\r\n",
        C "1 \r\nx\r\n0\r\n\r\n",
        C " 1\r\nx\r\n0\r\n\r\n",
        C "0x1\r\nx\r\n0\r\n\r\n",
        C "+1\r\nx\r\n0\r\n\r\n",
        C "-1\r\nx\r\n0\r\n\r\n",
        C "1\nx\n0\n\n",
        C "1\r\nx\n0\r\n\r\n",
        C "1\r\nxx\r\n0\r\n\r\n",
        C "1\r\nx\r\r\n0\r\n\r\n",
        C "2\r\nx\r\n0\r\n\r\nyyyy",
        C "1;a\nb\r\nx\r\n0\r\n\r\n",
        C "ffffffffffffffff\r\nx\r\n0\r\n\r\n",
        C "10000000000000001\r\nx\r\n0\r\n\r\n",
        C "0\r\nbad trailer\r\n\r\n",
        C "0\r\n: nameless\r\n\r\n",
        C "0\r\na: b\n\r\n",
    };
    check_all(cases, TG_ARRAY_LEN(cases), 400);
}

static void trailers_come_to_an_end(void **state)
{
    (void)state;
    static const size_t lengths[] = {12000, 100000};
    for (size_t i = 0; i < TG_ARRAY_LEN(lengths); i++) {
        char *request = calloc(1, lengths[i] + 200);
        assert_non_null(request);
        size_t used = (size_t)sprintf(request, C "0\r\n");
        for (size_t end = used + lengths[i]; used < end; used += 8)
            memcpy(request + used, "X: abc\r\n", 8);
        memcpy(request + used, "\r\n", 3);
        const char *one = request;
        check_all(&one, 1, 400);
        free(request);
    }
}

static void malformed_heads_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "GET /a HTTP/1.1\r\n\r\n",
        "GET /a HTTP/1.1\r\n" H H "\r\n",
        "GET /a HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: u@a\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost:\r\n\r\n",
        "GET /a HTTP/1.0\r\n" H H "\r\n",
        "GET /a HTTP/1.1\n" H "\r\n",
        "GET /a HTTP/1.1\r\nHost: a\n\r\n",
        "GET /a HTTP/1.1\r\n" H "\n",
        "\nGET /a HTTP/1.1\r\n" H "\r\n",
        "GET /a HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n",
        "GET /a HTTP/1.1\r\n" H "X: a\r\n\tb\r\n\r\n",
        "GET /a HTTP/1.1\r\n " H "\r\n",
        "GET /a HTTP/1.1\r\n" H "X : a\r\n\r\n",
        "GET /a HTTP/1.1\r\n" H "X\r\n\r\n",
        "GET /a HTTP/1.1\r\n" H ": a\r\n\r\n",
        "GET /a HTTP/1.1\r\n" H "X(y: a\r\n\r\n",
        "GET /a HTTP/1.1\r\n" H "X: a\rb\r\n\r\n",
        "GET /a HTTP/1.1\r\n" H "X: a\x01\r\n\r\n",
        "GET /a HTTP/1.1\r\n" H "X: a\x7f\r\n\r\n",
        "GET  /a HTTP/1.1\r\n" H "\r\n",
        "GET /a  HTTP/1.1\r\n" H "\r\n",
        "GET /a\tHTTP/1.1\r\n" H "\r\n",
        " GET /a HTTP/1.1\r\n" H "\r\n",
        "GET /a HTTP/1.1 \r\n" H "\r\n",
        "GET /a http/1.1\r\n" H "\r\n",
        "GET /a HTTP/1,1\r\n" H "\r\n",
        "GET /a HTTP/1.11\r\n" H "\r\n",
        "GET /a HTTP/11.1\r\n" H "\r\n",
        "GET /a\r\n" H "\r\n",
        "GET a HTTP/1.1\r\n" H "\r\n",
        "GET /a#b HTTP/1.1\r\n" H "\r\n",
        "GET /a%zz HTTP/1.1\r\n" H "\r\n",
        "GET /a%0 HTTP/1.1\r\n" H "\r\n",
        "GET /a%00 HTTP/1.1\r\n" H "\r\n",
        "GET /a\\b HTTP/1.1\r\n" H "\r\n",
        "GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n",
        "GET * HTTP/1.1\r\n" H "\r\n",
        "GET ftp://a/a HTTP/1.1\r\n" H "\r\n",
        "G(T /a HTTP/1.1\r\n" H "\r\n",
        "(refused) /a HTTP/1.1\r\n" H "\r\n",
        "GET /a HTTP/x.1\r\n" H "\r\n",
        "GET /a HTTP/1.x\r\n" H "\r\n",
        "GET /a HTTP/1.\r\n" H "\r\n",
        "GET /a \r\n" H "\r\n",
        "GET \r\n" H "\r\n",
        "GET\r\n" H "\r\n",
        "\x16\x03\x01\x02\x01\x01\x01\xfc\x03\x03",
        "quit\r\n",
    };
    check_all(cases, TG_ARRAY_LEN(cases), 400);
    static const char *const versions[] = {
        "GET /a HTTP/1.2\r\n" H "\r\n",
        "GET /a HTTP/2.0\r\n" H "\r\n",
        "GET /a HTTP/0.9\r\n" H "\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    };
    check_all(versions, TG_ARRAY_LEN(versions), 505);
}

static void methods_that_nobody_knows_are_not_implemented(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "PROPFIND /a HTTP/1.1\r\n" H "\r\n",
        "get /a HTTP/1.1\r\n" H "\r\n",
        "GETT /a HTTP/1.1\r\n" H "\r\n",
        "BREW /a HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nx",
        "CONNECT a:443 HTTP/1.1\r\n" H "\r\n",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA /a HTTP/1.1\r\n" H "\r\n",
    };
    check_all(cases, TG_ARRAY_LEN(cases), 501);
}

static void what_may_come_once_is_refused_twice(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "GET /a HTTP/1.1\r\n" H "Authorization: Bearer a\r\nauthorization: Bearer a\r\n\r\n",
        "GET /a HTTP/1.1\r\n" H "X-API-Key: a\r\nAccept: b\r\nX-API-KEY: b\r\n\r\n",
        "GET /a HTTP/1.1\r\n" H "Content-Type: a/b\r\nContent-Type: a/b\r\n\r\n",
        "GET /a HTTP/1.1\r\n" H "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n\r\n",
        "GET /a HTTP/1.1\r\n" H "Idempotency-Key: a\r\nIdempotency-Key: b\r\n\r\n",
        "GET /a HTTP/1.1\r\n" H "Origin: a\r\nOrigin: b\r\n\r\n",
        "GET /a HTTP/1.1\r\n" H "X-Tidegate-Tenant: a\r\nX-Tidegate-Tenant: b\r\n\r\n",
        "GET /a HTTP/1.1\r\n" H "X-Tidegate-Secret: a\r\nX-Tidegate-Secret: a\r\n\r\n",
        "GET /a HTTP/1.1\r\n" H "ce-datacontenttype: a\r\nce-datacontenttype: b\r\n\r\n",
        "GET /a HTTP/1.1\r\n" H "ce-id: a\r\nCE-ID: b\r\n\r\n",
        "GET /a HTTP/1.1\r\n" H "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n",
    };
    check_all(cases, TG_ARRAY_LEN(cases), 400);
}

static void other_expectations_fail(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "GET /a HTTP/1.1\r\n" H "Expect: tea\r\n\r\n",
        "GET /a HTTP/1.0\r\n" H "Expect: tea\r\n\r\n",
        "POST /a HTTP/1.1\r\n" H "Content-Length: 1\r\nExpect: 100-continue, tea\r\n\r\nx",
        "POST /a HTTP/1.1\r\n" H "Content-Length: 1\r\nExpect:\r\n\r\nx",
    };
    check_all(cases, TG_ARRAY_LEN(cases), 417);
}

/* RFC 9110 section 10.1.1. */
static void old_clients_are_not_told_to_continue(void **state)
{
    (void)state;
    char *answer = test_exchange(tg_http_server_port(server),
                                 "POST /a HTTP/1.0\r\nExpect: 100-continue\r\nX: y\r\n"
                                 "Content-Length: 3\r\n\r\nabc");
    assert_int_equal(test_code(answer), 200);
    test_assert_has(answer, "\r\n\r\nabc");
    free(answer);
}

static void a_refused_head_has_no_body(void **state)
{
    (void)state;
    char *answer =
        test_exchange(tg_http_server_port(server), "HEAD /a HTTP/1.1\r\n" H "Expect: tea\r\n\r\n");
    assert_int_equal(test_code(answer), 417);
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    free(answer);
}

static void refusals_have_the_form_of_their_path(void **state)
{
    (void)state;
    static const struct {
        const char *target, *form;
    } cases[] = {
        {"/v2/a", "application/problem+json"},
        {"/v2", "application/problem+json"},
        {"/v2?x", "application/problem+json"},
        {"http://h/v2/b", "application/problem+json"},
        {"/v2/%zz", "application/problem+json"},
        {"/v2/a HTTP/1.1\nX: y\r\nZ: ", "application/problem+json"},
        {"/v1/a", "application/json"},
        {"/v2x", "application/json"},
        {"/", "application/json"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        char request[128], wanted[64];
        (void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n" H H "\r\n", cases[i].target);
        (void)snprintf(wanted, sizeof(wanted), "content-type: %s\r\n", cases[i].form);
        char *answer = test_exchange(tg_http_server_port(server), request);
        assert_int_equal(test_code(answer), 400);
        test_assert_has(answer, wanted);
        free(answer);
    }
}

static void what_is_too_long_still_has_the_form_of_its_path(void **state)
{
    (void)state;
    static const struct {
        const char *before, *behind;
    } cases[] = {{"GET /v2/a?", " HTTP/1.1\r\n" H "\r\n"},
                 {"GET /v2/a?", ""},
                 {"GET /v2/a HTTP/1.1\r\n" H "X: ", "\r\n\r\n"},
                 {"GET /v2/a HTTP/1.1\r\n" H "X: ", ""}};
    char *filler = calloc(1, 40001);
    assert_non_null(filler);
    memset(filler, 'x', 40000);
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        char *request = NULL;
        assert_true(asprintf(&request, "%s%s%s", cases[i].before, filler, cases[i].behind) > 0);
        char *answer = test_exchange(tg_http_server_port(server), request);
        assert_int_equal(test_code(answer), i < 2 ? 414 : 431);
        test_assert_has(answer, "content-type: application/problem+json\r\n");
        free(answer);
        free(request);
    }
    free(filler);
}

static void dot_segments_do_not_reach_a_handler(void **state)
{
    (void)state;
    static const char *const targets[] = {"/b/../a", "/b/%2e%2e/a", "/./a", "/%2E/a", "/a/.."};
    for (size_t i = 0; i < TG_ARRAY_LEN(targets); i++) {
        char request[128];
        (void)snprintf(request, sizeof(request),
                       "GET %s HTTP/1.1\r\n" H "Connection: close\r\n\r\n", targets[i]);
        char *answer = test_exchange(tg_http_server_port(server), request);
        assert_int_equal(test_code(answer), 400);
        test_assert_has(answer, "bad_path");
        free(answer);
    }
}

static void heads_above_32_KiB_and_100_headers_are_refused(void **state)
{
    (void)state;
    char *request = calloc(1, 300000);
    assert_non_null(request);
    static const size_t sizes[] = {33000, 200000};
    const char *one = request;
    for (size_t i = 0; i < TG_ARRAY_LEN(sizes); i++) {
        size_t used = (size_t)sprintf(request, "GET /a HTTP/1.1\r\n" H "X: ");
        memset(request + used, 'x', sizes[i]);
        memcpy(request + used + sizes[i], "\r\n\r\n", 5);
        check_all(&one, 1, 431);
        memset(request, 'x', sizes[i]);
        memcpy(request, "\r\nGET /", 7);
        (void)sprintf(request + sizes[i], " HTTP/1.1\r\n" H "\r\n");
        check_all(&one, 1, 414);
    }
    size_t used = (size_t)sprintf(request, "GET /a HTTP/1.1\r\n" H);
    for (unsigned i = 0; i < 100; i++)
        used += (size_t)sprintf(request + used, "X%u: a\r\n", i);
    memcpy(request + used, "\r\n", 3);
    check_all(&one, 1, 431);
    free(request);
}

static void well_formed_requests_pass(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "GET /a HTTP/1.1\r\n" H "Connection: close\r\n\r\n",
        "GET /a HTTP/1.0\r\n\r\n",
        "GET /a HTTP/1.0\r\n" H "\r\n",
        "\r\nGET /a HTTP/1.1\r\n" H "Connection: close\r\n\r\n",
        "GET /%61?x=%20+&y HTTP/1.1\r\nhOST:a:80 \r\nConnection: close\r\n\r\n",
        "GET http://other/a HTTP/1.1\r\n" H "Connection: close\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: [::1]:80\r\nX:\r\nY: \xc3\xa4 b\t\r\nConnection: close\r\n\r\n",
        "POST /a HTTP/1.1\r\n" H "Content-Length: 3 \r\nConnection: close\r\n\r\nabc",
        "POST /a HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\nConnection: close\r\n\r\n"
        "2;x=\"y\"\r\nab\r\n01\r\nc\r\n0\r\nTrailer: t\r\n\r\n",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        char *answer = test_exchange(tg_http_server_port(server), cases[i]);
        if (test_code(answer) != 200)
            fail_msg("refused:\n%s\n%s", cases[i], answer);
        if (strncmp(cases[i], "POST", 4) == 0)
            test_assert_has(answer, "\r\n\r\nabc");
        free(answer);
    }
}

static void a_request_in_single_bytes_is_the_same(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        "POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n2 \r\nab\r\n0\r\n\r\n",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        int fd = test_connect(tg_http_server_port(server));
        for (const char *at = cases[i]; *at != '\0'; at++)
            test_send(fd, at, 1);
        char *answer = test_read_all(fd, NULL);
        assert_int_equal(test_code(answer), i == 0 ? 200 : 400);
        close(fd);
        free(answer);
    }
}

static void the_check_says_that_it_is_in_force_and_refusals_are_counted(void **state)
{
    (void)state;
    tg_error_t error;
    assert_int_equal(tg_http_guard_check(&error), TG_OK);
    uint64_t before = tg_http_guard_refused();
    free(test_exchange(tg_http_server_port(server), "GET /a HTTP/1.1\r\n\r\n"));
    assert_int_equal(tg_http_guard_refused(), before + 1);
    char *metrics = test_exchange(tg_http_server_admin_port(server),
                                  "GET /metrics HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    char line[64];
    (void)snprintf(line, sizeof(line), "tidegate_http_refused_total %llu\n",
                   (unsigned long long)(before + 1));
    test_assert_has(metrics, line);
    free(metrics);
}

static int open_server(void **state)
{
    static tg_http_config_t config;
    static tg_http_service_t service;
    config = test_config();
    service = (tg_http_service_t){.name = "guarded",
                                  .config = &config,
                                  .routes = routes,
                                  .route_count = TG_ARRAY_LEN(routes)};
    tg_error_t error;
    int failed = tg_http_server_open(&service, &server, &error) != TG_OK;
    *state = server;
    return failed;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(framing_that_two_servers_read_differently_is_refused),
        cmocka_unit_test(chunks_that_are_not_well_formed_are_refused),
        cmocka_unit_test(trailers_come_to_an_end),
        cmocka_unit_test(malformed_heads_are_refused),
        cmocka_unit_test(methods_that_nobody_knows_are_not_implemented),
        cmocka_unit_test(what_may_come_once_is_refused_twice),
        cmocka_unit_test(other_expectations_fail),
        cmocka_unit_test(old_clients_are_not_told_to_continue),
        cmocka_unit_test(a_refused_head_has_no_body),
        cmocka_unit_test(refusals_have_the_form_of_their_path),
        cmocka_unit_test(what_is_too_long_still_has_the_form_of_its_path),
        cmocka_unit_test(dot_segments_do_not_reach_a_handler),
        cmocka_unit_test(heads_above_32_KiB_and_100_headers_are_refused),
        cmocka_unit_test(well_formed_requests_pass),
        cmocka_unit_test(a_request_in_single_bytes_is_the_same),
        cmocka_unit_test(the_check_says_that_it_is_in_force_and_refusals_are_counted),
    };
    return cmocka_run_group_tests(tests, open_server, test_close_server);
}
