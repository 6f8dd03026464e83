/* How schemas are printed: as Java's Schema.toString() does, normalized as Confluent's registry
 * does, with references by name, and so that the print reads back to the same print. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/avro/json_text.h"
#include "common/avro/print.h"

struct row {
    const char *text, *printed;
};

typedef tg_status_t (*print_fn)(const tg_avro_schema_t *schema, tg_buf_t *out);

static tg_avro_schema_t *parse(const char *text, const tg_avro_schema_t *ref)
{
    tg_avro_schema_t *schema = NULL;
    tg_error_t error;
    if (tg_avro_schema_parse_refs(tg_str_from(text), &ref, ref != NULL, &schema, &error) != TG_OK)
        fail_msg("%s: %s", text, error.text);
    return schema;
}

static void assert_print(const char *text, const tg_avro_schema_t *ref, print_fn print,
                         const char *expected)
{
    tg_avro_schema_t *schema = parse(text, ref);
    tg_buf_t out = tg_buf_make(1 << 16);
    assert_int_equal(print(schema, &out), TG_OK);
    tg_buf_byte(&out, '\0');
    if (strcmp(out.data, expected) != 0)
        fail_msg("%s\n  gives %s\n  not   %s", text, out.data, expected);
    tg_buf_dispose(&out);
    tg_avro_schema_destroy(schema);
}

static void assert_rows(const struct row *rows, size_t count, print_fn print)
{
    for (size_t i = 0; i < count; i++) {
        assert_print(rows[i].text, NULL, print, rows[i].printed);
        assert_print(rows[i].printed, NULL, print, rows[i].printed);
    }
}

static void equivalent_spellings_print_alike(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"type\":\"string\"}", "\"string\""},
        {" [ \"null\" , {\"type\":\"int\"} ] ", "[\"null\",\"int\"]"},
        {"{\"doc\":\"x\",\"type\":\"long\"}", "\"long\""},
        {"{\"items\":\"int\",\"type\":\"array\"}", "{\"type\":\"array\",\"items\":\"int\"}"},
        {"{\"fields\":[],\"namespace\":\"a.b\",\"name\":\"R\",\"type\":\"record\"}",
         "{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"a.b\",\"fields\":[]}"},
        {"{\"type\":\"record\",\"name\":\"a.b.R\",\"fields\":[]}",
         "{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"a.b\",\"fields\":[]}"},
        {"{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"\",\"doc\":\"\",\"fields\":[{"
         "\"type\":"
         "\"int\",\"order\":\"ascending\",\"name\":\"a\"}]}",
         "{\"type\":\"record\",\"name\":\"R\",\"doc\":\"\",\"fields\":[{\"name\":\"a\",\"type\":"
         "\"int\"}]}"},
        {"{\"type\":\"error\",\"name\":\"R\",\"fields\":[]}",
         "{\"type\":\"error\",\"name\":\"R\",\"fields\":[]}"},
    };
    assert_rows(rows, TG_ARRAY_LEN(rows), tg_avro_print);
}

static void names_are_as_short_as_their_surroundings_allow(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"type\":\"record\",\"name\":\"n.R\",\"aliases\":[\"n.A\",\"m.B\",\"A\",\".C\"],"
         "\"fields\":[{\"name\":\"a\",\"type\":{\"type\":\"fixed\",\"name\":\"n.F\",\"size\":1}},"
         "{\"name\":\"b\",\"type\":\"n.F\"},{\"name\":\"c\",\"type\":[\"null\",\"R\"]}]}",
         "{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"n\",\"fields\":[{\"name\":\"a\","
         "\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":1}},{\"name\":\"b\",\"type\":\"F\"},"
         "{\"name\":\"c\",\"type\":[\"null\",\"R\"]}],\"aliases\":[\"A\",\"m.B\",\".C\"]}"},
        {"{\"type\":\"record\",\"name\":\"n.R\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":"
         "\"enum\",\"name\":\"m.E\",\"symbols\":[]}},{\"name\":\"b\",\"type\":\"m.E\"},{\"name\":"
         "\"c\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"namespace\":\"\",\"symbols\":[]}}]}",
         "{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"n\",\"fields\":[{\"name\":\"a\","
         "\"type\":{\"type\":\"enum\",\"name\":\"E\",\"namespace\":\"m\",\"symbols\":[]}},{"
         "\"name\":\"b\",\"type\":\"m.E\"},{\"name\":\"c\",\"type\":{\"type\":\"enum\",\"name\":"
         "\"E\",\"namespace\":\"\",\"symbols\":[]}}]}"},
        /* A name that would read as a type keeps its namespace. */
        {"{\"type\":\"record\",\"name\":\"n.record\",\"fields\":[{\"name\":\"a\",\"type\":["
         "\"null\",\"n.record\"]}]}",
         "{\"type\":\"record\",\"name\":\"record\",\"namespace\":\"n\",\"fields\":[{\"name\":\"a\","
         "\"type\":[\"null\",\"n.record\"]}]}"},
    };
    assert_rows(rows, TG_ARRAY_LEN(rows), tg_avro_print);
}

static void attributes_and_defaults_are_kept(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"z\":[1,{\"b\":null,\"a\":true}],\"logicalType\":\"date\",\"type\":\"int\"}",
         "{\"type\":\"int\",\"z\":[1,{\"b\":null,\"a\":true}],\"logicalType\":\"date\"}"},
        {"{\"type\":\"map\",\"x\":-0.0,\"values\":\"int\",\"default\":{}}",
         "{\"type\":\"map\",\"values\":\"int\",\"x\":-0.0,\"default\":{}}"},
        {"{\"type\":\"enum\",\"name\":\"E\",\"aliases\":[\"F\",\"F\"],\"x\":1,\"default\":\"A\","
         "\"symbols\":[\"A\"],\"doc\":\"d\"}",
         "{\"type\":\"enum\",\"name\":\"E\",\"doc\":\"d\",\"symbols\":[\"A\"],\"default\":\"A\","
         "\"x\":1,\"aliases\":[\"F\"]}"},
        {"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"role\":\"kind\",\"aliases\":[\"b\"],"
         "\"order\":\"ignore\",\"default\":1e10,\"doc\":\"\\u00e9\\u0001\\\"\\/\",\"type\":"
         "\"double\",\"name\":\"a\"}]}",
         "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"double\","
         "\"doc\":\"\xc3\xa9\\u0001\\\"/\",\"default\":1.0E10,\"order\":\"ignore\",\"aliases\":["
         "\"b\"],\"role\":\"kind\"}]}"},
    };
    assert_rows(rows, TG_ARRAY_LEN(rows), tg_avro_print);
}

static void normalizing_sorts_what_has_no_order(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"z\":{\"b\":1,\"a\":2},\"logicalType\":\"decimal\",\"a\":1,\"type\":\"bytes\","
         "\"scale\":2,\"precision\":4}",
         "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":4,\"scale\":2,\"a\":1,"
         "\"z\":{\"a\":2,\"b\":1}}"},
        {"{\"type\":\"error\",\"name\":\"R\",\"doc\":\"\",\"aliases\":[\"Z\",\"A\"],\"fields\":[{"
         "\"name\":\"a\",\"type\":\"float\",\"doc\":\"\",\"default\":1,\"aliases\":[\"z\",\"b\"],"
         "\"y\":1,\"x\":2}]}",
         "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"float\","
         "\"doc\":\"\",\"default\":1.0,\"aliases\":[\"b\",\"z\"],\"x\":2,\"y\":1}],\"aliases\":["
         "\"A\",\"Z\"]}"},
        {"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":"
         "\"map\",\"values\":[\"double\",\"null\"]},\"default\":{\"y\":1,\"x\":null}}]}",
         "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":"
         "\"map\",\"values\":[\"double\",\"null\"]},\"default\":{\"x\":null,\"y\":1.0}}]}"},
    };
    assert_rows(rows, TG_ARRAY_LEN(rows), tg_avro_print_normalized);
}

static void types_of_references_are_printed_by_name_unless_resolved(void **state)
{
    (void)state;
    tg_avro_schema_t *ref = parse("{\"type\":\"record\",\"name\":\"n.Q\",\"fields\":[{\"name\":"
                                  "\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":["
                                  "\"A\"]}}]}",
                                  NULL);
    static const char text[] = "{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"n\",\"fields\":"
                               "[{\"name\":\"q\",\"type\":\"Q\"},{\"name\":\"e\",\"type\":\"E\"}]}";
    assert_print(text, ref, tg_avro_print, text);
    assert_print("\"n.Q\"", ref, tg_avro_print, "\"n.Q\"");
    assert_print(
        text, ref, tg_avro_print_resolved,
        "{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"n\",\"fields\":[{\"name\":\"q\","
        "\"type\":{\"type\":\"record\",\"name\":\"Q\",\"fields\":[{\"name\":\"e\",\"type\":{"
        "\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}}]}},{\"name\":\"e\",\"type\":"
        "\"E\"}]}");
    tg_avro_schema_destroy(ref);
}

static void reals_are_spelt_as_java_spells_them(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1.0, "1.0"},
        {0.1, "0.1"},
        {0.001, "0.001"},
        {0.00099, "9.9E-4"},
        {9999999.0, "9999999.0"},
        {1e7, "1.0E7"},
        {123456.789, "123456.789"},
        {1.5e300, "1.5E300"},
        {-2.5e-10, "-2.5E-10"},
        {9007199254740993.0, "9.007199254740992E15"},
        {100.0, "100.0"},
        {0.05, "0.05"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        tg_buf_t out = tg_buf_make(64);
        tg_avro_json_text_double(&out, rows[i].value);
        tg_buf_byte(&out, '\0');
        assert_string_equal(out.data, rows[i].text);
        tg_buf_dispose(&out);
    }
    tg_buf_t out = tg_buf_make(64);
    tg_avro_json_text_float(&out, 3.3f);
    tg_buf_byte(&out, '\0');
    assert_string_equal(out.data, "3.3");
    tg_buf_dispose(&out);
}

static void a_full_buffer_is_reported(void **state)
{
    (void)state;
    tg_avro_schema_t *schema = parse("{\"type\":\"array\",\"items\":\"int\"}", NULL);
    tg_buf_t out = tg_buf_make(8);
    assert_int_equal(tg_avro_print(schema, &out), TG_NOMEM);
    tg_buf_dispose(&out);
    tg_avro_schema_destroy(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equivalent_spellings_print_alike),
        cmocka_unit_test(names_are_as_short_as_their_surroundings_allow),
        cmocka_unit_test(attributes_and_defaults_are_kept),
        cmocka_unit_test(normalizing_sorts_what_has_no_order),
        cmocka_unit_test(types_of_references_are_printed_by_name_unless_resolved),
        cmocka_unit_test(reals_are_spelt_as_java_spells_them),
        cmocka_unit_test(a_full_buffer_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
