/* Bodies and answers of /config, and which value counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "registry/settings/config.h"

static tg_json_parser_t *parser;
static tg_arena_t *arena;
static unsigned code;
static tg_error_t error;

static tg_status_t read_body(const char *body, tg_config_patch_t *patch)
{
    error.text[0] = '\0';
    return tg_subject_config_read(parser, tg_str_from(body), arena, patch, &code, &error);
}

static void every_level_is_named_in_any_case(void **state)
{
    (void)state;
    for (tg_level_t level = TG_LEVEL_NONE; level < TG_LEVELS; level++) {
        tg_level_t parsed = TG_LEVEL_UNSET;
        assert_int_equal(tg_level_parse(tg_str_from(tg_level_name(level)), &parsed), TG_OK);
        assert_int_equal(parsed, level);
    }
    tg_level_t level = TG_LEVEL_UNSET;
    assert_int_equal(tg_level_parse(TG_STR("full_Transitive"), &level), TG_OK);
    assert_int_equal(level, TG_LEVEL_FULL_TRANSITIVE);
    assert_int_equal(tg_level_parse(TG_STR(""), &level), TG_INVALID);
    assert_int_equal(tg_level_parse(TG_STR("BACKWARDS"), &level), TG_INVALID);
}

static void a_body_gives_some_members_and_leaves_the_others(void **state)
{
    (void)state;
    tg_config_patch_t patch;
    assert_int_equal(read_body("{\"compatibility\":\"full\",\"normalize\":\"True\","
                               "\"alias\":\"other\",\"compatibilityGroup\":\"major\",\"later\":[1],"
                               "\"defaultMetadata\":{\"properties\":{\"a\":\"b\"}}}",
                               &patch),
                     TG_OK);
    assert_int_equal(patch.values.level, TG_LEVEL_FULL);
    assert_int_equal(patch.values.normalize, TG_YES);
    assert_string_equal(patch.values.alias.ptr, "other");
    assert_string_equal(patch.values.group.ptr, "major");
    assert_string_equal(patch.values.default_metadata.ptr, "{\"properties\":{\"a\":\"b\"}}");
    assert_int_equal(patch.given,
                     ((1U << TG_CONFIG_MEMBERS) - 1) & ~(1U << TG_CONFIG_OVERRIDE_METADATA));
    assert_true(patch.values.configured);
    assert_int_equal(read_body("{}", &patch), TG_OK);
    assert_int_equal(patch.given, 0);
}

static void null_takes_a_member_away(void **state)
{
    (void)state;
    tg_config_patch_t patch;
    assert_int_equal(read_body("{\"compatibility\":null,\"alias\":\"\",\"normalize\":false,"
                               "\"overrideRuleSet\":null,\"validateFields\":false}",
                               &patch),
                     TG_OK);
    assert_int_equal(patch.values.level, TG_LEVEL_UNSET);
    assert_int_equal(patch.values.normalize, TG_NO);
    assert_null(patch.values.alias.ptr);
    assert_int_equal(patch.given,
                     1U << TG_CONFIG_LEVEL | 1U << TG_CONFIG_ALIAS | 1U << TG_CONFIG_NORMALIZE);
}

static void a_wrong_member_is_refused_with_its_code(void **state)
{
    (void)state;
    static const struct refusal {
        const char *body;
        unsigned code;
        const char *named;
    } cases[] = {
        {"{\"compatibility\":\"BACKWORD\"}", 42203, "Invalid compatibility level"},
        {"{\"compatibility\":1}", 42203, "Invalid compatibility level"},
        {"{\"normalize\":\"yes\"}", 422, "normalize"},
        {"{\"alias\":7}", 422, "alias"},
        {"{\"alias\":\"a\\nb\"}", 422, "control character"},
        {"{\"overrideMetadata\":{\"properties\":{\"k\":1}}}", 422, "\"k\""},
        {"{\"defaultRuleSet\":{\"domainRules\":[]}}", 42210, "defaultRuleSet"},
        {"{\"validateFields\":true}", 42210, "validateFields"},
        {"[]", 422, "array"},
        {"{", 422, ""},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        tg_config_patch_t patch;
        assert_int_equal(read_body(cases[i].body, &patch), TG_INVALID);
        assert_int_equal(code, cases[i].code);
        assert_non_null(strstr(error.text, cases[i].named));
    }
}

static void expect_written(const tg_subject_config_t *config, const char *level_name,
                           const char *json)
{
    tg_buf_t out = tg_buf_make(4096);
    tg_subject_config_write(config, level_name, &out);
    tg_buf_byte(&out, '\0');
    assert_false(out.failed);
    assert_string_equal(out.data, json);
    tg_buf_dispose(&out);
}

static void an_answer_has_only_what_is_set(void **state)
{
    (void)state;
    tg_subject_config_t config = {.level = TG_LEVEL_NONE};
    expect_written(&config, "compatibilityLevel", "{\"compatibilityLevel\":\"NONE\"}");
    config = (tg_subject_config_t){
        .alias = TG_STR("a\"b"),
        .normalize = TG_NO,
        .level = TG_LEVEL_FULL,
        .group = TG_STR("g"),
        .default_metadata = TG_STR("{\"sensitive\":[\"x\"]}"),
        .override_metadata = TG_STR("{}"),
    };
    expect_written(&config, "compatibility",
                   "{\"alias\":\"a\\\"b\",\"normalize\":false,\"compatibility\":\"FULL\","
                   "\"compatibilityGroup\":\"g\",\"defaultMetadata\":{\"sensitive\":[\"x\"]},"
                   "\"overrideMetadata\":{}}");
    config = (tg_subject_config_t){.configured = true};
    expect_written(&config, "compatibility", "{}");
}

static void the_nearest_value_counts_member_by_member(void **state)
{
    (void)state;
    tg_scope_t scope = {
        .subject = {.normalize = TG_NO, .alias = TG_STR("own")},
        .context = {.level = TG_LEVEL_FULL,
                    .normalize = TG_YES,
                    .group = TG_STR("g"),
                    .alias = TG_STR("of the context"),
                    .mode = TG_MODE_IMPORT},
        .global = {.level = TG_LEVEL_NONE,
                   .default_metadata = TG_STR("{}"),
                   .mode = TG_MODE_READONLY},
    };
    tg_scope_settle(&scope);
    assert_int_equal(scope.effective.level, TG_LEVEL_FULL);
    assert_int_equal(scope.effective.normalize, TG_NO);
    assert_true(tg_str_eq(scope.effective.group, TG_STR("g")));
    assert_true(tg_str_eq(scope.effective.default_metadata, TG_STR("{}")));
    assert_true(tg_str_eq(scope.effective.alias, TG_STR("own")));
    assert_int_equal(scope.effective.mode, TG_MODE_IMPORT);
}

static void where_nothing_is_set_the_level_is_backward(void **state)
{
    (void)state;
    tg_scope_t scope = {.context = {.alias = TG_STR("a")}};
    tg_scope_settle(&scope);
    assert_int_equal(scope.effective.level, TG_LEVEL_BACKWARD);
    assert_int_equal(scope.effective.normalize, TG_UNSAID);
    assert_int_equal(scope.effective.mode, TG_MODE_READWRITE);
    assert_null(scope.effective.alias.ptr);
}

static int set_up(void **state)
{
    (void)state;
    parser = tg_json_parser_create(TG_CONFIG_BODY_MAX, TG_CONFIG_BODY_DEPTH);
    arena = tg_arena_create((size_t)1 << 20);
    return parser == NULL || arena == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    tg_json_parser_destroy(parser);
    tg_arena_destroy(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_level_is_named_in_any_case),
        cmocka_unit_test(a_body_gives_some_members_and_leaves_the_others),
        cmocka_unit_test(null_takes_a_member_away),
        cmocka_unit_test(a_wrong_member_is_refused_with_its_code),
        cmocka_unit_test(an_answer_has_only_what_is_set),
        cmocka_unit_test(the_nearest_value_counts_member_by_member),
        cmocka_unit_test(where_nothing_is_set_the_level_is_backward),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
