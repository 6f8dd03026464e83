/* Which id an event has: its own, its envelope's, or one made of its content or of the request's
 * idempotency key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/event/tests/support.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_given_uuid_is_the_id_and_other_text_is_hashed),
        CASE(an_event_with_a_time_but_no_id_is_named_by_its_content),
        CASE(free_form_content_is_named_whatever_its_order),
        CASE(without_id_and_time_the_idempotency_key_names_the_event),
        CASE(an_envelopes_id_and_time_count_where_the_event_is_silent),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
