/* The worker's own metrics: ids and rows come from metrics.def.
 *
 * Threads: read-only table. */
#ifndef TG_WORKER_METRICS_H
#define TG_WORKER_METRICS_H

#include "common/observe/metrics.h"

enum {
#define TG_METRIC(id, kind, name, labels, help) id,
#include "worker/metrics.def"
#undef TG_METRIC
    WK_METRIC_COUNT
};

/* The order of the label values. */
enum { WK_STORED, WK_DUPLICATE, WK_DEAD_LETTER };
enum { WK_FAIL_UNAVAILABLE, WK_FAIL_CONFLICT, WK_FAIL_REJECTED, WK_FAIL_UNKNOWN };
enum { WK_CLAIM_TAKEN, WK_CLAIM_AGAIN, WK_CLAIM_FENCED, WK_CLAIM_FAILED };
enum { WK_RESET_GAP, WK_RESET_RECREATED };
enum { WK_PAUSE_BUFFER, WK_PAUSE_DATABASE };
enum {
    WK_TASK_DAYS,
    WK_TASK_HOURS,
    WK_TASK_DAY_ROLLUP,
    WK_TASK_PURGE,
    WK_TASK_HORIZON,
    WK_TASK_COMPRESS,
    WK_TASK_BINS,
    WK_TASK_RETENTION,
    WK_TASK_COUNT
};

extern const tg_metric_desc_t tg_worker_metrics[WK_METRIC_COUNT];

#endif
