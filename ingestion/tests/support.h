/* What tests of the whole service share: the service in this process on a mock Kafka and a registry
 * of the tests, requests to it, and a reader of its topics. Trouble fails the test.
 *
 * Threads: the test's. */
#ifndef TG_INGESTION_TESTS_SUPPORT_H
#define TG_INGESTION_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/event/event.h"
#include "common/kafka/tests/mock.h"
#include "common/registry/tests/fake_registry.h"
#include "ingestion/ingestion.h"

#define WAIT_MS 20000 /* far above anything expected */

#define ORDER                                                                                      \
    "{\"order_id\":\"o-1\",\"customer_id\":\"c-1\",\"amount\":120.5,\"currency\":\"USD\","         \
    "\"channel\":\"web\"}"
#define ORDER_2                                                                                    \
    "{\"order_id\":\"o-2\",\"customer_id\":\"c-1\",\"amount\":1,\"currency\":\"USD\","             \
    "\"channel\":\"web\"}"

/* Headers of a request from the tenant acme. */
#define JSON   "X-Tidegate-Tenant: acme\r\nContent-Type: application/json\r\n"
#define NDJSON "X-Tidegate-Tenant: acme\r\nContent-Type: application/x-ndjson\r\n"

struct fixture {
    mock_t kafka;
    fake_registry_t *registry;
    char instances[64];
    tg_ingestion_config_t config;
    tg_ingestion_t *ingestion;
    tg_http_server_t *server;
};

struct fixture *fixture_open(void);
struct fixture *fixture_open_with(uint64_t max_inflight); /* bytes on their way to Kafka */
void fixture_close(struct fixture *f);                    /* drains first */

/* --- talking; texts are owned by the caller --- */

/* A POST of a trusted peer, on a connection of its own. */
char *request_text(const char *target, const char *headers, const char *body);
char *post_with(struct fixture *f, const char *target, const char *headers, const char *body);

/* Posts, and fails the test when the answer has not this code or not this part. */
void expect(struct fixture *f, const char *target, const char *headers, const char *body, int code,
            const char *part);

/* Copies what stands behind the first `"name":"` up to the next quote. */
void member(const char *answer, const char *name, char *out, size_t size);

/* --- what came out --- */

struct seen {
    size_t count;
    tg_event_t last; /* without texts */
    char key[128], id[64];
    int64_t timestamp_ms;
};

/* Reads a topic from its start to its end. */
struct seen read_with(struct fixture *f, const char *topic,
                      void (*note)(const rd_kafka_message_t *m, struct seen *seen));
struct seen read_topic(struct fixture *f, const char *topic); /* events, which must be acme's */

#endif
