/* Any JSON as a structured event and any text as ce-* headers: no crash, and what is accepted keeps
 * to the limits. */
#include "ingestion/body/cloudevent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const tg_cloudevent_t *event)
{
    assert(event->id.len > 0 && event->id.len <= TG_EVENT_TEXT_MAX);
    assert(event->source.len > 0 && event->source.len <= TG_CLOUDEVENT_TEXT_MAX);
    assert(event->type.len > 0);
    assert(memchr(event->id.ptr, '\0', event->id.len) == NULL);
}

static void try_json(tg_str_t text)
{
    static tg_json_parser_t *parser;
    const tg_json_node_t *nodes;
    size_t count;
    tg_error_t why;
    tg_event_error_t error;
    tg_cloudevent_t event;
    if (parser == NULL)
        parser = tg_json_parser_create(1 << 16, 33);
    if (text.len > 1 << 16 || tg_json_parse(parser, text, &nodes, &count, &why) != TG_OK ||
        tg_cloudevent_read(nodes, &event, &error) != TG_OK)
        return;
    check(&event);
    assert((event.data != 0) != (event.base64.len > 0));
    tg_buf_t out = tg_buf_make(1 << 16);
    if (event.base64.len > 0 && tg_cloudevent_decode_base64(event.base64, &out) == TG_OK)
        assert(out.len <= event.base64.len / 4 * 3);
    tg_buf_dispose(&out);
}

/* The input's n-th line is the value of the n-th header that is asked for. */
struct lines {
    tg_str_t rest;
};

static tg_str_t next_line(void *arg, const char *name)
{
    struct lines *lines = arg;
    (void)name;
    const char *end = lines->rest.len == 0 ? NULL : memchr(lines->rest.ptr, '\n', lines->rest.len);
    if (end == NULL)
        return (tg_str_t){NULL, 0};
    tg_str_t line = {lines->rest.ptr, (size_t)(end - lines->rest.ptr)};
    lines->rest.ptr += line.len + 1;
    lines->rest.len -= line.len + 1;
    return line;
}

static void try_headers(tg_str_t text)
{
    struct lines lines = {text};
    tg_event_error_t error;
    tg_cloudevent_t event;
    tg_buf_t texts = tg_buf_make(1 << 16);
    if (tg_cloudevent_read_headers(next_line, &lines, &texts, &event, &error) == TG_OK)
        check(&event);
    tg_buf_dispose(&texts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tg_str_t text = {(const char *)data, size};
    try_json(text);
    try_headers(text);
    return 0;
}
