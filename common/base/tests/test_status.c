/* Statuses have names, error texts are cut and never required. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>

#include "common/base/status.h"

static void each_status_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int a = TG_OK; a <= TG_INTERNAL; a++) {
        assert_non_null(tg_status_name((tg_status_t)a));
        for (int b = TG_OK; b < a; b++)
            assert_string_not_equal(tg_status_name((tg_status_t)a), tg_status_name((tg_status_t)b));
    }
}

static void an_error_returns_its_status_and_keeps_its_text(void **state)
{
    (void)state;
    tg_error_t error;
    assert_int_equal(tg_error_set(&error, TG_FULL, "queue %d", 7), TG_FULL);
    assert_int_equal(error.status, TG_FULL);
    assert_string_equal(error.text, "queue 7");
    assert_int_equal(tg_error_set(NULL, TG_NOMEM, "nobody reads this"), TG_NOMEM);
}

static void a_long_error_text_is_cut(void **state)
{
    (void)state;
    tg_error_t error;
    char text[2000];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(tg_error_set(&error, TG_INVALID, "%s", text), TG_INVALID);
    assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_status_has_a_name_of_its_own),
        cmocka_unit_test(an_error_returns_its_status_and_keeps_its_text),
        cmocka_unit_test(a_long_error_text_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
