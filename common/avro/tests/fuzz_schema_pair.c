/* Two texts as reader and writer, split at the first NUL: whatever parses must compare within its
 * bounds, be compatible with itself unless a field is ambiguous, and survive print and parse: the
 * same canonical form, the same print. The writer is parsed once more as the reader's reference. */
#include <stdlib.h>

#include "common/avro/canonical.h"
#include "common/avro/compat.h"
#include "common/avro/print.h"

#define TEXT_MAX ((size_t)8 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tg_buf_t forms[2], prints[2];

static tg_avro_schema_t *parse_endless(tg_str_t text)
{
    tg_avro_schema_t *schema = NULL;
    tg_error_t error = {.text = ""};
    tg_status_t status = tg_avro_schema_parse_endless(text, &schema, &error);
    if ((status == TG_OK) != (schema != NULL) || (status != TG_OK && error.text[0] == '\0'))
        abort();
    return schema;
}

static void print_both(const tg_avro_schema_t *schema, unsigned which)
{
    tg_buf_clear(&forms[which]);
    tg_buf_clear(&prints[which]);
    if (tg_avro_canonical(schema, &forms[which]) != TG_OK ||
        tg_avro_print(schema, &prints[which]) != TG_OK)
        abort();
}

/* A print that is longer than what is parsed at all cannot be read back. */
static void check_print(const tg_avro_schema_t *schema)
{
    print_both(schema, 0);
    if (prints[0].len > TG_AVRO_SCHEMA_BYTES_MAX)
        return;
    tg_avro_schema_t *again = parse_endless(tg_buf_view(&prints[0]));
    if (again == NULL)
        abort();
    print_both(again, 1);
    if (!tg_str_eq(tg_buf_view(&forms[0]), tg_buf_view(&forms[1])) ||
        !tg_str_eq(tg_buf_view(&prints[0]), tg_buf_view(&prints[1])))
        abort();
    tg_buf_clear(&prints[0]);
    if (tg_avro_print_normalized(again, &prints[0]) != TG_OK)
        abort();
    tg_avro_schema_destroy(again);
    again = parse_endless(tg_buf_view(&prints[0]));
    tg_buf_clear(&prints[1]);
    if (again == NULL || tg_avro_print_normalized(again, &prints[1]) != TG_OK ||
        !tg_str_eq(tg_buf_view(&prints[0]), tg_buf_view(&prints[1])))
        abort();
    tg_avro_schema_destroy(again);
}

static void compare(const tg_avro_schema_t *reader, const tg_avro_schema_t *writer)
{
    tg_avro_compat_t compat = {0};
    tg_status_t status =
        tg_avro_compat_check(tg_avro_schema_root(reader), tg_avro_schema_root(writer), &compat);
    if (status != TG_OK && status != TG_TOO_LARGE)
        abort();
    bool named = false;
    for (size_t i = 0; i < compat.count; i++) {
        if (compat.found[i].path[0] != '/' || compat.found[i].message[0] == '\0')
            abort();
        named = named || compat.found[i].type == TG_AVRO_NAME_MISMATCH;
    }
    /* Only a field that its own aliases make ambiguous keeps a schema from reading itself. */
    if (status == TG_OK && reader == writer && !compat.compatible && !named &&
        compat.total == compat.count)
        abort();
    tg_avro_compat_dispose(&compat);
}

static void parse_as_reference(tg_str_t reader, tg_str_t writer)
{
    tg_avro_schema_t *ref = NULL, *schema = NULL;
    tg_error_t error;
    if (tg_avro_schema_parse(writer, &ref, &error) != TG_OK)
        return;
    const tg_avro_schema_t *refs[] = {ref};
    if (tg_avro_schema_parse_refs(reader, refs, 1, &schema, &error) == TG_OK) {
        tg_avro_schema_destroy(ref); /* the schema has its own share */
        ref = NULL;
        print_both(schema, 0);
        tg_buf_clear(&prints[0]);
        if (tg_avro_print_resolved(schema, &prints[0]) != TG_OK)
            abort();
        tg_avro_schema_destroy(schema);
        tg_avro_schema_destroy(parse_endless(tg_buf_view(&prints[0])));
    }
    tg_avro_schema_destroy(ref);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *middle = size == 0 ? NULL : memchr(data, '\0', size);
    size_t cut = middle == NULL ? size : (size_t)(middle - data);
    tg_str_t reader_text = {(const char *)data, cut};
    tg_str_t writer_text = {(const char *)data + cut, size - cut};
    if (middle != NULL)
        writer_text = (tg_str_t){writer_text.ptr + 1, writer_text.len - 1};
    for (size_t i = 0; i < 2 && forms[0].max == 0; i++) {
        forms[1 - i] = tg_buf_make(TEXT_MAX);
        prints[1 - i] = tg_buf_make(TEXT_MAX);
    }
    tg_avro_schema_t *reader = parse_endless(reader_text), *writer = parse_endless(writer_text);
    if (reader != NULL) {
        check_print(reader);
        compare(reader, reader);
    }
    if (reader != NULL && writer != NULL) {
        compare(reader, writer);
        compare(writer, reader);
    }
    parse_as_reference(reader_text, writer_text);
    tg_avro_schema_destroy(reader);
    tg_avro_schema_destroy(writer);
    return 0;
}
