/* The consumer against the mock cluster: claims that fail, two members, committed offsets. */
#include "common/kafka/tests/owner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/time.h"

static void a_failed_claim_reads_nothing_until_it_is_tried_again(void **state)
{
    (void)state;
    mock_t mock = owner_topic();
    mock_fill(&mock, OWNER_TOPIC, 0, 0, 5);
    struct owner o = {.start = {2, 0}, .answer = TG_UNAVAILABLE};
    owner_open(&o, &mock);
    uint64_t until = tg_time_mono_ms() + OWNER_WAIT_MS;
    tg_consumer_event_t event;
    while (o.assigns == 0 && tg_time_mono_ms() < until)
        assert_null(tg_consumer_poll(o.consumer, 100, &event));
    assert_int_equal(o.assigns, 1);
    for (int i = 0; i < 10; i++)
        assert_null(tg_consumer_poll(o.consumer, 20, &event));
    tg_consumer_retry_assign(o.consumer);
    assert_int_equal(o.assigns, 2);
    assert_null(tg_consumer_poll(o.consumer, 20, &event));

    o.answer = TG_OK;
    tg_consumer_retry_assign(o.consumer);
    assert_int_equal(o.assigns, 3);
    owner_expect(&o, 2, 3);
    tg_consumer_retry_assign(o.consumer); /* nothing is left to claim */
    assert_int_equal(o.assigns, 3);
    tg_consumer_close(o.consumer);
    mock_close(&mock);
}

static void a_second_member_takes_its_share(void **state)
{
    (void)state;
    mock_t mock = owner_topic();
    struct owner a = {.start = {0, 0}}, b = {.start = {0, 0}};
    owner_open(&a, &mock);
    uint64_t until = tg_time_mono_ms() + OWNER_WAIT_MS;
    tg_consumer_event_t event;
    rd_kafka_message_t *m;
    while (a.assigned != 2 && tg_time_mono_ms() < until) {
        if ((m = tg_consumer_poll(a.consumer, 50, &event)) != NULL)
            rd_kafka_message_destroy(m);
    }
    assert_int_equal(a.assigned, 2);
    owner_open(&b, &mock);
    while ((a.assigned != 1 || b.assigned != 1) && tg_time_mono_ms() < until) {
        if ((m = tg_consumer_poll(a.consumer, 20, &event)) != NULL)
            rd_kafka_message_destroy(m);
        if ((m = tg_consumer_poll(b.consumer, 20, &event)) != NULL)
            rd_kafka_message_destroy(m);
    }
    assert_int_equal(a.assigned, 1);
    assert_int_equal(b.assigned, 1);
    tg_consumer_close(b.consumer);
    tg_consumer_close(a.consumer);
    mock_close(&mock);
}

static void noted_offsets_are_committed_for_the_group(void **state)
{
    (void)state;
    mock_t mock = owner_topic();
    mock_fill(&mock, OWNER_TOPIC, 0, 0, 5);
    struct owner o = {.start = {0, 0}};
    owner_open(&o, &mock);
    owner_expect(&o, 0, 5);
    tg_consumer_note_offset(o.consumer, OWNER_TOPIC, 0, 4);
    tg_consumer_note_offset(o.consumer, OWNER_TOPIC, 77, 4); /* not ours: ignored */
    rd_kafka_t *rk = tg_consumer_handle(o.consumer);
    assert_int_equal(rd_kafka_commit(rk, NULL, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, OWNER_TOPIC, 0);
    assert_int_equal(rd_kafka_committed(rk, list, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(list->elems[0].offset, 4);
    rd_kafka_topic_partition_list_destroy(list);
    tg_consumer_close(o.consumer);
    mock_close(&mock);
}

/* An assignment that has come, but that nobody has polled for; and nothing else tells that it is
 * there, so the mock is given more than its three seconds. */
static void nothing_is_claimed_on_the_way_out(void **state)
{
    (void)state;
    enum { MORE_THAN_THE_DELAY_MS = 4000 };
    mock_t mock = owner_topic();
    struct owner o = {.start = {0, 0}};
    owner_open(&o, &mock);
    usleep(MORE_THAN_THE_DELAY_MS * 1000);
    tg_consumer_close(o.consumer);
    assert_int_equal(o.assigns, 0);
    mock_close(&mock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_claim_reads_nothing_until_it_is_tried_again),
        cmocka_unit_test(a_second_member_takes_its_share),
        cmocka_unit_test(noted_offsets_are_committed_for_the_group),
        cmocka_unit_test(nothing_is_claimed_on_the_way_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
