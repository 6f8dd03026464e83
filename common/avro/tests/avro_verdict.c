/* Answers questions about schemas, one JSON object per line on stdin and stdout, so that tests can
 * set our answers beside another implementation's (tests/oracle says what is asked).
 *
 * Schemas without a finite value are taken here, as others take them. */
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "common/avro/tests/avro_verdict.h"

#include "common/avro/canonical.h"
#include "common/avro/compat.h"
#include "common/avro/fingerprint.h"
#include "common/avro/print.h"

#define TEXT_MAX ((size_t)16 << 20)

json_t *tg_verdict_refusal(const char *reason)
{
    return json_pack("{s:b,s:s}", "ok", 0, "error", reason);
}

tg_str_t tg_verdict_text(const json_t *question, const char *name)
{
    const json_t *text = json_object_get(question, name);
    if (!json_is_string(text))
        return (tg_str_t){NULL, 0};
    return (tg_str_t){json_string_value(text), json_string_length(text)};
}

static json_t *hex_of(const uint8_t *bytes, size_t len)
{
    char hex[2 * TG_SHA256_LEN];
    assert(2 * len <= sizeof(hex));
    tg_hash_hex(bytes, len, hex);
    return json_stringn(hex, 2 * len);
}

static json_t *forms_of(const tg_avro_schema_t *schema)
{
    json_t *answer = json_pack("{s:b}", "ok", 1);
    tg_buf_t form = tg_buf_make(TEXT_MAX), text = tg_buf_make(TEXT_MAX);
    tg_buf_t normalized = tg_buf_make(TEXT_MAX);
    uint8_t md5[TG_MD5_LEN], sha256[TG_SHA256_LEN];
    if (tg_avro_canonical(schema, &form) != TG_OK || tg_avro_print(schema, &text) != TG_OK ||
        tg_avro_print_normalized(schema, &normalized) != TG_OK)
        abort();
    char crc[17];
    snprintf(crc, sizeof(crc), "%016llx",
             (unsigned long long)tg_avro_fingerprint(tg_buf_view(&form)));
    tg_avro_fingerprint_md5(tg_buf_view(&form), md5);
    tg_avro_fingerprint_sha256(tg_buf_view(&form), sha256);
    json_object_set_new(answer, "text", json_stringn(text.data, text.len));
    json_object_set_new(answer, "normalized", json_stringn(normalized.data, normalized.len));
    json_object_set_new(answer, "canonical", json_stringn(form.data, form.len));
    json_object_set_new(answer, "crc64", json_string(crc));
    json_object_set_new(answer, "md5", hex_of(md5, sizeof(md5)));
    json_object_set_new(answer, "sha256", hex_of(sha256, sizeof(sha256)));
    tg_buf_dispose(&form);
    tg_buf_dispose(&text);
    tg_buf_dispose(&normalized);
    return answer;
}

static json_t *answer_schema(const json_t *question)
{
    tg_avro_schema_t *schema;
    tg_error_t error;
    if (tg_avro_schema_parse_endless(tg_verdict_text(question, "schema"), &schema, &error) != TG_OK)
        return tg_verdict_refusal(error.text);
    json_t *answer = forms_of(schema);
    tg_avro_schema_destroy(schema);
    return answer;
}

static json_t *verdict_of(const tg_avro_schema_t *reader, const tg_avro_schema_t *writer)
{
    tg_avro_compat_t compat;
    tg_status_t status =
        tg_avro_compat_check(tg_avro_schema_root(reader), tg_avro_schema_root(writer), &compat);
    if (status != TG_OK)
        return tg_verdict_refusal(tg_status_name(status));
    json_t *found = json_array();
    for (size_t i = 0; i < compat.count; i++) {
        const tg_avro_incompatibility_t *one = &compat.found[i];
        json_array_append_new(found, json_pack("{s:s,s:s,s:s,s:s}", "type",
                                               tg_avro_incompat_name(one->type), "path", one->path,
                                               "detail", one->detail, "message", one->message));
    }
    json_t *answer =
        json_pack("{s:b,s:b,s:o}", "ok", 1, "compatible", compat.compatible, "found", found);
    tg_avro_compat_dispose(&compat);
    return answer;
}

static json_t *answer_compat(const json_t *question)
{
    tg_avro_schema_t *reader = NULL, *writer = NULL;
    tg_error_t error;
    json_t *answer;
    if (tg_avro_schema_parse_endless(tg_verdict_text(question, "reader"), &reader, &error) !=
            TG_OK ||
        tg_avro_schema_parse_endless(tg_verdict_text(question, "writer"), &writer, &error) != TG_OK)
        answer = tg_verdict_refusal(error.text);
    else
        answer = verdict_of(reader, writer);
    tg_avro_schema_destroy(reader);
    tg_avro_schema_destroy(writer);
    return answer;
}

static json_t *answer(const char *line, size_t len)
{
    static const struct {
        const char *op;
        json_t *(*answer)(const json_t *question);
    } rows[] = {
        {"schema", answer_schema},
        {"compat", answer_compat},
        {"resolve", tg_verdict_resolve},
        {"encode", tg_verdict_encode},
    };
    json_error_t why;
    json_t *question = json_loadb(line, len, JSON_ALLOW_NUL, &why), *found = NULL;
    if (question == NULL)
        return tg_verdict_refusal(why.text);
    tg_str_t op = tg_verdict_text(question, "op");
    for (size_t i = 0; i < TG_ARRAY_LEN(rows) && found == NULL; i++) {
        if (tg_str_eq(op, tg_str_from(rows[i].op)))
            found = rows[i].answer(question);
    }
    json_decref(question);
    return found != NULL ? found : tg_verdict_refusal("unknown op");
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    while ((len = getline(&line, &room, stdin)) > 0) {
        json_t *json = answer(line, (size_t)len);
        char *text = json_dumps(json, JSON_COMPACT);
        if (text == NULL)
            abort();
        puts(text);
        free(text);
        json_decref(json);
    }
    free(line);
    return 0;
}
