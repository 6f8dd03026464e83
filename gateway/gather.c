/* add -> (waiting) -> launch: one call for all that fit -> on_answer: an outcome for each. */
#include "gateway/gather.h"

#include <h2o.h>
#include <stdlib.h>

#include "common/http/server.h"
#include "gateway/metrics.h"

/* A bundle on its way. A slot is NULL once its item was cancelled. */
struct flight {
    h2o_linklist_t link;
    tg_gather_t *gather;
    tg_http_call_t *call;
    tg_buf_t body;
    size_t count;
    tg_gather_item_t *items[TG_BUNDLE_EVENTS_MAX];
};

struct tg_gather {
    tg_loop_t *loop;
    tg_gather_config_t config;
    h2o_linklist_t waiting; /* oldest first */
    h2o_linklist_t flights;
    size_t waiting_count, flight_count;
    tg_timer_t timer;
};

static void launch(tg_gather_t *gather);

static void flight_free(struct flight *flight)
{
    h2o_linklist_unlink(&flight->link);
    flight->gather->flight_count--;
    tg_buf_dispose(&flight->body);
    free(flight);
}

/* --- when --- */

static void on_timer(void *arg)
{
    launch(arg);
}

static tg_gather_item_t *oldest(const tg_gather_t *gather)
{
    return H2O_STRUCT_FROM_MEMBER(tg_gather_item_t, link, gather->waiting.next);
}

static void schedule(tg_gather_t *gather)
{
    uint64_t wait = 0;
    tg_timer_stop(&gather->timer);
    if (gather->waiting_count == 0)
        return;
    if (gather->flight_count >= gather->config.inflight) {
        uint64_t held = tg_loop_now_ms(gather->loop) - oldest(gather)->since_ms;
        wait = held < gather->config.linger_ms ? gather->config.linger_ms - held : 0;
    }
    tg_timer_start(gather->loop, &gather->timer, wait, on_timer, gather);
}

/* --- the end of a bundle --- */

static void tell(struct flight *flight, size_t index, tg_status_t status,
                 const tg_bundle_outcome_t *outcome)
{
    tg_gather_item_t *item = flight->items[index];
    if (item == NULL)
        return;
    flight->items[index] = NULL;
    item->slot = NULL;
    item->done(item->arg, status, outcome);
}

/* Each event is told its outcome; those that the answer has none for, that it cannot be read. */
static void tell_outcomes(struct flight *flight, tg_str_t answer)
{
    tg_bundle_outcome_t outcome;
    size_t told = 0;
    while (told < flight->count && answer.len > 0 &&
           tg_bundle_take_outcome(&answer, &outcome) == TG_OK)
        tell(flight, told++, TG_OK, &outcome);
    for (; told < flight->count; told++)
        tell(flight, told, TG_INTERNAL, NULL);
}

/* Ingestion answers 200, or what its server shell says before its handler runs or in its stead. */
static tg_status_t status_of(int code)
{
    if (code == 200)
        return TG_OK;
    if (code == 503)
        return TG_FULL;
    return code == 504 ? TG_TIMEOUT : TG_INTERNAL;
}

static void on_answer(void *arg, tg_status_t status, const tg_http_response_t *response)
{
    struct flight *flight = arg;
    tg_gather_t *gather = flight->gather;
    flight->call = NULL;
    if (status == TG_OK)
        status = status_of(response->code);
    if (status == TG_OK) {
        tell_outcomes(flight, response->body);
    } else {
        for (size_t i = 0; i < flight->count; i++)
            tell(flight, i, status, NULL);
    }
    flight_free(flight);
    if (gather->waiting_count > 0)
        launch(gather);
}

/* --- the start of a bundle --- */

/* Moves what fits from the waiting list into the bundle; returns the latest deadline. */
static uint64_t fill(tg_gather_t *gather, struct flight *flight)
{
    uint64_t deadline = 0;
    while (gather->waiting_count > 0 && flight->count < TG_BUNDLE_EVENTS_MAX) {
        tg_gather_item_t *item = oldest(gather);
        if (flight->body.len + tg_bundle_event_size(&item->event) > flight->body.max)
            break;
        tg_bundle_put_event(&item->event, &flight->body);
        h2o_linklist_unlink(&item->link);
        gather->waiting_count--;
        item->slot = &flight->items[flight->count];
        flight->items[flight->count++] = item;
        deadline = item->deadline_at_ms > deadline ? item->deadline_at_ms : deadline;
    }
    return deadline;
}

static void call(struct flight *flight, uint64_t deadline_at_ms)
{
    tg_gather_t *gather = flight->gather;
    const tg_http_header_t headers[] = {
        {TG_STR("x-tidegate-secret"), gather->config.secret},
        {TG_STR("content-type"), TG_STR(TG_BUNDLE_MEDIA_TYPE)},
    };
    const tg_http_request_t request = {
        .method = TG_STR("POST"),
        .target = TG_STR(TG_BUNDLE_PATH),
        .headers = headers,
        .header_count = TG_ARRAY_LEN(headers),
        .body = tg_buf_view(&flight->body),
        .deadline_at_ms = deadline_at_ms,
        .deadline_name = TG_STR(TG_HTTP_DEADLINE_HEADER),
    };
    flight->call = tg_http_client_call(gather->config.client, &request, on_answer, flight);
}

/* One bundle of what waits. Without memory the events are told so, one and all. */
static void launch(tg_gather_t *gather)
{
    assert(gather->waiting_count > 0);
    struct flight *flight = calloc(1, sizeof(*flight));
    if (flight == NULL) {
        tg_timer_start(gather->loop, &gather->timer, gather->config.linger_ms + 1, on_timer,
                       gather); /* the events' own deadlines bound how often */
        return;
    }
    flight->gather = gather;
    flight->body = tg_buf_make(TG_BUNDLE_BYTES_MAX);
    h2o_linklist_insert(&gather->flights, &flight->link);
    gather->flight_count++;
    uint64_t deadline = fill(gather, flight);
    tg_metric_observe(gather->config.shard, GW_BUNDLE_EVENTS, 0, (double)flight->count);
    if (!flight->body.failed)
        call(flight, deadline);
    if (flight->call == NULL)
        on_answer(flight, TG_FULL, NULL);
    else
        schedule(gather);
}

/* --- the callers' side --- */

tg_gather_t *tg_gather_open(tg_loop_t *loop, const tg_gather_config_t *config)
{
    assert(loop != NULL && config->client != NULL);
    assert(config->inflight > 0);
    tg_gather_t *gather = calloc(1, sizeof(*gather));
    if (gather == NULL)
        return NULL;
    gather->loop = loop;
    gather->config = *config;
    h2o_linklist_init_anchor(&gather->waiting);
    h2o_linklist_init_anchor(&gather->flights);
    return gather;
}

void tg_gather_close(tg_gather_t *gather)
{
    if (gather == NULL)
        return;
    assert(gather->waiting_count == 0);
    tg_timer_stop(&gather->timer);
    /* bundles that nobody waits for any more */
    for (h2o_linklist_t *at = gather->flights.next, *next; at != &gather->flights; at = next) {
        struct flight *flight = H2O_STRUCT_FROM_MEMBER(struct flight, link, at);
        next = at->next;
        tg_http_call_cancel(flight->call);
        flight_free(flight);
    }
    free(gather);
}

void tg_gather_add(tg_gather_t *gather, tg_gather_item_t *item)
{
    assert(item->done != NULL);
    assert(item->event.body.len <= TG_BUNDLE_BODY_MAX);
    item->slot = NULL;
    item->since_ms = tg_loop_now_ms(gather->loop);
    item->link = (h2o_linklist_t){0};
    h2o_linklist_insert(&gather->waiting, &item->link);
    if (gather->waiting_count++ == 0)
        schedule(gather);
}

void tg_gather_cancel(tg_gather_t *gather, tg_gather_item_t *item)
{
    if (item->slot != NULL) {
        *item->slot = NULL;
        return;
    }
    h2o_linklist_unlink(&item->link);
    gather->waiting_count--;
    schedule(gather);
}

size_t tg_gather_waiting(const tg_gather_t *gather)
{
    return gather->waiting_count;
}
