/* Nodes back to JSON text, and their names for people. One loop: the stack holds only where each
 * open container ends, so depth costs eight bytes a level. */
#include "common/json/json.h"

#include <math.h>

struct open_end {
    uint32_t next;
    char close;
};

void tg_json_write_double(double value, tg_buf_t *out)
{
    if (value == 0 && signbit(value))
        tg_buf_append(out, "-0.0", 4);
    else
        tg_buf_json_double(out, value);
}

static void write_scalar(const tg_json_node_t *node, tg_buf_t *out)
{
    switch (node->type) {
    case TG_JSON_NULL:
        tg_buf_append(out, "null", 4);
        break;
    case TG_JSON_FALSE:
        tg_buf_append(out, "false", 5);
        break;
    case TG_JSON_TRUE:
        tg_buf_append(out, "true", 4);
        break;
    case TG_JSON_INT:
        tg_buf_i64(out, node->value.integer);
        break;
    case TG_JSON_UINT:
        tg_buf_printf(out, "%llu", (unsigned long long)node->value.uinteger);
        break;
    case TG_JSON_DOUBLE:
        tg_json_write_double(node->value.real, out);
        break;
    default:
        assert(node->type == TG_JSON_STRING);
        tg_buf_json_string(out, node->value.text);
    }
}

void tg_json_write(const tg_json_node_t *nodes, size_t index, tg_buf_t *out)
{
    assert(nodes != NULL);
    assert(out != NULL);
    struct open_end stack[TG_JSON_DEPTH_MAX];
    const size_t end = nodes[index].next;
    size_t depth = 0;
    bool first = true;

    for (size_t at = index; at < end || depth > 0;) {
        if (depth > 0 && at == stack[depth - 1].next) {
            tg_buf_byte(out, stack[--depth].close);
            first = false;
            continue;
        }
        const tg_json_node_t *node = &nodes[at];
        if (depth > 0) {
            if (!first)
                tg_buf_byte(out, ',');
            if (stack[depth - 1].close == '}') {
                tg_buf_json_string(out, node->key);
                tg_buf_byte(out, ':');
            }
        }
        first = false;
        if (node->type == TG_JSON_OBJECT || node->type == TG_JSON_ARRAY) {
            assert(depth < TG_JSON_DEPTH_MAX);
            bool object = node->type == TG_JSON_OBJECT;
            stack[depth++] = (struct open_end){node->next, object ? '}' : ']'};
            tg_buf_byte(out, object ? '{' : '[');
            first = true;
        } else {
            write_scalar(node, out);
        }
        at++;
    }
}

const char *tg_json_type_name(tg_json_type_t type)
{
    static const char *const names[] = {
        [TG_JSON_NULL] = "null",     [TG_JSON_FALSE] = "false",  [TG_JSON_TRUE] = "true",
        [TG_JSON_INT] = "integer",   [TG_JSON_UINT] = "integer", [TG_JSON_DOUBLE] = "number",
        [TG_JSON_STRING] = "string", [TG_JSON_ARRAY] = "array",  [TG_JSON_OBJECT] = "object",
    };
    assert((size_t)type < TG_ARRAY_LEN(names));
    return names[type];
}
