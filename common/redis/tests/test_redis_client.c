/* The client against a scripted server on a loopback socket, for the faults that a real one rarely
 * shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/time.h"
#include "common/redis/client.h"

#define PING "*1\r\n$4\r\nPING\r\n"

static tg_loop_t *loop;

/* The server's side: one listener, one accepted connection. */
struct fake {
    int listener, fd;
    char address[32];
};

static void fake_open(struct fake *fake)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    fake->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    fake->fd = -1;
    assert_int_equal(bind(fake->listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fake->listener, 8), 0);
    assert_int_equal(getsockname(fake->listener, (struct sockaddr *)&at, &len), 0);
    snprintf(fake->address, sizeof(fake->address), "127.0.0.1:%d", ntohs(at.sin_port));
}

static void fake_drop(struct fake *fake)
{
    if (fake->fd >= 0)
        close(fake->fd);
    fake->fd = -1;
}

static void fake_close(struct fake *fake)
{
    fake_drop(fake);
    close(fake->listener);
}

static void fake_accept(struct fake *fake)
{
    uint64_t end = tg_time_mono_ms() + 5000;
    while (fake->fd < 0 && tg_time_mono_ms() < end) {
        tg_loop_turn(loop, 5);
        fake->fd = accept4(fake->listener, NULL, NULL, SOCK_NONBLOCK);
    }
    assert_true(fake->fd >= 0);
}

/* Turns the loop until exactly `text` has come. */
static void fake_expect(struct fake *fake, const char *text)
{
    char got[4096];
    size_t len = 0, wanted = strlen(text);
    uint64_t end = tg_time_mono_ms() + 5000;
    assert_true(wanted < sizeof(got));
    while (len < wanted && tg_time_mono_ms() < end) {
        tg_loop_turn(loop, 5);
        ssize_t n = recv(fake->fd, got + len, wanted - len, 0);
        if (n > 0)
            len += (size_t)n;
    }
    got[len] = '\0';
    assert_string_equal(got, text);
}

static void fake_send(struct fake *fake, const char *text)
{
    assert_int_equal(send(fake->fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

struct answer {
    int times;
    tg_status_t status;
    int type;
    char text[64];
};

static void on_answer(void *arg, tg_status_t status, const struct redisReply *reply)
{
    struct answer *out = arg;
    out->times++;
    out->status = status;
    out->type = reply != NULL ? reply->type : 0;
    if (reply != NULL && reply->str != NULL)
        snprintf(out->text, sizeof(out->text), "%s", reply->str);
}

static void turn_until(const int *times, int wanted)
{
    uint64_t end = tg_time_mono_ms() + 10000;
    while (*times < wanted && tg_time_mono_ms() < end)
        tg_loop_turn(loop, 20);
    assert_int_equal(*times, wanted);
}

static tg_redis_t *open_client(const struct fake *fake, const char *password, size_t max_inflight)
{
    tg_redis_config_t config = {.address = fake->address,
                                .password = password,
                                .max_inflight = max_inflight,
                                .connect_timeout_ms = 300,
                                .breaker = {5, 50, 20, 10000, 30000, 30000, 1}};
    tg_redis_t *redis = NULL;
    assert_int_equal(tg_redis_open(loop, &config, &redis, NULL), TG_OK);
    return redis;
}

static tg_redis_t *open_up(struct fake *fake, size_t max_inflight)
{
    tg_redis_t *redis = open_client(fake, NULL, max_inflight);
    fake_accept(fake);
    fake_expect(fake, PING);
    fake_send(fake, "+PONG\r\n");
    tg_redis_stats_t stats = {0};
    uint64_t end = tg_time_mono_ms() + 5000;
    while (!stats.connected && tg_time_mono_ms() < end) {
        tg_loop_turn(loop, 5);
        tg_redis_get_stats(redis, &stats);
    }
    assert_true(stats.connected);
    return redis;
}

static tg_redis_call_t *get(tg_redis_t *redis, const char *key, uint64_t timeout_ms,
                            struct answer *answer)
{
    tg_str_t argv[] = {TG_STR("GET"), tg_str_from(key)};
    tg_loop_turn(loop, 0);
    int before = answer->times;
    tg_redis_call_t *call = tg_redis_command(redis, argv, 2, timeout_ms, on_answer, answer);
    assert_non_null(call);
    assert_int_equal(answer->times, before); /* never before returning */
    return call;
}

static void commands_of_one_turn_leave_together_and_are_answered_in_order(void **state)
{
    (void)state;
    struct fake fake;
    fake_open(&fake);
    tg_redis_t *redis = open_up(&fake, 8);
    struct answer a = {0}, b = {0}, c = {0};
    tg_str_t set[] = {TG_STR("SET"), TG_STR("k"), {"x\0\r\n", 4}};
    get(redis, "a", 1000, &a);
    get(redis, "b", 1000, &b);
    tg_redis_command(redis, set, 3, 1000, on_answer, &c);
    fake_expect(&fake, "*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\n"
                       "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\nx");
    fake_send(&fake, "$1\r\nA\r\n$-1\r\n-WRONG");
    turn_until(&a.times, 1);
    turn_until(&b.times, 1);
    assert_string_equal(a.text, "A");
    assert_int_equal(b.status, TG_OK);
    assert_int_equal(b.type, REDIS_REPLY_NIL);
    assert_int_equal(c.times, 0);
    fake_send(&fake, "TYPE no\r\n");
    turn_until(&c.times, 1);
    assert_int_equal(c.status, TG_INTERNAL);
    assert_string_equal(c.text, "WRONGTYPE no");
    tg_redis_close(redis);
    fake_close(&fake);
}

static void a_call_before_the_handshake_waits_behind_it(void **state)
{
    (void)state;
    struct fake fake;
    fake_open(&fake);
    tg_redis_t *redis = open_client(&fake, "secret", 8);
    struct answer answer = {0};
    get(redis, "a", 1000, &answer);
    fake_accept(&fake);
    fake_expect(&fake,
                "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n" PING "*2\r\n$3\r\nGET\r\n$1\r\na\r\n");
    fake_send(&fake, "+OK\r\n+PONG\r\n$1\r\nA\r\n");
    turn_until(&answer.times, 1);
    assert_int_equal(answer.status, TG_OK);
    tg_redis_close(redis);
    fake_close(&fake);
}

static void a_refused_password_keeps_the_client_down_and_says_why(void **state)
{
    (void)state;
    struct fake fake;
    fake_open(&fake);
    tg_redis_t *redis = open_client(&fake, "wrong", 8);
    struct answer answer = {0};
    get(redis, "a", 1000, &answer);
    fake_accept(&fake);
    fake_send(&fake, "-WRONGPASS bad\r\n-NOAUTH Authentication required.\r\n");
    turn_until(&answer.times, 1);
    assert_int_equal(answer.status, TG_UNAVAILABLE);
    tg_redis_stats_t stats;
    tg_redis_get_stats(redis, &stats);
    assert_false(stats.connected);
    assert_string_equal(stats.last_error, "NOAUTH Authentication required.");
    tg_redis_close(redis);
    fake_close(&fake);
}

static void a_late_reply_is_dropped_and_does_not_answer_the_next_call(void **state)
{
    (void)state;
    struct fake fake;
    fake_open(&fake);
    tg_redis_t *redis = open_up(&fake, 8);
    struct answer late = {0}, next = {0};
    get(redis, "a", 100, &late);
    turn_until(&late.times, 1);
    assert_int_equal(late.status, TG_TIMEOUT);
    get(redis, "b", 5000, &next);
    fake_send(&fake, "$1\r\nA\r\n$1\r\nB\r\n");
    turn_until(&next.times, 1);
    assert_string_equal(next.text, "B");
    assert_int_equal(late.times, 1);
    tg_redis_close(redis);
    fake_close(&fake);
}

static void a_cancelled_call_is_not_heard_but_its_reply_is_counted(void **state)
{
    (void)state;
    struct fake fake;
    fake_open(&fake);
    tg_redis_t *redis = open_up(&fake, 8);
    struct answer cancelled = {0}, next = {0};
    tg_redis_call_cancel(get(redis, "a", 1000, &cancelled));
    tg_redis_call_cancel(NULL);
    get(redis, "b", 1000, &next);
    fake_send(&fake, "$1\r\nA\r\n$1\r\nB\r\n");
    turn_until(&next.times, 1);
    assert_string_equal(next.text, "B");
    assert_int_equal(cancelled.times, 0);
    tg_redis_close(redis);
    fake_close(&fake);
}

static void a_server_that_stays_silent_for_twice_the_deadline_is_left(void **state)
{
    (void)state;
    struct fake fake;
    fake_open(&fake);
    tg_redis_t *redis = open_up(&fake, 8);
    struct answer first = {0}, second = {0};
    get(redis, "a", 50, &first);
    get(redis, "b", 5000, &second);
    turn_until(&first.times, 1);
    assert_int_equal(first.status, TG_TIMEOUT);
    turn_until(&second.times, 1); /* the connection is closed under it */
    assert_int_equal(second.status, TG_UNAVAILABLE);
    fake_drop(&fake);
    fake_accept(&fake); /* and it comes back by itself */
    fake_expect(&fake, PING);
    tg_redis_close(redis);
    fake_close(&fake);
}

static void the_breaker_opens_after_five_failures_and_tries_again_once_connected(void **state)
{
    (void)state;
    struct fake fake;
    fake_open(&fake);
    tg_redis_t *redis = open_up(&fake, 16);
    struct answer answers[8] = {0};
    for (size_t i = 0; i < 5; i++)
        get(redis, "a", 1000, &answers[i]);
    fake_drop(&fake);
    for (size_t i = 0; i < 5; i++) {
        turn_until(&answers[i].times, 1);
        assert_int_equal(answers[i].status, TG_UNAVAILABLE);
    }
    tg_redis_stats_t stats;
    tg_redis_get_stats(redis, &stats);
    assert_int_equal(stats.breaker, TG_BREAKER_OPEN);
    get(redis, "a", 1000, &answers[5]); /* costs nothing: not even a deadline */
    tg_loop_turn(loop, 0);
    turn_until(&answers[5].times, 1);
    assert_int_equal(answers[5].status, TG_UNAVAILABLE);

    fake_accept(&fake);
    fake_expect(&fake, PING);
    fake_send(&fake, "+PONG\r\n");
    do {
        tg_loop_turn(loop, 5);
        tg_redis_get_stats(redis, &stats);
    } while (!stats.connected);
    assert_int_equal(stats.breaker, TG_BREAKER_HALF_OPEN);
    get(redis, "p", 1000, &answers[6]);
    fake_expect(&fake, "*2\r\n$3\r\nGET\r\n$1\r\np\r\n");
    fake_send(&fake, "$1\r\nP\r\n");
    turn_until(&answers[6].times, 1);
    assert_int_equal(answers[6].status, TG_OK);
    tg_redis_get_stats(redis, &stats);
    assert_int_equal(stats.breaker, TG_BREAKER_CLOSED);
    tg_redis_close(redis);
    fake_close(&fake);
}

static void a_server_that_accepts_but_never_answers_is_not_up(void **state)
{
    (void)state;
    struct fake fake;
    fake_open(&fake);
    tg_redis_t *redis = open_client(&fake, NULL, 8);
    struct answer answer = {0};
    get(redis, "a", 5000, &answer);
    fake_accept(&fake);
    turn_until(&answer.times, 1); /* by the connect timeout, not by its own */
    assert_int_equal(answer.status, TG_UNAVAILABLE);
    tg_redis_stats_t stats;
    tg_redis_get_stats(redis, &stats);
    assert_false(stats.connected);
    tg_redis_close(redis);
    fake_close(&fake);
}

static void commands_beyond_the_limit_are_answered_full(void **state)
{
    (void)state;
    struct fake fake;
    fake_open(&fake);
    tg_redis_t *redis = open_up(&fake, 2);
    struct answer a = {0}, b = {0}, c = {0};
    get(redis, "a", 1000, &a);
    get(redis, "b", 1000, &b);
    get(redis, "c", 1000, &c);
    turn_until(&c.times, 1);
    assert_int_equal(c.status, TG_FULL);
    assert_int_equal(a.times + b.times, 0);
    tg_redis_close(redis);
    assert_int_equal(a.status, TG_CANCELLED);
    assert_int_equal(b.status, TG_CANCELLED);
    assert_int_equal(a.times + b.times, 2);
    fake_close(&fake);
}

static void garbage_from_the_server_closes_the_connection(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "HTTP/1.1 400 Bad Request\r\n",
        "*2000000000\r\n",
        "*1000000\r\n*1000000\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
        "$-7\r\n",
        ":12x\r\n",
        "$1\r\nA\r\n$1\r\nB\r\n", /* more replies than calls */
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        struct fake fake;
        fake_open(&fake);
        tg_redis_t *redis = open_up(&fake, 8);
        struct answer answer = {0};
        get(redis, "a", 20000, &answer);
        fake_expect(&fake, "*2\r\n$3\r\nGET\r\n$1\r\na\r\n");
        fake_send(&fake, bad[i]);
        tg_redis_stats_t stats = {.connected = true};
        uint64_t end = tg_time_mono_ms() + 5000;
        while (stats.connected && tg_time_mono_ms() < end) {
            tg_loop_turn(loop, 5);
            tg_redis_get_stats(redis, &stats);
        }
        assert_false(stats.connected);
        tg_redis_close(redis);
        fake_close(&fake);
    }
}

static void a_reply_beyond_16_mib_is_not_collected(void **state)
{
    (void)state;
    struct fake fake;
    fake_open(&fake);
    tg_redis_t *redis = open_up(&fake, 8);
    struct answer answer = {0};
    static char block[65536];
    memset(block, 'x', sizeof(block));
    get(redis, "a", 20000, &answer);
    fake_send(&fake, "$500000000\r\n");
    uint64_t end = tg_time_mono_ms() + 10000;
    while (answer.times == 0 && tg_time_mono_ms() < end) {
        (void)!send(fake.fd, block, sizeof(block), MSG_NOSIGNAL | MSG_DONTWAIT);
        tg_loop_turn(loop, 0);
    }
    assert_int_equal(answer.times, 1);
    assert_int_equal(answer.status, TG_UNAVAILABLE);
    tg_redis_stats_t stats;
    tg_redis_get_stats(redis, &stats);
    assert_string_equal(stats.last_error, "the reply is larger than 16 MiB");
    tg_redis_close(redis);
    fake_close(&fake);
}

static void replies_that_say_not_now_count_as_failures(void **state)
{
    (void)state;
    struct fake fake;
    fake_open(&fake);
    tg_redis_t *redis = open_up(&fake, 8);
    struct answer answers[5] = {0};
    for (size_t i = 0; i < 5; i++) {
        get(redis, "a", 1000, &answers[i]);
        fake_send(&fake, "-LOADING Redis is loading the dataset in memory\r\n");
        turn_until(&answers[i].times, 1);
        assert_int_equal(answers[i].status, TG_UNAVAILABLE);
    }
    tg_redis_stats_t stats;
    tg_redis_get_stats(redis, &stats);
    assert_int_equal(stats.breaker, TG_BREAKER_OPEN);
    tg_redis_close(redis);
    fake_close(&fake);
}

/* A callback that asks again, as a caller does that walks a list of keys. */
struct chain {
    tg_redis_t *redis;
    int left;
    tg_status_t last;
};

static void on_link(void *arg, tg_status_t status, const struct redisReply *reply)
{
    struct chain *chain = arg;
    tg_str_t argv[] = {TG_STR("GET"), TG_STR("n")};
    (void)reply;
    chain->last = status;
    if (--chain->left > 0)
        tg_redis_command(chain->redis, argv, 2, 1000, on_link, chain);
}

static void a_callback_may_send_the_next_command_even_when_the_connection_is_lost(void **state)
{
    (void)state;
    struct fake fake;
    fake_open(&fake);
    struct chain chain = {.redis = open_up(&fake, 8), .left = 3};
    tg_str_t argv[] = {TG_STR("GET"), TG_STR("n")};
    tg_redis_command(chain.redis, argv, 2, 1000, on_link, &chain);
    fake_expect(&fake, "*2\r\n$3\r\nGET\r\n$1\r\nn\r\n");
    fake_send(&fake, "$1\r\nA\r\n");
    fake_expect(&fake, "*2\r\n$3\r\nGET\r\n$1\r\nn\r\n");
    fake_drop(&fake);
    uint64_t end = tg_time_mono_ms() + 5000;
    while (chain.left > 0 && tg_time_mono_ms() < end)
        tg_loop_turn(loop, 5);
    assert_int_equal(chain.left, 0);
    assert_int_equal(chain.last, TG_UNAVAILABLE);
    tg_redis_close(chain.redis);
    fake_close(&fake);
}

static void a_wrong_address_is_an_error_at_open(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "localhost", ":6379", "h:", "h:0", "h:65536", "h:6379x"};
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        tg_redis_config_t config = {.address = bad[i],
                                    .max_inflight = 1,
                                    .breaker = TG_BREAKER_DEFAULTS};
        tg_redis_t *redis = NULL;
        assert_int_equal(tg_redis_open(loop, &config, &redis, NULL), TG_INVALID);
    }
    tg_redis_close(NULL);
}

static int start(void **state)
{
    (void)state;
    loop = tg_loop_create();
    return loop == NULL ? -1 : 0;
}

static int stop(void **state)
{
    (void)state;
    tg_loop_destroy(loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_of_one_turn_leave_together_and_are_answered_in_order),
        cmocka_unit_test(a_call_before_the_handshake_waits_behind_it),
        cmocka_unit_test(a_refused_password_keeps_the_client_down_and_says_why),
        cmocka_unit_test(a_late_reply_is_dropped_and_does_not_answer_the_next_call),
        cmocka_unit_test(a_cancelled_call_is_not_heard_but_its_reply_is_counted),
        cmocka_unit_test(a_server_that_stays_silent_for_twice_the_deadline_is_left),
        cmocka_unit_test(the_breaker_opens_after_five_failures_and_tries_again_once_connected),
        cmocka_unit_test(a_server_that_accepts_but_never_answers_is_not_up),
        cmocka_unit_test(commands_beyond_the_limit_are_answered_full),
        cmocka_unit_test(garbage_from_the_server_closes_the_connection),
        cmocka_unit_test(a_reply_beyond_16_mib_is_not_collected),
        cmocka_unit_test(replies_that_say_not_now_count_as_failures),
        cmocka_unit_test(a_callback_may_send_the_next_command_even_when_the_connection_is_lost),
        cmocka_unit_test(a_wrong_address_is_an_error_at_open),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
