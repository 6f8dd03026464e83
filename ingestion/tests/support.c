/* The service and what it talks to, and a consumer that reads what came out. Each answer and each
 * topic is waited for to its end, under a time that only a failure reaches. */
#include "ingestion/tests/support.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/event/wire.h"
#include "common/http/tests/support.h"

#define PARTITIONS 1

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

struct fixture *fixture_open_with(uint64_t max_inflight)
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

struct fixture *fixture_open(void)
{
    return fixture_open_with(1 << 20);
}

void fixture_close(struct fixture *f)
{
    assert_int_equal(tg_http_server_drain(f->server), 0);
    tg_http_server_close(f->server);
    tg_ingestion_close(f->ingestion);
    fake_registry_close(f->registry);
    mock_close(&f->kafka);
    free(f);
}

char *request_text(const char *target, const char *headers, const char *body)
{
    static const char form[] =
        "POST %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\nX-Tidegate-Secret: " FAKE_SECRET
        "\r\n%sContent-Length: %zu\r\n\r\n%s";
    size_t size = sizeof(form) + strlen(target) + strlen(headers) + strlen(body) + 32;
    char *text = malloc(size);
    (void)snprintf(text, size, form, target, headers, strlen(body), body);
    return text;
}

char *post_with(struct fixture *f, const char *target, const char *headers, const char *body)
{
    char *text = request_text(target, headers, body);
    char *answer = test_exchange(tg_http_server_port(f->server), text);
    free(text);
    return answer;
}

void expect(struct fixture *f, const char *target, const char *headers, const char *body, int code,
            const char *part)
{
    char *answer = post_with(f, target, headers, body);
    if (test_code(answer) != code || strstr(answer, part) == NULL)
        fail_msg("%s %s: expected %d with %s, got %s", target, body, code, part, answer);
    free(answer);
}

void member(const char *answer, const char *name, char *out, size_t size)
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

struct seen read_with(struct fixture *f, const char *topic,
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

struct seen read_topic(struct fixture *f, const char *topic)
{
    return read_with(f, topic, note_record);
}
