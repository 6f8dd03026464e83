#include "common/kafka/tests/owner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/time.h"

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

void owner_open(struct owner *o, const mock_t *mock)
{
    static const char *const topics[] = {OWNER_TOPIC};
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

mock_t owner_topic(void)
{
    mock_t mock = mock_open(1);
    mock_topic_create(&mock, OWNER_TOPIC, OWNER_PARTITIONS);
    return mock;
}

int64_t owner_next(struct owner *o, tg_consumer_event_t *out_event, char *out_text)
{
    uint64_t until = tg_time_mono_ms() + OWNER_WAIT_MS;
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

void owner_expect(struct owner *o, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        tg_consumer_event_t event = TG_CONSUMER_NONE;
        char text[16] = "", want[16];
        (void)snprintf(want, sizeof(want), "%d", i);
        assert_int_equal(owner_next(o, &event, text), i);
        assert_string_equal(text, want);
        assert_int_equal(event, TG_CONSUMER_NONE);
    }
}

bool owner_wait(struct owner *o, tg_consumer_event_t event, int64_t *out_offset)
{
    uint64_t until = tg_time_mono_ms() + OWNER_WAIT_MS;
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
