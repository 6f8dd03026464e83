/* Per-item results: their states, the HTTP code, the JSON. */
#include "ingestion/batch/results.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define RECEIVED_AT INT64_C(1770112800123456) /* 2026-02-03T10:00:00.123456Z */
#define ID          "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"

static tg_uuid_t some_id(void)
{
    tg_uuid_t id;
    assert_int_equal(tg_uuid_parse(TG_STR(ID), &id), TG_OK);
    return id;
}

static void expect_json(tg_result_t *results, size_t count, const char *texts, const char *want)
{
    tg_results_summary_t summary = tg_results_settle(results, count);
    tg_buf_t out = tg_buf_make(1 << 20);
    tg_results_write(results, count, &summary, texts, RECEIVED_AT, &out);
    assert_false(out.failed);
    tg_buf_byte(&out, '\0');
    assert_string_equal(out.data, want);
    tg_buf_dispose(&out);
}

static void each_state_has_its_form(void **state)
{
    (void)state;
    tg_result_t results[] = {
        {.state = TG_RESULT_ACCEPTED, .id = some_id()},
        {.state = TG_RESULT_DUPLICATE, .original = 0, .id = some_id()},
        {.state = TG_RESULT_REJECTED,
         .code = "wrong_type",
         .text = 2,
         .field_len = 6,
         .message_len = 5},
        {.state = TG_RESULT_REJECTED, .code = "invalid_event", .text = 8, .message_len = 5},
        {.state = TG_RESULT_FAILED, .code = "kafka_unavailable"},
        {.state = TG_RESULT_DEAD_LETTERED,
         .id = some_id(),
         .code = "wrong_type",
         .text = 2,
         .field_len = 6,
         .message_len = 5},
        {.state = TG_RESULT_WITHHELD},
    };
    expect_json(
        results, TG_ARRAY_LEN(results), "..amounta\"b\nc",
        "{\"accepted\":1,\"duplicate\":1,\"rejected\":2,\"failed\":1,\"dead_lettered\":1,"
        "\"withheld\":1,\"items\":["
        "{\"index\":0,\"status\":\"accepted\",\"event_id\":\"" ID
        "\",\"received_at\":\"2026-02-03T10:00:00.123456Z\"},"
        "{\"index\":1,\"status\":\"duplicate\",\"of\":0,\"event_id\":\"" ID
        "\",\"received_at\":\"2026-02-03T10:00:00.123456Z\"},"
        "{\"index\":2,\"status\":\"rejected\",\"code\":\"wrong_type\",\"field\":\"amount\","
        "\"message\":\"a\\\"b\\nc\"},"
        "{\"index\":3,\"status\":\"rejected\",\"code\":\"invalid_event\",\"message\":"
        "\"a\\\"b\\nc\"},"
        "{\"index\":4,\"status\":\"failed\",\"code\":\"kafka_unavailable\",\"message\":\"Kafka did "
        "not acknowledge the event; retry with the same id.\"},"
        "{\"index\":5,\"status\":\"dead_lettered\",\"dead_letter_id\":\"" ID
        "\",\"code\":\"wrong_type\",\"field\":\"amount\",\"message\":\"a\\\"b\\nc\"},"
        "{\"index\":6,\"status\":\"withheld\"}]}");
}

static void a_rejected_item_without_room_for_its_text_keeps_its_code(void **state)
{
    (void)state;
    tg_result_t results[] = {{.state = TG_RESULT_REJECTED, .code = "wrong_type"}};
    expect_json(
        results, 1, NULL,
        "{\"accepted\":0,\"duplicate\":0,\"rejected\":1,\"failed\":0,\"dead_lettered\":0,"
        "\"withheld\":0,\"items\":["
        "{\"index\":0,\"status\":\"rejected\",\"code\":\"wrong_type\",\"message\":\"Refused; "
        "there are too many errors in this request to tell each.\"}]}");
}

static void a_duplicate_shares_the_fate_of_its_original(void **state)
{
    (void)state;
    tg_result_t results[] = {
        {.state = TG_RESULT_FAILED, .code = "overloaded"},
        {.state = TG_RESULT_DUPLICATE, .original = 0},
    };
    tg_results_summary_t summary = tg_results_settle(results, 2);
    assert_int_equal(summary.failed, 2);
    assert_int_equal(summary.duplicate, 0);
    assert_string_equal(results[1].code, "overloaded");
}

static void the_code_is_decided_by_the_best_item(void **state)
{
    (void)state;
    const tg_results_summary_t some = {.accepted = 1, .rejected = 1, .failed = 1};
    const tg_results_summary_t none = {.rejected = 1, .failed = 1};
    const tg_results_summary_t invalid = {.rejected = 1, .withheld = 1};
    const tg_results_summary_t buried = {.dead_lettered = 1};
    assert_int_equal(tg_results_http_code(&some, false), 202);
    assert_int_equal(tg_results_http_code(&some, true), 503);
    assert_int_equal(tg_results_http_code(&none, false), 503);
    assert_int_equal(tg_results_http_code(&invalid, true), 422);
    assert_int_equal(tg_results_http_code(&buried, false), 202);
}

static void ten_thousand_items_are_one_valid_body(void **state)
{
    (void)state;
    enum { COUNT = 10000 };
    tg_result_t *results = calloc(COUNT, sizeof(*results));
    for (size_t i = 0; i < COUNT; i++)
        results[i] = (tg_result_t){.state = TG_RESULT_ACCEPTED, .id = some_id()};
    tg_results_summary_t summary = tg_results_settle(results, COUNT);
    tg_buf_t out = tg_buf_make((size_t)256 * COUNT);
    tg_results_write(results, COUNT, &summary, NULL, RECEIVED_AT, &out);
    assert_false(out.failed);
    tg_str_t tail = {out.data + out.len - 2, 2};
    assert_true(tg_str_eq(tail, TG_STR("]}")));
    assert_non_null(memmem(out.data, out.len, "{\"index\":9999,", 14));
    tg_buf_dispose(&out);
    free(results);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_state_has_its_form),
        cmocka_unit_test(a_rejected_item_without_room_for_its_text_keeps_its_code),
        cmocka_unit_test(a_duplicate_shares_the_fate_of_its_original),
        cmocka_unit_test(the_code_is_decided_by_the_best_item),
        cmocka_unit_test(ten_thousand_items_are_one_valid_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
