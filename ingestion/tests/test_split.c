/* Cutting batch bodies into items. */
#include "ingestion/body/split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct seen {
    size_t count, limit;
    char items[8][64];
};

static tg_status_t on_item(void *arg, tg_str_t item)
{
    struct seen *seen = arg;
    if (seen->count == seen->limit)
        return TG_TOO_LARGE;
    if (seen->count < TG_ARRAY_LEN(seen->items))
        (void)snprintf(seen->items[seen->count], 64, TG_STR_FMT, TG_STR_ARG(item));
    seen->count++;
    return TG_OK;
}

/* From a heap block of exactly that size, so that reading beyond it is caught. */
static tg_status_t cut(bool lines, const char *text, struct seen *seen)
{
    tg_error_t error = {.status = TG_OK};
    size_t len = strlen(text);
    char *body = malloc(len + (len == 0));
    for (size_t i = 0; i < len; i++)
        body[i] = text[i];
    *seen = (struct seen){.limit = 1000000};
    tg_str_t view = {body, len};
    tg_status_t status =
        lines ? tg_split_lines(view, on_item, seen) : tg_split_array(view, on_item, seen, &error);
    assert_true(status == TG_OK || lines || error.text[0] != '\0');
    free(body);
    return status;
}

static void elements_of_an_array_come_in_order(void **state)
{
    (void)state;
    struct seen seen;
    assert_int_equal(cut(false, " [ {\"a\":[1,{\"b\":2}]} ,\n2,\"x,]y\"] ", &seen), TG_OK);
    assert_int_equal(seen.count, 3);
    assert_string_equal(seen.items[0], "{\"a\":[1,{\"b\":2}]}");
    assert_string_equal(seen.items[1], "2");
    assert_string_equal(seen.items[2], "\"x,]y\"");
}

static void quotes_and_backslashes_inside_strings_do_not_end_them(void **state)
{
    (void)state;
    struct seen seen;
    assert_int_equal(cut(false, "[\"a\\\"],\",\"b\\\\\",\"\\\\\\\"]\"]", &seen), TG_OK);
    assert_int_equal(seen.count, 3);
    assert_string_equal(seen.items[0], "\"a\\\"],\"");
    assert_string_equal(seen.items[1], "\"b\\\\\"");
    assert_string_equal(seen.items[2], "\"\\\\\\\"]\"");
}

static void an_empty_array_has_no_items(void **state)
{
    (void)state;
    struct seen seen;
    assert_int_equal(cut(false, "[]", &seen), TG_OK);
    assert_int_equal(seen.count, 0);
    assert_int_equal(cut(false, " [ \n] ", &seen), TG_OK);
    assert_int_equal(seen.count, 0);
}

static void a_broken_array_is_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",           " ",    "{}",        "1",           "[",        "[1",       "[1,",
        "[,1]",       "[1,]", "[1,,2]",    "[1}",         "[1]]",     "[1] 2",    "[\"abc]",
        "[{\"a\":1]", "]",    "[\"a\\\"]", "[{\"a\":[}]", "nonsense", "[1]\n[2]", "\xef\xbb\xbf[]",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(bodies); i++) {
        struct seen seen;
        assert_int_equal(cut(false, bodies[i], &seen), TG_INVALID);
    }
}

static void deep_nesting_costs_no_stack(void **state)
{
    (void)state;
    size_t depth = 100000;
    char *body = malloc(2 * depth);
    memset(body, '[', depth);
    memset(body + depth, ']', depth);
    struct seen seen = {.limit = 10};
    tg_error_t error;
    assert_int_equal(tg_split_array((tg_str_t){body, 2 * depth}, on_item, &seen, &error), TG_OK);
    assert_int_equal(seen.count, 1);
    seen.count = 0;
    assert_int_equal(tg_split_array((tg_str_t){body, depth}, on_item, &seen, &error), TG_INVALID);
    free(body);
}

static void the_callback_can_end_the_walk(void **state)
{
    (void)state;
    struct seen seen = {.limit = 2};
    tg_error_t error;
    assert_int_equal(tg_split_array(TG_STR("[1,2,3]"), on_item, &seen, &error), TG_TOO_LARGE);
    seen.count = 0;
    assert_int_equal(tg_split_lines(TG_STR("1\n2\n3"), on_item, &seen), TG_TOO_LARGE);
}

static void lines_are_trimmed_and_blank_ones_skipped(void **state)
{
    (void)state;
    struct seen seen;
    assert_int_equal(cut(true, "{\"a\":1}\r\n\n  \t\n {\"b\":2} \n3", &seen), TG_OK);
    assert_int_equal(seen.count, 3);
    assert_string_equal(seen.items[0], "{\"a\":1}");
    assert_string_equal(seen.items[1], "{\"b\":2}");
    assert_string_equal(seen.items[2], "3");
    assert_int_equal(cut(true, "", &seen), TG_OK);
    assert_int_equal(seen.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_of_an_array_come_in_order),
        cmocka_unit_test(quotes_and_backslashes_inside_strings_do_not_end_them),
        cmocka_unit_test(an_empty_array_has_no_items),
        cmocka_unit_test(a_broken_array_is_refused),
        cmocka_unit_test(deep_nesting_costs_no_stack),
        cmocka_unit_test(the_callback_can_end_the_walk),
        cmocka_unit_test(lines_are_trimmed_and_blank_ones_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
