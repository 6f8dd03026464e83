/* Error texts of the codec: where in the value, and what came. */
#include <stdio.h>

#include "common/avro/codec.h"

#define SHOWN_TEXT_MAX 48 /* bytes of a client's text that a message repeats */

/* Cuts at most `max` bytes without splitting a UTF-8 sequence. */
static tg_str_t cut(tg_str_t text, size_t max)
{
    if (text.len <= max)
        return text;
    while (max > 0 && ((unsigned char)text.ptr[max] & 0xc0) == 0x80)
        max--;
    return (tg_str_t){text.ptr, max};
}

void tg_avro_error_within(tg_avro_error_t *error, tg_str_t name, size_t index)
{
    char path[sizeof(error->path) + 96], step[80];
    assert(error != NULL);
    tg_str_t shown = cut(name, 64);
    if (name.ptr != NULL)
        snprintf(step, sizeof(step), TG_STR_FMT, TG_STR_ARG(shown));
    else
        snprintf(step, sizeof(step), "[%zu]", index);
    bool dot = error->path[0] != '\0' && error->path[0] != '[';
    snprintf(path, sizeof(path), "%s%s%s", step, dot ? "." : "", error->path);
    tg_str_t whole = cut(tg_str_from(path), sizeof(error->path) - 1);
    memcpy(error->path, whole.ptr, whole.len);
    error->path[whole.len] = '\0';
}

/* As short as it reads back: "1.005", not what a double makes of it. */
static void describe_double(const char *name, double value, char *out, size_t size)
{
    char memory[64];
    tg_buf_t text = {.data = memory, .cap = sizeof(memory), .max = sizeof(memory)};
    tg_json_write_double(value, &text);
    snprintf(out, size, "%s " TG_STR_FMT, name, TG_STR_ARG(tg_buf_view(&text)));
}

void tg_avro_describe(const tg_json_node_t *node, char *out, size_t size)
{
    const char *name = tg_json_type_name(node->type);
    tg_str_t text =
        node->type == TG_JSON_STRING ? cut(node->value.text, SHOWN_TEXT_MAX) : (tg_str_t){NULL, 0};
    switch (node->type) {
    case TG_JSON_STRING:
        snprintf(out, size, "string \"" TG_STR_FMT "%s\"", TG_STR_ARG(text),
                 text.len < node->value.text.len ? "…" : "");
        break;
    case TG_JSON_INT:
        snprintf(out, size, "%s %lld", name, (long long)node->value.integer);
        break;
    case TG_JSON_UINT:
        snprintf(out, size, "%s %llu", name, (unsigned long long)node->value.uinteger);
        break;
    case TG_JSON_DOUBLE:
        describe_double(name, node->value.real, out, size);
        break;
    case TG_JSON_ARRAY:
    case TG_JSON_OBJECT:
        snprintf(out, size, "%s of %u", name, (unsigned)node->count);
        break;
    default:
        snprintf(out, size, "%s", name);
    }
}
