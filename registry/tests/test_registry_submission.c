/* Bodies, subjects and the sameness of schemas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>

#include "registry/submission.h"

static tg_json_parser_t *parser;
static tg_arena_t *arena;

static tg_status_t read_body(const char *body, tg_str_t *schema, tg_error_t *error)
{
    tg_arena_reset(arena);
    return tg_submission_read(parser, tg_str_from(body), arena, schema, error);
}

static void a_subject_is_short_clean_text_without_a_context_of_its_own(void **state)
{
    (void)state;
    char longest[TG_SUBJECT_MAX + 2];
    memset(longest, 'x', sizeof(longest));
    assert_true(tg_subject_ok(TG_STR("order-value")));
    assert_true(tg_subject_ok(TG_STR("a:b/c d.\xc3\xa4")));
    assert_true(tg_subject_ok((tg_str_t){longest, TG_SUBJECT_MAX}));
    assert_false(tg_subject_ok((tg_str_t){longest, TG_SUBJECT_MAX + 1}));
    assert_false(tg_subject_ok(TG_STR("")));
    assert_false(tg_subject_ok(TG_STR(":.other:order-value")));
    assert_false(tg_subject_ok(TG_STR("a\nb")));
    assert_false(tg_subject_ok((tg_str_t){"a\0b", 3}));
    assert_false(tg_subject_ok(TG_STR("a\x7f")));
    assert_false(tg_subject_ok(TG_STR("a\xff")));
}

static void a_subject_names_an_event_type_by_its_suffix(void **state)
{
    (void)state;
    assert_true(tg_str_eq(tg_subject_type(TG_STR("order-value")), TG_STR("order")));
    assert_int_equal(tg_subject_type(TG_STR("order-key")).len, 0);
    assert_int_equal(tg_subject_type(TG_STR("Order-value")).len, 0);
    assert_int_equal(tg_subject_type(TG_STR("a.b-value")).len, 0);
    assert_int_equal(tg_subject_type(TG_STR("-value")).len, 0);
    assert_int_equal(tg_subject_type(TG_STR("e")).len, 0);
}

static void the_schema_is_taken_out_of_the_body(void **state)
{
    (void)state;
    tg_str_t schema;
    assert_int_equal(
        read_body("{\"id\":7,\"schemaType\":\"AVRO\",\"references\":[],\"metadata\":null,"
                  "\"schema\":\"\\\"int\\\"\"}",
                  &schema, NULL),
        TG_OK);
    assert_true(tg_str_eq(schema, TG_STR("\"int\"")));
}

static void a_wrong_body_is_refused_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *body, *word;
    } cases[] = {
        {"", "ends early"},
        {"[]", "object"},
        {"{\"schema\":", "schema"},
        {"{}", "missing"},
        {"{\"schema\":\"\"}", "missing"},
        {"{\"schema\":{}}", "string"},
        {"{\"schema\":\"1\",\"schema\":\"2\"}", "twice"},
        {"{\"schema\":\"1\",\"schemaType\":\"PROTOBUF\"}", "AVRO"},
        {"{\"schema\":\"1\",\"schemaType\":3}", "AVRO"},
        {"{\"schema\":\"1\",\"references\":[{\"name\":\"a\"}]}", "references"},
        {"{\"schema\":\"1\",\"metadata\":{}}", "metadata"},
        {"{\"schema\":\"1\",\"ruleSet\":{}}", "ruleSet"},
        {"[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]", "deep"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        tg_str_t schema;
        tg_error_t error = {.text = ""};
        assert_int_not_equal(read_body(cases[i].body, &schema, &error), TG_OK);
        if (strstr(error.text, cases[i].word) == NULL)
            fail_msg("%s: %s", cases[i].body, error.text);
    }
}

static tg_status_t check(const char *subject, const char *schema, char out[TG_FINGERPRINT_LEN + 1],
                         tg_error_t *error)
{
    out[TG_FINGERPRINT_LEN] = '\0';
    return tg_submission_check(tg_str_from(subject), tg_str_from(schema), out, error);
}

#define TICK(more)                                                                                 \
    "{\"type\":\"record\",\"name\":\"Tick\",\"fields\":[{\"name\":\"v\",\"type\":\"double\"" more  \
    "}]}"

static void white_space_and_order_do_not_make_another_schema(void **state)
{
    (void)state;
    char a[TG_FINGERPRINT_LEN + 1], b[TG_FINGERPRINT_LEN + 1];
    assert_int_equal(check("tick-value", TICK(", \"role\": \"value\""), a, NULL), TG_OK);
    assert_int_equal(check("tick-value",
                           "{ \"name\" : \"Tick\",\n\"fields\":[ {\"role\":\"value\","
                           "\"type\":\"double\",\"name\":\"v\"} ], \"type\":\"record\"}",
                           b, NULL),
                     TG_OK);
    assert_string_equal(a, b);
}

static void roles_documentation_and_names_make_another_schema(void **state)
{
    (void)state;
    static const char *const others[] = {TICK(""), TICK(",\"role\":\"value\",\"doc\":\"x\""),
                                         TICK(",\"role\":\"value\",\"default\":0")};
    char a[TG_FINGERPRINT_LEN + 1], b[TG_FINGERPRINT_LEN + 1];
    assert_int_equal(check("tick-value", TICK(",\"role\":\"value\""), a, NULL), TG_OK);
    for (size_t i = 0; i < TG_ARRAY_LEN(others); i++) {
        assert_int_equal(check("tick-value", others[i], b, NULL), TG_OK);
        assert_string_not_equal(a, b);
    }
}

static void an_event_type_is_checked_for_its_roles_and_other_subjects_are_not(void **state)
{
    (void)state;
    char print[TG_FINGERPRINT_LEN + 1];
    tg_error_t error = {.text = ""};
    const char *bad_role = TICK(",\"role\":\"nonsense\"");
    assert_int_equal(check("tick-value", bad_role, print, &error), TG_INVALID);
    assert_non_null(strstr(error.text, "role"));
    assert_int_equal(check("Tick-value", bad_role, print, NULL), TG_OK);
    assert_int_equal(check("tick-value", "\"int\"", print, NULL), TG_INVALID);
    assert_int_equal(check("tick-key", "\"int\"", print, NULL), TG_OK);
}

static void hostile_schemas_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "nonsense",
        "{\"type\":\"fixed\",\"name\":\"f\",\"size\":-2}",
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"r\",\"type\":\"R\"}]}",
        "{\"type\":\"record\",\"type\":\"enum\",\"name\":\"R\",\"fields\":[]}",
        "{\"type\":\"string\",\"x\":\"\\u0000\"}",
    };
    char print[TG_FINGERPRINT_LEN + 1];
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
        assert_int_not_equal(check("some-key", bad[i], print, NULL), TG_OK);
    static char deep[200001];
    memset(deep, '[', sizeof(deep) - 1);
    assert_int_not_equal(check("some-key", deep, print, NULL), TG_OK);
}

static int start(void **state)
{
    (void)state;
    parser = tg_json_parser_create(TG_SUBMISSION_BODY_MAX, TG_SUBMISSION_DEPTH_MAX);
    arena = tg_arena_create((size_t)4 << 20);
    return parser == NULL || arena == NULL ? -1 : 0;
}

static int stop(void **state)
{
    (void)state;
    tg_json_parser_destroy(parser);
    tg_arena_destroy(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_subject_is_short_clean_text_without_a_context_of_its_own),
        cmocka_unit_test(a_subject_names_an_event_type_by_its_suffix),
        cmocka_unit_test(the_schema_is_taken_out_of_the_body),
        cmocka_unit_test(a_wrong_body_is_refused_with_a_reason),
        cmocka_unit_test(white_space_and_order_do_not_make_another_schema),
        cmocka_unit_test(roles_documentation_and_names_make_another_schema),
        cmocka_unit_test(an_event_type_is_checked_for_its_roles_and_other_subjects_are_not),
        cmocka_unit_test(hostile_schemas_are_refused),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
