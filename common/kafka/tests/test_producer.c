/* The producer against librdkafka's mock cluster: acknowledgements, faults, budgets, FATAL, close.
 */
#include "common/kafka/producer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/time.h"
#include "common/kafka/tests/mock.h"
#include "common/observe/log.h"

#define TOPIC   "events.test"
#define WAIT_MS 20000

struct fixture {
    mock_t mock;
    tg_loop_t *loop;
    tg_producer_t *producer;
    unsigned done; /* callbacks so far */
    unsigned by_status[TG_INTERNAL + 1];
};

static void on_done(void *arg, tg_status_t status)
{
    struct fixture *f = arg;
    f->done++;
    f->by_status[status]++;
}

/* CLUSTER_AUTHORIZATION_FAILED is fatal to an idempotent producer, so this is the real path. The
 * slow broker lets the test send before the error comes. */
static void make_fatal(struct fixture *f, unsigned count)
{
    if (count > 0)
        mock_broker_rtt(&f->mock, 100);
    for (unsigned i = 0; i < count; i++)
        rd_kafka_mock_push_request_errors(f->mock.cluster, MOCK_INIT_PRODUCER_ID, 1,
                                          RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED);
}

/* A mock broker and a producer, of which the first `fatal` handles go FATAL. */
static struct fixture *fixture_open_fatal(const tg_producer_config_t *overrides, unsigned fatal)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->mock = mock_open(1);
    mock_topic_create(&f->mock, TOPIC, 6);
    make_fatal(f, fatal);
    f->loop = tg_loop_create();
    tg_producer_config_t config = {
        .brokers = f->mock.brokers,
        .client_id = "test",
        .linger_ms = 1,
        .max_inflight_bytes = 1 << 20,
        .max_inflight_records = 1000,
        .delivery_timeout_ms = 15000,
        .unavailable_ms = 300,
    };
    if (overrides != NULL) {
        if (overrides->max_inflight_bytes != 0)
            config.max_inflight_bytes = overrides->max_inflight_bytes;
        if (overrides->max_inflight_records != 0)
            config.max_inflight_records = overrides->max_inflight_records;
        if (overrides->delivery_timeout_ms != 0)
            config.delivery_timeout_ms = overrides->delivery_timeout_ms;
        config.extra = overrides->extra;
    }
    tg_error_t error = {0};
    assert_int_equal(tg_producer_open(f->loop, &config, &f->producer, &error), TG_OK);
    return f;
}

static struct fixture *fixture_open(const tg_producer_config_t *overrides)
{
    return fixture_open_fatal(overrides, 0);
}

static void fixture_close(struct fixture *f)
{
    tg_producer_close(f->producer, 0);
    tg_loop_destroy(f->loop);
    mock_close(&f->mock);
    free(f);
}

static tg_status_t send_text(struct fixture *f, const char *value)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1);
    rd_kafka_header_add(headers, "tg-type", -1, "test", 4);
    tg_producer_record_t record = {
        .topic = TOPIC,
        .key = TG_STR("key"),
        .value = tg_str_from(value),
        .headers = headers,
        .timestamp_ms = 1700000000000,
    };
    tg_status_t status = tg_producer_send(f->producer, &record, on_done, f);
    if (status != TG_OK)
        rd_kafka_headers_destroy(headers);
    return status;
}

static tg_producer_stats_t stats_of(struct fixture *f)
{
    tg_producer_stats_t stats;
    tg_producer_get_stats(f->producer, &stats);
    return stats;
}

static void wait_done(struct fixture *f, unsigned count)
{
    uint64_t until = tg_time_mono_ms() + WAIT_MS;
    while (f->done < count && tg_time_mono_ms() < until)
        tg_loop_turn(f->loop, 50);
    assert_int_equal(f->done, count);
}

static void wait_available(struct fixture *f, bool available)
{
    uint64_t until = tg_time_mono_ms() + WAIT_MS;
    while (stats_of(f).available != available && tg_time_mono_ms() < until)
        tg_loop_turn(f->loop, 20);
    assert_int_equal(stats_of(f).available, available);
}

static void a_record_is_done_once_the_broker_acknowledged_it(void **state)
{
    (void)state;
    struct fixture *f = fixture_open(NULL);
    for (int i = 0; i < 100; i++)
        assert_int_equal(send_text(f, "value"), TG_OK);
    assert_int_equal(f->done, 0);
    assert_int_equal(stats_of(f).inflight_records, 100);
    assert_int_equal(stats_of(f).inflight_bytes, 800);

    wait_done(f, 100);
    assert_int_equal(f->by_status[TG_OK], 100);
    assert_int_equal(stats_of(f).inflight_bytes, 0);
    assert_int_equal(stats_of(f).acknowledged_total, 100);
    assert_true(stats_of(f).available);
    fixture_close(f);
}

static void availability_is_known_without_any_record(void **state)
{
    (void)state;
    struct fixture *f = fixture_open(NULL);
    assert_false(stats_of(f).available);
    wait_available(f, true);
    mock_broker_up(&f->mock, false);
    wait_available(f, false);
    mock_broker_up(&f->mock, true);
    wait_available(f, true);
    fixture_close(f);
}

static void a_passing_broker_error_is_retried_inside(void **state)
{
    (void)state;
    struct fixture *f = fixture_open(NULL);
    rd_kafka_mock_push_request_errors(f->mock.cluster, MOCK_PRODUCE, 2,
                                      RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
                                      RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
    assert_int_equal(send_text(f, "value"), TG_OK);
    wait_done(f, 1);
    assert_int_equal(f->by_status[TG_OK], 1);
    fixture_close(f);
}

static void a_final_broker_error_reaches_the_caller(void **state)
{
    (void)state;
    struct fixture *f = fixture_open(NULL);
    rd_kafka_mock_push_request_errors(f->mock.cluster, MOCK_PRODUCE, 1,
                                      RD_KAFKA_RESP_ERR_INVALID_RECORD);
    assert_int_equal(send_text(f, "value"), TG_OK);
    wait_done(f, 1);
    assert_int_equal(f->by_status[TG_UNAVAILABLE], 1);
    assert_int_equal(stats_of(f).failed_total, 1);

    assert_int_equal(send_text(f, "value"), TG_OK);
    wait_done(f, 2);
    assert_int_equal(f->by_status[TG_OK], 1);
    fixture_close(f);
}

static void records_are_refused_while_no_broker_is_there_and_taken_again_after(void **state)
{
    (void)state;
    struct fixture *f = fixture_open(NULL);
    assert_int_equal(send_text(f, "before"), TG_OK);
    wait_done(f, 1);

    mock_broker_up(&f->mock, false);
    assert_int_equal(send_text(f, "during"), TG_OK); /* waits for the broker */
    uint64_t until = tg_time_mono_ms() + WAIT_MS;
    tg_status_t refused = TG_OK;
    unsigned taken = 2;
    while (refused != TG_UNAVAILABLE && tg_time_mono_ms() < until) {
        tg_loop_turn(f->loop, 20);
        refused = send_text(f, "during");
        taken += refused == TG_OK;
    }
    assert_int_equal(refused, TG_UNAVAILABLE);

    mock_broker_up(&f->mock, true);
    uint64_t up_at = tg_time_mono_ms();
    wait_available(f, true);
    assert_true(tg_time_mono_ms() - up_at < 5000);
    wait_done(f, taken);
    assert_int_equal(f->by_status[TG_OK], taken);
    assert_int_equal(send_text(f, "after"), TG_OK);
    wait_done(f, taken + 1);
    fixture_close(f);
}

static void an_unacknowledged_record_times_out(void **state)
{
    (void)state;
    struct fixture *f = fixture_open(&(tg_producer_config_t){.delivery_timeout_ms = 1200});
    wait_available(f, true);
    mock_broker_up(&f->mock, false);
    assert_int_equal(send_text(f, "value"), TG_OK);
    wait_done(f, 1);
    assert_int_equal(f->by_status[TG_TIMEOUT], 1);
    assert_false(stats_of(f).available);
    fixture_close(f);
}

static void the_byte_budget_refuses_and_opens_again(void **state)
{
    (void)state;
    struct fixture *f = fixture_open(&(tg_producer_config_t){.max_inflight_bytes = 20});
    assert_int_equal(send_text(f, "12345"), TG_OK);
    assert_int_equal(send_text(f, "123456789"), TG_OK);
    assert_int_equal(send_text(f, ""), TG_FULL);
    wait_done(f, 2);
    assert_int_equal(send_text(f, "12345678901234567"), TG_OK); /* exactly the budget */
    wait_done(f, 3);
    assert_int_equal(send_text(f, "123456789012345678"), TG_FULL);
    assert_int_equal(f->by_status[TG_OK], 3);
    fixture_close(f);
}

static void the_record_limit_refuses(void **state)
{
    (void)state;
    struct fixture *f = fixture_open(&(tg_producer_config_t){.max_inflight_records = 2});
    assert_int_equal(send_text(f, "1"), TG_OK);
    assert_int_equal(send_text(f, "2"), TG_OK);
    assert_int_equal(send_text(f, "3"), TG_FULL);
    wait_done(f, 2);
    assert_int_equal(send_text(f, "3"), TG_OK);
    wait_done(f, 3);
    fixture_close(f);
}

static void a_record_beyond_the_broker_limit_is_too_large(void **state)
{
    (void)state;
    struct fixture *f = fixture_open(&(tg_producer_config_t){.max_inflight_bytes = 4 << 20});
    char *huge = malloc((2 << 20) + 1);
    memset(huge, 'x', 2 << 20);
    huge[2 << 20] = '\0';
    assert_int_equal(send_text(f, huge), TG_TOO_LARGE);
    free(huge);
    assert_int_equal(stats_of(f).inflight_records, 0);
    fixture_close(f);
}

static void a_fatal_error_answers_all_in_flight_and_the_producer_comes_back(void **state)
{
    (void)state;
    struct fixture *f = fixture_open_fatal(NULL, 1);
    for (int i = 0; i < 50; i++)
        assert_int_equal(send_text(f, "value"), TG_OK);
    wait_done(f, 50);
    assert_int_equal(f->by_status[TG_UNAVAILABLE], 50);
    assert_int_equal(stats_of(f).inflight_bytes, 0);
    assert_int_equal(send_text(f, "at once"), TG_UNAVAILABLE);

    wait_available(f, true);
    assert_int_equal(stats_of(f).recreated_total, 1);
    assert_int_equal(send_text(f, "value"), TG_OK);
    wait_done(f, 51);
    assert_int_equal(f->by_status[TG_OK], 1);
    fixture_close(f);
}

static void repeated_fatal_errors_back_off_and_end(void **state)
{
    (void)state;
    struct fixture *f = fixture_open_fatal(NULL, 3);
    uint64_t until = tg_time_mono_ms() + WAIT_MS;
    while (stats_of(f).recreated_total < 3 && tg_time_mono_ms() < until)
        tg_loop_turn(f->loop, 20);
    assert_int_equal(stats_of(f).recreated_total, 3);
    wait_available(f, true);
    assert_int_equal(send_text(f, "value"), TG_OK);
    wait_done(f, 1);
    assert_int_equal(f->by_status[TG_OK], 1);
    fixture_close(f);
}

static void closing_flushes_what_is_in_flight(void **state)
{
    (void)state;
    struct fixture *f = fixture_open(&(tg_producer_config_t){.extra = "linger.ms=900"});
    wait_available(f, true);
    for (int i = 0; i < 20; i++)
        assert_int_equal(send_text(f, "value"), TG_OK);
    tg_producer_close(f->producer, 10000);
    f->producer = NULL;
    assert_int_equal(f->done, 20);
    assert_int_equal(f->by_status[TG_OK], 20);
    fixture_close(f);
}

static void closing_without_a_broker_cancels_what_is_in_flight(void **state)
{
    (void)state;
    struct fixture *f = fixture_open(NULL);
    mock_broker_up(&f->mock, false);
    for (int i = 0; i < 20; i++)
        assert_int_equal(send_text(f, "value"), TG_OK);
    tg_producer_close(f->producer, 50);
    f->producer = NULL;
    assert_int_equal(f->done, 20);
    assert_int_equal(f->by_status[TG_CANCELLED], 20);
    fixture_close(f);
}

static void a_bad_property_stops_the_start(void **state)
{
    (void)state;
    tg_loop_t *loop = tg_loop_create();
    tg_producer_config_t config = {.brokers = "127.0.0.1:1",
                                   .client_id = "test",
                                   .linger_ms = 1,
                                   .max_inflight_bytes = 1 << 20,
                                   .max_inflight_records = 10,
                                   .delivery_timeout_ms = 1000,
                                   .unavailable_ms = 1000,
                                   .extra = "no.such.thing=1"};
    tg_producer_t *producer = NULL;
    tg_error_t error = {0};
    assert_int_equal(tg_producer_open(loop, &config, &producer, &error), TG_INVALID);
    assert_null(producer);
    assert_non_null(strstr(error.text, "no.such.thing"));
    tg_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_done_once_the_broker_acknowledged_it),
        cmocka_unit_test(availability_is_known_without_any_record),
        cmocka_unit_test(a_passing_broker_error_is_retried_inside),
        cmocka_unit_test(a_final_broker_error_reaches_the_caller),
        cmocka_unit_test(records_are_refused_while_no_broker_is_there_and_taken_again_after),
        cmocka_unit_test(an_unacknowledged_record_times_out),
        cmocka_unit_test(the_byte_budget_refuses_and_opens_again),
        cmocka_unit_test(the_record_limit_refuses),
        cmocka_unit_test(a_record_beyond_the_broker_limit_is_too_large),
        cmocka_unit_test(a_fatal_error_answers_all_in_flight_and_the_producer_comes_back),
        cmocka_unit_test(repeated_fatal_errors_back_off_and_end),
        cmocka_unit_test(closing_flushes_what_is_in_flight),
        cmocka_unit_test(closing_without_a_broker_cancels_what_is_in_flight),
        cmocka_unit_test(a_bad_property_stops_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
