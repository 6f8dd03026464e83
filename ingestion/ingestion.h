/* The ingestion service: events are validated, named and typed here, and answered once Kafka has
 * acknowledged them.
 *
 * Per thread: a loop, a durable producer with its byte budget, a parser, a codec. The registry
 * client is shared. A request is one struct that lives until its last record is acknowledged, even
 * if its client has gone.
 *
 * Threads: open and close on the main thread; everything else on the loops. */
#ifndef TG_INGESTION_H
#define TG_INGESTION_H

#include "common/http/server.h"
#include "common/kafka/producer.h"
#include "common/registry/client.h"
#include "ingestion/announce.h"

typedef struct tg_ingestion_config {
    tg_http_config_t http;
    char *kafka_brokers;
    uint64_t kafka_linger_ms;
    uint64_t kafka_max_inflight; /* bytes, per thread */
    uint64_t kafka_delivery_timeout_ms;
    char *kafka_extra;
    char *registry_instances;
    uint64_t registry_timeout_ms;
    uint64_t registry_refresh_ms;
    tg_registry_site_config_t registry;
    char *pg_dsn; /* "": changed types are found by refreshing only */
    uint64_t watch_poll_ms;
    char *secret;
    uint64_t event_max_bytes;
    uint64_t request_max_bytes;
    uint64_t request_max_events;
    uint64_t body_max_ratio; /* bytes after decompression per byte before */
    char *dead_letter_topic;
    uint64_t max_ahead_ms;
    bool clamp_ahead;
    uint64_t horizon_ms;
    char *log_level;
} tg_ingestion_config_t;

extern const tg_program_t tg_ingestion_program;

typedef struct tg_ingestion tg_ingestion_t;

/* One loop thread's state. */
typedef struct tg_ingestion_thread {
    tg_ingestion_t *ingestion;
    const tg_ingestion_config_t *config;
    tg_registry_client_t *registry;
    tg_loop_t *loop;
    tg_metrics_shard_t *shard;
    tg_producer_t *producer;
    tg_json_parser_t *parser;
    tg_json_parser_t *inner; /* for JSON inside an event's envelope (data_base64) */
    tg_event_codec_t *codec;
    tg_buf_t value, key;   /* of the record that is being made */
    size_t unpacked_bytes; /* of bodies that were decompressed and are still held */
    size_t fetches;        /* type fetches that have not come back */
    uint64_t recreated;    /* producers, as counted so far */
    uint64_t announced;    /* changed types, as counted so far (by thread 0) */
    tg_timer_t gauges;
    unsigned number; /* of this thread, from 0 */
} tg_ingestion_thread_t;

/* The service over an open configuration: for a process's whole life, or in parts for tests. */
TG_NODISCARD tg_status_t tg_ingestion_open(const tg_ingestion_config_t *config,
                                           tg_ingestion_t **out_ingestion, tg_error_t *error);
void tg_ingestion_close(tg_ingestion_t *ingestion); /* after the server; NULL is allowed */
const tg_http_service_t *tg_ingestion_service(tg_ingestion_t *ingestion);

/* Runs the service until SIGTERM; returns the exit code. `config`: tg_ingestion_config_t. */
int tg_ingestion_run(const void *config);

#endif
