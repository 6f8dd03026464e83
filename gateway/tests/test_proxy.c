/* The whole gateway in one process: real sockets and control tables, scripted upstreams. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/time.h"
#include "common/http/tests/support.h"
#include "gateway/gateway.h"
#include "gateway/tests/control.h"

#define SECRET "a-secret-of-the-tests"
#define OK     "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"

static control_t control;
static char all_key[TG_KEY_LEN + 1], read_key[TG_KEY_LEN + 1];

static struct {
    tg_gateway_config_t config;
    tg_gateway_t *gateway;
    tg_http_server_t *server;
    test_upstream_t *upstreams[TG_UP_COUNT];
    char addresses[TG_UP_COUNT][32];
} g;

/* --- the gateway under test --- */

/* Each test begins with a configuration that it may change before gateway_start. */
static int configure(void **state)
{
    (void)state;
    memset(&g, 0, sizeof(g));
    g.config = (tg_gateway_config_t){
        .http = test_config(),
        .pg_dsn = control.dsn,
        .secret = (char *)(uintptr_t)SECRET,
        .max_connections = 4,
        .max_inflight = 1024,
        .max_queue = 1024,
        .slack_ms = 10,
        .max_waiting = 4,
        .connect_timeout_ms = 1000,
        .max_answer = 64 << 10,
        .watch_first_ms = 10000,
        .watch_poll_ms = 50,
        .watch_stale_ms = 60000,
    };
    return 0;
}

static void script(tg_upstream_t upstream, const char *const *lines)
{
    g.upstreams[upstream] = test_upstream_start(lines);
}

static void gateway_start(void)
{
    tg_error_t error = {.status = TG_OK};
    for (size_t i = 0; i < TG_UP_COUNT; i++) {
        uint16_t port =
            g.upstreams[i] != NULL ? test_upstream_port(g.upstreams[i]) : test_free_port();
        (void)snprintf(g.addresses[i], sizeof(g.addresses[i]), "127.0.0.1:%u", port);
        g.config.instances[i] = g.addresses[i];
    }
    assert_int_equal(tg_gateway_open(&g.config, &g.gateway, &error), TG_OK);
    if (tg_http_server_open(tg_gateway_service(g.gateway), &g.server, &error) != TG_OK)
        fail_msg("%s", error.text);
}

/* Upstreams last: their threads end when the gateway has closed its connections. */
static int dispose(void **state)
{
    (void)state;
    tg_http_server_close(g.server);
    tg_gateway_close(g.gateway);
    for (size_t i = 0; i < TG_UP_COUNT; i++) {
        if (g.upstreams[i] != NULL)
            test_upstream_stop(g.upstreams[i]);
    }
    return 0;
}

/* --- talking to it --- */

static int connect_and_say(const char *line, const char *headers, const char *body)
{
    char text[4096];
    int len = snprintf(text, sizeof(text), "%s HTTP/1.1\r\nHost: test\r\n%s%s", line, headers,
                       body[0] == '\0' ? "\r\n" : "");
    if (body[0] != '\0')
        len += snprintf(text + len, sizeof(text) - (size_t)len, "Content-Length: %zu\r\n\r\n%s",
                        strlen(body), body);
    assert_in_range(len, 1, sizeof(text) - 1);
    int fd = test_connect(tg_http_server_port(g.server));
    test_say(fd, text);
    return fd;
}

static char *send_request(const char *line, const char *headers, const char *body)
{
    int fd = connect_and_say(line, headers, body);
    char *answer = test_read_answer(fd, strncmp(line, "HEAD", 4) == 0);
    close(fd);
    return answer;
}

/* The same with a key that may do everything. */
static char *ask(const char *line, const char *headers, const char *body)
{
    char all[2048];
    (void)snprintf(all, sizeof(all), "X-API-Key: %s\r\n%s", all_key, headers);
    return send_request(line, all, body);
}

static void expect(char *answer, int code, const char *part)
{
    if (test_code(answer) != code || strcasestr(answer, part) == NULL)
        fail_msg("expected %d with \"%s\", got: %s", code, part, answer);
    free(answer);
}

static void assert_has_not(const char *text, const char *part)
{
    if (strcasestr(text, part) != NULL)
        fail_msg("\"%s\" is in: %s", part, text);
}

static size_t occurrences(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strcasestr(text, part); at != NULL; at = strcasestr(at + 1, part))
        count++;
    return count;
}

static void wait_requests(tg_upstream_t upstream, unsigned wanted)
{
    uint64_t end = tg_time_mono_ms() + TEST_WAIT_MS;
    while (test_upstream_requests(g.upstreams[upstream]) < wanted && tg_time_mono_ms() < end)
        usleep(1000);
    assert_int_equal(test_upstream_requests(g.upstreams[upstream]), wanted);
}

/* The `n`-th request that an upstream has read. */
static const char *seen(tg_upstream_t upstream, unsigned n)
{
    wait_requests(upstream, n);
    return test_upstream_last(g.upstreams[upstream]);
}

static long metric(const char *series)
{
    return test_metric(tg_http_server_admin_port(g.server), series);
}

/* --- identity --- */

static void the_upstream_hears_who_asks_and_nothing_that_the_client_forged(void **state)
{
    (void)state;
    static const char *const lines[] = {OK, NULL};
    script(TG_UP_QUERY, lines);
    gateway_start();
    expect(ask("GET /v1/kpi/minute",
               "X-Tidegate-Tenant: victim\r\nX-Tidegate-Secret: forged\r\n"
               "x-tidegate-deadline-ms: 999999\r\nX-TIDEGATE-Admin: yes\r\n",
               ""),
           200, "{}");
    const char *request = seen(TG_UP_QUERY, 1);
    test_assert_has(request, "\r\nx-tidegate-tenant: acme\r\n");
    test_assert_has(request, "\r\nx-tidegate-secret: " SECRET "\r\n");
    assert_int_equal(occurrences(request, "x-tidegate-"), 3);
    const char *deadline = strcasestr(request, "\r\nx-tidegate-deadline-ms: ");
    assert_non_null(deadline);
    assert_in_range(strtoul(deadline + 26, NULL, 10), 1000, 5000);
    assert_has_not(request, "victim");
    assert_has_not(request, "forged");
    assert_has_not(request, all_key);
}

static void only_the_listed_headers_travel_to_the_upstream(void **state)
{
    (void)state;
    static const char *const lines[] = {OK, NULL};
    script(TG_UP_INGESTION, lines);
    gateway_start();
    expect(ask("POST /v1/events/order",
               "Content-Type: application/json\r\nAccept: application/json\r\n"
               "Idempotency-Key: abc\r\nX-Request-Id: my-id-1\r\n"
               "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
               "Cookie: a=b\r\nX-Forwarded-For: 1.2.3.4\r\nAccept-Encoding: gzip\r\n"
               "TE: trailers\r\nReferer: http://x\r\nConnection: keep-alive\r\n",
               "{\"amount\":1}"),
           200, "\r\nx-request-id: my-id-1\r\n");
    const char *request = seen(TG_UP_INGESTION, 1);
    assert_int_equal(strncmp(request, "POST /v1/events/order HTTP/1.1\r\n", 32), 0);
    static const char *const passed[] = {
        "\r\ncontent-type: application/json\r\n",
        "\r\naccept: application/json\r\n",
        "\r\nidempotency-key: abc\r\n",
        "\r\nx-request-id: my-id-1\r\n",
        "\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-",
        "\r\ncontent-length: 12\r\n",
        "\r\n\r\n{\"amount\":1}",
    };
    static const char *const dropped[] = {"cookie",  "forwarded",  "encoding", "\r\nte:",
                                          "referer", "connection", "api-key",  "b7ad6b7169203331"};
    for (size_t i = 0; i < TG_ARRAY_LEN(passed); i++)
        test_assert_has(request, passed[i]);
    for (size_t i = 0; i < TG_ARRAY_LEN(dropped); i++)
        assert_has_not(request, dropped[i]);
}

static void only_the_listed_headers_travel_back(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "HTTP/1.1 405 Whatever\r\ncontent-type: text/plain\r\netag: W/\"1\"\r\nallow: GET\r\n"
        "retry-after: 7\r\ncache-control: private\r\nset-cookie: a=b\r\nx-internal: secret\r\n"
        "x-request-id: theirs\r\nserver: upstream\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.1 304 Not Modified\r\netag: W/\"1\"\r\n\r\n", NULL};
    script(TG_UP_QUERY, lines);
    gateway_start();
    char *answer = ask("GET /v1/kpi/minute", "X-Request-Id: mine\r\n", "");
    static const char *const passed[] = {"HTTP/1.1 405 ",          "content-type: text/plain\r\n",
                                         "\r\netag: W/\"1\"\r\n",  "\r\nallow: GET\r\n",
                                         "\r\nretry-after: 7\r\n", "\r\ncache-control: private\r\n",
                                         "x-request-id: mine\r\n"};
    static const char *const dropped[] = {"cookie", "internal", "theirs", "upstream"};
    for (size_t i = 0; i < TG_ARRAY_LEN(passed); i++)
        test_assert_has(answer, passed[i]);
    for (size_t i = 0; i < TG_ARRAY_LEN(dropped); i++)
        assert_has_not(answer, dropped[i]);
    free(answer);

    expect(ask("GET /v1/kpi/minute", "If-None-Match: W/\"1\"\r\n", ""), 304, "etag: W/\"1\"");
    test_assert_has(seen(TG_UP_QUERY, 2), "\r\nif-none-match: W/\"1\"\r\n");
}

/* --- targets --- */

static void every_spelling_of_a_path_reaches_the_one_canonical_target(void **state)
{
    (void)state;
    static const char *const asked[] = {
        "GET /v1/kpi/minute?limit=5&currency=%E2%82%AC",
        "GET /api/v1/kpi/minute?limit=5&currency=%E2%82%AC",
        "GET /kpi/minute?limit=5&currency=%E2%82%AC",
        "GET /%76%31/kpi/%6dinute?limit=5&currency=%E2%82%AC",
        "GET /api/%761/%6bpi/minute?limit=5&currency=%E2%82%AC",
    };
    static const char *const lines[] = {OK, OK, OK, OK, OK, NULL};
    script(TG_UP_QUERY, lines);
    gateway_start();
    for (unsigned i = 0; i < TG_ARRAY_LEN(asked); i++) {
        expect(ask(asked[i], "", ""), 200, "{}");
        test_assert_has(seen(TG_UP_QUERY, i + 1),
                        "GET /v1/kpi/minute?limit=5&currency=%E2%82%AC HTTP/1.1\r\n");
    }
}

static void an_escaped_byte_of_a_name_is_escaped_once(void **state)
{
    (void)state;
    static const char *const lines[] = {OK, NULL};
    script(TG_UP_REGISTRY, lines);
    gateway_start();
    expect(ask("GET /v2/registry/subjects/a%20b%25c-value/versions", "", ""), 200, "{}");
    test_assert_has(seen(TG_UP_REGISTRY, 1), "GET /subjects/a%20b%25c-value/versions HTTP/1.1\r\n");
}

static void the_registrys_bare_prefix_is_its_root(void **state)
{
    (void)state;
    static const char *const lines[] = {OK, OK, NULL};
    script(TG_UP_REGISTRY, lines);
    gateway_start();
    expect(ask("GET /v2/registry", "", ""), 200, "{}");
    test_assert_has(seen(TG_UP_REGISTRY, 1), "GET / HTTP/1.1\r\n");
    expect(ask("GET /v2/registry?deleted=true", "", ""), 200, "{}");
    test_assert_has(seen(TG_UP_REGISTRY, 2), "GET /?deleted=true HTTP/1.1\r\n");
}

static void a_head_request_hears_the_length_of_the_answer_without_the_answer(void **state)
{
    (void)state;
    static const char *const lines[] = {OK, OK, NULL};
    script(TG_UP_QUERY, lines);
    gateway_start();
    char *answer = ask("HEAD /v1/kpi/minute", "", "");
    assert_int_equal(test_code(answer), 200);
    test_assert_has(answer, "\r\ncontent-length: 2\r\n");
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    free(answer);
    expect(ask("GET /v1/kpi/minute", "", ""), 200, "\r\n\r\n{}");
}

static void a_large_answer_comes_back_whole(void **state)
{
    (void)state;
    static char large[60200];
    int head = sprintf(large, "HTTP/1.1 200 OK\r\netag: \"x\"\r\ncontent-length: 60000\r\n\r\n");
    for (int i = 0; i < 60000; i++)
        large[head + i] = (char)('a' + i % 23);
    const char *const lines[] = {large, large, OK, large, NULL};
    script(TG_UP_QUERY, lines);
    gateway_start();
    for (size_t i = 0; i < 2; i++) {
        char *answer = ask("GET /v1/kpi/minute", "", "");
        test_assert_has(answer, "\r\netag: \"x\"\r\n");
        assert_string_equal(strstr(answer, "\r\n\r\n") + 4, large + head);
        free(answer);
    }
    expect(ask("GET /v1/kpi/minute", "", ""), 200, "\r\n\r\n{}");
    char *answer = ask("HEAD /v1/kpi/minute", "", "");
    test_assert_has(answer, "\r\ncontent-length: 60000\r\n");
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    free(answer);
}

/* --- refusals --- */

static void a_request_without_a_good_key_is_refused_before_any_upstream(void **state)
{
    (void)state;
    char headers[256], wrong[TG_KEY_LEN + 1];
    tg_key_t unused;
    tg_key_generate(wrong, &unused);
    gateway_start();
    char *answer = send_request("GET /v1/kpi/minute", "", "");
    test_assert_has(answer, "\r\nwww-authenticate: Bearer realm=\"tidegate\"\r\n");
    expect(answer, 401, "{\"error\":{\"code\":\"missing_key\"");
    (void)snprintf(headers, sizeof(headers), "Authorization: Bearer %s\r\n", wrong);
    expect(send_request("GET /v1/kpi/minute", headers, ""), 401, "\"code\":\"invalid_key\"");
    (void)snprintf(headers, sizeof(headers), "Authorization: Bearer %s\r\n", read_key);
    expect(send_request("POST /v1/events/order", headers, "{}"), 403,
           "\"code\":\"insufficient_scope\"");
    answer = send_request("POST /v2/events", headers, "[]");
    test_assert_has(answer, "content-type: application/problem+json");
    expect(answer, 403, "insufficient_scope");
    expect(send_request("GET /v2/registry/subjects", headers, ""), 403, "\"error_code\":403");
    expect(send_request("PATCH /v2/registry/subjects", headers, ""), 405, "\"error_code\":405");
    answer = send_request("PUT /v2/registry/config", "", "{}");
    test_assert_has(answer, "\r\nwww-authenticate: Basic realm=\"tidegate\", Bearer ");
    expect(answer, 401, "{\"error_code\":401,\"message\":");
    assert_int_equal(metric("tidegate_gateway_auth_total{result=\"missing\"}"), 2);
    assert_int_equal(metric("tidegate_gateway_auth_total{result=\"invalid\"}"), 1);
    assert_int_equal(metric("tidegate_gateway_auth_total{result=\"forbidden\"}"), 3);
}

static void an_empty_bucket_is_429_and_says_when_to_come_back(void **state)
{
    (void)state;
    static const char *const lines[] = {OK, OK, OK, NULL};
    char key[TG_KEY_LEN + 1], headers[128];
    control_sql(&control, "insert into control.plans values ('slow', 1, 2);"
                          " insert into control.tenants (id, plan) values ('slow', 'slow')");
    control_key(&control, "slow", "read,ingest", "null", key);
    (void)snprintf(headers, sizeof(headers), "X-API-Key: %s\r\n", key);
    script(TG_UP_QUERY, lines);
    gateway_start();
    char *answer = send_request("GET /v1/metrics", headers, "");
    test_assert_has(answer, "\r\nratelimit: \"read\";r=1;t=1\r\n");
    expect(answer, 200, "\r\nratelimit-policy: \"read\";q=1;w=1\r\n");
    expect(send_request("GET /v1/metrics", headers, ""), 200, "\r\nratelimit: \"read\";r=0;");
    answer = send_request("GET /v1/metrics", headers, "");
    test_assert_has(answer, "\r\nretry-after: 1\r\n");
    test_assert_has(answer, "\r\nratelimit: \"read\";r=0;");
    expect(answer, 429, "\"code\":\"rate_limited\"");
    assert_int_equal(metric(
                         "tidegate_gateway_rate_limited_total{class=\"read\",limit=\"requests\"}"),
                     1);
    /* Nobody else pays for it: not the tenant's other class, not another tenant. */
    expect(send_request("POST /v1/events/order", headers, "{}"), 503, "upstream_unavailable");
    expect(ask("GET /v1/metrics", "", ""), 200, "{}");
    assert_int_equal(test_upstream_requests(g.upstreams[TG_UP_QUERY]), 3);
}

static void a_path_that_is_to_go_says_so_and_a_plan_may_be_without_a_version(void **state)
{
    (void)state;
    static const char *const lines[] = {OK, NULL};
    char key[TG_KEY_LEN + 1], headers[128];
    control_sql(&control, "insert into control.plans (name, requests_per_second, burst, limits)"
                          " values ('old', 100, 100, '{\"versions\": 1}');"
                          " insert into control.tenants (id, plan) values ('old', 'old')");
    control_key(&control, "old", "read,ingest", "null", key);
    (void)snprintf(headers, sizeof(headers), "X-API-Key: %s\r\n", key);
    g.config.deprecations = (char *)(uintptr_t) "/v1/metrics 2026-12-01 2027-06-30 /v2/query";
    script(TG_UP_QUERY, lines);
    gateway_start();
    char *answer = send_request("GET /metrics", headers, "");
    test_assert_has(answer, "\r\ndeprecation: @1796083200\r\n");
    test_assert_has(answer, "\r\nsunset: Wed, 30 Jun 2027 00:00:00 GMT\r\n");
    expect(answer, 200, "\r\nlink: </v2/query>; rel=\"successor-version\"\r\n");
    answer = send_request("POST /v2/events", headers, "{}");
    assert_null(strstr(answer, "deprecation"));
    expect(answer, 403, "\"code\":\"version_disabled\"");
}

static void a_revoked_key_is_refused_within_the_poll(void **state)
{
    (void)state;
    char key[TG_KEY_LEN + 1], headers[128];
    control_key(&control, "acme", "read", "null", key);
    (void)snprintf(headers, sizeof(headers), "X-API-Key: %s\r\n", key);
    gateway_start();
    expect(send_request("GET /v1/metrics", headers, ""), 503, "upstream_unavailable");
    control_sql(&control, "update control.api_keys set revoked_at = now() where id = '%.12s'",
                key + 3);
    uint64_t end = tg_time_mono_ms() + 2000;
    int code = 0;
    while (code != 401 && tg_time_mono_ms() < end) {
        char *answer = send_request("GET /v1/metrics", headers, "");
        code = test_code(answer);
        free(answer);
    }
    assert_int_equal(code, 401);
}

static void snapshots_are_swapped_under_two_busy_threads(void **state)
{
    (void)state;
    char headers[128];
    g.config.http.threads = 2;
    g.config.watch_poll_ms = 5;
    g.config.max_connections = 16;
    gateway_start();
    (void)snprintf(headers, sizeof(headers), "X-API-Key: %s\r\n", all_key);
    for (unsigned round = 0; round < 10; round++) {
        int fds[12];
        for (size_t i = 0; i < TG_ARRAY_LEN(fds); i++)
            fds[i] = connect_and_say("GET /v1/metrics", headers, "");
        control_sql(&control, "update control.plans set burst = %u where name = 'default'",
                    2000 + round);
        for (size_t i = 0; i < TG_ARRAY_LEN(fds); i++) {
            expect(test_read_answer(fds[i], false), 503, "upstream_unavailable");
            close(fds[i]);
        }
    }
    assert_int_equal(metric("tidegate_gateway_auth_total{result=\"ok\"}"), 120);
}

/* --- trouble with upstreams --- */

static void an_upstream_that_is_down_is_503_with_retry_after(void **state)
{
    (void)state;
    gateway_start();
    char *answer = ask("POST /v1/events/order", "", "{}");
    test_assert_has(answer, "\r\nretry-after: 1\r\n");
    expect(answer, 503, "\"code\":\"upstream_unavailable\"");
    assert_int_equal(
        metric("tidegate_gateway_upstream_total{upstream=\"ingestion\",result=\"unavailable\"}"),
        1);
}

static void an_answer_that_cannot_be_read_is_502(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "ICY 200 OK\r\n\r\n",
        TEST_CLOSE,
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        TEST_CLOSE,
        "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n",
        TEST_CLOSE,
        "HTTP/1.1 999 Strange\r\ncontent-length: 0\r\n\r\n",
        TEST_CLOSE,
        "HTTP/1.1 200 OK\r\netag: a\rb\r\ncontent-length: 0\r\n\r\n",
        TEST_CLOSE,
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", /* truncated */
        TEST_CLOSE,
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n",
        TEST_CLOSE,
        "HTTP/1.1 200 OK\r\ncontent-le",
        TEST_CLOSE,
        NULL};
    script(TG_UP_INGESTION, lines); /* not idempotent: none is asked twice */
    g.config.upstreams = (tg_upstreams_config_t){.breaker_row = 100,
                                                 .breaker_ratio = 100,
                                                 .breaker_ratio_min = 100,
                                                 .breaker_window_ms = 10000,
                                                 .breaker_open_ms = 1000,
                                                 .breaker_open_max_ms = 1000,
                                                 .breaker_probes = 1};
    gateway_start();
    for (unsigned i = 0; i < 8; i++)
        expect(ask("POST /v1/events/order", "", "{}"), 502, "\"code\":\"bad_upstream_answer\"");
    assert_int_equal(
        metric("tidegate_gateway_upstream_total{upstream=\"ingestion\",result=\"malformed\"}"), 8);
}

static void an_upstream_that_says_nothing_is_504_within_the_deadline(void **state)
{
    (void)state;
    static const char *const lines[] = {TEST_SILENT, OK, NULL};
    g.config.http.deadline_ms = 300;
    script(TG_UP_QUERY, lines);
    gateway_start();
    uint64_t started = tg_time_mono_ms();
    expect(ask("GET /v1/metrics", "", ""), 504, "\"code\":\"deadline_exceeded\"");
    assert_in_range(tg_time_mono_ms() - started, 200, 3000);
    expect(ask("GET /v1/metrics", "", ""), 200, "{}");
    assert_int_equal(metric(
                         "tidegate_gateway_upstream_total{upstream=\"query\",result=\"timeout\"}"),
                     1);
    assert_int_equal(metric("tidegate_gateway_client_gone_total"), 0);
}

static void requests_beyond_the_waiting_room_are_503_overloaded(void **state)
{
    (void)state;
    static const char *const lines[] = {TEST_SILENT, NULL};
    char headers[128];
    int held[3];
    unsigned full = 0;
    g.config.max_connections = 1;
    g.config.max_waiting = 1;
    g.config.http.deadline_ms = 500;
    script(TG_UP_QUERY, lines);
    gateway_start();
    (void)snprintf(headers, sizeof(headers), "X-API-Key: %s\r\n", all_key);
    held[0] = connect_and_say("GET /v1/metrics", headers, "");
    wait_requests(TG_UP_QUERY, 1);
    held[1] = connect_and_say("GET /v1/metrics", headers, "");
    held[2] = connect_and_say("GET /v1/metrics", headers, "");
    for (size_t i = 0; i < TG_ARRAY_LEN(held); i++) {
        char *answer = test_read_answer(held[i], false);
        full += test_code(answer) == 503;
        if (test_code(answer) == 503)
            test_assert_has(answer, "\r\nretry-after: 1\r\n");
        expect(answer, i == 0 || test_code(answer) != 503 ? 504 : 503,
               test_code(answer) == 503 ? "\"code\":\"overloaded\"" : "deadline_exceeded");
        close(held[i]);
    }
    assert_int_equal(full, 1); /* one is under way, one waits */
}

static void a_busy_upstream_has_a_queue_that_is_bounded(void **state)
{
    (void)state;
    static const char *const lines[] = {TEST_SILENT, NULL};
    char headers[128];
    int held[5];
    g.config.max_inflight = 8; /* begins at 4 */
    g.config.max_connections = 8;
    g.config.max_queue = 1;
    g.config.http.deadline_ms = 3000;
    script(TG_UP_QUERY, lines);
    gateway_start();
    (void)snprintf(headers, sizeof(headers), "X-API-Key: %s\r\n", all_key);
    for (size_t i = 0; i < TG_ARRAY_LEN(held); i++)
        held[i] = connect_and_say("GET /v1/metrics", headers, "");
    uint16_t admin = tg_http_server_admin_port(g.server);
    test_metric_wait(admin, "tidegate_gateway_queue_waiting{upstream=\"query\"}", 1);
    test_metric_wait(admin, "tidegate_gateway_inflight{upstream=\"query\"}", 4);
    expect(ask("GET /v1/metrics", "", ""), 503, "\"code\":\"overloaded\"");
    assert_int_equal(
        metric("tidegate_gateway_queue_refused_total{upstream=\"query\",reason=\"full\"}"), 1);
    close(held[4]); /* whoever leaves, in the queue or not, makes room at its deadline */
    for (size_t i = 0; i < 4; i++) {
        expect(test_read_answer(held[i], false), 504, "deadline_exceeded");
        close(held[i]);
    }
    test_metric_wait(admin, "tidegate_gateway_queue_waiting{upstream=\"query\"}", 0);
    test_metric_wait(admin, "tidegate_gateway_inflight{upstream=\"query\"}", 0);
}

static void a_call_whose_client_is_cut_is_cancelled(void **state)
{
    (void)state;
    static const char *const lines[] = {TEST_SILENT, NULL};
    char headers[128];
    g.config.http.drain_ms = 50;
    script(TG_UP_QUERY, lines);
    gateway_start();
    (void)snprintf(headers, sizeof(headers), "X-API-Key: %s\r\n", all_key);
    int fd = connect_and_say("GET /v1/metrics", headers, "");
    wait_requests(TG_UP_QUERY, 1);
    assert_int_equal(tg_http_server_drain(g.server), 1);
    char *answer = test_read_answer(fd, false);
    close(fd);
    expect(answer, 503, "\"code\":\"shutting_down\"");
    assert_int_equal(metric("tidegate_gateway_client_gone_total"), 1);
}

static void a_client_that_leaves_harms_nobody(void **state)
{
    (void)state;
    static const char *const lines[] = {TEST_SILENT, OK, NULL};
    char headers[128];
    g.config.http.deadline_ms = 300;
    script(TG_UP_QUERY, lines);
    gateway_start();
    (void)snprintf(headers, sizeof(headers), "X-API-Key: %s\r\n", all_key);
    int fd = connect_and_say("GET /v1/metrics", headers, "");
    wait_requests(TG_UP_QUERY, 1);
    close(fd);
    const char *timeouts = "tidegate_gateway_upstream_total{upstream=\"query\",result=\"timeout\"}";
    /* Its call ends by itself. */
    test_metric_wait(tg_http_server_admin_port(g.server), timeouts, 1);
    expect(ask("GET /v1/metrics", "", ""), 200, "{}");
}

/* --- before the keys are read --- */

static void without_a_snapshot_requests_are_503_not_ready(void **state)
{
    (void)state;
    char dsn[] = "host=/tmp/tidegate-no-such-folder user=nobody dbname=none";
    g.config.pg_dsn = dsn;
    g.config.watch_first_ms = 0;
    gateway_start();
    char *answer = ask("GET /v1/metrics", "", "");
    test_assert_has(answer, "\r\nretry-after: 1\r\n");
    expect(answer, 503, "\"code\":\"not_ready\"");
    expect(send_request("GET /health", "", ""), 200, "\"status\":\"ok\"");
    expect(send_request("GET /ready", "", ""), 503, "\"name\":\"control_tables\",\"ready\":false");
    assert_int_equal(metric("tidegate_gateway_auth_total{result=\"not_loaded\"}"), 1);
}

static void health_and_readiness_are_open_to_all(void **state)
{
    (void)state;
    gateway_start();
    expect(send_request("GET /health", "", ""), 200, "\"status\":\"ok\"");
    expect(send_request("GET /ready", "", ""), 200, "\"name\":\"control_tables\",\"ready\":true");
}

static int start(void **state)
{
    (void)state;
    if (control_create(&control) != 0)
        return -1;
    control_sql(&control, "insert into control.tenants (id) values ('acme'), ('victim')");
    control_key(&control, "acme", "ingest,read,registry,manage", "null", all_key);
    control_key(&control, "acme", "read", "null", read_key);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    return control_destroy(&control);
}

#define GATEWAY_TEST(name) cmocka_unit_test_setup_teardown(name, configure, dispose)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GATEWAY_TEST(the_upstream_hears_who_asks_and_nothing_that_the_client_forged),
        GATEWAY_TEST(only_the_listed_headers_travel_to_the_upstream),
        GATEWAY_TEST(only_the_listed_headers_travel_back),
        GATEWAY_TEST(every_spelling_of_a_path_reaches_the_one_canonical_target),
        GATEWAY_TEST(an_escaped_byte_of_a_name_is_escaped_once),
        GATEWAY_TEST(the_registrys_bare_prefix_is_its_root),
        GATEWAY_TEST(a_head_request_hears_the_length_of_the_answer_without_the_answer),
        GATEWAY_TEST(a_large_answer_comes_back_whole),
        GATEWAY_TEST(a_request_without_a_good_key_is_refused_before_any_upstream),
        GATEWAY_TEST(an_empty_bucket_is_429_and_says_when_to_come_back),
        GATEWAY_TEST(a_path_that_is_to_go_says_so_and_a_plan_may_be_without_a_version),
        GATEWAY_TEST(a_revoked_key_is_refused_within_the_poll),
        GATEWAY_TEST(snapshots_are_swapped_under_two_busy_threads),
        GATEWAY_TEST(an_upstream_that_is_down_is_503_with_retry_after),
        GATEWAY_TEST(an_answer_that_cannot_be_read_is_502),
        GATEWAY_TEST(an_upstream_that_says_nothing_is_504_within_the_deadline),
        GATEWAY_TEST(requests_beyond_the_waiting_room_are_503_overloaded),
        GATEWAY_TEST(a_busy_upstream_has_a_queue_that_is_bounded),
        GATEWAY_TEST(a_call_whose_client_is_cut_is_cancelled),
        GATEWAY_TEST(a_client_that_leaves_harms_nobody),
        GATEWAY_TEST(without_a_snapshot_requests_are_503_not_ready),
        GATEWAY_TEST(health_and_readiness_are_open_to_all),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
