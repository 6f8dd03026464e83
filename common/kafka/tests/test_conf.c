/* Property tables and extras of librdkafka's configuration. */
#include "common/kafka/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const tg_kafka_property_t base[] = {{"linger.ms", "2"}, {"acks", "all"}};

static tg_status_t set(const char *extra, const char *name, char *out, size_t out_size,
                       tg_error_t *error)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    tg_status_t status = tg_kafka_conf_set(conf, base, TG_ARRAY_LEN(base), extra, error);
    if (name != NULL)
        assert_int_equal(rd_kafka_conf_get(conf, name, out, &out_size), RD_KAFKA_CONF_OK);
    rd_kafka_conf_destroy(conf);
    return status;
}

static void extra_properties_win_over_the_table(void **state)
{
    (void)state;
    char value[32];
    tg_error_t error;
    assert_int_equal(set("linger.ms=7,,client.id=x=y", "linger.ms", value, sizeof(value), &error),
                     TG_OK);
    assert_string_equal(value, "7");
    assert_int_equal(set("client.id=x=y", "client.id", value, sizeof(value), &error), TG_OK);
    assert_string_equal(value, "x=y");
}

static void an_unknown_property_is_refused_by_name(void **state)
{
    (void)state;
    tg_error_t error;
    assert_int_equal(set("no.such.thing=1", NULL, NULL, 0, &error), TG_INVALID);
    assert_non_null(strstr(error.text, "no.such.thing"));
    assert_int_equal(set("linger.ms=many", NULL, NULL, 0, &error), TG_INVALID);
    assert_non_null(strstr(error.text, "linger.ms"));
    assert_int_equal(set("linger.ms", NULL, NULL, 0, &error), TG_INVALID);
}

static void too_long_extras_are_refused(void **state)
{
    (void)state;
    char *extra = malloc(TG_KAFKA_EXTRA_MAX + 1);
    memset(extra, ',', TG_KAFKA_EXTRA_MAX);
    extra[TG_KAFKA_EXTRA_MAX] = '\0';
    tg_error_t error;
    assert_int_equal(set(extra, NULL, NULL, 0, &error), TG_TOO_LARGE);
    extra[TG_KAFKA_EXTRA_MAX - 1] = '\0';
    assert_int_equal(set(extra, NULL, NULL, 0, &error), TG_OK);
    free(extra);
}

static void numbers_become_decimal_text(void **state)
{
    (void)state;
    assert_string_equal(tg_kafka_number(0).text, "0");
    assert_string_equal(tg_kafka_number(UINT64_MAX).text, "18446744073709551615");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extra_properties_win_over_the_table),
        cmocka_unit_test(an_unknown_property_is_refused_by_name),
        cmocka_unit_test(too_long_extras_are_refused),
        cmocka_unit_test(numbers_become_decimal_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
