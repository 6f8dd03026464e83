/* Any bytes: the parser either refuses them with words or gives nodes that can be written and
 * parsed again to the same text. */
#include <stdlib.h>

#include "common/json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tg_json_parser_t *parser;
static tg_buf_t first, second;

static bool parse_and_write(tg_str_t text, tg_buf_t *out)
{
    const tg_json_node_t *nodes;
    size_t count;
    tg_error_t error = {.text = ""};
    tg_buf_clear(out);
    if (tg_json_parse(parser, text, &nodes, &count, &error) != TG_OK) {
        if (error.text[0] == '\0')
            abort();
        return false;
    }
    if (nodes[0].next != count)
        abort();
    tg_json_write(nodes, 0, out);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (parser == NULL) {
        parser = tg_json_parser_create(1 << 20, 32);
        first = second = tg_buf_make(1 << 23);
    }
    if (!parse_and_write((tg_str_t){(const char *)data, size}, &first))
        return 0;
    if (!parse_and_write(tg_buf_view(&first), &second) ||
        !tg_str_eq(tg_buf_view(&first), tg_buf_view(&second)))
        abort();
    return 0;
}
