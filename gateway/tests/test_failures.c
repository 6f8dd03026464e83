/* Wrong keys by address, with a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/time.h"
#include "gateway/keys/failures.h"

#define SECOND TG_US_PER_SECOND

static void a_burst_passes_and_then_one_at_a_time(void **state)
{
    (void)state;
    const tg_failures_rate_t rate = tg_failures_rate(60, 3);
    tg_failures_t *failures = tg_failures_create();
    tg_str_t address = TG_STR("192.0.2.1");
    int64_t now = 1000 * SECOND;
    for (int i = 0; i < 3; i++)
        assert_int_equal(tg_failures_note(failures, &rate, address, now), 0);
    assert_int_equal(tg_failures_note(failures, &rate, address, now), SECOND);
    assert_int_equal(tg_failures_note(failures, &rate, address, now),
                     SECOND); /* a refusal costs nothing */
    assert_int_equal(tg_failures_note(failures, &rate, address, now + SECOND / 2), SECOND / 2);
    assert_int_equal(tg_failures_note(failures, &rate, address, now + SECOND), 0);
    assert_true(tg_failures_note(failures, &rate, address, now + SECOND) > 0);
    for (int i = 0; i < 3; i++) /* the whole burst is back */
        assert_int_equal(tg_failures_note(failures, &rate, address, now + 10 * SECOND), 0);
    tg_failures_destroy(failures);
}

static void addresses_are_counted_apart_and_a_network_of_ipv6_together(void **state)
{
    (void)state;
    const tg_failures_rate_t rate = tg_failures_rate(60, 1);
    tg_failures_t *failures = tg_failures_create();
    assert_int_equal(tg_failures_note(failures, &rate, TG_STR("192.0.2.1"), SECOND), 0);
    assert_int_equal(tg_failures_note(failures, &rate, TG_STR("192.0.2.2"), SECOND), 0);
    assert_int_equal(tg_failures_note(failures, &rate, TG_STR("2001:db8:1:2::1"), SECOND), 0);
    assert_true(tg_failures_note(failures, &rate, TG_STR("2001:db8:1:2:ffff::9"), SECOND) > 0);
    assert_int_equal(tg_failures_note(failures, &rate, TG_STR("2001:db8:1:3::1"), SECOND), 0);
    tg_failures_destroy(failures);
}

static void no_address_is_never_limited(void **state)
{
    (void)state;
    const tg_failures_rate_t rate = tg_failures_rate(1, 1);
    tg_failures_t *failures = tg_failures_create();
    for (int i = 0; i < 5; i++)
        assert_int_equal(tg_failures_note(failures, &rate, TG_STR(""), SECOND), 0);
    tg_failures_destroy(failures);
    tg_failures_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_passes_and_then_one_at_a_time),
        cmocka_unit_test(addresses_are_counted_apart_and_a_network_of_ipv6_together),
        cmocka_unit_test(no_address_is_never_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
