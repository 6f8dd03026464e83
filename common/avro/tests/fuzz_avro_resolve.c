/* Any bytes as a value of one schema, read by another: what resolves is a value of the reader, and
 * what the writer's schema can't decode doesn't resolve. The first two bytes pick the schemas. */
#include <stdio.h>

#include "common/avro/resolve.h"
#include "common/avro/tests/fuzz_schemas.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tg_avro_schema_t *schemas[FUZZ_SCHEMAS];
static tg_avro_plan_t *plans[FUZZ_SCHEMAS][FUZZ_SCHEMAS]; /* NULL: can't read any value */
static tg_avro_codec_t *codec;
static tg_buf_t bytes, json;

static void set_up(void)
{
    tg_error_t error;
    fuzz_parse_schemas(schemas);
    for (size_t i = 0; i < FUZZ_SCHEMAS; i++) {
        for (size_t j = 0; j < FUZZ_SCHEMAS; j++) {
            if (tg_avro_plan_create(tg_avro_schema_root(schemas[i]),
                                    tg_avro_schema_root(schemas[j]), &plans[i][j], &error) != TG_OK)
                plans[i][j] = NULL;
        }
    }
    codec = tg_avro_codec_create();
    bytes = json = tg_buf_make(1 << 22);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tg_avro_error_t why;
    if (codec == NULL)
        set_up();
    if (size < 2)
        return 0;
    size_t writer = data[0] % FUZZ_SCHEMAS, reader = data[1] % FUZZ_SCHEMAS;
    const tg_avro_plan_t *plan = plans[writer][reader];
    tg_str_t value = {(const char *)data + 2, size - 2};
    tg_buf_clear(&bytes);
    tg_buf_clear(&json);
    if (plan == NULL || tg_avro_resolve(codec, plan, value, 0, &bytes, &why) != TG_OK)
        return 0;
    if (tg_avro_decode(tg_avro_schema_root(schemas[writer]), value, TG_AVRO_STRICT_JSON, &json,
                       &why) == TG_INVALID)
        goto wrong;
    tg_buf_clear(&json);
    if (tg_avro_decode(tg_avro_plan_reader(plan), tg_buf_view(&bytes), TG_AVRO_STRICT_JSON, &json,
                       &why) == TG_INVALID)
        goto wrong;
    if (tg_avro_plan_is_copy(plan) && !tg_str_eq(value, tg_buf_view(&bytes)))
        goto wrong;
    return 0;

wrong:
    fprintf(stderr, "%zu read by %zu: %s %s at %zu\n", writer, reader, why.path, why.message,
            why.offset);
    abort();
}
