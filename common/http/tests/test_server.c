/* The server shell over real loopback sockets: answers, limits, timeouts. Draining has its own
 * program. */
#include <errno.h>
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
static int cancelled; /* on_cancel calls */
static bool is_ready = true;

static uint16_t port(void)
{
    return tg_http_server_port(server);
}

/* --- handlers --- */

static void on_hello(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_http_add_header(req, "cache-control", TG_STR("no-store"));
    tg_http_reply(req, 200, "text/plain", TG_STR("Hello"));
}

static void on_echo(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_http_reply(req, 200, "application/octet-stream", tg_http_body(req));
}

static void on_big(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_buf_t body = tg_buf_make((size_t)32 << 20);
    char *bytes = tg_buf_reserve(&body, (size_t)16 << 20);
    memset(bytes, 'x', (size_t)16 << 20);
    body.len = (size_t)16 << 20;
    tg_http_reply_buf(req, 200, "text/plain", &body);
}

static void on_overflow(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_buf_t body = tg_buf_make(10);
    tg_buf_str(&body, TG_STR("more than ten"));
    tg_http_reply_buf(req, 200, "text/plain", &body);
}

static void count_cancel(void *user)
{
    __atomic_fetch_add((int *)user, 1, __ATOMIC_SEQ_CST);
}

static void on_never(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_http_set_user(req, &cancelled, count_cancel);
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

static void on_empty(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_http_reply(req, 204, NULL, (tg_str_t){NULL, 0});
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
    {.method = "GET", .path = "/hello", .handler = on_hello},
    {.method = "POST", .path = "/echo", .handler = on_echo, .max_body = 1000},
    {.method = "POST", .path = "/echo/large", .handler = on_echo, .max_body = 100000},
    {.method = "GET", .path = "/big", .handler = on_big},
    {.method = "GET", .path = "/overflow", .handler = on_overflow},
    {.method = "GET", .path = "/never", .handler = on_never},
    {.method = "GET", .path = "/later", .handler = on_later},
    {.method = "GET", .path = "/empty", .handler = on_empty},
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
    {.method = "GET",
     .path = "/internal/never",
     .handler = on_never,
     .flags = TG_HTTP_ROUTE_INTERNAL},
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

/* --- limits --- */

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
        {.method = "POST", .path = "/x", .handler = on_echo, .max_body = (size_t)8 << 20}};
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
    config = test_config();
    config.header_timeout_ms = 600;
    config.idle_timeout_ms = 1000;
    config.write_timeout_ms = 600;
    config.deadline_ms = 1500;
    config.max_inflight = 20;
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
        cmocka_unit_test(a_connection_ends_by_close_and_by_nothing_else),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(what_comes_before_an_answer_is_answered_after_it),
        cmocka_unit_test(unknown_paths_and_methods_are_told),
        cmocka_unit_test(parameters_are_typed_and_bounded),
        cmocka_unit_test(errors_have_the_form_of_their_route),
        cmocka_unit_test(an_answer_that_overflowed_is_an_error),
        cmocka_unit_test(a_handler_sees_headers_trace_and_peer),
        cmocka_unit_test(internal_routes_need_the_secret),
        cmocka_unit_test(a_route_for_others_than_peers_too_tells_them_apart),
        cmocka_unit_test(a_body_above_the_route_limit_is_refused),
        cmocka_unit_test(a_body_above_all_limits_is_refused_and_the_sender_reads_why),
        cmocka_unit_test(the_client_may_wait_for_leave_to_send_the_body),
        cmocka_unit_test(a_body_that_is_too_large_is_not_asked_for),
        cmocka_unit_test(large_bodies_share_a_connection),
        cmocka_unit_test(requests_that_fill_the_memory_while_arriving_are_given_up),
        cmocka_unit_test(requests_beyond_the_limit_are_told_to_come_back),
        cmocka_unit_test(a_late_handler_is_cancelled_and_answered_for),
        cmocka_unit_test(a_slow_request_is_answered_408),
        cmocka_unit_test(a_silent_connection_is_closed),
        cmocka_unit_test(a_client_that_does_not_read_is_cut),
        cmocka_unit_test(a_client_that_takes_a_little_now_and_then_is_cut),
        cmocka_unit_test(a_client_that_reads_slowly_gets_all),
        cmocka_unit_test(health_ready_and_metrics_are_served),
        cmocka_unit_test(a_port_in_use_is_named),
        cmocka_unit_test(a_thread_that_cannot_start_stops_all),
        cmocka_unit_test(connections_beyond_the_limit_wait_for_a_place),
    };
    return cmocka_run_group_tests(tests, open_server, close_server);
}
