/* Where a key may stand in a request, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "gateway/auth.h"

static tg_status_t extract(const char *authorization, const char *api_key, char *out, size_t size)
{
    char buffer[TG_AUTH_TEXT_MAX];
    tg_credentials_t credentials = {tg_str_from(authorization), tg_str_from(api_key)};
    tg_str_t key = {NULL, 0};
    tg_status_t status = tg_auth_extract(&credentials, buffer, &key);
    assert_true(key.len < size);
    if (key.len > 0)
        memcpy(out, key.ptr, key.len);
    out[key.len] = '\0';
    return status;
}

static void a_key_is_found_in_each_of_its_three_places(void **state)
{
    (void)state;
    char key[TG_AUTH_TEXT_MAX];

    assert_int_equal(extract(NULL, "tg_abc", key, sizeof(key)), TG_OK);
    assert_string_equal(key, "tg_abc");
    assert_int_equal(extract("Bearer tg_abc", NULL, key, sizeof(key)), TG_OK);
    assert_string_equal(key, "tg_abc");
    assert_int_equal(extract("bearer   tg_abc", NULL, key, sizeof(key)), TG_OK);
    assert_string_equal(key, "tg_abc");
    assert_int_equal(extract("Basic dXNlcjp0Z19hYmM=", NULL, key, sizeof(key)), TG_OK);
    assert_string_equal(key, "tg_abc");
    assert_int_equal(extract("Basic OnRnX2FiY2Q=", NULL, key, sizeof(key)), TG_OK);
    assert_string_equal(key, "tg_abcd"); /* an empty user name */
}

static void no_credentials_are_told_apart_from_bad_ones(void **state)
{
    (void)state;
    char key[TG_AUTH_TEXT_MAX];

    assert_int_equal(extract(NULL, NULL, key, sizeof(key)), TG_NOT_FOUND);
    assert_int_equal(extract("Digest x", NULL, key, sizeof(key)), TG_INVALID);
    assert_int_equal(extract("Bearer", NULL, key, sizeof(key)), TG_INVALID);
    assert_int_equal(extract("Basic !!!!", NULL, key, sizeof(key)), TG_INVALID);
    assert_int_equal(extract("Basic dXNlcg==", NULL, key, sizeof(key)), TG_INVALID); /* no colon */
    assert_int_equal(extract("Basic dXNl", NULL, key, sizeof(key)), TG_INVALID);
}

static void two_different_keys_in_one_request_are_refused(void **state)
{
    (void)state;
    char key[TG_AUTH_TEXT_MAX];

    assert_int_equal(extract("Bearer tg_a", "tg_b", key, sizeof(key)), TG_CONFLICT);
    assert_int_equal(extract("Bearer tg_a", "tg_a", key, sizeof(key)), TG_OK);
}

static void an_oversized_header_is_refused_before_it_is_read(void **state)
{
    (void)state;
    char key[TG_AUTH_TEXT_MAX], long_text[TG_AUTH_TEXT_MAX + 2];
    memset(long_text, 'A', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';

    assert_int_equal(extract(NULL, long_text, key, sizeof(key)), TG_INVALID);
    memcpy(long_text, "Basic ", 6);
    assert_int_equal(extract(long_text, NULL, key, sizeof(key)), TG_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_found_in_each_of_its_three_places),
        cmocka_unit_test(no_credentials_are_told_apart_from_bad_ones),
        cmocka_unit_test(two_different_keys_in_one_request_are_refused),
        cmocka_unit_test(an_oversized_header_is_refused_before_it_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
