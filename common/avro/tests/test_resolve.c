/* Values of one schema read by another: what the specification's rules make of each pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/avro/resolve.h"
#include "common/avro/tests/fixture.h"

/* Writes the JSON (Avro's own encoding) by the writer's schema into f->bytes. */
static void write_value(struct fixture *f, const tg_avro_schema_t *schema, const char *json)
{
    const tg_json_node_t *nodes;
    tg_error_t error;
    size_t count;
    tg_buf_clear(&f->bytes);
    if (tg_json_parse(f->parser, tg_str_from(json), &nodes, &count, &error) != TG_OK)
        fail_msg("%s: %s", json, error.text);
    if (tg_avro_encode(f->codec, tg_avro_schema_root(schema), nodes, 0, TG_AVRO_STRICT_JSON,
                       &f->bytes, &f->error) != TG_OK)
        fail_msg("%s: %s %s", json, f->error.path, f->error.message);
}

/* f->json is the value as the reader sees it, in Avro's own JSON encoding. */
static tg_status_t resolve(struct fixture *f, const char *writer_text, const char *reader_text,
                           const char *json)
{
    tg_avro_schema_t *writer = parse_schema(writer_text), *reader = parse_schema(reader_text);
    tg_avro_plan_t *plan = NULL;
    memset(&f->why, 0, sizeof(f->why));
    memset(&f->error, 0, sizeof(f->error));
    tg_buf_clear(&f->json);
    tg_status_t status = tg_avro_plan_create(tg_avro_schema_root(writer),
                                             tg_avro_schema_root(reader), &plan, &f->why);
    if (status == TG_OK && json != NULL) {
        write_value(f, writer, json);
        status = tg_avro_resolve_json(f->codec, plan, tg_buf_view(&f->bytes), TG_AVRO_STRICT_JSON,
                                      &f->json, &f->error);
    }
    tg_avro_plan_destroy(plan);
    tg_avro_schema_destroy(writer);
    tg_avro_schema_destroy(reader);
    return status;
}

// clang-format off
#define REC(name, fields) "{\"type\":\"record\",\"name\":\"" name "\",\"fields\":[" fields "]}"
#define FLD(name, type) "{\"name\":\"" name "\",\"type\":" type "}"
#define DFL(name, type, value) "{\"name\":\"" name "\",\"type\":" type ",\"default\":" value "}"
#define ALI(name, type, alias) "{\"name\":\"" name "\",\"type\":" type ",\"aliases\":[\"" alias "\"]}"
#define ENUM(name, symbols) "{\"type\":\"enum\",\"name\":\"" name "\",\"symbols\":[" symbols "]}"
#define LIST "{\"type\":\"record\",\"name\":\"L\",\"fields\":[{\"name\":\"v\",\"type\":\"int\"},{\"name\":\"n\",\"type\":[\"null\",\"L\"]}]}"
#define LONG_LIST "{\"type\":\"record\",\"name\":\"L\",\"fields\":[{\"name\":\"n\",\"type\":[\"null\",\"L\"]},{\"name\":\"v\",\"type\":\"long\"}," \
                  "{\"name\":\"w\",\"type\":\"int\",\"default\":7}]}"

static const struct {
    const char *writer, *reader, *json, *expected; /* NULL: as the value was written */
} readable[] = {
    {"\"int\"", "\"int\"", "-5", NULL},
    {"\"int\"", "\"long\"", "2147483647", NULL},
    {"\"int\"", "\"float\"", "3", NULL},
    {"\"int\"", "\"double\"", "-3", NULL},
    {"\"long\"", "\"float\"", "16777217", "16777216"},
    {"\"long\"", "\"double\"", "9007199254740993", "9007199254740992"},
    {"\"float\"", "\"double\"", "0.5", NULL},
    {"\"float\"", "\"double\"", "\"-Infinity\"", NULL},
    {"\"string\"", "\"bytes\"", "\"aé\"", "\"aÃ©\""},
    {"\"bytes\"", "\"string\"", "\"aÃ©\"", "\"aé\""},
    {"\"null\"", "\"null\"", "null", NULL},
    /* fields: order, defaults, leaving out, aliases */
    {REC("R", FLD("a", "\"int\"") "," FLD("b", "\"string\"")), REC("R", FLD("b", "\"string\"") "," FLD("a", "\"int\"")),
     "{\"a\":1,\"b\":\"x\"}", "{\"b\":\"x\",\"a\":1}"},
    {REC("R", FLD("a", "\"int\"")), REC("R", DFL("z", "\"string\"", "\"d\"") "," FLD("a", "\"long\"") "," DFL("y", "[\"null\",\"int\"]", "null")),
     "{\"a\":1}", "{\"z\":\"d\",\"a\":1,\"y\":null}"},
    {REC("R", FLD("a", "\"int\"") "," FLD("b", "{\"type\":\"map\",\"values\":\"bytes\"}") "," FLD("c", "\"int\"")), REC("R", FLD("c", "\"int\"")),
     "{\"a\":1,\"b\":{\"k\":\"v\"},\"c\":3}", "{\"c\":3}"},
    {REC("R", FLD("a", "\"int\"") "," FLD("b", "\"int\"") "," FLD("c", "\"int\"")),
     REC("R", FLD("c", "\"double\"") "," DFL("d", "\"int\"", "4") "," FLD("a", "\"int\"")), "{\"a\":1,\"b\":2,\"c\":3}", "{\"c\":3,\"d\":4,\"a\":1}"},
    {REC("R", FLD("old", "\"int\"")), REC("R", ALI("new", "\"long\"", "old")), "{\"old\":9}", "{\"new\":9}"},
    {REC("R", FLD("a", "\"int\"")), REC("R", DFL("a", "\"int\"", "5") "," ALI("b", "\"int\"", "a")), "{\"a\":9}", "{\"a\":5,\"b\":9}"},
    {REC("R", FLD("r", REC("S", FLD("x", "\"int\"") "," FLD("y", "\"int\"")))), REC("R", FLD("r", REC("S", FLD("y", "\"int\"") "," FLD("x", "\"int\"")))),
     "{\"r\":{\"x\":1,\"y\":2}}", "{\"r\":{\"y\":2,\"x\":1}}"},
    {REC("R", ""), REC("R", DFL("a", "{\"type\":\"array\",\"items\":\"int\"}", "[1,2]")), "{}", "{\"a\":[1,2]}"},
    {LIST, LONG_LIST, "{\"v\":1,\"n\":{\"L\":{\"v\":2,\"n\":null}}}", "{\"n\":{\"L\":{\"n\":null,\"v\":2,\"w\":7}},\"v\":1,\"w\":7}"},
    /* enums */
    {ENUM("E", "\"A\",\"B\",\"C\""), ENUM("E", "\"C\",\"A\""), "\"C\"", NULL},
    {ENUM("a.E", "\"A\""), ENUM("b.E", "\"B\",\"A\""), "\"A\"", NULL},
    {ENUM("E", "\"A\",\"B\""), "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"X\",\"A\"],\"default\":\"X\"}", "\"B\"", "\"X\""},
    {ENUM("Old", "\"A\""), "{\"type\":\"enum\",\"name\":\"E\",\"aliases\":[\"Old\"],\"symbols\":[\"A\"]}", "\"A\"", NULL},
    /* items */
    {"{\"type\":\"array\",\"items\":\"int\"}", "{\"type\":\"array\",\"items\":\"double\"}", "[1,2,3]", NULL},
    {"{\"type\":\"map\",\"values\":\"int\"}", "{\"type\":\"map\",\"values\":\"long\"}", "{\"a\":1}", NULL},
    {"{\"type\":\"array\",\"items\":\"null\"}", "{\"type\":\"array\",\"items\":[\"int\",\"null\"]}", "[null,null]", NULL},
    /* unions */
    {"\"int\"", "[\"null\",\"int\"]", "5", "{\"int\":5}"},
    {"\"int\"", "[\"null\",\"string\",\"double\"]", "5", "{\"double\":5}"},
    {"\"long\"", "[\"double\",\"long\"]", "5", "{\"long\":5}"},
    {"\"string\"", "[\"null\",\"bytes\"]", "\"x\"", "{\"bytes\":\"x\"}"},
    {"[\"null\",\"int\"]", "\"int\"", "{\"int\":5}", "5"},
    {"[\"int\",\"string\"]", "[\"string\",\"null\",\"long\"]", "{\"int\":5}", "{\"long\":5}"},
    {"[\"int\",\"string\"]", "[\"string\",\"null\",\"long\"]", "{\"string\":\"s\"}", NULL},
    {"[\"null\",\"int\"]", "[\"null\",\"int\",\"string\"]", "{\"int\":5}", NULL},
    {REC("a.R", FLD("x", "\"int\"")), "[\"null\"," REC("b.S", FLD("x", "\"string\"")) "," REC("b.R", FLD("x", "\"int\"")) "]", "{\"x\":1}",
     "{\"b.R\":{\"x\":1}}"},
    {REC("a.R", FLD("x", "\"int\"")), "[\"null\"," REC("b.R", FLD("x", "\"int\"")) "," REC("a.R", FLD("x", "\"int\"")) "]", "{\"x\":1}",
     "{\"a.R\":{\"x\":1}}"},
    /* a branch's own name goes before another's alias */
    {ENUM("V", "\"A\""), "[{\"type\":\"enum\",\"name\":\"T\",\"aliases\":[\"V\"],\"symbols\":[\"A\"]}," ENUM("V", "\"A\"") "]", "\"A\"",
     "{\"V\":\"A\"}"},
    {ENUM("V", "\"A\""), "[{\"type\":\"enum\",\"name\":\"T\",\"aliases\":[\"V\"],\"symbols\":[\"A\"]}," ENUM("W", "\"A\"") "]", "\"A\"",
     "{\"T\":\"A\"}"},
    {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}", "[\"string\",{\"type\":\"fixed\",\"name\":\"n.F\",\"size\":2}]", "\"ab\"", "{\"n.F\":\"ab\"}"},
};
// clang-format on

static void a_value_is_read_as_the_rules_say(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < TG_ARRAY_LEN(readable); i++) {
        const char *expected =
            readable[i].expected != NULL ? readable[i].expected : readable[i].json;
        if (resolve(f, readable[i].writer, readable[i].reader, readable[i].json) != TG_OK)
            fail_msg("case %zu: %s %s %s", i, f->why.text, f->error.path, f->error.message);
        if (!tg_str_eq(tg_buf_view(&f->json), tg_str_from(expected)))
            fail_msg("case %zu: %.*s instead of %s", i, (int)f->json.len, f->json.data, expected);
    }
}

// clang-format off
static const struct {
    const char *writer, *reader, *json, *path, *why; /* json NULL: no plan at all */
} refused[] = {
    {"\"string\"", "\"int\"", NULL, "", "expected int, got string"},
    {"\"long\"", "\"int\"", NULL, "", "expected int, got long"},
    {ENUM("E", "\"A\""), ENUM("F", "\"A\""), NULL, "", "expected enum F, got enum E"},
    {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}", NULL, "", "another size"},
    {"\"string\"", "[\"null\",\"int\"]", NULL, "", "no branch takes it"},
    {REC("R", FLD("a", "\"int\"")), REC("R", FLD("b", "\"int\"")), NULL, "", "no default for \"b\""},
    {REC("R", FLD("a", "\"int\"") "," FLD("b", "\"int\"")), REC("R", ALI("b", "\"int\"", "a")), NULL, "", "several fields of the writer match \"b\""},
    {"[\"int\",\"string\"]", "\"int\"", "{\"string\":\"x\"}", "", "expected int, got string"},
    {ENUM("E", "\"A\",\"B\""), ENUM("E", "\"A\""), "\"B\"", "", "symbol"},
    {REC("R", FLD("a", "{\"type\":\"array\",\"items\":[\"null\",\"int\"]}")), REC("R", FLD("a", "{\"type\":\"array\",\"items\":\"int\"}")),
     "{\"a\":[{\"int\":1},null]}", "a[1]", "expected int, got null"},
    {REC("R", FLD("s", REC("S", FLD("x", "\"int\"")))), REC("R", FLD("s", REC("S", FLD("x", "\"string\"")))), "{\"s\":{\"x\":1}}", "s.x", "expected string"},
    {"\"bytes\"", "\"string\"", "\"\\u00ff\"", "", "not UTF-8"},
};
// clang-format on

static void what_cannot_be_read_is_refused_with_path_and_reason(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < TG_ARRAY_LEN(refused); i++) {
        tg_status_t status = resolve(f, refused[i].writer, refused[i].reader, refused[i].json);
        const char *said = refused[i].json == NULL ? f->why.text : f->error.message;
        if (status != TG_INVALID || strstr(said, refused[i].why) == NULL)
            fail_msg("case %zu: %s, \"%s\"", i, tg_status_name(status), said);
        assert_string_equal(f->error.path, refused[i].path);
        assert_int_equal(f->json.len, 0);
    }
}

static void schemas_that_write_alike_need_no_resolving(void **state)
{
    (void)state;
    static const struct {
        const char *writer, *reader;
        bool copy;
    } rows[] = {
        {LIST, LIST, true},
        {"\"int\"", "\"long\"", true},
        {"[\"null\",\"int\"]", "[\"null\",\"int\",\"string\"]", true},
        {"[\"null\",\"int\"]", "[\"int\",\"null\"]", false},
        {LIST, LONG_LIST, false},
        {ENUM("E", "\"A\""), ENUM("E", "\"A\",\"B\""), true},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        tg_avro_schema_t *writer = parse_schema(rows[i].writer);
        tg_avro_schema_t *reader = parse_schema(rows[i].reader);
        tg_avro_plan_t *plan = NULL;
        tg_error_t error;
        assert_int_equal(tg_avro_plan_create(tg_avro_schema_root(writer),
                                             tg_avro_schema_root(reader), &plan, &error),
                         TG_OK);
        assert_int_equal(tg_avro_plan_is_copy(plan), rows[i].copy);
        assert_ptr_equal(tg_avro_plan_reader(plan), tg_avro_schema_root(reader));
        tg_avro_plan_destroy(plan);
        tg_avro_schema_destroy(writer);
        tg_avro_schema_destroy(reader);
    }
}

/* Bytes that the writer can't have written, however the reader's schema looks. */
static void hostile_bytes_are_refused_with_their_offset(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *writer, *reader;
        tg_str_t bytes;
        size_t offset;
        const char *why;
    } rows[] = {
        {"\"int\"", "\"double\"", {"\xfe\xff\xff\xff\x7f", 5}, 0, "an int of"},
        {"\"int\"", "\"double\"", {"\x80", 1}, 0, "end early"},
        {"\"int\"", "\"long\"", {"\x02\x02", 2}, 1, "left over"},
        {"{\"type\":\"array\",\"items\":\"null\"}",
         "{\"type\":\"array\",\"items\":[\"null\",\"int\"]}",
         {"\xfe\xff\xff\xff\x0f", 5},
         5,
         "more than there can be"},
        {"{\"type\":\"array\",\"items\":\"int\"}",
         "{\"type\":\"array\",\"items\":\"double\"}",
         {"\x01\x04\x02\x00", 4},
         3,
         "does not end where it says"},
        {ENUM("E", "\"A\",\"B\""), ENUM("E", "\"B\",\"A\""), {"\x04", 1}, 0, "symbol 2"},
        {"[\"null\",\"int\"]", "[\"int\",\"null\"]", {"\x05", 1}, 0, "union branch -3"},
        {REC("R", FLD("a", "\"string\"")),
         REC("R", DFL("b", "\"int\"", "1")),
         {"\x10", 1},
         1,
         "end early"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        tg_avro_schema_t *writer = parse_schema(rows[i].writer);
        tg_avro_schema_t *reader = parse_schema(rows[i].reader);
        tg_avro_plan_t *plan = NULL;
        assert_int_equal(tg_avro_plan_create(tg_avro_schema_root(writer),
                                             tg_avro_schema_root(reader), &plan, &f->why),
                         TG_OK);
        tg_buf_clear(&f->json);
        tg_status_t status = tg_avro_resolve(f->codec, plan, rows[i].bytes, 0, &f->json, &f->error);
        if (status != TG_INVALID || strstr(f->error.message, rows[i].why) == NULL)
            fail_msg("case %zu: %s %s", i, tg_status_name(status), f->error.message);
        assert_int_equal(f->error.offset, rows[i].offset);
        assert_int_equal(f->json.len, 0);
        tg_avro_plan_destroy(plan);
        tg_avro_schema_destroy(writer);
        tg_avro_schema_destroy(reader);
    }
}

/* A few bytes that would become megabytes of defaults stop at the output's limit. */
static void a_result_beyond_the_output_is_out_of_memory_and_leaves_it_as_it_was(void **state)
{
    struct fixture *f = *state;
    static char text[70000], ones[60000];
    memset(ones, 'x', sizeof(ones) - 1);
    snprintf(text, sizeof(text),
             "{\"type\":\"array\",\"items\":" REC("R", DFL("a", "\"string\"", "\"%s\"")) "}", ones);
    tg_avro_schema_t *writer = parse_schema("{\"type\":\"array\",\"items\":" REC("R", "") "}");
    tg_avro_schema_t *reader = parse_schema(text);
    tg_avro_plan_t *plan = NULL;
    assert_int_equal(tg_avro_plan_create(tg_avro_schema_root(writer), tg_avro_schema_root(reader),
                                         &plan, &f->why),
                     TG_OK);
    tg_buf_clear(&f->json);
    tg_buf_byte(&f->json, '!');
    tg_str_t many = {"\xd0\x0f\x00", 3}; /* 1000 items of no bytes */
    assert_int_equal(tg_avro_resolve(f->codec, plan, many, 0, &f->json, &f->error), TG_NOMEM);
    assert_true(f->json.failed);
    assert_int_equal(f->json.len, 1);
    tg_avro_plan_destroy(plan);
    tg_avro_schema_destroy(writer);
    tg_avro_schema_destroy(reader);
}

static tg_status_t plan_of(struct fixture *f, const tg_buf_t *writer_text,
                           const tg_buf_t *reader_text, const char *json)
{
    assert_false(writer_text->failed);
    assert_false(reader_text->failed);
    return resolve(f, writer_text->data, reader_text->data, json);
}

/* 250 records in each of two unions, none of the other's name: every pair must be looked at. */
static void put_union(tg_buf_t *out, char letter)
{
    tg_buf_byte(out, '[');
    for (int i = 0; i < 250; i++) {
        tg_buf_printf(out, "%s{\"type\":\"record\",\"name\":\"%c%d\",\"fields\":[",
                      i > 0 ? "," : "", letter, i);
        for (int j = 0; j < 16; j++)
            tg_buf_printf(out, "%s" DFL("f%d", "\"int\"", "0"), j > 0 ? "," : "", j);
        tg_buf_str(out, TG_STR("]}"));
    }
    tg_buf_str(out, TG_STR("]"));
    tg_buf_byte(out, '\0');
}

static void a_pair_of_schemas_beyond_the_limits_is_refused(void **state)
{
    struct fixture *f = *state;
    tg_buf_t writer = tg_buf_make(1 << 20), reader = tg_buf_make(1 << 20);
    put_union(&writer, 'A');
    put_union(&reader, 'B');
    assert_int_equal(plan_of(f, &writer, &reader, NULL), TG_TOO_LARGE);
    tg_buf_dispose(&writer);
    tg_buf_dispose(&reader);
}

/* Each record holds the one before, so that what the first changes reaches the last step by step.
 */
static void put_chain(tg_buf_t *out, const char *first)
{
    tg_buf_str(out, TG_STR("{\"type\":\"record\",\"name\":\"T\",\"fields\":["));
    for (int i = 0; i < 60; i++) {
        tg_buf_printf(out, "%s{\"name\":\"x%d\",\"type\":[\"null\",", i > 0 ? "," : "", i);
        if (i == 0)
            tg_buf_printf(out, REC("R0", FLD("c", "\"%s\"")), first);
        else
            tg_buf_printf(out, REC("R%d", FLD("c", "\"R%d\"")), i, i - 1);
        tg_buf_str(out, TG_STR("]}"));
    }
    tg_buf_str(out, TG_STR("]}"));
    tg_buf_byte(out, '\0');
}

static void a_change_far_inside_is_seen_by_all_around_it(void **state)
{
    struct fixture *f = *state;
    tg_buf_t writer = tg_buf_make(1 << 20), reader = tg_buf_make(1 << 20);
    tg_buf_t value = tg_buf_make(1 << 16);
    put_chain(&writer, "int");
    put_chain(&reader, "double");
    tg_buf_byte(&value, '{');
    for (int i = 0; i < 59; i++)
        tg_buf_printf(&value, "\"x%d\":null,", i);
    tg_buf_str(&value, TG_STR("\"x59\":{\"R59\":"));
    for (int i = 0; i < 60; i++)
        tg_buf_str(&value, TG_STR("{\"c\":"));
    tg_buf_byte(&value, '7');
    for (int i = 0; i < 62; i++)
        tg_buf_byte(&value, '}');
    tg_buf_byte(&value, '\0');
    if (plan_of(f, &writer, &reader, value.data) != TG_OK)
        fail_msg("%s %s %s", f->why.text, f->error.path, f->error.message);
    assert_true(tg_str_eq(tg_buf_view(&f->json), tg_str_from(value.data)));
    assert_int_equal(f->bytes.len, 59 + 1 + 1); /* an int of one byte became a double */
    tg_buf_dispose(&writer);
    tg_buf_dispose(&reader);
    tg_buf_dispose(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_read_as_the_rules_say),
        cmocka_unit_test(what_cannot_be_read_is_refused_with_path_and_reason),
        cmocka_unit_test(schemas_that_write_alike_need_no_resolving),
        cmocka_unit_test(hostile_bytes_are_refused_with_their_offset),
        cmocka_unit_test(a_pair_of_schemas_beyond_the_limits_is_refused),
        cmocka_unit_test(a_change_far_inside_is_seen_by_all_around_it),
        cmocka_unit_test(a_result_beyond_the_output_is_out_of_memory_and_leaves_it_as_it_was),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
