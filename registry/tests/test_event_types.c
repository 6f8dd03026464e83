/* What is said of an event type. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "registry/event_types.h"

static tg_status_t write(const char *schema, bool builtin, tg_buf_t *out)
{
    const tg_event_type_row_t row = {.name = TG_STR("shipment"),
                                     .builtin = builtin,
                                     .version = TG_STR("2"),
                                     .schema_id = TG_STR("17"),
                                     .schema = tg_str_from(schema)};
    *out = tg_buf_make(1 << 16);
    return tg_event_type_write(&row, out);
}

static void a_type_is_told_with_its_fields_and_roles(void **state)
{
    (void)state;
    tg_buf_t out;
    assert_int_equal(
        write(
            "{\"type\":\"record\",\"name\":\"Shipment\",\"doc\":\"sent\",\"fields\":["
            "{\"name\":\"id\",\"type\":\"string\",\"role\":\"id\",\"doc\":\"a \\\"number\\\"\"},"
            "{\"name\":\"kg\",\"type\":[\"null\",\"double\"],\"default\":null,\"role\":\"value\"},"
            "{\"name\":\"to\",\"type\":\"com.acme.Place\"}]}",
            false, &out),
        TG_OK);
    tg_buf_byte(&out, '\0');
    assert_string_equal(
        out.data,
        "{\"name\":\"shipment\",\"subject\":\"shipment-value\",\"source\":\"own\",\"version\":2,"
        "\"schema_id\":17,\"doc\":\"sent\",\"fields\":["
        "{\"name\":\"id\",\"type\":\"string\",\"role\":\"id\",\"required\":true,"
        "\"doc\":\"a \\\"number\\\"\"},"
        "{\"name\":\"kg\",\"type\":[\"null\",\"double\"],\"role\":\"value\",\"required\":false},"
        "{\"name\":\"to\",\"type\":\"com.acme.Place\",\"role\":null,\"required\":true}]}");
    tg_buf_dispose(&out);
}

static void a_built_in_type_says_so(void **state)
{
    (void)state;
    tg_buf_t out;
    assert_int_equal(write("{\"type\":\"record\",\"name\":\"S\",\"fields\":[]}", true, &out),
                     TG_OK);
    tg_buf_byte(&out, '\0');
    assert_non_null(strstr(out.data, "\"source\":\"built-in\""));
    assert_non_null(strstr(out.data, "\"fields\":[]"));
    tg_buf_dispose(&out);
}

static void what_is_no_record_is_refused(void **state)
{
    (void)state;
    static const char *const schemas[] = {"", "{", "[]", "{}", "{\"fields\":1}"};
    for (size_t i = 0; i < TG_ARRAY_LEN(schemas); i++) {
        tg_buf_t out;
        assert_int_equal(write(schemas[i], false, &out), TG_INVALID);
        tg_buf_dispose(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_type_is_told_with_its_fields_and_roles),
        cmocka_unit_test(a_built_in_type_says_so),
        cmocka_unit_test(what_is_no_record_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
