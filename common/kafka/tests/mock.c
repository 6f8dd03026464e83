/* The mock cluster of the tests. */
#include "common/kafka/tests/mock.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

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

void mock_close(mock_t *mock)
{
    rd_kafka_mock_cluster_destroy(mock->cluster);
    rd_kafka_destroy(mock->owner);
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
