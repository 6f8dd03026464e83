/* The rows of metrics.def as descriptions. */
#include "worker/metrics.h"

const tg_metric_desc_t tg_worker_metrics[WK_METRIC_COUNT] = {
#define TG_METRIC(id, kind, name, labels, help) {TG_##kind, name, labels, help},
#include "worker/metrics.def"
#undef TG_METRIC
};
