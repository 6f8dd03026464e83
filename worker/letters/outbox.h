/* Sends dead letters from their table to their topic, at least once, in the order of their rows.
 *
 * The original key and value go out byte for byte, the original headers too, and before them the
 * error's context: tg-dlq-id, tg-dlq-topic, tg-dlq-partition, tg-dlq-offset, tg-dlq-code,
 * tg-dlq-text.
 *
 * Limits: TG_OUTBOX_ROUND letters per transaction, which must end within the 5 s that the server
 * lets a transaction idle. Threads: the loop's. */
#ifndef TG_WORKER_LETTERS_OUTBOX_H
#define TG_WORKER_LETTERS_OUTBOX_H

#include "common/kafka/producer.h"
#include "worker/pg/conn.h"

#define TG_OUTBOX_ROUND   50
#define TG_OUTBOX_WAIT_MS 4000

typedef struct tg_outbox {
    tg_conn_t *conn;         /* borrowed */
    tg_loop_t *loop;         /* borrowed */
    tg_producer_t *producer; /* borrowed */
    const char *topic;
} tg_outbox_t;

typedef struct tg_outbox_result {
    size_t found, sent;
} tg_outbox_result_t;

/* One round. TG_OK when the database went along; out_result says how many letters were there and
 * how many of them the broker has acknowledged. */
TG_NODISCARD tg_status_t tg_outbox_round(const tg_outbox_t *outbox, tg_outbox_result_t *out_result);

#endif
