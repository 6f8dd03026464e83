/* The simulator's own metrics: ids and rows come from metrics.def.
 *
 * Threads: read-only table. */
#ifndef TG_SIM_METRICS_H
#define TG_SIM_METRICS_H

#include "common/observe/metrics.h"

/* In the order of tg_sim_type_t. */
#define SIM_TYPE_LABELS "type=reading|activity|signal|order|session|stream"

enum {
#define TG_METRIC(id, kind, name, labels, help) id,
#include "loadtest/simulator/metrics.def"
#undef TG_METRIC
    SIM_METRIC_COUNT
};

enum { SIM_GIVEN_UP, SIM_REFUSED, SIM_DUPLICATE }; /* the order of the labels of SIM_FAILED */
enum { SIM_EMIT_ACCEPTED, SIM_EMIT_REFUSED, SIM_EMIT_FAILED };

extern const tg_metric_desc_t tg_sim_metrics[SIM_METRIC_COUNT];

#endif
