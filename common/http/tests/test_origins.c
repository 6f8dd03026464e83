/* Lists of origins: what is taken, what is refused with its reason, and that nothing is found by
 * resemblance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/http/edge/origins.h"

static void an_origin_is_found_by_its_exact_text_only(void **state)
{
    (void)state;
    tg_origins_t *origins;
    tg_error_t error;
    const char *text =
        "https://app.example.com, http://localhost:3000\t,https://[2001:db8::1]:8443 ";
    assert_int_equal(tg_origins_create(tg_str_from(text), &origins, &error), TG_OK);
    assert_false(tg_origins_is_any(origins));
    static const char *const listed[] = {"https://app.example.com", "http://localhost:3000",
                                         "https://[2001:db8::1]:8443"};
    for (size_t i = 0; i < TG_ARRAY_LEN(listed); i++)
        assert_true(
            tg_str_eq(tg_origins_find(origins, tg_str_from(listed[i])), tg_str_from(listed[i])));
    static const char *const others[] = {
        "",
        "null",
        "*",
        "https://app.example.com/",
        "https://app.example.com:443",
        "http://app.example.com",
        "https://APP.example.com",
        "https://app.example.com.evil.com",
        "https://evil-app.example.com",
        "https://x.app.example.com",
        "app.example.com",
        "https://app.example.co",
        "http://localhost",
        "http://localhost:30000",
        "https://app.example.com http://localhost:3000",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(others); i++)
        if (tg_origins_find(origins, tg_str_from(others[i])).ptr != NULL)
            fail_msg("\"%s\" is found", others[i]);
    assert_null(tg_origins_find(origins, (tg_str_t){NULL, 0}).ptr);
    tg_origins_destroy(origins);
}

static void a_star_is_everybody(void **state)
{
    (void)state;
    tg_origins_t *origins;
    assert_int_equal(tg_origins_create(TG_STR(" * "), &origins, NULL), TG_OK);
    assert_true(tg_origins_is_any(origins));
    assert_true(tg_str_eq(tg_origins_find(origins, TG_STR("https://a")), TG_STR("*")));
    tg_origins_destroy(origins);
}

static void null_is_found_where_it_is_listed(void **state)
{
    (void)state;
    tg_origins_t *origins;
    assert_int_equal(tg_origins_create(TG_STR("https://a,null"), &origins, NULL), TG_OK);
    assert_true(tg_str_eq(tg_origins_find(origins, TG_STR("null")), TG_STR("null")));
    tg_origins_destroy(origins);
}

static void what_no_browser_sends_is_refused_with_its_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"app.example.com", "scheme"},
        {"://a", "scheme"},
        {"HTTPS://a", "scheme"},
        {"https://", "host"},
        {"https://A.com", "lower case"},
        {"https://a.com/", "host"},
        {"https://a.com/x", "host"},
        {"https://u@a.com", "host"},
        {"https://*.a.com", "host"},
        {"https://a.com?x", "host"},
        {"https://[::1", "port"},
        {"https://[::g]", "host"},
        {"https://a.com:", "port"},
        {"https://a.com:0", "port"},
        {"https://a.com:65536", "port"},
        {"https://a.com:x", "port"},
        {"https://a.com:443", "leave out"},
        {"http://a.com:80", "leave out"},
        {"https://a,*", "alone"},
        {"*,https://a", "beside"},
        {"NULL", "scheme"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        tg_origins_t *origins = NULL;
        tg_error_t error = {.text = ""};
        if (tg_origins_create(tg_str_from(cases[i].text), &origins, &error) != TG_INVALID ||
            strstr(error.text, cases[i].why) == NULL || origins != NULL)
            fail_msg("\"%s\": %s", cases[i].text, error.text);
    }
}

static void there_may_be_64(void **state)
{
    (void)state;
    char text[2000];
    size_t used = 0;
    tg_origins_t *origins;
    for (unsigned i = 0; i < TG_ORIGINS_MAX; i++)
        used += (size_t)sprintf(text + used, "https://a%u,", i);
    assert_int_equal(tg_origins_create((tg_str_t){text, used}, &origins, NULL), TG_OK);
    assert_non_null(tg_origins_find(origins, TG_STR("https://a63")).ptr);
    tg_origins_destroy(origins);
    used += (size_t)sprintf(text + used, "https://b");
    assert_int_equal(tg_origins_create((tg_str_t){text, used}, &origins, NULL), TG_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_origin_is_found_by_its_exact_text_only),
        cmocka_unit_test(a_star_is_everybody),
        cmocka_unit_test(null_is_found_where_it_is_listed),
        cmocka_unit_test(what_no_browser_sends_is_refused_with_its_reason),
        cmocka_unit_test(there_may_be_64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
