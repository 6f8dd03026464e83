/* The generator against its authors' numbers, the distributions against their moments. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loadtest/simulator/rng.h"

#define DRAWS 200000

static void xoshiro_gives_the_published_sequence(void **state)
{
    (void)state;
    static const uint64_t expected[] = {11520,
                                        0,
                                        1509978240,
                                        UINT64_C(1215971899390074240),
                                        UINT64_C(1216172134540287360),
                                        UINT64_C(607988272756665600),
                                        UINT64_C(16172922978634559625),
                                        UINT64_C(8476171486693032832)};
    tg_rng_t rng = {.state = {1, 2, 3, 4}};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_true(tg_rng_next(&rng) == expected[i]);
}

static void splitmix_gives_the_published_sequence(void **state)
{
    (void)state;
    static const uint64_t expected[] = {UINT64_C(6457827717110365317),
                                        UINT64_C(3203168211198807973),
                                        UINT64_C(9817491932198370423)};
    for (uint64_t i = 0; i < 3; i++)
        assert_true(tg_rng_mix(1234567 + i * UINT64_C(0x9e3779b97f4a7c15)) == expected[i]);
}

static void the_same_seed_repeats_and_another_one_does_not(void **state)
{
    (void)state;
    tg_rng_t a, b, c;
    unsigned same = 0;
    tg_rng_seed(&a, 7);
    tg_rng_seed(&b, 7);
    tg_rng_seed(&c, 8);
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t number = tg_rng_next(&a);
        assert_true(number == tg_rng_next(&b));
        same += number == tg_rng_next(&c);
    }
    assert_int_equal(same, 0);
}

struct moments {
    double mean, variance;
};

static struct moments moments_of(double (*draw)(tg_rng_t *rng))
{
    tg_rng_t rng;
    double sum = 0, squares = 0;
    tg_rng_seed(&rng, 42);
    for (unsigned i = 0; i < DRAWS; i++) {
        double x = draw(&rng);
        sum += x;
        squares += x * x;
    }
    double mean = sum / DRAWS;
    return (struct moments){mean, squares / DRAWS - mean * mean};
}

static void assert_near(double found, double expected, double tolerance)
{
    if (fabs(found - expected) > tolerance)
        fail_msg("%f is not %f", found, expected);
}

static void distributions_have_their_mean_and_variance(void **state)
{
    (void)state;
    struct moments uniform = moments_of(tg_rng_unit), normal = moments_of(tg_rng_normal),
                   exponential = moments_of(tg_rng_exponential);
    assert_near(uniform.mean, 0.5, 0.005);
    assert_near(uniform.variance, 1.0 / 12, 0.005);
    assert_near(normal.mean, 0, 0.01);
    assert_near(normal.variance, 1, 0.02);
    assert_near(exponential.mean, 1, 0.01);
    assert_near(exponential.variance, 1, 0.03);
}

static void numbers_below_a_bound_are_even(void **state)
{
    (void)state;
    tg_rng_t rng;
    unsigned seen[10] = {0};
    tg_rng_seed(&rng, 3);
    for (unsigned i = 0; i < DRAWS; i++) {
        uint32_t n = tg_rng_below(&rng, 10);
        assert_true(n < 10);
        seen[n]++;
    }
    for (unsigned i = 0; i < 10; i++)
        assert_near(seen[i], DRAWS / 10.0, DRAWS / 10.0 * 0.05);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xoshiro_gives_the_published_sequence),
        cmocka_unit_test(splitmix_gives_the_published_sequence),
        cmocka_unit_test(the_same_seed_repeats_and_another_one_does_not),
        cmocka_unit_test(distributions_have_their_mean_and_variance),
        cmocka_unit_test(numbers_below_a_bound_are_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
