/* The node array, the limits, and what a refusal says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/json/json.h"

static int open_parser(void **state)
{
    *state = tg_json_parser_create(1 << 20, 32);
    return *state == NULL;
}

static int close_parser(void **state)
{
    tg_json_parser_destroy(*state);
    return 0;
}

static const tg_json_node_t *parse(void **state, const char *text, size_t *out_count)
{
    const tg_json_node_t *nodes = NULL;
    tg_error_t error = {0};
    if (tg_json_parse(*state, tg_str_from(text), &nodes, out_count, &error) != TG_OK)
        fail_msg("%s: %s", text, error.text);
    return nodes;
}

static void nodes_stand_in_document_order_with_their_extent(void **state)
{
    size_t count;
    const tg_json_node_t *n = parse(state, "{\"a\":[1,{\"b\":null}],\"c\":\"x\"}", &count);
    assert_int_equal(count, 6);
    assert_int_equal(n[0].type, TG_JSON_OBJECT);
    assert_int_equal(n[0].count, 2);
    assert_int_equal(n[0].next, 6);
    assert_int_equal(n[1].type, TG_JSON_ARRAY);
    assert_true(tg_str_eq(n[1].key, TG_STR("a")));
    assert_int_equal(n[1].count, 2);
    assert_int_equal(n[1].next, 5);
    assert_int_equal(n[2].value.integer, 1);
    assert_int_equal(n[2].key.len, 0);
    assert_int_equal(n[3].type, TG_JSON_OBJECT);
    assert_int_equal(n[4].type, TG_JSON_NULL);
    assert_true(tg_str_eq(n[4].key, TG_STR("b")));
    assert_true(tg_str_eq(n[5].value.text, TG_STR("x")));
}

static void numbers_keep_their_kind(void **state)
{
    size_t count;
    const tg_json_node_t *n =
        parse(state,
              "[9223372036854775807,9223372036854775808,-9223372036854775808,1.0,-0.0,1e308]",
              &count);
    assert_int_equal(n[1].type, TG_JSON_INT);
    assert_int_equal(n[1].value.integer, INT64_MAX);
    assert_int_equal(n[2].type, TG_JSON_UINT);
    assert_int_equal(n[2].value.uinteger, UINT64_C(1) << 63);
    assert_int_equal(n[3].value.integer, INT64_MIN);
    assert_int_equal(n[4].type, TG_JSON_DOUBLE);
    assert_int_equal(n[6].type, TG_JSON_DOUBLE);
}

static void text_is_unescaped_and_may_hold_nul(void **state)
{
    size_t count;
    const tg_json_node_t *n =
        parse(state, "[\"a\\u0000b\\n\\ud83d\\ude00\",\"\",\"\\\\\"]", &count);
    assert_true(tg_str_eq(n[1].value.text, TG_STR("a\0b\n\xf0\x9f\x98\x80")));
    assert_int_equal(n[2].value.text.len, 0);
    assert_true(tg_str_eq(n[3].value.text, TG_STR("\\")));
}

static void scalars_are_documents_too(void **state)
{
    static const char *const texts[] = {"null", "true", " false ", "-1", "\"x\"", "[]", "{}"};
    for (size_t i = 0; i < TG_ARRAY_LEN(texts); i++) {
        size_t count;
        parse(state, texts[i], &count);
        assert_int_equal(count, 1);
    }
}

static void what_was_parsed_is_written_back_compactly(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {" { \"a\" : [ 1 , 2.5 , { } , [ ] ] , \"b\" : { \"c\" : null } } ",
         "{\"a\":[1,2.5,{},[]],\"b\":{\"c\":null}}"},
        {"[true,false,18446744073709551615,-3,\"\\\"\\u0001\"]",
         "[true,false,18446744073709551615,-3,\"\\\"\\u0001\"]"},
        {"[-0.0,0.0,-0]", "[-0.0,0,0]"},
        {"{}", "{}"},
        {"5", "5"},
        {"[[[[1],2],3],4]", "[[[[1],2],3],4]"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        size_t count;
        const tg_json_node_t *n = parse(state, rows[i].in, &count);
        tg_buf_t out = tg_buf_make(4096);
        tg_json_write(n, 0, &out);
        assert_true(tg_str_eq(tg_buf_view(&out), tg_str_from(rows[i].out)));
        tg_buf_dispose(&out);
    }
}

static void a_part_is_written_without_its_name(void **state)
{
    size_t count;
    const tg_json_node_t *n = parse(state, "{\"a\":{\"b\":[1]},\"c\":2}", &count);
    tg_buf_t out = tg_buf_make(4096);
    tg_json_write(n, 1, &out);
    assert_true(tg_str_eq(tg_buf_view(&out), TG_STR("{\"b\":[1]}")));
    tg_buf_dispose(&out);
}

static void a_refusal_names_the_member_it_stands_in(void **state)
{
    static const struct {
        tg_str_t in, member;
    } rows[] = {
        {TG_STR("{\"a\":1,\"amount\":1e999}"), TG_STR("amount")},
        {TG_STR("{\"a\":1,\"user\":\"\\ud800\"}"), TG_STR("user")},
        {TG_STR("{\"a\":1,\"user\":\"x\xff\",\"b\":2}"), TG_STR("user")},
        {TG_STR("{\"a\":1,\"user\":NaN}"), TG_STR("user")},
        {TG_STR("[1e999]"), {NULL, 0}},
    };
    tg_json_parser_t *parser = *state;
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        const tg_json_node_t *nodes;
        size_t count;
        tg_error_t error;
        assert_int_equal(tg_json_parse(parser, rows[i].in, &nodes, &count, &error), TG_INVALID);
        assert_true(tg_str_eq(tg_json_blamed(parser), rows[i].member));
    }
    const tg_json_node_t *nodes;
    size_t count;
    assert_int_equal(tg_json_parse(parser, TG_STR("{}"), &nodes, &count, NULL), TG_OK);
    assert_int_equal(tg_json_blamed(parser).len, 0);
}

static void refusals_say_where_and_why(void **state)
{
    static const struct {
        tg_str_t text;
        const char *words;
    } rows[] = {
        {TG_STR(""), "text ends early at byte 0"},
        {TG_STR("  "), "text ends early at byte 2"},
        {TG_STR("{"), "text ends early at byte 1"},
        {TG_STR("[1,]"), "no JSON value at byte 3"},
        {TG_STR("[1 2]"), "expected a comma or the container's end at byte"},
        {TG_STR("{\"a\" 1}"), "expected a colon"},
        {TG_STR("{a:1}"), "expected a member name in quotes at byte 1"},
        {TG_STR("{\"a\":NaN}"), "no JSON value at byte 5, at or after member \"a\""},
        {TG_STR("{\"a\":Infinity}"), "no JSON value at byte 5, at or after member \"a\""},
        {TG_STR("{\"amount\":1e999}"),
         "number out of range at byte 10, at or after member \"amount\""},
        {TG_STR("{\"n\":18446744073709551616}"), "number out of range at byte 5"},
        {TG_STR("{\"n\":-9223372036854775809}"), "number out of range at byte 5"},
        {TG_STR("[01]"), "leading zero"},
        {TG_STR("[1.]"), "without a digit"},
        {TG_STR("[-]"), "without a digit"},
        {TG_STR("[\"\\x\"]"), "unknown escape"},
        {TG_STR("[\"\\u12g4\"]"), "four hex digits"},
        {TG_STR("{\"u\":\"\\ud800\"}"),
         "lone surrogate in a string at byte 6, at or after member \"u\""},
        {TG_STR("[\"\\udc00\"]"), "lone surrogate"},
        {TG_STR("[\"\\ud800\\u0041\"]"), "lone surrogate"},
        {TG_STR("[\"a\tb\"]"), "control character"},
        {TG_STR("[\"a"), "string without an end"},
        {TG_STR("[\"\xff\"]"), "not UTF-8 at byte 2"},
        {TG_STR("[\"\xed\xa0\x80\"]"), "not UTF-8 at byte 2"},
        {TG_STR("1 2"), "text behind the JSON value"},
        {TG_STR("1\0"), "text behind the JSON value"},
        {TG_STR("}"), "no JSON value at byte 0"},
        {TG_STR("[}"), "no JSON value at byte 1"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        const tg_json_node_t *nodes = NULL;
        size_t count;
        tg_error_t error = {0};
        assert_int_equal(tg_json_parse(*state, rows[i].text, &nodes, &count, &error), TG_INVALID);
        if (strstr(error.text, rows[i].words) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].text.ptr, error.text, rows[i].words);
        assert_null(nodes);
    }
}

static void depth_and_size_are_limited(void **state)
{
    enum { LEVELS = 100000 };
    char *text = malloc((1 << 20) + 1);
    const tg_json_node_t *nodes;
    size_t count;
    tg_error_t error = {0};
    memset(text, '[', LEVELS);
    memset(text + LEVELS, ']', LEVELS);
    assert_int_equal(tg_json_parse(*state, (tg_str_t){text, (size_t)2 * LEVELS}, &nodes, &count,
                                   &error),
                     TG_TOO_LARGE);
    assert_non_null(strstr(error.text, "32 levels"));
    assert_int_equal(tg_json_parse(*state, (tg_str_t){text, LEVELS}, &nodes, &count, &error),
                     TG_TOO_LARGE);
    for (size_t depth = 30; depth <= 34; depth++) {
        tg_str_t nested = {text + LEVELS - depth, 2 * depth};
        tg_status_t status = tg_json_parse(*state, nested, &nodes, &count, &error);
        assert_int_equal(status, depth <= 32 ? TG_OK : TG_TOO_LARGE);
    }
    memset(text, ' ', (1 << 20) + 1);
    text[0] = '1';
    assert_int_equal(tg_json_parse(*state, (tg_str_t){text, 1 << 20}, &nodes, &count, &error),
                     TG_OK);
    assert_int_equal(tg_json_parse(*state, (tg_str_t){text, (1 << 20) + 1}, &nodes, &count, &error),
                     TG_TOO_LARGE);
    free(text);
}

static void the_parser_recovers_after_large_and_bad_documents(void **state)
{
    (void)state;
    tg_json_parser_t *parser = tg_json_parser_create((size_t)8 << 20, 4);
    size_t len = (size_t)6 << 20, count;
    char *text = malloc(len);
    const tg_json_node_t *nodes;
    memset(text, '1', len);
    for (size_t i = 1; i < len; i += 2)
        text[i] = ',';
    text[0] = '[';
    text[len - 1] = ']';
    assert_int_equal(tg_json_parse(parser, (tg_str_t){text, len}, &nodes, &count, NULL),
                     TG_INVALID);
    text[1] = ' ';
    assert_int_equal(tg_json_parse(parser, (tg_str_t){text, len}, &nodes, &count, NULL), TG_OK);
    assert_int_equal(count, len / 2);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tg_json_parse(parser, TG_STR("[1,"), &nodes, &count, NULL), TG_INVALID);
        assert_int_equal(tg_json_parse(parser, TG_STR("[1,2]"), &nodes, &count, NULL), TG_OK);
        assert_int_equal(count, 3);
    }
    free(text);
    tg_json_parser_destroy(parser);
    tg_json_parser_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_stand_in_document_order_with_their_extent),
        cmocka_unit_test(numbers_keep_their_kind),
        cmocka_unit_test(text_is_unescaped_and_may_hold_nul),
        cmocka_unit_test(scalars_are_documents_too),
        cmocka_unit_test(what_was_parsed_is_written_back_compactly),
        cmocka_unit_test(a_part_is_written_without_its_name),
        cmocka_unit_test(a_refusal_names_the_member_it_stands_in),
        cmocka_unit_test(refusals_say_where_and_why),
        cmocka_unit_test(depth_and_size_are_limited),
        cmocka_unit_test(the_parser_recovers_after_large_and_bad_documents),
    };
    return cmocka_run_group_tests(tests, open_parser, close_parser);
}
