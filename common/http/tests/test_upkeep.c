/* The client's upkeep against real servers that can be frozen, slow, failing or not ready: health
 * checks, what falls silent, peers, addresses, and an operator's hand. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <netdb.h>
#include <pthread.h>

#include "common/base/time.h"
#include "common/http/client.h"
#include "common/http/tests/support.h"

#define UPSTREAMS 2
#define CALLS_MAX 64

static tg_loop_t *loop;

/* --- upstreams --- */

static struct upstream {
    char listen[32];
    tg_http_config_t config;
    tg_http_service_t service;
    tg_http_server_t *server;
    pthread_mutex_t gate; /* held while it is frozen: its thread stands still */
    bool frozen;
    atomic_bool not_ready;
    atomic_uint delay_us, later_ms; /* before an answer: standing still, or not */
    atomic_uint fail_each;          /* the n-th call is a 500 */
    atomic_uint calls;
} upstreams[UPSTREAMS];

static bool ready(void *arg, tg_buf_t *out)
{
    struct upstream *upstream = arg;
    pthread_mutex_lock(&upstream->gate);
    pthread_mutex_unlock(&upstream->gate);
    tg_buf_str(out, TG_STR("{\"name\":\"test\",\"ready\":true}"));
    return !upstream->not_ready;
}

/* An answer that takes its time, while the thread goes on. */
struct later {
    tg_http_req_t *req;
    tg_timer_t timer;
};

static void on_later(void *arg)
{
    struct later *later = arg;
    tg_http_reply(later->req, 200, "text/plain", TG_STR("ok"));
}

static void on_later_cancelled(void *user)
{
    struct later *later = user;
    tg_timer_stop(&later->timer);
}

static void reply_later(tg_http_req_t *req, unsigned after_ms)
{
    struct later *later = tg_arena_alloc(tg_http_arena(req), sizeof(*later));
    *later = (struct later){.req = req};
    tg_http_set_user(req, later, on_later_cancelled);
    tg_timer_start(tg_http_loop(req), &later->timer, after_ms, on_later, later);
}

static void on_call(tg_http_req_t *req, void *thread_ctx)
{
    struct upstream *upstream = thread_ctx;
    unsigned number = ++upstream->calls;
    pthread_mutex_lock(&upstream->gate);
    pthread_mutex_unlock(&upstream->gate);
    if (upstream->later_ms > 0) {
        reply_later(req, upstream->later_ms);
        return;
    }
    if (upstream->delay_us > 0)
        usleep(upstream->delay_us);
    bool fails = upstream->fail_each > 0 && number % upstream->fail_each == 0;
    tg_http_reply(req, fails ? 500 : 200, "text/plain", TG_STR("ok"));
}

static tg_status_t thread_start(void *arg, tg_loop_t *its_loop, tg_metrics_shard_t *shard,
                                void **out_thread_ctx, tg_error_t *error)
{
    (void)its_loop;
    (void)shard;
    (void)error;
    *out_thread_ctx = arg;
    return TG_OK;
}

static const tg_http_route_t routes[] = {{.method = "GET", .path = "/x", .handler = on_call},
                                         {.method = "POST", .path = "/x", .handler = on_call}};

static void upstream_start(struct upstream *upstream, const char *listen)
{
    (void)snprintf(upstream->listen, sizeof(upstream->listen), "%s", listen);
    upstream->config = test_config();
    upstream->config.listen = upstream->listen;
    upstream->service = (tg_http_service_t){.name = "up",
                                            .config = &upstream->config,
                                            .routes = routes,
                                            .route_count = TG_ARRAY_LEN(routes),
                                            .secret = "a-secret-of-the-tests",
                                            .thread_start = thread_start,
                                            .ready = ready,
                                            .arg = upstream};
    tg_error_t error = {.text = ""};
    if (tg_http_server_open(&upstream->service, &upstream->server, &error) != TG_OK)
        fail_msg("%s", error.text);
}

static void freeze(struct upstream *upstream)
{
    pthread_mutex_lock(&upstream->gate);
    upstream->frozen = true;
}

static void thaw(struct upstream *upstream)
{
    upstream->frozen = false;
    pthread_mutex_unlock(&upstream->gate);
}

static int setup(void **state)
{
    (void)state;
    loop = tg_loop_create();
    for (size_t i = 0; i < UPSTREAMS; i++) {
        upstreams[i] = (struct upstream){.gate = PTHREAD_MUTEX_INITIALIZER};
        if (i == 0)
            upstream_start(&upstreams[0], "127.0.0.1:0");
    }
    return loop == NULL;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < UPSTREAMS; i++) {
        if (upstreams[i].frozen)
            thaw(&upstreams[i]); /* a failed test left it so */
        tg_http_server_close(upstreams[i].server);
    }
    tg_loop_turn(loop, 0);
    tg_loop_destroy(loop);
    return 0;
}

static void start_second(void)
{
    upstream_start(&upstreams[1], "127.0.0.1:0");
}

/* --- the client --- */

static struct {
    tg_http_client_config_t config;
    char instances[64];
    tg_http_client_t *client;
    unsigned changes[4]; /* by what */
} c;

static void on_change(void *arg, const tg_http_change_t *change)
{
    (void)arg;
    assert_string_equal(change->upstream, "up");
    assert_string_not_equal(change->from, change->to);
    assert_true(strlen(change->why) > 0);
    c.changes[change->what]++;
}

static void configure(void)
{
    memset(&c, 0, sizeof(c));
    size_t len = 0;
    for (size_t i = 0; i < UPSTREAMS; i++)
        if (upstreams[i].server != NULL)
            len += (size_t)snprintf(c.instances + len, sizeof(c.instances) - len, "%s127.0.0.1:%u",
                                    i > 0 ? "," : "", tg_http_server_port(upstreams[i].server));
    c.config = (tg_http_client_config_t){.name = "up",
                                         .instances = c.instances,
                                         .max_connections = CALLS_MAX,
                                         .max_waiting = CALLS_MAX,
                                         .max_body = 10000,
                                         .connect_timeout_ms = 1000,
                                         .idle_timeout_ms = 60000,
                                         .breaker = {.failures_in_row = 5,
                                                     .ratio_percent = 50,
                                                     .ratio_min = 20,
                                                     .window_ms = 10000,
                                                     .open_ms = 100,
                                                     .open_max_ms = 1000,
                                                     .probes = 3},
                                         .upkeep = {.check_ms = 20,
                                                    .check_timeout_ms = 100,
                                                    .check_path = "/ready",
                                                    .check_bad = 3,
                                                    .on_change = on_change}};
}

static void client_open(void)
{
    tg_error_t error = {.text = ""};
    if (tg_http_client_open(loop, &c.config, &c.client, &error) != TG_OK)
        fail_msg("%s", error.text);
}

static tg_http_instance_stats_t stats(unsigned index)
{
    tg_http_instance_stats_t all[TG_RESOLVE_MAX];
    assert_true(tg_http_client_stats(c.client, all, TG_RESOLVE_MAX) > index);
    return all[index];
}

#define TURN_UNTIL(condition)                                                                      \
    do {                                                                                           \
        uint64_t until_ = tg_time_mono_ms() + TEST_WAIT_MS;                                        \
        while (!(condition)) {                                                                     \
            if (tg_time_mono_ms() > until_)                                                        \
                fail_msg("never: %s", #condition);                                                 \
            tg_loop_turn(loop, 5);                                                                 \
        }                                                                                          \
    } while (0)

struct result {
    bool done;
    tg_status_t status;
    int code;
};

static void on_done(void *arg, tg_status_t status, const tg_http_response_t *response)
{
    *(struct result *)arg = (struct result){true, status, response == NULL ? 0 : response->code};
}

static void start(bool post, uint64_t within_ms, struct result *result)
{
    const tg_http_request_t request = {.method = post ? TG_STR("POST") : TG_STR("GET"),
                                       .target = TG_STR("/x"),
                                       .deadline_at_ms = tg_loop_now_ms(loop) + within_ms,
                                       .idempotent = !post};
    *result = (struct result){0};
    assert_non_null(tg_http_client_call(c.client, &request, on_done, result));
}

static struct result call(void)
{
    struct result result;
    start(false, 5000, &result);
    TURN_UNTIL(result.done);
    return result;
}

static void assert_served(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        struct result result = call();
        assert_int_equal(result.status, TG_OK);
        assert_int_equal(result.code, 200);
    }
}

/* Calls that are on their way together, so that no instance is too dear for some of them. */
static unsigned serve_crowd(void)
{
    struct result results[16];
    unsigned good = 0;
    for (size_t i = 0; i < TG_ARRAY_LEN(results); i++)
        start(false, 5000, &results[i]);
    for (size_t i = 0; i < TG_ARRAY_LEN(results); i++) {
        TURN_UNTIL(results[i].done);
        assert_int_equal(results[i].status, TG_OK);
        good += results[i].code == 200;
    }
    return good;
}

/* --- health checks --- */

static void an_instance_that_is_not_ready_gets_no_calls_until_it_is(void **state)
{
    (void)state;
    start_second();
    upstreams[0].not_ready = true;
    configure();
    client_open();
    TURN_UNTIL(stats(0).unhealthy);
    assert_int_equal(stats(0).breaker,
                     TG_BREAKER_CLOSED); /* it works, it only asks not to be asked */
    unsigned before = upstreams[0].calls;
    assert_served(30);
    assert_int_equal(upstreams[0].calls, before);
    upstreams[0].not_ready = false;
    TURN_UNTIL(!stats(0).unhealthy);
    TURN_UNTIL((serve_crowd() == 16 && upstreams[0].calls > before));
    assert_int_equal(c.changes[TG_HTTP_HEALTH], 2);
    tg_http_client_close(c.client);
}

static void when_no_instance_is_ready_all_are_tried(void **state)
{
    (void)state;
    start_second();
    upstreams[0].not_ready = upstreams[1].not_ready = true;
    configure();
    client_open();
    TURN_UNTIL(stats(0).unhealthy && stats(1).unhealthy);
    assert_served(20);
    tg_http_client_close(c.client);
}

static void checks_that_cannot_be_sent_say_nothing(void **state)
{
    (void)state;
    configure();
    c.config.max_connections = 1;
    upstreams[0].delay_us = 300000; /* one call holds the only connection for 15 checks */
    client_open();
    struct result result;
    start(false, 5000, &result);
    TURN_UNTIL(result.done);
    assert_int_equal(result.status, TG_OK);
    assert_false(stats(0).unhealthy);
    assert_int_equal(stats(0).checks_bad_total, 0);
    tg_http_client_close(c.client);
}

/* --- silence --- */

static void a_frozen_instance_gives_its_reads_back_and_keeps_what_may_not_happen_twice(void **state)
{
    (void)state;
    start_second();
    configure();
    client_open();
    for (unsigned i = 0; i < 30; i++) /* earns the budget for 40 retries */
        assert_int_equal(serve_crowd(), 16);
    freeze(&upstreams[0]);
    struct result reads[40], post;
    uint64_t begun = tg_time_mono_ms();
    for (size_t i = 0; i < TG_ARRAY_LEN(reads); i++)
        start(false, 8000, &reads[i]);
    tg_http_client_hold(c.client, stats(1).address,
                        TG_HTTP_HOLD_OPEN); /* so that this one is stuck */
    start(true, 1500, &post);
    tg_http_client_hold(c.client, stats(1).address, TG_HTTP_HOLD_CLOSED);
    for (size_t i = 0; i < TG_ARRAY_LEN(reads); i++) {
        TURN_UNTIL(reads[i].done);
        assert_int_equal(reads[i].status, TG_OK);
    }
    assert_true(tg_time_mono_ms() - begun < 4000); /* long before their deadline */
    TURN_UNTIL(post.done);
    assert_int_equal(post.status, TG_TIMEOUT);
    TURN_UNTIL(stats(0).breaker == TG_BREAKER_OPEN);
    assert_true(stats(0).unhealthy);
    assert_served(20);

    thaw(&upstreams[0]); /* and without a call it comes back */
    TURN_UNTIL(stats(0).breaker == TG_BREAKER_CLOSED && !stats(0).unhealthy);
    assert_true(c.changes[TG_HTTP_BREAKER] >= 3);
    tg_http_client_close(c.client);
}

static void a_read_is_taken_back_before_its_short_deadline(void **state)
{
    (void)state;
    start_second();
    configure();
    c.config.upkeep.check_ms = 60000; /* no check comes in time */
    client_open();
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(serve_crowd(), 16);
    freeze(&upstreams[0]);
    struct result reads[20];
    for (size_t i = 0; i < TG_ARRAY_LEN(reads); i++)
        start(false, 1500, &reads[i]);
    for (size_t i = 0; i < TG_ARRAY_LEN(reads); i++) {
        TURN_UNTIL(reads[i].done);
        assert_int_equal(reads[i].status, TG_OK);
    }
    assert_int_equal(stats(0).checks_bad_total, 1); /* it was asked once for all of them */
    assert_true(stats(0).failures_total > 0);
    assert_int_equal(stats(1).failures_total, 0);
    tg_http_client_close(c.client);
}

static void a_slow_read_of_an_instance_that_is_there_is_left_alone(void **state)
{
    (void)state;
    start_second();
    configure();
    c.config.upkeep.check_ms = 60000;
    client_open();
    upstreams[0].later_ms = upstreams[1].later_ms = 1200;
    struct result result;
    start(false, 2000, &result); /* is doubted after 1000 */
    TURN_UNTIL(result.done);
    assert_int_equal(result.status, TG_OK);
    assert_int_equal(stats(0).checks_bad_total + stats(1).checks_bad_total, 0);
    assert_int_equal(upstreams[0].calls + upstreams[1].calls, 1);
    tg_http_client_close(c.client);
}

static void a_client_closes_with_checks_on_their_way(void **state)
{
    (void)state;
    configure();
    client_open();
    freeze(&upstreams[0]);
    TURN_UNTIL(stats(0).inflight > 0);
    tg_http_client_close(c.client);
    thaw(&upstreams[0]);
}

/* --- the choice --- */

static void a_slow_instance_gets_few_calls(void **state)
{
    (void)state;
    start_second();
    upstreams[0].delay_us = 20000;
    configure();
    c.config.upkeep.check_ms = 0;
    client_open();
    assert_served(100);
    assert_in_range(upstreams[0].calls, 1, 10);
    tg_http_client_close(c.client);
}

static void an_instance_that_fails_more_than_its_peers_is_left_out(void **state)
{
    (void)state;
    start_second();
    upstreams[0].fail_each = 3;
    configure();
    c.config.upkeep.outlier = (tg_outlier_config_t){.share_percent = 20,
                                                    .calls_min = 20,
                                                    .eject_ms = 1200,
                                                    .eject_max_ms = 1200};
    client_open();
    TURN_UNTIL((serve_crowd() > 0 && stats(0).ejected));
    assert_int_equal(stats(0).breaker, TG_BREAKER_CLOSED); /* two thirds are good */
    unsigned before = upstreams[0].calls;
    assert_int_equal(serve_crowd(), 16);
    assert_int_equal(upstreams[0].calls, before);
    upstreams[0].fail_each = 0;
    TURN_UNTIL(!stats(0).ejected);
    assert_int_equal(c.changes[TG_HTTP_EJECTION], 2);
    assert_int_equal(stats(0).ejected_total, 1);
    tg_http_client_close(c.client);
}

static void an_operator_holds_a_breaker_open_and_closed(void **state)
{
    (void)state;
    start_second();
    configure();
    client_open();
    assert_false(tg_http_client_hold(c.client, "127.0.0.1:1", TG_HTTP_HOLD_OPEN));
    assert_true(tg_http_client_hold(c.client, stats(0).address, TG_HTTP_HOLD_OPEN));
    assert_served(20);
    assert_int_equal(upstreams[0].calls, 0);
    assert_true(stats(0).held);
    assert_true(tg_http_client_hold(c.client, stats(1).address, TG_HTTP_HOLD_OPEN));
    assert_int_equal(call().status, TG_UNAVAILABLE);
    assert_true(tg_http_client_hold(c.client, stats(0).address, TG_HTTP_HOLD_CLOSED));
    assert_served(5);
    assert_true(tg_http_client_hold(c.client, stats(1).address, TG_HTTP_HOLD_AUTO));
    TURN_UNTIL(stats(1).breaker == TG_BREAKER_CLOSED);
    assert_false(stats(1).held);
    tg_http_client_close(c.client);
}

/* --- addresses --- */

static const char *_Atomic name_is; /* the address of the name "up" */

static int lookup(void *arg, const char *host, const char *port, struct addrinfo **out_list)
{
    (void)arg;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    return getaddrinfo(strcmp(host, "up") == 0 ? name_is : host, port, &hints, out_list);
}

static void calls_follow_a_name_to_its_new_address(void **state)
{
    (void)state;
    char list[32], second[32];
    const char *lists[] = {list};
    unsigned port = tg_http_server_port(upstreams[0].server);
    (void)snprintf(second, sizeof(second), "127.0.0.2:%u", port);
    upstream_start(&upstreams[1], second);
    (void)snprintf(list, sizeof(list), "up:%u", port);
    name_is = "127.0.0.1";
    const tg_resolver_config_t config = {.lists = lists,
                                         .list_count = 1,
                                         .every_ms = 10,
                                         .lookup = lookup};
    tg_resolver_t *resolver = NULL;
    assert_int_equal(tg_resolver_open(&config, &resolver, NULL), TG_OK);
    configure();
    c.config.instances = NULL;
    c.config.upkeep.check_ms = 0;
    c.config.upkeep.resolver = resolver;
    client_open();
    assert_served(3);
    assert_int_equal(upstreams[1].calls, 0);

    struct result late;
    upstreams[0].delay_us = 1500000; /* on its way while the address goes */
    start(true, 5000, &late);
    name_is = "127.0.0.2";
    TURN_UNTIL(c.changes[TG_HTTP_ADDRESS] == 2); /* one came, one went */
    assert_served(3);
    assert_int_equal(upstreams[1].calls, 3);
    TURN_UNTIL(late.done);
    assert_int_equal(late.status, TG_OK);
    TURN_UNTIL(strcmp(stats(0).address, second) == 0); /* the old one's slot is free */
    tg_http_client_close(c.client);
    tg_resolver_close(resolver);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_instance_that_is_not_ready_gets_no_calls_until_it_is),
        TEST(when_no_instance_is_ready_all_are_tried),
        TEST(checks_that_cannot_be_sent_say_nothing),
        TEST(a_frozen_instance_gives_its_reads_back_and_keeps_what_may_not_happen_twice),
        TEST(a_read_is_taken_back_before_its_short_deadline),
        TEST(a_slow_read_of_an_instance_that_is_there_is_left_alone),
        TEST(a_client_closes_with_checks_on_their_way),
        TEST(a_slow_instance_gets_few_calls),
        TEST(an_instance_that_fails_more_than_its_peers_is_left_out),
        TEST(an_operator_holds_a_breaker_open_and_closed),
        TEST(calls_follow_a_name_to_its_new_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
