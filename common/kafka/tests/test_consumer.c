/* The consumer against librdkafka's mock cluster: assignment from the owner's offsets, gaps, pause,
 * seek, failed claims, two members. */
#include "common/kafka/consumer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/time.h"
#include "common/kafka/tests/mock.h"

#define TOPIC      "events.test"
#define WAIT_MS    30000
#define PARTITIONS 2

struct owner {
    tg_consumer_t *consumer;
    int64_t start[PARTITIONS];
    tg_status_t answer; /* of assign */
    unsigned assigns, revokes;
    int assigned; /* partitions held */
    int64_t position[PARTITIONS];
    unsigned eofs;
};

static tg_status_t on_assign(void *arg, rd_kafka_topic_partition_list_t *partitions)
{
    struct owner *o = arg;
    o->assigns++;
    for (int i = 0; i < partitions->cnt; i++)
        partitions->elems[i].offset = o->start[partitions->elems[i].partition];
    if (o->answer == TG_OK)
        o->assigned = partitions->cnt;
    return o->answer;
}

static void on_revoke(void *arg, const rd_kafka_topic_partition_list_t *partitions, bool lost)
{
    (void)partitions;
    (void)lost;
    struct owner *o = arg;
    o->revokes++;
    o->assigned = 0;
}

static void owner_open(struct owner *o, const mock_t *mock)
{
    static const char *const topics[] = {TOPIC};
    tg_consumer_config_t config = {.brokers = mock->brokers,
                                   .client_id = "test",
                                   .group = "g",
                                   .topics = topics,
                                   .topic_count = 1,
                                   .session_timeout_ms = 6000,
                                   .max_poll_ms = 60000,
                                   .queued_max_bytes = 1 << 20};
    tg_consumer_events_t events = {on_assign, on_revoke, o};
    tg_error_t error = {0};
    assert_int_equal(tg_consumer_open(&config, &events, &o->consumer, &error), TG_OK);
}

static mock_t topic_open(void)
{
    mock_t mock = mock_open(1);
    rd_kafka_mock_topic_create(mock.cluster, TOPIC, PARTITIONS, 1);
    return mock;
}

/* The next record; fails the test when none comes. */
static int64_t next_record(struct owner *o, tg_consumer_event_t *out_event, char *out_text)
{
    uint64_t until = tg_time_mono_ms() + WAIT_MS;
    while (tg_time_mono_ms() < until) {
        rd_kafka_message_t *m = tg_consumer_poll(o->consumer, 100, out_event);
        if (m == NULL)
            continue;
        int64_t offset = m->offset;
        bool record = m->err == RD_KAFKA_RESP_ERR_NO_ERROR;
        if (record)
            (void)snprintf(out_text, 16, "%.*s", (int)m->len, (const char *)m->payload);
        rd_kafka_message_destroy(m);
        if (record)
            return offset;
        o->eofs += *out_event == TG_CONSUMER_EOF;
    }
    fail_msg("no record came");
    return -1;
}

static void expect_records(struct owner *o, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        tg_consumer_event_t event = TG_CONSUMER_NONE;
        char text[16] = "", want[16];
        (void)snprintf(want, sizeof(want), "%d", i);
        assert_int_equal(next_record(o, &event, text), i);
        assert_string_equal(text, want);
        assert_int_equal(event, TG_CONSUMER_NONE);
    }
}

/* Polls until `event` comes; true if the message with it was a record. */
static bool wait_event(struct owner *o, tg_consumer_event_t event, int64_t *out_offset)
{
    uint64_t until = tg_time_mono_ms() + WAIT_MS;
    while (tg_time_mono_ms() < until) {
        tg_consumer_event_t got;
        rd_kafka_message_t *m = tg_consumer_poll(o->consumer, 100, &got);
        bool record = m != NULL && m->err == RD_KAFKA_RESP_ERR_NO_ERROR;
        if (m != NULL)
            *out_offset = m->offset;
        if (m != NULL)
            rd_kafka_message_destroy(m);
        if (got == event)
            return record;
    }
    fail_msg("event %d did not come", (int)event);
    return false;
}

static void reading_starts_where_the_owner_says(void **state)
{
    (void)state;
    mock_t mock = topic_open();
    mock_fill(&mock, TOPIC, 0, 0, 20);
    struct owner o = {.start = {7, TG_CONSUMER_START_EARLIEST}};
    owner_open(&o, &mock);
    expect_records(&o, 7, 13);
    assert_int_equal(o.assigns, 1);
    assert_int_equal(o.assigned, PARTITIONS);
    tg_consumer_close(o.consumer);
    assert_int_equal(o.revokes, 1);
    mock_close(&mock);
}

static void the_end_of_each_partition_is_told(void **state)
{
    (void)state;
    mock_t mock = topic_open();
    mock_fill(&mock, TOPIC, 0, 0, 3);
    struct owner o = {.start = {0, 0}};
    owner_open(&o, &mock);
    int64_t offset = -1;
    bool seen[4] = {false};
    for (int i = 0; i < 2; i++) {
        assert_false(wait_event(&o, TG_CONSUMER_EOF, &offset));
        seen[offset] = true;
    }
    assert_true(seen[0]); /* the empty partition */
    assert_true(seen[3]);
    assert_int_equal(tg_consumer_lag(o.consumer, TOPIC, 0, 1), 2);
    assert_int_equal(tg_consumer_lag(o.consumer, TOPIC, 0, 3), 0);
    assert_int_equal(tg_consumer_lag(o.consumer, "events.other", 0, 3), -1);
    assert_string_not_equal(tg_consumer_cluster_id(o.consumer), "");
    tg_consumer_close(o.consumer);
    mock_close(&mock);
}

static void an_offset_out_of_range_starts_at_the_earliest_and_says_so(void **state)
{
    (void)state;
    mock_t mock = topic_open();
    mock_fill(&mock, TOPIC, 0, 0, 5);
    struct owner o = {.start = {5000, 0}}; /* the topic was made anew */
    owner_open(&o, &mock);
    int64_t offset = -1;
    assert_true(wait_event(&o, TG_CONSUMER_OFFSET_RESET, &offset));
    assert_int_equal(offset, 0);
    expect_records(&o, 1, 4);
    tg_consumer_close(o.consumer);
    mock_close(&mock);
}

static void an_offset_out_of_range_in_an_empty_partition_says_so_too(void **state)
{
    (void)state;
    mock_t mock = topic_open();
    struct owner o = {.start = {5000, 0}};
    owner_open(&o, &mock);
    int64_t offset = -1;
    assert_false(wait_event(&o, TG_CONSUMER_OFFSET_RESET, &offset));
    assert_int_equal(offset, 0);
    mock_fill(&mock, TOPIC, 0, 0, 3);
    expect_records(&o, 0, 3);
    tg_consumer_close(o.consumer);
    mock_close(&mock);
}

static void a_paused_consumer_hands_out_nothing_and_skips_nothing(void **state)
{
    (void)state;
    mock_t mock = topic_open();
    mock_fill(&mock, TOPIC, 0, 0, 500);
    struct owner o = {.start = {0, 0}};
    owner_open(&o, &mock);
    expect_records(&o, 0, 10);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(tg_consumer_pause(o.consumer), TG_OK);
        mock_fill(&mock, TOPIC, 0, 500 + round * 10, 10);
        tg_consumer_event_t event;
        for (int i = 0; i < 20; i++)
            assert_null(tg_consumer_poll(o.consumer, 10, &event));
        assert_int_equal(tg_consumer_resume(o.consumer), TG_OK);
        expect_records(&o, 10 + round * 100, 100);
    }
    expect_records(&o, 310, 220);
    assert_int_equal(o.revokes, 0);
    tg_consumer_close(o.consumer);
    mock_close(&mock);
}

/* Under load librdkafka may take longer than the consumer waits for; then it is asked again. */
static void seek(struct owner *o, int64_t offset)
{
    tg_status_t status = TG_UNAVAILABLE;
    for (int i = 0; i < 20 && status == TG_UNAVAILABLE; i++)
        status = tg_consumer_seek(o->consumer, TOPIC, 0, offset);
    assert_int_equal(status, TG_OK);
}

static void seeking_moves_one_partition(void **state)
{
    (void)state;
    mock_t mock = topic_open();
    mock_fill(&mock, TOPIC, 0, 0, 100);
    struct owner o = {.start = {0, 0}};
    owner_open(&o, &mock);
    expect_records(&o, 0, 50);
    seek(&o, 20);
    expect_records(&o, 20, 80);

    assert_int_equal(tg_consumer_pause(o.consumer), TG_OK);
    seek(&o, 5);
    tg_consumer_event_t event;
    assert_null(tg_consumer_poll(o.consumer, 10, &event));
    assert_int_equal(tg_consumer_resume(o.consumer), TG_OK);
    expect_records(&o, 5, 95);
    assert_int_equal(tg_consumer_seek(o.consumer, TOPIC, 9, 5), TG_NOT_FOUND);
    tg_consumer_close(o.consumer);
    mock_close(&mock);
}

static void a_failed_claim_reads_nothing_until_it_is_tried_again(void **state)
{
    (void)state;
    mock_t mock = topic_open();
    mock_fill(&mock, TOPIC, 0, 0, 5);
    struct owner o = {.start = {2, 0}, .answer = TG_UNAVAILABLE};
    owner_open(&o, &mock);
    uint64_t until = tg_time_mono_ms() + WAIT_MS;
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
    expect_records(&o, 2, 3);
    tg_consumer_retry_assign(o.consumer); /* nothing is left to claim */
    assert_int_equal(o.assigns, 3);
    tg_consumer_close(o.consumer);
    mock_close(&mock);
}

static void an_assignment_while_paused_stays_paused(void **state)
{
    (void)state;
    mock_t mock = topic_open();
    mock_fill(&mock, TOPIC, 0, 0, 5);
    struct owner o = {.start = {0, 0}};
    owner_open(&o, &mock);
    assert_int_equal(tg_consumer_pause(o.consumer), TG_OK);
    uint64_t until = tg_time_mono_ms() + WAIT_MS;
    tg_consumer_event_t event;
    while (o.assigns == 0 && tg_time_mono_ms() < until)
        assert_null(tg_consumer_poll(o.consumer, 100, &event));
    for (int i = 0; i < 20; i++)
        assert_null(tg_consumer_poll(o.consumer, 10, &event));
    assert_int_equal(tg_consumer_resume(o.consumer), TG_OK);
    expect_records(&o, 0, 5);
    tg_consumer_close(o.consumer);
    mock_close(&mock);
}

static void a_second_member_takes_its_share(void **state)
{
    (void)state;
    mock_t mock = topic_open();
    struct owner a = {.start = {0, 0}}, b = {.start = {0, 0}};
    owner_open(&a, &mock);
    uint64_t until = tg_time_mono_ms() + WAIT_MS;
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
    mock_t mock = topic_open();
    mock_fill(&mock, TOPIC, 0, 0, 5);
    struct owner o = {.start = {0, 0}};
    owner_open(&o, &mock);
    expect_records(&o, 0, 5);
    tg_consumer_note_offset(o.consumer, TOPIC, 0, 4);
    tg_consumer_note_offset(o.consumer, TOPIC, 77, 4); /* not ours: ignored */
    rd_kafka_t *rk = tg_consumer_handle(o.consumer);
    assert_int_equal(rd_kafka_commit(rk, NULL, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, TOPIC, 0);
    assert_int_equal(rd_kafka_committed(rk, list, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(list->elems[0].offset, 4);
    rd_kafka_topic_partition_list_destroy(list);
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
        cmocka_unit_test(a_paused_consumer_hands_out_nothing_and_skips_nothing),
        cmocka_unit_test(seeking_moves_one_partition),
        cmocka_unit_test(a_failed_claim_reads_nothing_until_it_is_tried_again),
        cmocka_unit_test(an_assignment_while_paused_stays_paused),
        cmocka_unit_test(a_second_member_takes_its_share),
        cmocka_unit_test(noted_offsets_are_committed_for_the_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
