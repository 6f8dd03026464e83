/* The query service's own metrics: ids and rows come from metrics.def.
 *
 * Threads: read-only table. */
#ifndef TG_QUERY_METRICS_H
#define TG_QUERY_METRICS_H

#include "common/observe/metrics.h"

enum {
#define TG_METRIC(id, kind, name, labels, help) id,
#include "query/metrics.def"
#undef TG_METRIC
    Q_METRIC_COUNT
};

/* The order of the labels of Q_CACHE and Q_DB. */
enum { Q_CACHE_HIT, Q_CACHE_MISS, Q_CACHE_UNAVAILABLE, Q_CACHE_LOCAL };
enum { Q_DB_OK, Q_DB_TIMEOUT, Q_DB_UNAVAILABLE, Q_DB_FULL, Q_DB_TOO_LARGE, Q_DB_FAILED };

extern const tg_metric_desc_t tg_query_metrics[Q_METRIC_COUNT];

#endif
