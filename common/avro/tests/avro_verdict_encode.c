/* The op "encode": values in Avro's own JSON encoding to bytes. */
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "common/avro/tests/avro_verdict.h"

#include "common/avro/codec.h"

#define VALUE_MAX ((size_t)4 << 20)

struct asked {
    tg_avro_codec_t *codec;
    tg_json_parser_t *parser;
    const tg_avro_type_t *type;
    tg_buf_t bytes, hex;
};

static json_t *hex_of(struct asked *a)
{
    tg_buf_clear(&a->hex);
    for (size_t i = 0; i < a->bytes.len; i++)
        tg_buf_printf(&a->hex, "%02x", (unsigned)(uint8_t)a->bytes.data[i]);
    return json_pack("{s:s%}", "hex", a->hex.len == 0 ? "" : a->hex.data, a->hex.len);
}

static json_t *bytes_of(struct asked *a, const json_t *value)
{
    const tg_json_node_t *nodes;
    size_t count;
    tg_avro_error_t why = {0};
    tg_error_t error;
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text == NULL)
        abort();
    json_t *answer = NULL;
    tg_buf_clear(&a->bytes);
    if (tg_json_parse(a->parser, tg_str_from(text), &nodes, &count, &error) != TG_OK)
        answer = json_pack("{s:s}", "error", error.text);
    else if (tg_avro_encode(a->codec, a->type, nodes, 0, TG_AVRO_STRICT_JSON, &a->bytes, &why) !=
             TG_OK)
        answer = json_pack("{s:s++}", "error", why.path, ": ", why.message);
    else
        answer = hex_of(a);
    free(text);
    return answer;
}

static json_t *data_of(const tg_avro_schema_t *schema, const json_t *values)
{
    struct asked a = {.codec = tg_avro_codec_create(),
                      .parser = tg_json_parser_create(VALUE_MAX, 256),
                      .type = tg_avro_schema_root(schema)};
    json_t *data = json_array();
    size_t i;
    json_t *value;
    if (a.codec == NULL || a.parser == NULL || data == NULL)
        abort();
    a.bytes = a.hex = tg_buf_make(VALUE_MAX);
    json_array_foreach(values, i, value)
    {
        json_array_append_new(data, bytes_of(&a, value));
    }
    tg_avro_codec_destroy(a.codec);
    tg_json_parser_destroy(a.parser);
    tg_buf_dispose(&a.bytes);
    tg_buf_dispose(&a.hex);
    return json_pack("{s:b,s:o}", "ok", 1, "data", data);
}

json_t *tg_verdict_encode(const json_t *question)
{
    tg_avro_schema_t *schema;
    tg_error_t error;
    if (tg_avro_schema_parse(tg_verdict_text(question, "schema"), &schema, &error) != TG_OK)
        return tg_verdict_refusal(error.text);
    json_t *answer = data_of(schema, json_object_get(question, "values"));
    tg_avro_schema_destroy(schema);
    return answer;
}
