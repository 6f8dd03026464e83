/* Any bytes as a value: what decodes is JSON, in either form, that encodes and decodes to the same
 * text; and what can be decoded can be skipped. The first byte picks the schema. */
#include <stdio.h>

#include "common/avro/tests/fuzz_schemas.h"
#include "common/avro/value/cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tg_avro_schema_t *schemas[FUZZ_SCHEMAS];
static tg_json_parser_t *parser;
static tg_avro_codec_t *codec;
static tg_buf_t first, second, bytes;

static void set_up(void)
{
    fuzz_parse_schemas(schemas);
    parser = tg_json_parser_create(1 << 22, 256);
    codec = tg_avro_codec_create();
    first = second = bytes = tg_buf_make(1 << 22);
}

static void check_skip(const tg_avro_type_t *type, tg_str_t value)
{
    tg_avro_error_t why;
    tg_avro_reader_t reader;
    tg_avro_reader_init(&reader, value, 0, &why);
    if (tg_avro_skip(&reader, type) != TG_OK || reader.at != reader.end)
        abort();
}

static void check_form(const tg_avro_type_t *type, tg_str_t value, unsigned flags)
{
    tg_avro_error_t why;
    const tg_json_node_t *nodes;
    size_t count;
    tg_buf_clear(&first);
    if (tg_avro_decode(type, value, flags, &first, &why) != TG_OK)
        return;
    check_skip(type, value);
    tg_buf_clear(&second);
    tg_buf_clear(&bytes);
    if (tg_json_parse(parser, tg_buf_view(&first), &nodes, &count, NULL) != TG_OK)
        abort();
    if (tg_avro_encode(codec, type, nodes, 0, flags, &bytes, &why) != TG_OK) {
        fprintf(stderr, "%.*s: %s %s\n", (int)first.len, first.data, why.path, why.message);
        abort();
    }
    if (tg_avro_decode(type, tg_buf_view(&bytes), flags, &second, &why) != TG_OK ||
        !tg_str_eq(tg_buf_view(&first), tg_buf_view(&second))) {
        fprintf(stderr, "%.*s\n%.*s\n", (int)first.len, first.data, (int)second.len, second.data);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (parser == NULL)
        set_up();
    if (size == 0)
        return 0;
    size_t pick = data[0] % FUZZ_SCHEMAS;
    const tg_avro_type_t *type = tg_avro_schema_root(schemas[pick]);
    tg_str_t value = {(const char *)data + 1, size - 1};
    if (fuzz_schemas[pick].clear)
        check_form(type, value, 0);
    check_form(type, value, TG_AVRO_STRICT_JSON);
    return 0;
}
