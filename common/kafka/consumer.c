/* Group consumer over librdkafka's high-level consumer.
 *
 * Where an offset is gone, librdkafka's "error" reset leaves the partition stopped for good (a seek
 * is refused in that state), and "earliest" moves on in silence. So it is "earliest", and each
 * message's offset is compared with the one expected: our topics are neither compacted nor
 * transactional, hence any jump means that records were not read, and the owner is told.
 *
 * Limits: ASSIGNED_MAX partitions. Threads: one. */
#include "common/kafka/consumer.h"

#include <stdlib.h>

#include "common/kafka/conf.h"
#include "common/observe/log.h"

#define ASSIGNED_MAX    4096
#define SEEK_TIMEOUT_MS 1000
#define EXPECT_ANY      (-1) /* a logical offset was assigned */

struct expected {
    char *topic;           /* owned */
    const char *last_name; /* librdkafka's own copy of the name, seen last: saves the comparison */
    int32_t partition;
    int64_t offset; /* of the next message, or EXPECT_ANY */
};

struct tg_consumer {
    rd_kafka_t *rk;
    tg_consumer_events_t events;
    rd_kafka_topic_partition_list_t *unclaimed; /* owned: `assign` failed for these */
    struct expected *expected;
    size_t expected_count;
    size_t expected_last; /* where the last message was found */
    char *cluster_id;     /* owned by librdkafka's allocator */
    bool paused, leaving;
};

/* --- what comes next in each partition --- */

static void expected_clear(tg_consumer_t *consumer)
{
    for (size_t i = 0; i < consumer->expected_count; i++)
        free(consumer->expected[i].topic);
    free(consumer->expected);
    consumer->expected = NULL;
    consumer->expected_count = 0;
    consumer->expected_last = 0;
}

static tg_status_t expected_fill(tg_consumer_t *consumer,
                                 const rd_kafka_topic_partition_list_t *list)
{
    assert(list->cnt >= 0 && list->cnt <= ASSIGNED_MAX);
    expected_clear(consumer);
    if (list->cnt == 0)
        return TG_OK;
    consumer->expected = calloc((size_t)list->cnt, sizeof(*consumer->expected));
    if (consumer->expected == NULL)
        return TG_NOMEM;
    for (int i = 0; i < list->cnt; i++) {
        struct expected *e = &consumer->expected[consumer->expected_count];
        e->topic = strdup(list->elems[i].topic);
        if (e->topic == NULL)
            return TG_NOMEM;
        e->partition = list->elems[i].partition;
        e->offset = list->elems[i].offset >= 0 ? list->elems[i].offset : EXPECT_ANY;
        consumer->expected_count++;
    }
    return TG_OK;
}

static bool expected_is(struct expected *e, const char *topic, int32_t partition)
{
    if (e->partition != partition)
        return false;
    if (e->last_name == topic)
        return true;
    if (strcmp(e->topic, topic) != 0)
        return false;
    e->last_name = topic;
    return true;
}

static struct expected *expected_find(tg_consumer_t *consumer, const char *topic, int32_t partition)
{
    size_t count = consumer->expected_count;
    for (size_t n = 0; n < count; n++) {
        size_t i = (consumer->expected_last + n) % count;
        if (expected_is(&consumer->expected[i], topic, partition)) {
            consumer->expected_last = i;
            return &consumer->expected[i];
        }
    }
    return NULL;
}

/* Moves the expectation behind `message`; true when it was another offset than expected. */
static bool expected_step(tg_consumer_t *consumer, const rd_kafka_message_t *message)
{
    struct expected *e =
        expected_find(consumer, rd_kafka_topic_name(message->rkt), message->partition);
    if (e == NULL)
        return false;
    bool jumped = e->offset != EXPECT_ANY && e->offset != message->offset;
    e->offset = message->err == RD_KAFKA_RESP_ERR_NO_ERROR ? message->offset + 1 : message->offset;
    return jumped;
}

/* --- assignment --- */

static tg_status_t set_paused(tg_consumer_t *consumer, bool paused)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    if (rd_kafka_assignment(consumer->rk, &list) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return TG_INTERNAL;
    rd_kafka_resp_err_t err = paused ? rd_kafka_pause_partitions(consumer->rk, list)
                                     : rd_kafka_resume_partitions(consumer->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return err == RD_KAFKA_RESP_ERR_NO_ERROR ? TG_OK : TG_INTERNAL;
}

static void forget_unclaimed(tg_consumer_t *consumer)
{
    if (consumer->unclaimed != NULL)
        rd_kafka_topic_partition_list_destroy(consumer->unclaimed);
    consumer->unclaimed = NULL;
}

/* Hands librdkafka the partitions with the owner's offsets. */
static tg_status_t start_reading(tg_consumer_t *consumer,
                                 const rd_kafka_topic_partition_list_t *list)
{
    if (list->cnt > ASSIGNED_MAX || expected_fill(consumer, list) != TG_OK)
        return TG_NOMEM;
    if (rd_kafka_assign(consumer->rk, list) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return TG_INTERNAL;
    /* Said in both cases: librdkafka keeps a partition's pause over a revocation, so one that was
     * lost while paused would come back silent. */
    return set_paused(consumer, consumer->paused);
}

/* Asks the owner for the offsets of `list`, and starts. On failure the member stays in the group
 * with nothing to read, and keeps the list for the next try. */
static void claim(tg_consumer_t *consumer, rd_kafka_topic_partition_list_t *list)
{
    tg_status_t status = consumer->events.assign(consumer->events.arg, list);
    if (status == TG_OK)
        status = start_reading(consumer, list);
    if (status == TG_OK) {
        rd_kafka_topic_partition_list_destroy(list);
        return;
    }
    tg_log_warn("consumer_assign_failed", TG_F_TEXT("status", tg_status_name(status)),
                TG_F_INT("partitions", list->cnt));
    rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
    (void)rd_kafka_assign(consumer->rk, none);
    rd_kafka_topic_partition_list_destroy(none);
    expected_clear(consumer);
    consumer->unclaimed = list;
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                         rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    tg_consumer_t *consumer = opaque;
    forget_unclaimed(consumer);
    if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && !consumer->leaving) {
        claim(consumer, rd_kafka_topic_partition_list_copy(partitions));
        return;
    }
    if (err == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
        consumer->events.revoke(consumer->events.arg, partitions,
                                rd_kafka_assignment_lost(rk) != 0);
    (void)rd_kafka_assign(rk, NULL);
    expected_clear(consumer);
}

void tg_consumer_retry_assign(tg_consumer_t *consumer)
{
    assert(consumer != NULL);
    rd_kafka_topic_partition_list_t *list = consumer->unclaimed;
    consumer->unclaimed = NULL;
    if (list != NULL)
        claim(consumer, list);
}

/* --- open and close --- */

static tg_status_t configure(const tg_consumer_config_t *config, rd_kafka_conf_t *conf,
                             tg_error_t *error)
{
    tg_kafka_number_t session = tg_kafka_number(config->session_timeout_ms);
    tg_kafka_number_t heartbeat = tg_kafka_number(config->session_timeout_ms / 4 + 1);
    tg_kafka_number_t max_poll = tg_kafka_number(config->max_poll_ms < config->session_timeout_ms
                                                     ? config->session_timeout_ms
                                                     : config->max_poll_ms);
    tg_kafka_number_t queued = tg_kafka_number(config->queued_max_bytes / 1024 + 1);
    const tg_kafka_property_t properties[] = {
        {"bootstrap.servers", config->brokers},
        {"client.id", config->client_id},
        {"group.id", config->group},
        /* Eager only: cooperative-sticky of 2.0.2 has close bugs. Round robin first, because range
         * gives the first member one partition more in every topic. */
        {"partition.assignment.strategy", "roundrobin,range"},
        {"session.timeout.ms", session.text},
        {"heartbeat.interval.ms", heartbeat.text},
        {"max.poll.interval.ms", max_poll.text},
        {"enable.auto.commit", "true"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "earliest"}, /* see the head of this file */
        {"enable.partition.eof", "true"},
        {"queued.max.messages.kbytes", queued.text},
        /* A broker that answers each fetch with the one record that has just come spends three
         * times the CPU on it, and so do we; it waits for some more, but not for long. */
        {"fetch.min.bytes", "65536"},
        {"fetch.wait.max.ms", "50"},
        {"fetch.error.backoff.ms", "100"},
        {"reconnect.backoff.ms", "50"},
        {"reconnect.backoff.max.ms", "500"},
        {"socket.connection.setup.timeout.ms", "3000"},
        {"socket.keepalive.enable", "true"},
        {"topic.metadata.refresh.interval.ms", "10000"}, /* finds a topic made after the start */
    };
    rd_kafka_conf_set_log_cb(conf, tg_kafka_log);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    return tg_kafka_conf_set(conf, properties, TG_ARRAY_LEN(properties), config->extra, error);
}

static tg_status_t subscribe(tg_consumer_t *consumer, const tg_consumer_config_t *config,
                             tg_error_t *error)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)config->topic_count);
    for (size_t i = 0; i < config->topic_count; i++)
        rd_kafka_topic_partition_list_add(list, config->topics[i], RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t err = rd_kafka_subscribe(consumer->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        return TG_OK;
    return tg_error_set(error, TG_INVALID, "kafka consumer: subscribe: %s", rd_kafka_err2str(err));
}

static tg_status_t open_handle(tg_consumer_t *consumer, const tg_consumer_config_t *config,
                               tg_error_t *error)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(conf, consumer);
    tg_status_t status = configure(config, conf, error);
    if (status != TG_OK) {
        rd_kafka_conf_destroy(conf);
        return status;
    }
    char reason[256];
    consumer->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof(reason));
    if (consumer->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return tg_error_set(error, TG_INVALID, "kafka consumer: %s", reason);
    }
    rd_kafka_poll_set_consumer(consumer->rk);
    return subscribe(consumer, config, error);
}

tg_status_t tg_consumer_open(const tg_consumer_config_t *config, const tg_consumer_events_t *events,
                             tg_consumer_t **out_consumer, tg_error_t *error)
{
    assert(config->topic_count > 0 && config->topic_count <= ASSIGNED_MAX);
    assert(events->assign != NULL);
    assert(events->revoke != NULL);
    tg_consumer_t *consumer = calloc(1, sizeof(*consumer));
    if (consumer == NULL)
        return tg_error_set(error, TG_NOMEM, "kafka consumer: out of memory");
    consumer->events = *events;
    tg_status_t status = open_handle(consumer, config, error);
    if (status != TG_OK) {
        tg_consumer_close(consumer);
        return status;
    }
    *out_consumer = consumer;
    return TG_OK;
}

void tg_consumer_close(tg_consumer_t *consumer)
{
    if (consumer == NULL)
        return;
    if (consumer->rk != NULL) {
        consumer->leaving = true;                    /* what comes now is not claimed any more */
        (void)rd_kafka_consumer_close(consumer->rk); /* revokes through on_rebalance */
        if (consumer->cluster_id != NULL)
            rd_kafka_mem_free(consumer->rk, consumer->cluster_id);
        rd_kafka_destroy(consumer->rk);
    }
    forget_unclaimed(consumer);
    expected_clear(consumer);
    free(consumer);
}

/* --- reading --- */

/* Decides what a polled message means; true when it goes to the owner. */
static bool classify(tg_consumer_t *consumer, const rd_kafka_message_t *message,
                     tg_consumer_event_t *out_event)
{
    switch (message->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        *out_event = expected_step(consumer, message) ? TG_CONSUMER_OFFSET_RESET : TG_CONSUMER_NONE;
        return true;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        *out_event = expected_step(consumer, message) ? TG_CONSUMER_OFFSET_RESET : TG_CONSUMER_EOF;
        return true;
    case RD_KAFKA_RESP_ERR__FATAL:
        *out_event = TG_CONSUMER_FATAL;
        break;
    default:
        *out_event = TG_CONSUMER_ERROR;
        break;
    }
    tg_log_warn("kafka_consumer_error", TG_F_TEXT("error", rd_kafka_err2name(message->err)),
                TG_F_TEXT("text", rd_kafka_message_errstr(message)));
    return false;
}

rd_kafka_message_t *tg_consumer_poll(tg_consumer_t *consumer, uint64_t timeout_ms,
                                     tg_consumer_event_t *out_event)
{
    assert(consumer != NULL);
    assert(timeout_ms <= INT32_MAX);
    *out_event = TG_CONSUMER_NONE;
    rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer->rk, (int)timeout_ms);
    if (message == NULL)
        return NULL;
    if (classify(consumer, message, out_event))
        return message;
    rd_kafka_message_destroy(message);
    return NULL;
}

tg_status_t tg_consumer_pause(tg_consumer_t *consumer)
{
    assert(consumer != NULL);
    consumer->paused = true;
    return set_paused(consumer, true);
}

tg_status_t tg_consumer_resume(tg_consumer_t *consumer)
{
    assert(consumer != NULL);
    consumer->paused = false;
    return set_paused(consumer, false);
}

tg_status_t tg_consumer_seek(tg_consumer_t *consumer, const char *topic, int32_t partition,
                             int64_t offset)
{
    struct expected *e = expected_find(consumer, topic, partition);
    if (e == NULL)
        return TG_NOT_FOUND;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    rd_kafka_error_t *failure = rd_kafka_seek_partitions(consumer->rk, list, SEEK_TIMEOUT_MS);
    bool good = failure == NULL && list->elems[0].err == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (failure != NULL)
        rd_kafka_error_destroy(failure);
    rd_kafka_topic_partition_list_destroy(list);
    if (!good)
        return TG_UNAVAILABLE;
    e->offset = offset >= 0 ? offset : EXPECT_ANY;
    return TG_OK;
}

void tg_consumer_note_offset(tg_consumer_t *consumer, const char *topic, int32_t partition,
                             int64_t next_offset)
{
    assert(next_offset >= 0);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = next_offset;
    (void)rd_kafka_offsets_store(consumer->rk, list); /* a partition just revoked: no harm */
    rd_kafka_topic_partition_list_destroy(list);
}

int64_t tg_consumer_lag(tg_consumer_t *consumer, const char *topic, int32_t partition,
                        int64_t next_offset)
{
    int64_t low = 0;
    int64_t high = 0;
    rd_kafka_resp_err_t err =
        rd_kafka_get_watermark_offsets(consumer->rk, topic, partition, &low, &high);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR || high < 0)
        return -1;
    return high > next_offset ? high - next_offset : 0;
}

const char *tg_consumer_cluster_id(tg_consumer_t *consumer)
{
    assert(consumer != NULL);
    if (consumer->cluster_id == NULL)
        consumer->cluster_id = rd_kafka_clusterid(consumer->rk, 0);
    return consumer->cluster_id == NULL ? "" : consumer->cluster_id;
}

rd_kafka_t *tg_consumer_handle(tg_consumer_t *consumer)
{
    assert(consumer != NULL);
    return consumer->rk;
}
