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
    assert_int_equal(breaker.opened_total, 1);
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

static void a_good_health_check_half_opens_at_once(void **state)
{
    (void)state;
    tg_breaker_t breaker = made();
    fail_times(&breaker, 5, 1000);
    tg_breaker_healthy(&breaker, 1001);
    assert_true(tg_breaker_allow(&breaker, 1001));
    assert_string_equal(tg_breaker_state_name(breaker.state), "half_open");
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
        cmocka_unit_test(a_good_health_check_half_opens_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
