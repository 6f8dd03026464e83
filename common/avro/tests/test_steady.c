/* Nothing is allocated per value once the first one is through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/avro/resolve.h"
#include "common/base/tests/allocations.h"

#define VALUES 1000

// clang-format off
#define ITEM "{\"type\":\"record\",\"name\":\"I\",\"fields\":[{\"name\":\"n\",\"type\":\"int\"},{\"name\":\"t\",\"type\":\"string\"}]}"
#define NEW_ITEM "{\"type\":\"record\",\"name\":\"I\",\"fields\":[{\"name\":\"t\",\"type\":\"string\"},{\"name\":\"x\",\"type\":\"string\",\"default\":\"d\"}," \
                 "{\"name\":\"n\",\"type\":\"double\"}]}"
#define OUTER(item) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"id\",\"type\":[\"null\",\"string\"],\"default\":null}," \
                    "{\"name\":\"items\",\"type\":{\"type\":\"array\",\"items\":" item "}},{\"name\":\"b\",\"type\":\"bytes\"}]}"
// clang-format on

static const char value[] =
    "{\"b\":\"AAEC\",\"items\":[{\"t\":\"x\",\"n\":1},{\"n\":2,\"t\":\"y\"}],"
    "\"id\":\"o-1\"}";

struct bench {
    tg_json_parser_t *parser;
    tg_avro_codec_t *codec;
    tg_avro_schema_t *writer, *reader;
    tg_avro_plan_t *plan;
    tg_buf_t bytes, resolved, json;
};

static void one_value(struct bench *b)
{
    const tg_json_node_t *nodes;
    size_t count;
    tg_avro_error_t why;
    tg_buf_clear(&b->bytes);
    tg_buf_clear(&b->resolved);
    tg_buf_clear(&b->json);
    assert_int_equal(tg_json_parse(b->parser, tg_str_from(value), &nodes, &count, NULL), TG_OK);
    assert_int_equal(tg_avro_encode(b->codec, tg_avro_schema_root(b->writer), nodes, 0, 0,
                                    &b->bytes, &why),
                     TG_OK);
    assert_int_equal(tg_avro_resolve(b->codec, b->plan, tg_buf_view(&b->bytes), 0, &b->resolved,
                                     &why),
                     TG_OK);
    assert_int_equal(tg_avro_decode(tg_avro_schema_root(b->reader), tg_buf_view(&b->resolved), 0,
                                    &b->json, &why),
                     TG_OK);
}

static void a_value_allocates_nothing_once_the_first_is_through(void **state)
{
    (void)state;
    tg_error_t error;
    struct bench b = {.parser = tg_json_parser_create(1 << 16, 64),
                      .codec = tg_avro_codec_create()};
    b.bytes = b.resolved = b.json = tg_buf_make(1 << 16);
    assert_int_equal(tg_avro_schema_parse(TG_STR(OUTER(ITEM)), &b.writer, &error), TG_OK);
    assert_int_equal(tg_avro_schema_parse(TG_STR(OUTER(NEW_ITEM)), &b.reader, &error), TG_OK);
    assert_int_equal(tg_avro_plan_create(tg_avro_schema_root(b.writer),
                                         tg_avro_schema_root(b.reader), &b.plan, &error),
                     TG_OK);
    one_value(&b);
    assert_string_equal((tg_buf_byte(&b.json, '\0'), b.json.data),
                        "{\"id\":\"o-1\",\"items\":[{\"t\":\"x\",\"x\":\"d\",\"n\":1},"
                        "{\"t\":\"y\",\"x\":\"d\",\"n\":2}],\"b\":\"AAEC\"}");
    size_t before = test_allocations();
    assert_int_equal(before > 0, TEST_ALLOCATIONS_COUNTED); /* the counter counts */
    for (int i = 0; i < VALUES; i++)
        one_value(&b);
    size_t made = test_allocations() - before;
    print_message("%zu allocations for %d values\n", made, VALUES);
    assert_int_equal(made, 0);
    tg_avro_plan_destroy(b.plan);
    tg_avro_schema_destroy(b.writer);
    tg_avro_schema_destroy(b.reader);
    tg_json_parser_destroy(b.parser);
    tg_avro_codec_destroy(b.codec);
    tg_buf_dispose(&b.bytes);
    tg_buf_dispose(&b.resolved);
    tg_buf_dispose(&b.json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_allocates_nothing_once_the_first_is_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
