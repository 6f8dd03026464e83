/* The option table, from which the loader, --help and the environment's names come. */
#include "worker/settings.h"

#define AT(member) offsetof(tg_worker_config_t, member)
#define TOPICS                                                                                     \
    "events.order,events.session,events.stream,events.signal,events.reading,events.activity,"      \
    "events.custom"

// clang-format off
static const tg_option_t options[] = {
    {"worker.threads", TG_OPT_UINT, AT(threads), "2", 1, 32, "Threads, each with its own Kafka consumer and database connection."},
    {"kafka.brokers", TG_OPT_STR, AT(kafka_brokers), "127.0.0.1:9092", 1, 1024, "Bootstrap servers, host:port[,...]."},
    {"kafka.group", TG_OPT_STR, AT(kafka_group), "tidegate-worker", 1, 255, "Consumer group; its offsets in Kafka are for lag displays only."},
    {"kafka.topics", TG_OPT_STR, AT(kafka_topics), TOPICS, 1, 8192, "Topics to store, separated by commas."},
    {"kafka.dead_letter_topic", TG_OPT_STR, AT(kafka_dead_topic), "events.dlq", 1, 249, "Topic that receives the original bytes of dead letters."},
    {"kafka.session_timeout", TG_OPT_MS, AT(kafka_session_ms), "10s", 1000, 300000, "A worker that is silent for this long loses its partitions."},
    {"kafka.fetch_ahead", TG_OPT_BYTES, AT(kafka_fetch_bytes), "16MiB", 65536, 1073741824, "Bytes fetched ahead per thread."},
    {"kafka.properties", TG_OPT_STR, AT(kafka_extra), "", 0, 4096, "More librdkafka properties, name=value[,...]."},
    {"pg.dsn", TG_OPT_SECRET, AT(pg_dsn), "host=127.0.0.1 dbname=tidegate user=tidegate_worker", 1, 4096, "PostgreSQL connection string."},
    {"pg.connect_timeout", TG_OPT_MS, AT(pg_connect_ms), "3s", 100, 60000, "Longest wait for a connection."},
    {"pg.answer_timeout", TG_OPT_MS, AT(pg_answer_ms), "40s", 1000, 600000, "A server that does not answer for this long is given up; beyond the server's own limit of 30 s for a statement."},
    {"registry.instances", TG_OPT_STR, AT(registry_instances), "127.0.0.1:8083", 1, 4096, "Schema registry, host:port[,...]."},
    {"registry.timeout", TG_OPT_MS, AT(registry_timeout_ms), "1s", 10, 60000, "Longest wait for one schema."},
    TG_REGISTRY_SITE_OPTIONS(tg_worker_config_t, registry),
    {"gateway.secret", TG_OPT_SECRET, AT(gateway_secret), "", 0, 4096, "Secret that the services share."},
    {"batch.max_rows", TG_OPT_UINT, AT(batch_max_rows), "2000", 1, 50000, "Records per transaction."},
    {"batch.linger", TG_OPT_MS, AT(batch_linger_ms), "100ms", 0, 10000, "Longest wait for a batch to fill."},
    {"buffer.max_rows", TG_OPT_UINT, AT(buffer_max_rows), "50000", 1, 10000000, "Records waiting per thread; at this number reading pauses."},
    {"buffer.max_bytes", TG_OPT_BYTES, AT(buffer_max_bytes), "64MiB", 65536, 17179869184.0, "Bytes waiting per thread; at this number reading pauses."},
    {"maintenance.interval", TG_OPT_MS, AT(maintenance_interval_ms), "5s", 100, 3600000, "Pause between two rounds of maintenance."},
    {"compression.after", TG_OPT_MS, AT(compress_after_ms), "7d", 0, 37152000000.0, "TimescaleDB: age at which a day is compressed; 0: never."},
    {"retention.interval", TG_OPT_MS, AT(retention_interval_ms), "1h", 1000, 86400000, "Pause between two sweeps that delete what is beyond its tenant's retention."},
    {"dead_letters.retention", TG_OPT_MS, AT(dead_letters_age_ms), "30d", 0, 3153600000000.0, "Age at which dead letters are deleted; 0: never. A tenant's own retention may be shorter."},
    {"audit.retention", TG_OPT_MS, AT(audit_age_ms), "400d", 0, 3153600000000.0, "Age at which entries of the audit log are deleted; 0: never."},
    {"worker.drain", TG_OPT_MS, AT(drain_ms), "4s", 0, 60000, "On SIGTERM, longest time for storing what is in hand."},
    {"http.admin_listen", TG_OPT_STR, AT(admin_listen), "127.0.0.1:8094", 3, 255, "Address and port of /health, /ready and /metrics."},
    {"log.level", TG_OPT_STR | TG_OPT_LIVE, AT(log_level), "info", 4, 5, "Lowest level written: debug, info, warn, error."},
};
// clang-format on

const tg_program_t tg_worker_program = {
    .name = "worker",
    .summary = "Stores events from Kafka in PostgreSQL, each exactly once, with their aggregates.",
    .options = options,
    .option_count = TG_ARRAY_LEN(options),
    .config_size = sizeof(tg_worker_config_t),
};

tg_status_t tg_worker_split_topics(char *list, const char *out_topics[], size_t *out_count,
                                   tg_error_t *error)
{
    assert(list != NULL);
    size_t count = 0;
    char *rest = NULL;

    for (char *topic = strtok_r(list, ", ", &rest); topic != NULL;
         topic = strtok_r(NULL, ", ", &rest)) {
        if (count == TG_WORKER_TOPICS_MAX)
            return tg_error_set(error, TG_INVALID, "kafka.topics: more than %d topics",
                                TG_WORKER_TOPICS_MAX);
        if (strlen(topic) > 249)
            return tg_error_set(error, TG_INVALID, "kafka.topics: \"%s\" is too long", topic);
        out_topics[count++] = topic;
    }
    if (count == 0)
        return tg_error_set(error, TG_INVALID, "kafka.topics: no topic is named");
    *out_count = count;
    return TG_OK;
}
