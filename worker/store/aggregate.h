/* What the stored rows of one transaction add to the minutes, the running states and the list of
 * touched hours; and which rows came late, after the bins of their hour may have been made.
 *
 * Why in C and not in SQL: the rows that INSERT … RETURNING names as new are known here, and a
 * GROUP BY in the server costs more than the insert. Each list comes out sorted bytewise, the order
 * in which every writer takes its locks.
 *
 * Limits: as many entries per list as rows, given at create. Threads: one at a time. */
#ifndef TG_AGGREGATE_H
#define TG_AGGREGATE_H

#include "worker/store/decimal.h"
#include "worker/store/row.h"

typedef struct tg_aggregate tg_aggregate_t;

/* One minute of one series. */
typedef struct tg_minute {
    const tg_row_t *row; /* any row of the series, for its texts */
    int64_t bucket;      /* µs, start of the minute */
    int64_t count, value_count;
    double min, max; /* while value_count > 0 */
    tg_decimal_t sum;
} tg_minute_t;

/* One running state of one entity. */
typedef struct tg_state_delta {
    const tg_row_t *row; /* tenant, type, entity and state name */
    int64_t delta;
} tg_state_delta_t;

/* One hour of one tenant. */
typedef struct tg_hour {
    const tg_row_t *row;
    int64_t hour; /* µs */
    int64_t count;
    bool late; /* its values are in the list of late rows */
} tg_hour_t;

/* An hour that gets more rows in one batch is better read again as a whole. */
#define TG_AGGREGATE_LATE_MAX 16

/* Returns an owned aggregate for at most `max_rows` rows between resets, or NULL when out of
 * memory. */
tg_aggregate_t *tg_aggregate_create(size_t max_rows);
void tg_aggregate_destroy(tg_aggregate_t *aggregate); /* NULL is allowed */

/* Forgets all rows, keeps the memory. */
void tg_aggregate_reset(tg_aggregate_t *aggregate);

/* Adds a stored row, which must live until the next reset. TG_NOMEM: reset and give up. */
TG_NODISCARD tg_status_t tg_aggregate_add(tg_aggregate_t *aggregate, const tg_row_t *row);

/* The lists, sorted: minutes by tenant, type, minute, kind, entity; states by tenant, type, entity;
 * hours by tenant, hour. Borrowed until the next add or reset. */
const tg_minute_t *const *tg_aggregate_minutes(tg_aggregate_t *aggregate, size_t *out_count);
const tg_state_delta_t *const *tg_aggregate_states(tg_aggregate_t *aggregate, size_t *out_count);
const tg_hour_t *const *tg_aggregate_hours(tg_aggregate_t *aggregate, size_t *out_count);

/* Marks those hours late that had ended by `ended_by` (µs) and got no more than
 * TG_AGGREGATE_LATE_MAX rows; gives their rows that have a value, in the order of adding. Borrowed
 * until the next add or reset. */
const tg_row_t *const *tg_aggregate_late(tg_aggregate_t *aggregate, int64_t ended_by,
                                         size_t *out_count);

#endif
