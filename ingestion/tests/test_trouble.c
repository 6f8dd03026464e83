/* The whole service in trouble: Kafka or the registry away, no room for more, clients that leave,
 * deadlines that pass, and the end. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/http/tests/support.h"
#include "ingestion/tests/support.h"

static void kafka_away_is_503_until_it_is_back(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    expect(f, "/v1/events/order", JSON, ORDER, 202, "event_id");
    mock_broker_up(&f->kafka, false);
    uint64_t until = tg_time_mono_ms() + WAIT_MS;
    int code = 0;
    while (code != 503 && tg_time_mono_ms() < until) {
        char *answer = post_with(f, "/v1/events/order", JSON, ORDER);
        code = test_code(answer);
        if (code == 503) {
            test_assert_has(answer, "\"kafka_unavailable\"");
            test_assert_has(answer, "retry-after: 1");
        }
        free(answer);
    }
    assert_int_equal(code, 503);
    expect(f, "/v2/events?type=order", JSON, "[" ORDER ",{}]", 503,
           "{\"index\":0,\"status\":\"failed\",\"code\":\"kafka_unavailable\"");
    expect(f, "/v2/events?type=order&on_invalid=dead_letter", JSON, "[{}]", 503,
           "{\"index\":0,\"status\":\"failed\",\"code\":\"kafka_unavailable\"");
    expect(f, "/v1/events/order?on_invalid=dead_letter", JSON, "{}", 503, "\"kafka_unavailable\"");
    expect(f, "/v2/events?type=order&strict=true", JSON, "[" ORDER "]", 503,
           "\"accepted\":0,\"duplicate\":0,\"rejected\":0,\"failed\":1");

    mock_broker_up(&f->kafka, true);
    uint64_t up_at = tg_time_mono_ms();
    while (code != 202 && tg_time_mono_ms() < until + WAIT_MS) {
        char *answer = post_with(f, "/v1/events/order", JSON, ORDER);
        code = test_code(answer);
        free(answer);
    }
    assert_int_equal(code, 202);
    assert_true(tg_time_mono_ms() - up_at < 5000);
    fixture_close(f);
}

static void the_registry_away_matters_to_unknown_types_only(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    expect(f, "/v1/events/order", JSON, ORDER, 202, "event_id");
    fake_registry_fail(f->registry, true);
    expect(f, "/v1/events/order", JSON, ORDER, 202, "event_id");
    expect(f, "/v1/events/session", JSON, "{}", 503, "\"registry_unavailable\"");
    expect(f, "/v2/events", JSON,
           "[{\"type\":\"order\",\"data\":" ORDER "},{\"type\":\"stream\",\"data\":{}}]", 202,
           "{\"index\":1,\"status\":\"failed\",\"code\":\"registry_unavailable\"");
    fixture_close(f);
}

static void a_full_byte_budget_is_overloaded(void **state)
{
    (void)state;
    struct fixture *f = fixture_open_with(1500);
    char *body = malloc(4096);
    size_t len = 0;
    for (int i = 0; i < 10; i++)
        len += (size_t)sprintf(body + len,
                               "{\"order_id\":\"o-%d\",\"customer_id\":\"c\",\"amount\":1,"
                               "\"currency\":\"USD\",\"channel\":\"web\"}\n",
                               i);
    /* One request alone is let in, and its items beyond the budget fail. */
    char *answer = post_with(f, "/v2/events?type=order", NDJSON, body);
    assert_int_equal(test_code(answer), 202);
    test_assert_has(answer, "{\"index\":0,\"status\":\"accepted\"");
    test_assert_has(answer, "{\"index\":9,\"status\":\"failed\",\"code\":\"overloaded\"");
    free(answer);

    /* While it is in flight, another one is refused whole. */
    mock_broker_rtt(&f->kafka, 500);
    char *text = request_text("/v2/events?type=order", NDJSON, body);
    uint64_t until = tg_time_mono_ms() + WAIT_MS;
    bool refused = false;
    while (!refused && tg_time_mono_ms() < until) {
        int fds[2];
        for (size_t i = 0; i < 2; i++) {
            fds[i] = test_connect(tg_http_server_port(f->server));
            test_say(fds[i], text);
        }
        for (size_t i = 0; i < 2; i++) {
            answer = test_read_all(fds[i], NULL);
            refused |= test_code(answer) == 503 && strstr(answer, "\"overloaded\"") != NULL;
            free(answer);
            close(fds[i]);
        }
    }
    assert_true(refused);
    free(text);
    free(body);
    fixture_close(f);
}

static void a_client_that_goes_away_does_not_stop_its_event(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    expect(f, "/v1/events/order", JSON, ORDER, 202, "event_id");
    mock_broker_rtt(&f->kafka, 300);
    for (int i = 0; i < 4; i++) {
        int fd = test_connect(tg_http_server_port(f->server));
        char *text = i % 2 == 0 ? request_text("/v1/events/order", JSON, ORDER)
                                : request_text("/v2/events?type=order", JSON, "[" ORDER "]");
        test_say(fd, text);
        free(text);
        close(fd);
    }
    mock_broker_rtt(&f->kafka, 0);
    uint64_t until = tg_time_mono_ms() + WAIT_MS;
    size_t count = 0;
    while (count < 5 && tg_time_mono_ms() < until)
        count = read_topic(f, "events.order").count;
    assert_int_equal(count, 5);
    fixture_close(f);
}

static void a_passed_deadline_frees_the_request_once(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    expect(f, "/v1/events/order", JSON, ORDER, 202, "event_id");
    mock_broker_rtt(&f->kafka, 500);
    expect(f, "/v1/events/order", JSON "X-Tidegate-Deadline-Ms: 50\r\n", ORDER, 504, "deadline");
    expect(f, "/v2/events?type=order", JSON "X-Tidegate-Deadline-Ms: 50\r\n",
           "[" ORDER "," ORDER_2 "]", 504, "deadline");
    fixture_close(f); /* flushes what the two left behind */
}

static void draining_answers_what_is_in_flight(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    expect(f, "/v1/events/order", JSON, ORDER, 202, "event_id");
    mock_broker_rtt(&f->kafka, 500);
    int fds[4];
    for (size_t i = 0; i < TG_ARRAY_LEN(fds); i++) {
        fds[i] = test_connect(tg_http_server_port(f->server));
        char *text = request_text("/v1/events/order", JSON, ORDER);
        test_say(fds[i], text);
        free(text);
    }
    fixture_close(f);
    for (size_t i = 0; i < TG_ARRAY_LEN(fds); i++) {
        char *answer = test_read_all(fds[i], NULL);
        assert_int_equal(test_code(answer), 202);
        free(answer);
        close(fds[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kafka_away_is_503_until_it_is_back),
        cmocka_unit_test(the_registry_away_matters_to_unknown_types_only),
        cmocka_unit_test(a_full_byte_budget_is_overloaded),
        cmocka_unit_test(a_client_that_goes_away_does_not_stop_its_event),
        cmocka_unit_test(a_passed_deadline_frees_the_request_once),
        cmocka_unit_test(draining_answers_what_is_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
