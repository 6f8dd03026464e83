/* Health checks and ejection by the clock of the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/http/client/health.h"

#define PEERS 4

static const tg_outlier_config_t config = {.share_percent = 20,
                                           .calls_min = 20,
                                           .eject_ms = 30000,
                                           .eject_max_ms = 100000};

static tg_outlier_t values[PEERS];
static tg_outlier_t *const peers[PEERS] = {&values[0], &values[1], &values[2], &values[3]};

static int clear(void **state)
{
    (void)state;
    memset(values, 0, sizeof(values));
    return 0;
}

/* One second's calls, of which so many per hundred fail. */
static unsigned second(const unsigned failing[PEERS], uint64_t now_ms)
{
    for (size_t i = 0; i < PEERS; i++)
        tg_outlier_feed(peers[i], values[i].calls_seen + 100, values[i].failures_seen + failing[i]);
    return tg_outlier_judge(peers, PEERS, &config, now_ms);
}

static void bad_checks_in_a_row_take_out_and_a_good_one_lets_in(void **state)
{
    (void)state;
    tg_health_t health = {0};
    for (unsigned i = 0; i < 10; i++) { /* never three in a row */
        assert_false(tg_health_note(&health, TG_CHECK_SILENT, 3));
        assert_false(tg_health_note(&health, TG_CHECK_NOT_READY, 3));
        assert_false(tg_health_note(&health, TG_CHECK_GOOD, 3));
    }
    assert_false(tg_health_note(&health, TG_CHECK_SILENT, 3));
    assert_false(tg_health_note(&health, TG_CHECK_NOT_READY, 3));
    assert_true(tg_health_note(&health, TG_CHECK_SILENT, 3));
    assert_true(health.out);
    assert_false(tg_health_note(&health, TG_CHECK_SILENT, 3));
    assert_true(tg_health_note(&health, TG_CHECK_GOOD, 3));
    assert_false(health.out);
}

static void one_that_fails_far_more_than_its_peers_is_ejected_for_a_while(void **state)
{
    (void)state;
    const unsigned failing[PEERS] = {2, 30, 0, 1}, none[PEERS] = {0};
    assert_int_equal(second(failing, 1000), 1u << 1);
    assert_true(values[1].ejected);
    assert_int_equal(second(none, 30999), 0);
    assert_int_equal(second(none, 31000), 1u << 1);
    assert_false(values[1].ejected);
    assert_int_equal(second(none, 32000), 0);
}

static void each_time_is_longer_up_to_the_limit_and_good_service_is_remembered(void **state)
{
    (void)state;
    const unsigned failing[PEERS] = {0, 50, 0, 0}, none[PEERS] = {0};
    const uint64_t lengths[] = {30000, 60000, 90000, 100000, 100000};
    uint64_t now = 1000;
    for (size_t i = 0; i < TG_ARRAY_LEN(lengths); i++) {
        assert_int_equal(second(failing, now), 1u << 1);
        assert_int_equal(values[1].until_ms, now + lengths[i]);
        now = values[1].until_ms;
        assert_int_equal(tg_outlier_judge(peers, PEERS, &config, now), 1u << 1);
    }
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(second(none, now += 30000), 0);
    assert_int_equal(values[1].times, 0);
}

static void nobody_is_ejected_when_all_are_alike(void **state)
{
    (void)state;
    const unsigned failing[PEERS] = {50, 45, 40, 60};
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(second(failing, 1000 * i), 0);
}

static void at_most_half_are_out(void **state)
{
    (void)state;
    const unsigned failing[PEERS] = {100, 0, 0, 0}, two[PEERS] = {0, 100, 0, 0},
                   three[PEERS] = {0, 0, 100, 0};
    assert_int_equal(second(failing, 1000), 1);
    assert_int_equal(second(two, 2000), 2);
    assert_int_equal(second(three, 3000), 0);
    tg_outlier_t alone = {.calls = 1000, .failures = 1000}, *one = &alone;
    assert_int_equal(tg_outlier_judge(&one, 1, &config, 1000), 0);
}

static void few_calls_say_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < PEERS; i++)
        tg_outlier_feed(peers[i], 19, i == 0 ? 19 : 0);
    assert_int_equal(tg_outlier_judge(peers, PEERS, &config, 1000), 0);
    values[0].calls = 100; /* but its peers' are too few to compare with */
    values[1].calls = values[2].calls = values[3].calls = 2;
    assert_int_equal(tg_outlier_judge(peers, PEERS, &config, 1000), 0);
}

static void nothing_is_ejected_when_that_is_off(void **state)
{
    (void)state;
    const tg_outlier_config_t off = {.share_percent = 20, .calls_min = 20};
    values[0] = (tg_outlier_t){.calls = 100, .failures = 100};
    values[1].calls = 100;
    assert_int_equal(tg_outlier_judge(peers, PEERS, &off, 1000), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, clear)
    const struct CMUnitTest tests[] = {
        TEST(bad_checks_in_a_row_take_out_and_a_good_one_lets_in),
        TEST(one_that_fails_far_more_than_its_peers_is_ejected_for_a_while),
        TEST(each_time_is_longer_up_to_the_limit_and_good_service_is_remembered),
        TEST(nobody_is_ejected_when_all_are_alike),
        TEST(at_most_half_are_out),
        TEST(few_calls_say_nothing),
        TEST(nothing_is_ejected_when_that_is_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
