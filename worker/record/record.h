/* A Kafka record in a worker's hand: the message, and the row or the failure that it became.
 *
 * It keeps the message until the record is stored, because a row that the store refuses still has
 * to become a dead letter with its original bytes. Texts of the row stand in memory of the record's
 * own, which is used again for later records, so that a steady stream allocates nothing.
 *
 * Limit: the pool keeps TG_RECORD_POOL_MAX unused records. Threads: a pool and its records belong
 * to one thread. */
#ifndef TG_WORKER_RECORD_H
#define TG_WORKER_RECORD_H

#include <librdkafka/rdkafka.h>

#include "worker/store/batch.h"

#define TG_RECORD_POOL_MAX   4096
#define TG_RECORD_KEEP_BYTES 1024 /* a pooled record keeps at most this much memory */

typedef enum tg_record_state {
    TG_RECORD_RAW, /* not decoded yet: its schema could not be fetched so far */
    TG_RECORD_ROW,
    TG_RECORD_DEAD,
    TG_RECORD_SKIP, /* nothing of it is stored but that it was read */
} tg_record_state_t;

/* Why a record is dead; the order is that of the metric's label. */
typedef enum tg_dead_reason {
    TG_DEAD_HEADERS,
    TG_DEAD_FRAMING,
    TG_DEAD_SCHEMA,
    TG_DEAD_DECODE,
    TG_DEAD_STORE,
    TG_DEAD_INGESTION, /* refused there; what is known of it is in `letter` */
} tg_dead_reason_t;

/* Where a record stands and what it holds; borrowed from its message. */
typedef struct tg_record_source {
    tg_str_t topic;
    int32_t partition;
    int64_t offset;
    tg_str_t key, value; /* ptr NULL: none */
} tg_record_source_t;

/* A dead letter of ingestion; texts in the message. */
typedef struct tg_record_letter {
    tg_uuid_t id;
    tg_str_t code, text, field;
} tg_record_letter_t;

typedef struct tg_record {
    struct tg_record *next;
    rd_kafka_message_t *message; /* owned; NULL where a record was made without Kafka */
    tg_record_source_t source;
    tg_record_state_t state;
    uint64_t arrived_ms;
    size_t bytes;   /* what it counts for in the buffer */
    tg_row_t row;   /* texts in `texts`; of a dead record as much as is known */
    bool has_event; /* the headers were good: tenant, type, id and times are known */
    tg_dead_reason_t reason;
    bool published; /* of a dead record: it stands in the dead-letter topic already */
    tg_record_letter_t letter;
    char *error; /* owned; of a dead record, printable ASCII; NULL: no memory for it */
    tg_buf_t texts;
} tg_record_t;

typedef struct tg_record_pool tg_record_pool_t;

tg_record_pool_t *tg_record_pool_create(void);       /* NULL when out of memory */
void tg_record_pool_destroy(tg_record_pool_t *pool); /* all records must be back; NULL is allowed */

/* A raw record that takes `message`; NULL when out of memory (the message is then still the
 * caller's). */
tg_record_t *tg_record_take(tg_record_pool_t *pool, rd_kafka_message_t *message, uint64_t now_ms);

/* A raw record without a message, for what drives the batching without Kafka; `source` is borrowed
 * until the release. */
tg_record_t *tg_record_make(tg_record_pool_t *pool, const tg_record_source_t *source,
                            uint64_t now_ms);

/* Gives the record back. Its message lives on until the next sweep: releasing happens between two
 * batches, when the server has nothing to do, and destroying can wait until it is busy. A consumer
 * cannot be closed before. */
void tg_record_release(tg_record_pool_t *pool, tg_record_t *record);

/* Destroys the messages of all released records. */
void tg_record_pool_sweep(tg_record_pool_t *pool);

/* Makes the record a dead letter; the text is made safe for the store. */
void tg_record_bury(tg_record_t *record, tg_dead_reason_t reason, const char *text);

/* Describes a dead record; its headers are written into `headers`. All is borrowed from the record,
 * `topic_id` and `headers`. */
void tg_record_dead_letter(const tg_record_t *record, tg_str_t topic_id, tg_buf_t *headers,
                           tg_dead_letter_t *out_dead);

#endif
