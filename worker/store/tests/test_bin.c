/* Numbers of bins: their error, their order, the ends of what a double can hold. */
#include "worker/store/bin.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base/status.h"

/* What the server reads a bin as (api.bin_value). */
static double value_of(int bin)
{
    return 2 / 2.02 * pow(1.02, bin - 16384);
}

static void every_value_is_within_one_per_cent_of_its_bin(void **state)
{
    (void)state;
    for (int n = -139900; n < 140000; n++) {
        double value = pow(10, n / 1000.0);
        assert_true(fabs(value_of(tg_bin_of(value)) / value - 1) < 0.00991);
    }
}

static void bins_are_in_the_order_of_values_and_mirrored_at_zero(void **state)
{
    (void)state;
    static const double rising[] = {0.0,  DBL_TRUE_MIN, 1e-200, 1e-140, 1.1e-140, 1e-3,  0.5,    1,
                                    1.03, 1e6,          1e100,  1e140,  1e141,    1e200, DBL_MAX};
    for (size_t i = 1; i < TG_ARRAY_LEN(rising); i++) {
        assert_true(tg_bin_of(rising[i - 1]) <= tg_bin_of(rising[i]));
        assert_int_equal(tg_bin_of(-rising[i]), -tg_bin_of(rising[i]));
    }
    assert_true(tg_bin_of(1) < tg_bin_of(1.03));
}

static void tiny_values_are_zero_and_huge_ones_are_in_the_last_bin(void **state)
{
    (void)state;
    assert_int_equal(tg_bin_of(-0.0), 0);
    assert_int_equal(tg_bin_of(1e-140), 0);
    assert_true(tg_bin_of(1.01e-140) > 0);
    assert_true(tg_bin_of(7e140) < 32767);
    assert_int_equal(tg_bin_of(DBL_MAX), 32767);
    assert_int_equal(tg_bin_of(HUGE_VAL), 32767);
    assert_int_equal(tg_bin_of(-HUGE_VAL), -32767);
    assert_int_equal(tg_bin_of(nan("")), 32767);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_is_within_one_per_cent_of_its_bin),
        cmocka_unit_test(bins_are_in_the_order_of_values_and_mirrored_at_zero),
        cmocka_unit_test(tiny_values_are_zero_and_huge_ones_are_in_the_last_bin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
