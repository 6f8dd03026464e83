/* Any JSON as an event of each built-in type and one of a tenant: it is refused with code and
 * words, or it comes back from the Kafka value with the same roles and a payload that is JSON; and
 * sending it again gives the same id wherever the event has a name or a time. */
#include <stdio.h>
#include <stdlib.h>

#include "common/event/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const type_names[] = {"order",   "session",  "stream", "signal",
                                         "reading", "activity", "own"};

static const char own_schema[] =
    "{\"type\":\"record\",\"name\":\"Own\",\"fields\":["
    "{\"name\":\"k\",\"type\":\"string\",\"default\":\"d\",\"role\":\"kind\"},"
    "{\"name\":\"t\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"},\"default\":"
    "0,"
    "\"role\":\"time\"},"
    "{\"name\":\"v\",\"type\":\"float\",\"default\":0,\"role\":\"value\"},"
    "{\"name\":\"a\",\"type\":{\"type\":\"array\",\"items\":[\"null\",\"double\",\"string\",{"
    "\"type\":"
    "\"map\",\"values\":\"int\"},{\"type\":\"record\",\"name\":\"I\",\"fields\":[{\"name\":\"x\","
    "\"type\":[\"int\",\"boolean\"],\"default\":3}]}]},\"default\":[]},"
    "{\"name\":\"j\",\"type\":\"string\",\"format\":\"json\",\"extras\":true,\"default\":\"{}\"}]}";

static tg_event_type_t *types[TG_ARRAY_LEN(type_names)];
static tg_json_parser_t *parser, *payload_parser;
static tg_event_codec_t *codec;
static tg_buf_t out, payload;

static void set_up(void)
{
    tg_error_t error;
    for (size_t i = 0; i < TG_ARRAY_LEN(type_names); i++) {
        char path[64], text[16384];
        tg_str_t schema = TG_STR(own_schema);
        snprintf(path, sizeof(path), "schemas/%s.avsc", type_names[i]);
        FILE *file = fopen(path, "rb");
        if (file != NULL) {
            schema = (tg_str_t){text, fread(text, 1, sizeof(text), file)};
            fclose(file);
        } else if (i + 1 < TG_ARRAY_LEN(type_names)) {
            fprintf(stderr, "%s: run at the repository's root\n", path);
            exit(1);
        }
        if (tg_event_type_compile(tg_str_from(type_names[i]), schema, 1, &types[i], &error) !=
            TG_OK) {
            fprintf(stderr, "%s\n", error.text);
            abort();
        }
    }
    parser = tg_json_parser_create(TG_EVENT_BYTES_MAX, TG_EVENT_DEPTH_MAX);
    payload_parser = tg_json_parser_create(TG_EVENT_BYTES_MAX * 16, TG_EVENT_DEPTH_MAX + 2);
    codec = tg_event_codec_create();
    out = payload = tg_buf_make(TG_EVENT_BYTES_MAX * 16);
}

static bool same_role(const tg_event_t *a, const tg_event_t *b)
{
    return tg_str_eq(a->kind, b->kind) && tg_str_eq(a->entity, b->entity) &&
           tg_str_eq(a->user, b->user) && a->has_value == b->has_value &&
           (!a->has_value || a->value == b->value);
}

static void check(const tg_event_type_t *type, const tg_json_node_t *nodes)
{
    tg_event_rules_t rules = {.tenant = TG_STR("demo"),
                              .now = INT64_C(1770112810) * TG_US_PER_SECOND,
                              .max_ahead_us = 10 * TG_US_PER_MINUTE,
                              .horizon_us = INT64_C(30000) * TG_US_PER_DAY,
                              .clamp_ahead = true};
    tg_event_t event, again, stored = {0};
    tg_event_error_t why = {.code = NULL};
    tg_error_t error;
    const tg_json_node_t *payload_nodes;
    size_t count;
    tg_buf_clear(&out);
    tg_buf_clear(&payload);
    if (tg_event_encode(codec, type, &rules, nodes, 0, &out, &event, &why) != TG_OK) {
        if (why.code == NULL || why.message[0] == '\0' || out.len != 0)
            abort();
        return;
    }
    size_t len = out.len;
    if (tg_event_encode(codec, type, &rules, nodes, 0, &out, &again, &why) != TG_OK ||
        out.len != 2 * len || memcmp(out.data, out.data + len, len) != 0)
        abort();
    if ((!event.time_own || event.id.bytes[6] >> 4 == 5) &&
        memcmp(&event.id, &again.id, sizeof(event.id)) != 0)
        abort();
    if (tg_event_decode(codec, type, (tg_str_t){out.data, len}, &stored, &payload, &error) !=
        TG_OK) {
        fprintf(stderr, "%s\n", error.text);
        abort();
    }
    if (!same_role(&event, &stored))
        abort();
    if (tg_json_parse(payload_parser, tg_buf_view(&payload), &payload_nodes, &count, &error) !=
        TG_OK)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const tg_json_node_t *nodes;
    size_t count;
    if (parser == NULL)
        set_up();
    if (tg_json_parse(parser, (tg_str_t){(const char *)data, size}, &nodes, &count, NULL) != TG_OK)
        return 0;
    for (size_t i = 0; i < TG_ARRAY_LEN(types); i++)
        check(types[i], nodes);
    return 0;
}
