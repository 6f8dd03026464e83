/* One worker thread: a Kafka consumer, a database connection, and the loop between them.
 *
 * poll → decode → wait until a batch is due → one transaction → note the offset for lag displays.
 * All of it is sequential, so a partition's records are stored in order and a rebalance can never
 * come in the middle of a transaction.
 *
 * When the database is away the thread stops reading but goes on polling, so it keeps its
 * membership of the group, and goes on by itself when the database is back. When the registry is
 * away only those partitions wait whose next record needs a schema that is not known yet.
 *
 * Limits: buffer.max_rows and buffer.max_bytes of waiting records; beyond them reading pauses.
 * Threads: open, stop and join from the main thread; the status functions from any. */
#ifndef TG_WORKER_THREAD_H
#define TG_WORKER_THREAD_H

#include "worker/metrics.h"
#include "worker/record/decode.h"
#include "worker/settings.h"

typedef struct tg_worker_thread tg_worker_thread_t;

/* What the threads share; borrowed for good. */
typedef struct tg_worker_env {
    const tg_worker_config_t *config;
    const char *const *topics;
    size_t topic_count;
    tg_schema_fn schema;
    void *schema_arg;
    tg_metrics_t *metrics;
    void (*on_dead_letters)(void *arg); /* dead letters were stored and wait to be published */
    void *dead_arg;
} tg_worker_env_t;

/* Opens the consumer and starts the thread; a database that is away is no error. */
TG_NODISCARD tg_status_t tg_worker_thread_open(const tg_worker_env_t *env, unsigned index,
                                               tg_worker_thread_t **out_thread, tg_error_t *error);

/* Asks the thread to store what is in hand and leave; returns at once. */
void tg_worker_thread_stop(tg_worker_thread_t *thread);

/* After tg_worker_thread_stop: whether the thread has ended by then (monotonic ms). */
bool tg_worker_thread_wait(tg_worker_thread_t *thread, uint64_t until_ms);

/* Frees a thread that has ended. NULL is allowed. */
void tg_worker_thread_close(tg_worker_thread_t *thread);

typedef struct tg_worker_status {
    bool database; /* the last attempt to use it went well */
    size_t partitions;
} tg_worker_status_t;
void tg_worker_thread_status(tg_worker_thread_t *thread, tg_worker_status_t *out_status);

/* Appends a sample of the lag of each of the thread's partitions. */
void tg_worker_thread_lag(tg_worker_thread_t *thread, tg_buf_t *out);

#endif
