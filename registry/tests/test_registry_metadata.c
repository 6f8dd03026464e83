/* The one form of metadata, and how sources are merged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "registry/settings/metadata.h"

static tg_arena_t *arena;

static void expect_form(const char *json, const char *form)
{
    tg_str_t text;
    tg_error_t error = {.status = TG_OK};
    tg_status_t status = tg_metadata_read(tg_str_from(json), arena, &text, &error);
    if (status != TG_OK)
        fail_msg("%s: %s", json, error.text);
    assert_string_equal(text.ptr, form);
}

static void equal_metadata_have_one_form(void **state)
{
    (void)state;
    expect_form("{}", "{}");
    expect_form("{\"tags\":{},\"properties\":{},\"sensitive\":[]}", "{}");
    expect_form("{\"tags\":null, \"later\": 1}", "{}");
    expect_form("{\"sensitive\":[\"b\",\"a\",\"b\"],\"properties\":{\"o\":\"w\",\"e\":\"x\"},"
                "\"tags\":{\"**.ssn\":[\"PII\",\"A\",\"PII\"]}}",
                "{\"properties\":{\"e\":\"x\",\"o\":\"w\"},\"sensitive\":[\"a\",\"b\"],"
                "\"tags\":{\"**.ssn\":[\"A\",\"PII\"]}}");
}

static void what_is_no_metadata_is_refused_by_name(void **state)
{
    (void)state;
    static const struct refusal {
        const char *json, *named;
    } cases[] = {
        {"", "object"},
        {"[]", "object"},
        {"{\"tags\":[]}", "tags"},
        {"{\"tags\":{\"a\":\"b\"}}", "\"a\""},
        {"{\"tags\":{\"a\":[1]}}", "\"a\""},
        {"{\"properties\":{\"k\":1}}", "\"k\""},
        {"{\"properties\":[]}", "properties"},
        {"{\"sensitive\":\"k\"}", "sensitive"},
        {"{\"sensitive\":[null]}", "sensitive"},
        {"{\"properties\":{\"k\":\"\\u0000\"}}", "U+0000"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        tg_str_t text;
        tg_error_t error = {.status = TG_OK};
        assert_int_equal(tg_metadata_read(tg_str_from(cases[i].json), arena, &text, &error),
                         TG_INVALID);
        assert_non_null(strstr(error.text, cases[i].named));
    }
}

static void metadata_beyond_its_limit_are_refused(void **state)
{
    (void)state;
    static char json[TG_METADATA_MAX + 1];
    memset(json, ' ', sizeof(json));
    tg_str_t text;
    assert_int_equal(tg_metadata_read((tg_str_t){json, sizeof(json)}, arena, &text, NULL),
                     TG_TOO_LARGE);
}

static const char *merged(const char *defaults, const char *given, const char *previous,
                          const char *overrides)
{
    tg_metadata_sources_t sources = {tg_str_from(defaults), tg_str_from(given),
                                     tg_str_from(previous), tg_str_from(overrides)};
    tg_str_t text = TG_STR("untouched");
    assert_int_equal(tg_metadata_merge(&sources, arena, &text, NULL), TG_OK);
    return text.ptr;
}

static void overrides_win_over_the_clients_and_those_over_defaults(void **state)
{
    (void)state;
    assert_string_equal(merged("{\"properties\":{\"a\":\"d\",\"b\":\"d\",\"c\":\"d\"}}",
                               "{\"properties\":{\"b\":\"g\",\"c\":\"g\"}}", NULL,
                               "{\"properties\":{\"c\":\"o\"}}"),
                        "{\"properties\":{\"a\":\"d\",\"b\":\"g\",\"c\":\"o\"}}");
    assert_string_equal(
        merged("{\"tags\":{\"x\":[\"1\"]},\"sensitive\":[\"b\"]}", NULL, NULL,
               "{\"tags\":{\"x\":[\"2\"],\"y\":[\"3\"]},\"sensitive\":[\"a\",\"b\"]}"),
        "{\"sensitive\":[\"a\",\"b\"],\"tags\":{\"x\":[\"2\"],\"y\":[\"3\"]}}");
}

static void the_previous_versions_metadata_count_where_none_are_given(void **state)
{
    (void)state;
    const char *previous = "{\"properties\":{\"owner\":\"ann\"}}";
    assert_string_equal(merged(NULL, NULL, previous, NULL), previous);
    assert_string_equal(merged(NULL, "{\"sensitive\":[\"k\"]}", previous, NULL),
                        "{\"sensitive\":[\"k\"]}");
    assert_null(merged(NULL, "{}", previous, NULL));
    assert_null(merged(NULL, NULL, NULL, NULL));
}

static void a_property_is_found_by_its_name(void **state)
{
    (void)state;
    tg_str_t text = TG_STR("{\"properties\":{\"major\":\"2\"},\"sensitive\":[\"x\"]}"), value;
    assert_int_equal(tg_metadata_property(text, TG_STR("major"), arena, &value), TG_OK);
    assert_string_equal(value.ptr, "2");
    assert_int_equal(tg_metadata_property(text, TG_STR("x"), arena, &value), TG_OK);
    assert_null(value.ptr);
    assert_int_equal(tg_metadata_property((tg_str_t){NULL, 0}, TG_STR("x"), arena, &value), TG_OK);
    assert_null(value.ptr);
    assert_int_equal(tg_metadata_property(text, (tg_str_t){"major\0", 6}, arena, &value), TG_OK);
    assert_null(value.ptr);
}

static int set_up(void **state)
{
    (void)state;
    arena = tg_arena_create((size_t)4 << 20);
    return arena == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    tg_arena_destroy(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_metadata_have_one_form),
        cmocka_unit_test(what_is_no_metadata_is_refused_by_name),
        cmocka_unit_test(metadata_beyond_its_limit_are_refused),
        cmocka_unit_test(overrides_win_over_the_clients_and_those_over_defaults),
        cmocka_unit_test(the_previous_versions_metadata_count_where_none_are_given),
        cmocka_unit_test(a_property_is_found_by_its_name),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
