/* The access log's lines, read from a pipe in the place of stderr. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/http/tests/support.h"

#define H "Host: a\r\n"

static void on_hello(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_http_note_key(req, TG_STR("acme"), TG_STR("k1k2k3k4k5k6"));
    tg_http_note_hops(req, 1500, 20250);
    tg_http_reply(req, 200, "text/plain", tg_http_body(req));
}

static void on_refuse(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_http_fail(req, 422, "not_today", TG_STR("field"), "No.");
}

static void on_cancel(void *user)
{
    (void)user;
}

static void on_hang(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_http_set_user(req, req, on_cancel);
}

static const tg_http_route_t routes[] = {
    {.method = "POST", .path = "/things/:id", .handler = on_hello, .max_body = 100},
    {.method = "GET", .path = "/refuse", .handler = on_refuse},
    {.method = "GET", .path = "/hang", .handler = on_hang},
};

static tg_http_config_t config;
static tg_http_service_t service;
static tg_http_server_t *server;
static int saved_stderr = -1, pipe_end = -1;

static void open_server(const char *rule)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    assert_true(dup2(fds[1], STDERR_FILENO) == STDERR_FILENO);
    close(fds[1]);
    pipe_end = fds[0];
    config = test_config();
    config.access_log = (char *)(uintptr_t)rule;
    config.deadline_ms = 300;
    service = (tg_http_service_t){.name = "accessed",
                                  .config = &config,
                                  .routes = routes,
                                  .route_count = TG_ARRAY_LEN(routes)};
    assert_int_equal(tg_http_server_open(&service, &server, NULL), TG_OK);
}

static int close_server(void **state)
{
    (void)state;
    tg_http_server_close(server);
    server = NULL;
    if (saved_stderr >= 0)
        (void)dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    close(pipe_end);
    saved_stderr = pipe_end = -1;
    return 0;
}

/* The next line; fails when none comes. */
static const char *next_line(void)
{
    static char line[4096];
    size_t len = 0;
    struct pollfd ready = {.fd = pipe_end, .events = POLLIN};
    while (len < sizeof(line) - 1 && poll(&ready, 1, TEST_WAIT_MS) == 1 &&
           read(pipe_end, line + len, 1) == 1 && line[len] != '\n')
        len++;
    assert_int_equal(line[len], '\n');
    line[len] = '\0';
    return line;
}

static void ask(const char *text)
{
    free(test_exchange(tg_http_server_port(server), text));
}

static void a_line_says_who_what_and_how_long(void **state)
{
    (void)state;
    open_server("all");
    ask("POST /things/7?key=secret HTTP/1.1\r\n" H "X-Request-Id: abc-1\r\nX-API-Key: secret\r\n"
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
        "Connection: close\r\nContent-Length: 4\r\n\r\nbody");
    const char *line = next_line();
    static const char *const parts[] = {"{\"ts\":\"2",
                                        "\"service\":\"accessed\"",
                                        "\"event\":\"request\"",
                                        "\"method\":\"POST\"",
                                        "\"route\":\"/things/:id\"",
                                        "\"http\":\"1.1\"",
                                        "\"status\":200",
                                        "\"request_id\":\"abc-1\"",
                                        "\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\"",
                                        "\"tenant\":\"acme\"",
                                        "\"key\":\"k1k2k3k4k5k6\"",
                                        "\"client\":\"127.0.0.1\"",
                                        "\"queue_ms\":1.500",
                                        "\"upstream_ms\":20.250",
                                        "\"bytes_in\":4",
                                        "\"bytes_out\":",
                                        "\"ms\":"};
    for (size_t i = 0; i < TG_ARRAY_LEN(parts); i++)
        test_assert_has(line, parts[i]);
    assert_null(strstr(line, "secret"));
    assert_null(strstr(line, "\"tls\""));
    assert_int_equal(line[strlen(line) - 1], '}');
}

static void errors_have_their_code(void **state)
{
    (void)state;
    open_server("errors");
    ask("POST /things/7 HTTP/1.1\r\n" H "Connection: close\r\nContent-Length: 0\r\n\r\n");
    ask("GET /refuse HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    test_assert_has(next_line(), "\"status\":422,\"code\":\"not_today\"");
    ask("GET /nowhere/secret HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    const char *line = next_line();
    test_assert_has(line, "\"status\":404,\"code\":\"not_found\"");
    assert_null(strstr(line, "secret"));
    ask("GET / HTTP/1.1\r\n" H H "\r\n");
    line = next_line();
    test_assert_has(line, "\"status\":400,\"code\":\"malformed_request\"");
    assert_null(strstr(line, "\"method\""));
    ask("POST /things/7 HTTP/1.1\r\n" H "Content-Length: 100000\r\n\r\n");
    test_assert_has(next_line(), "\"status\":413,\"code\":\"body_too_large\"");
    ask("GET /hang HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    test_assert_has(next_line(), "\"status\":504,\"code\":\"deadline_exceeded\"");
}

static void off_writes_nothing_and_a_reload_switches_it_on(void **state)
{
    (void)state;
    open_server("off");
    ask("GET /refuse HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    struct pollfd ready = {.fd = pipe_end, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 300), 0);
    config.access_log = (char *)(uintptr_t) "all";
    assert_int_equal(tg_http_server_reload(server, &config, NULL, NULL), TG_OK);
    for (unsigned i = 0; poll(&ready, 1, 0) == 0 && i < TEST_WAIT_MS; i++) {
        ask("GET /refuse HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
        (void)poll(&ready, 1, 1);
    }
    test_assert_has(next_line(), "\"status\":422");
}

static void errors_of_a_second_are_bounded_and_the_rest_counted(void **state)
{
    (void)state;
    open_server("errors");
    int fd = test_connect(tg_http_server_port(server));
    for (unsigned i = 0; i < 1000; i++) {
        test_say(fd, "GET /refuse HTTP/1.1\r\n" H "\r\n");
        free(test_read_answer(fd, false));
    }
    close(fd);
    assert_true(test_metric(tg_http_server_admin_port(server),
                            "tidegate_http_access_log_dropped_total{reason=\"errors\"}") > 0);
    for (unsigned i = 0; i < 100; i++)
        test_assert_has(next_line(), "\"status\":422");
}

static void a_reader_that_is_too_slow_holds_up_nothing(void **state)
{
    (void)state;
    open_server("all");
    int fd = test_connect(tg_http_server_port(server));
    long dropped = 0;
    for (unsigned i = 0; i < 20000 && dropped == 0; i++) {
        test_say(fd, "GET /refuse HTTP/1.1\r\n" H "\r\n");
        free(test_read_answer(fd, false));
        if (i % 500 == 499)
            dropped = test_metric(tg_http_server_admin_port(server),
                                  "tidegate_http_access_log_dropped_total{reason=\"full\"}");
    }
    close(fd);
    assert_true(dropped > 0);
    for (unsigned i = 0; i < 200; i++) { /* what was written is whole lines */
        const char *line = next_line();
        assert_int_equal(strncmp(line, "{\"ts\":", 6), 0);
        assert_int_equal(line[strlen(line) - 1], '}');
    }
}

static void a_sample_has_its_share(void **state)
{
    (void)state;
    open_server("1/10");
    int fd = test_connect(tg_http_server_port(server));
    for (unsigned i = 0; i < 3000; i++) {
        test_say(fd, "POST /things/7 HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n");
        free(test_read_answer(fd, false));
    }
    test_say(fd, "GET /refuse HTTP/1.1\r\n" H "\r\n");
    free(test_read_answer(fd, false));
    close(fd);
    unsigned lines = 0;
    while (strstr(next_line(), "\"status\":422") == NULL)
        lines++;
    assert_in_range(lines, 200, 400);
}

static void only_four_forms_are_accepted(void **state)
{
    (void)state;
    config = test_config();
    service = (tg_http_service_t){.name = "accessed", .config = &config};
    static const char *const bad[] = {"some", "1/", "1/0", "2/3", "1/x", "all "};
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        tg_error_t error = {.status = TG_OK};
        config.access_log = (char *)(uintptr_t)bad[i];
        assert_int_equal(tg_http_server_open(&service, &server, &error), TG_INVALID);
        test_assert_has(error.text, "http.access_log");
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, close_server)
    const struct CMUnitTest tests[] = {
        TEST(a_line_says_who_what_and_how_long),
        TEST(errors_have_their_code),
        TEST(off_writes_nothing_and_a_reload_switches_it_on),
        TEST(errors_of_a_second_are_bounded_and_the_rest_counted),
        TEST(a_reader_that_is_too_slow_holds_up_nothing),
        TEST(a_sample_has_its_share),
        cmocka_unit_test(only_four_forms_are_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
