/* The types of the tenants: their names, what their schemas may say and may not, and how their
 * events pass the codec. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/event/tests/support.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_envelope_serves_types_without_such_fields_and_with_required_ones),
        CASE(a_tenants_own_type_may_use_all_of_avro),
        CASE(wrong_roles_and_states_are_refused),
        CASE(names_keep_to_their_alphabet),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
