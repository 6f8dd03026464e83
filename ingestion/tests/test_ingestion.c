/* The whole service in one process: HTTP in, records out, on a mock Kafka and a registry of the
 * tests. */
#include "ingestion/ingestion.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/event/bundle.h"
#include "common/event/wire.h"
#include "common/http/tests/support.h"
#include "common/kafka/tests/mock.h"
#include "common/registry/tests/fake_registry.h"

#define WAIT_MS    20000
#define PARTITIONS 1
#define ORDER                                                                                      \
    "{\"order_id\":\"o-1\",\"customer_id\":\"c-1\",\"amount\":120.5,\"currency\":\"USD\","         \
    "\"channel\":\"web\"}"
#define ORDER_2                                                                                    \
    "{\"order_id\":\"o-2\",\"customer_id\":\"c-1\",\"amount\":1,\"currency\":\"USD\","             \
    "\"channel\":\"web\"}"

struct fixture {
    mock_t kafka;
    fake_registry_t *registry;
    char instances[64];
    tg_ingestion_config_t config;
    tg_ingestion_t *ingestion;
    tg_http_server_t *server;
};

static void configure(struct fixture *f)
{
    (void)snprintf(f->instances, sizeof(f->instances), "127.0.0.1:%u",
                   fake_registry_port(f->registry));
    f->config = (tg_ingestion_config_t){
        .http = test_config(),
        .kafka_brokers = (char *)(uintptr_t)f->kafka.brokers,
        .kafka_linger_ms = 1,
        .kafka_delivery_timeout_ms = 3000,
        .registry_instances = f->instances,
        .registry_timeout_ms = 500,
        .registry_refresh_ms = 60000,
        .secret = (char *)(uintptr_t)FAKE_SECRET,
        .event_max_bytes = 4096,
        .request_max_bytes = 64 << 10,
        .request_max_events = 100,
        .body_max_ratio = 100,
        .dead_letter_topic = (char *)(uintptr_t) "events.dlq",
        .max_ahead_ms = 600000,
        .horizon_ms = UINT64_C(400) * 86400000,
    };
    f->config.http.deadline_ms = WAIT_MS;
}

static struct fixture *fixture_open_with(uint64_t max_inflight)
{
    static const char *const topics[] = {"events.order", "events.reading", "events.custom",
                                         "events.dlq"};
    struct fixture *f = calloc(1, sizeof(*f));
    f->kafka = mock_open(1);
    for (size_t i = 0; i < TG_ARRAY_LEN(topics); i++)
        mock_topic_create(&f->kafka, topics[i], PARTITIONS);
    f->registry = fake_registry_open(0);
    configure(f);
    f->config.kafka_max_inflight = max_inflight;
    tg_error_t error = {.status = TG_OK};
    assert_int_equal(tg_ingestion_open(&f->config, &f->ingestion, &error), TG_OK);
    assert_int_equal(tg_http_server_open(tg_ingestion_service(f->ingestion), &f->server, &error),
                     TG_OK);
    return f;
}

static struct fixture *fixture_open(void)
{
    return fixture_open_with(1 << 20);
}

static void fixture_close(struct fixture *f)
{
    assert_int_equal(tg_http_server_drain(f->server), 0);
    tg_http_server_close(f->server);
    tg_ingestion_close(f->ingestion);
    fake_registry_close(f->registry);
    mock_close(&f->kafka);
    free(f);
}

/* --- talking --- */

static char *request_text(const char *target, const char *headers, const char *body)
{
    static const char form[] =
        "POST %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\nX-Tidegate-Secret: " FAKE_SECRET
        "\r\n%sContent-Length: %zu\r\n\r\n%s";
    size_t size = sizeof(form) + strlen(target) + strlen(headers) + strlen(body) + 32;
    char *text = malloc(size);
    (void)snprintf(text, size, form, target, headers, strlen(body), body);
    return text;
}

#define JSON   "X-Tidegate-Tenant: acme\r\nContent-Type: application/json\r\n"
#define NDJSON "X-Tidegate-Tenant: acme\r\nContent-Type: application/x-ndjson\r\n"

static char *post_with(struct fixture *f, const char *target, const char *headers, const char *body)
{
    char *text = request_text(target, headers, body);
    char *answer = test_exchange(tg_http_server_port(f->server), text);
    free(text);
    return answer;
}

static void expect(struct fixture *f, const char *target, const char *headers, const char *body,
                   int code, const char *part)
{
    char *answer = post_with(f, target, headers, body);
    if (test_code(answer) != code || strstr(answer, part) == NULL)
        fail_msg("%s %s: expected %d with %s, got %s", target, body, code, part, answer);
    free(answer);
}

/* Copies what stands behind the first `"name":"` up to the next quote. */
static void member(const char *answer, const char *name, char *out, size_t size)
{
    char pattern[64];
    (void)snprintf(pattern, sizeof(pattern), "\"%s\":\"", name);
    const char *at = strstr(answer, pattern);
    assert_non_null(at);
    at += strlen(pattern);
    size_t len = strcspn(at, "\"");
    assert_true(len < size);
    memcpy(out, at, len);
    out[len] = '\0';
}

/* --- what came out --- */

struct seen {
    size_t count;
    tg_event_t last; /* without texts */
    char key[128], id[64];
    int64_t timestamp_ms;
};

static void note_record(const rd_kafka_message_t *m, struct seen *seen)
{
    tg_error_t error;
    seen->count++;
    assert_int_equal(tg_event_read_headers(m, &seen->last, &error), TG_OK);
    assert_true(tg_str_eq(seen->last.tenant, TG_STR("acme")));
    (void)snprintf(seen->key, sizeof(seen->key), "%.*s", (int)m->key_len, (const char *)m->key);
    rd_kafka_timestamp_type_t type;
    seen->timestamp_ms = rd_kafka_message_timestamp(m, &type);
    seen->last.tenant = seen->last.type = TG_STR("");
}

/* Reads a topic from its start to its end. */
static struct seen read_with(struct fixture *f, const char *topic,
                             void (*note)(const rd_kafka_message_t *m, struct seen *seen))
{
    struct seen seen = {0};
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", f->kafka.brokers, reason, sizeof(reason));
    rd_kafka_conf_set(conf, "group.id", "reader", reason, sizeof(reason));
    rd_kafka_conf_set(conf, "enable.partition.eof", "true", reason, sizeof(reason));
    /* The default holds each fetch for half a second. */
    rd_kafka_conf_set(conf, "fetch.wait.max.ms", "10", reason, sizeof(reason));
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof(reason));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
    assert_int_equal(rd_kafka_assign(rk, list), 0);
    rd_kafka_topic_partition_list_destroy(list);
    bool end = false;
    uint64_t until = tg_time_mono_ms() + WAIT_MS;
    while (!end && tg_time_mono_ms() < until) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 200);
        if (m == NULL)
            continue;
        end = m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            note(m, &seen);
        rd_kafka_message_destroy(m);
    }
    assert_true(end);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    return seen;
}

static struct seen read_topic(struct fixture *f, const char *topic)
{
    return read_with(f, topic, note_record);
}

/* --- tests --- */

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

/* --- bundles --- */

static void put(tg_buf_t *bundle, const char *tenant, const char *type, const char *key,
                const char *body)
{
    tg_bundle_event_t event = {.tenant = tg_str_from(tenant),
                               .type = tg_str_from(type),
                               .idempotency_key = tg_str_from(key),
                               .body = tg_str_from(body)};
    tg_trace_start(&event.trace);
    tg_bundle_put_event(&event, bundle);
}

/* Sends and disposes the bundle; the whole answer, as long as *out_len. */
static char *post_bundle(struct fixture *f, const char *headers, tg_buf_t *bundle, size_t *out_len)
{
    char head[512];
    int len = snprintf(head, sizeof(head),
                       "POST " TG_BUNDLE_PATH " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n"
                       "%sContent-Type: " TG_BUNDLE_MEDIA_TYPE "\r\nContent-Length: %zu\r\n\r\n",
                       headers, bundle->len);
    int fd = test_connect(tg_http_server_port(f->server));
    test_send(fd, head, (size_t)len);
    test_send(fd, bundle->data, bundle->len);
    tg_buf_dispose(bundle);
    char *answer = calloc(1, 65536);
    ssize_t got;
    *out_len = 0;
    while ((got = read(fd, answer + *out_len, 65535 - *out_len)) > 0)
        *out_len += (size_t)got;
    close(fd);
    return answer;
}

#define TRUSTED "X-Tidegate-Secret: " FAKE_SECRET "\r\n"

static void each_event_of_a_bundle_has_its_own_outcome(void **state)
{
    (void)state;
    static const struct {
        const char *tenant, *type, *key, *body;
        int code;
        const char *error;
    } cases[] = {
        {"acme", "order", "", ORDER, 202, ""},
        {"acme", "order", "", "{\"bogus\":1}", 422, "unknown_field"},
        {"acme", "order", "", "{", 400, "invalid_json"},
        {"acme", "order", "", "", 400, "invalid_json"},
        {"acme", "order", "k-1", ORDER_2, 202, ""},
        {"acme", "unheard_of", "", ORDER, TG_BUNDLE_ALONE, ""}, /* not cached */
        {"other", "visit", "", ORDER, TG_BUNDLE_ALONE, ""},     /* another tenant's */
        {"A/B", "order", "", ORDER, TG_BUNDLE_ALONE, ""},
        {"", "order", "", ORDER, TG_BUNDLE_ALONE, ""},
        {"acme", "order", "\xff", ORDER, TG_BUNDLE_ALONE, ""},
        {"acme", "No Name", "", ORDER, TG_BUNDLE_ALONE, ""},
    };
    struct fixture *f = fixture_open();
    expect(f, "/v1/events/order", JSON, ORDER, 202, "event_id"); /* the type is cached */
    expect(f, "/v1/events/visit", JSON, "{\"ref\":\"v-1\",\"page\":\"/\",\"ms\":3}", 202,
           "event_id");
    tg_buf_t bundle = tg_buf_make(TG_BUNDLE_BYTES_MAX);
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++)
        put(&bundle, cases[i].tenant, cases[i].type, cases[i].key, cases[i].body);
    size_t len;
    char *answer = post_bundle(f, TRUSTED, &bundle, &len);
    assert_int_equal(test_code(answer), 200);
    char *body = strstr(answer, "\r\n\r\n") + 4;
    tg_str_t rest = {body, len - (size_t)(body - answer)};
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        tg_bundle_outcome_t outcome;
        assert_int_equal(tg_bundle_take_outcome(&rest, &outcome), TG_OK);
        assert_int_equal(outcome.http_code, cases[i].code);
        assert_true(tg_str_eq(outcome.code, tg_str_from(cases[i].error)));
        assert_int_equal(outcome.body.len > 0, cases[i].code == 202);
        assert_int_equal(outcome.message.len > 0, cases[i].code >= 400);
    }
    assert_int_equal(rest.len, 0);
    free(answer);
    assert_int_equal(read_topic(f, "events.order").count, 3);
    fixture_close(f);
}

static void what_is_no_bundle_is_refused_whole(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    expect(f, "/v1/events/order", JSON, ORDER, 202, "event_id");
    for (int i = 0; i < 4; i++) {
        tg_buf_t bundle = tg_buf_make(TG_BUNDLE_BYTES_MAX);
        for (int events = 0; events < (i == 1 ? TG_BUNDLE_EVENTS_MAX + 1 : i); events++)
            put(&bundle, "acme", "order", "", ORDER);
        if (i == 2)
            tg_buf_byte(&bundle, 'x');
        size_t len;
        char *answer = post_bundle(f, i == 3 ? "" : TRUSTED, &bundle, &len);
        assert_int_equal(test_code(answer), i == 3 ? 403 : 400);
        free(answer);
    }
    assert_int_equal(read_topic(f, "events.order").count, 1);
    fixture_close(f);
}

static void a_bundle_whose_deadline_passes_is_freed_once(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    expect(f, "/v1/events/order", JSON, ORDER, 202, "event_id");
    mock_broker_rtt(&f->kafka, 500);
    tg_buf_t bundle = tg_buf_make(TG_BUNDLE_BYTES_MAX);
    put(&bundle, "acme", "order", "", ORDER);
    put(&bundle, "acme", "order", "", ORDER_2);
    size_t len;
    char *answer = post_bundle(f, TRUSTED "X-Tidegate-Deadline-Ms: 50\r\n", &bundle, &len);
    assert_int_equal(test_code(answer), 504);
    free(answer);
    fixture_close(f); /* flushes what it left behind */
}

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
        cmocka_unit_test(each_event_of_a_bundle_has_its_own_outcome),
        cmocka_unit_test(what_is_no_bundle_is_refused_whole),
        cmocka_unit_test(a_bundle_whose_deadline_passes_is_freed_once),
        cmocka_unit_test(kafka_away_is_503_until_it_is_back),
        cmocka_unit_test(the_registry_away_matters_to_unknown_types_only),
        cmocka_unit_test(a_full_byte_budget_is_overloaded),
        cmocka_unit_test(a_client_that_goes_away_does_not_stop_its_event),
        cmocka_unit_test(a_passed_deadline_frees_the_request_once),
        cmocka_unit_test(draining_answers_what_is_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
