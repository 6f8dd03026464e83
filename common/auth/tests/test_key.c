/* Keys: what is generated parses back, and nothing else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/auth/key.h"

/* CRC-32 of the first 48 bytes is 0x3402f95 by zlib's crc32. */
static const char known[] = "tg_0123456789ab_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef03gprJ";

static void a_generated_key_parses_to_the_same_id_and_digest(void **state)
{
    (void)state;
    for (int round = 0; round < 1000; round++) {
        char text[TG_KEY_LEN + 1];
        tg_key_t made, parsed;
        tg_key_generate(text, &made);
        assert_int_equal(strlen(text), TG_KEY_LEN);
        assert_int_equal(tg_key_parse(tg_str_from(text), &parsed), TG_OK);
        assert_string_equal(parsed.id, made.id);
        assert_memory_equal(parsed.sha256, made.sha256, TG_SHA256_LEN);
    }
}

static void two_generated_keys_differ(void **state)
{
    (void)state;
    char first[TG_KEY_LEN + 1], second[TG_KEY_LEN + 1];
    tg_key_t a, b;
    tg_key_generate(first, &a);
    tg_key_generate(second, &b);
    assert_string_not_equal(first, second);
    assert_string_not_equal(a.id, b.id);
    assert_memory_not_equal(a.sha256, b.sha256, TG_SHA256_LEN);
}

static void a_known_key_has_the_known_checksum(void **state)
{
    (void)state;
    tg_key_t key;
    assert_int_equal(tg_key_parse(TG_STR(known), &key), TG_OK);
    assert_string_equal(key.id, "0123456789ab");
}

static void any_single_changed_byte_is_refused(void **state)
{
    (void)state;
    tg_key_t key;
    for (size_t i = 0; i < TG_KEY_LEN; i++) {
        for (int byte = 0; byte < 256; byte++) {
            char changed[TG_KEY_LEN];
            memcpy(changed, known, TG_KEY_LEN);
            if (changed[i] == (char)byte)
                continue;
            changed[i] = (char)byte;
            assert_int_equal(tg_key_parse((tg_str_t){changed, TG_KEY_LEN}, &key), TG_INVALID);
        }
    }
}

static void any_other_length_is_refused(void **state)
{
    (void)state;
    tg_key_t key;
    char longer[TG_KEY_LEN + 2];
    memcpy(longer, known, TG_KEY_LEN);
    longer[TG_KEY_LEN] = '0';
    for (size_t len = 0; len < TG_KEY_LEN; len++)
        assert_int_equal(tg_key_parse((tg_str_t){known, len}, &key), TG_INVALID);
    assert_int_equal(tg_key_parse((tg_str_t){longer, TG_KEY_LEN + 1}, &key), TG_INVALID);
    assert_int_equal(tg_key_parse((tg_str_t){NULL, 0}, &key), TG_INVALID);
}

static void an_id_alone_is_twelve_base62_digits(void **state)
{
    (void)state;
    assert_true(tg_key_id_ok(TG_STR("0123456789ab")));
    assert_false(tg_key_id_ok(TG_STR("0123456789a")));
    assert_false(tg_key_id_ok(TG_STR("0123456789abc")));
    assert_false(tg_key_id_ok(TG_STR("0123456789a-")));
    assert_false(tg_key_id_ok((tg_str_t){NULL, 0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_generated_key_parses_to_the_same_id_and_digest),
        cmocka_unit_test(two_generated_keys_differ),
        cmocka_unit_test(a_known_key_has_the_known_checksum),
        cmocka_unit_test(any_single_changed_byte_is_refused),
        cmocka_unit_test(any_other_length_is_refused),
        cmocka_unit_test(an_id_alone_is_twelve_base62_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
