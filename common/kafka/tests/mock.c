/* The mock cluster of the tests. */
#include "common/kafka/tests/mock.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/status.h"

#define BROKER 1 /* the first one's number */

/* Who closes the clusters: that takes a second each, in which the next test can run. */
static pthread_t closers[64];
static size_t closers_len;

mock_t mock_open(int brokers)
{
    mock_t mock = {0};
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    mock.owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
    assert(mock.owner != NULL);
    mock.cluster = rd_kafka_mock_cluster_new(mock.owner, brokers);
    assert(mock.cluster != NULL);
    mock.brokers = rd_kafka_mock_cluster_bootstraps(mock.cluster);
    return mock;
}

/* Long enough for the mock's thread to empty its pipe; where it is not, the call takes a second. */
static void settle(void)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    (void)nanosleep(&pause, NULL);
}

static void *destroy(void *arg)
{
    mock_t *mock = arg;
    rd_kafka_mock_cluster_destroy(mock->cluster);
    rd_kafka_destroy(mock->owner);
    free(mock);
    return NULL;
}

static void join_closers(void)
{
    for (size_t i = 0; i < closers_len; i++)
        (void)pthread_join(closers[i], NULL);
}

void mock_close(mock_t *mock)
{
    if (closers_len == 0)
        (void)atexit(join_closers);
    assert(closers_len < TG_ARRAY_LEN(closers));
    mock_t *owned = malloc(sizeof(*owned));
    assert(owned != NULL);
    *owned = *mock;
    int failed = pthread_create(&closers[closers_len++], NULL, destroy, owned);
    assert(failed == 0);
}

void mock_topic_create(mock_t *mock, const char *topic, int partitions)
{
    settle();
    rd_kafka_resp_err_t err = rd_kafka_mock_topic_create(mock->cluster, topic, partitions, 1);
    assert(err == RD_KAFKA_RESP_ERR_NO_ERROR);
}

void mock_broker_up(mock_t *mock, bool up)
{
    settle();
    rd_kafka_resp_err_t err = up ? rd_kafka_mock_broker_set_up(mock->cluster, BROKER)
                                 : rd_kafka_mock_broker_set_down(mock->cluster, BROKER);
    assert(err == RD_KAFKA_RESP_ERR_NO_ERROR);
}

void mock_broker_rtt(mock_t *mock, int ms)
{
    settle();
    rd_kafka_resp_err_t err = rd_kafka_mock_broker_set_rtt(mock->cluster, BROKER, ms);
    assert(err == RD_KAFKA_RESP_ERR_NO_ERROR);
}

void mock_fill(mock_t *mock, const char *topic, int32_t partition, int first, int count)
{
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_res_t set =
        rd_kafka_conf_set(conf, "bootstrap.servers", mock->brokers, reason, sizeof(reason));
    assert(set == RD_KAFKA_CONF_OK);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
    assert(rk != NULL);
    for (int i = first; i < first + count; i++) {
        char text[16];
        int len = snprintf(text, sizeof(text), "%d", i);
        rd_kafka_resp_err_t err =
            rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                              RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                              RD_KAFKA_V_VALUE(text, (size_t)len), RD_KAFKA_V_END);
        assert(err == RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    rd_kafka_resp_err_t flushed = rd_kafka_flush(rk, 20000);
    assert(flushed == RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(rk);
}
