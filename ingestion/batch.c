/* Many events.
 *
 *   handle -> split -> run: each item parsed, typed, encoded, looked up, produced
 *                       |-- a type that is not cached: on_type -> run, from the same item
 *                       `-- at the end: the last on_acknowledged -> finish
 *
 * The struct outlives a request that was given up: its records may be on their way. Exactly one
 * finish() ends each batch; it comes when nothing is left to do, to fetch or to be acknowledged. */
#include "ingestion/batch.h"

#include <stdio.h>
#include <stdlib.h>

#include "ingestion/envelope.h"
#include "ingestion/idset.h"
#include "ingestion/metrics.h"
#include "ingestion/record.h"
#include "ingestion/results.h"
#include "ingestion/split.h"

#define TEXTS_MAX   ((size_t)1 << 20) /* fields and messages of rejected items; then codes only */
#define ITEM_ANSWER ((size_t)256)     /* bytes of an item's answer besides those */
#define ITEMS_FIRST ((size_t)64)

const tg_param_t tg_batch_params[1] = {
    [TG_BATCH_PARAM_TYPE] = {.name = "type",
                             .type = TG_PARAM_STR,
                             .min = 1,
                             .max = TG_EVENT_TYPE_MAX},
};

struct batch;

struct item {
    struct batch *batch;
    tg_str_t text; /* in the request's body */
};

struct batch_type {
    char name[TG_EVENT_TYPE_MAX];
    size_t name_len;
    tg_event_type_t *type; /* owned reference */
    tg_status_t status;    /* TG_OK, or why there is no type; TG_FULL: not known yet */
};

struct batch {
    tg_ingestion_thread_t *thread;
    tg_http_req_t *req; /* NULL once the request was given up */
    tg_event_rules_t rules;
    tg_trace_t trace;
    tg_str_t flat_type; /* of ?type=; empty: items have envelopes */

    struct item *items;
    size_t count, capacity;
    tg_result_t *results;
    tg_buf_t texts;
    tg_idset_t *seen;
    struct batch_type types[TG_BATCH_TYPES_MAX];
    size_t type_count, type_last;

    size_t next; /* item to work on */
    size_t unacknowledged;
    bool waiting;         /* for a type */
    uint64_t produced_us; /* monotonic; 0 before the first record */
};

/* --- life --- */

static void batch_free(struct batch *batch)
{
    for (size_t i = 0; i < batch->type_count; i++)
        tg_event_type_unref(batch->types[i].type);
    tg_idset_destroy(batch->seen);
    tg_buf_dispose(&batch->texts);
    free(batch->results);
    free(batch->items);
    free(batch);
}

static void on_gone(void *user)
{
    struct batch *batch = user;
    assert(batch->req != NULL);
    batch->req = NULL; /* the callbacks that are due will free it */
}

static void count_outcome(struct batch *batch, const tg_results_summary_t *summary)
{
    tg_metrics_shard_t *shard = batch->thread->shard;
    tg_metric_add(shard, ING_EVENTS, ING_ACCEPTED, summary->accepted);
    tg_metric_add(shard, ING_EVENTS, ING_DUPLICATE, summary->duplicate);
    tg_metric_add(shard, ING_EVENTS, ING_REFUSED, summary->rejected);
    tg_metric_add(shard, ING_EVENTS, ING_LOST, summary->failed);
    tg_metric_observe(shard, ING_REQUEST_EVENTS, 0, (double)batch->next);
    if (batch->produced_us != 0)
        tg_metric_observe(shard, ING_PRODUCE_S, 0,
                          (double)(tg_time_mono_us() - batch->produced_us) * 1e-6);
}

static void answer(struct batch *batch, const tg_results_summary_t *summary)
{
    /* A byte of text becomes at most six in JSON. */
    tg_buf_t body = tg_buf_make((batch->count + 1) * ITEM_ANSWER + 6 * TEXTS_MAX);
    tg_results_write(batch->results, batch->count, summary, batch->texts.data, batch->rules.now,
                     &body);
    if (body.failed) {
        tg_buf_dispose(&body);
        tg_record_fail_503(batch->req, "overloaded");
        return;
    }
    int code = tg_results_http_code(summary);
    if (code == 503)
        tg_http_add_header(batch->req, "retry-after", TG_STR("1"));
    tg_http_reply_buf(batch->req, code, "application/json", &body);
}

/* The items from `next` on were never looked at when the request was given up. */
static void finish(struct batch *batch)
{
    assert(batch->unacknowledged == 0);
    assert(!batch->waiting);
    assert(batch->req == NULL || batch->next == batch->count);
    tg_results_summary_t summary = tg_results_settle(batch->results, batch->next);
    count_outcome(batch, &summary);
    if (batch->req != NULL)
        answer(batch, &summary);
    batch_free(batch);
}

/* --- an item's outcomes --- */

static void reject(struct batch *batch, const tg_event_error_t *error)
{
    tg_result_t *result = &batch->results[batch->next];
    size_t field_len = strlen(error->field), message_len = strlen(error->message);

    *result = (tg_result_t){.state = TG_RESULT_REJECTED, .code = error->code};
    tg_metric_add(batch->thread->shard, ING_REJECTED, tg_ingestion_reason_of_code(error->code), 1);
    size_t start = batch->texts.len;
    if (start + field_len + message_len > TEXTS_MAX)
        return;
    tg_buf_append(&batch->texts, error->field, field_len);
    tg_buf_append(&batch->texts, error->message, message_len);
    if (batch->texts.failed)
        return; /* out of memory: the code alone must do */
    result->text = (uint32_t)start;
    result->field_len = (uint16_t)field_len;
    result->message_len = (uint16_t)message_len;
}

static void reject_as(struct batch *batch, const char *code, const char *field, const char *message)
{
    tg_event_error_t error = {.code = code};
    (void)snprintf(error.field, sizeof(error.field), "%s", field);
    (void)snprintf(error.message, sizeof(error.message), "%s", message);
    reject(batch, &error);
}

static void lose(struct batch *batch, size_t index, const char *code)
{
    tg_result_t *result = &batch->results[index];
    assert(result->state == TG_RESULT_PENDING);
    result->state = TG_RESULT_FAILED;
    result->code = code;
}

static void on_acknowledged(void *arg, tg_status_t status)
{
    struct item *item = arg;
    struct batch *batch = item->batch;
    size_t index = (size_t)(item - batch->items);
    assert(index < batch->count);
    assert(batch->unacknowledged > 0);

    if (status == TG_OK)
        batch->results[index].state = TG_RESULT_ACCEPTED;
    else
        lose(batch, index, tg_record_failure(batch->thread, status));
    batch->unacknowledged--;
    if (batch->unacknowledged == 0 && !batch->waiting)
        finish(batch);
}

/* --- types --- */

static void run(struct batch *batch);

static struct batch_type *type_find(struct batch *batch, tg_str_t name)
{
    for (size_t n = 0; n < batch->type_count; n++) {
        size_t i = (batch->type_last + n) % batch->type_count;
        struct batch_type *type = &batch->types[i];
        if (tg_str_eq((tg_str_t){type->name, type->name_len}, name)) {
            batch->type_last = i;
            return type;
        }
    }
    return NULL;
}

static void on_type(void *arg, tg_status_t status, tg_event_type_t *type)
{
    struct batch *batch = arg;
    tg_ingestion_thread_t *thread = batch->thread;
    struct batch_type *waited = &batch->types[batch->type_last];
    assert(batch->waiting);
    assert(waited->status == TG_FULL);
    assert(thread->fetches > 0);
    thread->fetches--;
    tg_metric_add(thread->shard, ING_TYPE_FETCHES, tg_ingestion_fetch_result(status), 1);

    batch->waiting = false;
    waited->status = status;
    waited->type = type;
    if (batch->req != NULL)
        run(batch);
    else if (batch->unacknowledged == 0)
        finish(batch);
}

/* Adds a type that was not met in this request before. */
static struct batch_type *type_add(struct batch *batch, tg_str_t name)
{
    tg_ingestion_thread_t *thread = batch->thread;
    assert(batch->type_count < TG_BATCH_TYPES_MAX);
    batch->type_last = batch->type_count++;
    struct batch_type *type = &batch->types[batch->type_last];
    memcpy(type->name, name.ptr, name.len);
    type->name_len = name.len;
    type->status = TG_OK;
    type->type = tg_registry_type_cached(thread->registry, batch->rules.tenant, name);
    if (type->type != NULL)
        return type;
    if (tg_registry_type_fetch(thread->registry, batch->rules.tenant, name, thread->loop, on_type,
                               batch) != TG_OK) {
        type->status = TG_UNAVAILABLE;
        return type;
    }
    thread->fetches++;
    type->status = TG_FULL;
    batch->waiting = true;
    return type;
}

/* The type of the item at hand, or NULL when the item was decided or must wait. */
static const struct batch_type *type_of_item(struct batch *batch, tg_str_t name)
{
    const struct batch_type *type = type_find(batch, name);
    if (type == NULL && !tg_event_type_name_ok(name)) {
        reject_as(batch, "unknown_type", "type",
                  "There is no event type of this name: it must match [a-z][a-z0-9_]{0,62}.");
        return NULL;
    }
    if (type == NULL && batch->type_count == TG_BATCH_TYPES_MAX) {
        reject_as(batch, "too_many_types", "type",
                  "A request may hold events of 64 different types.");
        return NULL;
    }
    if (type == NULL)
        type = type_add(batch, name);
    if (type->status == TG_OK)
        return type;
    if (type->status == TG_NOT_FOUND) {
        reject_as(batch, "unknown_type", "type",
                  "There is no event type of this name; register its schema first.");
    } else if (type->status != TG_FULL) {
        tg_metric_add(batch->thread->shard, ING_FAILED, tg_ingestion_reason_registry(), 1);
        lose(batch, batch->next, "registry_unavailable");
    }
    return NULL;
}

/* --- the way of an item --- */

static void produce(struct batch *batch, const tg_event_t *event)
{
    size_t index = batch->next;
    tg_result_t *result = &batch->results[index];
    const tg_identity_t identity = {event->id, event->occurred_at, (uint32_t)batch->type_last};

    result->id = event->id;
    uint32_t original = tg_idset_add(batch->seen, &identity, (uint32_t)index);
    if (original != TG_IDSET_NONE) {
        result->state = TG_RESULT_DUPLICATE;
        result->original = original;
        return;
    }
    if (batch->produced_us == 0)
        batch->produced_us = tg_time_mono_us();
    tg_status_t status = tg_record_produce(batch->thread, event, &batch->trace, on_acknowledged,
                                           &batch->items[index]);
    if (status == TG_OK)
        batch->unacknowledged++;
    else
        lose(batch, index, tg_record_failure(batch->thread, status));
}

static void encode(struct batch *batch, const struct batch_type *type, const tg_json_node_t *nodes,
                   size_t at)
{
    tg_event_error_t error;
    tg_event_t event;
    batch->rules.index = batch->next;
    tg_status_t status =
        tg_record_encode(batch->thread, type->type, &batch->rules, nodes, at, &event, &error);
    if (status == TG_OK) {
        produce(batch, &event);
    } else if (status == TG_INVALID || status == TG_TOO_LARGE) {
        if (at != 0)
            tg_envelope_prefix(&error);
        reject(batch, &error);
    } else {
        lose(batch, batch->next, tg_record_failure(batch->thread, TG_FULL));
    }
}

/* One item to its decision, or to the wait for its type. */
static void step(struct batch *batch)
{
    const tg_json_node_t *nodes = NULL;
    tg_event_error_t error;
    tg_envelope_t envelope = {.type = batch->flat_type, .data = 0};

    if (tg_record_parse(batch->thread, batch->items[batch->next].text, &nodes, &error) != TG_OK ||
        (batch->flat_type.len == 0 && tg_envelope_read(nodes, &envelope, &error) != TG_OK)) {
        reject(batch, &error);
        return;
    }
    const struct batch_type *type = type_of_item(batch, envelope.type);
    if (type != NULL)
        encode(batch, type, nodes, envelope.data);
}

static void run(struct batch *batch)
{
    assert(batch->req != NULL);
    while (batch->next < batch->count) {
        step(batch);
        if (batch->waiting)
            return; /* on_type comes back to the same item */
        batch->next++;
    }
    if (batch->unacknowledged == 0)
        finish(batch);
}

/* --- the start of a batch --- */

static tg_status_t on_item(void *arg, tg_str_t text)
{
    struct batch *batch = arg;
    if (batch->count == batch->thread->config->request_max_events)
        return TG_TOO_LARGE;
    if (batch->count == batch->capacity) {
        size_t capacity = batch->capacity == 0 ? ITEMS_FIRST : 2 * batch->capacity;
        struct item *items = realloc(batch->items, capacity * sizeof(*items));
        if (items == NULL)
            return TG_NOMEM;
        batch->items = items;
        batch->capacity = capacity;
    }
    batch->items[batch->count++] = (struct item){batch, text};
    return TG_OK;
}

/* Cuts the body into items. On failure the request was answered. */
static tg_status_t split(struct batch *batch, bool lines)
{
    tg_http_req_t *req = batch->req;
    tg_error_t error = {.status = TG_OK};
    tg_status_t status = lines ? tg_split_lines(tg_http_body(req), on_item, batch)
                               : tg_split_array(tg_http_body(req), on_item, batch, &error);
    if (status == TG_INVALID)
        tg_http_fail(req, 400, "invalid_json", TG_STR(""),
                     "The body must be a JSON array of events: %s.", error.text);
    else if (status == TG_TOO_LARGE)
        tg_http_fail(req, 413, "too_many_events", TG_STR(""),
                     "A request may hold at most %llu events; send them in several.",
                     (unsigned long long)batch->thread->config->request_max_events);
    else if (status != TG_OK)
        tg_record_fail_503(req, "overloaded");
    else if (batch->count == 0)
        tg_http_fail(req, 400, "empty_request", TG_STR(""), "The body holds no event.");
    return status == TG_OK && batch->count == 0 ? TG_INVALID : status;
}

static bool budget_has_room(const tg_ingestion_thread_t *thread, size_t bytes)
{
    tg_producer_stats_t stats;
    tg_producer_get_stats(thread->producer, &stats);
    return stats.inflight_bytes == 0 ||
           stats.inflight_bytes + bytes <= thread->config->kafka_max_inflight;
}

/* Memory for the items' results. On failure the request was answered. */
static tg_status_t prepare(struct batch *batch)
{
    batch->results = calloc(batch->count, sizeof(*batch->results));
    batch->seen = tg_idset_create(batch->count);
    batch->texts = tg_buf_make(TEXTS_MAX);
    bool room = budget_has_room(batch->thread, tg_http_body(batch->req).len);
    if (batch->results != NULL && batch->seen != NULL && room)
        return TG_OK;
    tg_metric_add(batch->thread->shard, ING_EVENTS, ING_LOST, batch->count);
    (void)tg_record_failure(batch->thread, TG_FULL);
    tg_record_fail_503(batch->req, "overloaded");
    return TG_FULL;
}

static struct batch *batch_create(tg_ingestion_thread_t *thread, tg_http_req_t *req,
                                  const tg_event_rules_t *rules)
{
    struct batch *batch = calloc(1, sizeof(*batch));
    if (batch == NULL) {
        tg_record_fail_503(req, "overloaded");
        return NULL;
    }
    batch->thread = thread;
    batch->req = req;
    batch->rules = *rules;
    batch->trace = *tg_http_trace(req);
    const tg_param_value_t *type = tg_http_param(req, TG_BATCH_PARAM_TYPE);
    if (type->present)
        batch->flat_type = type->text;
    return batch;
}

void tg_batch_handle(tg_http_req_t *req, void *thread_ctx)
{
    static const char *const media_types[] = {"application/json", "application/x-ndjson", NULL};
    tg_ingestion_thread_t *thread = thread_ctx;
    tg_event_rules_t rules;
    size_t media = 0;
    if (!tg_record_media_type(req, media_types, &media) ||
        tg_record_rules(thread, req, &rules) != TG_OK)
        return;
    struct batch *batch = batch_create(thread, req, &rules);
    if (batch == NULL)
        return;
    if (split(batch, media == 1) != TG_OK || prepare(batch) != TG_OK) {
        batch_free(batch);
        return;
    }
    tg_http_set_user(req, batch, on_gone);
    run(batch);
}
