/* A flow is what a tenant has waiting in one band; it lives as long as something waits. Flows with
 * a turn to come stand in a ring for each band, and all of them in a table by tenant. */
#include "gateway/overload/fair.h"

#include <assert.h>
#include <h2o/memory.h>
#include <stdlib.h>

#include "common/base/time.h"

#define BUCKETS     1024 /* of the table; a power of two */
#define LEAST_LIMIT 4
#define TURN        100 /* weight, a plan's default: one request of cost 1 in a turn, not a burst */
#define FRESH_US    ((uint64_t)(5 * TG_US_PER_MS))
#define FAR_LONGER  4

struct tg_fair_flow {
    h2o_linklist_t items;
    h2o_linklist_t turn;       /* in its band's ring */
    struct tg_fair_flow *next; /* in its bucket */
    uint32_t tenant, weight;
    tg_fair_band_t band;
    uint64_t cost; /* of all its items */
    uint64_t deficit;
    bool begun; /* its turn has been given its weight */
};

struct tg_fair {
    tg_pace_t pace;
    size_t max_waiting, waiting, flows;
    uint32_t in_flight;
    bool letting_go; /* a callback may enter, leave and cancel others */
    h2o_linklist_t rings[TG_BAND_COUNT];
    struct tg_fair_flow *table[BUCKETS];
};

tg_fair_t *tg_fair_create(size_t max_waiting, uint32_t max_limit, uint64_t slack_us)
{
    tg_fair_t *fair = calloc(1, sizeof(*fair));
    if (fair == NULL)
        return NULL;
    fair->max_waiting = max_waiting;
    tg_pace_init(&fair->pace, LEAST_LIMIT, max_limit, slack_us, tg_time_mono_us());
    for (size_t i = 0; i < TG_BAND_COUNT; i++)
        h2o_linklist_init_anchor(&fair->rings[i]);
    return fair;
}

void tg_fair_destroy(tg_fair_t *fair)
{
    assert(fair == NULL || fair->waiting == 0);
    free(fair);
}

/* --- flows --- */

static struct tg_fair_flow **bucket_of(tg_fair_t *fair, uint32_t tenant)
{
    return &fair->table[(tenant * UINT32_C(2654435761)) >> 22];
}

_Static_assert(BUCKETS == 1 << 10, "the hash above has ten bits");

static struct tg_fair_flow *find_flow(tg_fair_t *fair, uint32_t tenant, tg_fair_band_t band)
{
    struct tg_fair_flow *flow = *bucket_of(fair, tenant);
    while (flow != NULL && (flow->tenant != tenant || flow->band != band))
        flow = flow->next;
    return flow;
}

static struct tg_fair_flow *make_flow(tg_fair_t *fair, const tg_fair_item_t *item)
{
    struct tg_fair_flow *flow = calloc(1, sizeof(*flow));
    if (flow == NULL)
        return NULL;
    struct tg_fair_flow **bucket = bucket_of(fair, item->tenant);
    flow->tenant = item->tenant;
    flow->weight = item->weight;
    flow->band = item->band;
    flow->next = *bucket;
    *bucket = flow;
    h2o_linklist_init_anchor(&flow->items);
    h2o_linklist_insert(&fair->rings[item->band], &flow->turn);
    fair->flows++;
    return flow;
}

static void free_flow(tg_fair_t *fair, struct tg_fair_flow *flow)
{
    struct tg_fair_flow **at = bucket_of(fair, flow->tenant);
    while (*at != flow)
        at = &(*at)->next;
    *at = flow->next;
    h2o_linklist_unlink(&flow->turn);
    fair->flows--;
    free(flow);
}

static tg_fair_item_t *item_of(h2o_linklist_t *link)
{
    return H2O_STRUCT_FROM_MEMBER(tg_fair_item_t, link, link);
}

/* Takes the item out of its flow, which ends with its last one. */
static void take_out(tg_fair_t *fair, tg_fair_item_t *item)
{
    struct tg_fair_flow *flow = item->flow;
    h2o_linklist_unlink(&item->link);
    item->flow = NULL;
    flow->cost -= item->cost;
    fair->waiting--;
    if (h2o_linklist_is_empty(&flow->items))
        free_flow(fair, flow);
}

/* --- turns --- */

static void end_turn(tg_fair_t *fair, struct tg_fair_flow *flow)
{
    flow->begun = false;
    h2o_linklist_unlink(&flow->turn);
    h2o_linklist_insert(&fair->rings[flow->band], &flow->turn);
}

static struct tg_fair_flow *flow_of(h2o_linklist_t *turn)
{
    return H2O_STRUCT_FROM_MEMBER(struct tg_fair_flow, turn, turn);
}

/* What the flow's first item takes of its weight. */
static uint64_t price_of(const struct tg_fair_flow *flow)
{
    return TURN * (uint64_t)item_of(flow->items.next)->cost;
}

/* Nobody's next turn is enough: gives all of them those that the nearest one needs before. */
static void skip_turns(h2o_linklist_t *ring)
{
    uint64_t least = UINT64_MAX;
    for (h2o_linklist_t *at = ring->next; at != ring; at = at->next) {
        const struct tg_fair_flow *flow = flow_of(at);
        assert(!flow->begun && price_of(flow) > flow->deficit);
        uint64_t turns = (price_of(flow) - flow->deficit - 1) / flow->weight;
        least = turns < least ? turns : least;
    }
    for (h2o_linklist_t *at = ring->next; at != ring; at = at->next)
        flow_of(at)->deficit += least * flow_of(at)->weight;
}

/* The next item in order, by deficit round robin; something waits. The ring is gone round twice at
 * most. */
static tg_fair_item_t *next_item(tg_fair_t *fair)
{
    h2o_linklist_t *ring = &fair->rings[TG_BAND_FIRST];
    if (h2o_linklist_is_empty(ring))
        ring = &fair->rings[TG_BAND_SECOND];
    for (size_t tried = 0;; tried++) {
        struct tg_fair_flow *flow = flow_of(ring->next);
        if (!flow->begun) {
            flow->begun = true;
            flow->deficit += flow->weight;
        }
        if (flow->deficit >= price_of(flow)) {
            flow->deficit -= price_of(flow);
            return item_of(flow->items.next);
        }
        end_turn(fair, flow);
        if (tried == fair->flows)
            skip_turns(ring);
    }
}

/* Lets go what may go. */
static void let_go(tg_fair_t *fair, uint64_t now_ms)
{
    if (fair->letting_go)
        return;
    fair->letting_go = true;
    while (fair->waiting > 0 && fair->in_flight < tg_pace_limit(&fair->pace)) {
        tg_fair_item_t *item = next_item(fair);
        bool late = item->deadline_ms <= now_ms;
        take_out(fair, item);
        if (!late) {
            fair->in_flight++;
            item->since_us = tg_time_mono_us();
        }
        item->done(item->arg, late ? TG_FAIR_LATE : TG_FAIR_GO);
    }
    fair->letting_go = false;
}

/* --- when it is full --- */

static bool is_longer(const struct tg_fair_flow *flow, const struct tg_fair_flow *than)
{
    if (than == NULL || flow->band != than->band)
        return than == NULL || flow->band > than->band;
    return flow->cost * than->weight > than->cost * flow->weight;
}

/* The flow that has most waiting for its weight, the second band before the first. */
static struct tg_fair_flow *longest(const tg_fair_t *fair)
{
    struct tg_fair_flow *most = NULL;
    for (size_t i = 0; i < TG_BAND_COUNT; i++) {
        const h2o_linklist_t *ring = &fair->rings[i];
        for (h2o_linklist_t *at = ring->next; at != ring; at = at->next) {
            struct tg_fair_flow *flow = flow_of(at);
            if (is_longer(flow, most))
                most = flow;
        }
    }
    return most;
}

/* Whether `newest`, of the longest flow, goes for an item with which its own flow would be `with`.
 * A refusal helps who gets it at once: what has waited is dropped only for a tenant with nothing or
 * with far less waiting. Under a load that all tenants share these are few. */
static bool may_drop(const tg_fair_item_t *newest, const struct tg_fair_flow *own,
                     const struct tg_fair_flow *with)
{
    const struct tg_fair_flow *flow = newest->flow;
    return own == NULL || flow->band != with->band ||
           tg_time_mono_us() - newest->since_us <= FRESH_US ||
           flow->cost * with->weight > FAR_LONGER * with->cost * flow->weight;
}

/* Makes room for the item by dropping somebody's newest; false when it is the item's own flow that
 * is the longest, or nearly so. */
static bool make_room(tg_fair_t *fair, const tg_fair_item_t *item)
{
    const struct tg_fair_flow *own = find_flow(fair, item->tenant, item->band);
    const struct tg_fair_flow with = {
        .cost = (own == NULL ? 0 : own->cost) + item->cost,
        .weight = item->weight,
        .band = item->band,
    };
    struct tg_fair_flow *flow = longest(fair);
    if (flow == NULL || flow == own || !is_longer(flow, &with))
        return false;
    tg_fair_item_t *newest = item_of(flow->items.prev);
    if (!may_drop(newest, own, &with))
        return false;
    take_out(fair, newest);
    newest->done(newest->arg, TG_FAIR_DROPPED);
    return true;
}

/* --- from outside --- */

tg_fair_entry_t tg_fair_enter(tg_fair_t *fair, tg_fair_item_t *item)
{
    assert(item->weight >= 1 && item->cost >= 1 && item->band < TG_BAND_COUNT);
    item->flow = NULL;
    if (fair->waiting == 0 && fair->in_flight < tg_pace_limit(&fair->pace)) {
        fair->in_flight++;
        return TG_FAIR_ENTERED;
    }
    if (fair->waiting >= fair->max_waiting && !make_room(fair, item))
        return TG_FAIR_FULL;
    struct tg_fair_flow *flow = find_flow(fair, item->tenant, item->band);
    if (flow == NULL)
        flow = make_flow(fair, item);
    if (flow == NULL)
        return TG_FAIR_FULL;
    item->flow = flow;
    flow->cost += item->cost;
    h2o_linklist_insert(&flow->items, &item->link);
    fair->waiting++;
    return TG_FAIR_WAITS;
}

void tg_fair_leave(tg_fair_t *fair, const tg_fair_item_t *item, bool failed, uint64_t now_us,
                   uint64_t now_ms)
{
    assert(fair->in_flight > 0);
    assert(now_us >= item->since_us);
    tg_pace_note(&fair->pace, now_us, now_us - item->since_us, fair->in_flight, failed);
    tg_fair_forget(fair, now_ms);
}

void tg_fair_forget(tg_fair_t *fair, uint64_t now_ms)
{
    assert(fair->in_flight > 0);
    fair->in_flight--;
    let_go(fair, now_ms);
}

void tg_fair_cancel(tg_fair_t *fair, tg_fair_item_t *item)
{
    assert(item->flow != NULL);
    take_out(fair, item);
}

void tg_fair_get_stats(const tg_fair_t *fair, tg_fair_stats_t *out_stats)
{
    *out_stats = (tg_fair_stats_t){
        .waiting = fair->waiting,
        .flows = fair->flows,
        .in_flight = fair->in_flight,
        .limit = tg_pace_limit(&fair->pace),
        .shrunk_total = fair->pace.shrunk_total,
    };
}
