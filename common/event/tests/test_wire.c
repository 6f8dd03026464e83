/* Headers out and in, through librdkafka's own message: a mock broker carries the records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/event/wire.h"

#include <librdkafka/rdkafka_mock.h> /* wants rdkafka.h before it */

#define DEADLINE_MS 20000

/* Pieces of the header tg-event. */
#define ID   "0123456789abcdef"
#define TIME "\0\6\0\0\0\0\0\0"
#define LATE "\x7f\xff\xff\xff\xff\xff\xff\xff"

struct fixture {
    rd_kafka_t *producer, *consumer;
    rd_kafka_topic_t *topic;
};

static rd_kafka_t *client(rd_kafka_type_t type, const char *brokers)
{
    char text[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (brokers == NULL)
        rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", text, sizeof(text));
    else
        rd_kafka_conf_set(conf, "bootstrap.servers", brokers, text, sizeof(text));
    if (type == RD_KAFKA_CONSUMER) /* the default holds each fetch for half a second */
        rd_kafka_conf_set(conf, "fetch.wait.max.ms", "10", text, sizeof(text));
    rd_kafka_t *kafka = rd_kafka_new(type, conf, text, sizeof(text));
    assert_non_null(kafka);
    return kafka;
}

static int open_fixture(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->producer = client(RD_KAFKA_PRODUCER, NULL);
    rd_kafka_mock_cluster_t *mock = rd_kafka_handle_mock_cluster(f->producer);
    rd_kafka_mock_topic_create(mock, "t", 1, 1);
    f->consumer = client(RD_KAFKA_CONSUMER, rd_kafka_mock_cluster_bootstraps(mock));
    f->topic = rd_kafka_topic_new(f->consumer, "t", NULL);
    rd_kafka_consume_start(f->topic, 0, RD_KAFKA_OFFSET_BEGINNING);
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    rd_kafka_consume_stop(f->topic, 0);
    rd_kafka_topic_destroy(f->topic);
    rd_kafka_destroy(f->consumer);
    rd_kafka_destroy(f->producer);
    free(f);
    return 0;
}

/* Sends `headers` (taken) and gives the record as a consumer sees it. */
static rd_kafka_message_t *carry(struct fixture *f, rd_kafka_headers_t *headers)
{
    rd_kafka_resp_err_t error =
        rd_kafka_producev(f->producer, RD_KAFKA_V_TOPIC("t"), RD_KAFKA_V_PARTITION(0),
                          RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    assert_int_equal(error, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(rd_kafka_flush(f->producer, DEADLINE_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_message_t *message = NULL;
    uint64_t until = tg_time_mono_ms() + DEADLINE_MS;
    while (message == NULL && tg_time_mono_ms() < until) {
        message = rd_kafka_consume(f->topic, 0, 1000);
        if (message != NULL && message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            rd_kafka_message_destroy(message);
            message = NULL;
        }
    }
    assert_non_null(message);
    return message;
}

static const tg_event_t sample = {
    .id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
    .occurred_at = -5,
    .received_at = INT64_C(1770112810123456),
    .time_own = true,
    .tenant = {"demo", 4},
    .type = {"order", 5},
};

static void headers_come_back_as_they_were_written(void **state)
{
    tg_event_t event = {.has_value = true, .value = 3};
    tg_error_t error = {0};
    tg_trace_t trace;
    tg_trace_start(&trace);
    rd_kafka_message_t *message = carry(*state, tg_event_headers(&sample, &trace));
    assert_int_equal(tg_event_read_headers(message, &event, &error), TG_OK);
    assert_true(tg_str_eq(event.tenant, sample.tenant));
    assert_true(tg_str_eq(event.type, sample.type));
    assert_memory_equal(event.id.bytes, sample.id.bytes, 16);
    assert_int_equal(event.occurred_at, sample.occurred_at);
    assert_int_equal(event.received_at, sample.received_at);
    assert_true(event.time_own);
    assert_true(event.value == 3); /* what the headers do not carry stays */
    rd_kafka_message_destroy(message);
}

static void a_missing_or_malformed_header_is_named(void **state)
{
    static const struct {
        const char *name, *value;
        ssize_t len;
        const char *words;
    } rows[] = {
        {"tg-tenant", NULL, 0, "header tg-tenant is missing"},
        {"tg-tenant", "De/mo", 5, "header tg-tenant of 5 bytes is malformed"},
        {"tg-type", "1x", 2, "header tg-type"},
        {"tg-event", NULL, 0, "header tg-event is missing"},
        {"tg-event", "short", 5, "header tg-event of 5 bytes"},
        {"tg-event", ID LATE TIME "\0", 33, "header tg-event of 33 bytes is malformed"},
        {"tg-event", ID TIME LATE "\0", 33, "header tg-event of 33 bytes is malformed"},
        {"tg-event", ID TIME TIME "\2", 33, "header tg-event of 33 bytes is malformed"},
        {"tg-event", ID TIME TIME "\1\1", 34, "header tg-event of 34 bytes is malformed"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        tg_event_t event = {0};
        tg_error_t error = {0};
        rd_kafka_headers_t *headers = tg_event_headers(&sample, NULL);
        rd_kafka_header_remove(headers, rows[i].name);
        if (rows[i].value != NULL)
            rd_kafka_header_add(headers, rows[i].name, -1, rows[i].value, rows[i].len);
        rd_kafka_message_t *message = carry(*state, headers);
        assert_int_equal(tg_event_read_headers(message, &event, &error), TG_INVALID);
        if (strstr(error.text, rows[i].words) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", error.text, rows[i].words);
        assert_int_equal(event.tenant.len, 0);
        rd_kafka_message_destroy(message);
    }
}

static void a_record_without_headers_is_refused(void **state)
{
    tg_event_t event = {0};
    tg_error_t error = {0};
    rd_kafka_message_t *message = carry(*state, rd_kafka_headers_new(0));
    assert_int_equal(tg_event_read_headers(message, &event, &error), TG_INVALID);
    rd_kafka_message_destroy(message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_come_back_as_they_were_written),
        cmocka_unit_test(a_missing_or_malformed_header_is_named),
        cmocka_unit_test(a_record_without_headers_is_refused),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
