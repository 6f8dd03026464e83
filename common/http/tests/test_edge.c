/* What a server at the edge does besides: browsers of other origins, compressed answers, and the
 * connections of one address; over real loopback sockets. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/http/tests/support.h"
#include "common/http/tests/unpack.h"

#define H     "Host: a\r\n"
#define END   H "Connection: close\r\n\r\n"
#define LARGE ((size_t)1 << 20)

static tg_http_config_t config;
static tg_http_server_t *server;
static char *text; /* LARGE bytes that compress well */

static uint16_t port(void)
{
    return tg_http_server_port(server);
}

/* --- handlers --- */

static void reply_text(tg_http_req_t *req, const char *content_type, size_t len)
{
    tg_http_add_header(req, "etag", TG_STR("\"one\""));
    tg_http_reply(req, 200, content_type, (tg_str_t){text, len});
}

static void on_text(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    reply_text(req, "application/json", 20000);
}

static void on_short(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    reply_text(req, "application/json", 1000);
}

static void on_image(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    reply_text(req, "image/png", 20000);
}

static void on_stream(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    reply_text(req, "text/event-stream", 20000);
}

static void on_large(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    reply_text(req, "text/plain; charset=utf-8", LARGE);
}

static void on_settled(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_http_add_header(req, "content-encoding", TG_STR("br"));
    reply_text(req, "application/json", 20000);
}

static void on_untouched(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_http_add_header(req, "cache-control", TG_STR("max-age=1, no-transform"));
    reply_text(req, "application/json", 20000);
}

static void on_unchanged(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_http_add_header(req, "etag", TG_STR("\"one\""));
    tg_http_reply(req, 304, NULL, (tg_str_t){NULL, 0});
}

static void on_noise(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    static char noise[200000];
    uint64_t x = 1;
    for (size_t i = 0; i < sizeof(noise); i++) {
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        noise[i] = (char)(x >> 56);
    }
    bool all = tg_http_query_text(req).len > 0;
    tg_http_reply(req, 200, "text/plain", (tg_str_t){noise, all ? sizeof(noise) : 20000});
}

static const tg_http_route_t routes[] = {
    {.method = "GET", .path = "/text", .handler = on_text},
    {.method = "POST", .path = "/text", .handler = on_text},
    {.method = "GET", .path = "/short", .handler = on_short},
    {.method = "GET", .path = "/image", .handler = on_image},
    {.method = "GET", .path = "/stream", .handler = on_stream},
    {.method = "GET", .path = "/large", .handler = on_large},
    {.method = "GET", .path = "/settled", .handler = on_settled},
    {.method = "GET", .path = "/untouched", .handler = on_untouched},
    {.method = "GET", .path = "/unchanged", .handler = on_unchanged},
    {.method = "GET", .path = "/noise", .handler = on_noise},
    {.method = "DELETE", .path = "/v2/thing", .handler = on_short, .format = TG_HTTP_V2},
};

/* --- asking --- */

struct answer {
    int code;
    size_t len; /* of the body */
    char *head, *body;
};

static void free_answer(struct answer *answer)
{
    free(answer->head);
    free(answer->body);
}

/* Reads to the end; a body may have NULs. */
static struct answer ask(const char *request)
{
    size_t used = 0, room = 2 * LARGE;
    char *bytes = malloc(room);
    assert_non_null(bytes);
    int fd = test_connect(port());
    test_say(fd, request);
    ssize_t n;
    while ((n = recv(fd, bytes + used, room - used - 1, 0)) > 0)
        used += (size_t)n;
    close(fd);
    bytes[used] = '\0';
    char *end = memmem(bytes, used, "\r\n\r\n", 4);
    assert_non_null(end);
    struct answer answer = {.code = test_code(bytes),
                            .head = strndup(bytes, (size_t)(end + 4 - bytes)),
                            .len = used - (size_t)(end + 4 - bytes)};
    answer.body = malloc(answer.len + 1);
    assert_non_null(answer.body);
    memcpy(answer.body, end + 4, answer.len + 1);
    free(bytes);
    return answer;
}

static struct answer get(const char *method, const char *path, const char *headers)
{
    char request[1024];
    (void)snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\n%s" END, method, path, headers);
    return ask(request);
}

static void assert_has_not(const char *answer, const char *part)
{
    if (strcasestr(answer, part) != NULL)
        fail_msg("\"%s\" is in: %s", part, answer);
}

static void assert_no_cors(const char *answer)
{
    assert_has_not(answer, "access-control-");
}

/* --- OPTIONS and origins --- */

static void options_tells_the_methods_of_a_path(void **state)
{
    (void)state;
    static const struct {
        const char *path, *allow;
        int code;
    } cases[] = {
        {"/text", "allow: GET, HEAD, POST, OPTIONS\r\n", 204},
        {"/v2/thing", "allow: DELETE, OPTIONS\r\n", 204},
        {"*", "allow: GET, HEAD, POST, DELETE, OPTIONS\r\n", 204},
        {"/nothing", "content-type: application/json\r\n", 404},
        {"/v2/nothing", "content-type: application/problem+json\r\n", 404},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        struct answer answer = get("OPTIONS", cases[i].path, "");
        assert_int_equal(answer.code, cases[i].code);
        test_assert_has(answer.head, cases[i].allow);
        assert_no_cors(answer.head);
        free_answer(&answer);
    }
}

static void a_wrong_method_is_told_in_the_form_of_its_path(void **state)
{
    (void)state;
    struct answer answer = get("GET", "/v2/thing", "Content-Length: 0\r\n");
    assert_int_equal(answer.code, 405);
    test_assert_has(answer.head, "content-type: application/problem+json\r\n");
    test_assert_has(answer.head, "allow: DELETE, OPTIONS\r\n");
    free_answer(&answer);
    answer = get("TRACE", "/text", "");
    assert_int_equal(answer.code, 405);
    test_assert_has(answer.head, "content-type: application/json\r\n");
    free_answer(&answer);
}

#define PREFLIGHT "Access-Control-Request-Method: POST\r\n"

static void a_preflight_of_a_listed_origin_is_answered(void **state)
{
    (void)state;
    struct answer answer = get("OPTIONS", "/text",
                               "Origin: https://app.example.com\r\n" PREFLIGHT
                               "Access-Control-Request-Headers: x-api-key\r\n");
    assert_int_equal(answer.code, 204);
    assert_int_equal(answer.len, 0);
    static const char *const parts[] = {
        "\r\naccess-control-allow-origin: https://app.example.com\r\n",
        "\r\naccess-control-allow-credentials: true\r\n",
        "\r\naccess-control-allow-methods: GET, HEAD, POST, OPTIONS\r\n",
        "\r\naccess-control-allow-headers: Accept, Authorization, Content-Encoding, ",
        "X-API-Key",
        "\r\naccess-control-max-age: 600\r\n",
        "\r\nvary: Origin\r\n"};
    for (size_t i = 0; i < TG_ARRAY_LEN(parts); i++)
        test_assert_has(answer.head, parts[i]);
    free_answer(&answer);
}

static void a_preflight_of_another_origin_is_refused(void **state)
{
    (void)state;
    static const char *const origins[] = {"https://evil.example.com", "null", "*", "",
                                          "https://app.example.com.evil.com"};
    for (size_t i = 0; i < TG_ARRAY_LEN(origins); i++) {
        char headers[200];
        (void)snprintf(headers, sizeof(headers), "Origin: %s\r\n" PREFLIGHT, origins[i]);
        struct answer answer = get("OPTIONS", "/text", headers);
        assert_int_equal(answer.code, 403);
        test_assert_has(answer.body, "\"origin_not_allowed\"");
        test_assert_has(answer.head, "\r\nvary: Origin\r\n");
        assert_no_cors(answer.head);
        free_answer(&answer);
    }
}

static void answers_name_a_listed_origin_only(void **state)
{
    (void)state;
    static const struct {
        const char *path, *origin;
        bool listed;
    } cases[] = {
        {"/short", "Origin: http://localhost:3000\r\n", true},
        {"/nothing", "Origin: http://localhost:3000\r\n", true}, /* errors can be read as well */
        {"/short", "Origin: http://localhost:3001\r\n", false},
        {"/short", "Origin: null\r\n", false},
        {"/short", "", false},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        struct answer answer = get("GET", cases[i].path, cases[i].origin);
        test_assert_has(answer.head, "\r\nvary: Origin\r\n");
        if (cases[i].listed) {
            test_assert_has(answer.head,
                            "\r\naccess-control-allow-origin: http://localhost:3000\r\n");
            test_assert_has(answer.head, "\r\naccess-control-expose-headers: Deprecation, ETag, ");
        } else {
            assert_no_cors(answer.head);
        }
        free_answer(&answer);
    }
}

/* --- compression --- */

static void an_answer_comes_in_the_coding_that_is_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *path, *accept;
        tg_coding_t coding;
        size_t len;
    } cases[] = {
        {"/text", "gzip", TG_CODING_GZIP, 20000},
        {"/text", "gzip, deflate, br, zstd", TG_CODING_ZSTD, 20000},
        {"/text", "zstd;q=0.1, gzip", TG_CODING_GZIP, 20000},
        {"/large", "gzip", TG_CODING_GZIP, LARGE},
        {"/large", "zstd", TG_CODING_ZSTD, LARGE},
        {"/short", "identity;q=0, gzip", TG_CODING_GZIP, 1000}, /* who insists */
        {"/image", "zstd, *;q=0", TG_CODING_ZSTD, 20000},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        char headers[200], coding[64], length[64];
        (void)snprintf(headers, sizeof(headers), "Accept-Encoding: %s\r\n", cases[i].accept);
        struct answer answer = get("GET", cases[i].path, headers);
        (void)snprintf(coding, sizeof(coding), "\r\ncontent-encoding: %s\r\n",
                       tg_coding_name(cases[i].coding));
        (void)snprintf(length, sizeof(length), "\r\ncontent-length: %zu\r\n", answer.len);
        assert_int_equal(answer.code, 200);
        test_assert_has(answer.head, coding);
        test_assert_has(answer.head, length);
        test_assert_has(answer.head, "\r\nvary: Accept-Encoding\r\n");
        test_assert_has(answer.head, "\r\netag: W/\"one\"\r\n");
        test_unpacks_to(cases[i].coding, (tg_str_t){answer.body, answer.len},
                        (tg_str_t){text, cases[i].len});
        assert_true(answer.len < cases[i].len / 2);
        free_answer(&answer);
    }
}

static void an_answer_stays_as_it_is_when_nothing_else_is_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *path, *headers;
        bool varies;
        size_t len;
    } cases[] = {
        {"/text", "", true, 20000},
        {"/text", "Accept-Encoding: br\r\n", true, 20000},
        {"/text", "Accept-Encoding: gzip;q=0\r\n", true, 20000},
        {"/text", "Accept-Encoding: gzip;q=2\r\n", true, 20000},
        {"/text", "Accept-Encoding: gzip\r\nAccept-Encoding: zstd;;\r\n", true, 20000},
        {"/text", "Accept-Encoding: *;q=0\r\n", true, 20000}, /* nothing would be acceptable */
        {"/large", "", true, LARGE},
        {"/short", "Accept-Encoding: gzip\r\n", false, 1000},
        {"/image", "Accept-Encoding: gzip\r\n", false, 20000},
        {"/stream", "Accept-Encoding: gzip\r\n", false, 20000},
        {"/settled", "Accept-Encoding: gzip\r\n", false, 20000},
        {"/untouched", "Accept-Encoding: gzip, identity;q=0\r\n", false, 20000},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        struct answer answer = get("GET", cases[i].path, cases[i].headers);
        assert_int_equal(answer.code, 200);
        assert_has_not(answer.head, "content-encoding: gzip");
        assert_has_not(answer.head, "content-encoding: zstd");
        assert_int_equal(strstr(answer.head, "vary: Accept-Encoding") != NULL, cases[i].varies);
        test_assert_has(answer.head, "\r\netag: \"one\"\r\n");
        assert_int_equal(answer.len, cases[i].len);
        assert_memory_equal(answer.body, text, answer.len);
        free_answer(&answer);
    }
}

static void noise_is_sent_as_it_is(void **state)
{
    (void)state;
    static const char *const paths[] = {"/noise", "/noise?all"};
    for (size_t i = 0; i < TG_ARRAY_LEN(paths); i++) {
        struct answer answer = get("GET", paths[i], "Accept-Encoding: gzip, zstd\r\n");
        assert_int_equal(answer.len, i == 0 ? 20000 : 200000);
        assert_has_not(answer.head, "content-encoding");
        test_assert_has(answer.head, "vary: Accept-Encoding\r\n");
        free_answer(&answer);
    }
}

static void head_says_what_get_would_say(void **state)
{
    (void)state;
    static const char *const paths[] = {"/text", "/large", "/short"};
    for (size_t i = 0; i < TG_ARRAY_LEN(paths); i++) {
        struct answer full = get("GET", paths[i], "Accept-Encoding: gzip\r\n");
        struct answer head = get("HEAD", paths[i], "Accept-Encoding: gzip\r\n");
        assert_int_equal(head.len, 0);
        static const char *const names[] = {"\r\ncontent-length: ", "\r\ncontent-encoding: ",
                                            "\r\nvary: ", "\r\netag: "};
        for (size_t k = 0; k < TG_ARRAY_LEN(names); k++) {
            const char *a = strcasestr(full.head, names[k]), *b = strcasestr(head.head, names[k]);
            assert_int_equal(a == NULL, b == NULL);
            if (a != NULL)
                assert_memory_equal(a, b, strcspn(a + 2, "\r") + 2);
        }
        free_answer(&full);
        free_answer(&head);
    }
}

static void an_unchanged_one_has_the_tag_of_the_answer_that_it_stands_for(void **state)
{
    (void)state;
    static const struct {
        const char *request, *tag;
    } cases[] = {{"", "\r\netag: \"one\"\r\n"},
                 {"Accept-Encoding: gzip;q=0\r\n", "\r\netag: \"one\"\r\n"},
                 {"Accept-Encoding: gzip\r\n", "\r\netag: W/\"one\"\r\n"}};
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        struct answer answer = get("GET", "/unchanged", cases[i].request);
        assert_int_equal(answer.code, 304);
        test_assert_has(answer.head, cases[i].tag);
        test_assert_has(answer.head, "\r\nvary: Accept-Encoding\r\n");
        assert_has_not(answer.head, "content-encoding");
        free_answer(&answer);
    }
}

static void compressed_bytes_are_counted(void **state)
{
    (void)state;
    uint16_t admin = tg_http_server_admin_port(server);
    static const char in[] = "tidegate_http_compress_in_bytes_total{coding=\"zstd\"}";
    static const char out[] = "tidegate_http_compress_out_bytes_total{coding=\"zstd\"}";
    long in_before = test_metric(admin, in), out_before = test_metric(admin, out);
    struct answer answer = get("GET", "/text", "Accept-Encoding: zstd\r\n");
    assert_int_equal(test_metric(admin, in) - in_before, 20000);
    assert_int_equal(test_metric(admin, out) - out_before, answer.len);
    free_answer(&answer);
}

/* While large answers are compressed, one that is asked for then is answered in between. */
static void large_answers_do_not_hold_up_others(void **state)
{
    (void)state;
    enum { LARGE_ONES = 16 };
    int fds[LARGE_ONES];
    for (size_t i = 0; i < LARGE_ONES; i++) {
        fds[i] = test_connect(port());
        test_say(fds[i], "GET /large HTTP/1.1\r\nAccept-Encoding: gzip\r\n" END);
    }
    struct answer answer = get("GET", "/text", "Accept-Encoding: gzip\r\n");
    assert_int_equal(answer.code, 200);
    free_answer(&answer);
    struct pollfd last = {.fd = fds[LARGE_ONES - 1], .events = POLLIN};
    assert_int_equal(poll(&last, 1, 0), 0);
    for (size_t i = 0; i < LARGE_ONES; i++) {
        free(test_read_all(fds[i], NULL));
        close(fds[i]);
    }
}

static void a_drain_sends_what_waits_to_be_compressed(void **state)
{
    (void)state;
    tg_http_config_t other = config;
    other.drain_ms = 0;
    const tg_http_service_t service = {.name = "drained",
                                       .config = &other,
                                       .routes = routes,
                                       .route_count = TG_ARRAY_LEN(routes)};
    tg_http_server_t *drained = NULL;
    assert_int_equal(tg_http_server_open(&service, &drained, NULL), TG_OK);
    int fds[8];
    for (size_t i = 0; i < TG_ARRAY_LEN(fds); i++) {
        fds[i] = test_connect(tg_http_server_port(drained));
        test_say(fds[i], "GET /large HTTP/1.1\r\nAccept-Encoding: gzip\r\n" H "\r\n");
    }
    tg_http_server_close(drained); /* asserts that no connection is left */
    for (size_t i = 0; i < TG_ARRAY_LEN(fds); i++)
        close(fds[i]);
}

/* --- connections of one address --- */

static void connections_beyond_those_of_an_address_are_told_and_closed(void **state)
{
    (void)state;
    tg_http_config_t few = config;
    few.max_per_address = 3;
    few.threads = 2; /* which share the count */
    const tg_http_service_t service = {.name = "few",
                                       .config = &few,
                                       .routes = routes,
                                       .route_count = TG_ARRAY_LEN(routes)};
    tg_http_server_t *small = NULL;
    assert_int_equal(tg_http_server_open(&service, &small, NULL), TG_OK);
    uint16_t admin = tg_http_server_admin_port(small);
    int fds[3];
    for (size_t i = 0; i < 3; i++) {
        fds[i] = test_connect(tg_http_server_port(small));
        test_say(fds[i], "GET /short HTTP/1.1\r\n" H "\r\n");
        free(test_read_answer(fds[i], false));
    }
    char *answer = test_exchange(tg_http_server_port(small), "");
    assert_int_equal(test_code(answer), 429);
    test_assert_has(answer, "connection: close\r\n");
    test_assert_has(answer, "\"too_many_connections\"");
    test_metric_wait(admin, "tidegate_http_limited_total{limit=\"address\"}", 1);
    free(answer);
    close(fds[0]);
    test_metric_wait(admin, "tidegate_http_connections", 3); /* the asking one is the third */
    answer = test_exchange(tg_http_server_port(small), "GET /short HTTP/1.1\r\n" END);
    assert_int_equal(test_code(answer), 200);
    free(answer);
    close(fds[1]);
    close(fds[2]);
    tg_http_server_close(small);
}

/* --- start --- */

static void bad_origins_stop_the_start(void **state)
{
    (void)state;
    tg_http_config_t bad = config;
    bad.cors_origins = "https://a.com/";
    const tg_http_service_t service = {.name = "bad",
                                       .config = &bad,
                                       .routes = routes,
                                       .route_count = TG_ARRAY_LEN(routes)};
    tg_http_server_t *none = NULL;
    tg_error_t error;
    assert_int_equal(tg_http_server_open(&service, &none, &error), TG_INVALID);
    assert_non_null(strstr(error.text, "http.cors_origins: the origin \"https://a.com/\""));
}

static void a_star_lets_all_in_without_credentials(void **state)
{
    (void)state;
    tg_http_config_t open_to_all = config;
    open_to_all.cors_origins = "*";
    const tg_http_service_t service = {.name = "open",
                                       .config = &open_to_all,
                                       .routes = routes,
                                       .route_count = TG_ARRAY_LEN(routes)};
    tg_http_server_t *open_server = NULL;
    assert_int_equal(tg_http_server_open(&service, &open_server, NULL), TG_OK);
    static const char *const requests[] = {
        "GET /short HTTP/1.1\r\nOrigin: https://any.example.com\r\n" END,
        "GET /short HTTP/1.1\r\n" END,
        "OPTIONS /text HTTP/1.1\r\nOrigin: null\r\n" PREFLIGHT END,
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(requests); i++) {
        char *answer = test_exchange(tg_http_server_port(open_server), requests[i]);
        test_assert_has(answer, "\r\naccess-control-allow-origin: *\r\n");
        assert_has_not(answer, "credentials");
        assert_has_not(answer, "vary");
        free(answer);
    }
    tg_http_server_close(open_server);
}

/* What the edge may say changes whole, or, with a list that is wrong, not at all. */
static void a_reload_takes_another_list_and_stops_compressing(void **state)
{
    (void)state;
    tg_http_config_t next = config;
    next.cors_origins = "https://new.example.com";
    next.compress = false;
    assert_int_equal(tg_http_server_reload(server, &next, NULL, NULL), TG_OK);
    struct answer answer =
        get("GET", "/text", "Origin: https://new.example.com\r\nAccept-Encoding: gzip\r\n");
    test_assert_has(answer.head, "\r\naccess-control-allow-origin: https://new.example.com\r\n");
    assert_has_not(answer.head, "content-encoding");
    free_answer(&answer);
    next.cors_origins = "https://new.example.com/";
    next.compress = true;
    tg_error_t error;
    assert_int_equal(tg_http_server_reload(server, &next, NULL, &error), TG_INVALID);
    answer = get("GET", "/text", "Origin: https://new.example.com\r\nAccept-Encoding: gzip\r\n");
    test_assert_has(answer.head, "\r\naccess-control-allow-origin: https://new.example.com\r\n");
    assert_has_not(answer.head, "content-encoding");
    free_answer(&answer);
    assert_int_equal(tg_http_server_reload(server, &config, NULL, NULL), TG_OK);
}

static int open_server(void **state)
{
    (void)state;
    static tg_http_service_t service;
    static char origins[] = "https://app.example.com, http://localhost:3000";
    text = malloc(LARGE);
    for (size_t i = 0; text != NULL && i < LARGE; i++)
        text[i] = (char)('a' + (i * i / 7) % 16);
    config = test_config();
    config.cors_origins = origins;
    config.cors_max_age_ms = 600000;
    config.compress = true;
    service = (tg_http_service_t){.name = "edge",
                                  .config = &config,
                                  .routes = routes,
                                  .route_count = TG_ARRAY_LEN(routes)};
    return text == NULL || tg_http_server_open(&service, &server, NULL) != TG_OK;
}

static int close_server(void **state)
{
    (void)state;
    tg_http_server_close(server);
    free(text);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_tells_the_methods_of_a_path),
        cmocka_unit_test(a_wrong_method_is_told_in_the_form_of_its_path),
        cmocka_unit_test(a_preflight_of_a_listed_origin_is_answered),
        cmocka_unit_test(a_preflight_of_another_origin_is_refused),
        cmocka_unit_test(answers_name_a_listed_origin_only),
        cmocka_unit_test(an_answer_comes_in_the_coding_that_is_accepted),
        cmocka_unit_test(an_answer_stays_as_it_is_when_nothing_else_is_accepted),
        cmocka_unit_test(noise_is_sent_as_it_is),
        cmocka_unit_test(head_says_what_get_would_say),
        cmocka_unit_test(an_unchanged_one_has_the_tag_of_the_answer_that_it_stands_for),
        cmocka_unit_test(compressed_bytes_are_counted),
        cmocka_unit_test(large_answers_do_not_hold_up_others),
        cmocka_unit_test(a_drain_sends_what_waits_to_be_compressed),
        cmocka_unit_test(connections_beyond_those_of_an_address_are_told_and_closed),
        cmocka_unit_test(bad_origins_stop_the_start),
        cmocka_unit_test(a_star_lets_all_in_without_credentials),
        cmocka_unit_test(a_reload_takes_another_list_and_stops_compressing),
    };
    return cmocka_run_group_tests(tests, open_server, close_server);
}
