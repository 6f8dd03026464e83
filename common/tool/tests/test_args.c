/* Settings and the command's own words are told apart, and nothing is passed over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/tool/args.h"

#define SPLIT(args, ...)                                                                           \
    do {                                                                                           \
        char *argv[] = {"tool", __VA_ARGS__};                                                      \
        assert_int_equal(tg_args_split(TG_ARRAY_LEN(argv), argv, args, NULL), TG_OK);              \
    } while (0)

static void settings_may_stand_anywhere(void **state)
{
    (void)state;
    tg_args_t args;
    SPLIT(&args, "--pg.dsn=x", "key", "--config", "f.ini", "create", "--a.b", "--tenant", "t",
          "--help", "--config=g.ini");
    assert_int_equal(args.config_count, 7);
    assert_string_equal(args.config[0], "tool");
    assert_string_equal(args.config[2], "--config");
    assert_string_equal(args.config[3], "f.ini");
    assert_int_equal(args.count, 4);
    assert_string_equal(tg_args_word(&args), "key");
    assert_string_equal(tg_args_word(&args), "create");
}

static void a_value_with_a_dot_makes_no_setting(void **state)
{
    (void)state;
    tg_args_t args;
    const char *value = NULL;
    SPLIT(&args, "--description=a.b");
    assert_int_equal(args.config_count, 1);
    assert_int_equal(tg_args_flag(&args, "--description", &value, NULL), TG_OK);
    assert_string_equal(value, "a.b");
}

static void a_flag_is_taken_in_both_forms(void **state)
{
    (void)state;
    tg_args_t args;
    const char *tenant = NULL, *scopes = NULL, *absent = "kept";
    SPLIT(&args, "--tenant", "acme", "--scopes=read", "--tenants");
    assert_int_equal(tg_args_flag(&args, "--tenant", &tenant, NULL), TG_OK);
    assert_int_equal(tg_args_flag(&args, "--scopes", &scopes, NULL), TG_OK);
    assert_int_equal(tg_args_flag(&args, "--absent", &absent, NULL), TG_OK);
    assert_string_equal(tenant, "acme");
    assert_string_equal(scopes, "read");
    assert_string_equal(absent, "kept");
    assert_int_equal(args.count, 1); /* --tenants is another flag */
}

static void a_flag_without_value_or_given_twice_is_refused(void **state)
{
    (void)state;
    tg_args_t args;
    const char *value = "kept";
    tg_error_t error = {0};
    SPLIT(&args, "--tenant");
    assert_int_equal(tg_args_flag(&args, "--tenant", &value, &error), TG_INVALID);
    assert_non_null(strstr(error.text, "--tenant"));
    SPLIT(&args, "--tenant=a", "--tenant=b");
    assert_int_equal(tg_args_flag(&args, "--tenant", &value, &error), TG_INVALID);
    assert_string_equal(value, "kept");
}

static void what_nobody_took_is_an_error(void **state)
{
    (void)state;
    tg_args_t args;
    tg_error_t error = {0};
    SPLIT(&args, "up", "--dry-run", "--wrong");
    assert_true(tg_args_switch(&args, "--dry-run"));
    assert_false(tg_args_switch(&args, "--dry-run"));
    assert_string_equal(tg_args_word(&args), "up");
    assert_null(tg_args_word(&args));
    assert_int_equal(tg_args_done(&args, &error), TG_INVALID);
    assert_non_null(strstr(error.text, "--wrong"));
    SPLIT(&args, "up");
    (void)tg_args_word(&args);
    assert_int_equal(tg_args_done(&args, &error), TG_OK);
}

static void too_many_words_are_refused(void **state)
{
    (void)state;
    static char *argv[TG_ARGS_MAX + 1];
    tg_args_t args;
    for (size_t i = 0; i < TG_ARRAY_LEN(argv); i++)
        argv[i] = "x";
    assert_int_equal(tg_args_split(TG_ARGS_MAX + 1, argv, &args, NULL), TG_TOO_LARGE);
    assert_int_equal(tg_args_split(TG_ARGS_MAX, argv, &args, NULL), TG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_may_stand_anywhere),
        cmocka_unit_test(a_value_with_a_dot_makes_no_setting),
        cmocka_unit_test(a_flag_is_taken_in_both_forms),
        cmocka_unit_test(a_flag_without_value_or_given_twice_is_refused),
        cmocka_unit_test(what_nobody_took_is_an_error),
        cmocka_unit_test(too_many_words_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
