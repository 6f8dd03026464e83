/* Any body of POST /emit: refused with a reason, or one JSON object that says what the entry says.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/json/json.h"
#include "loadtest/simulator/emit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static tg_emitter_t *emitter;
    static tg_json_parser_t *parser;
    if (emitter == NULL) {
        emitter = tg_emitter_create(1);
        parser = tg_json_parser_create(2 * TG_EMIT_BODY_MAX, 64);
    }
    tg_buf_t body = tg_buf_make(2 * TG_EMIT_BODY_MAX);
    tg_ledger_entry_t entry;
    tg_error_t error = {.status = TG_OK};
    const tg_json_node_t *nodes = NULL;
    size_t count = 0;
    tg_status_t status =
        tg_emitter_make(emitter, (tg_str_t){(const char *)data, size}, 0, &body, &entry, &error);
    if (status == TG_OK && (tg_json_parse(parser, entry.event, &nodes, &count, NULL) != TG_OK ||
                            nodes[0].type != TG_JSON_OBJECT || entry.type.len == 0))
        abort();
    if (status != TG_OK && error.text[0] == '\0')
        abort();
    tg_buf_dispose(&body);
    return 0;
}
