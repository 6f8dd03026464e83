/* traceparent by the W3C rules: what is accepted, what is refused, what is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/observe/trace.h"

static const char example[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

static void a_header_survives_the_way_in_and_out(void **state)
{
    (void)state;
    tg_trace_t trace;
    char out[TG_TRACE_TEXT_LEN + 1] = {0};
    assert_int_equal(tg_trace_parse(tg_str_from(example), &trace), TG_OK);
    assert_int_equal(trace.trace_id[0], 0x4b);
    assert_int_equal(trace.span_id[7], 0xb7);
    assert_int_equal(trace.flags, 1);
    tg_trace_format(&trace, out);
    assert_string_equal(out, example);
}

static void malformed_headers_are_refused(void **state)
{
    (void)state;
    const char *const bad[] = {
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
        "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        tg_trace_t trace = {.flags = 9};
        if (tg_trace_parse(tg_str_from(bad[i]), &trace) != TG_INVALID)
            fail_msg("accepted: %s", bad[i]);
        assert_int_equal(trace.flags, 9);
    }
}

static void a_later_version_may_be_longer(void **state)
{
    (void)state;
    tg_trace_t trace;
    assert_int_equal(
        tg_trace_parse(TG_STR("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what"),
                       &trace),
        TG_OK);
    assert_int_equal(
        tg_trace_parse(TG_STR("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), &trace),
        TG_OK);
}

static void a_child_keeps_the_trace_and_gets_a_span(void **state)
{
    (void)state;
    tg_trace_t root, child, other;
    tg_trace_start(&root);
    tg_trace_start(&other);
    assert_int_equal(root.flags, 0);
    assert_memory_not_equal(root.trace_id, other.trace_id, sizeof(root.trace_id));
    root.flags = 1;
    tg_trace_child(&root, &child);
    assert_memory_equal(root.trace_id, child.trace_id, sizeof(root.trace_id));
    assert_memory_not_equal(root.span_id, child.span_id, sizeof(root.span_id));
    assert_int_equal(child.flags, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_survives_the_way_in_and_out),
        cmocka_unit_test(malformed_headers_are_refused),
        cmocka_unit_test(a_later_version_may_be_longer),
        cmocka_unit_test(a_child_keeps_the_trace_and_gets_a_span),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
