/* Any bytes as a value of schemas that use every kind and logical type: what decodes is JSON that
 * encodes and decodes to the same text. The first byte picks the schema. */
#include <stdio.h>
#include <stdlib.h>

#include "common/avro/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const schema_texts[] = {
    "{\"type\":\"record\",\"name\":\"R\",\"fields\":["
    "{\"name\":\"b\",\"type\":\"boolean\"},{\"name\":\"i\",\"type\":\"int\"},"
    "{\"name\":\"l\",\"type\":\"long\"},{\"name\":\"f\",\"type\":\"float\"},"
    "{\"name\":\"d\",\"type\":\"double\"},{\"name\":\"y\",\"type\":\"bytes\"},"
    "{\"name\":\"s\",\"type\":\"string\"},"
    "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}},"
    "{\"name\":\"x\",\"type\":{\"type\":\"fixed\",\"name\":\"X\",\"size\":3}},"
    "{\"name\":\"u\",\"type\":[\"null\",\"long\",\"string\"]}]}",
    "{\"type\":\"record\",\"name\":\"L\",\"fields\":[{\"name\":\"n\",\"type\":[\"null\",\"L\"]},"
    "{\"name\":\"a\",\"type\":{\"type\":\"array\",\"items\":\"L\"}},"
    "{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":[\"null\",\"L\"]}}]}",
    "{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":\"null\"}}",
    "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"T\",\"fields\":["
    "{\"name\":\"a\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}},"
    "{\"name\":\"b\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},"
    "{\"name\":\"d\",\"type\":{\"type\":\"int\",\"logicalType\":\"date\"}},"
    "{\"name\":\"e\",\"type\":{\"type\":\"int\",\"logicalType\":\"time-millis\"}},"
    "{\"name\":\"f\",\"type\":{\"type\":\"long\",\"logicalType\":\"local-timestamp-micros\"}},"
    "{\"name\":\"g\",\"type\":{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":15,"
    "\"scale\":3}}]}}",
};

static tg_avro_schema_t *schemas[TG_ARRAY_LEN(schema_texts)];
static tg_json_parser_t *parser;
static tg_avro_codec_t *codec;
static tg_buf_t first, second, bytes;

static void set_up(void)
{
    tg_error_t error;
    for (size_t i = 0; i < TG_ARRAY_LEN(schema_texts); i++) {
        if (tg_avro_schema_parse(tg_str_from(schema_texts[i]), &schemas[i], &error) != TG_OK)
            abort();
    }
    parser = tg_json_parser_create(1 << 22, 256);
    codec = tg_avro_codec_create();
    first = second = bytes = tg_buf_make(1 << 22);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tg_avro_error_t why;
    const tg_json_node_t *nodes;
    size_t count;
    if (parser == NULL)
        set_up();
    if (size == 0)
        return 0;
    const tg_avro_type_t *type = tg_avro_schema_root(schemas[data[0] % TG_ARRAY_LEN(schema_texts)]);
    tg_buf_clear(&first);
    if (tg_avro_decode(type, (tg_str_t){(const char *)data + 1, size - 1}, 0, &first, &why) !=
        TG_OK)
        return 0;
    tg_buf_clear(&second);
    tg_buf_clear(&bytes);
    if (tg_json_parse(parser, tg_buf_view(&first), &nodes, &count, NULL) != TG_OK)
        abort();
    if (tg_avro_encode(codec, type, nodes, 0, 0, &bytes, &why) != TG_OK) {
        fprintf(stderr, "%.*s: %s %s\n", (int)first.len, first.data, why.path, why.message);
        abort();
    }
    if (tg_avro_decode(type, tg_buf_view(&bytes), 0, &second, &why) != TG_OK ||
        !tg_str_eq(tg_buf_view(&first), tg_buf_view(&second))) {
        fprintf(stderr, "%.*s\n%.*s\n", (int)first.len, first.data, (int)second.len, second.data);
        abort();
    }
    return 0;
}
