/* Each rule of compatibility by the smallest pair that shows it, the words of each refusal, and
 * bounded work on pairs made to explode. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/avro/compat.h"

static tg_avro_schema_t *parse(const char *text)
{
    tg_avro_schema_t *schema = NULL;
    tg_error_t error;
    if (tg_avro_schema_parse_endless(tg_str_from(text), &schema, &error) != TG_OK)
        fail_msg("%s: %s", text, error.text);
    return schema;
}

static tg_avro_compat_t check(const char *reader_text, const char *writer_text)
{
    tg_avro_schema_t *reader = parse(reader_text), *writer = parse(writer_text);
    tg_avro_compat_t compat;
    assert_int_equal(tg_avro_compat_check(tg_avro_schema_root(reader), tg_avro_schema_root(writer),
                                          &compat),
                     TG_OK);
    tg_avro_schema_destroy(reader);
    tg_avro_schema_destroy(writer);
    return compat;
}

struct row {
    const char *reader, *writer;
    const char *found; /* "TYPE path detail; …", "" when compatible */
};

static void assert_row(const struct row *row)
{
    char found[1024] = "";
    size_t len = 0;
    tg_avro_compat_t compat = check(row->reader, row->writer);
    for (size_t i = 0; i < compat.count && len < sizeof(found); i++)
        len += (size_t)snprintf(found + len, sizeof(found) - len, "%s%s %s %s", i == 0 ? "" : "; ",
                                tg_avro_incompat_name(compat.found[i].type), compat.found[i].path,
                                compat.found[i].detail);
    if (strcmp(found, row->found) != 0)
        fail_msg("%s from %s:\n  \"%s\" instead of\n  \"%s\"", row->reader, row->writer, found,
                 row->found);
    assert_int_equal(compat.compatible, row->found[0] == '\0');
    tg_avro_compat_dispose(&compat);
}

#define RECORD(name, fields) "{\"type\":\"record\",\"name\":\"" name "\",\"fields\":[" fields "]}"
#define FIELD(name, type)    "{\"name\":\"" name "\",\"type\":" type "}"
#define ENUM(rest)           "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":" rest "}"

static void types_are_promoted_as_the_specification_lists(void **state)
{
    (void)state;
    static const char *const kinds[] = {"null",  "boolean", "int",   "long",
                                        "float", "double",  "bytes", "string"};
    static const char readable[8][9] = {"n.......", ".b......", "..i.....", "..il....",
                                        "..ilf...", "..ilfd..", "......ys", "......ys"};
    for (size_t r = 0; r < 8; r++) {
        for (size_t w = 0; w < 8; w++) {
            char reader[16], writer[16];
            snprintf(reader, sizeof(reader), "\"%s\"", kinds[r]);
            snprintf(writer, sizeof(writer), "\"%s\"", kinds[w]);
            tg_avro_compat_t compat = check(reader, writer);
            if (compat.compatible != (readable[r][w] != '.'))
                fail_msg("%s from %s", kinds[r], kinds[w]);
            tg_avro_compat_dispose(&compat);
        }
    }
}

static void each_rule_has_its_verdict_and_its_place(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"\"int\"", "\"string\"",
         "TYPE_MISMATCH / reader type: INT not compatible with writer type: STRING"},
        /* Names. */
        {RECORD("a.R", ""), RECORD("b.R", ""), ""},
        {RECORD("R", ""), RECORD("b.Q", ""), "NAME_MISMATCH /name expected: b.Q"},
        {"{\"type\":\"record\",\"name\":\"R\",\"aliases\":[\"b.Q\"],\"fields\":[]}",
         RECORD("b.Q", ""), ""},
        {"{\"type\":\"record\",\"name\":\"b.R\",\"aliases\":[\"Q\"],\"fields\":[]}",
         RECORD("b.Q", ""), ""},
        {"{\"type\":\"record\",\"name\":\"b.R\",\"aliases\":[\"Q\"],\"fields\":[]}",
         RECORD("Q", ""), "NAME_MISMATCH /name expected: Q"},
        {RECORD("Q", ""), "{\"type\":\"record\",\"name\":\"R\",\"aliases\":[\"Q\"],\"fields\":[]}",
         "NAME_MISMATCH /name expected: R"},
        /* Fields. */
        {RECORD("R", FIELD("a", "\"int\"")), RECORD("R", ""),
         "READER_FIELD_MISSING_DEFAULT_VALUE /fields/0 a"},
        {RECORD("R", "{\"name\":\"a\",\"type\":\"int\",\"default\":1}"), RECORD("R", ""), ""},
        {RECORD("R", ""), RECORD("R", FIELD("a", "\"int\"")), ""},
        {RECORD("R", "{\"name\":\"a\",\"type\":\"int\",\"aliases\":[\"b\"]}"),
         RECORD("R", FIELD("b", "\"int\"")), ""},
        {RECORD("R", FIELD("b", "\"int\"")),
         RECORD("R", "{\"name\":\"a\",\"type\":\"int\",\"aliases\":[\"b\"]}"),
         "READER_FIELD_MISSING_DEFAULT_VALUE /fields/0 b"},
        {RECORD("R", "{\"name\":\"a\",\"type\":\"int\",\"aliases\":[\"b\"]}"),
         RECORD("R", FIELD("a", "\"int\"") "," FIELD("b", "\"int\"")), "NAME_MISMATCH /fields/0 a"},
        {RECORD("R", FIELD("a", ENUM("[\"A\"],\"default\":\"A\""))), RECORD("R", ""),
         "TYPE_MISMATCH /fields/0/type reader type: ENUM not compatible with writer type: RECORD"},
        /* Enums and fixed. */
        {ENUM("[\"A\",\"B\"]"), ENUM("[\"B\"]"), ""},
        {ENUM("[\"A\"]"), ENUM("[\"D\",\"A\",\"C\"]"), "MISSING_ENUM_SYMBOLS /symbols [C, D]"},
        {ENUM("[\"A\"],\"default\":\"A\""), ENUM("[\"A\",\"C\"]"), ""},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":4}",
         "{\"type\":\"fixed\",\"name\":\"F\",\"size\":8}",
         "FIXED_SIZE_MISMATCH /size expected: 8, found: 4"},
        /* Containers. */
        {"{\"type\":\"array\",\"items\":\"long\"}", "{\"type\":\"array\",\"items\":\"int\"}", ""},
        {"{\"type\":\"map\",\"values\":\"int\"}", "{\"type\":\"map\",\"values\":\"long\"}",
         "TYPE_MISMATCH /values reader type: INT not compatible with writer type: LONG"},
        /* Unions. */
        {"[\"null\",\"long\"]", "\"int\"", ""},
        {"[\"null\",\"long\"]", "\"string\"",
         "MISSING_UNION_BRANCH / reader union lacking writer type: STRING"},
        {"\"long\"", "[\"int\",\"long\"]", ""},
        {"\"int\"", "[\"int\",\"long\"]",
         "TYPE_MISMATCH /1 reader type: INT not compatible with writer type: LONG"},
        {"[\"int\",\"null\"]", "[\"null\",\"string\",\"int\"]",
         "MISSING_UNION_BRANCH /1 reader union lacking writer type: STRING"},
        {"[]", "[]", ""},
        /* Logical types do not count. */
        {"{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}", "\"int\"", ""},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++)
        assert_row(&rows[i]);
}

static void a_pair_inside_itself_is_readable_unless_something_else_fails(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {RECORD("L", FIELD("v", "\"long\"") "," FIELD("t", "[\"null\",\"L\"]")),
         RECORD("L", FIELD("v", "\"int\"") "," FIELD("t", "[\"null\",\"L\"]")), ""},
        {RECORD("L", FIELD("t", "\"L\"") "," FIELD("v", "\"int\"")),
         RECORD("L", FIELD("t", "\"L\"") "," FIELD("v", "\"long\"")),
         "TYPE_MISMATCH /fields/1/type reader type: INT not compatible with writer type: LONG"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++)
        assert_row(&rows[i]);
}

static void a_pair_that_failed_in_a_union_is_listed_where_it_is_met_outside(void **state)
{
    (void)state;
    static const struct row row = {
        RECORD("R", FIELD("u", "[\"null\"," RECORD("Q", FIELD("x", "\"int\"")) "]") "," FIELD(
                        "q", "\"Q\"") "," FIELD("again", "\"Q\"")),
        RECORD("R", FIELD("u", RECORD("Q", FIELD("x", "\"long\""))) "," FIELD(
                        "q", "\"Q\"") "," FIELD("again", "\"Q\"")),
        "MISSING_UNION_BRANCH /fields/0/type reader union lacking writer type: RECORD; "
        "TYPE_MISMATCH /fields/1/type/fields/0/type reader type: INT not compatible with writer "
        "type: LONG"};
    assert_row(&row);
}

static void an_ambiguous_field_cannot_be_chosen_away_by_a_union(void **state)
{
    (void)state;
    static const struct row row = {
        "[" RECORD("R",
                   "{\"name\":\"a\",\"type\":\"int\",\"aliases\":[\"b\"]}") ","
                                                                            "{\"type\":\"map\","
                                                                            "\"values\":\"int\"}]",
        RECORD("R", FIELD("a", "\"int\"") "," FIELD("b", "\"int\"")),
        "NAME_MISMATCH /fields/0 a; "
        "MISSING_UNION_BRANCH / reader union lacking writer type: RECORD"};
    assert_row(&row);
}

static void messages_say_where_and_what_to_do(void **state)
{
    (void)state;
    tg_avro_compat_t compat = check(RECORD("R", FIELD("a", "\"int\"")), RECORD("R", ""));
    assert_int_equal(compat.count, 1);
    assert_string_equal(compat.found[0].message,
                        "the field a at /fields/0 is missing in the writer's schema and has no "
                        "default in the reader's; give it a default, or an alias that names the "
                        "field it replaces");
    tg_avro_compat_dispose(&compat);
}

/* A record of `count` fields f0, f1, … of `type`. */
static char *wide_record(size_t count, const char *type)
{
    tg_buf_t text = tg_buf_make(TG_AVRO_SCHEMA_BYTES_MAX);
    tg_buf_printf(&text, "{\"type\":\"record\",\"name\":\"R\",\"fields\":[");
    for (size_t i = 0; i < count; i++)
        tg_buf_printf(&text, "%s{\"name\":\"f%zu\",\"type\":\"%s\"}", i == 0 ? "" : ",", i, type);
    tg_buf_append(&text, "]}", 3);
    assert_false(text.failed);
    return text.data;
}

static void the_list_is_cut_and_the_total_is_not(void **state)
{
    (void)state;
    char *reader = wide_record(1000, "int"), *writer = wide_record(1000, "string");
    tg_avro_compat_t compat = check(reader, writer);
    assert_false(compat.compatible);
    assert_int_equal(compat.count, TG_AVRO_COMPAT_FOUND_MAX);
    assert_int_equal(compat.total, 1000);
    assert_string_equal(compat.found[63].path, "/fields/63/type");
    tg_avro_compat_dispose(&compat);
    free(reader);
    free(writer);
}

/* Records R0, R1, … each of which may hold the one before: as deep as there are records. */
static char *chain(size_t count, const char *leaf)
{
    tg_buf_t text = tg_buf_make(TG_AVRO_SCHEMA_BYTES_MAX);
    tg_buf_printf(&text,
                  "{\"type\":\"record\",\"name\":\"Top\",\"fields\":[{\"name\":\"f\",\"type\":"
                  "{\"type\":\"record\",\"name\":\"R0\",\"fields\":[{\"name\":\"f\",\"type\":"
                  "\"%s\"}]}}",
                  leaf);
    for (size_t i = 1; i < count; i++)
        tg_buf_printf(&text,
                      ",{\"name\":\"f%zu\",\"type\":{\"type\":\"record\",\"name\":\"R%zu\","
                      "\"fields\":[{\"name\":\"f\",\"type\":[\"null\",\"R%zu\"]}]}}",
                      i, i, i - 1);
    tg_buf_printf(&text, ",{\"name\":\"last\",\"type\":\"R%zu\"}]}", count - 1);
    tg_buf_append(&text, "", 1);
    assert_false(text.failed);
    return text.data;
}

static void chains_of_records_are_compared_once_each_and_to_a_bounded_depth(void **state)
{
    (void)state;
    char *reader = chain(1500, "long"), *writer = chain(1500, "int");
    tg_avro_compat_t compat = check(reader, writer);
    assert_true(compat.compatible); /* the memo keeps it shallow: the chain is met from its end */
    tg_avro_compat_dispose(&compat);
    free(writer);

    tg_avro_schema_t *deep = parse(reader);
    const tg_avro_type_t *top = tg_avro_schema_root(deep);
    const tg_avro_type_t *last = top->fields[top->count - 1].type;
    assert_int_equal(tg_avro_compat_check(last, last, &compat), TG_TOO_LARGE);
    tg_avro_schema_destroy(deep);
    free(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_promoted_as_the_specification_lists),
        cmocka_unit_test(each_rule_has_its_verdict_and_its_place),
        cmocka_unit_test(a_pair_inside_itself_is_readable_unless_something_else_fails),
        cmocka_unit_test(a_pair_that_failed_in_a_union_is_listed_where_it_is_met_outside),
        cmocka_unit_test(an_ambiguous_field_cannot_be_chosen_away_by_a_union),
        cmocka_unit_test(messages_say_where_and_what_to_do),
        cmocka_unit_test(the_list_is_cut_and_the_total_is_not),
        cmocka_unit_test(chains_of_records_are_compared_once_each_and_to_a_bounded_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
