/* Durable producer: librdkafka's idempotent producer on one event loop, a callback per record, and
 * a byte budget.
 *
 * `done` comes only after the broker's acknowledgement (acks=all) or a definite failure. librdkafka
 * 2.0.2's idempotent producer can go FATAL; then all in flight are answered TG_UNAVAILABLE, the
 * producer is destroyed off the loop and made again with backoff, and that is counted. Delivery
 * reports reach the loop through rd_kafka_queue_io_event_enable and an eventfd.
 *
 * Limits: bytes in flight (TG_FULL beyond: the caller answers 503 or 429), records in flight,
 * delivery timeout. When no broker has been reachable for `unavailable_ms`, new records are refused
 * at once with TG_UNAVAILABLE instead of waiting for their timeout; metadata requests on a helper
 * thread, 4 per second, tell when a broker is back.
 *
 * Threads: belongs to its loop's thread; each ingestion thread has one. */
#ifndef TG_KAFKA_PRODUCER_H
#define TG_KAFKA_PRODUCER_H

#include <librdkafka/rdkafka.h>

#include "common/loop/loop.h"

typedef struct tg_producer tg_producer_t;

#define TG_PRODUCER_TOPICS_MAX 32 /* different topics of one producer; more are TG_FULL */

typedef struct tg_producer_config {
    const char *brokers;
    const char *client_id;
    uint64_t linger_ms;            /* 1 to 5 */
    uint64_t max_inflight_bytes;   /* 64 MiB: keys, values and headers not yet acknowledged */
    uint64_t max_inflight_records; /* 100,000 */
    uint64_t delivery_timeout_ms;  /* 8,000: longest wait for an acknowledgement */
    uint64_t unavailable_ms;       /* 1,000 */
    const char *extra;             /* "name=value,name=value" librdkafka properties */
} tg_producer_config_t;

/* Fails only on a bad configuration or for lack of resources, not when Kafka is away. */
TG_NODISCARD tg_status_t tg_producer_open(tg_loop_t *loop, const tg_producer_config_t *config,
                                          tg_producer_t **out_producer, tg_error_t *error);

/* Waits (turning nothing else) at most flush_ms for what is in flight, then answers the rest
 * TG_CANCELLED inside the call. NULL is allowed. */
void tg_producer_close(tg_producer_t *producer, uint64_t flush_ms);

/* TG_OK: acknowledged by all in-sync replicas. TG_TIMEOUT: outcome unknown. TG_UNAVAILABLE,
 * TG_TOO_LARGE, TG_CANCELLED: not known to be stored; retry with the same id. */
typedef void (*tg_producer_done_fn)(void *arg, tg_status_t status);

typedef struct tg_producer_record {
    const char *topic;
    tg_str_t key, value;         /* copied */
    rd_kafka_headers_t *headers; /* taken on TG_OK; NULL is allowed */
    size_t header_bytes;         /* of the headers, for the budget; an estimate will do */
    int64_t timestamp_ms;
} tg_producer_record_t;

/* On TG_OK `done` comes later, exactly once. Otherwise (TG_FULL, TG_UNAVAILABLE, TG_TOO_LARGE,
 * TG_NOMEM) nothing was taken and `done` does not come. Partition by murmur2 of the key. */
TG_NODISCARD tg_status_t tg_producer_send(tg_producer_t *producer,
                                          const tg_producer_record_t *record,
                                          tg_producer_done_fn done, void *arg);

typedef struct tg_producer_stats {
    bool available; /* a broker answered since the last sign that none does */
    size_t inflight_records, inflight_bytes;
    uint64_t acknowledged_total, failed_total, recreated_total;
} tg_producer_stats_t;
void tg_producer_get_stats(const tg_producer_t *producer, tg_producer_stats_t *out_stats);

#endif
