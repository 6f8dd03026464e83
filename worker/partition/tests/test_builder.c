/* Which records go into a batch, and how a refused batch leads to its culprit. */
#include "worker/partition/builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "worker/store/tests/rows.h"

#define MAX_ROWS  100
#define LINGER_MS 100

struct fixture {
    tg_record_pool_t *pool;
    tg_assignment_t assignment;
    tg_builder_t *builder;
};

static int start(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->pool = tg_record_pool_create();
    tg_assignment_init(&f->assignment, f->pool);
    f->builder = tg_builder_create(MAX_ROWS, LINGER_MS);
    *state = f;
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;
    tg_builder_destroy(f->builder);
    tg_assignment_dispose(&f->assignment);
    tg_record_pool_destroy(f->pool);
    free(f);
    return 0;
}

/* Queues `count` rows of one partition, from `offset` on, arrived at `now_ms`. */
static tg_partition_t *fill(struct fixture *f, const char *topic, int64_t offset, unsigned count,
                            uint64_t now_ms)
{
    tg_partition_t *partition = tg_assignment_add(&f->assignment, topic, 0);
    for (unsigned i = 0; i < count; i++) {
        const tg_record_source_t source = {.topic = tg_str_from(partition->topic),
                                           .offset = offset + i};
        tg_record_t *record = tg_record_make(f->pool, &source, now_ms);
        record->row = tg_test_row("t", "order", "USD", topic, (unsigned)offset + i, 0);
        record->state = TG_RECORD_ROW;
        tg_assignment_push(&f->assignment, partition, record);
    }
    return partition;
}

static void a_full_partition_is_a_batch_of_its_own(void **state)
{
    struct fixture *f = *state;
    fill(f, "a", 0, 10, 1);
    tg_partition_t *b = fill(f, "b", 50, 130, 2);
    assert_true(tg_builder_due(f->builder, &f->assignment, 2, false));
    tg_batch_t *batch = tg_builder_next(f->builder, &f->assignment);
    assert_int_equal(batch->row_count, MAX_ROWS);
    assert_int_equal(batch->partition_count, 1);
    assert_string_equal(batch->partitions[0].topic, "b");
    assert_int_equal(batch->partitions[0].next_offset, 150);
    tg_builder_stored(f->builder, &f->assignment);
    assert_int_equal(b->rows, 30);
    assert_int_equal(b->claim.next_offset, 150);
    assert_false(tg_builder_due(f->builder, &f->assignment, 2, false));
    assert_int_equal(f->assignment.rows, 40);
}

static void after_the_linger_time_all_go_together_oldest_first(void **state)
{
    struct fixture *f = *state;
    fill(f, "a", 0, 60, 9);
    fill(f, "b", 0, 60, 7);
    assert_false(tg_builder_due(f->builder, &f->assignment, 7 + LINGER_MS - 1, false));
    assert_true(tg_builder_due(f->builder, &f->assignment, 7 + LINGER_MS, false));
    tg_batch_t *batch = tg_builder_next(f->builder, &f->assignment);
    assert_int_equal(batch->row_count, MAX_ROWS);
    assert_int_equal(batch->partition_count, 2);
    assert_string_equal(batch->partitions[0].topic, "b");
    assert_int_equal(batch->partitions[0].next_offset, 60);
    assert_int_equal(batch->partitions[1].next_offset, 40);
}

static void records_that_wait_for_their_schema_hold_back_their_partition_only(void **state)
{
    struct fixture *f = *state;
    tg_partition_t *a = fill(f, "a", 0, 5, 1);
    tg_partition_t *b = fill(f, "b", 0, 5, 1);
    a->head->state = TG_RECORD_RAW;
    b->head->next->next->state = TG_RECORD_RAW;
    assert_true(tg_builder_due(f->builder, &f->assignment, 1, true));
    tg_batch_t *batch = tg_builder_next(f->builder, &f->assignment);
    assert_int_equal(batch->row_count, 2);
    assert_int_equal(batch->partition_count, 1);
    tg_builder_stored(f->builder, &f->assignment);
    assert_false(tg_builder_due(f->builder, &f->assignment, 1, true));
    assert_null(tg_builder_next(f->builder, &f->assignment));
}

static void a_fenced_partition_gives_nothing(void **state)
{
    struct fixture *f = *state;
    fill(f, "a", 0, 5, 1)->fenced = true;
    assert_false(tg_builder_due(f->builder, &f->assignment, 1000, true));
    assert_null(tg_builder_next(f->builder, &f->assignment));
}

static void a_batch_ends_before_its_last_day_too_many(void **state)
{
    struct fixture *f = *state;
    tg_partition_t *a = fill(f, "a", 0, 80, 1);
    int64_t day = 0;
    for (tg_record_t *r = a->head; r != NULL; r = r->next)
        r->row.occurred_at = day++ * TG_US_PER_DAY;
    tg_batch_t *batch = tg_builder_next(f->builder, &f->assignment);
    assert_int_equal(batch->row_count, TG_BATCH_DAYS_MAX);
    tg_builder_stored(f->builder, &f->assignment);
    batch = tg_builder_next(f->builder, &f->assignment);
    assert_int_equal(batch->row_count, 80 - TG_BATCH_DAYS_MAX);
}

/* A store that refuses every batch with a row of one of these offsets; how many it stored. */
static size_t drive(struct fixture *f, const int64_t *poison, size_t poison_count)
{
    size_t stored = 0, attempts = 0;
    while (tg_builder_due(f->builder, &f->assignment, 0, true)) {
        tg_batch_t *batch = tg_builder_next(f->builder, &f->assignment);
        bool refused = false;
        assert_true(attempts++ < 1000);
        for (size_t i = 0; i < batch->row_count && !refused; i++) {
            for (size_t j = 0; j < poison_count; j++)
                refused = refused || batch->rows[i]->id.bytes[15] == (uint8_t)poison[j];
        }
        if (!refused) {
            stored += batch->row_count;
            tg_builder_stored(f->builder, &f->assignment);
            continue;
        }
        tg_record_t *culprit = tg_builder_refused(f->builder);
        if (culprit != NULL)
            tg_record_bury(culprit, TG_DEAD_STORE, "22P05: unsupported \x01 escape");
    }
    return stored;
}

static void refused_batches_lead_to_the_poisonous_rows_and_the_rest_is_stored(void **state)
{
    struct fixture *f = *state;
    const int64_t poison[] = {0, 17, 18, 77, 99};
    tg_partition_t *a = fill(f, "a", 0, 100, 1);
    assert_int_equal(drive(f, poison, TG_ARRAY_LEN(poison)), 95);
    assert_int_equal(a->rows, 0);
    assert_int_equal(a->claim.next_offset, 100);
    assert_int_equal(f->assignment.bytes, 0);
}

static void a_batch_grows_back_after_a_refusal(void **state)
{
    struct fixture *f = *state;
    const int64_t poison[] = {3};
    fill(f, "a", 0, 100, 1);
    assert_int_equal(drive(f, poison, 1), 99);
    fill(f, "a", 100, 100, 1);
    for (unsigned i = 0; i < 10 && f->assignment.rows > 0; i++) {
        assert_non_null(tg_builder_next(f->builder, &f->assignment));
        tg_builder_stored(f->builder, &f->assignment);
    }
    fill(f, "a", 200, 100, 1);
    assert_int_equal(tg_builder_next(f->builder, &f->assignment)->row_count, MAX_ROWS);
}

static void a_dead_record_is_described_with_a_lasting_id_and_printable_text(void **state)
{
    struct fixture *f = *state;
    tg_partition_t *a = fill(f, "a", 7, 2, 1);
    tg_buf_t headers = tg_buf_make(1000);
    tg_dead_letter_t dead, again, other;
    tg_record_bury(a->head, TG_DEAD_DECODE, "bad \n byte");
    tg_record_bury(a->head->next, TG_DEAD_DECODE, "x");
    tg_record_dead_letter(a->head, TG_STR(""), &headers, &dead);
    assert_memory_equal(dead.text.ptr, "bad ? byte", 10);
    assert_memory_equal(dead.code.ptr, "undecodable", dead.code.len);
    assert_memory_equal(dead.headers.ptr, "[]", 2);
    tg_record_dead_letter(a->head, TG_STR(""), &headers, &again);
    tg_record_dead_letter(a->head->next, TG_STR(""), &headers, &other);
    assert_memory_equal(dead.id.bytes, again.id.bytes, 16);
    assert_memory_not_equal(dead.id.bytes, other.id.bytes, 16);
    tg_record_dead_letter(a->head, TG_STR("recreated"), &headers, &other);
    assert_memory_not_equal(dead.id.bytes, other.id.bytes, 16);
    tg_buf_dispose(&headers);
}

static void records_to_pass_over_move_the_offset_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    tg_partition_t *a = fill(f, "dlq", 7, 3, 1);
    a->head->state = TG_RECORD_SKIP;
    a->head->next->next->state = TG_RECORD_SKIP;
    const tg_batch_t *batch = tg_builder_next(f->builder, &f->assignment);
    assert_int_equal(batch->row_count, 1);
    assert_int_equal(batch->dead_count, 0);
    assert_int_equal(batch->partitions[0].next_offset, 10);
    assert_int_equal(tg_builder_size(f->builder), 3);
    tg_builder_stored(f->builder, &f->assignment);
    assert_int_equal(f->assignment.rows, 0);
}

static void a_letter_of_ingestion_is_described_in_its_words_under_its_id(void **state)
{
    struct fixture *f = *state;
    tg_partition_t *a = fill(f, "dlq", 7, 1, 1);
    tg_buf_t headers = tg_buf_make(1000);
    tg_dead_letter_t dead;
    a->head->state = TG_RECORD_RAW;
    tg_record_bury(a->head, TG_DEAD_INGESTION, "");
    a->head->published = true;
    a->head->letter = (tg_record_letter_t){{{1, 2, 3}},
                                           TG_STR("too_old"),
                                           TG_STR("t: \xc3\xbc"),
                                           TG_STR("event_time")};
    tg_record_dead_letter(a->head, TG_STR("again"), &headers, &dead);
    assert_memory_equal(dead.id.bytes, a->head->letter.id.bytes, 16);
    assert_true(tg_str_eq(dead.code, TG_STR("too_old")));
    assert_true(tg_str_eq(dead.text, TG_STR("t: \xc3\xbc")));
    assert_true(tg_str_eq(dead.field, TG_STR("event_time")));
    assert_true(tg_str_eq(dead.tenant, TG_STR("t")));
    assert_true(dead.published);
    a->head->letter.code = TG_STR("");
    tg_record_dead_letter(a->head, TG_STR("again"), &headers, &dead);
    assert_true(tg_str_eq(dead.code, TG_STR("invalid_event")));
    tg_buf_dispose(&headers);
}

static void popping_below_an_offset_leaves_the_rest(void **state)
{
    struct fixture *f = *state;
    tg_partition_t *a = fill(f, "a", 10, 10, 1);
    tg_assignment_pop_below(&f->assignment, a, 15);
    assert_int_equal(a->rows, 5);
    assert_int_equal(a->head->source.offset, 15);
    tg_assignment_remove(&f->assignment, "a", 0);
    assert_null(tg_assignment_find(&f->assignment, "a", 0));
    assert_int_equal(f->assignment.rows, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
        T(a_full_partition_is_a_batch_of_its_own),
        T(after_the_linger_time_all_go_together_oldest_first),
        T(records_that_wait_for_their_schema_hold_back_their_partition_only),
        T(a_fenced_partition_gives_nothing),
        T(a_batch_ends_before_its_last_day_too_many),
        T(refused_batches_lead_to_the_poisonous_rows_and_the_rest_is_stored),
        T(a_batch_grows_back_after_a_refusal),
        T(a_dead_record_is_described_with_a_lasting_id_and_printable_text),
        T(records_to_pass_over_move_the_offset_and_nothing_else),
        T(a_letter_of_ingestion_is_described_in_its_words_under_its_id),
        T(popping_below_an_offset_leaves_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
