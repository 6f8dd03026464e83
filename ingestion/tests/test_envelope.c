/* The envelope of batch items. */
#include "ingestion/body/envelope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static tg_status_t read_text(const char *text, tg_envelope_t *out, tg_event_error_t *error)
{
    tg_json_parser_t *parser = tg_json_parser_create(1 << 16, 32);
    const tg_json_node_t *nodes;
    size_t count;
    tg_error_t reason;
    assert_int_equal(tg_json_parse(parser, tg_str_from(text), &nodes, &count, &reason), TG_OK);
    tg_status_t status = tg_envelope_read(nodes, out, error);
    if (status == TG_OK) {
        assert_int_equal(nodes[out->data].type, TG_JSON_OBJECT);
        assert_true(tg_str_eq(nodes[out->data].key, TG_STR("data")));
        assert_true(tg_str_eq(out->type, TG_STR("order")));
    }
    tg_json_parser_destroy(parser);
    return status;
}

static void type_and_data_are_read_in_any_order(void **state)
{
    (void)state;
    tg_envelope_t envelope;
    tg_event_error_t error;
    assert_int_equal(read_text("{\"type\":\"order\",\"data\":{\"a\":[1]}}", &envelope, &error),
                     TG_OK);
    assert_int_equal(read_text("{\"data\":{\"a\":{}},\"type\":\"order\"}", &envelope, &error),
                     TG_OK);
}

static void a_bad_envelope_is_refused_with_its_field(void **state)
{
    (void)state;
    static const struct {
        const char *text, *code, *field;
    } cases[] = {
        {"[]", "invalid_event", ""},
        {"1", "invalid_event", ""},
        {"{}", "missing_field", "type"},
        {"{\"data\":{}}", "missing_field", "type"},
        {"{\"type\":\"order\"}", "missing_field", "data"},
        {"{\"type\":1,\"data\":{}}", "wrong_type", "type"},
        {"{\"type\":\"\",\"data\":{}}", "wrong_type", "type"},
        {"{\"type\":\"order\",\"data\":[]}", "wrong_type", "data"},
        {"{\"type\":\"order\",\"data\":{},\"id\":\"x\"}", "unknown_field", "id"},
        {"{\"type\":\"order\",\"type\":\"order\",\"data\":{}}", "invalid_event", "type"},
        {"{\"type\":\"order\",\"data\":{},\"data\":{}}", "invalid_event", "data"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        tg_envelope_t envelope;
        tg_event_error_t error;
        assert_int_equal(read_text(cases[i].text, &envelope, &error), TG_INVALID);
        assert_string_equal(error.code, cases[i].code);
        assert_string_equal(error.field, cases[i].field);
        assert_true(strlen(error.message) > 0);
    }
}

static void fields_of_the_event_are_named_below_data(void **state)
{
    (void)state;
    tg_event_error_t error = {.field = "amount"};
    tg_envelope_prefix(&error);
    assert_string_equal(error.field, "data.amount");
    error.field[0] = '\0';
    tg_envelope_prefix(&error);
    assert_string_equal(error.field, "data");
    memset(error.field, 'x', sizeof(error.field) - 1);
    error.field[sizeof(error.field) - 1] = '\0';
    tg_envelope_prefix(&error);
    assert_int_equal(strlen(error.field), sizeof(error.field) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(type_and_data_are_read_in_any_order),
        cmocka_unit_test(a_bad_envelope_is_refused_with_its_field),
        cmocka_unit_test(fields_of_the_event_are_named_below_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
