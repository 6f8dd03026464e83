/* The limit against an upstream of the test's own: a fixed number of servers, each with a fixed
 * time for its work, and everything else waiting in front of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "gateway/overload/pace.h"

#define MOST 1024

/* Runs for so long with as many on their way as the limit allows, or `wanted`; returns the mean
 * number on their way. By Little's law the latency is that number over the throughput. */
static uint32_t run(tg_pace_t *pace, uint64_t *now_us, uint64_t ms, uint32_t wanted,
                    uint32_t servers, uint64_t work_us)
{
    uint64_t end = *now_us + ms * 1000, sum = 0, count = 0;
    while (*now_us < end) {
        uint32_t out = wanted < tg_pace_limit(pace) ? wanted : tg_pace_limit(pace);
        uint32_t busy = out < servers ? out : servers;
        *now_us += work_us / busy;
        tg_pace_note(pace, *now_us, work_us * out / busy, out, false);
        sum += out;
        count++;
    }
    return (uint32_t)(sum / count);
}

static void an_upstream_that_is_full_is_kept_just_full(void **state)
{
    (void)state;
    tg_pace_t pace;
    uint64_t now_us = 1000000;
    tg_pace_init(&pace, 4, MOST, 5000, now_us);
    run(&pace, &now_us, 5000, 5, 10, 10000); /* what it takes when it has time */
    run(&pace, &now_us, 5000, MOST, 10, 10000);
    assert_in_range(run(&pace, &now_us, 20000, MOST, 10, 10000), 10, 35);
}

static void what_the_upstream_can_take_is_let_through(void **state)
{
    (void)state;
    tg_pace_t pace;
    uint64_t now_us = 1000000;
    tg_pace_init(&pace, 4, MOST, 5000, now_us);
    run(&pace, &now_us, 5000, 300, 500, 20000);
    assert_int_equal(run(&pace, &now_us, 5000, 400, 500, 20000), 400);
}

static void an_upstream_that_recovers_is_used_again_within_five_seconds(void **state)
{
    (void)state;
    tg_pace_t pace;
    uint64_t now_us = 1000000;
    tg_pace_init(&pace, 4, MOST, 5000, now_us);
    run(&pace, &now_us, 5000, 200, 300, 10000);
    run(&pace, &now_us, 10000, 200, 2, 10000); /* nearly all of it is gone */
    assert_true(tg_pace_limit(&pace) < 40);
    run(&pace, &now_us, 5000, 200, 300, 10000);
    assert_true(tg_pace_limit(&pace) >= 200);
}

static void failures_shrink_it_to_the_least_and_no_further(void **state)
{
    (void)state;
    tg_pace_t pace;
    uint64_t now_us = 1000000;
    tg_pace_init(&pace, 4, MOST, 5000, now_us);
    for (int i = 0; i < 10000; i++, now_us += 1000)
        tg_pace_note(&pace, now_us, 100, 10, true);
    assert_int_equal(tg_pace_limit(&pace), 4);
    assert_true(pace.shrunk_total > 10);
}

static void work_that_has_become_heavier_finds_its_own_level(void **state)
{
    (void)state;
    tg_pace_t pace;
    uint64_t now_us = 1000000;
    tg_pace_init(&pace, 4, MOST, 5000, now_us);
    run(&pace, &now_us, 10000, 50, 100, 10000);
    run(&pace, &now_us, 70000, 50, 100, 100000); /* ten times slower, for all of a minute */
    assert_true(tg_pace_limit(&pace) >= 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_upstream_that_is_full_is_kept_just_full),
        cmocka_unit_test(what_the_upstream_can_take_is_let_through),
        cmocka_unit_test(an_upstream_that_recovers_is_used_again_within_five_seconds),
        cmocka_unit_test(failures_shrink_it_to_the_least_and_no_further),
        cmocka_unit_test(work_that_has_become_heavier_finds_its_own_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
