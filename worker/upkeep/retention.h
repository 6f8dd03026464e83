/* Retention: deletes what is beyond its tenant's plan, and dead letters and the audit log by age.
 *
 * The work is SQL (migrations/common/0030_retention.sql): a list of what may hold such rows, and a
 * step that deletes a bounded number of them from one entry of it. A sweep goes through the list
 * once; the next begins `interval` after. It stops anywhere without harm: rows that are late in
 * going are in nobody's way, and inside the retention nothing changes.
 *
 * Limits: TG_RETENTION_ROWS in a step, TG_RETENTION_MS of steps in a round, so that a tenant's
 * millions never hold up the rest of maintenance.
 *
 * Threads: one. */
#ifndef TG_RETENTION_H
#define TG_RETENTION_H

#include <stdatomic.h>

#include "common/observe/metrics.h"
#include "worker/pg/conn.h"

#define TG_RETENTION_ROWS 5000
#define TG_RETENTION_MS   UINT64_C(2000)

typedef struct tg_retention_config {
    uint64_t interval_ms;
    uint64_t dead_letters_ms, audit_ms; /* ages; 0: they stay */
} tg_retention_config_t;

/* What a worker remembers between rounds; all zero is a good start. */
typedef struct tg_retention {
    PGresult *parts; /* the sweep's list, from `next` on; NULL between sweeps */
    int next;
    uint64_t due_ms; /* when the next sweep may begin */
} tg_retention_t;

void tg_retention_dispose(tg_retention_t *retention);

/* One round, on a connection that has the statements of tg_sql_statements: as much of a sweep as
 * the time allows, if one is due, or nothing. */
TG_NODISCARD tg_status_t tg_retention_run(tg_retention_t *retention,
                                          const tg_retention_config_t *config, tg_conn_t *conn,
                                          tg_metrics_shard_t *shard, const atomic_bool *stopping);

#endif
