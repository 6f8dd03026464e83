/* Any JSON as a value: what encodes, from either form, decodes to JSON that encodes to the same
 * bytes. The first byte picks the schema and the form. */
#include <stdio.h>

#include "common/avro/codec.h"
#include "common/avro/tests/fuzz_schemas.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tg_avro_schema_t *schemas[FUZZ_SCHEMAS];
static tg_json_parser_t *parser;
static tg_avro_codec_t *codec;
static tg_buf_t bytes, again, json;

static void set_up(void)
{
    fuzz_parse_schemas(schemas);
    parser = tg_json_parser_create(1 << 22, 256);
    codec = tg_avro_codec_create();
    bytes = again = json = tg_buf_make(1 << 22);
}

static bool encode(const tg_avro_type_t *type, tg_str_t text, unsigned flags, tg_buf_t *out)
{
    const tg_json_node_t *nodes;
    size_t count;
    tg_avro_error_t why;
    tg_buf_clear(out);
    if (tg_json_parse(parser, text, &nodes, &count, NULL) != TG_OK)
        return false;
    return tg_avro_encode(codec, type, nodes, 0, flags, out, &why) == TG_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tg_avro_error_t why;
    if (parser == NULL)
        set_up();
    if (size == 0)
        return 0;
    size_t pick = data[0] / 2 % FUZZ_SCHEMAS;
    unsigned flags = data[0] % 2 == 0 ? 0 : TG_AVRO_STRICT_JSON;
    const tg_avro_type_t *type = tg_avro_schema_root(schemas[pick]);
    if (!encode(type, (tg_str_t){(const char *)data + 1, size - 1}, flags, &bytes))
        return 0;
    /* Bytes back to Avro's own form, which always leads to the same bytes. */
    tg_buf_clear(&json);
    if (tg_avro_decode(type, tg_buf_view(&bytes), TG_AVRO_STRICT_JSON, &json, &why) != TG_OK ||
        !encode(type, tg_buf_view(&json), TG_AVRO_STRICT_JSON, &again) ||
        !tg_str_eq(tg_buf_view(&bytes), tg_buf_view(&again))) {
        fprintf(stderr, "%s %s: %.*s\n", why.path, why.message, (int)json.len, json.data);
        abort();
    }
    return 0;
}
