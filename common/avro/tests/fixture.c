#include "common/avro/tests/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

int open_fixture(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->parser = tg_json_parser_create(1 << 20, 256);
    f->codec = tg_avro_codec_create();
    f->bytes = f->json = tg_buf_make(1 << 20);
    *state = f;
    return f->parser == NULL || f->codec == NULL;
}

int close_fixture(void **state)
{
    struct fixture *f = *state;
    tg_json_parser_destroy(f->parser);
    tg_avro_codec_destroy(f->codec);
    tg_buf_dispose(&f->bytes);
    tg_buf_dispose(&f->json);
    free(f);
    return 0;
}

tg_avro_schema_t *parse_schema(const char *text)
{
    tg_avro_schema_t *schema = NULL;
    tg_error_t error = {0};
    if (tg_avro_schema_parse(tg_str_from(text), &schema, &error) != TG_OK)
        fail_msg("%s: %s", text, error.text);
    return schema;
}
