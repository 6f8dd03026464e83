/* The op "resolve": data that one schema wrote, as another schema reads it. */
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "common/avro/tests/avro_verdict.h"

#include "common/avro/resolve.h"

#define VALUE_MAX ((size_t)4 << 20)

struct asked {
    tg_avro_codec_t *codec;
    tg_avro_plan_t *plan;
    tg_buf_t bytes, text;
};

static bool read_hex(tg_str_t hex, tg_buf_t *out)
{
    tg_buf_clear(out);
    for (size_t i = 0; i + 1 < hex.len; i += 2) {
        char pair[3] = {hex.ptr[i], hex.ptr[i + 1], '\0'}, *end;
        unsigned long byte = strtoul(pair, &end, 16);
        if (end != pair + 2)
            return false;
        tg_buf_byte(out, (char)byte);
    }
    return hex.len % 2 == 0;
}

static json_t *refusal_of(const tg_avro_error_t *error)
{
    char text[512];
    snprintf(text, sizeof(text), "%s%s%s", error->path, error->path[0] == '\0' ? "" : ": ",
             error->message);
    return json_pack("{s:s}", "error", text);
}

static json_t *value_of(struct asked *a, const json_t *datum)
{
    tg_avro_error_t error = {0};
    json_error_t why;
    tg_str_t hex = {json_string_value(datum), json_string_length(datum)};
    if (!json_is_string(datum) || !read_hex(hex, &a->bytes))
        return json_pack("{s:s}", "error", "data: expected hex");
    tg_buf_clear(&a->text);
    if (tg_avro_resolve_json(a->codec, a->plan, tg_buf_view(&a->bytes), TG_AVRO_STRICT_JSON,
                             &a->text, &error) != TG_OK)
        return refusal_of(&error);
    json_t *value = json_loadb(a->text.data, a->text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (value == NULL)
        return json_pack("{s:s}", "error", why.text);
    return json_pack("{s:o}", "json", value);
}

static json_t *values_of(tg_avro_plan_t *plan, const json_t *data)
{
    struct asked a = {.codec = tg_avro_codec_create(), .plan = plan};
    json_t *values = json_array();
    size_t i;
    json_t *datum;
    if (a.codec == NULL || values == NULL)
        abort();
    a.bytes = a.text = tg_buf_make(VALUE_MAX);
    json_array_foreach(data, i, datum) json_array_append_new(values, value_of(&a, datum));
    tg_avro_codec_destroy(a.codec);
    tg_buf_dispose(&a.bytes);
    tg_buf_dispose(&a.text);
    return json_pack("{s:b,s:o}", "ok", 1, "values", values);
}

static json_t *resolve(const tg_avro_schema_t *reader, const tg_avro_schema_t *writer,
                       const json_t *data)
{
    tg_avro_plan_t *plan;
    tg_error_t error;
    if (tg_avro_plan_create(tg_avro_schema_root(writer), tg_avro_schema_root(reader), &plan,
                            &error) != TG_OK)
        return tg_verdict_refusal(error.text);
    json_t *answer = values_of(plan, data);
    tg_avro_plan_destroy(plan);
    return answer;
}

json_t *tg_verdict_resolve(const json_t *question)
{
    tg_avro_schema_t *reader = NULL, *writer = NULL;
    tg_error_t error;
    json_t *answer;
    if (tg_avro_schema_parse(tg_verdict_text(question, "reader"), &reader, &error) != TG_OK ||
        tg_avro_schema_parse(tg_verdict_text(question, "writer"), &writer, &error) != TG_OK)
        answer = tg_verdict_refusal(error.text);
    else
        answer = resolve(reader, writer, json_object_get(question, "data"));
    tg_avro_schema_destroy(reader);
    tg_avro_schema_destroy(writer);
    return answer;
}
