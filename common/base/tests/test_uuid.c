/* UUID text, and versions 5 and 7 against RFC 9562. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/uuid.h"

static tg_uuid_t parsed(const char *text)
{
    tg_uuid_t uuid = {{0}};
    assert_int_equal(tg_uuid_parse(tg_str_from(text), &uuid), TG_OK);
    return uuid;
}

static void assert_text(const tg_uuid_t *uuid, const char *expected)
{
    char text[TG_UUID_TEXT_LEN + 1] = {0};
    tg_uuid_format(uuid, text);
    assert_string_equal(text, expected);
}

static void either_case_parses_and_lower_case_is_written(void **state)
{
    (void)state;
    tg_uuid_t uuid = parsed("6BA7B810-9dad-11D1-80b4-00C04fd430c8");
    assert_int_equal(uuid.bytes[0], 0x6b);
    assert_int_equal(uuid.bytes[15], 0xc8);
    assert_text(&uuid, "6ba7b810-9dad-11d1-80b4-00c04fd430c8");
}

static void what_is_no_uuid_is_refused(void **state)
{
    (void)state;
    const char *const bad[] = {
        "",
        "6ba7b810",
        "6ba7b8109dad11d180b400c04fd430c8",
        "6ba7b810-9dad-11d1-80b4-00c04fd430c",
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8a",
        "6ba7b810-9dad-11d1-80b4-00c04fd430cg",
        "6ba7b810x9dad-11d1-80b4-00c04fd430c8",
        "6ba7b81--9dad-11d1-80b4-00c04fd430c8",
        "{ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "6ba7b810-9dad-11d1-80b4-00c04fd430c\xff",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        tg_uuid_t uuid = {{7}};
        assert_int_equal(tg_uuid_parse(tg_str_from(bad[i]), &uuid), TG_INVALID);
        assert_int_equal(uuid.bytes[0], 7);
    }
}

static void version_5_gives_the_published_example(void **state)
{
    (void)state;
    /* RFC 9562, appendix A.4: the DNS namespace and www.example.com */
    tg_uuid_t dns = parsed("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), uuid;
    const tg_str_t whole[] = {TG_STR("www.example.com")};
    const tg_str_t parts[] = {TG_STR("www"), {NULL, 0}, TG_STR(".example"), TG_STR(".com")};
    tg_uuid_v5(&dns, whole, 1, &uuid);
    assert_text(&uuid, "2ed6657d-e927-568b-95e1-2665a8aea6a2");
    tg_uuid_v5(&dns, parts, TG_ARRAY_LEN(parts), &uuid);
    assert_text(&uuid, "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}

static void version_7_carries_its_millisecond_and_version(void **state)
{
    (void)state;
    tg_uuid_t uuid;
    const int64_t ms = INT64_C(0x017F22E279B0); /* RFC 9562, appendix A.6 */
    tg_uuid_v7(ms, &uuid);
    char text[TG_UUID_TEXT_LEN];
    tg_uuid_format(&uuid, text);
    assert_memory_equal(text, "017f22e2-79b0-7", 15);
    assert_int_equal(uuid.bytes[8] & 0xc0, 0x80);
}

static void version_7_increases_within_a_millisecond(void **state)
{
    (void)state;
    tg_uuid_t last, next;
    tg_uuid_v7(1000, &last);
    for (int i = 0; i < 100000; i++) {
        tg_uuid_v7(1000, &next);
        assert_true(memcmp(last.bytes, next.bytes, sizeof(next.bytes)) < 0);
        last = next;
    }
    tg_uuid_v7(1001, &next);
    assert_true(memcmp(last.bytes, next.bytes, sizeof(next.bytes)) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(either_case_parses_and_lower_case_is_written),
        cmocka_unit_test(what_is_no_uuid_is_refused),
        cmocka_unit_test(version_5_gives_the_published_example),
        cmocka_unit_test(version_7_carries_its_millisecond_and_version),
        cmocka_unit_test(version_7_increases_within_a_millisecond),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
