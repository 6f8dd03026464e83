/* A Kafka cluster inside the test process: librdkafka's mock brokers, behind a handle of its own.
 *
 * Threads: the test's; one per cluster closes it, and the program ends after all of them. */
#ifndef TG_KAFKA_TESTS_MOCK_H
#define TG_KAFKA_TESTS_MOCK_H

#include <stdbool.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

typedef struct mock {
    rd_kafka_t *owner;
    rd_kafka_mock_cluster_t *cluster;
    const char *brokers;
} mock_t;

/* Kafka protocol numbers of the requests that the tests disturb. */
enum { MOCK_PRODUCE = 0, MOCK_INIT_PRODUCER_ID = 22 };

mock_t mock_open(int brokers);
void mock_close(mock_t *mock);

/* What librdkafka calls rd_kafka_mock_*, but never right behind another such call: its thread
 * (2.0.2) answers a call before it empties the pipe that woke it, so that the wake-up for the next
 * call may be thrown away with the old one, and that call then takes a second. */
void mock_topic_create(mock_t *mock, const char *topic, int partitions);
void mock_broker_up(mock_t *mock, bool up);
void mock_broker_rtt(mock_t *mock, int ms);

/* Produces `count` records "0", "1", … with the given key prefix to one partition, and waits. */
void mock_fill(mock_t *mock, const char *topic, int32_t partition, int first, int count);

#endif
