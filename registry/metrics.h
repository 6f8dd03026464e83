/* Ids of the registry's metrics; ids and rows come from metrics.def.
 *
 * Threads: a read-only table. */
#ifndef TG_REGISTRY_METRICS_H
#define TG_REGISTRY_METRICS_H

#include "common/observe/metrics.h"

enum {
#define TG_METRIC(id, kind, name, labels, help) id,
#include "registry/metrics.def"
#undef TG_METRIC
    RG_METRIC_COUNT
};

/* The order of the labels of RG_REGISTERED, RG_READS and RG_DELETED. */
enum { RG_NEW, RG_EXISTING, RG_INVALID, RG_REFUSED, RG_FAILED };
enum { RG_FOUND, RG_MISSING, RG_READ_FAILED };
enum { RG_SOFTLY, RG_PERMANENTLY, RG_NOT_DELETED };

/* Of RG_TESTS and RG_SETTINGS. */
enum { RG_COMPATIBLE, RG_INCOMPATIBLE, RG_TEST_FAILED };
enum { RG_CONFIG, RG_MODE };

#endif
