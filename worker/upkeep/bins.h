/* Percentile bins of closed hours: the steps of migrations/common/0009_bins.sql, in which it is
 * also argued why no percentile is ever stale.
 *
 * A step is one REPEATABLE READ transaction that holds the lease's row, and with it the epoch, to
 * its end: who lost the lease bins nothing. It may be repeated or broken off without harm. Hours
 * not yet binned are read from their events, so what fails or waits here costs readers time and
 * never an answer.
 *
 * Limits: TG_BINS_STEP_ROWS events in one step (a single hour may have more), TG_BINS_ROUND_MS of
 * steps in one round, TG_BINS_HOUR_ROWS events in an hour that is binned at all: denser ones stay
 * unbinned, and a gauge counts them. A step that fails halves that limit for a while, so that one
 * hour which the server cannot bin within its statement_timeout does not hold up the others.
 *
 * Threads: one. */
#ifndef TG_WORKER_UPKEEP_BINS_H
#define TG_WORKER_UPKEEP_BINS_H

#include <stdatomic.h>

#include "worker/metrics.h"
#include "worker/pg/conn.h"

#define TG_BINS_STEP_ROWS    INT64_C(2000000)
#define TG_BINS_HOUR_ROWS    INT64_C(10000000)
#define TG_BINS_LATE_ROWS    20000 /* folded in one step */
#define TG_BINS_ROUND_MS     8000
#define TG_BINS_NARROW_MS    (UINT64_C(15) * 60 * 1000)
#define TG_BINS_NARROW_LEAST INT64_C(100000)

/* What a round remembers; all zero is a good start. */
typedef struct tg_bins {
    int64_t hour_rows; /* the limit after failures; 0: none yet */
    uint64_t narrow_until_ms;
} tg_bins_t;

/* One round, by the holder of the maintenance lease with this epoch, on a connection that has the
 * statements of tg_sql_statements: bins what is due and folds late values in, until there is
 * nothing left, the time is spent or *stopping. TG_CONFLICT: another maintainer was at it; the next
 * round goes on. */
TG_NODISCARD tg_status_t tg_bins_run(tg_bins_t *bins, tg_conn_t *conn, int64_t epoch,
                                     tg_metrics_shard_t *shard, const atomic_bool *stopping);

#endif
