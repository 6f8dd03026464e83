/* Bodies, and the sameness of schemas. */
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

static const tg_viewer_t tenant = {.tenant = true, .own = {"acme", 4}};

static tg_status_t read_body(const char *body, tg_submission_t *out, tg_error_t *error)
{
    tg_arena_reset(arena);
    return tg_submission_read(parser, tg_str_from(body), &tenant, tenant.own, arena, out, error);
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

static void the_body_is_taken_apart(void **state)
{
    (void)state;
    tg_submission_t body;
    assert_int_equal(
        read_body(
            "{\"id\":7,\"version\":-1,\"schemaType\":\"AVRO\",\"references\":[{\"name\":\"n.B\","
            "\"subject\":\"b\",\"version\":2},{\"version\":-1,\"subject\":\":.:a\",\"name\":\"n."
            "A\"}],"
            "\"metadata\":{\"properties\":{\"k\":\"v\"}},\"schema\":\"\\\"int\\\"\",\"guid\":1}",
            &body, NULL),
        TG_OK);
    assert_true(tg_str_eq(body.schema, TG_STR("\"int\"")));
    assert_true(tg_str_eq(body.metadata, TG_STR("{\"properties\":{\"k\":\"v\"}}")));
    assert_int_equal(body.id, 7);
    assert_int_equal(body.version, 0);
    assert_int_equal(body.references.count, 2);
    const tg_reference_t *first = &body.references.items[0]; /* sorted by name */
    assert_true(tg_str_eq(first->name, TG_STR("n.A")));
    assert_true(tg_str_eq(first->to.name, TG_STR("a")));
    assert_true(tg_str_eq(first->to.context, TG_STR("acme")));
    assert_int_equal(first->version, 0);
    assert_int_equal(body.references.items[1].version, 2);
    assert_int_equal(read_body("{\"schema\":\"x\",\"references\":null,\"metadata\":null,"
                               "\"ruleSet\":null,\"id\":null,\"schemaType\":null}",
                               &body, NULL),
                     TG_OK);
    assert_int_equal(body.references.count, 0);
    assert_null(body.metadata.ptr);
}

#define REFERENCE(subject, version)                                                                \
    "{\"name\":\"n\",\"subject\":\"" subject "\",\"version\":" version "}"

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
        {"{\"schema\":\"1\",\"references\":[{\"name\":\"a\"}]}", "subject"},
        {"{\"schema\":\"1\",\"references\":{}}", "references"},
        {"{\"schema\":\"1\",\"references\":[3]}", "references"},
        {"{\"schema\":\"1\",\"references\":[" REFERENCE("b", "0") "]}", "version"},
        {"{\"schema\":\"1\",\"references\":[" REFERENCE("b", "1") "," REFERENCE("c", "1") "]}",
         "twice"},
        {"{\"schema\":\"1\",\"references\":[" REFERENCE(":.other:b", "1") "]}", "context"},
        {"{\"schema\":\"1\",\"id\":3.5}", "id"},
        {"{\"schema\":\"1\",\"version\":99999999999}", "version"},
        {"{\"schema\":\"1\",\"ruleSet\":{}}", "ruleSet"},
        {"[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]", "deep"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        tg_submission_t schema;
        tg_error_t error = {.text = ""};
        assert_int_not_equal(read_body(cases[i].body, &schema, &error), TG_OK);
        if (strstr(error.text, cases[i].word) == NULL)
            fail_msg("%s: %s", cases[i].body, error.text);
    }
}

/* Parse, type, print and identity as a registration has them; `out` is NUL-terminated. */
static tg_status_t check_with(const char *subject, const char *schema, bool normalize,
                              tg_str_t metadata, char out[TG_IDENTITY_LEN + 1], tg_error_t *error)
{
    tg_avro_schema_t *parsed = NULL;
    tg_identity_t identity;
    tg_buf_t printed = tg_buf_make((size_t)1 << 20);
    bool is_type = false;
    tg_status_t status = tg_submission_parse(tg_str_from(schema), NULL, &parsed, error);
    if (status == TG_OK)
        status = tg_submission_check_type(tg_str_from(subject), parsed, &is_type, error);
    if (status == TG_OK)
        status = tg_submission_identify(parsed, normalize, NULL, metadata, &printed, &identity);
    if (status == TG_OK)
        memcpy(out, identity.hex, TG_IDENTITY_LEN);
    out[TG_IDENTITY_LEN] = '\0';
    tg_buf_dispose(&printed);
    tg_avro_schema_destroy(parsed);
    return status;
}

static tg_status_t check(const char *subject, const char *schema, char out[TG_IDENTITY_LEN + 1],
                         tg_error_t *error)
{
    return check_with(subject, schema, false, (tg_str_t){NULL, 0}, out, error);
}

#define TICK(more)                                                                                 \
    "{\"type\":\"record\",\"name\":\"Tick\",\"fields\":[{\"name\":\"v\",\"type\":\"double\"" more  \
    "}]}"

static void white_space_and_order_do_not_make_another_schema(void **state)
{
    (void)state;
    char a[TG_IDENTITY_LEN + 1], b[TG_IDENTITY_LEN + 1];
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
    char a[TG_IDENTITY_LEN + 1], b[TG_IDENTITY_LEN + 1];
    assert_int_equal(check("tick-value", TICK(",\"role\":\"value\""), a, NULL), TG_OK);
    for (size_t i = 0; i < TG_ARRAY_LEN(others); i++) {
        assert_int_equal(check("tick-value", others[i], b, NULL), TG_OK);
        assert_string_not_equal(a, b);
    }
}

static void metadata_belong_to_a_schema_and_spellings_do_not(void **state)
{
    (void)state;
    char a[TG_IDENTITY_LEN + 1], b[TG_IDENTITY_LEN + 1];
    const char *schema = "{\"type\":\"record\",\"name\":\"n.R\",\"fields\":[]}";
    assert_int_equal(check("x", schema, a, NULL), TG_OK);
    assert_int_equal(check("x",
                           "{\"namespace\":\"n\",\"fields\":[],\"name\":\"R\",\"type\":\"record\"}",
                           b, NULL),
                     TG_OK);
    assert_string_equal(a, b);
    assert_int_equal(check_with("x", schema, false, TG_STR("{\"tags\":{}}"), b, NULL), TG_OK);
    assert_string_not_equal(a, b);
    assert_int_equal(check("x", "{\"type\":\"string\"}", a, NULL), TG_OK);
    assert_int_equal(check("x", "\"string\"", b, NULL), TG_OK);
    assert_string_equal(a, b);
}

static void normalizing_sorts_attributes(void **state)
{
    (void)state;
    char a[TG_IDENTITY_LEN + 1], b[TG_IDENTITY_LEN + 1];
    const tg_str_t none = {NULL, 0};
    const char *one = "{\"type\":\"string\",\"x\":1,\"y\":2}",
               *two = "{\"type\":\"string\",\"y\":2,\"x\":1}";
    assert_int_equal(check("x", one, a, NULL), TG_OK);
    assert_int_equal(check("x", two, b, NULL), TG_OK);
    assert_string_not_equal(a, b);
    assert_int_equal(check_with("x", one, true, none, a, NULL), TG_OK);
    assert_int_equal(check_with("x", two, true, none, b, NULL), TG_OK);
    assert_string_equal(a, b);
}

static void an_event_type_is_checked_for_its_roles_and_other_subjects_are_not(void **state)
{
    (void)state;
    char print[TG_IDENTITY_LEN + 1];
    tg_error_t error = {.text = ""};
    const char *bad_role = TICK(",\"role\":\"nonsense\"");
    assert_int_equal(check("tick-value", bad_role, print, &error), TG_INVALID);
    assert_non_null(strstr(error.text, "role"));
    assert_int_equal(check("Tick-value", bad_role, print, NULL), TG_OK);
    assert_int_equal(check("tick-value", "\"int\"", print, NULL), TG_OK); /* plain Avro */
    assert_int_equal(check("tick-value", TICK(",\"role\":\"id\""), print, NULL), TG_INVALID);
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
    };
    char print[TG_IDENTITY_LEN + 1];
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
        assert_int_not_equal(check("some-key", bad[i], print, NULL), TG_OK);
    static char deep[200001];
    memset(deep, '[', sizeof(deep) - 1);
    assert_int_not_equal(check("some-key", deep, print, NULL), TG_OK);
}

static int start(void **state)
{
    (void)state;
    parser = tg_json_parser_create(((size_t)1 << 20), TG_SUBMISSION_DEPTH_MAX);
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
        cmocka_unit_test(a_subject_names_an_event_type_by_its_suffix),
        cmocka_unit_test(the_body_is_taken_apart),
        cmocka_unit_test(a_wrong_body_is_refused_with_a_reason),
        cmocka_unit_test(white_space_and_order_do_not_make_another_schema),
        cmocka_unit_test(roles_documentation_and_names_make_another_schema),
        cmocka_unit_test(metadata_belong_to_a_schema_and_spellings_do_not),
        cmocka_unit_test(normalizing_sorts_attributes),
        cmocka_unit_test(an_event_type_is_checked_for_its_roles_and_other_subjects_are_not),
        cmocka_unit_test(hostile_schemas_are_refused),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
