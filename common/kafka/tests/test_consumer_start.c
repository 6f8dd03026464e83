/* The consumer against the mock cluster: where reading starts, and what it tells on its way. */
#include "common/kafka/tests/owner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void reading_starts_where_the_owner_says(void **state)
{
    (void)state;
    mock_t mock = owner_topic();
    mock_fill(&mock, OWNER_TOPIC, 0, 0, 20);
    struct owner o = {.start = {7, TG_CONSUMER_START_EARLIEST}};
    owner_open(&o, &mock);
    owner_expect(&o, 7, 13);
    assert_int_equal(o.assigns, 1);
    assert_int_equal(o.assigned, OWNER_PARTITIONS);
    tg_consumer_close(o.consumer);
    assert_int_equal(o.revokes, 1);
    mock_close(&mock);
}

static void the_end_of_each_partition_is_told(void **state)
{
    (void)state;
    mock_t mock = owner_topic();
    mock_fill(&mock, OWNER_TOPIC, 0, 0, 3);
    struct owner o = {.start = {0, 0}};
    owner_open(&o, &mock);
    int64_t offset = -1;
    bool seen[4] = {false};
    for (int i = 0; i < 2; i++) {
        assert_false(owner_wait(&o, TG_CONSUMER_EOF, &offset));
        seen[offset] = true;
    }
    assert_true(seen[0]); /* the empty partition */
    assert_true(seen[3]);
    assert_int_equal(tg_consumer_lag(o.consumer, OWNER_TOPIC, 0, 1), 2);
    assert_int_equal(tg_consumer_lag(o.consumer, OWNER_TOPIC, 0, 3), 0);
    assert_int_equal(tg_consumer_lag(o.consumer, "events.other", 0, 3), -1);
    assert_string_not_equal(tg_consumer_cluster_id(o.consumer), "");
    tg_consumer_close(o.consumer);
    mock_close(&mock);
}

static void an_offset_out_of_range_starts_at_the_earliest_and_says_so(void **state)
{
    (void)state;
    mock_t mock = owner_topic();
    mock_fill(&mock, OWNER_TOPIC, 0, 0, 5);
    struct owner o = {.start = {5000, 0}}; /* the topic was made anew */
    owner_open(&o, &mock);
    int64_t offset = -1;
    assert_true(owner_wait(&o, TG_CONSUMER_OFFSET_RESET, &offset));
    assert_int_equal(offset, 0);
    owner_expect(&o, 1, 4);
    tg_consumer_close(o.consumer);
    mock_close(&mock);
}

static void an_offset_out_of_range_in_an_empty_partition_says_so_too(void **state)
{
    (void)state;
    mock_t mock = owner_topic();
    struct owner o = {.start = {5000, 0}};
    owner_open(&o, &mock);
    int64_t offset = -1;
    assert_false(owner_wait(&o, TG_CONSUMER_OFFSET_RESET, &offset));
    assert_int_equal(offset, 0);
    mock_fill(&mock, OWNER_TOPIC, 0, 0, 3);
    owner_expect(&o, 0, 3);
    tg_consumer_close(o.consumer);
    mock_close(&mock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_starts_where_the_owner_says),
        cmocka_unit_test(the_end_of_each_partition_is_told),
        cmocka_unit_test(an_offset_out_of_range_starts_at_the_earliest_and_says_so),
        cmocka_unit_test(an_offset_out_of_range_in_an_empty_partition_says_so_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
