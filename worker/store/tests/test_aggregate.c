/* Deltas of one transaction: exact per key, and in the order of locks. */
#include "worker/store/aggregate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "worker/store/tests/rows.h"

#define ROWS   1000
#define MINUTE TG_US_PER_MINUTE

static tg_aggregate_t *aggregate;

static int start(void **state)
{
    (void)state;
    aggregate = tg_aggregate_create(ROWS);
    return aggregate == NULL ? -1 : 0;
}

static int stop(void **state)
{
    (void)state;
    tg_aggregate_destroy(aggregate);
    return 0;
}

static void add(const tg_row_t *row)
{
    assert_int_equal(tg_aggregate_add(aggregate, row), TG_OK);
}

static void a_minute_counts_sums_and_bounds_its_rows(void **state)
{
    (void)state;
    size_t count = 0;
    char text[TG_DECIMAL_TEXT_MAX];
    tg_row_t rows[] = {tg_test_row_value("t", "order", "USD", "web", 1, 5 * MINUTE, 3.5),
                       tg_test_row_value("t", "order", "USD", "web", 2, 6 * MINUTE - 1, -1.25),
                       tg_test_row("t", "order", "USD", "web", 3, 5 * MINUTE)};
    for (size_t i = 0; i < 3; i++)
        add(&rows[i]);
    const tg_minute_t *const *minutes = tg_aggregate_minutes(aggregate, &count);
    assert_int_equal(count, 1);
    assert_int_equal(minutes[0]->bucket, 5 * MINUTE);
    assert_int_equal(minutes[0]->count, 3);
    assert_int_equal(minutes[0]->value_count, 2);
    assert_true(minutes[0]->min == -1.25);
    assert_true(minutes[0]->max == 3.5);
    tg_decimal_format(&minutes[0]->sum, text);
    assert_string_equal(text, "2.25");
}

static void series_that_differ_in_one_part_stay_apart(void **state)
{
    (void)state;
    size_t count = 0;
    tg_aggregate_reset(aggregate);
    tg_row_t rows[] = {tg_test_row("a", "b", "c", "d", 1, 0),
                       tg_test_row("ab", "", "c", "d", 2, 0),
                       tg_test_row("a", "b", "cd", "", 3, 0),
                       tg_test_row("a", "bc", "", "d", 4, 0),
                       tg_test_row("a", "b", "c", "dd", 5, 0),
                       tg_test_row("a", "b", "c", "d", 6, MINUTE)};
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++)
        add(&rows[i]);
    (void)tg_aggregate_minutes(aggregate, &count);
    assert_int_equal(count, TG_ARRAY_LEN(rows));
}

static void minutes_come_in_the_order_of_their_key(void **state)
{
    (void)state;
    static tg_row_t rows[ROWS];
    size_t count = 0;
    char kind[2] = "a", entity[3] = "aa";
    tg_aggregate_reset(aggregate);
    srandom(3);
    for (unsigned i = 0; i < ROWS; i++) {
        kind[0] = (char)('a' + random() % 3);
        entity[0] = (char)('a' + random() % 5);
        entity[1] = random() % 2 == 0 ? '\0' : 'z';
        rows[i] = tg_test_row(random() % 2 == 0 ? "t" : "t-1", "x", kind, entity, i,
                              random() % 4 * MINUTE);
        add(&rows[i]);
    }
    const tg_minute_t *const *minutes = tg_aggregate_minutes(aggregate, &count);
    assert_in_range(count, 100, ROWS);
    int64_t total = minutes[0]->count;
    for (size_t i = 1; i < count; i++) {
        const tg_row_t *a = minutes[i - 1]->row, *b = minutes[i]->row;
        int order = tg_str_cmp(a->tenant, b->tenant);
        if (order == 0)
            order = minutes[i - 1]->bucket < minutes[i]->bucket
                        ? -1
                        : minutes[i - 1]->bucket > minutes[i]->bucket;
        if (order == 0)
            order = tg_str_cmp(a->kind, b->kind);
        if (order == 0)
            order = tg_str_cmp(a->entity, b->entity);
        assert_true(order < 0);
        total += minutes[i]->count;
    }
    assert_int_equal(total, ROWS);
}

static void states_and_hours_are_collected_once_each(void **state)
{
    (void)state;
    size_t count = 0;
    tg_row_t rows[4];
    tg_aggregate_reset(aggregate);
    for (unsigned i = 0; i < 4; i++) {
        rows[i] = tg_test_row("t", "stream", "viewer_join", i % 2 == 0 ? "s2" : "s1", i,
                              (int64_t)i * 25 * MINUTE);
        rows[i].state = TG_STR("active_viewers");
        rows[i].delta = i == 3 ? -2 : 1;
        add(&rows[i]);
    }
    const tg_state_delta_t *const *states = tg_aggregate_states(aggregate, &count);
    assert_int_equal(count, 2);
    assert_memory_equal(states[0]->row->entity.ptr, "s1", 2);
    assert_int_equal(states[0]->delta, -1);
    assert_int_equal(states[1]->delta, 2);
    const tg_hour_t *const *hours = tg_aggregate_hours(aggregate, &count);
    assert_int_equal(count, 2);
    assert_int_equal(hours[1]->hour, 60 * MINUTE);
}

static void rows_of_ended_hours_are_late_unless_they_come_in_bulk(void **state)
{
    (void)state;
    size_t count = 0;
    static tg_row_t rows[40];
    tg_aggregate_reset(aggregate);
    for (unsigned i = 0; i < TG_ARRAY_LEN(rows); i++) {
        /* hour 0: one row without and two with a value; hour 1: bulk; hour 2: not ended */
        int64_t at = i < 3 ? 0 : i < 38 ? 60 * MINUTE : 120 * MINUTE;
        rows[i] = i == 0 ? tg_test_row("t", "order", "", "", i, at)
                         : tg_test_row_value("t", "order", "", "", i, at, i);
        add(&rows[i]);
    }
    const tg_row_t *const *late = tg_aggregate_late(aggregate, 120 * MINUTE, &count);
    assert_int_equal(count, 2);
    assert_ptr_equal(late[0], &rows[1]);
    assert_ptr_equal(late[1], &rows[2]);
    const tg_hour_t *const *hours = tg_aggregate_hours(aggregate, &count);
    assert_int_equal(count, 3);
    assert_true(hours[0]->late);
    assert_false(hours[1]->late);
    assert_false(hours[2]->late);
    (void)tg_aggregate_late(aggregate, 60 * MINUTE - 1, &count);
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_minute_counts_sums_and_bounds_its_rows),
        cmocka_unit_test(series_that_differ_in_one_part_stay_apart),
        cmocka_unit_test(minutes_come_in_the_order_of_their_key),
        cmocka_unit_test(states_and_hours_are_collected_once_each),
        cmocka_unit_test(rows_of_ended_hours_are_late_unless_they_come_in_bulk),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
