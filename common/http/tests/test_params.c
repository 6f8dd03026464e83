/* Query parameters: types, bounds, hostile text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/http/params.h"

static const tg_param_t rows[] = {
    {.name = "limit", .type = TG_PARAM_UINT, .fallback = 2000, .min = 1, .max = 5000},
    {.name = "from", .type = TG_PARAM_TIME, .fallback = -1},
    {.name = "by", .type = TG_PARAM_ENUM, .allowed = "donations_usd|chat|viewers", .fallback = 1},
    {.name = "name", .type = TG_PARAM_STR, .min = 1, .max = 8},
    {.name = "strict", .type = TG_PARAM_BOOL},
};
enum { LIMIT, FROM, BY, NAME, STRICT, COUNT };

static tg_param_value_t values[COUNT];
static tg_str_t bad_name;
static tg_error_t error;
static tg_arena_t *arena;

static tg_status_t parse(const char *query)
{
    tg_arena_reset(arena);
    return tg_params_parse(rows, COUNT, tg_str_from(query), arena, values, &bad_name, &error);
}

static void absent_parameters_have_their_fallback(void **state)
{
    (void)state;
    assert_int_equal(parse(""), TG_OK);
    assert_int_equal(values[LIMIT].number, 2000);
    assert_false(values[LIMIT].present);
    assert_int_equal(values[BY].number, 1);
    assert_int_equal(values[NAME].text.len, 0);
}

static void each_type_is_read(void **state)
{
    (void)state;
    assert_int_equal(
        parse("limit=17&by=viewers&name=a%20b%2Bc+d&strict=true&from=2026-02-03T10:00:05Z"), TG_OK);
    assert_int_equal(values[LIMIT].number, 17);
    assert_int_equal(values[BY].number, 2);
    assert_true(tg_str_eq(values[NAME].text, TG_STR("a b+c d")));
    assert_int_equal(values[STRICT].number, 1);
    assert_int_equal(values[FROM].number, INT64_C(1770112805000000));
}

static void times_are_told_apart_by_their_magnitude(void **state)
{
    (void)state;
    const char *const same[] = {"from=1770112805", "from=1770112805000", "from=1770112805000000",
                                "from=2026-02-03T12:00:05+02:00",
                                "from=2026-02-03T12:00:05%2B02:00"};
    for (size_t i = 0; i < TG_ARRAY_LEN(same); i++) {
        assert_int_equal(parse(same[i]), TG_OK);
        assert_int_equal(values[FROM].number, INT64_C(1770112805000000));
    }
}

static void bad_values_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *query, *name;
    } cases[] = {
        {"limit=0", "limit"},
        {"limit=5001", "limit"},
        {"limit=", "limit"},
        {"limit", "limit"},
        {"limit=-1", "limit"},
        {"limit=1e3", "limit"},
        {"limit=99999999999999999999", "limit"},
        {"limit=1&limit=2", "limit"},
        {"from=yesterday", "from"},
        {"from=9223372036854775807", "from"},
        {"from=-9223372036854775808", "from"},
        {"by=money", "by"},
        {"by=", "by"},
        {"by=donations_usd|chat", "by"},
        {"strict=1", "strict"},
        {"name=", "name"},
        {"name=123456789", "name"},
        {"name=%zz", "name"},
        {"name=%f", "name"},
        {"name=%00", "name"},
        {"name=%ff", "name"},
        {"name=%ed%a0%80", "name"},
        {"Limit=1", "Limit"},
        {"nope=1", "nope"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        assert_int_equal(parse(cases[i].query), TG_INVALID);
        assert_true(tg_str_eq(bad_name, tg_str_from(cases[i].name)));
        assert_true(strlen(error.text) > 10);
    }
}

static void an_unknown_name_is_told_what_is_allowed(void **state)
{
    (void)state;
    assert_int_equal(parse("limits=1"), TG_INVALID);
    assert_non_null(strstr(error.text, "limit, from, by, name, strict"));
}

static void empty_pairs_are_skipped_and_bad_names_refused(void **state)
{
    (void)state;
    assert_int_equal(parse("&&limit=3&"), TG_OK);
    assert_int_equal(values[LIMIT].number, 3);
    assert_int_equal(parse("%ff=3"), TG_INVALID);
    assert_int_equal(parse("=3"), TG_INVALID);
}

static void a_query_above_8_KiB_is_too_large(void **state)
{
    (void)state;
    static char query[9000];
    memset(query, 'a', sizeof(query) - 1);
    assert_int_equal(parse(query), TG_TOO_LARGE);
}

static int open_arena(void **state)
{
    (void)state;
    arena = tg_arena_create(1 << 20);
    return arena == NULL;
}

static int close_arena(void **state)
{
    (void)state;
    tg_arena_destroy(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_parameters_have_their_fallback),
        cmocka_unit_test(each_type_is_read),
        cmocka_unit_test(times_are_told_apart_by_their_magnitude),
        cmocka_unit_test(bad_values_are_refused_by_name),
        cmocka_unit_test(an_unknown_name_is_told_what_is_allowed),
        cmocka_unit_test(empty_pairs_are_skipped_and_bad_names_refused),
        cmocka_unit_test(a_query_above_8_KiB_is_too_large),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
