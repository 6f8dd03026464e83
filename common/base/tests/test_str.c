/* Buffers, numbers, UTF-8 and JSON text, with the C library as oracle where there is one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>

#include "common/base/str.h"

static void numbers_parse_to_their_bounds_and_no_further(void **state)
{
    (void)state;
    uint64_t u = 0;
    int64_t i = 0;
    assert_int_equal(tg_str_to_u64(TG_STR("18446744073709551615"), &u), TG_OK);
    assert_true(u == UINT64_MAX);
    assert_int_equal(tg_str_to_u64(TG_STR("18446744073709551616"), &u), TG_INVALID);
    assert_int_equal(tg_str_to_i64(TG_STR("-9223372036854775808"), &i), TG_OK);
    assert_true(i == INT64_MIN);
    assert_int_equal(tg_str_to_i64(TG_STR("9223372036854775807"), &i), TG_OK);
    assert_true(i == INT64_MAX);
    assert_int_equal(tg_str_to_i64(TG_STR("9223372036854775808"), &i), TG_INVALID);
    assert_int_equal(tg_str_to_i64(TG_STR("-9223372036854775809"), &i), TG_INVALID);
    const tg_str_t bad[] = {TG_STR(""),    TG_STR("-"),   TG_STR("+1"),  TG_STR(" 1"), TG_STR("1 "),
                            TG_STR("1.0"), TG_STR("0x1"), TG_STR("--1"), TG_STR("1\0")};
    for (size_t k = 0; k < TG_ARRAY_LEN(bad); k++) {
        assert_int_equal(tg_str_to_i64(bad[k], &i), TG_INVALID);
        assert_int_equal(tg_str_to_u64(bad[k], &u), TG_INVALID);
    }
    assert_int_equal(tg_str_to_u64(TG_STR("-1"), &u), TG_INVALID);
}

static void order_is_bytewise_and_shorter_first(void **state)
{
    (void)state;
    assert_true(tg_str_cmp(TG_STR("a"), TG_STR("ab")) < 0);
    assert_true(tg_str_cmp(TG_STR("\xff"), TG_STR("a")) > 0);
    assert_true(tg_str_cmp((tg_str_t){NULL, 0}, TG_STR("")) == 0);
    assert_true(tg_str_eq((tg_str_t){NULL, 0}, TG_STR("")));
}

static void utf8_is_what_rfc_3629_says(void **state)
{
    (void)state;
    const tg_str_t good[] = {TG_STR(""),
                             TG_STR("plain ascii of some length"),
                             TG_STR("\xc2\x80"),
                             TG_STR("\xdf\xbf"),
                             TG_STR("\xe0\xa0\x80"),
                             TG_STR("\xed\x9f\xbf"),
                             TG_STR("\xee\x80\x80"),
                             TG_STR("\xef\xbf\xbf"),
                             TG_STR("\xf0\x90\x80\x80"),
                             TG_STR("\xf4\x8f\xbf\xbf"),
                             TG_STR("seven  \xc3\xa4 more than a word"),
                             TG_STR("\0")};
    const tg_str_t bad[] = {TG_STR("\x80"),
                            TG_STR("\xc0\x80"),
                            TG_STR("\xc1\xbf"),
                            TG_STR("\xc2"),
                            TG_STR("\xc2z"),
                            TG_STR("\xe0\x9f\xbf"),
                            TG_STR("\xed\xa0\x80"),
                            TG_STR("\xe1\x80"),
                            TG_STR("\xe1\x80z"),
                            TG_STR("\xf0\x8f\xbf\xbf"),
                            TG_STR("\xf4\x90\x80\x80"),
                            TG_STR("\xf5\x80\x80\x80"),
                            TG_STR("\xf1\x80\x80"),
                            TG_STR("\xff"),
                            TG_STR("eight ok\xc2"),
                            TG_STR("\xf1\x80\x80\xc0")};
    for (size_t i = 0; i < TG_ARRAY_LEN(good); i++)
        assert_true(tg_str_is_utf8(good[i]));
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
        assert_false(tg_str_is_utf8(bad[i]));
}

static void a_buffer_grows_to_its_limit_and_remembers_that_it_failed(void **state)
{
    (void)state;
    tg_buf_t buf = tg_buf_make(1000);
    for (int i = 0; i < 1000; i++)
        tg_buf_byte(&buf, 'x');
    assert_false(buf.failed);
    assert_int_equal(buf.len, 1000);
    tg_buf_byte(&buf, 'y');
    assert_true(buf.failed);
    tg_buf_append(&buf, "", 0);
    assert_null(tg_buf_reserve(&buf, 0));
    assert_int_equal(buf.len, 1000);
    tg_buf_clear(&buf);
    tg_buf_str(&buf, TG_STR("again"));
    assert_true(tg_str_eq(tg_buf_view(&buf), TG_STR("again")));
    assert_null(tg_buf_reserve(&buf, SIZE_MAX));
    tg_buf_dispose(&buf);
    tg_buf_dispose(&buf);
    tg_buf_dispose(NULL);
    tg_buf_t none = tg_buf_make(0);
    tg_buf_byte(&none, 'x');
    assert_true(none.failed);
}

static void printf_writes_short_and_long_texts(void **state)
{
    (void)state;
    tg_buf_t buf = tg_buf_make(4096);
    tg_buf_printf(&buf, "%d-%s", 7, "x");
    assert_true(tg_str_eq(tg_buf_view(&buf), TG_STR("7-x")));
    tg_buf_printf(&buf, "%0*d", 3000, 1);
    assert_int_equal(buf.len, 3003);
    assert_int_equal(buf.data[3002], '1');
    tg_buf_printf(&buf, "%0*d", 3000, 1);
    assert_true(buf.failed);
    tg_buf_dispose(&buf);
}

static void assert_json_string(tg_str_t text, tg_str_t expected)
{
    tg_buf_t buf = tg_buf_make(4096);
    tg_buf_json_string(&buf, text);
    assert_int_equal(buf.len, expected.len);
    assert_memory_equal(buf.data, expected.ptr, expected.len);
    tg_buf_dispose(&buf);
}

static void json_strings_escape_what_must_be_escaped(void **state)
{
    (void)state;
    assert_json_string((tg_str_t){NULL, 0}, TG_STR("\"\""));
    assert_json_string(TG_STR("stream_1001"), TG_STR("\"stream_1001\""));
    assert_json_string(TG_STR("a\"b\\c/d"), TG_STR("\"a\\\"b\\\\c/d\""));
    assert_json_string(TG_STR("\b\f\n\r\t"), TG_STR("\"\\b\\f\\n\\r\\t\""));
    assert_json_string(TG_STR("\0\x1f\x7f"), TG_STR("\"\\u0000\\u001f\x7f\""));
    assert_json_string(TG_STR("12345678\"2345678"), TG_STR("\"12345678\\\"2345678\""));
    assert_json_string(TG_STR("na\xc3\xafve \xf0\x9f\x8c\x8a"),
                       TG_STR("\"na\xc3\xafve \xf0\x9f\x8c\x8a\""));
}

static void bytes_that_are_no_utf8_become_replacement_characters(void **state)
{
    (void)state;
    assert_json_string(TG_STR("a\xff"
                              "b"),
                       TG_STR("\"a\xef\xbf\xbd"
                              "b\""));
    assert_json_string(TG_STR("\xed\xa0\x80"), TG_STR("\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""));
    assert_json_string(TG_STR("cut \xe2\x82"), TG_STR("\"cut \xef\xbf\xbd\xef\xbf\xbd\""));
}

static void each_byte_at_each_place_of_a_word_is_treated_alike(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        tg_buf_t alone = tg_buf_make(64), placed = tg_buf_make(128);
        char one = (char)byte;
        tg_buf_json_string(&alone, (tg_str_t){&one, 1});
        for (size_t at = 0; at < 16; at++) {
            char text[17] = "0123456789abcdef";
            text[at] = one;
            tg_buf_clear(&placed);
            tg_buf_json_string(&placed, (tg_str_t){text, 16});
            assert_int_equal(placed.len, 15 + alone.len);
            assert_memory_equal(placed.data + 1 + at, alone.data + 1, alone.len - 2);
        }
        tg_buf_dispose(&alone);
        tg_buf_dispose(&placed);
    }
}

static void assert_double(double value, const char *expected)
{
    tg_buf_t buf = tg_buf_make(64);
    tg_buf_json_double(&buf, value);
    tg_buf_byte(&buf, '\0');
    assert_string_equal(buf.data, expected);
    tg_buf_dispose(&buf);
}

static void doubles_are_as_short_as_they_can_be(void **state)
{
    (void)state;
    assert_double(0, "0");
    assert_double(-0.0, "-0");
    assert_double(120.5, "120.5");
    assert_double(-0.1, "-0.1");
    assert_double(0.000001, "0.000001");
    assert_double(19.99, "19.99");
    assert_double(1.0 / 3, "0.3333333333333333");
    assert_double(0.1 + 0.2, "0.30000000000000004");
    assert_double(999999999999999, "999999999999999");
    assert_double(1e15, "1e+15");
    assert_double(1e300, "1e+300");
    assert_double(5e-324, "4.94065645841247e-324");
    assert_double(123456789.123456, "123456789.123456");
    assert_double(NAN, "null");
    assert_double(INFINITY, "null");
    assert_double(-INFINITY, "null");
}

static void each_double_reads_back_the_same(void **state)
{
    (void)state;
    tg_buf_t buf = tg_buf_make(64);
    uint64_t bits = 88172645463325252ULL;
    for (int i = 0; i < 300000; i++) {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        double value;
        memcpy(&value, &bits, sizeof(value));
        if (i % 3 == 1)
            value = (double)(int64_t)bits / 1e12;
        if (i % 3 == 2)
            value = (double)(int64_t)(bits % 100000000) / 100;
        if (!isfinite(value))
            continue;
        tg_buf_clear(&buf);
        tg_buf_json_double(&buf, value);
        tg_buf_byte(&buf, '\0');
        assert_true(strtod(buf.data, NULL) == value);
    }
    tg_buf_dispose(&buf);
}

static void integers_print_as_printf_does(void **state)
{
    (void)state;
    const int64_t values[] = {0, 1, -1, 9, 10, -10, 1234567890, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < TG_ARRAY_LEN(values); i++) {
        char expected[32];
        (void)snprintf(expected, sizeof(expected), "%lld", (long long)values[i]);
        tg_buf_t buf = tg_buf_make(64);
        tg_buf_i64(&buf, values[i]);
        assert_true(tg_str_eq(tg_buf_view(&buf), tg_str_from(expected)));
        tg_buf_dispose(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_parse_to_their_bounds_and_no_further),
        cmocka_unit_test(order_is_bytewise_and_shorter_first),
        cmocka_unit_test(utf8_is_what_rfc_3629_says),
        cmocka_unit_test(a_buffer_grows_to_its_limit_and_remembers_that_it_failed),
        cmocka_unit_test(printf_writes_short_and_long_texts),
        cmocka_unit_test(json_strings_escape_what_must_be_escaped),
        cmocka_unit_test(bytes_that_are_no_utf8_become_replacement_characters),
        cmocka_unit_test(each_byte_at_each_place_of_a_word_is_treated_alike),
        cmocka_unit_test(doubles_are_as_short_as_they_can_be),
        cmocka_unit_test(each_double_reads_back_the_same),
        cmocka_unit_test(integers_print_as_printf_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
