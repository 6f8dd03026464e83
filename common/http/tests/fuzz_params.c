/* libFuzzer: any query text against rows of each type; what is accepted must be within its bounds.
 */
#include <stdlib.h>

#include "common/http/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const tg_param_t rows[] = {
    {.name = "n", .type = TG_PARAM_UINT, .min = 1, .max = 5000},
    {.name = "t", .type = TG_PARAM_TIME},
    {.name = "e", .type = TG_PARAM_ENUM, .allowed = "a|bc|d"},
    {.name = "s", .type = TG_PARAM_STR, .min = 1, .max = 64},
    {.name = "b", .type = TG_PARAM_BOOL},
};

static void require(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tg_arena_t *arena = tg_arena_create(1 << 20);
    if (arena == NULL)
        return 0;
    tg_param_value_t values[TG_ARRAY_LEN(rows)];
    tg_str_t name, text, query = {(const char *)data, size};
    tg_error_t error = {.text = ""};
    if (tg_params_parse(rows, TG_ARRAY_LEN(rows), query, arena, values, &name, &error) == TG_OK) {
        require(!values[0].present || (values[0].number >= 1 && values[0].number <= 5000));
        require(!values[2].present || (values[2].number >= 0 && values[2].number <= 2));
        require(!values[3].present || (values[3].text.len >= 1 && values[3].text.len <= 64));
        require(values[4].number == 0 || values[4].number == 1);
    } else {
        require(error.text[0] != '\0');
    }
    if (tg_params_decode(query, size % 2 == 0, arena, &text) == TG_OK)
        require(text.len <= size && tg_str_is_utf8(text) &&
                (text.len == 0 || memchr(text.ptr, '\0', text.len) == NULL));
    tg_arena_destroy(arena);
    return 0;
}
