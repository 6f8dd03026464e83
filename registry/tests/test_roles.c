/* Roles of one version against those of the next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "registry/roles.h"

#define RECORD(fields) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define THING          "{\"name\":\"thing\",\"type\":\"string\",\"role\":\"entity\"}"
#define NUMBER         "{\"name\":\"n\",\"type\":\"double\",\"role\":\"value\"}"
#define NOTE           "{\"name\":\"note\",\"type\":\"string\",\"default\":\"\"}"

static tg_avro_schema_t *parse(const char *text)
{
    tg_avro_schema_t *schema = NULL;
    tg_error_t error = {0};
    tg_status_t status = tg_avro_schema_parse(tg_str_from(text), &schema, &error);
    assert_int_equal(status, TG_OK);
    return schema;
}

/* The refusal's text, "" if there is none. */
static const char *check(const char *before, const char *after)
{
    static tg_error_t error;
    tg_avro_schema_t *old = before == NULL ? NULL : parse(before);
    tg_avro_schema_t *new = parse(after);
    error = (tg_error_t){0};
    tg_status_t status = tg_roles_check(old == NULL ? NULL : tg_avro_schema_root(old),
                                        tg_avro_schema_root(new), &error);
    assert_true((status == TG_OK) == (error.text[0] == '\0'));
    tg_avro_schema_destroy(old);
    tg_avro_schema_destroy(new);
    return error.text;
}

static bool carried(const char *text)
{
    tg_avro_schema_t *schema = parse(text);
    bool found = tg_roles_carried(tg_avro_schema_root(schema));
    tg_avro_schema_destroy(schema);
    return found;
}

static void a_record_with_a_role_is_an_event_type(void **state)
{
    (void)state;
    assert_true(carried(RECORD(NOTE "," THING)));
    assert_false(carried(RECORD(NOTE)));
    assert_false(carried(RECORD("")));
    assert_false(carried("\"string\""));
    assert_false(carried("[\"null\"," RECORD(THING) "]"));
}

static void a_role_may_stay_or_be_added(void **state)
{
    (void)state;
    assert_string_equal(check(NULL, RECORD(THING)), "");
    assert_string_equal(check(RECORD(THING), RECORD(THING)), "");
    assert_string_equal(check(RECORD(THING), RECORD(NOTE "," NUMBER "," THING)), "");
    assert_string_equal(check(RECORD(NOTE), RECORD(THING)), "");
    assert_string_equal(check("\"string\"", RECORD(THING)), "");
}

static void a_role_may_not_be_removed(void **state)
{
    (void)state;
    assert_non_null(strstr(check(RECORD(THING "," NUMBER), RECORD(THING "," NOTE)),
                           "the role \"value\" of field n is removed"));
    assert_non_null(strstr(check(RECORD(THING), RECORD("{\"name\":\"thing\",\"type\":\"string\"}")),
                           "the role \"entity\" of field thing is removed"));
    assert_non_null(strstr(check(RECORD(THING), "\"string\""), "is removed"));
}

static void a_role_may_not_move(void **state)
{
    (void)state;
    const char *moved = RECORD("{\"name\":\"thing\",\"type\":\"string\"},"
                               "{\"name\":\"place\",\"type\":\"string\",\"role\":\"entity\"}");
    assert_non_null(
        strstr(check(RECORD(THING), moved), "the role \"entity\" moves from field thing to place"));
    const char *swapped = RECORD("{\"name\":\"a\",\"type\":\"string\",\"role\":\"user\"},"
                                 "{\"name\":\"b\",\"type\":\"string\",\"role\":\"entity\"}");
    const char *before = RECORD("{\"name\":\"a\",\"type\":\"string\",\"role\":\"entity\"},"
                                "{\"name\":\"b\",\"type\":\"string\",\"role\":\"user\"}");
    assert_non_null(strstr(check(before, swapped), "moves from field a to b"));
}

static void a_renamed_field_keeps_its_role_by_its_alias(void **state)
{
    (void)state;
    assert_string_equal(check(RECORD(THING), RECORD("{\"name\":\"place\",\"type\":\"string\","
                                                    "\"aliases\":[\"spot\",\"thing\"],"
                                                    "\"role\":\"entity\"}")),
                        "");
    assert_non_null(strstr(check(RECORD(THING), RECORD("{\"name\":\"place\",\"type\":\"string\","
                                                       "\"aliases\":[\"spot\"],"
                                                       "\"role\":\"entity\"}")),
                           "moves"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_with_a_role_is_an_event_type),
        cmocka_unit_test(a_role_may_stay_or_be_added),
        cmocka_unit_test(a_role_may_not_be_removed),
        cmocka_unit_test(a_role_may_not_move),
        cmocka_unit_test(a_renamed_field_keeps_its_role_by_its_alias),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
