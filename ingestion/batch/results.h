/* The per-item results of a batch and their JSON.
 *
 *   {"accepted":1,"duplicate":1,"rejected":1,"failed":1,"dead_lettered":1,"withheld":1,"items":[
 *     {"index":0,"status":"accepted","event_id":"…","received_at":"…"},
 *     {"index":1,"status":"duplicate","of":0,"event_id":"…","received_at":"…"},
 *     {"index":2,"status":"rejected","code":"…","field":"…","message":"…"},
 *     {"index":3,"status":"failed","code":"…","message":"…"},
 *     {"index":4,"status":"dead_lettered","dead_letter_id":"…","code":"…","field":"…","message":"…"},
 *     {"index":5,"status":"withheld"}]}
 *
 * A duplicate shares the fate of the item that it repeats: when that one failed, so did it.
 *
 * Threads: plain values. */
#ifndef TG_INGESTION_BATCH_RESULTS_H
#define TG_INGESTION_BATCH_RESULTS_H

#include "common/base/time.h"
#include "common/base/uuid.h"

typedef enum tg_result_state {
    TG_RESULT_PENDING, /* not decided, or waiting for its acknowledgement */
    TG_RESULT_ACCEPTED,
    TG_RESULT_DUPLICATE,
    TG_RESULT_REJECTED,
    TG_RESULT_FAILED,
    TG_RESULT_DEAD_LETTERED,
    TG_RESULT_WITHHELD, /* valid, in a strict request with others that are not */
} tg_result_state_t;

typedef struct tg_result {
    tg_result_state_t state;
    uint32_t original; /* DUPLICATE: index of the item that it repeats */
    tg_uuid_t id;      /* ACCEPTED, DUPLICATE; of the letter: DEAD_LETTERED */
    const char *code;  /* REJECTED, DEAD_LETTERED, FAILED: a literal */
    bool dead;         /* what is waited for is a dead letter's acknowledgement */
    uint32_t
        text; /* REJECTED, DEAD_LETTERED: where its field and then its message stand in the texts */
    uint16_t field_len, message_len; /* no message: a general one is written */
} tg_result_t;

typedef struct tg_results_summary {
    size_t accepted, duplicate, rejected, failed, dead_lettered, withheld;
} tg_results_summary_t;

/* Gives duplicates of failed items their state, and counts. No result may be pending. */
tg_results_summary_t tg_results_settle(tg_result_t *results, size_t count);

/* 202 if anything is accepted or dead-lettered, 503 if anything was not acknowledged, else 422. If
 * `strict`, 202 only if all is. */
int tg_results_http_code(const tg_results_summary_t *summary, bool strict);

/* Appends the answer's body. `texts` holds the fields and messages of rejected items. */
void tg_results_write(const tg_result_t *results, size_t count, const tg_results_summary_t *summary,
                      const char *texts, int64_t received_at, tg_buf_t *out);

#endif
