/* POST /emit's body: a generated event with the given fields in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/json/json.h"
#include "loadtest/simulator/emit.h"

#define NOW INT64_C(1770112800000000) /* 2026-02-03T10:00:00Z */

static tg_emitter_t *emitter;
static tg_buf_t body;
static tg_ledger_entry_t entry;
static tg_error_t error;

static int make_emitter(void **state)
{
    (void)state;
    emitter = tg_emitter_create(77);
    body = tg_buf_make(1 << 20);
    return emitter == NULL;
}

static int drop_emitter(void **state)
{
    (void)state;
    tg_emitter_destroy(emitter);
    tg_buf_dispose(&body);
    return 0;
}

static tg_status_t make(const char *given)
{
    tg_buf_clear(&body);
    tg_status_t status = tg_emitter_make(emitter, tg_str_from(given), NOW, &body, &entry, &error);
    tg_buf_byte(&body, '\0');
    return status;
}

static void assert_has(const char *part)
{
    if (strstr(body.data, part) == NULL)
        fail_msg("%s is not in %s", part, body.data);
}

static void a_type_alone_gives_a_whole_event(void **state)
{
    (void)state;
    static const char *const types[] = {"reading", "activity", "signal",
                                        "order",   "session",  "stream"};
    for (size_t i = 0; i < TG_ARRAY_LEN(types); i++) {
        char given[64];
        (void)snprintf(given, sizeof(given), "{\"type\":\"%s\"}", types[i]);
        assert_int_equal(make(given), TG_OK);
        assert_true(tg_str_eq(entry.type, tg_str_from(types[i])));
        assert_true(entry.occurred_at == NOW);
        assert_true(entry.kind.len > 0 && entry.entity.len > 0);
        assert_has("2026-02-03T10:00:00Z");
    }
}

static void given_fields_replace_generated_ones(void **state)
{
    (void)state;
    assert_int_equal(make("{\"event_type\":\"donation\",\"type\":\"stream\",\"amount_usd\":25.5,"
                          "\"stream_id\":\"s\\u0022\",\"ts\":\"2026-02-03T11:00:00+01:00\"}"),
                     TG_OK);
    assert_has("\"event_type\":\"donation\"");
    assert_has("\"stream_id\":\"s\\\"\"");
    assert_null(strstr(body.data, "\"type\""));
    assert_true(tg_str_eq(entry.kind, TG_STR("donation")));
    assert_true(tg_str_eq(entry.entity, TG_STR("s\"")));
    assert_true(entry.has_value && entry.value == 25500000);
    assert_true(entry.occurred_at == NOW);
}

static void a_signals_own_type_goes_into_data(void **state)
{
    (void)state;
    assert_int_equal(make("{\"type\":\"signal\",\"data\":{\"type\":\"alarm\",\"value\":null,"
                          "\"payload\":{\"a\":[1,2]}}}"),
                     TG_OK);
    assert_has("\"type\":\"alarm\"");
    assert_has("\"payload\":{\"a\":[1,2]}");
    assert_true(tg_str_eq(entry.kind, TG_STR("alarm")));
    assert_false(entry.has_value);
}

static void unknown_fields_are_the_gateways_to_judge(void **state)
{
    (void)state;
    assert_int_equal(make("{\"type\":\"order\",\"colour\":\"red\",\"amount\":\"much\"}"), TG_OK);
    assert_has("\"colour\":\"red\"");
    assert_has("\"amount\":\"much\"");
    assert_false(entry.has_value);
}

static void every_event_has_an_id_of_its_own(void **state)
{
    (void)state;
    char first[512];
    assert_int_equal(make("{\"type\":\"order\"}"), TG_OK);
    (void)snprintf(first, sizeof(first), "%s", body.data);
    assert_int_equal(make("{\"type\":\"order\"}"), TG_OK);
    const char *end = strchr(first, ',');
    assert_true(strncmp(first, body.data, (size_t)(end - first)) != 0);
}

static void bad_bodies_are_refused_with_a_reason(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"[]", "object"},
        {"{}", "\"type\""},
        {"{\"type\":\"unheard_of\"}", "\"type\""},
        {"{\"type\":7}", "\"type\""},
        {"{\"type\":\"order\",\"data\":3}", "\"data\""},
        {"{\"type\":\"order\",\"amount\":1,\"amount\":2}", "twice"},
        {"{\"type\":\"order\",\"amount\":0.1234567}", "decimals"},
        {"{\"type\":\"order\",\"amount\":1e300}", "decimals"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        error = (tg_error_t){.status = TG_OK};
        if (make(cases[i][0]) != TG_INVALID || strstr(error.text, cases[i][1]) == NULL)
            fail_msg("%s: %s", cases[i][0], error.text);
    }
}

static void too_many_fields_are_refused(void **state)
{
    (void)state;
    tg_buf_t given = tg_buf_make(4096);
    tg_buf_str(&given, TG_STR("{\"type\":\"order\""));
    for (unsigned i = 0; i < TG_EMIT_FIELDS_MAX; i++)
        tg_buf_printf(&given, ",\"f%u\":1", i);
    tg_buf_append(&given, "}", 2);
    assert_int_equal(make(given.data), TG_INVALID);
    tg_buf_dispose(&given);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_type_alone_gives_a_whole_event),
        cmocka_unit_test(given_fields_replace_generated_ones),
        cmocka_unit_test(a_signals_own_type_goes_into_data),
        cmocka_unit_test(unknown_fields_are_the_gateways_to_judge),
        cmocka_unit_test(every_event_has_an_id_of_its_own),
        cmocka_unit_test(bad_bodies_are_refused_with_a_reason),
        cmocka_unit_test(too_many_fields_are_refused),
    };
    return cmocka_run_group_tests(tests, make_emitter, drop_emitter);
}
