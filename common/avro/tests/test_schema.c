/* Schemas that must be taken, and hostile or wrong ones that must be refused at the right place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/avro/schema.h"

static tg_avro_schema_t *parse(const char *text)
{
    tg_avro_schema_t *schema = NULL;
    tg_error_t error = {0};
    if (tg_avro_schema_parse(tg_str_from(text), &schema, &error) != TG_OK)
        fail_msg("%s: %s", text, error.text);
    return schema;
}

static void assert_refused(tg_str_t text, const char *words)
{
    tg_avro_schema_t *schema = NULL;
    tg_error_t error = {0};
    tg_status_t status = tg_avro_schema_parse(text, &schema, &error);
    if (status != TG_INVALID && status != TG_TOO_LARGE)
        fail_msg("taken, but should be refused (%s): %.200s", words, text.ptr);
    if (strstr(error.text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.text, words);
    assert_null(schema);
}

static void names_are_resolved_in_their_namespaces(void **state)
{
    (void)state;
    tg_avro_schema_t *schema = parse(
        "{\"type\":\"record\",\"name\":\"a.b.Outer\",\"aliases\":[\"Old\",\"x.Older\"],\"fields\":["
        "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"X\",\"Y\"],"
        "\"default\":\"Y\"}},"
        "{\"name\":\"f\",\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"namespace\":\"c\",\"size\":"
        "3}},"
        "{\"name\":\"again\",\"type\":[\"null\",\"E\",\"c.F\",\"a.b.Outer\"],\"default\":null}]}");
    const tg_avro_type_t *root = tg_avro_schema_root(schema);
    assert_true(tg_str_eq(root->name, TG_STR("a.b.Outer")));
    assert_true(tg_str_eq(root->aliases[0], TG_STR("a.b.Old")));
    assert_true(tg_str_eq(root->aliases[1], TG_STR("x.Older")));
    assert_true(tg_str_eq(root->fields[0].type->name, TG_STR("a.b.E")));
    assert_int_equal(root->fields[0].type->default_symbol, 1);
    assert_true(tg_str_eq(root->fields[1].type->name, TG_STR("c.F")));
    const tg_avro_type_t *again = root->fields[2].type;
    assert_ptr_equal(again->branches[1], root->fields[0].type);
    assert_ptr_equal(again->branches[2], root->fields[1].type);
    assert_ptr_equal(again->branches[3], root);
    assert_int_equal(tg_avro_type_find(root, TG_STR("again")), 2);
    assert_int_equal(tg_avro_type_find(root, TG_STR("none")), -1);
    tg_avro_schema_destroy(schema);
}

static void custom_attributes_stay_readable(void **state)
{
    (void)state;
    tg_avro_schema_t *schema =
        parse("{\"type\":\"record\",\"name\":\"R\",\"unit\":\"kg\",\"fields\":[{\"name\":\"a\","
              "\"type\":{\"type\":\"string\",\"format\":\"json\"},\"role\":\"kind\",\"n\":1}]}");
    const tg_avro_type_t *root = tg_avro_schema_root(schema);
    assert_true(tg_str_eq(tg_avro_attribute(root->json, "unit"), TG_STR("kg")));
    assert_true(tg_str_eq(tg_avro_attribute(root->fields[0].json, "role"), TG_STR("kind")));
    assert_true(tg_str_eq(tg_avro_attribute(root->fields[0].type->json, "format"), TG_STR("json")));
    assert_int_equal(tg_avro_attribute(root->fields[0].json, "n").len, 0);
    assert_int_equal(tg_avro_attribute(NULL, "role").len, 0);
    tg_avro_schema_destroy(schema);
}

static void logical_types_that_do_not_fit_are_ignored(void **state)
{
    (void)state;
    static const struct {
        const char *schema;
        tg_avro_logical_t logical;
    } rows[] = {
        {"{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}", TG_AVRO_TIMESTAMP_MICROS},
        {"{\"type\":\"int\",\"logicalType\":\"timestamp-micros\"}", TG_AVRO_PLAIN},
        {"{\"type\":\"int\",\"logicalType\":\"date\"}", TG_AVRO_DATE},
        {"{\"type\":\"string\",\"logicalType\":\"uuid\"}", TG_AVRO_UUID},
        {"{\"type\":\"string\",\"logicalType\":\"made-up\"}", TG_AVRO_PLAIN},
        {"{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":4,\"scale\":2}",
         TG_AVRO_DECIMAL},
        {"{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":2,\"scale\":4}",
         TG_AVRO_PLAIN},
        {"{\"type\":\"bytes\",\"logicalType\":\"decimal\"}", TG_AVRO_PLAIN},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":4,\"logicalType\":\"decimal\",\"precision\":"
         "9}",
         TG_AVRO_DECIMAL},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":4,\"logicalType\":\"decimal\","
         "\"precision\":10}",
         TG_AVRO_PLAIN},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":12,\"logicalType\":\"duration\"}",
         TG_AVRO_DURATION},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":16,\"logicalType\":\"duration\"}",
         TG_AVRO_PLAIN},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":16,\"logicalType\":\"uuid\"}", TG_AVRO_UUID},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        tg_avro_schema_t *schema = parse(rows[i].schema);
        assert_int_equal(tg_avro_schema_root(schema)->logical, rows[i].logical);
        tg_avro_schema_destroy(schema);
    }
}

static void a_default_is_encoded_by_the_type_of_its_field(void **state)
{
    (void)state;
    static const struct {
        const char *type, *value;
        size_t len;
        const char *bytes;
    } rows[] = {
        {"\"null\"", "null", 0, ""},
        {"\"int\"", "-2", 1, "\x03"},
        {"\"long\"", "64", 2, "\x80\x01"},
        {"\"boolean\"", "true", 1, "\x01"},
        {"\"string\"", "\"ab\"", 3, "\x04\x61\x62"},
        {"\"bytes\"", "\"\\u00ff\\u0000\"", 3, "\x04\xff\x00"},
        {"\"double\"", "1", 8, "\0\0\0\0\0\0\xf0\x3f"},
        {"\"float\"", "1.5", 4, "\0\0\xc0\x3f"},
        {"[\"null\",\"int\"]", "null", 1, "\0"},
        {"[\"int\",\"null\"]", "5", 2, "\0\x0a"},
        {"[\"null\",\"int\"]", "5", 2, "\x02\x0a"},
        {"{\"type\":\"array\",\"items\":\"int\"}", "[1,2]", 4, "\x04\x02\x04\0"},
        {"{\"type\":\"array\",\"items\":\"int\"}", "[]", 1, "\0"},
        {"{\"type\":\"map\",\"values\":\"int\"}", "{\"k\":1}", 5, "\x02\x02k\x02\0"},
        {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}", "\"B\"", 1, "\x02"},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}", "\"ab\"", 2, "ab"},
        {"{\"type\":\"record\",\"name\":\"Q\",\"fields\":[{\"name\":\"x\",\"type\":\"int\","
         "\"default\":7},{\"name\":\"y\",\"type\":\"int\"}]}",
         "{\"y\":1}", 2, "\x0e\x02"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        char text[512];
        snprintf(text, sizeof(text),
                 "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":%s,"
                 "\"default\":%s}]}",
                 rows[i].type, rows[i].value);
        tg_avro_schema_t *schema = parse(text);
        const tg_avro_field_t *field = &tg_avro_schema_root(schema)->fields[0];
        assert_true(field->has_default);
        assert_int_equal(field->default_bytes.len, rows[i].len);
        assert_memory_equal(field->default_bytes.ptr, rows[i].bytes, rows[i].len);
        tg_avro_schema_destroy(schema);
    }
}

#define FIELD(type, rest)                                                                          \
    "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":" type rest "}]}"

static void wrong_schemas_are_refused_with_the_place_and_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *words;
    } rows[] = {
        {"", "not JSON"},
        {"{", "not JSON"},
        {"{\"type\":\"int\",\"type\":\"long\"}", "duplicate object key"},
        {"5", "expected a type, got an integer"},
        {"{}", "type: expected a type, got nothing"},
        {"\"dbl\"", "unknown type \"dbl\""},
        {FIELD("\"dbl\"", ""),
         "field a of record R (line 1, column 58, /fields/0/type): unknown type \"dbl\""},
        {FIELD("[\"null\",[\"int\"]]", ""),
         "branch 2 of field a of record R (line 1, column 66, /fields/0/type/1): a union "
         "directly inside a union"},
        {FIELD("[\"int\",\"int\"]", ""), "two branches of type int"},
        {FIELD("\"R\"", ""), "contains itself"},
        {FIELD("[\"R\"]", ""), "contains itself"},
        {FIELD("\"int\"", ",\"default\":\"x\""),
         "field a: the default does not fit the type (int), got a string"},
        {FIELD("\"int\"", ",\"default\":2147483648"), "does not fit"},
        {FIELD("\"float\"", ",\"default\":1e300"), "does not fit"},
        {FIELD("[\"null\",\"int\"]", ",\"default\":\"x\""), "does not fit"},
        {FIELD("[\"R\",\"null\"]", ",\"default\":{}"), "needs itself"},
        {FIELD("\"int\"", ",\"order\":\"sideways\""), "order: expected"},
        {FIELD("\"int\"", ",\"aliases\":\"b\""), "aliases: expected an array"},
        {"{\"type\":\"record\",\"name\":\"R\"}", "fields: expected an array, got nothing"},
        {"{\"type\":\"record\",\"fields\":[]}", "record without a name"},
        {"{\"type\":\"record\",\"name\":\"1R\",\"fields\":[]}", "bad name"},
        {"{\"type\":\"record\",\"name\":\"a..R\",\"fields\":[]}", "bad name"},
        {"{\"type\":\"record\",\"name\":\"int\",\"fields\":[]}", "name of a primitive"},
        {"{\"type\":\"record\",\"name\":\"R\",\"namespace\":5,\"fields\":[]}",
         "namespace: expected"},
        {"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},"
         "{\"name\":\"a\",\"type\":\"int\"}]}",
         "field \"a\" is there twice"},
        {"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a-b\",\"type\":\"int\"}]}",
         "/fields/0): bad field name \"a-b\""},
        {"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\"}]}", "has no type"},
        {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"A\"]}",
         "symbol \"A\" is there twice"},
        {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"a b\"]}", "symbol 0"},
        {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"],\"default\":\"B\"}",
         "default: expected one of the symbols"},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":-2}", "size: expected"},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":99999999999}", "size: expected"},
        {"{\"type\":\"fixed\",\"name\":\"F\"}", "size: expected"},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":0}", "size: expected an integer from 1"},
        {"{\"type\":{\"type\":\"int\"}}", "stands by itself"},
        {FIELD("\".R\"", ""), "unknown type"},
        {FIELD("\"\"", ""), "unknown type"},
        {"[\"Q\",{\"type\":\"fixed\",\"name\":\"Q\",\"size\":1}]",
         "branch 1 of the schema (line 1, column 2, /0): unknown type \"Q\"; define it before"},
        {"{\"type\":\"array\",\n\"items\": {\"type\":\"enum\",\"name\":\"E\",\"symbols\":5}}",
         "enum E in items of the schema (line 2, column 10, /items): symbols: expected an array, "
         "got an integer"},
        {"{\"type\":\"array\"}", "array without \"items\""},
        {"{\"type\":\"map\"}", "map without \"values\""},
        {"[{\"type\":\"fixed\",\"name\":\"F\",\"size\":1},{\"type\":\"fixed\",\"name\":\"F\","
         "\"size\":1}]",
         "defined twice"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++)
        assert_refused(tg_str_from(rows[i].schema), rows[i].words);
    assert_refused(TG_STR("\"int\0\""), "not JSON");
}

static void records_may_contain_themselves_where_a_value_can_end(void **state)
{
    (void)state;
    tg_avro_schema_destroy(parse(FIELD("[\"null\",\"R\"]", "")));
    tg_avro_schema_destroy(parse(FIELD("{\"type\":\"array\",\"items\":\"R\"}", "")));
    tg_avro_schema_destroy(parse(FIELD("{\"type\":\"map\",\"values\":\"R\"}", "")));
    tg_avro_schema_destroy(parse(FIELD("[]", ""))); /* no value, but none without an end */
    /* Through another record that is only finite because of a later branch. */
    tg_avro_schema_destroy(
        parse(FIELD("[{\"type\":\"record\",\"name\":\"B\",\"fields\":[{\"name\":\"r\",\"type\":"
                    "\"R\"}]},{\"type\":\"record\",\"name\":\"C\",\"fields\":[]}]",
                    "")));
}

static char *repeat(const char *head, const char *part, size_t times, const char *tail)
{
    size_t len = strlen(head) + strlen(part) * times + strlen(tail);
    char *text = malloc(len + 1), *at = text;
    assert_non_null(text);
    at = stpcpy(at, head);
    for (size_t i = 0; i < times; i++)
        at = stpcpy(at, part);
    stpcpy(at, tail);
    return text;
}

static void each_limit_is_enforced(void **state)
{
    (void)state;
    char *text = repeat("", "{\"type\":\"array\",\"items\":", 70, "\"int\"");
    size_t len = strlen(text);
    char *closed = malloc(len + 71);
    memcpy(closed, text, len);
    memset(closed + len, '}', 70);
    closed[len + 70] = '\0';
    assert_refused(tg_str_from(closed), "nested deeper than 64");
    free(closed);
    free(text);

    text = repeat("", "[", 100000, "");
    assert_refused(tg_str_from(text), "JSON nested deeper than 256");
    free(text);

    text = repeat("\"", "x", TG_AVRO_SCHEMA_BYTES_MAX, "\"");
    assert_refused(tg_str_from(text), "the limit is 262144");
    free(text);

    text = repeat("{\"type\":\"record\",\"name\":\"R\",\"fields\":[",
                  "{\"name\":\"a\",\"type\":\"int\"},", 10000 - 1, "{}]}");
    assert_refused(tg_str_from(text), "more than 10000 names");
    free(text);

    text = repeat("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[", "\"A\",", 10000, "\"B\"]}");
    assert_refused(tg_str_from(text), "more than 10000 names");
    free(text);

    text = repeat("{\"type\":\"int\",\"x\":[", "[],", 20000, "0]}");
    assert_refused(tg_str_from(text), "20002 objects and arrays; the limit is 20000");
    free(text);

    text = repeat("[", "\"int\",", TG_AVRO_BRANCHES_MAX, "\"null\"]");
    assert_refused(tg_str_from(text), "more than 256 branches");
    free(text);

    text =
        repeat("{\"type\":\"record\",\"name\":\"", "n", TG_AVRO_NAME_MAX + 1, "\",\"fields\":[]}");
    assert_refused(tg_str_from(text), "bad name");
    free(text);
}

static void defaults_that_double_with_each_record_are_refused(void **state)
{
    (void)state;
    /* R0 {a: R1 = {}, b: R1 = {}}, R1 the same of R2, …: 2^40 bytes if it were let. */
    tg_buf_t text = tg_buf_make(1 << 20);
    for (int i = 0; i < 25; i++)
        tg_buf_printf(
            &text,
            "{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[{\"name\":\"a\",\"default\":{},"
            "\"type\":",
            i);
    tg_buf_str(&text,
               TG_STR("{\"type\":\"record\",\"name\":\"L\",\"fields\":[{\"name\":\"x\",\"type\":"
                      "\"int\",\"default\":1}]}"));
    for (int i = 24; i >= 0; i--) {
        char inner[16];
        snprintf(inner, sizeof(inner), i == 24 ? "L" : "R%d", i + 1);
        tg_buf_printf(&text, "},{\"name\":\"b\",\"type\":\"%s\",\"default\":{}}]}", inner);
    }
    assert_refused(tg_buf_view(&text), "too large");
    tg_buf_dispose(&text);
}

static void names_without_namespace_are_found_from_within_one(void **state)
{
    (void)state;
    tg_avro_schema_t *schema =
        parse("{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"f\",\"type\":{\"type\":"
              "\"fixed\",\"name\":\"F\",\"size\":1}},{\"name\":\"q\",\"type\":{\"type\":\"record\","
              "\"name\":\"n.Q\",\"fields\":[{\"name\":\"f\",\"type\":\"F\"}]}}]}");
    const tg_avro_type_t *root = tg_avro_schema_root(schema);
    assert_ptr_equal(root->fields[1].type->fields[0].type, root->fields[0].type);
    tg_avro_schema_destroy(schema);
}

static void endless_records_are_taken_on_request_only(void **state)
{
    (void)state;
    tg_avro_schema_t *schema = NULL;
    assert_int_equal(
        tg_avro_schema_parse_endless(TG_STR("{\"type\":\"record\",\"name\":\"R\",\"fields\":[{"
                                            "\"name\":\"r\",\"type\":\"R\"}]}"),
                                     &schema, NULL),
        TG_OK);
    assert_false(tg_avro_schema_root(schema)->finite);
    tg_avro_schema_destroy(schema);
    /* Each of 2000 records waits for the one behind it, and the last for itself. */
    tg_buf_t text = tg_buf_make(TG_AVRO_SCHEMA_BYTES_MAX);
    tg_buf_printf(&text, "{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"f\",\"type\":"
                         "{\"type\":\"record\",\"name\":\"R0\",\"fields\":[{\"name\":\"r\","
                         "\"type\":\"R0\"}]}}");
    for (int i = 1; i < 2000; i++)
        tg_buf_printf(&text,
                      ",{\"name\":\"f%d\",\"type\":{\"type\":\"record\",\"name\":\"R%d\","
                      "\"fields\":[{\"name\":\"r\",\"type\":\"R%d\"}]}}",
                      i, i, i - 1);
    tg_buf_str(&text, TG_STR("]}"));
    assert_refused(tg_buf_view(&text), "contains itself");
    tg_buf_dispose(&text);
}

/* --- references --- */

static tg_avro_schema_t *parse_with(const char *text, const tg_avro_schema_t *const *refs,
                                    size_t count)
{
    tg_avro_schema_t *schema = NULL;
    tg_error_t error = {0};
    if (tg_avro_schema_parse_refs(tg_str_from(text), refs, count, &schema, &error) != TG_OK)
        fail_msg("%s: %s", text, error.text);
    return schema;
}

static void types_of_references_are_known_and_outlive_the_callers_share(void **state)
{
    (void)state;
    tg_avro_schema_t *colour =
        parse("{\"type\":\"enum\",\"name\":\"n.Colour\",\"symbols\":[\"RED\"]}");
    const tg_avro_schema_t *refs[] = {colour};
    tg_avro_schema_t *car = parse_with(FIELD("\"n.Colour\"", ",\"default\":\"RED\""), refs, 1);
    tg_avro_schema_destroy(colour);
    refs[0] = car;
    tg_avro_schema_t *fleet =
        parse_with("{\"type\":\"record\",\"name\":\"n.Fleet\",\"fields\":[{\"name\":\"car\","
                   "\"type\":\"R\"},{\"name\":\"colour\",\"type\":\"Colour\"}]}",
                   refs, 1);
    tg_avro_schema_destroy(car);
    const tg_avro_type_t *root = tg_avro_schema_root(fleet);
    assert_true(tg_str_eq(root->fields[0].type->fields[0].default_bytes, TG_STR("\0")));
    assert_ptr_equal(root->fields[0].type->fields[0].type, root->fields[1].type);
    tg_avro_schema_destroy(fleet);
}

static void one_type_may_come_by_two_references_if_it_is_the_same(void **state)
{
    (void)state;
    tg_avro_schema_t *one = parse("{\"type\":\"fixed\",\"name\":\"F\",\"size\":1}");
    tg_avro_schema_t *same = parse("{\"size\":1,\"type\":\"fixed\",\"name\":\"F\"}");
    tg_avro_schema_t *other = parse("{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}");
    const tg_avro_schema_t *alike[] = {one, same}, *unlike[] = {one, other};
    tg_avro_schema_destroy(parse_with("\"F\"", alike, 2));
    tg_avro_schema_t *schema = NULL;
    tg_error_t error;
    assert_int_equal(tg_avro_schema_parse_refs(TG_STR("\"F\""), unlike, 2, &schema, &error),
                     TG_INVALID);
    assert_non_null(strstr(error.text, "type \"F\" is defined by two of the references"));
    /* Nor may the text define what a reference has. */
    assert_int_equal(
        tg_avro_schema_parse_refs(TG_STR("{\"type\":\"fixed\",\"name\":\"F\",\"size\":1}"), alike,
                                  1, &schema, &error),
        TG_INVALID);
    assert_non_null(strstr(error.text, "type \"F\" is defined twice"));
    tg_avro_schema_destroy(one);
    tg_avro_schema_destroy(same);
    tg_avro_schema_destroy(other);
}

static void chains_of_references_are_bounded(void **state)
{
    (void)state;
    tg_avro_schema_t *last = parse("{\"type\":\"record\",\"name\":\"R0\",\"fields\":[]}");
    tg_error_t error;
    for (int i = 1;; i++) {
        char text[128];
        const tg_avro_schema_t *refs[] = {last};
        tg_avro_schema_t *next = NULL;
        snprintf(text, sizeof(text),
                 "{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[{\"name\":\"r\",\"type\":"
                 "\"R%d\"}]}",
                 i, i - 1);
        tg_status_t status = tg_avro_schema_parse_refs(tg_str_from(text), refs, 1, &next, &error);
        tg_avro_schema_destroy(last);
        last = next;
        if (status != TG_OK) {
            assert_int_equal(status, TG_TOO_LARGE);
            assert_int_equal(i, TG_AVRO_REF_DEPTH_MAX + 1);
            break;
        }
    }
    assert_non_null(strstr(error.text, "references nest deeper than 16"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_resolved_in_their_namespaces),
        cmocka_unit_test(custom_attributes_stay_readable),
        cmocka_unit_test(logical_types_that_do_not_fit_are_ignored),
        cmocka_unit_test(a_default_is_encoded_by_the_type_of_its_field),
        cmocka_unit_test(wrong_schemas_are_refused_with_the_place_and_the_reason),
        cmocka_unit_test(records_may_contain_themselves_where_a_value_can_end),
        cmocka_unit_test(each_limit_is_enforced),
        cmocka_unit_test(defaults_that_double_with_each_record_are_refused),
        cmocka_unit_test(names_without_namespace_are_found_from_within_one),
        cmocka_unit_test(endless_records_are_taken_on_request_only),
        cmocka_unit_test(types_of_references_are_known_and_outlive_the_callers_share),
        cmocka_unit_test(one_type_may_come_by_two_references_if_it_is_the_same),
        cmocka_unit_test(chains_of_references_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
