/* The breaker by the clock of the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/http/breaker.h"

static tg_breaker_t made(void)
{
    tg_breaker_config_t config = TG_BREAKER_DEFAULTS;
    tg_breaker_t breaker;
    tg_breaker_init(&breaker, &config);
    return breaker;
}

static void fail_times(tg_breaker_t *breaker, unsigned times, uint64_t now)
{
    for (unsigned i = 0; i < times; i++) {
        assert_true(tg_breaker_allow(breaker, now));
        tg_breaker_result(breaker, false, now);
    }
}

static void five_failures_in_a_row_open_it(void **state)
{
    (void)state;
    tg_breaker_t breaker = made();
    fail_times(&breaker, 4, 1000);
    assert_int_equal(breaker.state, TG_BREAKER_CLOSED);
    fail_times(&breaker, 1, 1000);
    assert_int_equal(breaker.state, TG_BREAKER_OPEN);
    assert_false(tg_breaker_allow(&breaker, 1001));
    assert_int_equal(breaker.entered[TG_BREAKER_OPEN], 1);
}

static void a_success_ends_the_row(void **state)
{
    (void)state;
    tg_breaker_t breaker = made();
    fail_times(&breaker, 4, 1000);
    tg_breaker_result(&breaker, true, 1000);
    fail_times(&breaker, 4, 1000);
    assert_int_equal(breaker.state, TG_BREAKER_CLOSED);
}

static void half_of_twenty_calls_open_it(void **state)
{
    (void)state;
    tg_breaker_t breaker = made();
    for (unsigned i = 0; i < 19; i++)
        tg_breaker_result(&breaker, i % 2 == 0, 1000 + i);
    assert_int_equal(breaker.state, TG_BREAKER_CLOSED);
    tg_breaker_result(&breaker, false, 1020);
    assert_int_equal(breaker.state, TG_BREAKER_OPEN);
}

static void failures_older_than_the_window_do_not_count(void **state)
{
    (void)state;
    tg_breaker_t breaker = made();
    for (unsigned i = 0; i < 18; i++)
        tg_breaker_result(&breaker, i % 2 == 0, 1000);
    for (unsigned i = 0; i < 10; i++)
        tg_breaker_result(&breaker, i % 5 != 0, 12000);
    tg_breaker_result(&breaker, false, 12000);
    assert_int_equal(breaker.state, TG_BREAKER_CLOSED);
}

static void three_good_probes_close_it(void **state)
{
    (void)state;
    tg_breaker_t breaker = made();
    fail_times(&breaker, 5, 1000);
    assert_false(tg_breaker_allow(&breaker, 1799)); /* at least 1 s less 20 % */
    for (unsigned i = 0; i < 3; i++)
        assert_true(tg_breaker_allow(&breaker, 2201)); /* at most 1 s and 20 % */
    assert_int_equal(breaker.state, TG_BREAKER_HALF_OPEN);
    assert_false(tg_breaker_allow(&breaker, 2201));
    tg_breaker_result(&breaker, true, 2202);
    tg_breaker_result(&breaker, true, 2202);
    assert_int_equal(breaker.state, TG_BREAKER_HALF_OPEN);
    tg_breaker_result(&breaker, true, 2202);
    assert_int_equal(breaker.state, TG_BREAKER_CLOSED);
}

static void a_bad_probe_opens_it_for_twice_as_long_up_to_the_limit(void **state)
{
    (void)state;
    tg_breaker_t breaker = made();
    fail_times(&breaker, 5, 1000);
    uint64_t now = 1000;
    unsigned expected = 1000;
    for (unsigned i = 0; i < 8; i++) {
        assert_true(breaker.reopen_at_ms >= now + expected * 8 / 10);
        assert_true(breaker.reopen_at_ms <= now + expected * 12 / 10);
        now = breaker.reopen_at_ms;
        assert_true(tg_breaker_allow(&breaker, now));
        tg_breaker_result(&breaker, false, now);
        assert_int_equal(breaker.state, TG_BREAKER_OPEN);
        expected = expected >= 15000 ? 30000 : 2 * expected;
    }
}

static void a_forgotten_probe_gives_its_place_back(void **state)
{
    (void)state;
    tg_breaker_t breaker = made();
    fail_times(&breaker, 5, 1000);
    for (unsigned i = 0; i < 10; i++) {
        assert_true(tg_breaker_allow(&breaker, 5000));
        tg_breaker_forget(&breaker);
    }
    assert_int_equal(breaker.state, TG_BREAKER_HALF_OPEN);
}

static void results_from_before_the_opening_change_nothing(void **state)
{
    (void)state;
    tg_breaker_t breaker = made();
    fail_times(&breaker, 5, 1000);
    uint64_t reopen_at = breaker.reopen_at_ms;
    tg_breaker_result(&breaker, true, 1001);
    tg_breaker_result(&breaker, false, 1001);
    assert_int_equal(breaker.state, TG_BREAKER_OPEN);
    assert_int_equal(breaker.reopen_at_ms, reopen_at);
}

static void checks_that_turn_good_half_open_at_once(void **state)
{
    (void)state;
    tg_breaker_t breaker = made();
    fail_times(&breaker, 5, 1000);
    tg_breaker_check(&breaker, TG_CHECK_GOOD, 1001); /* it was good all the time */
    assert_int_equal(breaker.state, TG_BREAKER_OPEN);
    tg_breaker_check(&breaker, TG_CHECK_NOT_READY, 1002);
    assert_int_equal(breaker.state, TG_BREAKER_OPEN);
    tg_breaker_check(&breaker, TG_CHECK_GOOD, 1003);
    assert_string_equal(tg_breaker_state_name(breaker.state), "half_open");
    assert_string_equal(tg_breaker_why_name(breaker.why), "health_check");
    assert_int_equal(breaker.since_ms, 1003);
    assert_true(tg_breaker_allow(&breaker, 1004));
}

static void what_is_known_to_be_over_half_opens_at_once(void **state)
{
    (void)state;
    tg_breaker_t breaker = made();
    fail_times(&breaker, 5, 1000);
    tg_breaker_healthy(&breaker, 1001);
    assert_true(tg_breaker_allow(&breaker, 1001));
    assert_int_equal(breaker.state, TG_BREAKER_HALF_OPEN);
}

static void good_checks_close_it_without_traffic(void **state)
{
    (void)state;
    tg_breaker_t breaker = made();
    for (unsigned i = 0; i < 5; i++)
        tg_breaker_check(&breaker, TG_CHECK_SILENT, 1000 + i);
    assert_int_equal(breaker.state, TG_BREAKER_OPEN);
    assert_int_equal(breaker.why, TG_BREAKER_BY_ROW);
    for (unsigned i = 0; i < 3; i++) {
        tg_breaker_check(&breaker, TG_CHECK_GOOD, 2000 + i);
        assert_int_equal(breaker.state, TG_BREAKER_HALF_OPEN);
    }
    tg_breaker_check(&breaker, TG_CHECK_GOOD, 2003);
    assert_int_equal(breaker.state, TG_BREAKER_CLOSED);
}

static void a_good_check_does_not_speak_for_a_probe_on_its_way(void **state)
{
    (void)state;
    tg_breaker_t breaker = made();
    fail_times(&breaker, 5, 1000);
    assert_true(tg_breaker_allow(&breaker, 3000));
    for (unsigned i = 0; i < 10; i++)
        tg_breaker_check(&breaker, TG_CHECK_GOOD, 3000);
    assert_int_equal(breaker.state, TG_BREAKER_HALF_OPEN);
    tg_breaker_result(&breaker, false, 3001);
    assert_int_equal(breaker.state, TG_BREAKER_OPEN);
    assert_int_equal(breaker.why, TG_BREAKER_BY_PROBE);
}

static void a_silent_check_opens_a_half_open_one_and_not_ready_does_not(void **state)
{
    (void)state;
    tg_breaker_t breaker = made();
    fail_times(&breaker, 5, 1000);
    assert_true(tg_breaker_allow(&breaker, 3000));
    tg_breaker_check(&breaker, TG_CHECK_NOT_READY, 3000);
    assert_int_equal(breaker.state, TG_BREAKER_HALF_OPEN);
    tg_breaker_check(&breaker, TG_CHECK_SILENT, 3001);
    assert_int_equal(breaker.state, TG_BREAKER_OPEN);
    tg_breaker_result(&breaker, true, 3002); /* the probe, too late */
    assert_int_equal(breaker.state, TG_BREAKER_OPEN);
}

static void a_held_one_stays_until_it_is_released(void **state)
{
    (void)state;
    tg_breaker_t breaker = made();
    tg_breaker_release(&breaker, 500); /* nothing to release */
    assert_int_equal(breaker.changes, 0);
    tg_breaker_hold(&breaker, true, 1000);
    assert_false(tg_breaker_allow(&breaker, 100000));
    tg_breaker_check(&breaker, TG_CHECK_NOT_READY, 100000);
    tg_breaker_check(&breaker, TG_CHECK_GOOD, 100000);
    assert_int_equal(breaker.state, TG_BREAKER_OPEN);
    tg_breaker_hold(&breaker, false, 101000);
    fail_times(&breaker, 50, 101000);
    assert_int_equal(breaker.state, TG_BREAKER_CLOSED);
    tg_breaker_release(&breaker, 102000);
    assert_int_equal(breaker.state, TG_BREAKER_CLOSED);
    fail_times(&breaker, 5, 102000); /* begins anew */
    assert_int_equal(breaker.state, TG_BREAKER_OPEN);
    tg_breaker_hold(&breaker, true, 103000);
    tg_breaker_release(&breaker, 103001);
    assert_int_equal(breaker.state, TG_BREAKER_HALF_OPEN); /* it must show that it works */
    assert_true(breaker.changes > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_failures_in_a_row_open_it),
        cmocka_unit_test(a_success_ends_the_row),
        cmocka_unit_test(half_of_twenty_calls_open_it),
        cmocka_unit_test(failures_older_than_the_window_do_not_count),
        cmocka_unit_test(three_good_probes_close_it),
        cmocka_unit_test(a_bad_probe_opens_it_for_twice_as_long_up_to_the_limit),
        cmocka_unit_test(a_forgotten_probe_gives_its_place_back),
        cmocka_unit_test(results_from_before_the_opening_change_nothing),
        cmocka_unit_test(checks_that_turn_good_half_open_at_once),
        cmocka_unit_test(what_is_known_to_be_over_half_opens_at_once),
        cmocka_unit_test(good_checks_close_it_without_traffic),
        cmocka_unit_test(a_good_check_does_not_speak_for_a_probe_on_its_way),
        cmocka_unit_test(a_silent_check_opens_a_half_open_one_and_not_ready_does_not),
        cmocka_unit_test(a_held_one_stays_until_it_is_released),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
