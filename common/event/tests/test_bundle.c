/* What is put into a bundle comes out of it; anything else is refused within its bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/event/bundle.h"

static tg_bundle_event_t event_of(const char *tenant, const char *key, const char *body)
{
    tg_bundle_event_t event = {.tenant = tg_str_from(tenant),
                               .retention_days = 36500,
                               .type = TG_STR("order"),
                               .idempotency_key = tg_str_from(key),
                               .body = tg_str_from(body)};
    tg_trace_start(&event.trace);
    return event;
}

static void events_come_out_as_they_went_in(void **state)
{
    (void)state;
    const tg_bundle_event_t given[] = {event_of("acme", "", "{\"a\":1}"),
                                       event_of("b", "key-1", "{}"), event_of("c", "", "")};
    tg_buf_t bytes = tg_buf_make(TG_BUNDLE_BYTES_MAX);
    for (size_t i = 0; i < TG_ARRAY_LEN(given); i++) {
        size_t before = bytes.len;
        tg_bundle_put_event(&given[i], &bytes);
        assert_int_equal(bytes.len - before, tg_bundle_event_size(&given[i]));
    }
    tg_str_t rest = tg_buf_view(&bytes);
    for (size_t i = 0; i < TG_ARRAY_LEN(given); i++) {
        tg_bundle_event_t event;
        assert_int_equal(tg_bundle_take_event(&rest, &event), TG_OK);
        assert_true(tg_str_eq(event.tenant, given[i].tenant));
        assert_true(tg_str_eq(event.type, given[i].type));
        assert_true(tg_str_eq(event.idempotency_key, given[i].idempotency_key));
        assert_true(tg_str_eq(event.body, given[i].body));
        assert_int_equal(event.retention_days, given[i].retention_days);
        assert_memory_equal(event.trace.trace_id, given[i].trace.trace_id, 16);
        assert_memory_equal(event.trace.span_id, given[i].trace.span_id, 8);
    }
    assert_int_equal(rest.len, 0);
    tg_buf_dispose(&bytes);
}

static void outcomes_come_out_as_they_went_in(void **state)
{
    (void)state;
    const tg_bundle_outcome_t given[] = {{.http_code = 202, .body = TG_STR("{\"event_id\":\"x\"}")},
                                         {.http_code = TG_BUNDLE_ALONE},
                                         {.http_code = 422,
                                          .code = TG_STR("missing_field"),
                                          .field = TG_STR("amount"),
                                          .message = TG_STR("amount is missing.")}};
    tg_buf_t bytes = tg_buf_make(4096);
    for (size_t i = 0; i < TG_ARRAY_LEN(given); i++)
        tg_bundle_put_outcome(&given[i], &bytes);
    tg_str_t rest = tg_buf_view(&bytes);
    for (size_t i = 0; i < TG_ARRAY_LEN(given); i++) {
        tg_bundle_outcome_t outcome;
        assert_int_equal(tg_bundle_take_outcome(&rest, &outcome), TG_OK);
        assert_int_equal(outcome.http_code, given[i].http_code);
        assert_true(tg_str_eq(outcome.code, given[i].code));
        assert_true(tg_str_eq(outcome.field, given[i].field));
        assert_true(tg_str_eq(outcome.message, given[i].message));
        assert_true(tg_str_eq(outcome.body, given[i].body));
    }
    assert_int_equal(rest.len, 0);
    tg_buf_dispose(&bytes);
}

/* From a copy of exactly that length, so that a sanitizer sees any byte read behind it. */
static tg_status_t take_from(const char *bytes, size_t len, bool is_event)
{
    char *copy = malloc(len);
    memcpy(copy, bytes, len);
    tg_str_t rest = {copy, len};
    tg_bundle_event_t event;
    tg_bundle_outcome_t outcome;
    tg_status_t status =
        is_event ? tg_bundle_take_event(&rest, &event) : tg_bundle_take_outcome(&rest, &outcome);
    free(copy);
    return status;
}

static void whatever_is_cut_short_is_refused(void **state)
{
    (void)state;
    const tg_bundle_event_t event = event_of("acme", "key", "{\"a\":1}");
    const tg_bundle_outcome_t outcome = {.http_code = 422,
                                         .code = TG_STR("c"),
                                         .field = TG_STR("f"),
                                         .message = TG_STR("m")};
    for (int is_event = 0; is_event < 2; is_event++) {
        tg_buf_t bytes = tg_buf_make(4096);
        if (is_event)
            tg_bundle_put_event(&event, &bytes);
        else
            tg_bundle_put_outcome(&outcome, &bytes);
        assert_int_equal(take_from(bytes.data, bytes.len, is_event), TG_OK);
        for (size_t len = 1; len < bytes.len; len++)
            assert_int_equal(take_from(bytes.data, len, is_event), TG_INVALID);
        tg_buf_dispose(&bytes);
    }
}

static void a_malformed_trace_is_refused(void **state)
{
    (void)state;
    const tg_bundle_event_t event = event_of("acme", "", "{}");
    tg_buf_t bytes = tg_buf_make(4096);
    tg_bundle_put_event(&event, &bytes);
    bytes.data[5 + 4 + 5] = 'z'; /* the first digit of the version */
    assert_int_equal(take_from(bytes.data, bytes.len, true), TG_INVALID);
    tg_buf_dispose(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_out_as_they_went_in),
        cmocka_unit_test(outcomes_come_out_as_they_went_in),
        cmocka_unit_test(whatever_is_cut_short_is_refused),
        cmocka_unit_test(a_malformed_trace_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
