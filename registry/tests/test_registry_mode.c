/* Which mode counts, and what it allows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "registry/settings/mode.h"

static void a_mode_is_named_in_any_case(void **state)
{
    (void)state;
    tg_mode_t mode = TG_MODE_UNSET;
    assert_int_equal(tg_mode_parse(TG_STR("readonly"), &mode), TG_OK);
    assert_int_equal(mode, TG_MODE_READONLY);
    assert_int_equal(tg_mode_parse(TG_STR("Import"), &mode), TG_OK);
    assert_string_equal(tg_mode_name(mode), "IMPORT");
    static const char *const wrong[] = {"", "READ", "READWRITES", "FORWARD", " IMPORT"};
    for (size_t i = 0; i < TG_ARRAY_LEN(wrong); i++)
        assert_int_equal(tg_mode_parse(tg_str_from(wrong[i]), &mode), TG_INVALID);
}

static void the_nearest_mode_counts(void **state)
{
    (void)state;
    const tg_mode_t no = TG_MODE_UNSET, rw = TG_MODE_READWRITE, ro = TG_MODE_READONLY,
                    import = TG_MODE_IMPORT;
    assert_int_equal(tg_mode_effective(no, no, no), rw);
    assert_int_equal(tg_mode_effective(no, no, ro), ro);
    assert_int_equal(tg_mode_effective(no, import, ro), import);
    assert_int_equal(tg_mode_effective(rw, import, ro), rw);
}

static void an_override_wins_over_the_modes_below_it(void **state)
{
    (void)state;
    const tg_mode_t no = TG_MODE_UNSET, rw = TG_MODE_READWRITE, all = TG_MODE_READONLY_OVERRIDE;
    assert_int_equal(tg_mode_effective(rw, rw, all), all);
    assert_int_equal(tg_mode_effective(rw, all, no), all);
    assert_int_equal(tg_mode_effective(all, rw, rw), all);
}

static bool registers(tg_mode_t mode, bool imports)
{
    return tg_mode_may_register(mode, imports, TG_STR("s"), TG_STR(""), NULL) == TG_OK;
}

static void each_mode_allows_its_own_kind_of_registration(void **state)
{
    (void)state;
    assert_true(registers(TG_MODE_READWRITE, false));
    assert_false(registers(TG_MODE_READWRITE, true));
    assert_true(registers(TG_MODE_IMPORT, true));
    assert_false(registers(TG_MODE_IMPORT, false));
    assert_false(registers(TG_MODE_READONLY, false));
    assert_false(registers(TG_MODE_READONLY_OVERRIDE, true));
}

static void a_refusal_names_subject_and_context(void **state)
{
    (void)state;
    tg_error_t error;
    assert_int_equal(tg_mode_may_change(TG_MODE_READONLY, TG_STR(":.c:s"), TG_STR(":.c:"), &error),
                     TG_DENIED);
    assert_string_equal(error.text, "Subject :.c:s in context :.c: is in read-only mode");
    assert_int_equal(tg_mode_may_change(TG_MODE_IMPORT, TG_STR("s"), TG_STR(""), &error), TG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mode_is_named_in_any_case),
        cmocka_unit_test(the_nearest_mode_counts),
        cmocka_unit_test(an_override_wins_over_the_modes_below_it),
        cmocka_unit_test(each_mode_allows_its_own_kind_of_registration),
        cmocka_unit_test(a_refusal_names_subject_and_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
