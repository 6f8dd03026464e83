/* The codec as the tests of events use it: from JSON to Kafka value and back. */
#include "common/event/tests/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

int open_fixture(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->parser = tg_json_parser_create(TG_EVENT_BYTES_MAX, TG_EVENT_DEPTH_MAX);
    f->codec = tg_event_codec_create();
    f->out = f->payload = tg_buf_make(1 << 20);
    *state = f;
    return f->parser == NULL || f->codec == NULL;
}

int set_rules(void **state)
{
    struct fixture *f = *state;
    f->rules = (tg_event_rules_t){.tenant = TG_STR("demo"),
                                  .now = NOW,
                                  .max_ahead_us = 10 * TG_US_PER_MINUTE,
                                  .horizon_us = 400 * TG_US_PER_DAY};
    return 0;
}

int close_fixture(void **state)
{
    struct fixture *f = *state;
    tg_json_parser_destroy(f->parser);
    tg_event_codec_destroy(f->codec);
    tg_buf_dispose(&f->out);
    tg_buf_dispose(&f->payload);
    free(f);
    return 0;
}

tg_event_type_t *compile(const char *name, tg_str_t schema)
{
    tg_event_type_t *type = NULL;
    tg_error_t error = {0};
    if (tg_event_type_compile(tg_str_from(name), schema, 7, &type, &error) != TG_OK)
        fail_msg("%s: %s", name, error.text);
    return type;
}

tg_event_type_t *builtin(const char *name)
{
    char path[64], text[16384];
    snprintf(path, sizeof(path), "schemas/%s.avsc", name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("%s: run at the repository's root", path);
    size_t len = fread(text, 1, sizeof(text), file);
    fclose(file);
    return compile(name, (tg_str_t){text, len});
}

tg_status_t encode(struct fixture *f, const tg_event_type_t *type, tg_str_t json)
{
    const tg_json_node_t *nodes;
    size_t count;
    tg_error_t why = {0};
    if (tg_json_parse(f->parser, json, &nodes, &count, &why) != TG_OK)
        fail_msg("%s: %s", json.ptr, why.text);
    tg_buf_clear(&f->out);
    memset(&f->error, 0, sizeof(f->error));
    return tg_event_encode(f->codec, type, &f->rules, nodes, 0, &f->out, &f->event, &f->error);
}

void pass(struct fixture *f, const tg_event_type_t *type, const char *json)
{
    tg_error_t why = {0};
    if (encode(f, type, tg_str_from(json)) != TG_OK)
        fail_msg("%s: %s %s", json, f->error.code, f->error.message);
    tg_buf_clear(&f->payload);
    f->stored = f->event;
    if (tg_event_decode(f->codec, type, tg_buf_view(&f->out), &f->stored, &f->payload, &why) !=
        TG_OK)
        fail_msg("%s: %s", json, why.text);
    assert_true(tg_str_eq(f->event.kind, f->stored.kind));
    assert_true(tg_str_eq(f->event.entity, f->stored.entity));
    assert_true(tg_str_eq(f->event.user, f->stored.user));
    assert_int_equal(f->event.has_value, f->stored.has_value);
    assert_true(f->event.value == f->stored.value);
}

void assert_text(tg_str_t text, const char *wanted)
{
    if (!tg_str_eq(text, tg_str_from(wanted)))
        fail_msg("\"%.*s\" is not \"%s\"", (int)text.len, text.ptr, wanted);
}

void assert_payload(struct fixture *f, const char *wanted)
{
    assert_text(tg_buf_view(&f->payload), wanted);
}

void assert_id(const tg_event_t *event, const char *wanted)
{
    char text[TG_UUID_TEXT_LEN + 1] = {0};
    tg_uuid_format(&event->id, text);
    assert_string_equal(text, wanted);
}

tg_uuid_t id_of(struct fixture *f, const tg_event_type_t *type, const char *json)
{
    pass(f, type, json);
    return f->event.id;
}

bool same_id(tg_uuid_t a, tg_uuid_t b)
{
    return memcmp(a.bytes, b.bytes, sizeof(a.bytes)) == 0;
}
