/* Base64 in both directions, against the examples of RFC 4648 section 10. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/avro/value/base64.h"

static void bytes_and_text_stand_for_each_other(void **state)
{
    (void)state;
    static const struct {
        tg_str_t bytes;
        const char *text;
    } rows[] = {
        {{"", 0}, ""},
        {{"f", 1}, "Zg=="},
        {{"fo", 2}, "Zm8="},
        {{"foo", 3}, "Zm9v"},
        {{"foob", 4}, "Zm9vYg=="},
        {{"fooba", 5}, "Zm9vYmE="},
        {{"foobar", 6}, "Zm9vYmFy"},
        {{"\0\xff\x3e\xbf", 4}, "AP8+vw=="},
        {{"\xff\xff\xff", 3}, "////"},
    };
    tg_buf_t out = tg_buf_make(64);
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        tg_str_t text = tg_str_from(rows[i].text);
        tg_buf_clear(&out);
        tg_avro_base64_write(rows[i].bytes, &out);
        assert_int_equal(out.len, text.len + 2);
        assert_memory_equal(out.data + 1, text.ptr, text.len);
        assert_int_equal(out.data[0], '"');
        assert_int_equal(out.data[out.len - 1], '"');
        tg_buf_clear(&out);
        assert_int_equal(tg_avro_base64_len(text), rows[i].bytes.len);
        tg_avro_base64_read(text, &out);
        assert_int_equal(out.len, rows[i].bytes.len);
        assert_true(tg_str_eq(tg_buf_view(&out), rows[i].bytes));
    }
    tg_buf_dispose(&out);
}

static void a_second_text_for_the_same_bytes_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "Zg",     "Zg=",    "Zg===", "Zh==", "Zm9=",     "=",     "====",
        "Z===",   "Zg==\n", "Zm 9",  "Zm-_", "Zg==Zg==", "Zm9v=", "\xc3\xa9\xc3\xa9",
        "Zm9vYg", "Z=g=",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        if (tg_avro_base64_len(tg_str_from(rows[i])) != -1)
            fail_msg("\"%s\" was taken", rows[i]);
    }
}

static void what_does_not_fit_marks_the_buffer(void **state)
{
    (void)state;
    tg_buf_t out = tg_buf_make(5);
    tg_avro_base64_write(TG_STR("f"), &out);
    assert_true(out.failed);
    assert_int_equal(out.len, 0);
    tg_buf_dispose(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_and_text_stand_for_each_other),
        cmocka_unit_test(a_second_text_for_the_same_bytes_is_refused),
        cmocka_unit_test(what_does_not_fit_marks_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
