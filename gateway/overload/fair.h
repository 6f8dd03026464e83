/* What waits for one upstream, on one thread: bounded, shared out among tenants by their weights,
 * and dropped when it is too late.
 *
 * Deficit round robin (Shreedhar and Varghese, 1995): each tenant that waits has a turn in which it
 * may spend its weight in cost, and keeps what it could not spend. Requests of one tenant go in
 * their order. Of the two bands the first always goes before the second.
 *
 * When the queue is full, the newest request of the tenant that has most waiting, for its weight,
 * is dropped: a tenant that floods the queue loses its own requests, nobody else's. If that request
 * has waited for some time and the two tenants have about as much waiting, the one that comes is
 * refused instead: a refusal is worth most at once. A request whose deadline has passed when its
 * turn comes is dropped before any work is done for it.
 *
 * Limits: requests that wait (given), those on their way (gateway/overload/pace.h).
 * Threads: the loop's. Times are the loop's ms, latencies µs. */
#ifndef TG_OVERLOAD_FAIR_H
#define TG_OVERLOAD_FAIR_H

#include <h2o/linklist.h>
#include <stddef.h>

#include "gateway/overload/pace.h"

typedef enum tg_fair_band { TG_BAND_FIRST, TG_BAND_SECOND, TG_BAND_COUNT } tg_fair_band_t;

typedef enum tg_fair_end {
    TG_FAIR_GO,      /* the request may leave now; tg_fair_leave follows */
    TG_FAIR_LATE,    /* its deadline has passed */
    TG_FAIR_DROPPED, /* the queue is full, and its tenant has most of it */
} tg_fair_end_t;

typedef void (*tg_fair_done_fn)(void *arg, tg_fair_end_t end);

/* One request, in the caller's memory from enter to leave, or to an end that is not TG_FAIR_GO. */
typedef struct tg_fair_item {
    uint32_t tenant; /* number */
    uint32_t weight; /* of its plan; at least 1 */
    uint32_t cost;   /* at least 1 */
    tg_fair_band_t band;
    uint64_t deadline_ms;
    uint64_t since_us;    /* when it came; from when it waited on, when it left */
    tg_fair_done_fn done; /* never called inside its own tg_fair_enter */
    void *arg;
    /* the module's own */
    h2o_linklist_t link;
    struct tg_fair_flow *flow; /* NULL unless it waits */
} tg_fair_item_t;

typedef struct tg_fair tg_fair_t;

/* At most `max_limit` on their way; `slack_us` as in tg_pace_init. NULL when out of memory. */
tg_fair_t *tg_fair_create(size_t max_waiting, uint32_t max_limit, uint64_t slack_us);
void tg_fair_destroy(tg_fair_t *fair); /* nothing may wait; NULL is allowed */

typedef enum tg_fair_entry {
    TG_FAIR_ENTERED, /* go at once; tg_fair_leave follows */
    TG_FAIR_WAITS,   /* `done` says how it ends */
    TG_FAIR_FULL,    /* refused */
} tg_fair_entry_t;
tg_fair_entry_t tg_fair_enter(tg_fair_t *fair, tg_fair_item_t *item);

/* The request is no longer on its way: lets others go. `failed`: see tg_pace_note. */
void tg_fair_leave(tg_fair_t *fair, const tg_fair_item_t *item, bool failed, uint64_t now_us,
                   uint64_t now_ms);

/* A request left, but how it ended says nothing of the upstream (its client went away). */
void tg_fair_forget(tg_fair_t *fair, uint64_t now_ms);

/* It waits and must not be told any more. */
void tg_fair_cancel(tg_fair_t *fair, tg_fair_item_t *item);

typedef struct tg_fair_stats {
    size_t waiting, flows;
    uint32_t in_flight, limit;
    uint64_t shrunk_total;
} tg_fair_stats_t;
void tg_fair_get_stats(const tg_fair_t *fair, tg_fair_stats_t *out_stats);

#endif
