/* The words of a comparison at each level. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "registry/compatibility/findings.h"

static tg_arena_t *arena;

#define RECORD(fields) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define A              "{\"name\":\"a\",\"type\":\"string\"}"
#define B_DEFAULT      "{\"name\":\"b\",\"type\":\"int\",\"default\":0}"
#define B              "{\"name\":\"b\",\"type\":\"int\"}"

static tg_avro_schema_t *parse(const char *text)
{
    tg_avro_schema_t *schema = NULL;
    tg_error_t error = {.status = TG_OK};
    if (tg_avro_schema_parse(tg_str_from(text), &schema, &error) != TG_OK)
        fail_msg("%s: %s", text, error.text);
    return schema;
}

static tg_findings_t compare(tg_level_t level, const char *newer, const char *older)
{
    tg_findings_t findings = {.arena = arena};
    tg_avro_schema_t *new_schema = parse(newer), *old_schema = parse(older);
    assert_int_equal(tg_compatibility_compare(level, tg_avro_schema_root(new_schema), old_schema, 3,
                                              &findings),
                     TG_OK);
    assert_int_equal(tg_findings_close(&findings, level), TG_OK);
    tg_avro_schema_destroy(new_schema);
    tg_avro_schema_destroy(old_schema);
    return findings;
}

static bool fits(tg_level_t level, const char *newer, const char *older)
{
    return compare(level, newer, older).count == 0;
}

static void each_level_looks_its_own_way(void **state)
{
    (void)state;
    static const struct expectation {
        const char *newer, *older;
        bool backward, forward;
    } cases[] = {
        {RECORD(A "," B_DEFAULT), RECORD(A), true, true}, {RECORD(A "," B), RECORD(A), false, true},
        {RECORD(A), RECORD(A "," B), true, false},        {"\"long\"", "\"int\"", true, false},
        {"\"int\"", "\"string\"", false, false},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        const char *newer = cases[i].newer, *older = cases[i].older;
        bool backward = cases[i].backward, forward = cases[i].forward;
        assert_true(fits(TG_LEVEL_NONE, newer, older));
        assert_int_equal(fits(TG_LEVEL_BACKWARD, newer, older), backward);
        assert_int_equal(fits(TG_LEVEL_BACKWARD_TRANSITIVE, newer, older), backward);
        assert_int_equal(fits(TG_LEVEL_FORWARD, newer, older), forward);
        assert_int_equal(fits(TG_LEVEL_FORWARD_TRANSITIVE, newer, older), forward);
        assert_int_equal(fits(TG_LEVEL_FULL, newer, older), backward && forward);
        assert_int_equal(fits(TG_LEVEL_FULL_TRANSITIVE, newer, older), backward && forward);
    }
}

static void only_transitive_levels_look_at_all_versions(void **state)
{
    (void)state;
    assert_false(tg_level_is_transitive(TG_LEVEL_NONE));
    assert_false(tg_level_is_transitive(TG_LEVEL_BACKWARD));
    assert_false(tg_level_is_transitive(TG_LEVEL_FULL));
    assert_true(tg_level_is_transitive(TG_LEVEL_BACKWARD_TRANSITIVE));
    assert_true(tg_level_is_transitive(TG_LEVEL_FORWARD_TRANSITIVE));
    assert_true(tg_level_is_transitive(TG_LEVEL_FULL_TRANSITIVE));
}

static void expect_in(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, text);
}

static void messages_name_the_error_the_path_and_the_versions(void **state)
{
    (void)state;
    tg_findings_t findings = compare(TG_LEVEL_BACKWARD, RECORD(A "," B), RECORD(A));
    assert_int_equal(findings.count, 4);
    expect_in(findings.messages[0].ptr, "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', ");
    expect_in(findings.messages[0].ptr, "description:'");
    expect_in(findings.messages[0].ptr, "/fields/1");
    expect_in(findings.messages[0].ptr, "in the new schema");
    expect_in(findings.messages[0].ptr, "additionalInfo:'b'}");
    assert_null(strstr(findings.messages[0].ptr, "reader"));
    assert_null(strstr(findings.messages[0].ptr, "writer"));
    assert_string_equal(findings.messages[1].ptr, "{oldSchemaVersion: 3}");
    expect_in(findings.messages[2].ptr, "{oldSchema: '{\"type\":\"record\"");
    assert_string_equal(findings.messages[3].ptr, "{compatibility: 'BACKWARD'}");
}

static void a_forward_message_tells_the_schemas_the_other_way_round(void **state)
{
    (void)state;
    tg_findings_t findings = compare(TG_LEVEL_FORWARD, RECORD(A), RECORD(A "," B));
    assert_int_equal(findings.count, 4);
    expect_in(findings.messages[0].ptr, "in the old schema");
}

static void every_kind_of_error_says_what_to_do(void **state)
{
    (void)state;
    static const struct expectation {
        const char *newer, *older, *type, *advice;
    } cases[] = {
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}",
         "{\"type\":\"fixed\",\"name\":\"F\",\"size\":1}", "FIXED_SIZE_MISMATCH", "keep the size"},
        {"{\"type\":\"fixed\",\"name\":\"G\",\"size\":1}",
         "{\"type\":\"fixed\",\"name\":\"F\",\"size\":1}", "NAME_MISMATCH", "an alias"},
        {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}",
         "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"LOST\"]}", "MISSING_ENUM_SYMBOLS",
         "LOST"},
        {"\"int\"", "\"string\"", "TYPE_MISMATCH", "keep the type"},
        {"[\"null\",\"int\"]", "[\"null\",\"string\"]", "MISSING_UNION_BRANCH", "keep the branch"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        tg_findings_t findings = compare(TG_LEVEL_BACKWARD, cases[i].newer, cases[i].older);
        assert_true(findings.count > 0);
        expect_in(findings.messages[0].ptr, cases[i].type);
        expect_in(findings.messages[0].ptr, cases[i].advice);
        expect_in(findings.messages[0].ptr, "new schema");
        assert_null(strchr(findings.messages[0].ptr, '%'));
    }
}

static void a_long_earlier_schema_is_cut(void **state)
{
    (void)state;
    static char text[TG_FINDINGS_TEXT_MAX + 200];
    int len =
        snprintf(text, sizeof(text), "{\"type\":\"fixed\",\"size\":1,\"name\":\"F\",\"x\":\"");
    memset(text + len, 'y', TG_FINDINGS_TEXT_MAX);
    strcpy(text + len + TG_FINDINGS_TEXT_MAX, "\"}");
    tg_findings_t findings = compare(TG_LEVEL_BACKWARD, "\"int\"", text);
    assert_int_equal(findings.count, 4);
    expect_in(findings.messages[2].ptr, "{oldSchema: <truncated> '{");
    assert_true(findings.messages[2].len < TG_FINDINGS_TEXT_MAX + 100);
    expect_in(findings.messages[2].ptr, "y...'}");
}

static void answers_are_an_array_or_details(void **state)
{
    (void)state;
    tg_findings_t findings = {.arena = arena};
    tg_buf_t out = tg_buf_make(4096);
    tg_findings_write_json(&findings, &out);
    assert_int_equal(tg_findings_add(&findings, "ROLE_CHANGED", "say \"why\""), TG_OK);
    assert_int_equal(tg_findings_add(&findings, "X", "y"), TG_OK);
    tg_findings_write_json(&findings, &out);
    tg_findings_write_details(&findings, &out);
    tg_buf_byte(&out, '\0');
    assert_string_equal(
        out.data, "[][\"{errorType:'ROLE_CHANGED', description:'say \\\"why\\\"', "
                  "additionalInfo:''}\",\"{errorType:'X', description:'y', additionalInfo:''}\"]"
                  "[{errorType:'ROLE_CHANGED', description:'say \"why\"', additionalInfo:''}, "
                  "{errorType:'X', description:'y', additionalInfo:''}]");
    tg_buf_dispose(&out);
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
        cmocka_unit_test(each_level_looks_its_own_way),
        cmocka_unit_test(only_transitive_levels_look_at_all_versions),
        cmocka_unit_test(messages_name_the_error_the_path_and_the_versions),
        cmocka_unit_test(a_forward_message_tells_the_schemas_the_other_way_round),
        cmocka_unit_test(every_kind_of_error_says_what_to_do),
        cmocka_unit_test(a_long_earlier_schema_is_cut),
        cmocka_unit_test(answers_are_an_array_or_details),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
