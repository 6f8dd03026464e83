/* The life of a connection, over real loopback sockets: what ends it, in which order it is
 * answered, how long a slow client has, and who waits for a place. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/http/tests/support.h"

#define H   "Host: a\r\n"
#define END H "Connection: close\r\n\r\n"

static tg_http_server_t *server;
static tg_http_config_t config;

static uint16_t port(void)
{
    return tg_http_server_port(server);
}

/* --- handlers --- */

static void on_big(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_buf_t body = tg_buf_make((size_t)32 << 20);
    char *bytes = tg_buf_reserve(&body, (size_t)16 << 20);
    memset(bytes, 'x', (size_t)16 << 20);
    body.len = (size_t)16 << 20;
    tg_http_reply_buf(req, 200, "text/plain", &body);
}

struct later {
    tg_timer_t timer;
    tg_http_req_t *req;
};

static void on_later_timer(void *arg)
{
    struct later *later = arg;
    tg_http_reply(later->req, 200, "text/plain", TG_STR("later"));
}

static void cancel_later(void *arg)
{
    struct later *later = arg;
    tg_timer_stop(&later->timer);
}

static void on_later(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    struct later *later = tg_arena_alloc(tg_http_arena(req), sizeof(*later));
    later->req = req;
    tg_http_set_user(req, later, cancel_later);
    tg_timer_start(tg_http_loop(req), &later->timer, 50, on_later_timer, later);
}

static const tg_http_route_t routes[] = {
    {.method = "GET", .path = "/hello", .handler = test_on_hello},
    {.method = "POST", .path = "/echo", .handler = test_on_echo, .max_body = 1000},
    {.method = "POST", .path = "/echo/large", .handler = test_on_echo, .max_body = 100000},
    {.method = "GET", .path = "/big", .handler = on_big},
    {.method = "GET", .path = "/later", .handler = on_later},
    {.method = "GET", .path = "/empty", .handler = test_on_empty},
};

/* --- one request after the other --- */

static unsigned count_answers(const char *answers)
{
    unsigned count = 0;
    for (const char *at = answers; (at = strstr(at, "HTTP/1.1 200")) != NULL; at++)
        count++;
    return count;
}

static void a_connection_ends_by_close_and_by_nothing_else(void **state)
{
    (void)state;
    static const struct {
        const char *version, *options;
        unsigned answers; /* to two requests */
    } cases[] = {
        {"1.1", "", 2},
        {"1.1", "Connection: keep-alive\r\n", 2},
        {"1.1", "Connection: close\r\n", 1},
        {"1.1", "Connection: keep-alive, Close\r\n", 1},
        {"1.1", "Connection: close\r\nConnection: keep-alive\r\n", 1},
        {"1.1", "Connection: TE\r\nTE: trailers\r\n", 2},
        {"1.1", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n", 2},
        {"1.1", "Connection: closed\r\n", 2},
        {"1.0", "", 1},
        {"1.0", "Connection: keep-alive\r\n", 2},
        {"1.0", "Connection: keep-alive, close\r\n", 1},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        char text[256];
        (void)snprintf(text, sizeof(text),
                       "GET /hello HTTP/%s\r\n" H "%s\r\nGET /hello HTTP/1.1\r\n" END,
                       cases[i].version, cases[i].options);
        char *answers = test_exchange(port(), text);
        if (count_answers(answers) != cases[i].answers)
            fail_msg("HTTP/%s %s: %s", cases[i].version, cases[i].options, answers);
        free(answers);
    }
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    char *answers = test_exchange(port(), "GET /hello HTTP/1.1\r\n" H "\r\n"
                                          "GET /later HTTP/1.1\r\n" H "\r\n"
                                          "POST /echo HTTP/1.1\r\nContent-Length: 3\r\n" H
                                          "\r\nabcGET /empty HTTP/1.1\r\n" END);
    const char *hello = strstr(answers, "Hello"), *later = strstr(answers, "\r\n\r\nlater"),
               *echo = strstr(answers, "\r\n\r\nabc"), *empty = strstr(answers, "204 No");
    assert_true(hello != NULL && hello < later && later < echo && echo < empty);
    free(answers);
}

/* Asks for what is answered 50 ms later, and waits until the handler has it. Where that takes
 * longer, what follows comes after the answer: no less right. */
static void ask_later(int fd)
{
    test_say(fd, "GET /later HTTP/1.1\r\n" H "\r\n");
    for (int tries = 0; tries < 20; tries++) {
        if (test_metric(tg_http_server_admin_port(server), "tidegate_http_requests_in_flight") > 0)
            return;
    }
}

/* While the first request is away its connection is read into another buffer, see hold.c. */
static void what_comes_before_an_answer_is_answered_after_it(void **state)
{
    (void)state;
    char body[50001];
    memset(body, 'x', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    int fd = test_connect(port());
    for (int round = 0; round < 3; round++) {
        ask_later(fd);
        test_say(fd, "POST /echo/large HTTP/1.1\r\nContent-Length: 50000\r\n" H "\r\n");
        test_say(fd, body);
        test_say(fd, "GET /later HTTP/1.1\r\n" H "\r\n");
        char *later = test_read_answer(fd, false), *large = test_read_answer(fd, false);
        char *again = test_read_answer(fd, false);
        test_assert_has(later, "\r\n\r\nlater");
        test_assert_has(large, "content-length: 50000\r\n");
        test_assert_has(large, body);
        test_assert_has(again, "\r\n\r\nlater");
        free(later);
        free(large);
        free(again);
    }
    ask_later(fd);
    shutdown(fd, SHUT_WR); /* no more to say, but still listening */
    char *last = test_read_answer(fd, false);
    test_assert_has(last, "\r\n\r\nlater");
    free(last);
    assert_true(test_is_closed(fd));
    close(fd);
}

/* --- slow clients --- */

static void a_slow_request_is_answered_408(void **state)
{
    (void)state;
    int fd = test_connect(port());
    test_say(fd, "GET /hello HTTP/1.1\r\nHos");
    char *answer = test_read_all(fd, NULL);
    assert_int_equal(test_code(answer), 408);
    free(answer);
    close(fd);
    fd = test_connect(port());
    test_say(fd, "POST /echo HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nabc");
    answer = test_read_all(fd, NULL);
    assert_int_equal(test_code(answer), 408);
    free(answer);
    close(fd);
}

static void a_silent_connection_is_closed(void **state)
{
    (void)state;
    int fresh = test_connect(port()), used = test_connect(port());
    test_say(used, "GET /hello HTTP/1.1\r\n" H "\r\n");
    free(test_read_answer(used, false));
    assert_true(test_is_closed(fresh));
    assert_true(test_is_closed(used));
    close(fresh);
    close(used);
}

static void a_client_that_does_not_read_is_cut(void **state)
{
    (void)state;
    int small = 4096;
    int fd = test_connect(port());
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    test_say(fd, "GET /big HTTP/1.1\r\n" H "\r\n");
    struct pollfd wait = {.fd = fd, .events = POLLRDHUP};
    assert_int_equal(poll(&wait, 1, TEST_WAIT_MS), 1);
    char *metrics = NULL;
    metrics = test_exchange(tg_http_server_admin_port(server), "GET /metrics HTTP/1.1\r\n" END);
    test_assert_has(metrics, "tidegate_http_connections_cut_total{reason=\"write_timeout\"} 1\n");
    free(metrics);
    close(fd);
}

/* It takes something within each write_timeout, and would hold the answer for hours. */
static void a_client_that_takes_a_little_now_and_then_is_cut(void **state)
{
    (void)state;
    int small = 4096;
    char sink[512];
    int fd = test_connect(port());
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    test_say(fd, "GET /big HTTP/1.1\r\n" H "\r\n");
    struct pollfd gone = {.fd = fd, .events = POLLRDHUP};
    unsigned waits = 0;
    while (poll(&gone, 1, 100) == 0 && waits++ < TEST_WAIT_MS / 100)
        (void)recv(fd, sink, sizeof(sink), MSG_DONTWAIT);
    assert_true(waits < TEST_WAIT_MS / 100);
    test_metric_wait(tg_http_server_admin_port(server),
                     "tidegate_http_connections_cut_total{reason=\"write_timeout\"}", 2);
    close(fd);
}

static void a_client_that_reads_slowly_gets_all(void **state)
{
    (void)state;
    int fd = test_connect(port());
    test_say(fd, "GET /big HTTP/1.1\r\n" END);
    size_t total = 0;
    ssize_t n;
    static char sink[1 << 20];
    while ((n = recv(fd, sink, sizeof(sink), 0)) > 0) {
        total += (size_t)n;
        (void)poll(NULL, 0, 30);
    }
    assert_int_equal(n, 0);
    assert_true(total > (size_t)16 << 20);
    close(fd);
}

/* --- places --- */

static void connections_beyond_the_limit_wait_for_a_place(void **state)
{
    (void)state;
    tg_http_config_t few = config;
    few.max_connections = 2;
    few.idle_timeout_ms = 5000;
    tg_http_service_t service = {.name = "few",
                                 .config = &few,
                                 .routes = routes,
                                 .route_count = TG_ARRAY_LEN(routes),
                                 .secret = "s"};
    tg_http_server_t *small = NULL;
    assert_int_equal(tg_http_server_open(&service, &small, NULL), TG_OK);
    uint16_t at = tg_http_server_port(small);
    int fds[3];
    for (size_t i = 0; i < 3; i++)
        fds[i] = test_connect(at);
    for (size_t i = 0; i < 2; i++) {
        test_say(fds[i], "GET /hello HTTP/1.1\r\n" H "\r\n");
        free(test_read_answer(fds[i], false));
    }
    test_say(fds[2], "GET /hello HTTP/1.1\r\n" END);
    struct pollfd wait = {.fd = fds[2], .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 100), 0);
    close(fds[0]);
    char *answer = test_read_all(fds[2], NULL);
    assert_int_equal(test_code(answer), 200);
    free(answer);
    close(fds[1]);
    close(fds[2]);
    tg_http_server_close(small);
}

/* --- the server under test --- */

static int open_server(void **state)
{
    static const tg_http_service_t service = {.name = "test",
                                              .config = &config,
                                              .routes = routes,
                                              .route_count = TG_ARRAY_LEN(routes)};
    config = test_short_config();
    int failed = tg_http_server_open(&service, &server, NULL) != TG_OK;
    *state = server;
    return failed;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_ends_by_close_and_by_nothing_else),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(what_comes_before_an_answer_is_answered_after_it),
        cmocka_unit_test(a_slow_request_is_answered_408),
        cmocka_unit_test(a_silent_connection_is_closed),
        cmocka_unit_test(a_client_that_does_not_read_is_cut),
        cmocka_unit_test(a_client_that_takes_a_little_now_and_then_is_cut),
        cmocka_unit_test(a_client_that_reads_slowly_gets_all),
        cmocka_unit_test(connections_beyond_the_limit_wait_for_a_place),
    };
    return cmocka_run_group_tests(tests, open_server, test_close_server);
}
