/* Events of the built-in types from JSON to Kafka value and back, by the rules that decide what an
 * event is; and everything that must be refused, with its code, field and words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/event/tests/support.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_documented_bodies_are_stored_by_their_roles),
        CASE(only_id_time_and_the_optional_fields_may_be_absent),
        CASE(a_stream_has_its_running_state),
        CASE(the_value_begins_with_the_wire_format),
        CASE(the_key_joins_tenant_type_kind_and_entity),
        CASE(times_keep_to_their_bounds),
        CASE(what_cannot_be_stored_is_refused_with_code_field_and_words),
        CASE(texts_of_roles_have_at_most_256_bytes),
        CASE(a_refusal_leaves_the_buffer_and_the_codec_usable),
        CASE(foreign_bytes_are_refused_with_field_and_offset),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
