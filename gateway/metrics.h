/* The gateway's own metrics: ids and rows come from metrics.def.
 *
 * Threads: read-only table. */
#ifndef TG_GATEWAY_METRICS_H
#define TG_GATEWAY_METRICS_H

#include "common/observe/metrics.h"

enum {
#define TG_METRIC(id, kind, name, labels, help) id,
#include "gateway/metrics.def"
#undef TG_METRIC
    GW_METRIC_COUNT
};

/* The order of the labels of GW_AUTH and of `result` in GW_UPSTREAM. */
enum {
    GW_AUTH_OK,
    GW_AUTH_MISSING,
    GW_AUTH_INVALID,
    GW_AUTH_FORBIDDEN,
    GW_AUTH_NOT_LOADED,
    GW_AUTH_AMBIGUOUS,
};
enum { GW_LEASE_WHOLE, GW_LEASE_PART, GW_LEASE_NOTHING, GW_LEASE_FAILED }; /* of GW_LEASES */
enum { GW_USES_WRITTEN, GW_USES_LOST };                                    /* of GW_KEY_USES */
enum {
    GW_SNAPSHOT_TENANTS,
    GW_SNAPSHOT_KEYS,
    GW_SNAPSHOT_PLANS,
    GW_SNAPSHOT_BYTES,
    GW_SNAPSHOT_US
};
enum { GW_QUEUE_LATE, GW_QUEUE_DROPPED, GW_QUEUE_FULL, GW_QUEUE_REASONS }; /* of GW_QUEUE_ENDS */
enum { GW_UP_OK, GW_UP_TIMEOUT, GW_UP_UNAVAILABLE, GW_UP_FULL, GW_UP_MALFORMED, GW_UP_RESULTS };

extern const tg_metric_desc_t tg_gateway_metrics[GW_METRIC_COUNT];

#endif
