/* RFC 3339 in and out: forms, bounds, and an independent calendar as the oracle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <time.h>

#include "common/base/time.h"

static int64_t parsed(const char *text)
{
    int64_t us = INT64_MIN;
    if (tg_time_parse(tg_str_from(text), &us) != TG_OK)
        fail_msg("refused: %s", text);
    return us;
}

static void the_accepted_forms_mean_the_same_instant(void **state)
{
    (void)state;
    const int64_t us = INT64_C(1770112805000000); /* date -u -d 2026-02-03T10:00:05Z +%s */
    assert_int_equal(parsed("2026-02-03T10:00:05Z"), us);
    assert_int_equal(parsed("2026-02-03t10:00:05z"), us);
    assert_int_equal(parsed("2026-02-03 10:00:05Z"), us);
    assert_int_equal(parsed("2026-02-03T12:30:05+02:30"), us);
    assert_int_equal(parsed("2026-02-02T23:00:05-11:00"), us);
    assert_int_equal(parsed("2026-02-03T10:00:05-00:00"), us);
    assert_int_equal(parsed("2026-02-03T10:00:05.000000999Z"), us);
    assert_int_equal(parsed("2025-12-20T18:34:38.300308+00:00"), INT64_C(1766255678300308));
    assert_int_equal(parsed("2026-02-03T10:00:05.5Z"), us + 500000);
    assert_int_equal(parsed("2026-02-03T10:00:05.123456789Z"), us + 123456);
    assert_int_equal(parsed("1970-01-01T00:00:00Z"), 0);
    assert_int_equal(parsed("1969-12-31T23:59:59.999999Z"), -1);
}

static void what_is_no_time_is_refused_and_leaves_the_output(void **state)
{
    (void)state;
    const char *const bad[] = {
        "",
        "2026",
        "2026-02-03",
        "2026-02-03T10:00:05",
        "2026-02-03T10:00:05+",
        "2026-02-03T10:00Z",
        "2026-02-30T10:00:05Z",
        "2025-02-29T10:00:05Z",
        "1900-02-29T00:00:00Z",
        "2026-00-03T10:00:05Z",
        "2026-13-03T10:00:05Z",
        "2026-02-00T10:00:05Z",
        "2026-04-31T10:00:05Z",
        "2026-02-03T24:00:00Z",
        "2026-02-03T10:60:05Z",
        "2026-02-03T10:00:61Z",
        "2026-02-03T10:00:60Z",
        "2026-02-03T10:00:05.Z",
        "2026-02-03T10:00:05.1234567890Z",
        "2026-02-03T10:00:05+24:00",
        "2026-02-03T10:00:05+02:60",
        "2026-02-03T10:00:05+0200",
        "2026-02-03T10:00:05+02",
        "2026-02-03T10:00:05ZZ",
        "2026-02-03T10:00:05Z ",
        " 2026-02-03T10:00:05Z",
        "2026/02/03T10:00:05Z",
        "2026-02-03_10:00:05Z",
        "2026-2-03T10:00:05Z",
        "+026-02-03T10:00:05Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "2026-02-03T10:0 :05Z",
        "2026-02-03T-1:00:05Z",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        int64_t us = 42;
        if (tg_time_parse(tg_str_from(bad[i]), &us) != TG_INVALID)
            fail_msg("accepted: %s", bad[i]);
        assert_int_equal(us, 42);
    }
    int64_t us = 42;
    assert_int_equal(tg_time_parse((tg_str_t){NULL, 0}, &us), TG_INVALID);
}

static void a_leap_second_reads_as_the_second_before_it(void **state)
{
    (void)state;
    int64_t second = parsed("2016-12-31T23:59:59Z");
    assert_int_equal(parsed("2016-12-31T23:59:60Z"), second);
    assert_int_equal(parsed("2016-12-31T23:59:60.250Z"), second + 250000);
    assert_int_equal(parsed("2017-01-01T05:29:60+05:30"), second);
    int64_t us = 0;
    assert_int_equal(tg_time_parse(TG_STR("2016-12-31T22:59:60Z"), &us), TG_INVALID);
}

static void format_writes_only_the_digits_that_matter(void **state)
{
    (void)state;
    const char *const texts[] = {
        "2026-02-03T10:00:05Z",        "2026-02-03T10:00:05.120Z",    "2026-02-03T10:00:05.000001Z",
        "2026-02-03T10:00:05.123450Z", "1970-01-01T00:00:00Z",        "1969-12-31T23:59:59.999Z",
        "0001-01-01T00:00:00Z",        "9999-12-31T23:59:59.999999Z", "2000-02-29T12:00:00Z",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(texts); i++) {
        char out[TG_TIME_TEXT_MAX];
        assert_int_equal(tg_time_format(parsed(texts[i]), out), strlen(texts[i]));
        assert_string_equal(out, texts[i]);
    }
}

static void format_stays_within_the_years_that_text_can_say(void **state)
{
    (void)state;
    char out[TG_TIME_TEXT_MAX];
    tg_time_format(INT64_MIN, out);
    assert_string_equal(out, "0001-01-01T00:00:00Z");
    tg_time_format(INT64_MAX, out);
    assert_string_equal(out, "9999-12-31T23:59:59.999999Z");
}

static void the_calendar_agrees_with_the_c_library(void **state)
{
    (void)state;
    for (int64_t day = -719162; day <= 2932896; day += 37) {
        time_t seconds = (time_t)(day * 86400 + 45296);
        struct tm tm;
        assert_non_null(gmtime_r(&seconds, &tm));
        char expected[80], out[TG_TIME_TEXT_MAX];
        (void)snprintf(expected, sizeof(expected), "%04d-%02d-%02dT%02d:%02d:%02dZ",
                       tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                       tm.tm_sec);
        tg_time_format((int64_t)seconds * TG_US_PER_SECOND, out);
        assert_string_equal(out, expected);
        assert_int_equal(parsed(expected), (int64_t)seconds * TG_US_PER_SECOND);
    }
}

static void floor_rounds_down_on_both_sides_of_the_epoch(void **state)
{
    (void)state;
    assert_int_equal(tg_time_floor(61 * TG_US_PER_SECOND, TG_US_PER_MINUTE), TG_US_PER_MINUTE);
    assert_int_equal(tg_time_floor(-1, TG_US_PER_MINUTE), -TG_US_PER_MINUTE);
    assert_int_equal(tg_time_floor(-TG_US_PER_MINUTE, TG_US_PER_MINUTE), -TG_US_PER_MINUTE);
}

static void the_clocks_run(void **state)
{
    (void)state;
    assert_true(tg_time_now() > parsed("2024-01-01T00:00:00Z"));
    uint64_t before = tg_time_mono_us();
    assert_true(tg_time_mono_us() >= before);
    assert_true(tg_time_mono_ms() >= before / 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_accepted_forms_mean_the_same_instant),
        cmocka_unit_test(what_is_no_time_is_refused_and_leaves_the_output),
        cmocka_unit_test(a_leap_second_reads_as_the_second_before_it),
        cmocka_unit_test(format_writes_only_the_digits_that_matter),
        cmocka_unit_test(format_stays_within_the_years_that_text_can_say),
        cmocka_unit_test(the_calendar_agrees_with_the_c_library),
        cmocka_unit_test(floor_rounds_down_on_both_sides_of_the_epoch),
        cmocka_unit_test(the_clocks_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
