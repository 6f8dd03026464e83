/* The client against a real redis-server, which is killed and started again under it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <hiredis/hiredis.h>
#include <stdio.h>

#include "common/base/time.h"
#include "common/redis/client.h"
#include "common/redis/tests/server.h"

static tg_loop_t *loop;
static test_redis_t server;

struct answer {
    int times;
    tg_status_t status;
    long long integer;
};

static void on_answer(void *arg, tg_status_t status, const struct redisReply *reply)
{
    struct answer *out = arg;
    out->times++;
    out->status = status;
    out->integer = reply != NULL ? reply->integer : -1;
}

static void wait_connected(tg_redis_t *redis, bool wanted)
{
    tg_redis_stats_t stats = {.connected = !wanted};
    uint64_t end = tg_time_mono_ms() + 10000;
    while (stats.connected != wanted && tg_time_mono_ms() < end) {
        tg_loop_turn(loop, 20);
        tg_redis_get_stats(redis, &stats);
    }
    assert_int_equal(stats.connected, wanted);
}

static void increments(tg_redis_t *redis, int count, struct answer *answer)
{
    tg_str_t argv[] = {TG_STR("INCR"), TG_STR("n")};
    tg_loop_turn(loop, 0);
    answer->times = 0;
    for (int i = 0; i < count; i++)
        assert_non_null(tg_redis_command(redis, argv, 2, 5000, on_answer, answer));
    uint64_t end = tg_time_mono_ms() + 10000;
    while (answer->times < count && tg_time_mono_ms() < end)
        tg_loop_turn(loop, 20);
    assert_int_equal(answer->times, count);
}

static void pipelined_commands_run_in_order_and_survive_a_restart(void **state)
{
    (void)state;
    tg_redis_config_t config = {.address = server.address,
                                .max_inflight = 20000,
                                .connect_timeout_ms = 1000,
                                .breaker = {5, 50, 20, 10000, 30000, 30000, 1}};
    tg_redis_t *redis = NULL;
    struct answer answer = {0};
    assert_int_equal(tg_redis_open(loop, &config, &redis, NULL), TG_OK);
    wait_connected(redis, true);
    increments(redis, 20000, &answer);
    assert_int_equal(answer.status, TG_OK);
    assert_int_equal(answer.integer, 20000);

    test_redis_kill(&server);
    wait_connected(redis, false);
    increments(redis, 10, &answer);
    assert_int_equal(answer.status, TG_UNAVAILABLE);
    test_redis_start(&server);
    wait_connected(redis, true);
    increments(redis, 1, &answer);
    assert_int_equal(answer.status, TG_OK);
    tg_redis_close(redis);
}

static int start(void **state)
{
    (void)state;
    loop = tg_loop_create();
    test_redis_find_port(&server);
    test_redis_start(&server);
    return loop == NULL ? -1 : 0;
}

static int stop(void **state)
{
    (void)state;
    test_redis_kill(&server);
    tg_loop_destroy(loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipelined_commands_run_in_order_and_survive_a_restart),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
