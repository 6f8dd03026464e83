/* What the consumer's tests share: a mock cluster with one topic, and an owner of a consumer that
 * keeps what it is told. The mock waits three seconds before a group's first assignment, so each
 * test costs those; hence several programs, which run side by side.
 *
 * Threads: the test's. */
#ifndef TG_KAFKA_TESTS_OWNER_H
#define TG_KAFKA_TESTS_OWNER_H

#include "common/kafka/consumer.h"
#include "common/kafka/tests/mock.h"

#define OWNER_TOPIC   "events.test"
#define OWNER_WAIT_MS 30000

enum { OWNER_PARTITIONS = 2 };

struct owner {
    tg_consumer_t *consumer;
    int64_t start[OWNER_PARTITIONS];
    tg_status_t answer; /* of assign */
    unsigned assigns, revokes;
    int assigned; /* partitions held */
    int64_t position[OWNER_PARTITIONS];
    unsigned eofs;
};

void owner_open(struct owner *o, const mock_t *mock);
mock_t owner_topic(void);

/* The next record; fails the test when none comes. */
int64_t owner_next(struct owner *o, tg_consumer_event_t *out_event, char *out_text);
void owner_expect(struct owner *o, int first, int count);

/* Polls until `event` comes; true if the message with it was a record. */
bool owner_wait(struct owner *o, tg_consumer_event_t event, int64_t *out_offset);

#endif
