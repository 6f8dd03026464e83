/* The whole service in one process: each form of request in, records and dead letters out, on a
 * mock Kafka and a registry of the tests. */
#include <stdio.h>
#include <stdlib.h>

#include "common/http/tests/support.h"
#include "ingestion/tests/support.h"

static void an_accepted_event_is_in_kafka_under_its_id(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    char *answer = post_with(f, "/v1/events/order", JSON, ORDER);
    assert_int_equal(test_code(answer), 202);
    char id_text[64], received[64];
    member(answer, "event_id", id_text, sizeof(id_text));
    member(answer, "received_at", received, sizeof(received));
    free(answer);

    struct seen seen = read_topic(f, "events.order");
    tg_uuid_t id;
    int64_t received_at = 0;
    assert_int_equal(tg_uuid_parse(tg_str_from(id_text), &id), TG_OK);
    assert_int_equal(tg_time_parse(tg_str_from(received), &received_at), TG_OK);
    assert_int_equal(seen.count, 1);
    assert_memory_equal(seen.last.id.bytes, id.bytes, 16);
    assert_true(seen.last.received_at == received_at);
    assert_true(seen.last.occurred_at == received_at); /* none was given */
    assert_true(seen.last.time_own);
    assert_true(seen.timestamp_ms == received_at / 1000);
    assert_string_equal(seen.key, "acme/order/USD/web");
    fixture_close(f);
}

static void a_tenants_own_type_goes_to_the_shared_topic(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    expect(f, "/v1/events/visit", JSON, "{\"ref\":\"v-1\",\"page\":\"/\",\"ms\":3}", 202,
           "event_id");
    assert_int_equal(read_topic(f, "events.custom").count, 1);
    expect(f, "/v1/events/visit", "X-Tidegate-Tenant: other\r\nContent-Type: application/json\r\n",
           "{}", 404, "unknown_type");
    fixture_close(f);
}

static void a_bad_request_is_refused_with_its_reason(void **state)
{
    (void)state;
    static const struct {
        const char *target, *headers, *body;
        int code;
        const char *part;
    } cases[] = {
        {"/v1/events/order", JSON, "{\"order_id\":", 400, "\"invalid_json\""},
        {"/v1/events/order", JSON, "", 400, "\"invalid_json\""},
        {"/v1/events/order", JSON, "[]", 422, "\"invalid_event\""},
        {"/v1/events/order", JSON, "{}", 422, "\"missing_field\""},
        {"/v1/events/order", JSON, "{\"bogus\":1}", 422, "\"field\":\"bogus\""},
        {"/v1/events/nothing", JSON, "{}", 404, "\"unknown_type\""},
        {"/v1/events/No%20Name", JSON, "{}", 404, "\"unknown_type\""},
        {"/v1/events/order", "X-Tidegate-Tenant: acme\r\nContent-Type: text/plain\r\n", ORDER, 415,
         "\"unsupported_media_type\""},
        {"/v1/events/order", "X-Tidegate-Tenant: acme\r\n", ORDER, 415, "none came"},
        {"/v1/events/order", JSON "Content-Encoding: br\r\n", ORDER, 415,
         "\"unsupported_encoding\""},
        {"/v1/events/order", JSON "Content-Encoding: gzip\r\n", ORDER, 400, "\"invalid_encoding\""},
        {"/v1/events/order?strict=true", JSON, ORDER, 400, "\"invalid_parameter\""},
        {"/v1/events/order", "Content-Type: application/json\r\n", ORDER, 400,
         "\"invalid_tenant\""},
        {"/v1/events/order", "X-Tidegate-Tenant: A/B\r\nContent-Type: application/json\r\n", ORDER,
         400, "\"invalid_tenant\""},
        {"/v2/events", JSON, "", 400, "\"invalid_json\""},
        {"/v2/events", JSON, "[]", 400, "\"empty_request\""},
        {"/v2/events", NDJSON, "\n\n", 400, "\"empty_request\""},
        {"/v2/events", JSON, "{\"type\":\"order\"}", 400, "\"invalid_json\""},
        {"/v2/events", JSON, "[{\"type\":\"order\",\"data\":{}}", 400, "not closed"},
        {"/v2/events", JSON, "[{\"type\":\"order\",\"data\":{}}]", 422, "\"data.customer_id\""},
        {"/v2/events?type=nothing", JSON, "[{}]", 422, "\"unknown_type\""},
        {"/v2/events?kind=order", JSON, "[{}]", 400, "\"invalid_parameter\""},
        {"/v2/events?strict=1", JSON, "[{}]", 400, "\"invalid_parameter\""},
        {"/v2/events?on_invalid=drop", JSON, "[{}]", 400, "\"invalid_parameter\""},
        {"/v2/events?strict=true&on_invalid=dead_letter", JSON, "[{}]", 400,
         "\"invalid_parameter\""},
        {"/v2/events", JSON "Content-Encoding: br\r\n", "[]", 415, "accept-encoding: gzip, zstd"},
        {"/v2/events", JSON "Content-Encoding: gzip, gzip\r\n", "[]", 415, "several codings"},
        {"/v2/events", JSON "Content-Encoding: gzip\r\n", "[]", 400, "\"invalid_encoding\""},
        {"/v2/events", JSON "Content-Encoding: zstd\r\n", "", 400, "truncated"},
        {"/v2/events", NDJSON "ce-id: 1\r\n", "{}", 415, "\"unsupported_media_type\""},
        {"/v2/events", "X-Tidegate-Tenant: acme\r\nContent-Type: application/cloudevents+xml\r\n",
         "{}", 415, "application/x-ndjson, application/cloudevents+json or"},
    };
    struct fixture *f = fixture_open();
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++)
        expect(f, cases[i].target, cases[i].headers, cases[i].body, cases[i].code, cases[i].part);
    assert_int_equal(read_topic(f, "events.order").count, 0);
    fixture_close(f);
}

static void what_exceeds_a_limit_is_too_large(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    char *body = malloc(70000);
    memset(body, ' ', 69999);
    body[69999] = '\0';
    expect(f, "/v2/events", JSON, body, 413, "\"body_too_large\"");
    body[5000] = '\0';
    expect(f, "/v1/events/order", JSON, body, 413, "\"body_too_large\"");
    (void)snprintf(body, 70000, "[{\"x\":\"%04500d\"}]", 0);
    expect(f, "/v2/events", JSON, body, 422, "\"too_large\"");
    for (size_t i = 0; i < 101; i++)
        memcpy(body + 2 * i, "1\n", 3);
    expect(f, "/v2/events", NDJSON, body, 413, "\"too_many_events\"");
    free(body);
    fixture_close(f);
}

static void without_the_secret_nothing_is_answered(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    char *answer =
        test_exchange(tg_http_server_port(f->server),
                      "POST /v1/events/order HTTP/1.1\r\nHost: t\r\nConnection: close\r\n"
                      "X-Tidegate-Secret: 0123456789abcdeF\r\n" JSON "Content-Length: 2\r\n\r\n{}");
    assert_int_equal(test_code(answer), 403);
    free(answer);
    fixture_close(f);
}

static void each_item_of_a_batch_has_its_own_result(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    char *answer =
        post_with(f, "/v2/events", JSON,
                  "[{\"type\":\"order\",\"data\":" ORDER
                  "},{\"type\":\"order\",\"data\":{\"amount\":\"x\"}},"
                  "{\"type\":\"nothing\",\"data\":{}}, {bad, {\"data\":" ORDER_2
                  ",\"type\":\"order\"},"
                  "{\"type\":\"order\",\"data\":" ORDER "},"
                  "{\"type\":\"visit\",\"data\":{\"ref\":\"o-1\",\"page\":\"/\",\"ms\":1}}]");
    /* "{bad," is not closed, so that the items behind it cannot be told apart. */
    assert_int_equal(test_code(answer), 400);
    free(answer);
    answer = post_with(f, "/v2/events", JSON,
                       "[{\"type\":\"order\",\"data\":" ORDER
                       "},{\"type\":\"order\",\"data\":{\"amount\":\"x\"}},"
                       "{\"type\":\"nothing\",\"data\":{}}, {bad}, {\"data\":" ORDER_2
                       ",\"type\":\"order\"},"
                       "{\"type\":\"order\",\"data\":" ORDER "},"
                       "{\"type\":\"visit\",\"data\":{\"ref\":\"o-1\",\"page\":\"/\",\"ms\":1}}]");
    assert_int_equal(test_code(answer), 202);
    test_assert_has(answer, "{\"accepted\":3,\"duplicate\":1,\"rejected\":3,\"failed\":0,");
    test_assert_has(answer, "{\"index\":0,\"status\":\"accepted\"");
    test_assert_has(answer, "{\"index\":1,\"status\":\"rejected\",\"code\":\"missing_field\","
                            "\"field\":\"data.customer_id\"");
    test_assert_has(answer, "{\"index\":2,\"status\":\"rejected\",\"code\":\"unknown_type\"");
    test_assert_has(answer, "{\"index\":3,\"status\":\"rejected\",\"code\":\"invalid_json\"");
    test_assert_has(answer, "{\"index\":4,\"status\":\"accepted\"");
    test_assert_has(answer, "{\"index\":5,\"status\":\"duplicate\",\"of\":0");
    test_assert_has(answer, "{\"index\":6,\"status\":\"accepted\"");
    free(answer);
    assert_int_equal(read_topic(f, "events.order").count, 2);
    assert_int_equal(read_topic(f, "events.custom").count, 1);
    fixture_close(f);
}

static void lines_and_flat_events_are_batches_too(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    expect(f, "/v2/events?type=order", NDJSON, ORDER "\r\n\n" ORDER_2 "\n", 202,
           "{\"accepted\":2,\"duplicate\":0,");
    expect(f, "/v2/events?type=order", JSON, "[" ORDER "," ORDER_2 "]", 202, "{\"accepted\":2,");
    assert_int_equal(read_topic(f, "events.order").count, 4);
    fixture_close(f);
}

static void an_idempotency_key_names_events_without_an_id(void **state)
{
    (void)state;
    static const char reading[] = "[{\"device_id\":\"d\",\"metric\":\"t\",\"value\":1},"
                                  "{\"device_id\":\"d\",\"metric\":\"t\",\"value\":1}]";
    struct fixture *f = fixture_open();
    char first[64], again[64], other[64];
    const char *const keys[] = {JSON "Idempotency-Key: a\r\n", JSON "Idempotency-Key: a\r\n",
                                JSON "Idempotency-Key: b\r\n"};
    char *const ids[] = {first, again, other};
    for (size_t i = 0; i < 3; i++) {
        char *answer = post_with(f, "/v2/events?type=reading", keys[i], reading);
        test_assert_has(answer, "{\"accepted\":2,\"duplicate\":0,"); /* their index differs */
        member(answer, "event_id", ids[i], 64);
        free(answer);
    }
    assert_string_equal(first, again);
    assert_string_not_equal(first, other);
    fixture_close(f);
}

#define CLOUD(type)                                                                                \
    "X-Tidegate-Tenant: acme\r\nContent-Type: application/cloudevents" type "+json\r\n"
#define CE_HEADERS                                                                                 \
    JSON "ce-specversion: 1.0\r\nce-id: o-1\r\nce-source: /shop\r\nce-type: order\r\n"
#define CE(id, type, data)                                                                         \
    "{\"specversion\":\"1.0\",\"id\":\"" id "\",\"source\":\"/shop\",\"type\":\"" type             \
    "\",\"data\":" data "}"
#define NAMELESS "{\"customer_id\":\"c-1\",\"amount\":1,\"currency\":\"USD\",\"channel\":\"web\"}"

static void the_forms_of_cloudevents_name_the_same_event(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    char ids[3][64];
    static const struct {
        const char *headers, *body;
    } forms[] = {{CLOUD(""), CE("o-1", "order", NAMELESS)},
                 {CLOUD("-batch"), "[" CE("o-1", "order-value", NAMELESS) "]"},
                 {CE_HEADERS, NAMELESS}};
    for (size_t i = 0; i < TG_ARRAY_LEN(forms); i++) {
        char *answer = post_with(f, "/v2/events", forms[i].headers, forms[i].body);
        assert_int_equal(test_code(answer), 202);
        member(answer, "event_id", ids[i], sizeof(ids[i]));
        free(answer);
        assert_string_equal(ids[i], ids[0]);
    }
    expect(f, "/v2/events?type=order", CLOUD(""), CE("o-2", "com.acme.Order", NAMELESS), 202,
           "\"accepted\":1");
    assert_int_equal(read_topic(f, "events.order").count, 4);
    fixture_close(f);
}

static void a_body_that_is_one_event_answers_as_that_event_does(void **state)
{
    (void)state;
    static const struct {
        const char *headers, *body;
        int code;
        const char *part;
    } cases[] = {
        {CLOUD(""), "{", 400, "\"code\":\"invalid_json\""},
        {CLOUD(""), "", 400, "\"code\":\"invalid_json\""},
        {CLOUD(""), "{}", 422, "\"field\":\"specversion\""},
        {CLOUD(""), CE("1", "order", "{}"), 422, "\"field\":\"data.customer_id\""},
        {CLOUD(""), CE("1", "com.acme", "{}"), 422, "\"code\":\"unknown_type\""},
        {CE_HEADERS, "{}", 422, "\"field\":\"customer_id\""},
        {CE_HEADERS, "[]", 422, "\"code\":\"invalid_event\""},
        {CE_HEADERS "ce-time: 2001-01-01T00:00:00Z\r\n", NAMELESS, 422, "\"field\":\"ce-time\""},
        {JSON "ce-id: 1\r\n", NAMELESS, 422, "\"field\":\"ce-specversion\""},
        {CLOUD("-batch"), CE("1", "order", NAMELESS), 400, "not a JSON array"},
        {CLOUD("-batch"), "[]", 400, "\"empty_request\""},
        {CLOUD(""),
         "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"order\","
         "\"data_base64\":\"eyJ4\"}",
         400, "\"field\":\"data_base64\""},
        {JSON, "[" CE("1", "order", NAMELESS) "]", 422, "application/cloudevents-batch+json"},
    };
    struct fixture *f = fixture_open();
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++)
        expect(f, "/v2/events", cases[i].headers, cases[i].body, cases[i].code, cases[i].part);
    assert_int_equal(read_topic(f, "events.order").count, 0);
    fixture_close(f);
}

static void a_strict_request_is_produced_whole_or_not_at_all(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    char *answer =
        post_with(f, "/v2/events?type=order&strict=true", JSON, "[" ORDER ",{}," ORDER_2 "]");
    assert_int_equal(test_code(answer), 422);
    test_assert_has(answer, "\"accepted\":0,\"duplicate\":0,\"rejected\":1,\"failed\":0,"
                            "\"dead_lettered\":0,\"withheld\":2");
    test_assert_has(answer, "{\"index\":2,\"status\":\"withheld\"}");
    free(answer);
    assert_int_equal(read_topic(f, "events.order").count, 0);
    expect(f, "/v2/events?type=order&strict=true", JSON, "[" ORDER "," ORDER_2 "," ORDER "]", 202,
           "{\"accepted\":2,\"duplicate\":1,\"rejected\":0");
    assert_int_equal(read_topic(f, "events.order").count, 2);
    fake_registry_fail(f->registry, true);
    expect(f, "/v2/events?strict=true", JSON,
           "[{\"type\":\"order\",\"data\":" ORDER "},{\"type\":\"session\",\"data\":{}}]", 503,
           "\"failed\":1,\"dead_lettered\":0,\"withheld\":1");
    assert_int_equal(read_topic(f, "events.order").count, 2);
    fixture_close(f);
}

static tg_str_t dead_header(const rd_kafka_message_t *m, const char *name)
{
    rd_kafka_headers_t *headers;
    const void *value = NULL;
    size_t len = 0;
    assert_int_equal(rd_kafka_message_headers(m, &headers), 0);
    if (rd_kafka_header_get_last(headers, name, &value, &len) != 0)
        return (tg_str_t){NULL, 0};
    return (tg_str_t){value, len};
}

/* What came to events.dlq. */
static void note_letter(const rd_kafka_message_t *m, struct seen *seen)
{
    seen->count++;
    assert_true(tg_str_eq(dead_header(m, "tg-dlq-origin"), TG_STR("ingestion")));
    assert_true(tg_str_eq(dead_header(m, "tg-tenant"), TG_STR("acme")));
    assert_int_equal(dead_header(m, "tg-received-at").len, 8);
    (void)snprintf(seen->key, sizeof(seen->key), "%.*s %.*s %.*s",
                   TG_STR_ARG(dead_header(m, "tg-dlq-code")),
                   TG_STR_ARG(dead_header(m, "tg-dlq-field")), (int)m->len,
                   (const char *)m->payload);
    (void)snprintf(seen->id, sizeof(seen->id), "%.*s", TG_STR_ARG(dead_header(m, "tg-dlq-id")));
}

static void invalid_events_become_dead_letters_when_asked(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    char first[64], again[64];
    char *answer = post_with(f, "/v2/events?type=order&on_invalid=dead_letter",
                             JSON "Idempotency-Key: k\r\n", "[" ORDER ",{\"amount\": 1}]");
    assert_int_equal(test_code(answer), 202);
    test_assert_has(answer, "{\"accepted\":1,\"duplicate\":0,\"rejected\":0,\"failed\":0,"
                            "\"dead_lettered\":1,");
    test_assert_has(answer, "\"code\":\"missing_field\",\"field\":\"customer_id\"");
    member(answer, "dead_letter_id", first, sizeof(first));
    free(answer);
    assert_int_equal(read_topic(f, "events.order").count, 1);
    struct seen seen = read_with(f, "events.dlq", note_letter);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.key, "missing_field customer_id {\"amount\": 1}");
    assert_string_equal(seen.id, first);

    answer = post_with(f, "/v2/events?type=order&on_invalid=dead_letter",
                       JSON "Idempotency-Key: k\r\n", "[" ORDER ",{\"amount\": 1}]");
    member(answer, "dead_letter_id", again, sizeof(again));
    free(answer);
    assert_string_equal(first, again);
    expect(f, "/v2/events?on_invalid=dead_letter", CE_HEADERS, "{broken", 202,
           "\"status\":\"dead_lettered\"");
    seen = read_with(f, "events.dlq", note_letter);
    assert_int_equal(seen.count, 3);
    assert_non_null(strstr(seen.key, "{broken"));
    expect(f, "/v1/events/order?on_invalid=dead_letter", JSON, "{\"amount\":2}", 202,
           "\"code\":\"missing_field\",\"field\":\"customer_id\"");
    expect(f, "/v1/events/nothing?on_invalid=dead_letter", JSON, "{}", 202, "\"unknown_type\"");
    expect(f, "/v1/events/order?on_invalid=dead_letter", JSON, ORDER, 202, "event_id");
    assert_int_equal(read_with(f, "events.dlq", note_letter).count, 5);
    char *large = malloc(8192);
    (void)snprintf(large, 8192, "[{\"x\":\"%05000d\"}]", 0);
    expect(f, "/v2/events?type=order&on_invalid=dead_letter", JSON, large, 422, "\"too_large\"");
    free(large);
    fixture_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_accepted_event_is_in_kafka_under_its_id),
        cmocka_unit_test(a_tenants_own_type_goes_to_the_shared_topic),
        cmocka_unit_test(a_bad_request_is_refused_with_its_reason),
        cmocka_unit_test(what_exceeds_a_limit_is_too_large),
        cmocka_unit_test(without_the_secret_nothing_is_answered),
        cmocka_unit_test(each_item_of_a_batch_has_its_own_result),
        cmocka_unit_test(lines_and_flat_events_are_batches_too),
        cmocka_unit_test(an_idempotency_key_names_events_without_an_id),
        cmocka_unit_test(the_forms_of_cloudevents_name_the_same_event),
        cmocka_unit_test(a_body_that_is_one_event_answers_as_that_event_does),
        cmocka_unit_test(a_strict_request_is_produced_whole_or_not_at_all),
        cmocka_unit_test(invalid_events_become_dead_letters_when_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
