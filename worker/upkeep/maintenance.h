/* The worker's upkeep: rolling up touched hours and days, making the next days' partitions,
 * removing those beyond the horizon, compressing, deleting what is beyond a tenant's retention,
 * binning, forgetting kept times after 7 days, and sending dead letters to their topic.
 *
 * All but the sending is done by the holder of a lease row (30 s, renewed each round), so that any
 * number of workers may run. The lease is a row with an expiry and no session lock: a holder that
 * hangs loses it by time alone, and all tasks may be repeated or run twice without harm. A holder
 * that ends gives it back.
 *
 * Dead letters are an outbox: the row is the truth, committed with the offset; sending marks it. A
 * crash in between sends it again, with the same id.
 *
 * Threads: one of its own. open, wake, close from any. */
#ifndef TG_WORKER_UPKEEP_MAINTENANCE_H
#define TG_WORKER_UPKEEP_MAINTENANCE_H

#include "worker/metrics.h"
#include "worker/settings.h"

typedef struct tg_maintenance tg_maintenance_t;

TG_NODISCARD tg_status_t tg_maintenance_open(const tg_worker_config_t *config,
                                             tg_metrics_t *metrics,
                                             tg_maintenance_t **out_maintenance, tg_error_t *error);

/* Dead letters wait: send them soon. */
void tg_maintenance_wake(tg_maintenance_t *maintenance);

typedef struct tg_maintenance_status {
    bool holder; /* this worker does the maintenance */
    uint64_t
        failing_s;  /* for so long some task of each round has failed; 0: none in the last one */
    uint64_t age_s; /* since the end of the last round of ours */
} tg_maintenance_status_t;

void tg_maintenance_status(const tg_maintenance_t *maintenance,
                           tg_maintenance_status_t *out_status);

/* Ends the thread after the piece of work at hand. NULL is allowed. */
void tg_maintenance_close(tg_maintenance_t *maintenance);

#endif
