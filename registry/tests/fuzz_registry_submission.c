/* Any body of a registration, and any text as a schema: reading, checking and identifying must
 * neither crash nor grow, and a print must read as the schema that it is of. */
#include "registry/submission.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The identity of the schema in `text`; false when it is none. */
static bool identify(tg_str_t text, tg_buf_t *printed, tg_identity_t *identity)
{
    tg_avro_schema_t *schema = NULL;
    tg_error_t error;
    bool is_type = false;
    if (tg_submission_parse(text, NULL, &schema, &error) != TG_OK)
        return false;
    tg_status_t checked = tg_submission_check_type(TG_STR("order-value"), schema, &is_type, &error);
    (void)checked;
    bool good = tg_submission_identify(schema, false, NULL, (tg_str_t){NULL, 0}, printed,
                                       identity) == TG_OK;
    tg_avro_schema_destroy(schema);
    return good;
}

static void check_schema(tg_str_t text)
{
    tg_identity_t first, second;
    tg_buf_t once = tg_buf_make((size_t)4 << 20), twice = tg_buf_make((size_t)4 << 20);
    if (identify(text, &once, &first) && once.len <= TG_AVRO_SCHEMA_BYTES_MAX) {
        bool again = identify(tg_buf_view(&once), &twice, &second);
        assert(again);
        assert(memcmp(&first, &second, sizeof(first)) == 0);
    }
    tg_buf_dispose(&once);
    tg_buf_dispose(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static tg_json_parser_t *parser;
    static tg_arena_t *arena;
    static const tg_viewer_t viewers[] = {{.tenant = true, .own = {"acme", 4}},
                                          {.tenant = false, .own = {"", 0}}};
    if (parser == NULL)
        parser = tg_json_parser_create((size_t)1 << 20, TG_SUBMISSION_DEPTH_MAX);
    if (arena == NULL)
        arena = tg_arena_create((size_t)4 << 20);
    tg_arena_reset(arena);
    tg_str_t text = {(const char *)data, size};
    tg_submission_t body;
    tg_error_t error;
    check_schema(text);
    for (size_t i = 0; i < TG_ARRAY_LEN(viewers); i++) {
        if (tg_submission_read(parser, text, &viewers[i], viewers[i].own, arena, &body, &error) ==
            TG_OK)
            check_schema(body.schema);
    }
    return 0;
}
