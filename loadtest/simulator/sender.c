/* take -> add… -> send -> on_answer -> settle: what is left waits -> send again, or the parcel is
 * free. One pause for all: a gateway that says 429 or 503 to one request means every one of them.
 */
#include "loadtest/simulator/sender.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/time.h"
#include "common/observe/log.h"
#include "loadtest/simulator/answer.h"
#include "loadtest/simulator/metrics.h"
#include "loadtest/simulator/rng.h"

#define EVENT_MAX          (TG_GENERATOR_EVENT_MAX + 64) /* with its envelope */
#define ITEM_ANSWER        ((size_t)1024)                /* bytes of one item's answer, at most */
#define BACKOFF_MIN_MS     50
#define BACKOFF_MAX_MS     2000
#define RETRY_AFTER_MAX_MS 30000
#define CONNECT_MS         2000
#define IDLE_MS            30000
#define REASON_MAX         64

struct item {
    tg_sim_event_t event;
    uint32_t start, len;           /* its line in the body */
    uint32_t json_start, json_len; /* the event in it */
};

struct tg_parcel {
    tg_sender_t *sender;
    tg_parcel_t *next; /* in the free list or among those that wait */
    tg_buf_t body;
    struct item *items;
    size_t count;
    tg_http_call_t *call;
    uint64_t first_ms, sent_us;
    bool repeated;
};

struct tg_sender {
    tg_loop_t *loop;
    tg_sender_config_t config;
    tg_metrics_shard_t *shard;
    tg_ledger_t *ledger;
    tg_loop_fn settled;
    void *arg;
    tg_http_client_t *client;
    tg_json_parser_t *parser;
    tg_answer_item_t *answers;
    tg_parcel_t *parcels; /* config.inflight of them */
    tg_parcel_t *free;
    tg_parcel_t *waiting, **waiting_end; /* in the order of their failures */
    size_t inflight, waiting_events, taken;
    tg_timer_t pause;
    uint64_t paused_until_ms, backoff_ms;
    tg_rng_t jitter;
    bool failing, ledger_failed;
};

/* --- life --- */

static tg_status_t open_client(tg_sender_t *sender, tg_error_t *error)
{
    const tg_sender_config_t *config = &sender->config;
    const tg_http_client_config_t client = {
        .name = "gateway",
        .instances = config->gateway,
        .max_connections = config->inflight + 16,
        .max_waiting = 64,
        .max_body = config->batch * ITEM_ANSWER + (64 << 10),
        .connect_timeout_ms = CONNECT_MS,
        .idle_timeout_ms = IDLE_MS,
        /* It never opens: the pause does its work, and counts only what the gateway said. */
        .breaker = {1000000, 100, 1000000, 10000, 100, 100, 1000},
    };
    return tg_http_client_open(sender->loop, &client, &sender->client, error);
}

static tg_status_t make_parcels(tg_sender_t *sender)
{
    size_t count = sender->config.inflight, batch = sender->config.batch;
    sender->parcels = calloc(count, sizeof(*sender->parcels));
    sender->answers = calloc(batch, sizeof(*sender->answers));
    sender->parser = tg_json_parser_create(batch * ITEM_ANSWER + (64 << 10), 16);
    if (sender->parcels == NULL || sender->answers == NULL || sender->parser == NULL)
        return TG_NOMEM;
    for (size_t i = count; i-- > 0;) {
        tg_parcel_t *parcel = &sender->parcels[i];
        parcel->sender = sender;
        parcel->body = tg_buf_make(batch * EVENT_MAX);
        parcel->items = calloc(batch, sizeof(*parcel->items));
        if (parcel->items == NULL)
            return TG_NOMEM;
        parcel->next = sender->free;
        sender->free = parcel;
    }
    return TG_OK;
}

tg_status_t tg_sender_open(tg_loop_t *loop, const tg_sender_config_t *config,
                           tg_metrics_shard_t *shard, tg_ledger_t *ledger, tg_loop_fn settled,
                           void *arg, tg_sender_t **out_sender, tg_error_t *error)
{
    assert(config->batch >= 1 && config->batch <= TG_SENDER_BATCH_MAX);
    assert(config->inflight >= 1 && (!config->single || config->batch == 1));
    tg_sender_t *sender = calloc(1, sizeof(*sender));
    if (sender == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    sender->loop = loop;
    sender->config = *config;
    sender->shard = shard;
    sender->ledger = ledger;
    sender->settled = settled;
    sender->arg = arg;
    sender->waiting_end = &sender->waiting;
    tg_rng_seed(&sender->jitter, tg_time_mono_us());
    tg_status_t status = make_parcels(sender);
    if (status != TG_OK)
        (void)tg_error_set(error, status, "out of memory");
    else
        status = open_client(sender, error);
    if (status != TG_OK) {
        tg_sender_close(sender);
        return status;
    }
    *out_sender = sender;
    return TG_OK;
}

static void flush_ledger(tg_sender_t *sender)
{
    if (tg_ledger_flush(sender->ledger) == TG_OK || sender->ledger_failed)
        return;
    sender->ledger_failed = true;
    tg_log_error("ledger_failed", TG_F_TEXT("reason", strerror(errno)));
}

/* --- the ledger's view of an item --- */

static tg_ledger_entry_t entry_of(const tg_parcel_t *parcel, const struct item *item)
{
    const tg_sim_event_t *event = &item->event;
    return (tg_ledger_entry_t){
        .type = tg_str_from(tg_sim_type_names[event->type]),
        .kind = tg_str_from(event->kind),
        .entity = tg_str_from(event->entity),
        .occurred_at = event->occurred_at,
        .value = event->value,
        .has_value = event->has_value,
        .event = {parcel->body.data + item->json_start, item->json_len},
    };
}

static void acknowledge(tg_parcel_t *parcel, const struct item *item, tg_str_t event_id)
{
    tg_sender_t *sender = parcel->sender;
    tg_ledger_entry_t entry = entry_of(parcel, item);
    entry.event_id = event_id;
    tg_ledger_acknowledged(sender->ledger, &entry);
    tg_metric_add(sender->shard, SIM_ACKNOWLEDGED, item->event.type, 1);
}

static void fail(tg_parcel_t *parcel, const struct item *item, tg_ledger_outcome_t outcome,
                 tg_str_t reason)
{
    tg_sender_t *sender = parcel->sender;
    char text[REASON_MAX];
    tg_ledger_entry_t entry = entry_of(parcel, item);
    (void)snprintf(text, sizeof(text), "%.*s", (int)(reason.len < 60 ? reason.len : 60),
                   reason.len > 0 ? reason.ptr : "");
    tg_ledger_failed(sender->ledger, outcome, text, &entry);
    tg_metric_add(sender->shard, SIM_FAILED,
                  outcome == TG_LEDGER_GIVEN_UP ? SIM_GIVEN_UP : SIM_REFUSED, 1);
}

static void fail_all(tg_parcel_t *parcel, tg_ledger_outcome_t outcome, tg_str_t reason)
{
    for (size_t i = 0; i < parcel->count; i++)
        fail(parcel, &parcel->items[i], outcome, reason);
    tg_log_warn(outcome == TG_LEDGER_GIVEN_UP ? "events_given_up" : "events_refused",
                TG_F_STR("reason", reason), TG_F_INT("events", parcel->count));
    parcel->count = 0;
}

void tg_sender_close(tg_sender_t *sender)
{
    if (sender == NULL)
        return;
    tg_timer_stop(&sender->pause);
    for (size_t i = 0; sender->parcels != NULL && i < sender->config.inflight; i++) {
        tg_parcel_t *parcel = &sender->parcels[i];
        tg_http_call_cancel(parcel->call);
        if (parcel->count > 0)
            fail_all(parcel, TG_LEDGER_GIVEN_UP, TG_STR("stopped"));
        tg_buf_dispose(&parcel->body);
        free(parcel->items);
    }
    if (sender->ledger != NULL)
        flush_ledger(sender);
    tg_http_client_close(sender->client);
    tg_json_parser_destroy(sender->parser);
    free(sender->answers);
    free(sender->parcels);
    free(sender);
}

/* --- filling --- */

static bool is_paused(const tg_sender_t *sender)
{
    return tg_loop_now_ms(sender->loop) < sender->paused_until_ms;
}

tg_parcel_t *tg_sender_take(tg_sender_t *sender)
{
    if (is_paused(sender) || sender->waiting != NULL || sender->free == NULL)
        return NULL;
    tg_parcel_t *parcel = sender->free;
    sender->free = parcel->next;
    sender->taken++;
    assert(parcel->count == 0 && parcel->call == NULL);
    tg_buf_clear(&parcel->body);
    parcel->repeated = false;
    return parcel;
}

bool tg_parcel_is_full(const tg_parcel_t *parcel)
{
    return parcel->count == parcel->sender->config.batch;
}

void tg_parcel_add(tg_parcel_t *parcel, tg_generator_t *generator)
{
    assert(!tg_parcel_is_full(parcel));
    tg_sender_t *sender = parcel->sender;
    tg_buf_t *body = &parcel->body;
    struct item *item = &parcel->items[parcel->count++];
    size_t start = body->len;

    if (!sender->config.single) {
        tg_buf_str(body, TG_STR("{\"type\":\""));
        tg_buf_str(body, tg_str_from(tg_sim_type_names[tg_generator_next_type(generator)]));
        tg_buf_str(body, TG_STR("\",\"data\":"));
    }
    size_t json_start = body->len;
    tg_generator_next(generator, body, &item->event);
    size_t json_len = body->len - json_start;
    if (!sender->config.single)
        tg_buf_str(body, TG_STR("}\n"));
    assert(!body->failed);
    item->start = (uint32_t)start;
    item->len = (uint32_t)(body->len - start);
    item->json_start = (uint32_t)json_start;
    item->json_len = (uint32_t)json_len;
    tg_metric_add(sender->shard, SIM_PRODUCED, item->event.type, 1);
}

/* --- sending --- */

static void on_answer(void *arg, tg_status_t status, const tg_http_response_t *response);

static tg_http_call_t *post(tg_sender_t *sender, tg_str_t target, tg_str_t content_type,
                            tg_str_t body, uint64_t deadline_at_ms, tg_http_done_fn done, void *arg)
{
    const tg_http_header_t headers[] = {
        {TG_STR("x-api-key"), tg_str_from(sender->config.key)},
        {TG_STR("content-type"), content_type},
    };
    const tg_http_request_t request = {
        .method = TG_STR("POST"),
        .target = target,
        .headers = headers,
        .header_count = TG_ARRAY_LEN(headers),
        .body = body,
        .deadline_at_ms = deadline_at_ms,
        .idempotent = true, /* every event has an id or is named by its content */
    };
    return tg_http_client_call(sender->client, &request, done, arg);
}

tg_http_call_t *tg_sender_post(tg_sender_t *sender, tg_str_t type, tg_str_t body,
                               uint64_t deadline_at_ms, tg_http_done_fn done, void *arg)
{
    char target[128];
    int len = snprintf(target, sizeof(target), "/v1/events/" TG_STR_FMT, TG_STR_ARG(type));
    assert(len > 0 && (size_t)len < sizeof(target));
    return post(sender, (tg_str_t){target, (size_t)len}, TG_STR("application/json"), body,
                deadline_at_ms, done, arg);
}

static void wait_again(tg_parcel_t *parcel)
{
    tg_sender_t *sender = parcel->sender;
    parcel->next = NULL;
    *sender->waiting_end = parcel;
    sender->waiting_end = &parcel->next;
    sender->waiting_events += parcel->count;
}

static void launch(tg_parcel_t *parcel)
{
    tg_sender_t *sender = parcel->sender;
    assert(parcel->call == NULL && parcel->count > 0);
    uint64_t deadline = tg_loop_now_ms(sender->loop) + sender->config.deadline_ms;
    tg_str_t body = tg_buf_view(&parcel->body);
    if (sender->config.single)
        parcel->call =
            tg_sender_post(sender, tg_str_from(tg_sim_type_names[parcel->items[0].event.type]),
                           body, deadline, on_answer, parcel);
    else
        parcel->call = post(sender, TG_STR("/v2/events"), TG_STR("application/x-ndjson"), body,
                            deadline, on_answer, parcel);
    assert(parcel->call != NULL); /* a few KiB: without them nothing here can go on */
    parcel->sent_us = tg_time_mono_us();
    tg_metric_add(sender->shard, SIM_RETRIES, 0, parcel->repeated ? 1 : 0);
    sender->inflight++;
}

void tg_sender_send(tg_sender_t *sender, tg_parcel_t *parcel)
{
    assert(parcel->sender == sender && parcel->count > 0);
    assert(sender->taken > 0);
    sender->taken--;
    parcel->first_ms = tg_loop_now_ms(sender->loop);
    launch(parcel);
}

/* --- pushing back --- */

static void on_pause_over(void *arg)
{
    tg_sender_t *sender = arg;
    assert(!is_paused(sender));
    tg_parcel_t *parcel = sender->waiting;
    sender->waiting = NULL;
    sender->waiting_end = &sender->waiting;
    sender->waiting_events = 0;
    while (parcel != NULL) {
        tg_parcel_t *next = parcel->next;
        parcel->repeated = true;
        launch(parcel);
        parcel = next;
    }
    sender->settled(sender->arg);
}

/* Everything waits for as long as was asked, or longer each time. Answers to what was sent before
 * the pause change it only if they ask for more. */
static void push_back(tg_sender_t *sender, uint64_t asked_ms)
{
    uint64_t now = tg_loop_now_ms(sender->loop), wait = asked_ms;
    if (asked_ms == 0 && is_paused(sender))
        return;
    if (asked_ms == 0) {
        sender->backoff_ms = sender->backoff_ms == 0 ? BACKOFF_MIN_MS : 2 * sender->backoff_ms;
        if (sender->backoff_ms > BACKOFF_MAX_MS)
            sender->backoff_ms = BACKOFF_MAX_MS;
        wait = sender->backoff_ms;
    }
    if (wait > RETRY_AFTER_MAX_MS)
        wait = RETRY_AFTER_MAX_MS;
    wait += tg_rng_below(&sender->jitter, (uint32_t)(wait / 4 + 1));
    if (now + wait <= sender->paused_until_ms)
        return;
    sender->paused_until_ms = now + wait;
    tg_timer_start(sender->loop, &sender->pause, wait, on_pause_over, sender);
}

/* --- answers --- */

/* What is left of the parcel moves to its front, byte for byte. */
static void keep_failed(tg_parcel_t *parcel, const tg_answer_item_t *answers)
{
    size_t kept = 0, len = 0;
    for (size_t i = 0; i < parcel->count; i++) {
        struct item item = parcel->items[i];
        if (answers[i].state != TG_ANSWER_FAILED)
            continue;
        memmove(parcel->body.data + len, parcel->body.data + item.start, item.len);
        item.json_start = (uint32_t)(len + (item.json_start - item.start));
        item.start = (uint32_t)len;
        len += item.len;
        parcel->items[kept++] = item;
    }
    parcel->count = kept;
    parcel->body.len = len;
}

static void take_items(tg_parcel_t *parcel, const tg_answer_item_t *answers)
{
    for (size_t i = 0; i < parcel->count; i++) {
        const tg_answer_item_t *answer = &answers[i];
        if (answer->state == TG_ANSWER_ACCEPTED)
            acknowledge(parcel, &parcel->items[i], answer->event_id);
        else if (answer->state == TG_ANSWER_DUPLICATE)
            tg_metric_add(parcel->sender->shard, SIM_FAILED, SIM_DUPLICATE, 1);
        else if (answer->state == TG_ANSWER_REJECTED)
            fail(parcel, &parcel->items[i], TG_LEDGER_REFUSED, answer->code);
    }
    keep_failed(parcel, answers);
}

/* The order of the labels of SIM_REQUESTS. */
enum result { OK, PARTIAL, LIMITED, UNAVAILABLE, TRANSPORT, MALFORMED, REFUSED };

static enum result result_of_code(int code)
{
    if (code == 202)
        return OK;
    if (code == 429)
        return LIMITED;
    if (code == 401 || code == 403 || code == 408 || code >= 500)
        return UNAVAILABLE;
    return REFUSED;
}

static enum result take_good(tg_parcel_t *parcel, tg_str_t body)
{
    tg_sender_t *sender = parcel->sender;
    tg_status_t status =
        sender->config.single
            ? tg_answer_parse_single(sender->parser, body, sender->answers)
            : tg_answer_parse_batch(sender->parser, body, parcel->count, sender->answers);
    if (status != TG_OK)
        return MALFORMED;
    take_items(parcel, sender->answers);
    return parcel->count == 0 ? OK : PARTIAL;
}

/* A request that is refused as a whole: 422 of a batch tells why for each. */
static void take_refusal(tg_parcel_t *parcel, const tg_http_response_t *response)
{
    tg_sender_t *sender = parcel->sender;
    if (response->code == 422 && !sender->config.single &&
        tg_answer_parse_batch(sender->parser, response->body, parcel->count, sender->answers) ==
            TG_OK) {
        take_items(parcel, sender->answers);
        return;
    }
    char text[REASON_MAX];
    tg_str_t code = tg_answer_error_code(sender->parser, response->body);
    (void)snprintf(text, sizeof(text), "http_%d", response->code);
    fail_all(parcel, TG_LEDGER_REFUSED, code.len > 0 ? code : tg_str_from(text));
}

static uint64_t retry_after_ms(const tg_http_response_t *response)
{
    uint64_t seconds = 0;
    if (response == NULL ||
        tg_str_to_u64(tg_http_response_header(response, "retry-after"), &seconds) != TG_OK)
        return 0;
    return seconds > RETRY_AFTER_MAX_MS / 1000 ? RETRY_AFTER_MAX_MS : seconds * 1000;
}

/* Frees the parcel, gives it up, or lets it wait. */
static void settle(tg_parcel_t *parcel, enum result result)
{
    static const char *const reasons[] = {
        [PARTIAL] = "failed",      [LIMITED] = "rate_limited",       [UNAVAILABLE] = "unavailable",
        [TRANSPORT] = "no_answer", [MALFORMED] = "malformed_answer", [OK] = "",
        [REFUSED] = "failed"};
    tg_sender_t *sender = parcel->sender;
    uint64_t age = tg_loop_now_ms(sender->loop) - parcel->first_ms;
    if (parcel->count > 0 && age >= sender->config.give_up_ms)
        fail_all(parcel, TG_LEDGER_GIVEN_UP, tg_str_from(reasons[result]));
    if (parcel->count > 0) {
        wait_again(parcel);
        return;
    }
    parcel->next = sender->free;
    sender->free = parcel;
}

static void on_answer(void *arg, tg_status_t status, const tg_http_response_t *response)
{
    tg_parcel_t *parcel = arg;
    tg_sender_t *sender = parcel->sender;
    assert(parcel->call != NULL && sender->inflight > 0);
    parcel->call = NULL;
    sender->inflight--;
    enum result result = status == TG_OK ? result_of_code(response->code) : TRANSPORT;
    if (result == OK)
        result = take_good(parcel, response->body);
    else if (result == REFUSED)
        take_refusal(parcel, response);
    tg_metric_add(sender->shard, SIM_REQUESTS, result, 1);
    tg_metric_observe(sender->shard, SIM_REQUEST_S, 0,
                      (double)(tg_time_mono_us() - parcel->sent_us) / 1e6);
    sender->failing = parcel->count > 0;
    if (sender->failing)
        push_back(sender, retry_after_ms(response));
    else
        sender->backoff_ms = 0;
    settle(parcel, result);
    flush_ledger(sender);
    sender->settled(sender->arg);
}

/* --- state --- */

bool tg_sender_is_idle(const tg_sender_t *sender)
{
    return sender->inflight == 0 && sender->waiting == NULL && sender->taken == 0;
}

tg_sender_state_t tg_sender_get_state(const tg_sender_t *sender)
{
    return (tg_sender_state_t){.failing = sender->failing,
                               .ledger_failed = sender->ledger_failed,
                               .inflight = sender->inflight,
                               .waiting_events = sender->waiting_events};
}
