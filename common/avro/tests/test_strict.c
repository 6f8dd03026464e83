/* Avro's own JSON encoding in both directions: tagged unions, base values, bytes as code points. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/avro/tests/fixture.h"

static tg_status_t there_and_back(struct fixture *f, const char *schema_text, const char *json)
{
    tg_avro_schema_t *schema = NULL;
    const tg_json_node_t *nodes = NULL;
    tg_error_t error = {0};
    size_t count;
    if (tg_avro_schema_parse(tg_str_from(schema_text), &schema, &error) != TG_OK ||
        tg_json_parse(f->parser, tg_str_from(json), &nodes, &count, &error) != TG_OK)
        fail_msg("%s: %s", schema_text, error.text);
    tg_buf_clear(&f->bytes);
    tg_buf_clear(&f->json);
    const tg_avro_type_t *root = tg_avro_schema_root(schema);
    tg_status_t status =
        tg_avro_encode(f->codec, root, nodes, 0, TG_AVRO_STRICT_JSON, &f->bytes, &f->error);
    if (status == TG_OK)
        status =
            tg_avro_decode(root, tg_buf_view(&f->bytes), TG_AVRO_STRICT_JSON, &f->json, &f->error);
    tg_avro_schema_destroy(schema);
    return status;
}

// clang-format off
#define UNION "[\"null\",\"double\",\"string\",{\"type\":\"map\",\"values\":\"int\"},{\"type\":\"fixed\",\"name\":\"n.F\",\"size\":2}," \
              "{\"type\":\"record\",\"name\":\"n.R\",\"fields\":[{\"name\":\"a\",\"type\":[\"null\",\"int\"],\"default\":null}]}]"
// clang-format on

static void values_come_back_as_they_went(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *schema, *json;
    } rows[] = {
        {UNION, "null"},
        {UNION, "{\"double\":3.5}"},
        {UNION, "{\"string\":\"3.5\"}"},
        {UNION, "{\"map\":{\"double\":1}}"},
        {UNION, "{\"n.F\":\"aÿ\"}"},
        {UNION, "{\"n.R\":{\"a\":{\"int\":1}}}"},
        {UNION, "{\"n.R\":{\"a\":null}}"},
        {"\"bytes\"", "\"\\u0000ÿ\""},
        {"\"double\"", "\"NaN\""},
        {"\"double\"", "\"-Infinity\""},
        {"\"float\"", "\"Infinity\""},
        {"{\"type\":\"int\",\"logicalType\":\"date\"}", "3"},
        {"{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}", "-9223372036854775808"},
        {"{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":4,\"scale\":2}", "\"abc\""},
        {"{\"type\":\"string\",\"logicalType\":\"uuid\"}", "\"none\""},
        {"{\"type\":\"fixed\",\"name\":\"D\",\"size\":12,\"logicalType\":\"duration\"}",
         "\"abcdefghijkl\""},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        if (there_and_back(f, rows[i].schema, rows[i].json) != TG_OK)
            fail_msg("%s: %s %s", rows[i].json, f->error.path, f->error.message);
        if (!tg_str_eq(tg_buf_view(&f->json), tg_str_from(rows[i].json)))
            fail_msg("%s became %.*s", rows[i].json, (int)f->json.len, f->json.data);
    }
}

static void plain_json_is_refused_where_it_says_less(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *schema, *json, *code, *path, *words;
    } rows[] = {
        {UNION, "3.5", "wrong_type", "", "names its branch"},
        {UNION, "{}", "wrong_type", "", "names its branch"},
        {UNION, "{\"double\":1,\"string\":\"\"}", "wrong_type", "", "names its branch"},
        {UNION, "{\"R\":{\"a\":null}}", "invalid_value", "", "no branch \"R\""},
        {UNION, "{\"n.R\":{\"a\":{\"int\":\"x\"}}}", "wrong_type", "n.R.a.int", "an integer"},
        {UNION, "{\"n.R\":{}}", "missing_field", "n.R.a", "required"},
        {"[\"int\"]", "null", "invalid_value", "", "no branch \"null\""},
        {"\"bytes\"", "\"€\"", "invalid_value", "", "U+00FF"},
        {"\"double\"", "\"nan\"", "wrong_type", "", "a number"},
        {"{\"type\":\"int\",\"logicalType\":\"date\"}", "\"2026-02-03\"", "wrong_type", "",
         "an integer"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        assert_int_equal(there_and_back(f, rows[i].schema, rows[i].json), TG_INVALID);
        assert_string_equal(f->error.code, rows[i].code);
        assert_string_equal(f->error.path, rows[i].path);
        assert_non_null(strstr(f->error.message, rows[i].words));
        assert_int_equal(f->bytes.len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_back_as_they_went),
        cmocka_unit_test(plain_json_is_refused_where_it_says_less),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
