/* What was acknowledged, for exact comparison with the store: a file of JSON lines, and counts and
 * exact sums per type and kind.
 *
 * A line is written only after the acknowledgement, and each answer's lines leave in one write(2):
 * a simulator that is killed leaves a file of which at most the last line is cut. What was given up
 * (its outcome is unknown) or refused is named with its whole text.
 *
 *   {"type":"order","event_id":"…","occurred_at":"…","kind":"USD","entity":"web","value":120.5,"key":"…"}
 *   {"given_up":"timeout","type":"order","occurred_at":"…","event":{…},"key":"…"}
 *   {"refused":"too_old","type":"order","occurred_at":"…","event":{…},"key":"…"}
 *
 * Limits: SUMS_MAX pairs of type and kind are counted apart, all others as "~other".
 *
 * Threads: one at a time. */
#ifndef TG_LEDGER_H
#define TG_LEDGER_H

#include "common/base/str.h"

typedef struct tg_ledger tg_ledger_t;

typedef struct tg_ledger_entry {
    tg_str_t type, kind, entity;
    tg_str_t event_id;   /* as the gateway said */
    int64_t occurred_at; /* µs since the epoch; INT64_MIN: not known */
    int64_t value;       /* millionths; of interest if has_value */
    bool has_value;
    tg_str_t event; /* its JSON; of what was not acknowledged */
} tg_ledger_entry_t;

typedef enum tg_ledger_outcome { TG_LEDGER_GIVEN_UP, TG_LEDGER_REFUSED } tg_ledger_outcome_t;

/* Appends to the file at `path`; an empty path: only the sums are kept. `key_id` is written in each
 * line. */
TG_NODISCARD tg_status_t tg_ledger_open(const char *path, const char *key_id,
                                        tg_ledger_t **out_ledger, tg_error_t *error);
void tg_ledger_close(tg_ledger_t *ledger); /* NULL is allowed */

void tg_ledger_acknowledged(tg_ledger_t *ledger, const tg_ledger_entry_t *entry);
void tg_ledger_failed(tg_ledger_t *ledger, tg_ledger_outcome_t outcome, const char *reason,
                      const tg_ledger_entry_t *entry);

/* Writes what was noted. TG_UNAVAILABLE when the file cannot take it (errno says why): what was
 * acknowledged is then in doubt, and the run should end. */
TG_NODISCARD tg_status_t tg_ledger_flush(tg_ledger_t *ledger);

typedef struct tg_ledger_counts {
    uint64_t acknowledged, given_up, refused;
} tg_ledger_counts_t;
tg_ledger_counts_t tg_ledger_counts(const tg_ledger_t *ledger);

/* Appends "acknowledged":{"order":{"USD":{"count":3,"sum":"361.5"},…},…}, types and kinds in
 * bytewise order. */
void tg_ledger_write_sums(const tg_ledger_t *ledger, tg_buf_t *out);

#endif
