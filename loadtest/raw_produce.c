/* The raw limit of producing: librdkafka alone, with the settings of ingestion's producer, sending
 * the same records (value, key, headers) that ingestion makes of the sample orders.
 *
 * The records are encoded before the clock starts. What is timed is what no producer can leave out:
 * the headers' objects, produce, and reading the delivery reports. The same program fills a topic
 * for the worker to drain: give the real topic, schema id and one partition.
 *
 * Which series an order belongs to is left to the sample (60 of them), or drawn from raw.series:
 * all alike, or with raw.skew = k so that the one of rank r comes up about as often as r^(1/k - 1)
 * says: Zipf's law with the exponent 1 - 1/k, as in real traffic. A share of the orders can be
 * late.
 *
 * Prints one JSON object; exits 1 unless each record was acknowledged.
 *
 * Limits: POOL_MAX different records; beyond them the ids repeat. */
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "common/base/config.h"
#include "common/base/hash.h"
#include "common/event/wire.h"
#include "common/kafka/conf.h"
#include "loadtest/sample.h"

#define POOL_MAX     200000
#define RECORD_BYTES ((size_t)256) /* value and key of a sample order fit */
#define SCHEMA_MAX   65536
#define FLUSH_MS     30000

struct settings {
    char *brokers, *topic, *schema, *tenant;
    uint64_t count, schema_id, linger_ms, partitions, partition, step_ms, start_ago_ms, in_flight;
    uint64_t series, skew, late_permille, late_ms;
    bool create;
};

#define AT(member) offsetof(struct settings, member)
// clang-format off
static const tg_option_t options[] = {
    {"kafka.brokers", TG_OPT_STR, AT(brokers), "127.0.0.1:9092", 1, 1024, "Bootstrap servers."},
    {"kafka.linger", TG_OPT_MS, AT(linger_ms), "2ms", 0, 100, "As ingestion's."},
    {"raw.topic", TG_OPT_STR, AT(topic), "bench.raw", 1, 249, "Topic to produce to."},
    {"raw.create", TG_OPT_BOOL, AT(create), "false", 0, 0, "Make the topic if it is missing."},
    {"raw.partitions", TG_OPT_UINT, AT(partitions), "6", 1, 1000, "Partitions of a topic that is made."},
    {"raw.partition", TG_OPT_UINT, AT(partition), "1000", 0, 1000, "Put all records there; 1000: by their keys."},
    {"raw.in_flight", TG_OPT_UINT, AT(in_flight), "10000", 1, 500000, "Records not yet acknowledged, at most."},
    {"raw.count", TG_OPT_UINT, AT(count), "200000", 1, 100000000, "Records to produce."},
    {"raw.schema", TG_OPT_STR, AT(schema), "schemas/order.avsc", 1, 1024, "The order's schema."},
    {"raw.schema_id", TG_OPT_UINT, AT(schema_id), "1", 1, 2147483647, "Its id in the registry."},
    {"raw.tenant", TG_OPT_STR, AT(tenant), "demo", 1, 63, "Tenant of the events."},
    {"raw.start_ago", TG_OPT_MS, AT(start_ago_ms), "0ms", 0, 34560000000, "How far back the first event lies."},
    {"raw.series", TG_OPT_UINT, AT(series), "0", 0, 10000000, "Series that the orders are of; 0: the sample's 60."},
    {"raw.skew", TG_OPT_UINT, AT(skew), "1", 1, 16, "1: all series alike; k: Zipf's law with the exponent 1 - 1/k."},
    {"raw.late_permille", TG_OPT_UINT, AT(late_permille), "0", 0, 1000, "Of 1,000 orders, so many are late."},
    {"raw.late", TG_OPT_MS, AT(late_ms), "24h", 1, 34560000000, "How late they are at most, evenly spread, counted from now."},
    {"raw.step", TG_OPT_MS, AT(step_ms), "0ms", 0, 3600000, "Time between two events."},
};
// clang-format on

static const tg_program_t program = {
    .name = "raw_produce",
    .summary = "Produces sample orders straight into Kafka and measures; for benchmarks.",
    .options = options,
    .option_count = TG_ARRAY_LEN(options),
};

struct record {
    tg_event_t event; /* its texts are the pool's, or constants */
    tg_str_t key, value;
};

struct raw {
    const struct settings *settings;
    struct record *records;
    size_t record_count;
    char *bytes; /* keys and values */
    size_t bytes_len, bytes_max;
    rd_kafka_t *kafka;
    rd_kafka_topic_t *topic;
    uint64_t in_flight, acknowledged, failed;
};

/* --- the records, before the clock starts --- */

static tg_str_t keep(struct raw *raw, tg_str_t text)
{
    assert(text.len <= raw->bytes_max - raw->bytes_len);
    char *at = raw->bytes + raw->bytes_len;
    memcpy(at, text.ptr, text.len);
    raw->bytes_len += text.len;
    return (tg_str_t){at, text.len};
}

struct encoder {
    tg_json_parser_t *parser;
    tg_event_codec_t *codec;
    tg_event_type_t *type;
    tg_buf_t key, value;
    tg_event_rules_t rules;
    uint64_t run;
    int64_t time;
};

static double chance_of(uint64_t number)
{
    return (double)(tg_sample_mix(number) >> 11) / (double)(UINT64_C(1) << 53);
}

static uint64_t series_of(const struct settings *settings, size_t number)
{
    double rank = 1, chance = chance_of(number);
    for (uint64_t i = 0; i < settings->skew; i++)
        rank *= chance;
    return (uint64_t)(rank * (double)settings->series);
}

static int64_t time_of(const struct encoder *encoder, const struct settings *settings,
                       size_t number)
{
    uint64_t chance = tg_sample_mix(~(uint64_t)number);
    if (chance % 1000 >= settings->late_permille)
        return encoder->time;
    return encoder->rules.now - (int64_t)((chance >> 16) % settings->late_ms) * TG_US_PER_MS;
}

static size_t write_order(const struct raw *raw, const struct encoder *encoder, size_t number,
                          char out[TG_SAMPLE_MAX])
{
    const struct settings *settings = raw->settings;
    int64_t time = time_of(encoder, settings, number);
    if (settings->series == 0)
        return tg_sample_order(encoder->run, number, time, out);
    return tg_sample_order_of(encoder->run, number, series_of(settings, number), time, out);
}

static tg_status_t encode_one(struct raw *raw, struct encoder *encoder, size_t number)
{
    char text[TG_SAMPLE_MAX];
    const tg_json_node_t *nodes;
    size_t count, len = write_order(raw, encoder, number, text);
    tg_event_error_t why;
    struct record *record = &raw->records[number];
    tg_status_t status =
        tg_json_parse(encoder->parser, (tg_str_t){text, len}, &nodes, &count, NULL);

    tg_buf_clear(&encoder->key);
    tg_buf_clear(&encoder->value);
    if (status == TG_OK)
        status = tg_event_encode(encoder->codec, encoder->type, &encoder->rules, nodes, 0,
                                 &encoder->value, &record->event, &why);
    if (status != TG_OK)
        return status;
    tg_event_key(&record->event, &encoder->key);
    record->key = keep(raw, tg_buf_view(&encoder->key));
    record->value = keep(raw, tg_buf_view(&encoder->value));
    record->event.kind = record->event.entity = record->event.user = (tg_str_t){NULL, 0};
    record->event.tenant = encoder->rules.tenant;
    record->event.type = TG_STR("order");
    return TG_OK;
}

static tg_status_t encode_all(struct raw *raw, struct encoder *encoder)
{
    const struct settings *settings = raw->settings;
    tg_status_t status = TG_OK;
    encoder->rules = (tg_event_rules_t){.tenant = tg_str_from(settings->tenant),
                                        .now = tg_time_now(),
                                        .max_ahead_us = TG_US_PER_MINUTE,
                                        .horizon_us = 400 * TG_US_PER_DAY};
    encoder->time = encoder->rules.now - (int64_t)settings->start_ago_ms * TG_US_PER_MS;
    tg_hash_random(&encoder->run, sizeof(encoder->run));
    for (size_t i = 0; i < raw->record_count && status == TG_OK; i++) {
        status = encode_one(raw, encoder, i);
        encoder->time += (int64_t)settings->step_ms * TG_US_PER_MS;
    }
    return status;
}

static tg_str_t read_schema(const char *path)
{
    static char text[SCHEMA_MAX];
    FILE *file = fopen(path, "rb");
    size_t len = file == NULL ? 0 : fread(text, 1, sizeof(text), file);
    if (file != NULL)
        fclose(file);
    return (tg_str_t){text, len};
}

static tg_status_t make_records(struct raw *raw, tg_error_t *error)
{
    const struct settings *settings = raw->settings;
    struct encoder encoder = {.parser = tg_json_parser_create(TG_SAMPLE_MAX, 8),
                              .codec = tg_event_codec_create(),
                              .key = tg_buf_make(RECORD_BYTES),
                              .value = tg_buf_make(RECORD_BYTES)};
    raw->record_count = settings->count < POOL_MAX ? settings->count : POOL_MAX;
    raw->bytes_max = raw->record_count * 2 * RECORD_BYTES;
    raw->records = calloc(raw->record_count, sizeof(*raw->records));
    raw->bytes = malloc(raw->bytes_max);
    tg_status_t status = tg_event_type_compile(TG_STR("order"), read_schema(settings->schema),
                                               (uint32_t)settings->schema_id, &encoder.type, error);
    if (status == TG_OK && (encoder.parser == NULL || encoder.codec == NULL ||
                            raw->records == NULL || raw->bytes == NULL))
        status = tg_error_set(error, TG_NOMEM, "out of memory");
    else if (status == TG_OK && encode_all(raw, &encoder) != TG_OK)
        status = tg_error_set(error, TG_INTERNAL, "a sample order does not encode");
    tg_json_parser_destroy(encoder.parser);
    tg_event_codec_destroy(encoder.codec);
    tg_event_type_unref(encoder.type);
    tg_buf_dispose(&encoder.key);
    tg_buf_dispose(&encoder.value);
    return status;
}

/* --- Kafka --- */

static void on_delivery(rd_kafka_t *kafka, const rd_kafka_message_t *message, void *opaque)
{
    struct raw *raw = opaque;
    (void)kafka;
    assert(raw->in_flight > 0);
    raw->in_flight--;
    raw->acknowledged += message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
    raw->failed += message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* The same properties as common/kafka/producer.c, as far as they cost anything. */
static tg_status_t open_producer(struct raw *raw, tg_error_t *error)
{
    const tg_kafka_number_t linger = tg_kafka_number(raw->settings->linger_ms);
    const tg_kafka_property_t properties[] = {
        {"bootstrap.servers", raw->settings->brokers},
        {"acks", "all"},
        {"enable.idempotence", "true"},
        {"partitioner", "murmur2"},
        {"compression.codec", "lz4"},
        {"linger.ms", linger.text},
        {"batch.size", "1000000"},
        {"queue.buffering.max.messages", "1000000"},
    };
    char reason[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(conf, raw);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    tg_status_t status = tg_kafka_conf_set(conf, properties, TG_ARRAY_LEN(properties), NULL, error);
    if (status == TG_OK)
        raw->kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
    if (raw->kafka == NULL) {
        rd_kafka_conf_destroy(conf);
        return status != TG_OK ? status : tg_error_set(error, TG_INTERNAL, "%s", reason);
    }
    raw->topic = rd_kafka_topic_new(raw->kafka, raw->settings->topic, NULL);
    return raw->topic != NULL ? TG_OK : tg_error_set(error, TG_NOMEM, "out of memory");
}

/* A topic that exists already is as good. */
static tg_status_t create_topic(struct raw *raw, tg_error_t *error)
{
    char reason[256] = "";
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(raw->settings->topic, (int)raw->settings->partitions, 1, reason,
                              sizeof(reason));
    if (topic == NULL)
        return tg_error_set(error, TG_INVALID, "%s", reason);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(raw->kafka);
    rd_kafka_CreateTopics(raw->kafka, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, FLUSH_MS);
    tg_status_t status = event != NULL && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR
                             ? TG_OK
                             : tg_error_set(error, TG_UNAVAILABLE, "the topic cannot be made");
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
    return status;
}

static rd_kafka_resp_err_t produce_one(struct raw *raw, const struct record *record,
                                       const tg_trace_t *trace)
{
    int32_t partition = raw->settings->partition == 1000 ? RD_KAFKA_PARTITION_UA
                                                         : (int32_t)raw->settings->partition;
    rd_kafka_headers_t *headers = tg_event_headers(&record->event, trace);
    if (headers == NULL)
        return RD_KAFKA_RESP_ERR__QUEUE_FULL;
    rd_kafka_resp_err_t err =
        rd_kafka_producev(raw->kafka, RD_KAFKA_V_RKT(raw->topic), RD_KAFKA_V_PARTITION(partition),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_KEY(record->key.ptr, record->key.len),
                          RD_KAFKA_V_VALUE((void *)record->value.ptr, record->value.len),
                          RD_KAFKA_V_TIMESTAMP(record->event.received_at / TG_US_PER_MS),
                          RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_headers_destroy(headers);
    return err;
}

static tg_status_t produce_all(struct raw *raw, uint64_t count, tg_error_t *error)
{
    tg_trace_t trace;
    tg_trace_start(&trace);
    for (uint64_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t err = produce_one(raw, &raw->records[i % raw->record_count], &trace);
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
            return tg_error_set(error, TG_UNAVAILABLE, "produce: %s", rd_kafka_err2str(err));
        raw->in_flight++;
        if (i % 100 == 0)
            rd_kafka_poll(raw->kafka, 0);
        while (raw->in_flight >= raw->settings->in_flight)
            rd_kafka_poll(raw->kafka, 10);
    }
    (void)rd_kafka_flush(raw->kafka, FLUSH_MS);
    if (raw->failed > 0 || raw->in_flight > 0)
        return tg_error_set(error, TG_UNAVAILABLE, "%llu records were not acknowledged",
                            (unsigned long long)(raw->failed + raw->in_flight));
    return TG_OK;
}

/* --- the measurement --- */

static double cpu_seconds(void)
{
    struct rusage own;
    (void)getrusage(RUSAGE_SELF, &own);
    return (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec) +
           (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec) / 1e6;
}

static tg_status_t measure(struct raw *raw, tg_error_t *error)
{
    uint64_t count = raw->settings->count, start = tg_time_mono_us();
    double cpu = cpu_seconds();
    tg_status_t status = produce_all(raw, count, error);
    if (status != TG_OK)
        return status;
    cpu = cpu_seconds() - cpu;
    printf("{\"events\":%llu,\"seconds\":%.4f,\"cpu_seconds\":%.4f,\"value_bytes\":%zu}\n",
           (unsigned long long)count, (double)(tg_time_mono_us() - start) / 1e6, cpu,
           raw->records[0].value.len);
    return TG_OK;
}

static tg_status_t run(struct raw *raw, tg_error_t *error)
{
    tg_status_t status = make_records(raw, error);
    if (status == TG_OK)
        status = open_producer(raw, error);
    if (status == TG_OK && raw->settings->create)
        status = create_topic(raw, error);
    if (status == TG_OK)
        status = measure(raw, error);
    if (raw->topic != NULL)
        rd_kafka_topic_destroy(raw->topic);
    if (raw->kafka != NULL)
        rd_kafka_destroy(raw->kafka);
    free(raw->records);
    free(raw->bytes);
    return status;
}

int main(int argc, char **argv)
{
    struct settings settings = {0};
    struct raw raw = {.settings = &settings};
    tg_config_action_t action = TG_CONFIG_RUN;
    tg_error_t error = {.status = TG_OK};
    int code = 0;
    if (tg_config_load(&program, argc, argv, &settings, &action, &error) != TG_OK)
        code = 2;
    else if (action == TG_CONFIG_RUN && run(&raw, &error) != TG_OK)
        code = 1;
    if (code != 0)
        (void)fprintf(stderr, "raw_produce: %s\n", error.text);
    tg_config_dispose(&program, &settings);
    return code;
}
