/* Events of the built-in types from JSON to Kafka value and back, by the rules that decide what an
 * event is; and everything that must be refused, with its code, field and words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/event/event.h"

#define NOW (INT64_C(1770112810) * TG_US_PER_SECOND) /* 2026-02-03T10:00:10Z */

struct fixture {
    tg_json_parser_t *parser;
    tg_event_codec_t *codec;
    tg_event_rules_t rules;
    tg_buf_t out, payload;
    tg_event_t event, stored;
    tg_event_error_t error;
};

static int open_fixture(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->parser = tg_json_parser_create(TG_EVENT_BYTES_MAX, TG_EVENT_DEPTH_MAX);
    f->codec = tg_event_codec_create();
    f->out = f->payload = tg_buf_make(1 << 20);
    *state = f;
    return f->parser == NULL || f->codec == NULL;
}

static int set_rules(void **state)
{
    struct fixture *f = *state;
    f->rules = (tg_event_rules_t){.tenant = TG_STR("demo"),
                                  .now = NOW,
                                  .max_ahead_us = 10 * TG_US_PER_MINUTE,
                                  .horizon_us = 400 * TG_US_PER_DAY};
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    tg_json_parser_destroy(f->parser);
    tg_event_codec_destroy(f->codec);
    tg_buf_dispose(&f->out);
    tg_buf_dispose(&f->payload);
    free(f);
    return 0;
}

static tg_event_type_t *compile(const char *name, tg_str_t schema)
{
    tg_event_type_t *type = NULL;
    tg_error_t error = {0};
    if (tg_event_type_compile(tg_str_from(name), schema, 7, &type, &error) != TG_OK)
        fail_msg("%s: %s", name, error.text);
    return type;
}

static tg_event_type_t *builtin(const char *name)
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

static tg_status_t encode(struct fixture *f, const tg_event_type_t *type, tg_str_t json)
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

/* Through the codec and back; the texts of f->event live in the parser until the next call. */
static void pass(struct fixture *f, const tg_event_type_t *type, const char *json)
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

static void assert_text(tg_str_t text, const char *wanted)
{
    if (!tg_str_eq(text, tg_str_from(wanted)))
        fail_msg("\"%.*s\" is not \"%s\"", (int)text.len, text.ptr, wanted);
}

static void assert_payload(struct fixture *f, const char *wanted)
{
    assert_text(tg_buf_view(&f->payload), wanted);
}

static void assert_id(const tg_event_t *event, const char *wanted)
{
    char text[TG_UUID_TEXT_LEN + 1] = {0};
    tg_uuid_format(&event->id, text);
    assert_string_equal(text, wanted);
}

static tg_uuid_t id_of(struct fixture *f, const tg_event_type_t *type, const char *json)
{
    pass(f, type, json);
    return f->event.id;
}

static bool same_id(tg_uuid_t a, tg_uuid_t b)
{
    return memcmp(a.bytes, b.bytes, sizeof(a.bytes)) == 0;
}

/* --- the built-in types --- */

static void the_documented_bodies_are_stored_by_their_roles(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *type, *json, *kind, *entity, *user, *payload;
        bool has_value;
        double value;
    } rows[] = {
        {"order",
         "{\"order_id\":\"o-1\",\"customer_id\":\"c-1\",\"amount\":120.5,\"currency\":\"USD\","
         "\"channel\":\"web\",\"event_time\":\"2026-02-03T10:00:00Z\"}",
         "USD", "web", "c-1", "{\"order_id\":\"o-1\"}", true, 120.5},
        {"session",
         "{\"session_id\":\"s-1\",\"event_type\":\"view\",\"channel\":\"web\","
         "\"event_time\":\"2026-02-03T10:00:05Z\"}",
         "view", "web", "s-1", "{}", false, 0},
        {"stream",
         "{\"event_id\":\"manual-donation-1\",\"ts\":\"2025-12-20T18:34:38.300308+00:00\","
         "\"event_type\":\"donation\",\"stream_id\":\"stream_1001\",\"user_id\":\"user_999\","
         "\"amount_usd\":25.0}",
         "donation", "stream_1001", "user_999", "{\"event_id\":\"manual-donation-1\"}", true, 25},
        {"signal",
         "{\"id\":\"F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6\",\"user_id\":\"u-1\",\"source\":\"api\","
         "\"type\":\"click\",\"event_ts\":\"2026-02-03T10:00:00Z\",\"payload\":{\"data\":"
         "\"sample_data_42\",\"n\":[1,{\"x\":null}]}}",
         "click", "api", "u-1",
         "{\"payload\":{\"data\":\"sample_data_42\",\"n\":[1,{\"x\":null}]}}", false, 0},
        {"reading",
         "{\"device_id\":\"d-1\",\"metric\":\"temperature\",\"value\":21,\"unit\":\"C\","
         "\"ts\":1770112800}",
         "temperature", "d-1", "", "{\"unit\":\"C\"}", true, 21},
        {"activity",
         "{\"user_id\":\"u-1\",\"event_type\":\"page_view\",\"page\":\"/home\","
         "\"ts\":\"2026-02-03T10:00:00Z\"}",
         "page_view", "/home", "u-1", "{}", false, 0},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        tg_event_type_t *type = builtin(rows[i].type);
        pass(f, type, rows[i].json);
        assert_text(f->stored.tenant, "demo");
        assert_text(f->stored.type, rows[i].type);
        assert_text(f->stored.kind, rows[i].kind);
        assert_text(f->stored.entity, rows[i].entity);
        assert_text(f->stored.user, rows[i].user);
        assert_int_equal(f->stored.has_value, rows[i].has_value);
        assert_true(f->stored.value == rows[i].value);
        assert_payload(f, rows[i].payload);
        assert_false(f->event.time_own);
        assert_int_equal(f->event.received_at, NOW);
        tg_event_type_unref(type);
    }
}

static void only_id_time_and_the_optional_fields_may_be_absent(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *type, *json;
    } rows[] = {
        {"order", "{\"customer_id\":\"c\",\"amount\":1,\"currency\":\"USD\",\"channel\":\"web\"}"},
        {"session", "{\"session_id\":\"s\",\"event_type\":\"purchase\",\"channel\":\"web\"}"},
        {"stream", "{\"event_type\":\"viewer_join\",\"stream_id\":\"s\",\"user_id\":\"u\"}"},
        {"signal", "{\"user_id\":\"u\",\"source\":\"web\",\"type\":\"t\"}"},
        {"reading", "{\"device_id\":\"d\",\"metric\":\"m\",\"value\":1}"},
        {"activity", "{\"user_id\":\"u\",\"event_type\":\"click\",\"page\":\"/\"}"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        tg_event_type_t *type = builtin(rows[i].type);
        pass(f, type, rows[i].json);
        assert_true(f->event.time_own);
        assert_int_equal(f->event.occurred_at, NOW);
        assert_payload(f, "{}");
        assert_int_equal(f->event.id.bytes[6] >> 4, 7);
        assert_int_equal(encode(f, type, TG_STR("{}")), TG_INVALID);
        assert_string_equal(f->error.code, "missing_field");
        assert_true(f->error.field[0] != '\0');
        tg_event_type_unref(type);
    }
}

static void a_stream_has_its_running_state(void **state)
{
    (void)state;
    tg_event_type_t *type = builtin("stream");
    assert_text(tg_event_type_state(type), "active_viewers");
    assert_int_equal(tg_event_type_delta(type, TG_STR("viewer_join")), 1);
    assert_int_equal(tg_event_type_delta(type, TG_STR("viewer_leave")), -1);
    assert_int_equal(tg_event_type_delta(type, TG_STR("donation")), 0);
    assert_text(tg_event_type_name(type), "stream");
    assert_int_equal(tg_event_type_schema_id(type), 7);
    tg_event_type_unref(tg_event_type_ref(type));
    tg_event_type_unref(type);
    tg_event_type_unref(NULL);
}

static void the_value_begins_with_the_wire_format(void **state)
{
    struct fixture *f = *state;
    tg_event_type_t *type = builtin("session");
    uint32_t id = 0;
    pass(f, type, "{\"session_id\":\"s\",\"event_type\":\"checkout\",\"channel\":\"w\"}");
    assert_int_equal(tg_event_wire_schema_id(tg_buf_view(&f->out), &id), TG_OK);
    assert_int_equal(id, 7);
    assert_int_equal(f->out.len, 11);
    assert_memory_equal(f->out.data, "\0\0\0\0\x07\x02s\x02\x02w\0", 11);
    assert_int_equal(tg_event_wire_schema_id(TG_STR("\0\0\0\0"), &id), TG_INVALID);
    assert_int_equal(tg_event_wire_schema_id(TG_STR("\1\0\0\0\7"), &id), TG_INVALID);
    assert_int_equal(tg_event_wire_schema_id(TG_STR("\0\1\2\3\4"), &id), TG_OK);
    assert_int_equal(id, 0x01020304);
    tg_event_type_unref(type);
}

static void the_key_joins_tenant_type_kind_and_entity(void **state)
{
    struct fixture *f = *state;
    tg_event_type_t *type = builtin("reading");
    tg_buf_t key = tg_buf_make(1024);
    pass(f, type, "{\"device_id\":\"d\",\"metric\":\"m\",\"value\":1}");
    tg_event_key(&f->event, &key);
    assert_text(tg_buf_view(&key), "demo/reading/m/d");
    tg_buf_dispose(&key);
    tg_event_type_unref(type);
}

/* --- identity --- */

#define ORDER(rest)                                                                                \
    "{\"customer_id\":\"c\",\"amount\":1,\"currency\":\"USD\",\"channel\":\"web\"" rest "}"

static void a_given_uuid_is_the_id_and_other_text_is_hashed(void **state)
{
    struct fixture *f = *state;
    tg_event_type_t *type = builtin("order");
    pass(f, type, ORDER(",\"order_id\":\"F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6\""));
    assert_id(&f->event, "f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
    assert_payload(f, "{}");
    /* uuid5(552b7fce-dcd6-5341-9faa-2ebcabf3a695, "demo/order/o-1") */
    pass(f, type, ORDER(",\"order_id\":\"o-1\""));
    assert_id(&f->event, "a3b004c6-fa28-53e8-9f96-112d5de33a16");
    assert_payload(f, "{\"order_id\":\"o-1\"}");
    static const char *const others[] = {"other", "dem2", "dem"};
    tg_uuid_t id = f->event.id;
    for (size_t i = 0; i < TG_ARRAY_LEN(others); i++) {
        f->rules.tenant = tg_str_from(others[i]);
        assert_false(same_id(id, id_of(f, type, ORDER(",\"order_id\":\"o-1\""))));
    }
    f->rules.tenant = TG_STR("demo");
    assert_true(same_id(id, id_of(f, type, ORDER(",\"order_id\":\"o-1\""))));
    tg_event_type_unref(type);
}

static void an_event_with_a_time_but_no_id_is_named_by_its_content(void **state)
{
    struct fixture *f = *state;
    tg_event_type_t *type = builtin("reading");
    pass(f, type,
         "{\"device_id\":\"d\",\"metric\":\"m\",\"value\":21,\"ts\":\"2026-02-03T10:00:00Z\"}");
    /* uuid5(namespace,
     * 'demo/reading/{"device_id":"d","metric":"m","ts":1770112800000000,"value":21}') */
    assert_id(&f->event, "b6d9822e-04a3-5f4a-a198-6177bd2cd996");
    tg_uuid_t id = f->event.id;
    static const char *const same[] = {
        "{\"value\":21.0,\"ts\":1770112800,\"metric\":\"m\",\"device_id\":\"d\"}",
        "{\"device_id\":\"d\",\"metric\":\"m\",\"value\":2.1e1,\"unit\":null,"
        "\"ts\":\"2026-02-03T12:00:00.000+02:00\"}",
    };
    static const char *const other[] = {
        "{\"device_id\":\"d\",\"metric\":\"m\",\"value\":21,\"ts\":\"2026-02-03T10:00:00."
        "000001Z\"}",
        "{\"device_id\":\"d\",\"metric\":\"m\",\"value\":22,\"ts\":\"2026-02-03T10:00:00Z\"}",
        "{\"device_id\":\"d\",\"metric\":\"m\",\"value\":21,\"unit\":\"\",\"ts\":"
        "\"2026-02-03T10:00:00Z\"}",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(same); i++)
        assert_true(same_id(id, id_of(f, type, same[i])));
    for (size_t i = 0; i < TG_ARRAY_LEN(other); i++)
        assert_false(same_id(id, id_of(f, type, other[i])));
    tg_event_type_unref(type);
}

#define SIGNAL(rest)                                                                               \
    "{\"user_id\":\"u\",\"source\":\"web\",\"type\":\"t\",\"event_ts\":1770112800" rest "}"

static void free_form_content_is_named_whatever_its_order(void **state)
{
    struct fixture *f = *state;
    tg_event_type_t *type = builtin("signal");
    tg_uuid_t id = id_of(f, type, SIGNAL(",\"payload\":{\"b\":{\"y\":1,\"x\":[2,{}]},\"a\":1.0}"));
    static const char *const same[] = {
        SIGNAL(",\"payload\":{\"a\":1,\"b\":{\"x\":[2.0,{}],\"y\":1}}"),
        SIGNAL(",\"a\":1,\"b\":{\"x\":[2,{}],\"y\":1}"),
        SIGNAL(",\"b\":{\"x\":[2,{}],\"y\":1},\"payload\":{\"a\":1}"),
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(same); i++)
        assert_true(same_id(id, id_of(f, type, same[i])));
    assert_false(same_id(id, id_of(f, type, SIGNAL(",\"payload\":{\"a\":1}"))));
    assert_true(same_id(id_of(f, type, SIGNAL("")), id_of(f, type, SIGNAL(",\"payload\":null"))));
    tg_event_type_unref(type);
}

static void without_id_and_time_the_idempotency_key_names_the_event(void **state)
{
    struct fixture *f = *state;
    tg_event_type_t *type = builtin("order");
    tg_uuid_t first = id_of(f, type, ORDER(""));
    assert_false(same_id(first, id_of(f, type, ORDER(""))));
    assert_int_equal(first.bytes[6] >> 4, 7);
    f->rules.idempotency_key = TG_STR("key-1");
    f->rules.index = 3;
    pass(f, type, ORDER(""));
    /* uuid5(namespace, "demo/order/key-1/3") */
    assert_id(&f->event, "07cc702e-dad8-5426-97e9-4aea5640fe51");
    tg_uuid_t keyed = f->event.id;
    assert_true(same_id(keyed, id_of(f, type, ORDER(""))));
    f->rules.index = 4;
    assert_false(same_id(keyed, id_of(f, type, ORDER(""))));
    pass(f, type, ORDER(",\"order_id\":\"o-1\""));
    assert_id(&f->event, "a3b004c6-fa28-53e8-9f96-112d5de33a16");
    tg_event_type_unref(type);
}

/* --- what an envelope gives --- */

static void an_envelopes_id_and_time_count_where_the_event_is_silent(void **state)
{
    struct fixture *f = *state;
    tg_event_type_t *type = builtin("order");
    f->rules.idempotency_key = TG_STR("key-1");
    f->rules.given =
        (tg_event_given_t){TG_STR("o-1"), TG_STR("/shop/1"), TG_STR("2026-02-03T12:00:00+02:00")};
    pass(f, type, ORDER(""));
    /* uuid5(namespace, "demo/order//shop/1\0o-1") */
    assert_id(&f->event, "a2619d3c-7339-58a1-9108-7ee8f84132cc");
    assert_payload(f, "{\"order_id\":\"o-1\"}");
    assert_true(f->event.occurred_at == NOW - 10 * TG_US_PER_SECOND);
    assert_false(f->event.time_own);
    tg_uuid_t named = f->event.id;
    assert_true(same_id(named, id_of(f, type, ORDER(",\"order_id\":null"))));
    f->rules.given.source = TG_STR("/shop/2");
    assert_false(same_id(named, id_of(f, type, ORDER(""))));
    f->rules.given.id = TG_STR("7b1e2f9c-5d5e-4c63-9a9b-1a2b3c4d5e6f");
    pass(f, type, ORDER(""));
    assert_id(&f->event, "7b1e2f9c-5d5e-4c63-9a9b-1a2b3c4d5e6f");

    pass(f, type, ORDER(",\"order_id\":\"o-1\",\"event_time\":\"2026-02-03T10:00:01Z\""));
    assert_id(&f->event, "a3b004c6-fa28-53e8-9f96-112d5de33a16"); /* its own, without a source */
    assert_true(f->event.occurred_at == NOW - 9 * TG_US_PER_SECOND);
    tg_event_type_unref(type);
}

/* --- time --- */

static void times_keep_to_their_bounds(void **state)
{
    struct fixture *f = *state;
    tg_event_type_t *type = builtin("order");
    pass(f, type, ORDER(",\"event_time\":\"2026-02-03T10:10:10Z\""));
    assert_int_equal(f->event.occurred_at, NOW + 10 * TG_US_PER_MINUTE);
    assert_int_equal(encode(f, type,
                            TG_STR(ORDER(",\"event_time\":\"2026-02-03T10:10:10.000001Z\""))),
                     TG_INVALID);
    assert_string_equal(f->error.code, "too_far_ahead");
    assert_string_equal(f->error.field, "event_time");
    f->rules.clamp_ahead = true;
    pass(f, type, ORDER(",\"event_time\":\"2026-02-03T10:10:10.000001Z\""));
    assert_int_equal(f->event.occurred_at, NOW);
    assert_true(f->event.time_own);
    pass(f, type, ORDER(",\"event_time\":\"2024-12-30T10:00:10Z\""));
    assert_int_equal(f->event.occurred_at, NOW - 400 * TG_US_PER_DAY);
    assert_int_equal(encode(f, type,
                            TG_STR(ORDER(",\"event_time\":\"2024-12-30T10:00:09.999999Z\""))),
                     TG_INVALID);
    assert_string_equal(f->error.code, "too_old");
    assert_string_equal(f->error.field, "event_time");
    tg_event_type_unref(type);
}

/* --- refusals --- */

static void what_cannot_be_stored_is_refused_with_code_field_and_words(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *type, *json, *code, *field, *words;
    } rows[] = {
        {"order", "[]", "invalid_event", "", "expected an object, got array of 0"},
        {"order", "null", "invalid_event", "", "expected an object, got null"},
        {"order", ORDER(",\"colour\":1"), "unknown_field", "colour", "order has no such field"},
        {"order", ORDER(",\"amount\":2"), "invalid_event", "amount", "given twice"},
        {"order", "{\"amount\":1}", "missing_field", "customer_id", "required (string)"},
        {"order", "{\"customer_id\":\"c\",\"amount\":null,\"currency\":\"USD\",\"channel\":\"w\"}",
         "wrong_type", "amount", "amount: expected a number, got null"},
        {"order", "{\"customer_id\":\"c\",\"amount\":\"x\",\"currency\":\"USD\",\"channel\":\"w\"}",
         "wrong_type", "amount", "amount: expected a number, got string \"x\""},
        {"order", "{\"customer_id\":5,\"amount\":1,\"currency\":\"USD\",\"channel\":\"w\"}",
         "wrong_type", "customer_id", "expected a string, got integer 5"},
        {"order", "{\"customer_id\":\"\\u0000\",\"amount\":1,\"currency\":\"U\",\"channel\":\"w\"}",
         "invalid_value", "customer_id", "U+0000"},
        {"order", ORDER(",\"order_id\":\"\""), "invalid_value", "order_id", "1 to 256 bytes"},
        {"order", ORDER(",\"order_id\":7"), "wrong_type", "order_id", "expected a string"},
        {"order", ORDER(",\"event_time\":\"soon\""), "invalid_value", "event_time", "RFC 3339"},
        {"order", ORDER(",\"event_time\":\"2026-02-30T00:00:00Z\""), "invalid_value", "event_time",
         "RFC 3339"},
        {"order", ORDER(",\"event_time\":{}"), "wrong_type", "event_time", "object of 0"},
        {"order", ORDER(",\"event_time\":1e18"), "invalid_value", "event_time", "RFC 3339"},
        {"session", "{\"session_id\":\"s\",\"event_type\":\"vw\",\"channel\":\"w\"}",
         "invalid_value", "event_type",
         "expected one of view, checkout, purchase, got string \"vw\""},
        {"session", "{\"session_id\":\"s\",\"event_type\":1,\"channel\":\"w\"}", "wrong_type",
         "event_type", "expected one of view"},
        {"signal", SIGNAL(",\"payload\":{\"a\":1,\"a\":2}"), "invalid_event", "payload",
         "\"a\" is in it twice"},
        {"signal", SIGNAL(",\"payload\":{\"a\":1},\"a\":2"), "invalid_event", "payload", "twice"},
        {"signal", SIGNAL(",\"a\":1,\"a\":2"), "invalid_event", "payload", "twice"},
        {"signal", SIGNAL(",\"payload\":[[{\"x\":\"\\u0000\"}]]"), "invalid_value", "payload",
         "U+0000"},
        {"signal", SIGNAL(",\"payload\":{\"\\u0000\":1}"), "invalid_value", "payload", "U+0000"},
        {"signal", SIGNAL(",\"\\u0000\":1"), "invalid_value", "payload", "U+0000"},
        {"signal", SIGNAL(",\"payload\":\"text\",\"x\":1"), "wrong_type", "payload",
         "an object, since it takes the unknown fields too, got string"},
        {"signal", SIGNAL(",\"value\":\"1\""), "wrong_type", "value", "expected a number"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        tg_event_type_t *type = builtin(rows[i].type);
        if (encode(f, type, tg_str_from(rows[i].json)) != TG_INVALID)
            fail_msg("%s was taken", rows[i].json);
        if (strstr(f->error.message, rows[i].words) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", f->error.message, rows[i].words);
        assert_string_equal(f->error.code, rows[i].code);
        assert_string_equal(f->error.field, rows[i].field);
        assert_int_equal(f->out.len, 0);
        tg_event_type_unref(type);
    }
}

static void texts_of_roles_have_at_most_256_bytes(void **state)
{
    struct fixture *f = *state;
    tg_event_type_t *type = builtin("order");
    for (int len = 256; len <= 257; len++) {
        char json[1024];
        snprintf(json, sizeof(json),
                 "{\"customer_id\":\"c\",\"amount\":1,\"currency\":\"USD\",\"channel\":\"%0*d\"}",
                 len, 0);
        tg_status_t status = encode(f, type, tg_str_from(json));
        assert_int_equal(status, len == 256 ? TG_OK : TG_INVALID);
    }
    assert_string_equal(f->error.code, "invalid_value");
    assert_string_equal(f->error.field, "channel");
    tg_event_type_unref(type);
}

static void a_refusal_leaves_the_buffer_and_the_codec_usable(void **state)
{
    struct fixture *f = *state;
    tg_event_type_t *type = builtin("signal");
    const tg_json_node_t *nodes;
    size_t count;
    pass(f, type, SIGNAL(""));
    size_t len = f->out.len;
    assert_int_equal(tg_json_parse(f->parser, TG_STR(SIGNAL(",\"x\":1,\"y\":2,\"value\":true")),
                                   &nodes, &count, NULL),
                     TG_OK);
    assert_int_equal(tg_event_encode(f->codec, type, &f->rules, nodes, 0, &f->out, &f->event,
                                     &f->error),
                     TG_INVALID);
    assert_int_equal(f->out.len, len);
    pass(f, type, SIGNAL(""));
    assert_payload(f, "{}");
    assert_int_equal(f->out.len, len);

    tg_buf_t small = tg_buf_make(8);
    assert_int_equal(tg_json_parse(f->parser, TG_STR(SIGNAL("")), &nodes, &count, NULL), TG_OK);
    assert_int_equal(tg_event_encode(f->codec, type, &f->rules, nodes, 0, &small, &f->event,
                                     &f->error),
                     TG_NOMEM);
    assert_int_equal(small.len, 0);
    tg_buf_dispose(&small);
    tg_event_type_unref(type);
}

static void foreign_bytes_are_refused_with_field_and_offset(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *type;
        tg_str_t value;
        const char *words;
    } rows[] = {
        {"session", {"", 0}, "wire format"},
        {"session", TG_STR("\1\0\0\0\7"), "wire format"},
        {"session", TG_STR("\0\0\0\0\x08"), "written by schema 8, not by 7"},
        {"session", TG_STR("\0\0\0\0\7"), "session_id at byte 5: the bytes end early"},
        {"session", TG_STR("\0\0\0\0\7\x02s\x06\x02w\0"), "event_type at byte 7: symbol 3"},
        {"session", TG_STR("\0\0\0\0\7\x02s\x02\x02w\0!"), "1 bytes left over"},
        {"session", TG_STR("\0\0\0\0\7\x02\xff\x02\x02w\0"), "not UTF-8"},
        {"session", TG_STR("\0\0\0\0\7\x02\0\x02\x02w\0"), "U+0000"},
        {"reading",
         TG_STR("\0\0\0\0\7\x02"
                "d\x02m\0\0\0\0\0\0\xf0\x7f\0\0"),
         "not finite"},
        {"signal", TG_STR("\0\0\0\0\7\0\x02u\0\x02t\0\0\x02\x06{a}"), "payload at byte"},
        {"signal", TG_STR("\0\0\0\0\7\0\x02u\0\x02t\0\0\x02\x10\"\\u0000\""), "U+0000"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        tg_event_type_t *type = builtin(rows[i].type);
        tg_event_t event = {.has_value = true, .value = 5};
        tg_error_t why = {0};
        tg_buf_clear(&f->payload);
        if (tg_event_decode(f->codec, type, rows[i].value, &event, &f->payload, &why) != TG_INVALID)
            fail_msg("row %zu was taken", i);
        if (strstr(why.text, rows[i].words) == NULL)
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, why.text, rows[i].words);
        assert_int_equal(f->payload.len, 0);
        assert_true(event.value == 5);
        tg_event_type_unref(type);
    }
}

/* --- types of the tenants --- */

#define RECORD(attributes, fields)                                                                 \
    "{\"type\":\"record\",\"name\":\"T\"" attributes ",\"fields\":[" fields "]}"

static void a_tenants_own_type_may_use_all_of_avro(void **state)
{
    struct fixture *f = *state;
    tg_event_type_t *type = compile(
        "trip",
        TG_STR(RECORD(
            "", "{\"name\":\"km\",\"type\":\"int\",\"role\":\"value\"},"
                "{\"name\":\"mode\",\"type\":\"string\",\"default\":\"car\",\"role\":\"kind\"},"
                "{\"name\":\"at\",\"type\":{\"type\":\"long\",\"logicalType\":"
                "\"timestamp-millis\"},\"role\":\"time\"},"
                "{\"name\":\"stops\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\","
                "\"name\":\"Stop\",\"fields\":[{\"name\":\"n\",\"type\":\"string\"},{\"name\":"
                "\"s\",\"type\":[\"null\",\"int\"],\"default\":null}]}},\"default\":[]},"
                "{\"name\":\"price\",\"type\":[\"null\",{\"type\":\"bytes\",\"logicalType\":"
                "\"decimal\",\"precision\":8,\"scale\":2}],\"default\":null},"
                "{\"name\":\"tags\",\"type\":{\"type\":\"map\",\"values\":\"string\"},"
                "\"default\":{}}")));
    pass(f, type,
         "{\"km\":12.0,\"at\":\"2026-02-03T10:00:00.123456Z\",\"price\":9.5,\"tags\":{\"b\":\"1\","
         "\"a\":\"2\"},\"stops\":[{\"n\":\"A\"},{\"s\":3,\"n\":\"B\"}]}");
    assert_text(f->event.kind, "car");
    assert_true(f->event.value == 12);
    assert_payload(f, "{\"stops\":[{\"n\":\"A\",\"s\":null},{\"n\":\"B\",\"s\":3}],\"price\":9.50,"
                      "\"tags\":{\"b\":\"1\",\"a\":\"2\"}}");
    tg_uuid_t id = f->event.id;
    assert_true(same_id(
        id,
        id_of(f, type,
              "{\"at\":1770112800123.456,\"km\":12,\"mode\":\"car\",\"price\":\"9.50\",\"stops\":"
              "[{\"s\":null,\"n\":\"A\"},{\"n\":\"B\",\"s\":3}],\"tags\":{\"a\":\"2\",\"b\":"
              "\"1\"}}")));
    assert_int_equal(encode(f, type,
                            TG_STR("{\"km\":1,\"at\":0,\"stops\":[{\"n\":\"A\"},{\"n\":1}]}")),
                     TG_INVALID);
    assert_string_equal(f->error.field, "stops[1].n");
    assert_string_equal(f->error.code, "wrong_type");
    assert_int_equal(encode(f, type, TG_STR("{\"km\":1.5,\"at\":0}")), TG_INVALID);
    assert_string_equal(f->error.field, "km");
    assert_int_equal(encode(f, type, TG_STR("{\"km\":1}")), TG_INVALID);
    assert_string_equal(f->error.code, "missing_field");
    tg_event_type_unref(type);
}

static void an_envelope_serves_types_without_such_fields_and_with_required_ones(void **state)
{
    struct fixture *f = *state;
    tg_event_type_t *bare =
        compile("bare",
                TG_STR(RECORD("", "{\"name\":\"n\",\"type\":\"long\",\"role\":\"value\"}")));
    tg_event_type_t *strict =
        compile("strict", TG_STR(RECORD("", "{\"name\":\"ref\",\"type\":\"string\",\"role\":"
                                            "\"id\"},{\"name\":\"at\",\"type\":{\"type\":\"long\","
                                            "\"logicalType\":\"timestamp-millis\"},\"role\":"
                                            "\"time\"}")));
    assert_int_equal(encode(f, strict, TG_STR("{}")), TG_INVALID);
    f->rules.given = (tg_event_given_t){TG_STR("1"), TG_STR("s"), TG_STR("2026-02-03T10:00:00Z")};
    pass(f, bare, "{\"n\":1}");
    assert_true(f->event.occurred_at == NOW - 10 * TG_US_PER_SECOND);
    assert_int_equal(f->event.id.bytes[6] >> 4, 5);
    pass(f, strict, "{}");
    assert_payload(f, "{\"ref\":\"1\"}");
    assert_true(f->event.occurred_at == NOW - 10 * TG_US_PER_SECOND);

    f->rules.given.time = TG_STR("2024-02-03T10:00:00Z");
    assert_int_equal(encode(f, bare, TG_STR("{\"n\":1}")), TG_INVALID);
    assert_string_equal(f->error.code, "too_old");
    assert_string_equal(f->error.field, "time");
    assert_true(f->error.given);
    assert_int_equal(encode(f, strict, TG_STR("{\"at\":\"2024-02-03T10:00:00Z\"}")), TG_INVALID);
    assert_string_equal(f->error.field, "at");
    assert_false(f->error.given);
    f->rules.given.time = TG_STR("noon");
    assert_int_equal(encode(f, bare, TG_STR("{\"n\":1}")), TG_INVALID);
    assert_string_equal(f->error.code, "invalid_value");
    tg_event_type_unref(bare);
    tg_event_type_unref(strict);
}

static void wrong_roles_and_states_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *words;
    } rows[] = {
        {"\"string\"", "an event type is a record"},
        {RECORD("", "{\"name\":\"a\",\"type\":\"string\",\"role\":\"what\"}"), "role must be"},
        {RECORD("", "{\"name\":\"a\",\"type\":\"string\",\"role\":5}"), "role must be"},
        {RECORD("", "{\"name\":\"a\",\"type\":\"string\",\"role\":\"kind\"},"
                    "{\"name\":\"b\",\"type\":\"string\",\"role\":\"kind\"}"),
         "field b: another field has this role"},
        {RECORD("", "{\"name\":\"a\",\"type\":\"long\",\"role\":\"time\"}"), "role time needs"},
        {RECORD("", "{\"name\":\"a\",\"type\":\"long\",\"role\":\"id\"}"), "need a string"},
        {RECORD("", "{\"name\":\"a\",\"type\":\"int\",\"role\":\"entity\"}"), "string or an enum"},
        {RECORD("", "{\"name\":\"a\",\"type\":\"string\",\"role\":\"value\"}"), "role value needs"},
        {RECORD("", "{\"name\":\"a\",\"type\":[\"null\",\"int\",\"long\"],\"role\":\"value\"}"),
         "role value needs"},
        {RECORD("", "{\"name\":\"a\",\"type\":\"int\",\"format\":\"json\"}"), "needs a string"},
        {RECORD("", "{\"name\":\"a\",\"type\":\"string\",\"extras\":true}"), "needs format json"},
        {RECORD("", "{\"name\":\"a\",\"type\":\"string\",\"format\":\"json\",\"default\":\"{\"}"),
         "default is no JSON"},
        {RECORD("", "{\"name\":\"a\",\"type\":\"string\",\"format\":\"json\",\"role\":\"kind\"}"),
         "cannot be free-form"},
        {RECORD("",
                "{\"name\":\"a\",\"type\":\"string\",\"default\":\"\\u0000\",\"role\":\"kind\"}"),
         "default cannot be stored"},
        {RECORD(",\"state\":{\"name\":\"n\",\"deltas\":{\"x\":1}}", ""),
         "needs a field with role kind"},
        {RECORD(",\"state\":{\"deltas\":{\"x\":1}}",
                "{\"name\":\"a\",\"type\":\"string\",\"role\":\"kind\"}"),
         "state: needs a name"},
        {RECORD(",\"state\":{\"name\":\"n\",\"deltas\":{\"x\":1.5}}",
                "{\"name\":\"a\",\"type\":\"string\",\"role\":\"kind\"}"),
         "must be an integer"},
        {RECORD(",\"state\":{\"name\":\"n\",\"deltas\":{\"x\":1}}",
                "{\"name\":\"a\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"y\"]},"
                "\"role\":\"kind\"}"),
         "is no kind of this type"},
        {RECORD(",\"state\":{\"name\":\"n\",\"deltas\":{}}",
                "{\"name\":\"a\",\"type\":\"string\",\"role\":\"kind\"}"),
         "must name 1 to"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        tg_event_type_t *type = NULL;
        tg_error_t error = {0};
        if (tg_event_type_compile(TG_STR("t"), tg_str_from(rows[i].schema), 1, &type, &error) !=
            TG_INVALID)
            fail_msg("taken: %s", rows[i].schema);
        if (strstr(error.text, rows[i].words) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", error.text, rows[i].words);
        assert_null(type);
    }
}

static void names_keep_to_their_alphabet(void **state)
{
    (void)state;
    assert_true(tg_event_type_name_ok(TG_STR("a_1")));
    assert_false(tg_event_type_name_ok(TG_STR("1a")));
    assert_false(tg_event_type_name_ok(TG_STR("A")));
    assert_false(tg_event_type_name_ok(TG_STR("")));
    assert_false(tg_event_type_name_ok(
        TG_STR("a123456789012345678901234567890123456789012345678901234567890123")));
    assert_true(tg_event_tenant_ok(TG_STR("0-a")));
    assert_false(tg_event_tenant_ok(TG_STR("-a")));
    assert_false(tg_event_tenant_ok(TG_STR("a_b")));
    assert_false(tg_event_tenant_ok(TG_STR("")));
    assert_false(tg_event_tenant_ok(TG_STR("a/b")));
}

#define CASE(test) cmocka_unit_test_setup(test, set_rules)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_documented_bodies_are_stored_by_their_roles),
        CASE(only_id_time_and_the_optional_fields_may_be_absent),
        CASE(a_stream_has_its_running_state),
        CASE(the_value_begins_with_the_wire_format),
        CASE(the_key_joins_tenant_type_kind_and_entity),
        CASE(a_given_uuid_is_the_id_and_other_text_is_hashed),
        CASE(an_event_with_a_time_but_no_id_is_named_by_its_content),
        CASE(free_form_content_is_named_whatever_its_order),
        CASE(without_id_and_time_the_idempotency_key_names_the_event),
        CASE(an_envelopes_id_and_time_count_where_the_event_is_silent),
        CASE(an_envelope_serves_types_without_such_fields_and_with_required_ones),
        CASE(times_keep_to_their_bounds),
        CASE(what_cannot_be_stored_is_refused_with_code_field_and_words),
        CASE(texts_of_roles_have_at_most_256_bytes),
        CASE(a_refusal_leaves_the_buffer_and_the_codec_usable),
        CASE(foreign_bytes_are_refused_with_field_and_offset),
        CASE(a_tenants_own_type_may_use_all_of_avro),
        CASE(wrong_roles_and_states_are_refused),
        CASE(names_keep_to_their_alphabet),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
