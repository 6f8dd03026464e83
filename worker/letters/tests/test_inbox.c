/* Which records of the dead-letter topic become rows: real messages, through a mock cluster, since
 * a message's headers cannot be made by hand. */
#include "worker/letters/inbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/time.h"
#include "common/kafka/tests/mock.h"

#define TOPIC   "events.dlq"
#define WAIT_MS 20000
#define ID      "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
#define LONG    "0123456789012345678901234567890123456789012345678901234567890123456789"

struct pair {
    const char *name, *value; /* value NULL: a null value */
};

struct fixture {
    mock_t kafka;
    rd_kafka_t *producer, *consumer;
    tg_record_pool_t *pool;
};

static rd_kafka_t *client(const mock_t *kafka, rd_kafka_type_t kind)
{
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", kafka->brokers, reason, sizeof(reason));
    rd_kafka_conf_set(conf, "group.id", "reader", reason, sizeof(reason));
    rd_kafka_t *rk = rd_kafka_new(kind, conf, reason, sizeof(reason));
    assert_non_null(rk);
    return rk;
}

static int start(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->kafka = mock_open(1);
    rd_kafka_mock_topic_create(f->kafka.cluster, TOPIC, 1, 1);
    f->producer = client(&f->kafka, RD_KAFKA_PRODUCER);
    f->consumer = client(&f->kafka, RD_KAFKA_CONSUMER);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, TOPIC, 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(f->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    f->pool = tg_record_pool_create();
    *state = f;
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;
    tg_record_pool_destroy(f->pool);
    rd_kafka_consumer_close(f->consumer);
    rd_kafka_destroy(f->consumer);
    rd_kafka_destroy(f->producer);
    mock_close(&f->kafka);
    free(f);
    return 0;
}

/* One record with these headers, there and back, and read by the inbox. */
static tg_record_t *pass(struct fixture *f, const struct pair *pairs, size_t count)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(count);
    for (size_t i = 0; i < count; i++)
        rd_kafka_header_add(headers, pairs[i].name, -1, pairs[i].value, -1);
    assert_int_equal(rd_kafka_producev(f->producer, RD_KAFKA_V_TOPIC(TOPIC),
                                       RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_VALUE("{}", 2),
                                       RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(rd_kafka_flush(f->producer, WAIT_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    uint64_t until = tg_time_mono_ms() + WAIT_MS;
    rd_kafka_message_t *message = NULL;
    while (message == NULL && tg_time_mono_ms() < until) {
        message = rd_kafka_consumer_poll(f->consumer, 100);
        if (message != NULL && message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            rd_kafka_message_destroy(message);
            message = NULL;
        }
    }
    assert_non_null(message);
    tg_record_t *record = tg_record_take(f->pool, message, 1);
    tg_inbox_read(record);
    return record;
}

static void a_letter_of_ingestion_is_taken_whole(void **state)
{
    struct fixture *f = *state;
    static const struct pair pairs[] = {{"tg-dlq-origin", "ingestion"},
                                        {"tg-dlq-id", ID},
                                        {"tg-dlq-code", "too_old"},
                                        {"tg-dlq-text", "time: old"},
                                        {"tg-dlq-field", "time"},
                                        {"tg-tenant", "acme"},
                                        {"tg-type", "order"}};
    tg_record_t *record = pass(f, pairs, TG_ARRAY_LEN(pairs));
    char id[TG_UUID_TEXT_LEN];
    assert_int_equal(record->state, TG_RECORD_DEAD);
    assert_int_equal(record->reason, TG_DEAD_INGESTION);
    assert_true(record->published);
    assert_false(record->has_event);
    tg_uuid_format(&record->letter.id, id);
    assert_memory_equal(id, ID, sizeof(id));
    assert_true(tg_str_eq(record->row.tenant, TG_STR("acme")));
    assert_true(tg_str_eq(record->row.type, TG_STR("order")));
    assert_true(tg_str_eq(record->letter.code, TG_STR("too_old")));
    assert_true(tg_str_eq(record->letter.text, TG_STR("time: old")));
    assert_true(tg_str_eq(record->letter.field, TG_STR("time")));
    tg_record_release(f->pool, record);
}

static void what_does_not_begin_with_the_origin_is_passed_over(void **state)
{
    struct fixture *f = *state;
    static const struct pair cases[][3] = {
        {{"tg-dlq-id", ID}, {"tg-dlq-origin", "ingestion"}, {"tg-tenant", "acme"}},
        {{"tg-dlq-origin", "worker"}, {"tg-dlq-id", ID}, {"tg-tenant", "acme"}},
        {{"tg-dlq-origin", NULL}, {"tg-dlq-id", ID}, {"tg-tenant", "acme"}},
        {{"tg-dlq-origin", "ingestion "}, {"tg-dlq-id", ID}, {"tg-tenant", "acme"}},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        tg_record_t *record = pass(f, cases[i], 3);
        assert_int_equal(record->state, TG_RECORD_SKIP);
        tg_record_release(f->pool, record);
    }
    tg_record_t *record = pass(f, NULL, 0);
    assert_int_equal(record->state, TG_RECORD_SKIP);
    tg_record_release(f->pool, record);
}

static void a_letter_without_tenant_or_id_is_the_operators(void **state)
{
    struct fixture *f = *state;
    static const struct pair cases[][3] = {
        {{"tg-dlq-origin", "ingestion"}, {"tg-dlq-id", "x"}, {"tg-tenant", "acme"}},
        {{"tg-dlq-origin", "ingestion"}, {"tg-dlq-id", ID}, {"tg-tenant", "../x"}},
        {{"tg-dlq-origin", "ingestion"}, {"tg-dlq-id", ID}, {"tg-tenant", NULL}},
        {{"tg-dlq-origin", "ingestion"}, {"other", ID}, {"tg-tenant", "acme"}},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        tg_record_t *record = pass(f, cases[i], 3);
        assert_int_equal(record->state, TG_RECORD_DEAD);
        assert_int_equal(record->reason, TG_DEAD_HEADERS);
        assert_true(record->published); /* or it would be sent to the topic that it came from */
        assert_int_equal(record->row.tenant.len, 0);
        tg_record_release(f->pool, record);
    }
}

static void texts_that_the_store_cannot_hold_are_left_out(void **state)
{
    struct fixture *f = *state;
    static const struct pair pairs[] = {{"tg-dlq-origin", "ingestion"},
                                        {"tg-dlq-id", ID},
                                        {"tg-tenant", "acme"},
                                        {"tg-type", "Not A Type"},
                                        {"tg-dlq-code", NULL},
                                        {"tg-dlq-text", "\xff"},
                                        {"tg-dlq-field", LONG LONG LONG LONG}};
    tg_record_t *record = pass(f, pairs, TG_ARRAY_LEN(pairs));
    assert_int_equal(record->reason, TG_DEAD_INGESTION);
    assert_int_equal(record->row.type.len, 0);
    assert_int_equal(record->letter.code.len, 0);
    assert_int_equal(record->letter.text.len, 0);
    assert_int_equal(record->letter.field.len, 0);
    tg_record_release(f->pool, record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_letter_of_ingestion_is_taken_whole),
        cmocka_unit_test(what_does_not_begin_with_the_origin_is_passed_over),
        cmocka_unit_test(a_letter_without_tenant_or_id_is_the_operators),
        cmocka_unit_test(texts_that_the_store_cannot_hold_are_left_out),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
