/* Bodies of /config and metadata, whatever bytes they hold: no crash, and what is taken has one
 * form that reads back the same. */
#include <stdlib.h>

#include "registry/settings/config.h"
#include "registry/settings/metadata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_metadata(tg_str_t text, tg_arena_t *arena)
{
    tg_error_t error;
    tg_str_t form, again, merged;
    if (tg_metadata_read(text, arena, &form, &error) != TG_OK)
        return;
    if (tg_metadata_read(form, arena, &again, &error) != TG_OK || !tg_str_eq(form, again))
        abort();
    tg_metadata_sources_t sources = {.defaults = form, .given = form, .overrides = form};
    if (tg_metadata_merge(&sources, arena, &merged, &error) != TG_OK)
        abort();
    if (merged.ptr != NULL && !tg_str_eq(merged, form))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static tg_json_parser_t *parser;
    static tg_arena_t *arena;
    if (parser == NULL) {
        parser = tg_json_parser_create(TG_CONFIG_BODY_MAX, TG_CONFIG_BODY_DEPTH);
        arena = tg_arena_create((size_t)16 << 20);
    }
    if (parser == NULL || arena == NULL)
        abort();
    tg_arena_reset(arena);
    tg_str_t body = {(const char *)data, size};
    tg_config_patch_t patch;
    tg_error_t error;
    unsigned code = 0;
    check_metadata(body, arena);
    if (tg_subject_config_read(parser, body, arena, &patch, &code, &error) != TG_OK)
        return 0;
    tg_buf_t out = tg_buf_make((size_t)1 << 20);
    tg_subject_config_write(&patch.values, "compatibility", &out);
    if (out.failed)
        abort();
    tg_buf_dispose(&out);
    return 0;
}
