/* The line of configuration, and which entry a path has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/deprecation.h"

static tg_deprecations_t *parse(const char *text)
{
    tg_deprecations_t *list = NULL;
    tg_error_t error = {.status = TG_OK};
    if (tg_deprecations_parse(tg_str_from(text), &list, &error) != TG_OK)
        fail_msg("%s", error.text);
    return list;
}

static void the_first_entry_that_fits_counts_under_every_alias(void **state)
{
    (void)state;
    tg_deprecations_t *list =
        parse("/v1/kpi/* 2026-12-01 2027-06-30 /v2/query; /v1/* 2026-12-02 - -;");
    static const char *const kpis[] = {"/v1/kpi/minute", "/api/v1/kpi/minute", "/kpi/minute"};
    for (size_t i = 0; i < TG_ARRAY_LEN(kpis); i++) {
        const tg_deprecation_t *entry = tg_deprecations_find(list, tg_str_from(kpis[i]));
        assert_non_null(entry);
        assert_string_equal(entry->since, "@1796083200");
        assert_string_equal(entry->sunset, "Wed, 30 Jun 2027 00:00:00 GMT");
        assert_string_equal(entry->link, "</v2/query>; rel=\"successor-version\"");
    }
    const tg_deprecation_t *other = tg_deprecations_find(list, TG_STR("/signals"));
    assert_non_null(other);
    assert_string_equal(other->since, "@1796169600");
    assert_string_equal(other->sunset, "");
    assert_string_equal(other->link, "");
    assert_null(tg_deprecations_find(list, TG_STR("/v2/events")));
    tg_deprecations_destroy(list);
}

static void a_path_without_a_star_is_that_path_only(void **state)
{
    (void)state;
    tg_deprecations_t *list = parse("/v2/events - 2027-01-01 -");
    assert_non_null(tg_deprecations_find(list, TG_STR("/v2/events")));
    assert_null(tg_deprecations_find(list, TG_STR("/v2/events/x")));
    assert_null(tg_deprecations_find(list, TG_STR("/events")));
    tg_deprecations_destroy(list);
}

static void a_bad_entry_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"/v1/x 2026-12-01 -", "it has not four words"},
        {"/v1/x 2026-12-01 - - -", "it has not four words"},
        {"/kpi/* 2026-12-01 - -", "must begin with /v1/"},
        {"/v1/x 2026-13-01 - -", "the second word is not a day"},
        {"/v1/x - tomorrow -", "the third word is not a day"},
        {"/v1/x - - v2", "the successor is not a path"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        tg_deprecations_t *list = NULL;
        tg_error_t error = {.status = TG_OK};
        assert_int_equal(tg_deprecations_parse(tg_str_from(cases[i].text), &list, &error),
                         TG_INVALID);
        assert_non_null(strstr(error.text, cases[i].says));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_entry_that_fits_counts_under_every_alias),
        cmocka_unit_test(a_path_without_a_star_is_that_path_only),
        cmocka_unit_test(a_bad_entry_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
