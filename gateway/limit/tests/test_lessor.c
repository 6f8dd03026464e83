/* Two gateways and a real Redis: what they let through together, and what happens when it is
 * killed. The other side of each bound (that nothing is refused early) is held by test_allowance,
 * on a clock of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/time.h"
#include "common/redis/tests/server.h"
#include "gateway/limit/limits.h"
#include "gateway/metrics.h"

#define GATEWAYS 2
#define WAIT_MS  10000

static test_redis_t redis;
static tg_loop_t *loop;
static tg_metrics_t *metrics;

struct gateway {
    tg_lessor_t *lessor;
    tg_limits_t *limits;
};
static struct gateway gateways[GATEWAYS];

static void turn_until_connected(bool wanted)
{
    uint64_t end = tg_time_mono_ms() + WAIT_MS;
    while (tg_lessor_connected(gateways[0].lessor) != wanted && tg_time_mono_ms() < end)
        tg_loop_turn(loop, 20);
    assert_int_equal(tg_lessor_connected(gateways[0].lessor), wanted);
}

static int open_gateways(void **state)
{
    (void)state;
    for (size_t i = 0; i < GATEWAYS; i++) {
        const tg_lessor_config_t config = {
            .address = redis.address,
            .password = "",
            .shares = GATEWAYS,
            .shard = tg_metrics_shard(metrics),
        };
        gateways[i].limits = tg_limits_create(16);
        if (tg_lessor_open(loop, &config, &gateways[i].lessor, NULL) != TG_OK)
            return -1;
    }
    turn_until_connected(true);
    return 0;
}

static int close_gateways(void **state)
{
    (void)state;
    for (size_t i = 0; i < GATEWAYS; i++) {
        tg_lessor_close(gateways[i].lessor);
        tg_limits_destroy(gateways[i].limits);
    }
    return 0;
}

static tg_plan_t plan_of(int64_t per_second, int64_t burst)
{
    tg_plan_settings_t none = tg_plan_settings_none();
    tg_plan_t plan = tg_plan_resolve(TG_STR("test"), &none, NULL);
    for (unsigned i = 0; i < TG_CLASS_COUNT; i++)
        plan.classes[i] = (tg_plan_class_t){per_second, burst};
    return plan;
}

static tg_verdict_t ask(struct gateway *gateway, const tg_plan_t *plan, tg_str_t tenant,
                        size_t number, tg_charge_t *charge)
{
    tg_verdict_t verdict;
    const tg_limit_request_t request = {
        .tenant = tenant,
        .number = number,
        .plan = plan,
        .class = TG_CLASS_INGEST,
        .body_bytes = 100,
        .now_us = tg_time_mono_us(),
    };
    assert_int_equal(tg_limits_admit(gateway->limits, gateway->lessor, &request, charge, &verdict),
                     TG_OK);
    return verdict;
}

/* Both ask as often as they can for so long; returns what was admitted. */
static int64_t storm(const tg_plan_t *plan, tg_str_t tenant, size_t number, uint64_t ms)
{
    int64_t admitted = 0;
    uint64_t end = tg_time_mono_ms() + ms;
    for (size_t i = 0; tg_time_mono_ms() < end; i++) {
        tg_charge_t charge;
        bool good =
            ask(&gateways[i % GATEWAYS], plan, tenant, number, &charge).refused == TG_LIMIT_NONE;
        admitted += good;
        if (good)
            tg_charge_end(&charge);
        tg_loop_turn(loop, i % 4 == 0 ? 1 : 0);
    }
    return admitted;
}

static void two_gateways_admit_what_one_limit_gives(void **state)
{
    (void)state;
    tg_plan_t plan = plan_of(500, 100);
    uint64_t began = tg_time_mono_us();
    int64_t admitted = storm(&plan, TG_STR("acme"), 1, 1000);
    int64_t gives = 100 + (int64_t)(tg_time_mono_us() - began) * 500 / 1000000;
    assert_in_range(admitted, 101, gives + GATEWAYS * 10 + 1);
}

static void a_batch_is_paid_for_by_all_gateways(void **state)
{
    (void)state;
    tg_plan_t plan = plan_of(1000, 1000);
    plan.events_per_second = 100;
    plan.events_burst = 200;
    tg_charge_t charge;
    assert_int_equal(ask(&gateways[0], &plan, TG_STR("batch"), 2, &charge).refused, TG_LIMIT_NONE);
    tg_charge_settle_events(&charge, 10000);
    tg_charge_end(&charge);
    tg_verdict_t verdict = ask(&gateways[0], &plan, TG_STR("batch"), 2, &charge);
    assert_int_equal(verdict.refused, TG_LIMIT_EVENTS);
    assert_true(tg_verdict_retry_after_s(&verdict) > 60);
    char limit[TG_LIMIT_TEXT_MAX], policy[TG_LIMIT_TEXT_MAX];
    tg_verdict_write(&verdict, &plan, TG_CLASS_INGEST, limit, policy);
    assert_non_null(strstr(limit, ", \"events\";r=0;t="));
    assert_non_null(strstr(policy, "\"ingest\";q=1000;w=1, \"events\";q=100;w=1"));
}

static void a_refusal_takes_nothing_of_the_other_limits(void **state)
{
    (void)state;
    tg_plan_t plan = plan_of(1, 100);
    plan.events_per_day = 1;
    tg_charge_t charge;
    assert_int_equal(ask(&gateways[0], &plan, TG_STR("day"), 3, &charge).refused, TG_LIMIT_NONE);
    tg_charge_end(&charge);
    int64_t left = 0;
    for (int i = 0; i < 20; i++) {
        tg_verdict_t verdict = ask(&gateways[0], &plan, TG_STR("day"), 3, &charge);
        assert_int_equal(verdict.refused, TG_LIMIT_DAY);
        assert_true(tg_verdict_retry_after_s(&verdict) <= 86400);
        left = verdict.requests.remaining;
        tg_loop_turn(loop, 1);
    }
    assert_in_range(left, 90, 99);
}

static void as_many_at_a_time_as_the_plan_says(void **state)
{
    (void)state;
    tg_plan_t plan = plan_of(1000, 1000);
    plan.concurrency = 2;
    tg_charge_t charges[3];
    for (int i = 0; i < 2; i++)
        assert_int_equal(ask(&gateways[0], &plan, TG_STR("many"), 4, &charges[i]).refused,
                         TG_LIMIT_NONE);
    assert_int_equal(ask(&gateways[0], &plan, TG_STR("many"), 4, &charges[2]).refused,
                     TG_LIMIT_CONCURRENCY);
    tg_charge_end(&charges[0]);
    assert_int_equal(ask(&gateways[0], &plan, TG_STR("many"), 4, &charges[2]).refused,
                     TG_LIMIT_NONE);
    tg_charge_end(&charges[1]);
    tg_charge_end(&charges[2]);
}

static void without_redis_each_gateway_has_its_share(void **state)
{
    (void)state;
    tg_plan_t plan = plan_of(500, 100);
    storm(&plan, TG_STR("alone"), 5, 300);
    test_redis_kill(&redis);
    turn_until_connected(false);
    uint64_t began = tg_time_mono_us();
    int64_t admitted = storm(&plan, TG_STR("alone"), 5, 1000);
    int64_t gives = (int64_t)(tg_time_mono_us() - began) * 500 / 1000000;
    assert_in_range(admitted, 1, gives + GATEWAYS * 10 + GATEWAYS);

    test_redis_start(&redis); /* it has forgotten all */
    turn_until_connected(true);
    began = tg_time_mono_us();
    admitted = storm(&plan, TG_STR("alone"), 5, 1000);
    gives = (int64_t)(tg_time_mono_us() - began) * 500 / 1000000;
    assert_in_range(admitted, 1, gives + GATEWAYS * 60); /* no second burst but the shares' rest */
}

static int start(void **state)
{
    (void)state;
    loop = tg_loop_create();
    metrics = tg_metrics_create(tg_gateway_metrics, GW_METRIC_COUNT);
    test_redis_find_port(&redis);
    test_redis_start(&redis);
    return loop == NULL || metrics == NULL ? -1 : 0;
}

static int stop(void **state)
{
    (void)state;
    test_redis_kill(&redis);
    tg_metrics_destroy(metrics);
    tg_loop_destroy(loop);
    return 0;
}

int main(void)
{
#define GATEWAY_TEST(test) cmocka_unit_test_setup_teardown(test, open_gateways, close_gateways)
    const struct CMUnitTest tests[] = {
        GATEWAY_TEST(two_gateways_admit_what_one_limit_gives),
        GATEWAY_TEST(a_batch_is_paid_for_by_all_gateways),
        GATEWAY_TEST(a_refusal_takes_nothing_of_the_other_limits),
        GATEWAY_TEST(as_many_at_a_time_as_the_plan_says),
        GATEWAY_TEST(without_redis_each_gateway_has_its_share),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
