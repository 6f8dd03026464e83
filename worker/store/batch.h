/* What one transaction stores: rows, dead letters, and how far each partition's offset moves.
 *
 * It knows nothing of Kafka, so that the store can be driven without it. The caller owns all that
 * is pointed to and keeps it until the store has returned. Order is the caller's order of arrival;
 * the store sorts the pointers in place.
 *
 * Threads: plain values. */
#ifndef TG_BATCH_H
#define TG_BATCH_H

#include "worker/store/row.h"

/* Days that one transaction may touch: each is a partition of two tables with their indexes, and
 * all of them are locked until the end. The store's own bound is 64; the difference is for rows
 * whose time moves to the one kept for their id, which is at most 7 days older. */
#define TG_BATCH_DAYS_MAX 56

/* A record or row that cannot be stored, with all that a replay needs. */
typedef struct tg_dead_letter {
    tg_uuid_t id; /* of topic, partition, offset and incarnation: the same at each attempt */
    tg_str_t topic, topic_id;
    int32_t partition;
    int64_t offset;
    tg_str_t tenant, type; /* empty: the record did not say */
    bool has_event;        /* event_id and occurred_at are known */
    tg_uuid_t event_id;
    int64_t occurred_at;
    tg_str_t code; /* snake_case word */
    tg_str_t text;
    tg_str_t field;      /* of the event, that the error is about; empty: none */
    bool published;      /* it stands in the dead-letter topic already */
    tg_str_t key, value; /* ptr NULL: none */
    tg_str_t headers;    /* JSON array of {"name", "value": base64 or null} */
} tg_dead_letter_t;

typedef struct tg_batch_partition {
    const char *topic;
    int32_t partition;
    int64_t epoch;       /* of our claim */
    int64_t next_offset; /* first one not in this batch */
} tg_batch_partition_t;

typedef struct tg_batch {
    tg_row_t **rows;
    size_t row_count;
    const tg_dead_letter_t *dead;
    size_t dead_count;
    tg_batch_partition_t *partitions; /* each once */
    size_t partition_count;
} tg_batch_t;

#endif
