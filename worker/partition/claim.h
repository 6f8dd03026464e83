/* Claims on partitions: who may store a partition's records, and from which offset on.
 *
 * A claim raises the partition's epoch, so every earlier owner is fenced the moment the claim
 * commits. It waits for the row's lock, that is, for a transaction of the earlier owner under way;
 * one that takes longer than the lock timeout (5 s: its process is stopped or its network gone) is
 * ended by terminating its backend.
 *
 * Threads: as the connection. */
#ifndef TG_WORKER_PARTITION_CLAIM_H
#define TG_WORKER_PARTITION_CLAIM_H

#include "worker/pg/conn.h"

#define TG_CLAIM_NOTHING_STORED (-1)
#define TG_CLAIM_TOPIC_ID_MAX   40

typedef struct tg_claim {
    int64_t epoch;
    int64_t next_offset;                  /* or TG_CLAIM_NOTHING_STORED: start at the earliest */
    char topic_id[TG_CLAIM_TOPIC_ID_MAX]; /* "" until the topic is known to have been recreated */
    bool recreated; /* another Kafka cluster than before: offsets begin again */
} tg_claim_t;

/* Who claims what. */
typedef struct tg_claimant {
    const char *topic;
    int32_t partition;
    const char *owner;      /* of this thread, for the operator's eyes */
    const char *cluster_id; /* "" while unknown */
} tg_claimant_t;

/* Claims after an assignment. TG_UNAVAILABLE: try again later. */
TG_NODISCARD tg_status_t tg_claim_take(tg_conn_t *conn, const tg_claimant_t *claimant,
                                       tg_claim_t *out_claim);

/* Claims again on a new connection what was ours under `epoch`; out_claim->next_offset then tells
 * whether a COMMIT whose answer was lost took place. TG_DENIED: another has claimed it meanwhile.
 */
TG_NODISCARD tg_status_t tg_claim_again(tg_conn_t *conn, const tg_claimant_t *claimant,
                                        int64_t epoch, tg_claim_t *out_claim);

/* Notes that the topic's offsets have begun again: forgets the offset and gives the topic a new
 * identity, so that dead letters of the old and the new one are told apart. TG_DENIED when fenced.
 */
TG_NODISCARD tg_status_t tg_claim_reset(tg_conn_t *conn, const tg_claimant_t *claimant,
                                        tg_claim_t *claim);

#endif
