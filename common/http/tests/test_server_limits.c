/* What a server takes of one request and of all at once, over real loopback sockets: bodies, the
 * memory and the places of requests, and the time of a handler. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/http/tests/support.h"

#define H   "Host: a\r\n"
#define END H "Connection: close\r\n\r\n"

static tg_http_server_t *server;
static tg_http_config_t config;
static int cancelled; /* on_cancel calls */

static uint16_t port(void)
{
    return tg_http_server_port(server);
}

/* --- handlers --- */

static void count_cancel(void *user)
{
    __atomic_fetch_add((int *)user, 1, __ATOMIC_SEQ_CST);
}

static void on_never(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_http_set_user(req, &cancelled, count_cancel);
}

static const tg_http_route_t routes[] = {
    {.method = "GET", .path = "/hello", .handler = test_on_hello},
    {.method = "GET", .path = "/v2/hello", .handler = test_on_hello, .format = TG_HTTP_V2},
    {.method = "POST", .path = "/echo", .handler = test_on_echo, .max_body = 1000},
    {.method = "POST", .path = "/echo/large", .handler = test_on_echo, .max_body = 100000},
    {.method = "GET", .path = "/never", .handler = on_never},
    {.method = "GET",
     .path = "/internal/never",
     .handler = on_never,
     .flags = TG_HTTP_ROUTE_INTERNAL},
};

/* --- bodies --- */

static void a_body_above_the_route_limit_is_refused(void **state)
{
    (void)state;
    char request[2000];
    size_t used = (size_t)sprintf(request, "POST /echo HTTP/1.1\r\nContent-Length: 1001\r\n" END);
    memset(request + used, 'x', 1001);
    request[used + 1001] = '\0';
    char *answer = test_exchange(port(), request);
    assert_int_equal(test_code(answer), 413);
    test_assert_has(answer, "at most 1000");
    free(answer);
    answer = test_exchange(port(), "GET /hello HTTP/1.1\r\nContent-Length: 1\r\n" END "x");
    assert_int_equal(test_code(answer), 413);
    free(answer);
}

static void a_body_above_all_limits_is_refused_and_the_sender_reads_why(void **state)
{
    (void)state;
    const char *const heads[] = {"POST /echo HTTP/1.1\r\n" H "Content-Length: 11534336\r\n\r\n",
                                 "POST /v2/echo HTTP/1.1\r\n" H
                                 "Transfer-Encoding: chunked\r\n\r\nb00000\r\n"};
    size_t size = (size_t)11 << 20;
    char *body = malloc(size);
    assert_non_null(body);
    memset(body, 'x', size);
    for (size_t i = 0; i < TG_ARRAY_LEN(heads); i++) {
        int fd = test_connect(port());
        test_say(fd, heads[i]);
        test_send(fd, body, size);
        bool reset = true;
        char *answer = test_read_all(fd, &reset);
        assert_int_equal(test_code(answer), 413);
        test_assert_has(answer, "\"code\":\"body_too_large\"");
        test_assert_has(answer, i == 0 ? "application/json" : "application/problem+json");
        assert_false(reset);
        close(fd);
        free(answer);
    }
    free(body);
}

static void the_client_may_wait_for_leave_to_send_the_body(void **state)
{
    (void)state;
    int fd = test_connect(port());
    test_say(fd, "POST /echo HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n" END);
    char *interim = test_read_answer(fd, false);
    assert_int_equal(test_code(interim), 100);
    test_say(fd, "abc");
    char *answer = test_read_all(fd, NULL);
    assert_int_equal(test_code(answer), 200);
    close(fd);
    free(interim);
    free(answer);
    answer =
        test_exchange(port(), "POST /echo HTTP/1.1\r\nContent-Length: 3\r\nExpect: tea\r\n" END);
    assert_int_equal(test_code(answer), 417);
    test_assert_has(answer, "expectation_failed");
    free(answer);
}

static void a_body_that_is_too_large_is_not_asked_for(void **state)
{
    (void)state;
    char *answer = test_exchange(
        port(), "POST /echo HTTP/1.1\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n" END);
    assert_int_equal(test_code(answer), 413);
    test_assert_has(answer, "\r\nconnection: close\r\n");
    free(answer);
}

static void large_bodies_share_a_connection(void **state)
{
    (void)state;
    int fd = test_connect(port());
    char head[128];
    static char body[100000];
    memset(body, 'y', sizeof(body));
    for (unsigned i = 0; i < 3; i++) {
        (void)snprintf(head, sizeof(head),
                       "POST /echo/large HTTP/1.1\r\n" H "Content-Length: %zu\r\n\r\n",
                       sizeof(body));
        test_say(fd, head);
        test_send(fd, body, sizeof(body));
        char *answer = test_read_answer(fd, false);
        assert_int_equal(test_code(answer), 200);
        free(answer);
    }
    close(fd);
}

static void requests_that_fill_the_memory_while_arriving_are_given_up(void **state)
{
    (void)state;
    static const tg_http_route_t big[] = {
        {.method = "POST", .path = "/x", .handler = test_on_echo, .max_body = (size_t)8 << 20}};
    tg_http_config_t tight = test_config();
    tight.max_buffered = (size_t)6 << 20;
    tg_http_service_t service = {.name = "tight",
                                 .config = &tight,
                                 .routes = big,
                                 .route_count = 1};
    tg_http_server_t *small = NULL;
    assert_int_equal(tg_http_server_open(&service, &small, NULL), TG_OK);
    size_t part = (size_t)3 << 20; /* held in 4 MiB each: one stays, the others go */
    char *body = calloc(1, part);
    assert_non_null(body);
    int fds[3];
    for (size_t i = 0; i < TG_ARRAY_LEN(fds); i++) {
        fds[i] = test_connect(tg_http_server_port(small));
        test_say(fds[i], "POST /x HTTP/1.1\r\n" H "Content-Length: 3145729\r\n\r\n");
        test_send(fds[i], body, part);
    }
    unsigned refused = 0, served = 0;
    struct pollfd wait[3];
    for (size_t i = 0; i < TG_ARRAY_LEN(fds); i++)
        wait[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    while (refused < 2) {
        assert_true(poll(wait, 3, TEST_WAIT_MS) > 0);
        for (size_t i = 0; i < TG_ARRAY_LEN(fds); i++) {
            if (wait[i].fd < 0 || wait[i].revents == 0)
                continue;
            test_send(fds[i], body, part); /* it is still sending, and must hear why not */
            bool reset = true;
            char *answer = test_read_all(fds[i], &reset);
            assert_int_equal(test_code(answer), 503);
            assert_false(reset);
            test_assert_has(answer, "retry-after: 1\r\n");
            free(answer);
            wait[i].fd = -1;
            refused++;
        }
    }
    for (size_t i = 0; i < TG_ARRAY_LEN(fds); i++) {
        if (wait[i].fd >= 0) {
            test_say(fds[i], "x");
            struct pollfd one = {.fd = fds[i], .events = POLLIN};
            assert_int_equal(poll(&one, 1, TEST_WAIT_MS), 1);
            served++;
        }
        close(fds[i]);
    }
    assert_int_equal(served, 1);
    free(body);
    tg_http_server_close(small);
}

/* --- places and time --- */

static void requests_beyond_the_limit_are_told_to_come_back(void **state)
{
    (void)state;
    int *fds = calloc(config.max_inflight, sizeof(*fds));
    assert_non_null(fds);
    for (size_t i = 0; i < config.max_inflight; i++) {
        fds[i] = test_connect(port());
        test_say(fds[i], "GET /never HTTP/1.1\r\n" END);
    }
    /* They are all in flight once one more request on their loop is refused. */
    char *answer = NULL;
    for (unsigned tries = 0; tries < 1000; tries++) {
        free(answer);
        answer = test_exchange(port(), "GET /hello HTTP/1.1\r\n" END);
        if (test_code(answer) == 503)
            break;
    }
    assert_int_equal(test_code(answer), 503);
    test_assert_has(answer, "\"code\":\"overloaded\"");
    test_assert_has(answer, "retry-after: 1\r\n");
    free(answer);
    for (size_t i = 0; i < config.max_inflight; i++) {
        answer = test_read_all(fds[i], NULL); /* the deadline frees the places */
        assert_int_equal(test_code(answer), 504);
        free(answer);
        close(fds[i]);
    }
    free(fds);
    answer = test_exchange(port(), "GET /hello HTTP/1.1\r\n" END);
    assert_int_equal(test_code(answer), 200);
    free(answer);
}

static void a_late_handler_is_cancelled_and_answered_for(void **state)
{
    (void)state;
    int before = __atomic_load_n(&cancelled, __ATOMIC_SEQ_CST);
    char *answer =
        test_exchange(port(), "GET /internal/never HTTP/1.1\r\nX-Tidegate-Secret: hush hush\r\n"
                              "X-Tidegate-Deadline-Ms: 30\r\n" END);
    assert_int_equal(test_code(answer), 504);
    test_assert_has(answer, "\"code\":\"deadline_exceeded\"");
    assert_int_equal(__atomic_load_n(&cancelled, __ATOMIC_SEQ_CST), before + 1);
    free(answer);
}

/* --- the server under test --- */

static int open_server(void **state)
{
    static const tg_http_service_t service = {.name = "test",
                                              .config = &config,
                                              .routes = routes,
                                              .route_count = TG_ARRAY_LEN(routes),
                                              .secret = "hush hush"};
    config = test_short_config();
    int failed = tg_http_server_open(&service, &server, NULL) != TG_OK;
    *state = server;
    return failed;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_above_the_route_limit_is_refused),
        cmocka_unit_test(a_body_above_all_limits_is_refused_and_the_sender_reads_why),
        cmocka_unit_test(the_client_may_wait_for_leave_to_send_the_body),
        cmocka_unit_test(a_body_that_is_too_large_is_not_asked_for),
        cmocka_unit_test(large_bodies_share_a_connection),
        cmocka_unit_test(requests_that_fill_the_memory_while_arriving_are_given_up),
        cmocka_unit_test(requests_beyond_the_limit_are_told_to_come_back),
        cmocka_unit_test(a_late_handler_is_cancelled_and_answered_for),
    };
    return cmocka_run_group_tests(tests, open_server, test_close_server);
}
