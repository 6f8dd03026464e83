/* Any text as a schema; what is taken must also compile to an event type or be refused with words,
 * and must survive decoding a few fixed bytes. */
#include <stdlib.h>

#include "common/avro/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tg_buf_t json;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char bytes[64] = {2, 4, 2, 'a', 0, 2, 2, 1, 0, 6, 'x', 'y', 'z'};
    tg_avro_schema_t *schema = NULL;
    tg_error_t error = {.text = ""};
    tg_avro_error_t why;
    tg_str_t text = {(const char *)data, size};
    if (json.max == 0)
        json = tg_buf_make(1 << 20);
    if (tg_avro_schema_parse(text, &schema, &error) != TG_OK) {
        if (error.text[0] == '\0' || schema != NULL)
            abort();
        return 0;
    }
    for (size_t len = 0; len <= sizeof(bytes); len += 8) {
        tg_buf_clear(&json);
        tg_status_t status =
            tg_avro_decode(tg_avro_schema_root(schema), (tg_str_t){bytes, len}, 0, &json, &why);
        (void)status;
    }
    tg_avro_schema_destroy(schema);
    return 0;
}
