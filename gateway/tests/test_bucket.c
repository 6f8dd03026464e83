/* The bucket's promises, on a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "gateway/bucket.h"

#define SECOND INT64_C(1000000)

static void a_burst_passes_and_the_next_is_refused_with_the_time_to_wait(void **state)
{
    (void)state;
    tg_bucket_t bucket = {0};
    tg_bucket_rate_t rate = tg_bucket_rate(10, 5);

    for (int64_t i = 0; i < 5; i++) {
        tg_bucket_answer_t answer = tg_bucket_take(&bucket, &rate, SECOND, 1);
        assert_true(answer.admitted);
        assert_int_equal(answer.remaining, 4 - i);
    }
    tg_bucket_answer_t refused = tg_bucket_take(&bucket, &rate, SECOND, 1);
    assert_false(refused.admitted);
    assert_int_equal(refused.remaining, 0);
    assert_int_equal(refused.retry_after_us, SECOND / 10);
    assert_int_equal(refused.reset_us, SECOND / 2);
    assert_true(tg_bucket_take(&bucket, &rate, SECOND + refused.retry_after_us, 1).admitted);
}

static void the_sustained_rate_is_exact_over_ten_seconds(void **state)
{
    (void)state;
    tg_bucket_t bucket = {0};
    tg_bucket_rate_t rate = tg_bucket_rate(100, 1);
    int admitted = 0;

    for (int64_t now = SECOND; now < 11 * SECOND; now += 1000)
        admitted += tg_bucket_take(&bucket, &rate, now, 1).admitted;
    assert_int_equal(admitted, 1000);
}

static void a_costly_request_goes_into_debt_that_later_ones_wait_off(void **state)
{
    (void)state;
    tg_bucket_t bucket = {0};
    tg_bucket_rate_t rate = tg_bucket_rate(10, 10);

    tg_bucket_answer_t big = tg_bucket_take(&bucket, &rate, SECOND, 30);
    assert_true(big.admitted);
    assert_int_equal(big.remaining, 0);
    tg_bucket_answer_t refused = tg_bucket_take(&bucket, &rate, SECOND, 1);
    assert_false(refused.admitted);
    assert_int_equal(refused.retry_after_us, 2 * SECOND + SECOND / 10);
    assert_true(tg_bucket_take(&bucket, &rate, SECOND + refused.retry_after_us, 1).admitted);
}

static void a_clock_that_steps_back_never_gives_more_than_the_burst(void **state)
{
    (void)state;
    tg_bucket_t bucket = {0};
    tg_bucket_rate_t rate = tg_bucket_rate(10, 5);
    int admitted = 0;

    assert_true(tg_bucket_take(&bucket, &rate, 100 * SECOND, 1).admitted);
    for (int i = 0; i < 10; i++)
        admitted += tg_bucket_take(&bucket, &rate, 99 * SECOND, 1).admitted;
    assert_int_equal(admitted, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_passes_and_the_next_is_refused_with_the_time_to_wait),
        cmocka_unit_test(the_sustained_rate_is_exact_over_ten_seconds),
        cmocka_unit_test(a_costly_request_goes_into_debt_that_later_ones_wait_off),
        cmocka_unit_test(a_clock_that_steps_back_never_gives_more_than_the_burst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
