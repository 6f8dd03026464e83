/* The worker's settings: one table row each.
 *
 * Threads: filled at start-up, read-only after that. */
#ifndef TG_WORKER_SETTINGS_H
#define TG_WORKER_SETTINGS_H

#include "common/registry/site.h"

#define TG_WORKER_TOPICS_MAX 64

typedef struct tg_worker_config {
    char *kafka_brokers, *kafka_group, *kafka_topics, *kafka_dead_topic, *kafka_extra;
    uint64_t kafka_session_ms, kafka_fetch_bytes;
    char *pg_dsn;
    uint64_t pg_connect_ms, pg_answer_ms;
    char *registry_instances, *gateway_secret;
    uint64_t registry_timeout_ms;
    tg_registry_site_config_t registry;
    uint64_t threads;
    uint64_t batch_max_rows, batch_linger_ms;
    uint64_t buffer_max_rows, buffer_max_bytes;
    uint64_t maintenance_interval_ms, compress_after_ms;
    uint64_t retention_interval_ms, dead_letters_age_ms, audit_age_ms;
    uint64_t drain_ms;
    char *admin_listen, *log_level;
} tg_worker_config_t;

extern const tg_program_t tg_worker_program;

/* Splits the comma list of topics in place; TG_INVALID when there is none or are too many. */
TG_NODISCARD tg_status_t tg_worker_split_topics(char *list, const char *out_topics[],
                                                size_t *out_count, tg_error_t *error);

#endif
