/* Sums of doubles as exact decimals. The store's test compares with the server on random bits; here
 * stand the cases that made the design. */
#include "worker/store/decimal.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static tg_arena_t *arena;

static int start(void **state)
{
    (void)state;
    arena = tg_arena_create(64 << 20);
    return arena == NULL ? -1 : 0;
}

static int stop(void **state)
{
    (void)state;
    tg_arena_destroy(arena);
    return 0;
}

static void assert_sum(const double *values, size_t count, const char *expected)
{
    tg_decimal_t sum = {0};
    char text[TG_DECIMAL_TEXT_MAX];
    for (size_t i = 0; i < count; i++)
        assert_int_equal(tg_decimal_add(&sum, values[i], arena), TG_OK);
    size_t len = tg_decimal_format(&sum, text);
    assert_int_equal(len, strlen(text));
    assert_string_equal(text, expected);
}
#define ASSERT_SUM(expected, ...)                                                                  \
    assert_sum((const double[]){__VA_ARGS__},                                                      \
               sizeof((const double[]){__VA_ARGS__}) / sizeof(double), expected)

static void tenths_add_up(void **state)
{
    (void)state;
    ASSERT_SUM("0.3", 0.1, 0.2);
    ASSERT_SUM("120.5", 120.5);
    ASSERT_SUM("0", 0.1, -0.1);
    ASSERT_SUM("-12.34", -12, -0.34);
    ASSERT_SUM("100", 99.99, 0.01);
    ASSERT_SUM("0", -0.0);
}

static void any_double_counts_as_its_shortest_text(void **state)
{
    (void)state;
    ASSERT_SUM("0.30000000000000004", 0.1 + 0.2);
    ASSERT_SUM("20.123456789012344", 20.123456789012344);
    ASSERT_SUM("9007199254740993", 9007199254740992, 1);
    /* 1e23 lies on the edge of what reads back: the server prints it so. */
    ASSERT_SUM("99999999999999990000000", 1e23);
}

static void the_largest_and_the_smallest_doubles_fit(void **state)
{
    (void)state;
    tg_decimal_t sum = {0};
    char text[TG_DECIMAL_TEXT_MAX];
    assert_int_equal(tg_decimal_add(&sum, DBL_MAX, arena), TG_OK);
    assert_int_equal(tg_decimal_add(&sum, DBL_TRUE_MIN, arena), TG_OK);
    size_t len = tg_decimal_format(&sum, text);
    assert_int_equal(len, 309 + 1 + 324);
    assert_memory_equal(text, "17976931348623157", 17);
    assert_int_equal(text[len - 1], '5'); /* 5e-324 */
    assert_int_equal(tg_decimal_add(&sum, -DBL_MAX, arena), TG_OK);
    assert_int_equal(tg_decimal_add(&sum, -DBL_TRUE_MIN, arena), TG_OK);
    tg_decimal_format(&sum, text);
    assert_string_equal(text, "0");
}

static double random_double(void)
{
    uint64_t bits = ((uint64_t)random() << 42) ^ ((uint64_t)random() << 21) ^ (uint64_t)random();
    double value = 0;
    memcpy(&value, &bits, sizeof(value));
    return isfinite(value) ? value : 0.1;
}

static void a_single_value_reads_back(void **state)
{
    (void)state;
    srandom(1);
    for (unsigned i = 0; i < 20000; i++) {
        tg_decimal_t sum = {0};
        char text[TG_DECIMAL_TEXT_MAX];
        double value = i % 2 == 0 ? random_double() : (double)random() / 1000.0;
        assert_int_equal(tg_decimal_add(&sum, value, arena), TG_OK);
        tg_decimal_format(&sum, text);
        assert_true(strtod(text, NULL) == value);
        tg_arena_reset(arena);
    }
}

static void the_order_of_adding_does_not_matter(void **state)
{
    (void)state;
    double values[64];
    char forward[TG_DECIMAL_TEXT_MAX], backward[TG_DECIMAL_TEXT_MAX];
    tg_decimal_t a = {0}, b = {0};
    srandom(2);
    for (size_t i = 0; i < 64; i++)
        values[i] = i % 3 == 0 ? random_double() : (double)(random() - (RAND_MAX >> 1)) / 777.0;
    for (size_t i = 0; i < 64; i++) {
        assert_int_equal(tg_decimal_add(&a, values[i], arena), TG_OK);
        assert_int_equal(tg_decimal_add(&b, values[63 - i], arena), TG_OK);
    }
    tg_decimal_format(&a, forward);
    tg_decimal_format(&b, backward);
    assert_string_equal(forward, backward);
}

static void a_full_scaled_part_overflows_into_the_wide_one(void **state)
{
    (void)state;
    tg_decimal_t sum = {.scaled = ((__int128)1 << 126) - 1, .scale = 0};
    char before[TG_DECIMAL_TEXT_MAX], after[TG_DECIMAL_TEXT_MAX];
    tg_decimal_format(&sum, before);
    assert_string_equal(before, "85070591730234615865843651857942052863");
    assert_int_equal(tg_decimal_add(&sum, 0.125, arena), TG_OK); /* rescaling does not fit */
    tg_decimal_format(&sum, after);
    assert_string_equal(after, "85070591730234615865843651857942052863.125");
}

static void without_memory_the_sum_is_unchanged(void **state)
{
    (void)state;
    tg_arena_t *tiny = tg_arena_create(64);
    tg_decimal_t sum = {0};
    char text[TG_DECIMAL_TEXT_MAX];
    assert_int_equal(tg_decimal_add(&sum, 1.5, tiny), TG_OK);
    assert_int_equal(tg_decimal_add(&sum, 1e300, tiny), TG_NOMEM);
    tg_decimal_format(&sum, text);
    assert_string_equal(text, "1.5");
    tg_arena_destroy(tiny);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tenths_add_up),
        cmocka_unit_test(any_double_counts_as_its_shortest_text),
        cmocka_unit_test(the_largest_and_the_smallest_doubles_fit),
        cmocka_unit_test(a_single_value_reads_back),
        cmocka_unit_test(the_order_of_adding_does_not_matter),
        cmocka_unit_test(a_full_scaled_part_overflows_into_the_wide_one),
        cmocka_unit_test(without_memory_the_sum_is_unchanged),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
