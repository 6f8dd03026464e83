/* The cost of a call by the clock of the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/http/client/latency.h"

#define SECOND 1000000u

static bool is_near(double value, double expected)
{
    return value > expected * 0.99 && value < expected * 1.01;
}

static void the_cost_is_the_latency_times_the_calls_on_their_way(void **state)
{
    (void)state;
    tg_latency_t latency = {0};
    tg_latency_note(&latency, 500, SECOND);
    assert_true(is_near(tg_latency_cost(&latency, 0, SECOND), 500));
    assert_true(is_near(tg_latency_cost(&latency, 3, SECOND), 2000));
}

static void a_slower_answer_counts_at_once_and_a_faster_one_slowly(void **state)
{
    (void)state;
    tg_latency_t latency = {0};
    tg_latency_note(&latency, 500, SECOND);
    tg_latency_note(&latency, 50000, SECOND + 1);
    assert_true(is_near(latency.us, 50000));
    tg_latency_note(&latency, 500, SECOND + SECOND / 10);
    assert_true(latency.us > 49000 && latency.us < 50000);
    for (uint64_t at = 2; at < 100; at++)
        tg_latency_note(&latency, 500, at * SECOND);
    assert_true(latency.us < 600);
}

static void what_is_not_confirmed_fades(void **state)
{
    (void)state;
    tg_latency_t latency = {0};
    tg_latency_note(&latency, 50000, SECOND);
    assert_true(is_near(tg_latency_cost(&latency, 0, 11 * SECOND), 50000 / 2.718));
    assert_true(tg_latency_cost(&latency, 0, 101 * SECOND) < 10);
    assert_true(is_near(tg_latency_cost(&latency, 0, 0), 50000)); /* a clock of another thread */
}

static void a_quick_refusal_makes_nothing_better(void **state)
{
    (void)state;
    tg_latency_t latency = {0};
    tg_latency_note(&latency, 50000, SECOND);
    for (uint64_t at = 2; at < 60; at++)
        tg_latency_refused(&latency, 100, at * SECOND);
    assert_true(is_near(tg_latency_cost(&latency, 0, 59 * SECOND), 50000));
    tg_latency_refused(&latency, 900000, 60 * SECOND);
    assert_true(is_near(latency.us, 900000));
}

static void an_instance_that_has_not_answered_yet_is_tried_with_one_call(void **state)
{
    (void)state;
    tg_latency_t fresh = {0}, slow = {0};
    tg_latency_note(&slow, 10 * SECOND, SECOND);
    assert_true(tg_latency_cost(&fresh, 0, SECOND) < tg_latency_cost(&slow, 0, SECOND));
    assert_true(tg_latency_cost(&fresh, 1, SECOND) > tg_latency_cost(&slow, 1000, SECOND));
    assert_true(tg_latency_cost(&fresh, 2, SECOND) > tg_latency_cost(&fresh, 1, SECOND));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cost_is_the_latency_times_the_calls_on_their_way),
        cmocka_unit_test(a_slower_answer_counts_at_once_and_a_faster_one_slowly),
        cmocka_unit_test(what_is_not_confirmed_fades),
        cmocka_unit_test(a_quick_refusal_makes_nothing_better),
        cmocka_unit_test(an_instance_that_has_not_answered_yet_is_tried_with_one_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
