/* The inside of a worker thread, shared by thread.c (loop and life), claims.c (which partitions are
 * ours) and write.c (from waiting records to a commit).
 *
 * Threads: the thread's own, but for what stands under `mutex` and the atomics. */
#ifndef TG_WORKER_THREAD_PRIVATE_H
#define TG_WORKER_THREAD_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/kafka/consumer.h"
#include "worker/partition/builder.h"
#include "worker/store/store.h"
#include "worker/thread/thread.h"

#define TG_LAG_MAX 1024 /* partitions of one thread whose lag is shown */

struct tg_lag {
    char topic[TG_TOPIC_NAME_MAX];
    int32_t partition;
    int64_t lag;
};

struct tg_worker_thread {
    tg_worker_env_t env;
    const char *topics[TG_WORKER_TOPICS_MAX + 1]; /* the events' and that of dead letters */
    size_t topic_count;
    char owner[128]; /* host, process, thread: for the operator's eyes */
    pthread_t id;
    bool running;
    tg_metrics_shard_t *shard;
    tg_consumer_t *consumer;
    tg_conn_t *conn;
    tg_store_t *store;
    tg_record_pool_t *pool;
    tg_assignment_t assignment;
    tg_decoder_t *decoder;
    tg_builder_t *builder;

    bool database_down; /* no writing before retry_at_ms */
    uint64_t retry_at_ms, backoff_ms;
    bool assign_failed;      /* the group gave us partitions that could not be claimed */
    bool raw;                /* there are records whose schema could not be fetched so far */
    uint64_t registry_at_ms; /* when to ask the registry again */
    bool paused;
    uint64_t paused_at_ms;
    uint64_t shown_at_ms; /* last update of what is shown */

    /* While a batch is being written, its records and the connection are in use: what the group or
     * the consumer says meanwhile is noted here and done when the batch is through. */
    bool writing;
    bool revoked;        /* the partitions are gone */
    bool consumer_fatal; /* the consumer has to be replaced */

    atomic_bool stopping, database_ok;
    atomic_size_t partitions;
    pthread_mutex_t mutex; /* guards the lags */
    struct tg_lag *lags;
    size_t lag_count;
};

/* thread.c: the database failed; no writing before the backoff (100 ms to 5 s) has passed. */
void tg_thread_database_failed(tg_worker_thread_t *thread, const char *doing);
void tg_thread_database_works(tg_worker_thread_t *thread);
/* Does what had to wait for the batch to be through. */
void tg_thread_catch_up(tg_worker_thread_t *thread);

/* claims.c */
tg_status_t tg_thread_on_assign(void *arg, rd_kafka_topic_partition_list_t *list);
void tg_thread_on_revoke(void *arg, const rd_kafka_topic_partition_list_t *list, bool lost);
/* Forgets all partitions. What waits for them is not stored, so whoever claims next reads it again.
 */
void tg_thread_drop_all(tg_worker_thread_t *thread);
/* Connects if need be; on a new connection claims again what was ours. */
TG_NODISCARD tg_status_t tg_thread_connect(tg_worker_thread_t *thread);
/* Claims anew the fenced partitions that are still assigned to us, and notes recreated topics. */
void tg_thread_repair_claims(tg_worker_thread_t *thread);
void tg_thread_fence(tg_worker_thread_t *thread, tg_partition_t *partition);

/* write.c */
/* Takes the message: queues it, or drops it when its partition is not ours. True when the partition
 * has a full batch. */
bool tg_thread_accept(tg_worker_thread_t *thread, rd_kafka_message_t *message, bool jumped);
/* Tries to decode the records that wait for a schema. */
void tg_thread_decode_waiting(tg_worker_thread_t *thread);
/* Writes one batch if one is due (or if `flush` and there is anything); whether one was written. */
bool tg_thread_write(tg_worker_thread_t *thread, bool flush);

#endif
