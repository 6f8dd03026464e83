/* The split of a head: what it finds, what it says is wrong, and that pieces make no difference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/http/head.h"

static tg_http_header_t fields[4];

/* From memory of exactly this size, so that a sanitizer sees a read beyond it. */
static tg_head_state_t split(const char *text, size_t len, size_t seen, tg_head_t *head)
{
    char *exact = malloc(len + 1);
    assert_non_null(exact);
    memmove(exact + 1, text, len);
    *head = (tg_head_t){.fields = fields, .room = TG_ARRAY_LEN(fields)};
    tg_head_state_t state = tg_head_split(exact + 1, len, seen, head);
    free(exact);
    return state;
}

static void a_head_is_its_first_line_and_its_fields(void **state)
{
    (void)state;
    static const char text[] = "GET / HTTP/1.1\r\nA:1\r\nb-C: \t x y\t \r\nD:\r\n\r\nbody\n\r\n";
    tg_head_t head = {.fields = fields, .room = TG_ARRAY_LEN(fields)};
    assert_int_equal(tg_head_split(text, sizeof(text) - 1, 0, &head), TG_HEAD_WHOLE);
    assert_int_equal(head.len, strstr(text, "body") - text);
    assert_true(tg_str_eq(head.line, TG_STR("GET / HTTP/1.1")));
    assert_int_equal(head.count, 3);
    assert_true(tg_str_eq(fields[0].name, TG_STR("A")));
    assert_true(tg_str_eq(fields[0].value, TG_STR("1")));
    assert_true(tg_str_eq(fields[1].name, TG_STR("b-C")));
    assert_true(tg_str_eq(fields[1].value, TG_STR("x y")));
    assert_true(tg_str_eq(fields[2].name, TG_STR("D")));
    assert_int_equal(fields[2].value.len, 0);
}

static void a_head_may_have_no_field(void **state)
{
    (void)state;
    tg_head_t head;
    assert_int_equal(split("x\r\n\r\n", 5, 0, &head), TG_HEAD_WHOLE);
    assert_int_equal(head.count, 0);
    assert_int_equal(head.len, 5);
    assert_int_equal(split("\r\n\r\n", 4, 0, &head), TG_HEAD_WHOLE);
    assert_int_equal(head.line.len, 0);
}

static void what_is_wrong_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        tg_head_state_t wanted;
    } cases[] = {
        {"", TG_HEAD_MORE},
        {"\r", TG_HEAD_MORE},
        {"x", TG_HEAD_MORE},
        {"x\r\n", TG_HEAD_MORE},
        {"x\r\n\r", TG_HEAD_MORE},
        {"x\r\na b\r\n", TG_HEAD_MORE}, /* fields are judged when all are there */
        {"\n", TG_HEAD_LINE_END},
        {"x\n", TG_HEAD_LINE_END},
        {"x\ry", TG_HEAD_LINE_END},
        {"x\r\r\n\r\n", TG_HEAD_LINE_END},
        {"x\r\n\n", TG_HEAD_LINE_END},
        {"x\r\na: b\n\r\n", TG_HEAD_LINE_END},
        {"\x01", TG_HEAD_CONTROL},
        {"x\x7f", TG_HEAD_CONTROL},
        {"x\r\na: \x1f\r\n\r\n", TG_HEAD_CONTROL},
        {"x\r\n a: b\r\n\r\n", TG_HEAD_FOLD},
        {"x\r\na: b\r\n\tc\r\n\r\n", TG_HEAD_FOLD},
        {"x\r\n: b\r\n\r\n", TG_HEAD_NAME},
        {"x\r\na\r\n\r\n", TG_HEAD_NAME},
        {"x\r\na : b\r\n\r\n", TG_HEAD_NAME},
        {"x\r\n\xc3\xa4: b\r\n\r\n", TG_HEAD_NAME},
        {"x\r\na:\r\nb:\r\nc:\r\nd:\r\n\r\n", TG_HEAD_WHOLE},
        {"x\r\na:\r\nb:\r\nc:\r\nd:\r\ne:\r\n\r\n", TG_HEAD_FIELDS},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        tg_head_t head;
        tg_head_state_t got = split(cases[i].text, strlen(cases[i].text), 0, &head);
        if (got != cases[i].wanted)
            fail_msg("%d instead of %d for: %s", got, cases[i].wanted, cases[i].text);
    }
}

static void pieces_make_no_difference(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "GET / HTTP/1.1\r\nA: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nA: 1\n\r\n",
        "GET / HTTP/1.1\r\nA: \x02\r\n\r\n",
        "GET / HTTP/1.1\r\n\n",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(texts); i++) {
        const size_t len = strlen(texts[i]);
        tg_head_t head;
        const tg_head_state_t whole = split(texts[i], len, 0, &head);
        for (size_t cut = 0; cut < len; cut++) {
            tg_head_state_t got = split(texts[i], cut, 0, &head);
            if (got == TG_HEAD_MORE)
                got = split(texts[i], len, cut, &head);
            assert_int_equal(got, whole);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_its_first_line_and_its_fields),
        cmocka_unit_test(a_head_may_have_no_field),
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(pieces_make_no_difference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
