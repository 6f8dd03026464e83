/* Ingestion's own metrics: ids and rows come from metrics.def.
 *
 * Threads: read-only table. */
#ifndef TG_INGESTION_METRICS_H
#define TG_INGESTION_METRICS_H

#include "common/observe/metrics.h"

enum {
#define TG_METRIC(id, kind, name, labels, help) id,
#include "ingestion/metrics.def"
#undef TG_METRIC
    ING_METRIC_COUNT
};

/* The order of the labels of ING_EVENTS. */
enum { ING_ACCEPTED, ING_DUPLICATE, ING_REFUSED, ING_LOST, ING_BURIED, ING_WITHHELD };

extern const tg_metric_desc_t tg_ingestion_metrics[ING_METRIC_COUNT];

/* The series of ING_REJECTED for an error code, of ING_FAILED for a producer's status. */
unsigned tg_ingestion_reason_of_code(const char *code);
unsigned tg_ingestion_reason_of_status(tg_status_t status);

/* The series of ING_FAILED when the registry, not Kafka, was away; of ING_TYPE_FETCHES. */
unsigned tg_ingestion_reason_registry(void);
unsigned tg_ingestion_fetch_result(tg_status_t status);

/* The result's part of the series of ING_BODIES, of which each coding has ING_BODY_RESULTS. */
#define ING_BODY_RESULTS 4
unsigned tg_ingestion_body_result(tg_status_t status);

#endif
