/* Gathering: single events of many clients that are on their way to ingestion at the same time
 * travel in one bundle (common/event/bundle.h), because a hop costs the same whatever it carries.
 *
 * An event is never held back for company alone: it leaves at the end of the loop's turn while
 * fewer than `inflight` bundles are on their way, else when one of them comes back, and after
 * `linger_ms` in any case, so that a slow instance delays nobody but those whose bundle it has. A
 * bundle is one call of the HTTP client: its breaker, choice of instance and failures are as for
 * any other.
 *
 * Limits: 256 events and 320 KiB a bundle; events that wait are requests in flight, which
 * http.max_inflight bounds.
 *
 * Threads: the loop's. */
#ifndef TG_GATEWAY_GATHER_H
#define TG_GATEWAY_GATHER_H

#include <h2o/linklist.h>

#include "common/event/bundle.h"
#include "common/http/client.h"
#include "common/observe/metrics.h"

typedef struct tg_gather tg_gather_t;

typedef struct tg_gather_config {
    tg_http_client_t *client;  /* borrowed; outlives the gatherer */
    tg_str_t secret;           /* borrowed */
    tg_metrics_shard_t *shard; /* may be NULL */
    uint64_t inflight;         /* bundles on their way at which events start to wait */
    uint64_t linger_ms;        /* longest wait */
} tg_gather_config_t;

/* Called once, never before tg_gather_add has returned. On TG_OK `outcome` is borrowed until
 * return; otherwise the status is that of tg_http_done_fn. */
typedef void (*tg_gather_done_fn)(void *arg, tg_status_t status,
                                  const tg_bundle_outcome_t *outcome);

/* One waiting event, in the caller's memory until `done` or the cancellation. */
typedef struct tg_gather_item {
    tg_bundle_event_t event; /* borrowed texts, as long as the item */
    uint64_t deadline_at_ms; /* loop clock; the caller keeps it, the bundle gets the latest */
    tg_gather_done_fn done;
    void *arg;
    /* the module's own */
    h2o_linklist_t link;          /* while it waits */
    struct tg_gather_item **slot; /* while it is on its way */
    uint64_t since_ms;
} tg_gather_item_t;

/* NULL when out of memory. */
tg_gather_t *tg_gather_open(tg_loop_t *loop, const tg_gather_config_t *config);

/* No item may wait or be on its way. NULL is allowed. */
void tg_gather_close(tg_gather_t *gather);

void tg_gather_add(tg_gather_t *gather, tg_gather_item_t *item);

/* After this the callback cannot come. */
void tg_gather_cancel(tg_gather_t *gather, tg_gather_item_t *item);

size_t tg_gather_waiting(const tg_gather_t *gather);

#endif
