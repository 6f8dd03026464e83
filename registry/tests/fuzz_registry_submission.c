/* Any body of a registration, and any text as a schema: read and check must neither crash nor grow.
 */
#include "registry/submission.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static tg_json_parser_t *parser;
    static tg_arena_t *arena;
    if (parser == NULL)
        parser = tg_json_parser_create(TG_SUBMISSION_BODY_MAX, TG_SUBMISSION_DEPTH_MAX);
    if (arena == NULL)
        arena = tg_arena_create((size_t)4 << 20);
    tg_arena_reset(arena);
    tg_str_t text = {(const char *)data, size}, schema = text;
    tg_error_t error;
    char print[TG_FINGERPRINT_LEN];
    const tg_str_t subjects[] = {TG_STR("order-value"), TG_STR("any")};
    for (size_t i = 0; i < TG_ARRAY_LEN(subjects); i++) {
        tg_status_t raw = tg_submission_check(subjects[i], text, print, &error);
        tg_status_t read = tg_submission_read(parser, text, arena, &schema, &error);
        if (read == TG_OK)
            read = tg_submission_check(subjects[i], schema, print, &error);
        (void)raw;
        (void)read;
    }
    (void)tg_subject_ok(text);
    return 0;
}
