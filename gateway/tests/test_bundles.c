/* Single events through a whole gateway to an ingestion of the test's own, which says what came in
 * which bundle and answers when it is told to. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/time.h"
#include "common/http/tests/support.h"
#include "gateway/gateway.h"
#include "gateway/tests/control.h"

#define SECRET     "a-secret-of-the-tests"
#define EVENTS_MAX 16
#define NEVER_MS   600000

static control_t control;
static char key[TG_KEY_LEN + 1], other_key[TG_KEY_LEN + 1];

/* --- the other side --- */

static struct {
    pthread_mutex_t mutex;
    bool hold;           /* bundles are kept until release() */
    tg_http_req_t *held; /* the one that is */
    tg_loop_t *loop;
    const char *answer; /* instead of outcomes; with `answer_len` */
    size_t answer_len;
    int code; /* of an answer that is no bundle's */
    unsigned bundles, alone;
    size_t count; /* events of all bundles */
    char seen[EVENTS_MAX][128];
    size_t sizes[EVENTS_MAX]; /* events of each bundle */
} up;

static struct {
    tg_gateway_config_t config;
    tg_http_config_t up_http;
    tg_http_service_t up_service;
    tg_gateway_t *gateway;
    tg_http_server_t *server, *up_server;
    char addresses[TG_UP_COUNT][32];
} g;

/* By what its body says: {"say":202} and so on. */
static void put_outcome(const tg_bundle_event_t *event, tg_buf_t *out)
{
    tg_bundle_outcome_t outcome = {.http_code = 202, .body = event->body};
    if (memmem(event->body.ptr, event->body.len, "alone", 5) != NULL)
        outcome = (tg_bundle_outcome_t){.http_code = TG_BUNDLE_ALONE};
    else if (memmem(event->body.ptr, event->body.len, "bad", 3) != NULL)
        outcome = (tg_bundle_outcome_t){.http_code = 422,
                                        .code = TG_STR("missing_field"),
                                        .field = TG_STR("amount"),
                                        .message = TG_STR("100 %s of amount is missing.")};
    else if (memmem(event->body.ptr, event->body.len, "away", 4) != NULL)
        outcome = (tg_bundle_outcome_t){.http_code = 503,
                                        .code = TG_STR("kafka_unavailable"),
                                        .message = TG_STR("Kafka is away.")};
    tg_bundle_put_outcome(&outcome, out);
}

static void answer_bundle(tg_http_req_t *req)
{
    if (up.code != 0) {
        tg_http_fail(req, up.code, "of_the_test", TG_STR(""), "As the test says.");
        return;
    }
    tg_buf_t out = tg_buf_make(1 << 20);
    tg_str_t rest = tg_http_body(req);
    while (rest.len > 0) {
        tg_bundle_event_t event;
        assert_int_equal(tg_bundle_take_event(&rest, &event), TG_OK);
        put_outcome(&event, &out);
    }
    if (up.answer != NULL) {
        tg_buf_clear(&out);
        tg_buf_append(&out, up.answer, up.answer_len);
    }
    tg_http_reply_buf(req, 200, TG_BUNDLE_MEDIA_TYPE, &out);
}

static void note_events(tg_str_t rest)
{
    size_t before = up.count;
    while (rest.len > 0 && up.count < EVENTS_MAX) {
        tg_bundle_event_t event;
        assert_int_equal(tg_bundle_take_event(&rest, &event), TG_OK);
        (void)snprintf(up.seen[up.count++], sizeof(up.seen[0]), "%.*s/%.*s/%.*s/%.*s",
                       TG_STR_ARG(event.tenant), TG_STR_ARG(event.type),
                       TG_STR_ARG(event.idempotency_key), TG_STR_ARG(event.body));
    }
    up.sizes[up.bundles] = up.count - before;
    up.bundles++;
}

static void on_held_gone(void *user)
{
    (void)user;
    pthread_mutex_lock(&up.mutex);
    up.held = NULL;
    pthread_mutex_unlock(&up.mutex);
}

static void handle_bundle(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    pthread_mutex_lock(&up.mutex);
    note_events(tg_http_body(req));
    up.loop = tg_http_loop(req);
    bool hold = up.hold;
    if (hold) {
        tg_http_set_user(req, NULL, on_held_gone);
        up.held = req;
        up.hold = false; /* only the first */
    }
    pthread_mutex_unlock(&up.mutex);
    if (!hold)
        answer_bundle(req);
}

static void handle_single(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    pthread_mutex_lock(&up.mutex);
    up.alone++;
    pthread_mutex_unlock(&up.mutex);
    tg_http_reply(req, 202, "application/json", TG_STR("{\"alone\":true}"));
}

static void answer_held(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&up.mutex);
    tg_http_req_t *req = up.held;
    up.held = NULL;
    pthread_mutex_unlock(&up.mutex);
    if (req != NULL)
        answer_bundle(req);
}

static void release(void)
{
    assert_int_equal(tg_loop_post(up.loop, answer_held, NULL), TG_OK);
}

static const tg_http_route_t up_routes[] = {
    {.method = "POST",
     .path = TG_BUNDLE_PATH,
     .handler = handle_bundle,
     .max_body = TG_BUNDLE_BYTES_MAX,
     .flags = TG_HTTP_ROUTE_INTERNAL},
    {.method = "POST",
     .path = "/v1/events/:type",
     .handler = handle_single,
     .max_body = 1 << 20,
     .flags = TG_HTTP_ROUTE_INTERNAL},
};

/* --- set-up --- */

static int configure(void **state)
{
    (void)state;
    memset(&g, 0, sizeof(g));
    memset(&up, 0, sizeof(up));
    pthread_mutex_init(&up.mutex, NULL);
    g.config = (tg_gateway_config_t){
        .http = test_config(),
        .pg_dsn = control.dsn,
        .secret = (char *)(uintptr_t)SECRET,
        .max_connections = 8,
        .max_inflight = 1024,
        .max_queue = 1024,
        .slack_ms = 10,
        .max_waiting = 8,
        .connect_timeout_ms = 1000,
        .max_answer = 1 << 20,
        .bundle_inflight = 1,
        .bundle_linger_ms = NEVER_MS,
        .watch_first_ms = 10000,
        .watch_poll_ms = 50,
        .watch_stale_ms = 60000,
    };
    return 0;
}

static void start_all(void)
{
    tg_error_t error = {.status = TG_OK};
    g.up_http = test_config();
    g.up_service = (tg_http_service_t){.name = "ingestion",
                                       .config = &g.up_http,
                                       .routes = up_routes,
                                       .route_count = TG_ARRAY_LEN(up_routes),
                                       .secret = SECRET};
    if (tg_http_server_open(&g.up_service, &g.up_server, &error) != TG_OK)
        fail_msg("%s", error.text);
    for (size_t i = 0; i < TG_UP_COUNT; i++) {
        uint16_t port = i == TG_UP_INGESTION ? tg_http_server_port(g.up_server) : test_free_port();
        (void)snprintf(g.addresses[i], sizeof(g.addresses[i]), "127.0.0.1:%u", port);
        g.config.instances[i] = g.addresses[i];
    }
    assert_int_equal(tg_gateway_open(&g.config, &g.gateway, &error), TG_OK);
    if (tg_http_server_open(tg_gateway_service(g.gateway), &g.server, &error) != TG_OK)
        fail_msg("%s", error.text);
}

static int dispose(void **state)
{
    (void)state;
    tg_http_server_close(g.server);
    tg_gateway_close(g.gateway);
    tg_http_server_close(g.up_server);
    pthread_mutex_destroy(&up.mutex);
    return 0;
}

static int post_more(const char *with_key, const char *target, const char *headers,
                     const char *body)
{
    size_t size = strlen(body) + strlen(headers) + 512;
    char *text = malloc(size);
    (void)snprintf(text, size,
                   "POST %s HTTP/1.1\r\nHost: test\r\nX-API-Key: %s\r\n"
                   "%sContent-Length: %zu\r\n\r\n%s",
                   target, with_key, headers, strlen(body), body);
    int fd = test_connect(tg_http_server_port(g.server));
    test_say(fd, text);
    free(text);
    return fd;
}

#define JSON "Content-Type: application/json\r\n"

static int post(const char *body)
{
    return post_more(key, "/v1/events/order", JSON, body);
}

static void expect(int fd, int code, const char *part)
{
    char *answer = test_read_answer(fd, false);
    close(fd);
    if (test_code(answer) != code || strcasestr(answer, part) == NULL)
        fail_msg("expected %d with \"%s\", got: %s", code, part, answer);
    free(answer);
}

static unsigned bundles(void)
{
    pthread_mutex_lock(&up.mutex);
    unsigned count = up.bundles;
    pthread_mutex_unlock(&up.mutex);
    return count;
}

static void wait_bundles(unsigned wanted)
{
    uint64_t end = tg_time_mono_ms() + TEST_WAIT_MS;
    while (bundles() < wanted && tg_time_mono_ms() < end)
        usleep(1000);
    assert_int_equal(bundles(), wanted);
}

/* Until the gateway has read them. */
static void wait_accepted(long wanted)
{
    test_metric_wait(tg_http_server_admin_port(g.server),
                     "tidegate_gateway_auth_total{result=\"ok\"}", wanted);
}

/* --- tests --- */

static void events_that_wait_together_share_a_bundle_and_each_hears_its_own_outcome(void **state)
{
    (void)state;
    up.hold = true;
    start_all();
    int first = post("{\"n\":0}");
    wait_bundles(1);
    int fds[] = {post("{\"n\":1}"), post("{\"bad\":2}"), post("{\"away\":3}"),
                 post_more(other_key, "/api/v1/events/signal", JSON "Idempotency-Key: k-4\r\n",
                           "{\"n\":4}")};
    wait_accepted(5);
    assert_int_equal(bundles(), 1);
    release();
    expect(first, 202, "{\"n\":0}");
    expect(fds[0], 202, "{\"n\":1}");
    expect(fds[1], 422,
           "{\"error\":{\"code\":\"missing_field\",\"message\":\"100 %s of amount is missing.\","
           "\"field\":\"amount\",\"request_id\":\"");
    expect(fds[2], 503, "\r\nretry-after: 1\r\n");
    expect(fds[3], 202, "{\"n\":4}");
    assert_int_equal(bundles(), 2);
    assert_int_equal(up.sizes[0], 1);
    assert_int_equal(up.sizes[1], 4);
    const char *const seen[] = {"acme/order//{\"n\":1}", "acme/order//{\"bad\":2}",
                                "acme/order//{\"away\":3}", "beta/signal/k-4/{\"n\":4}"};
    for (size_t i = 0; i < TG_ARRAY_LEN(seen); i++) {
        bool found = false;
        for (size_t j = 1; j < 5; j++)
            found |= strcmp(up.seen[j], seen[i]) == 0;
        if (!found)
            fail_msg("%s was in no bundle", seen[i]);
    }
}

static void nobody_waits_longer_than_the_linger(void **state)
{
    (void)state;
    up.hold = true;
    g.config.bundle_linger_ms = 20;
    start_all();
    int first = post("{\"n\":0}");
    wait_bundles(1);
    expect(post("{\"n\":1}"), 202, "{\"n\":1}"); /* while the first is still held */
    release();
    expect(first, 202, "{\"n\":0}");
}

static void an_event_that_is_to_go_alone_is_sent_again_by_itself(void **state)
{
    (void)state;
    start_all();
    expect(post("{\"alone\":1}"), 202, "{\"alone\":true}");
    assert_int_equal(up.alone, 1);
    assert_int_equal(bundles(), 1);
}

/* Four may be on their way: the held one, and three that are gathered. All others have their turn
 * in the upstream's queue first, so that a bundle is filled from all tenants and not by the first.
 */
static void a_tenant_that_floods_the_queue_does_not_fill_the_bundles(void **state)
{
    (void)state;
    char flood_key[TG_KEY_LEN + 1], calm_key[TG_KEY_LEN + 1];
    int fds[15];
    control_sql(&control, "insert into control.tenants (id, limits) values"
                          " ('flood', '{\"weight\": 1}'), ('calm', '{\"weight\": 1}')");
    control_key(&control, "flood", "ingest", "null", flood_key);
    control_key(&control, "calm", "ingest", "null", calm_key);
    g.config.max_inflight = 16;
    g.config.max_connections = 32;
    g.config.http.max_connections = 32;
    up.hold = true;
    start_all();
    for (size_t i = 0; i < TG_ARRAY_LEN(fds); i++) {
        fds[i] = post_more(i < 12 ? flood_key : calm_key, "/v1/events/order", JSON, "{}");
        if (i == 0)
            wait_bundles(1);
        wait_accepted((long)i + 1);
    }
    release();
    size_t last = 0;
    for (size_t i = 0; i < TG_ARRAY_LEN(fds); i++)
        expect(fds[i], 202, "{}");
    assert_int_equal(up.count, TG_ARRAY_LEN(fds));
    for (size_t i = 0; i < up.count; i++)
        last = strncmp(up.seen[i], "calm/", 5) == 0 ? i : last;
    assert_in_range(last, 6, 4 + 2 * 3); /* each of the three waited for one other */
}

static void what_needs_a_word_of_its_own_travels_alone(void **state)
{
    (void)state;
    static char large[TG_BUNDLE_BODY_MAX + 2], long_key[256];
    memset(large, ' ', TG_BUNDLE_BODY_MAX + 1);
    (void)snprintf(long_key, sizeof(long_key), JSON "Idempotency-Key: %0129d\r\n", 0);
    const struct {
        const char *target, *headers, *body;
    } cases[] = {
        {"/v1/events/order?on_invalid=dead_letter", JSON, "{}"},
        {"/v1/events/Order", JSON, "{}"},
        {"/v1/events/order", "Content-Type: text/plain\r\n", "{}"},
        {"/v1/events/order", "", "{}"},
        {"/v1/events/order", JSON, ""},
        {"/v1/events/order", JSON "Content-Encoding: gzip\r\n", "{}"},
        {"/v1/events/order", long_key, "{}"},
        {"/v1/events/order", JSON, large},
    };
    start_all();
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++)
        expect(post_more(key, cases[i].target, cases[i].headers, cases[i].body), 202,
               "{\"alone\":true}");
    assert_int_equal(bundles(), 0);
}

static void an_answer_that_is_not_one_for_all_harms_only_those_it_leaves_out(void **state)
{
    (void)state;
    static const char one[] = "\x00\xca\x00\x00\x00\x00\x00\x02{}\xff";
    up.hold = true;
    start_all();
    int first = post("{\"n\":0}");
    wait_bundles(1);
    int second = post("{\"n\":1}");
    wait_accepted(2);
    int third = post("{\"n\":2}");
    wait_accepted(3);
    up.answer = one;
    up.answer_len = sizeof(one) - 1;
    release();
    expect(first, 202, "{}");
    expect(second, 202, "{}");
    expect(third, 502, "\"code\":\"bad_upstream_answer\"");
}

static void an_outcome_without_an_http_code_is_a_bad_answer(void **state)
{
    (void)state;
    static const char strange[] = "\xff\xff\x00\x00\x00\x00\x00\x00";
    up.answer = strange;
    up.answer_len = sizeof(strange) - 1;
    start_all();
    expect(post("{\"n\":0}"), 502, "\"code\":\"bad_upstream_answer\"");
}

static void what_befalls_the_bundle_befalls_its_events(void **state)
{
    (void)state;
    static const struct {
        int code, expected;
        const char *part;
    } cases[] = {{503, 503, "\"code\":\"overloaded\""},
                 {504, 504, "\"code\":\"deadline_exceeded\""},
                 {403, 502, "\"code\":\"bad_upstream_answer\""}};
    start_all();
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        up.code = cases[i].code;
        expect(post("{\"n\":0}"), cases[i].expected, cases[i].part);
    }
    tg_http_server_close(g.up_server);
    g.up_server = NULL;
    expect(post("{\"n\":0}"), 503, "\"code\":\"upstream_unavailable\"");
}

static void a_bundle_that_never_comes_back_holds_its_place_until_the_deadline(void **state)
{
    (void)state;
    up.hold = true;
    g.config.http.deadline_ms = 2000;
    start_all();
    int held = post("{\"n\":0}");
    wait_bundles(1);
    expect(held, 504, "\"code\":\"deadline_exceeded\"");
    expect(post("{\"n\":1}"), 202, "{\"n\":1}");
}

static void draining_leaves_no_bundle_behind(void **state)
{
    (void)state;
    up.hold = true;
    g.config.http.drain_ms = 50;
    start_all();
    int held = post("{\"n\":0}");
    wait_bundles(1);
    int waiting = post("{\"n\":1}");
    wait_accepted(2);
    assert_int_equal(tg_http_server_drain(g.server), 2);
    expect(held, 503, "\"code\":\"shutting_down\"");
    expect(waiting, 503, "\"code\":\"shutting_down\"");
}

/* --- */

static int start(void **state)
{
    (void)state;
    if (control_create(&control) != 0)
        return -1;
    control_sql(&control, "insert into control.tenants (id) values ('acme'), ('beta')");
    control_key(&control, "acme", "ingest", "null", key);
    control_key(&control, "beta", "ingest", "null", other_key);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    return control_destroy(&control);
}

#define BUNDLE_TEST(name) cmocka_unit_test_setup_teardown(name, configure, dispose)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BUNDLE_TEST(events_that_wait_together_share_a_bundle_and_each_hears_its_own_outcome),
        BUNDLE_TEST(nobody_waits_longer_than_the_linger),
        BUNDLE_TEST(an_event_that_is_to_go_alone_is_sent_again_by_itself),
        BUNDLE_TEST(a_tenant_that_floods_the_queue_does_not_fill_the_bundles),
        BUNDLE_TEST(what_needs_a_word_of_its_own_travels_alone),
        BUNDLE_TEST(an_answer_that_is_not_one_for_all_harms_only_those_it_leaves_out),
        BUNDLE_TEST(an_outcome_without_an_http_code_is_a_bad_answer),
        BUNDLE_TEST(what_befalls_the_bundle_befalls_its_events),
        BUNDLE_TEST(a_bundle_that_never_comes_back_holds_its_place_until_the_deadline),
        BUNDLE_TEST(draining_leaves_no_bundle_behind),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
