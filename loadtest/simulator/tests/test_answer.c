/* Nothing is acknowledged that the answer does not say so of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loadtest/simulator/answer.h"

#define ID       "0190e5a4-0000-7000-8000-000000000001"
#define ACCEPTED "{\"index\":0,\"status\":\"accepted\",\"event_id\":\"" ID "\"}"

static tg_json_parser_t *parser;

static int make_parser(void **state)
{
    (void)state;
    parser = tg_json_parser_create(4096, 8);
    return parser == NULL;
}

static int drop_parser(void **state)
{
    (void)state;
    tg_json_parser_destroy(parser);
    return 0;
}

static void each_item_gets_its_own_outcome(void **state)
{
    (void)state;
    tg_answer_item_t items[4];
    tg_str_t body = TG_STR(
        "{\"accepted\":1,\"items\":[" ACCEPTED ",{\"index\":3,\"status\":\"failed\",\"code\":"
        "\"kafka_unavailable\",\"message\":\"m\"},{\"index\":1,\"status\":\"duplicate\",\"of\":0,"
        "\"event_id\":\"" ID "\"},{\"index\":2,\"status\":\"rejected\",\"code\":\"too_old\"}]}");
    assert_int_equal(tg_answer_parse_batch(parser, body, 4, items), TG_OK);
    assert_int_equal(items[0].state, TG_ANSWER_ACCEPTED);
    assert_true(tg_str_eq(items[0].event_id, TG_STR(ID)));
    assert_int_equal(items[1].state, TG_ANSWER_DUPLICATE);
    assert_int_equal(items[2].state, TG_ANSWER_REJECTED);
    assert_true(tg_str_eq(items[2].code, TG_STR("too_old")));
    assert_int_equal(items[3].state, TG_ANSWER_FAILED);
}

static void a_malformed_answer_acknowledges_nothing(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"items\":{}}",
        "{\"items\":[]}",
        "{\"items\":[" ACCEPTED "," ACCEPTED "]}",
        "{\"items\":[1]}",
        "{\"items\":[{\"status\":\"accepted\",\"event_id\":\"" ID "\"}]}",
        "{\"items\":[{\"index\":1,\"status\":\"accepted\",\"event_id\":\"" ID "\"}]}",
        "{\"items\":[{\"index\":-1,\"status\":\"accepted\",\"event_id\":\"" ID "\"}]}",
        "{\"items\":[{\"index\":0,\"status\":\"accepted\",\"event_id\":\"x\"}]}",
        "{\"items\":[{\"index\":0,\"status\":\"accepted\"}]}",
        "{\"items\":[{\"index\":0,\"status\":\"perhaps\",\"event_id\":\"" ID "\"}]}",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(bodies); i++) {
        tg_answer_item_t items[1];
        if (tg_answer_parse_batch(parser, tg_str_from(bodies[i]), 1, items) != TG_INVALID)
            fail_msg("taken: %s", bodies[i]);
    }
}

static void an_answer_that_misses_an_item_is_malformed(void **state)
{
    (void)state;
    tg_answer_item_t items[2];
    assert_int_equal(tg_answer_parse_batch(parser, TG_STR("{\"items\":[" ACCEPTED "]}"), 2, items),
                     TG_INVALID);
}

static void a_single_answer_has_an_id(void **state)
{
    (void)state;
    tg_answer_item_t item;
    tg_str_t good = TG_STR("{\"event_id\":\"" ID "\",\"received_at\":\"2026-02-03T10:00:00Z\"}");
    assert_int_equal(tg_answer_parse_single(parser, good, &item), TG_OK);
    assert_true(tg_str_eq(item.event_id, TG_STR(ID)));
    assert_int_equal(tg_answer_parse_single(parser, TG_STR("{\"id\":1}"), &item), TG_INVALID);
    assert_int_equal(tg_answer_parse_single(parser, TG_STR("\"x\""), &item), TG_INVALID);
}

static void codes_are_found_in_both_shapes_of_errors(void **state)
{
    (void)state;
    assert_true(
        tg_str_eq(tg_answer_error_code(parser, TG_STR("{\"error\":{\"code\":\"too_old\"}}")),
                  TG_STR("too_old")));
    assert_true(tg_str_eq(tg_answer_error_code(parser, TG_STR("{\"code\":\"not_found\"}")),
                          TG_STR("not_found")));
    assert_int_equal(tg_answer_error_code(parser, TG_STR("<html>")).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_item_gets_its_own_outcome),
        cmocka_unit_test(a_malformed_answer_acknowledges_nothing),
        cmocka_unit_test(an_answer_that_misses_an_item_is_malformed),
        cmocka_unit_test(a_single_answer_has_an_id),
        cmocka_unit_test(codes_are_found_in_both_shapes_of_errors),
    };
    return cmocka_run_group_tests(tests, make_parser, drop_parser);
}
