/* Durations: three counts and their ISO 8601 text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/avro/value/duration.h"

static void a_text_becomes_months_days_and_milliseconds(void **state)
{
    (void)state;
    static const struct {
        const char *text, *written; /* NULL: the same */
        uint32_t months, days, millis;
    } rows[] = {
        {"PT0S", NULL, 0, 0, 0},
        {"P1M", NULL, 1, 0, 0},
        {"P2D", NULL, 0, 2, 0},
        {"PT3.004S", NULL, 0, 0, 3004},
        {"P1M2DT3.004S", NULL, 1, 2, 3004},
        {"P1Y2M3W4DT5H6M7.8S", "P14M25DT18367.800S", 14, 25, 18367800},
        {"PT1M", "PT60S", 0, 0, 60000},
        {"PT0.05S", "PT0.050S", 0, 0, 50},
        {"P4294967295M4294967295DT4294967.295S", NULL, UINT32_MAX, UINT32_MAX, UINT32_MAX},
    };
    tg_buf_t out = tg_buf_make(128);
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        uint8_t bytes[TG_AVRO_DURATION_BYTES];
        uint32_t parts[3];
        if (tg_avro_duration_from_text(tg_str_from(rows[i].text), bytes) != TG_OK)
            fail_msg("%s was refused", rows[i].text);
        memcpy(parts, bytes, sizeof(parts)); /* little endian, as here */
        assert_int_equal(parts[0], rows[i].months);
        assert_int_equal(parts[1], rows[i].days);
        assert_int_equal(parts[2], rows[i].millis);
        tg_buf_clear(&out);
        tg_avro_duration_write((tg_str_t){(const char *)bytes, sizeof(bytes)}, &out);
        tg_buf_byte(&out, '\0');
        const char *expected = rows[i].written != NULL ? rows[i].written : rows[i].text;
        assert_int_equal(strlen(expected) + 2, strlen(out.data));
        assert_memory_equal(out.data + 1, expected, strlen(expected));
    }
    tg_buf_dispose(&out);
}

static void anything_else_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "P",
        "PT",
        "P1",
        "1D",
        "-P1D",
        "P-1D",
        "P1D1M",
        "P1D1D",
        "P1S",
        "PT1D",
        "P1.5D",
        "PT1.S",
        "PT.5S",
        "PT1.0000S",
        "P1DT",
        "p1d",
        "P1M ",
        "P1MT1S2",
        "P4294967296D",
        "PT1H1H",
        "P12345678901D",
        "PT4294967.296S",
        "P1TT1S",
    };
    uint8_t bytes[TG_AVRO_DURATION_BYTES];
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        if (tg_avro_duration_from_text(tg_str_from(rows[i]), bytes) != TG_INVALID)
            fail_msg("\"%s\" was taken", rows[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_becomes_months_days_and_milliseconds),
        cmocka_unit_test(anything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
