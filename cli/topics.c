/* See topics.h. One producer handle serves as admin client; all topics go in one request. */
#include "cli/topics.h"

#include <librdkafka/rdkafka.h>

#define TEXT_MAX 512 /* librdkafka's error texts */

static const struct topic {
    const char *name;
    int partitions;
    const char *retention_ms;
} topics[] = {
    {"events.order", 6, "604800000"},   {"events.session", 6, "604800000"},
    {"events.stream", 6, "604800000"},  {"events.signal", 6, "604800000"},
    {"events.reading", 6, "604800000"}, {"events.activity", 6, "604800000"},
    {"events.custom", 6, "604800000"},  {"events.dlq", 3, "2419200000"},
    {"anomalies", 3, "604800000"},      {"alerts", 3, "604800000"},
};

#define TOPIC_COUNT TG_ARRAY_LEN(topics)

static tg_status_t open_client(tg_cli_t *cli, rd_kafka_t **out_client, tg_error_t *error)
{
    char text[TEXT_MAX] = "out of memory";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    /* Our own error text says what failed; librdkafka's log lines would only stand before it. */
    if (rd_kafka_conf_set(conf, "bootstrap.servers", cli->config->brokers, text, sizeof(text)) !=
            RD_KAFKA_CONF_OK ||
        rd_kafka_conf_set(conf, "client.id", "tidegate", text, sizeof(text)) != RD_KAFKA_CONF_OK ||
        rd_kafka_conf_set(conf, "log_level", "0", text, sizeof(text)) != RD_KAFKA_CONF_OK) {
        rd_kafka_conf_destroy(conf);
        return tg_error_set(error, TG_INVALID, "Kafka: %s", text);
    }
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (client == NULL) {
        rd_kafka_conf_destroy(conf);
        return tg_error_set(error, TG_INVALID, "Kafka: %s", text);
    }
    *out_client = client;
    return TG_OK;
}

static tg_status_t kafka_failure(rd_kafka_resp_err_t code, const char *what, tg_error_t *error)
{
    return tg_error_set(error, TG_UNAVAILABLE, "Kafka: %s: %s", what, rd_kafka_err2str(code));
}

static tg_status_t set_option(rd_kafka_NewTopic_t *topic, const char *name, const char *value,
                              tg_error_t *error)
{
    rd_kafka_resp_err_t code = rd_kafka_NewTopic_set_config(topic, name, value);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? TG_OK : kafka_failure(code, name, error);
}

static tg_status_t describe_topic(const struct topic *spec, int replication,
                                  rd_kafka_NewTopic_t **out_topic, tg_error_t *error)
{
    char text[TEXT_MAX];

    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(spec->name, spec->partitions, replication, text, sizeof(text));
    if (topic == NULL)
        return tg_error_set(error, TG_INVALID, "Kafka: %s: %s", spec->name, text);
    *out_topic = topic; /* owned by the caller from here, also on failure */
    tg_status_t status = set_option(topic, "retention.ms", spec->retention_ms, error);
    if (status == TG_OK)
        status = set_option(topic, "unclean.leader.election.enable", "false", error);
    if (status == TG_OK)
        status = set_option(topic, "min.insync.replicas", replication >= 3 ? "2" : "1", error);
    return status;
}

static tg_status_t read_results(tg_cli_t *cli, rd_kafka_event_t *event, tg_error_t *error)
{
    size_t count = 0;
    tg_status_t status = TG_OK;

    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return tg_error_set(error, TG_UNAVAILABLE, "Kafka: %s", rd_kafka_event_error_string(event));
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);
        const char *name = rd_kafka_topic_result_name(results[i]);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            (void)fprintf(cli->out, "%s created\n", name);
        else if (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
            (void)fprintf(cli->out, "%s exists\n", name);
        else
            status = kafka_failure(code, name, error);
    }
    return status;
}

/* Sends the request and waits for its one event. */
static tg_status_t request_topics(tg_cli_t *cli, rd_kafka_t *client, rd_kafka_NewTopic_t **list,
                                  tg_error_t *error)
{
    char text[TEXT_MAX];
    int timeout_ms = (int)cli->config->timeout_ms;
    tg_status_t status = TG_TIMEOUT;

    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    if (rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, text, sizeof(text)) !=
            RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_AdminOptions_set_operation_timeout(options, timeout_ms, text, sizeof(text)) !=
            RD_KAFKA_RESP_ERR_NO_ERROR) {
        status = tg_error_set(error, TG_INVALID, "Kafka: %s", text);
        goto done;
    }
    rd_kafka_CreateTopics(client, list, TOPIC_COUNT, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms + 1000);
    if (event == NULL) {
        status = tg_error_set(error, TG_TIMEOUT, "Kafka: no answer within %d ms", timeout_ms);
    } else {
        status = read_results(cli, event, error);
        rd_kafka_event_destroy(event);
    }
done:
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    return status;
}

static tg_status_t read_replication(tg_cli_t *cli, tg_args_t *args, int *out_replication,
                                    tg_error_t *error)
{
    const char *text = NULL;
    uint64_t replication = cli->config->replication;

    tg_status_t status = tg_args_flag(args, "--replication", &text, error);
    if (status == TG_OK)
        status = tg_args_done(args, error);
    if (status != TG_OK)
        return status;
    if (text != NULL && (tg_str_to_u64(tg_str_from(text), &replication) != TG_OK ||
                         replication < 1 || replication > TG_TOPICS_REPLICATION_MAX))
        return tg_error_set(error, TG_INVALID, "--replication: a number from 1 to %d",
                            TG_TOPICS_REPLICATION_MAX);
    *out_replication = (int)replication;
    return TG_OK;
}

tg_status_t tg_topics_create(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    assert(cli != NULL);
    rd_kafka_NewTopic_t *list[TOPIC_COUNT] = {NULL};
    rd_kafka_t *client = NULL;
    int replication = 1;

    tg_status_t status = read_replication(cli, args, &replication, error);
    if (status == TG_OK)
        status = open_client(cli, &client, error);
    for (size_t i = 0; status == TG_OK && i < TOPIC_COUNT; i++)
        status = describe_topic(&topics[i], replication, &list[i], error);
    if (status == TG_OK)
        status = request_topics(cli, client, list, error);
    for (size_t i = 0; i < TOPIC_COUNT; i++) {
        if (list[i] != NULL)
            rd_kafka_NewTopic_destroy(list[i]);
    }
    if (client != NULL)
        rd_kafka_destroy(client);
    return status;
}

static const rd_kafka_metadata_topic_t *find_topic(const rd_kafka_metadata_t *metadata,
                                                   const char *name)
{
    for (int i = 0; i < metadata->topic_cnt; i++) {
        if (strcmp(metadata->topics[i].topic, name) == 0 &&
            metadata->topics[i].err == RD_KAFKA_RESP_ERR_NO_ERROR)
            return &metadata->topics[i];
    }
    return NULL;
}

typedef tg_status_t (*topic_fn)(tg_cli_t *cli, rd_kafka_t *client,
                                const rd_kafka_metadata_topic_t *topic, tg_error_t *error);

/* Calls `on_topic` for each of our topics that exists; TG_NOT_FOUND naming the first that does not.
 */
static tg_status_t each_topic(tg_cli_t *cli, tg_args_t *args, topic_fn on_topic, tg_error_t *error)
{
    rd_kafka_t *client = NULL;
    const rd_kafka_metadata_t *metadata = NULL;
    const char *missing = NULL;

    tg_status_t status = tg_args_done(args, error);
    if (status == TG_OK)
        status = open_client(cli, &client, error);
    if (status != TG_OK)
        return status;
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(client, 1, NULL, &metadata, (int)cli->config->timeout_ms);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        status = kafka_failure(code, cli->config->brokers, error);
        goto done;
    }
    for (size_t i = 0; status == TG_OK && i < TOPIC_COUNT; i++) {
        const rd_kafka_metadata_topic_t *topic = find_topic(metadata, topics[i].name);
        if (topic != NULL)
            status = on_topic(cli, client, topic, error);
        else if (missing == NULL)
            missing = topics[i].name;
    }
    rd_kafka_metadata_destroy(metadata);
    if (status == TG_OK && missing != NULL)
        status =
            tg_error_set(error, TG_NOT_FOUND,
                         "Kafka: topic %s is missing; tidegate topics create makes it", missing);
done:
    rd_kafka_destroy(client);
    return status;
}

static tg_status_t print_topic(tg_cli_t *cli, rd_kafka_t *client,
                               const rd_kafka_metadata_topic_t *topic, tg_error_t *error)
{
    (void)client;
    (void)error;
    int replicas = topic->partition_cnt > 0 ? topic->partitions[0].replica_cnt : 0;
    (void)fprintf(cli->out, "%-18s partitions %d  replicas %d\n", topic->topic,
                  topic->partition_cnt, replicas);
    return TG_OK;
}

static tg_status_t print_offsets(tg_cli_t *cli, rd_kafka_t *client,
                                 const rd_kafka_metadata_topic_t *topic, tg_error_t *error)
{
    for (int i = 0; i < topic->partition_cnt; i++) {
        int64_t first = 0, next = 0;
        rd_kafka_resp_err_t code =
            rd_kafka_query_watermark_offsets(client, topic->topic, i, &first, &next,
                                             (int)cli->config->timeout_ms);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            return kafka_failure(code, topic->topic, error);
        (void)fprintf(cli->out, "%-18s %2d  first %lld  next %lld\n", topic->topic, i,
                      (long long)first, (long long)next);
    }
    return TG_OK;
}

tg_status_t tg_topics_list(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    assert(cli != NULL);
    return each_topic(cli, args, print_topic, error);
}

tg_status_t tg_topics_offsets(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    assert(cli != NULL);
    return each_topic(cli, args, print_offsets, error);
}
