/* Many events.
 *
 *   handle -> body -> split -> run: each item read, typed, encoded, looked up, produced
 *                               |-- a type that is not cached: on_fetched -> run, from the same
 * item
 *                               `-- at the end: the last on_acknowledged -> finish
 *
 * A strict request is run twice: first every item is checked and nothing produced, and only if all
 * are valid it is run again. By then all types are there, and they are the same.
 *
 * The struct outlives a request that was given up: its records may be on their way. Exactly one
 * finish() ends each batch; it comes when nothing is left to do, to fetch or to be acknowledged. */
#include "ingestion/batch/batch.h"

#include <stdio.h>
#include <stdlib.h>

#include "ingestion/batch/idset.h"
#include "ingestion/batch/results.h"
#include "ingestion/batch/types.h"
#include "ingestion/body/body.h"
#include "ingestion/body/item.h"
#include "ingestion/body/split.h"
#include "ingestion/metrics.h"
#include "ingestion/record/letter.h"
#include "ingestion/record/record.h"

#define TEXTS_MAX   ((size_t)1 << 20) /* fields and messages of refused items; then codes only */
#define ITEM_ANSWER ((size_t)256)     /* bytes of an item's answer besides those */
#define ITEMS_FIRST ((size_t)64)

const tg_param_t tg_batch_params[TG_BATCH_PARAM_COUNT] = {
    [TG_BATCH_PARAM_TYPE] = {.name = "type",
                             .type = TG_PARAM_STR,
                             .min = 1,
                             .max = TG_EVENT_TYPE_MAX},
    [TG_BATCH_PARAM_STRICT] = {.name = "strict", .type = TG_PARAM_BOOL},
    [TG_BATCH_PARAM_ON_INVALID] = {.name = "on_invalid",
                                   .type = TG_PARAM_ENUM,
                                   .allowed = "reject|dead_letter"},
};

struct batch;

struct slot {
    struct batch *batch;
    tg_str_t text; /* in the body */
};

struct batch {
    tg_ingestion_thread_t *thread;
    tg_http_req_t *req; /* NULL once the request was given up */
    tg_event_rules_t rules;
    tg_trace_t trace;
    tg_item_source_t source;
    bool strict, bury_invalid;

    tg_body_t body; /* until the last item was run */
    struct slot *slots;
    size_t count, capacity;
    tg_result_t *results;
    tg_buf_t texts;
    tg_idset_t *seen;
    tg_types_t *types;

    size_t next;   /* item to work on */
    bool checking; /* strict, first time */
    size_t refused;
    size_t unacknowledged;
    bool waiting;         /* for a type */
    uint64_t produced_us; /* monotonic; 0 before the first record */
};

/* --- life --- */

static void batch_free(struct batch *batch)
{
    tg_body_close(batch->thread, &batch->body);
    tg_types_destroy(batch->types);
    tg_idset_destroy(batch->seen);
    tg_buf_dispose(&batch->source.texts);
    tg_buf_dispose(&batch->texts);
    free(batch->results);
    free(batch->slots);
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
    tg_metric_add(shard, ING_EVENTS, ING_BURIED, summary->dead_lettered);
    tg_metric_add(shard, ING_EVENTS, ING_WITHHELD, summary->withheld);
    tg_metric_observe(shard, ING_REQUEST_EVENTS, 0, (double)batch->next);
    if (batch->produced_us != 0)
        tg_metric_observe(shard, ING_PRODUCE_S, 0,
                          (double)(tg_time_mono_us() - batch->produced_us) * 1e-6);
}

/* A body that is one event answers as that event does. */
static int answer_code(const struct batch *batch, const tg_results_summary_t *summary)
{
    if (tg_form_is_one(batch->source.form) && summary->rejected == 1)
        return tg_record_http_code(batch->results[0].code);
    return tg_results_http_code(summary, batch->strict);
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
    int code = answer_code(batch, summary);
    if (code == 503)
        tg_http_add_header(batch->req, "retry-after", TG_STR("1"));
    tg_http_add_cost(batch->req, summary->accepted + summary->dead_lettered);
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

static void lose(struct batch *batch, size_t index, const char *code)
{
    tg_result_t *result = &batch->results[index];
    assert(result->state == TG_RESULT_PENDING);
    result->state = TG_RESULT_FAILED;
    result->code = code;
    batch->refused++;
}

static void on_acknowledged(void *arg, tg_status_t status)
{
    struct slot *slot = arg;
    struct batch *batch = slot->batch;
    size_t index = (size_t)(slot - batch->slots);
    assert(index < batch->count);
    assert(batch->unacknowledged > 0);
    tg_result_t *result = &batch->results[index];

    if (status == TG_OK)
        result->state = result->dead ? TG_RESULT_DEAD_LETTERED : TG_RESULT_ACCEPTED;
    else
        lose(batch, index, tg_record_failure(batch->thread, status));
    batch->unacknowledged--;
    if (batch->unacknowledged == 0 && !batch->waiting)
        finish(batch);
}

/* A record is on its way, or could not be sent. */
static void note_sent(struct batch *batch, tg_status_t status)
{
    if (status == TG_OK)
        batch->unacknowledged++;
    else
        lose(batch, batch->next, tg_record_failure(batch->thread, status));
}

static void bury(struct batch *batch, const tg_item_t *item, const tg_event_error_t *error)
{
    tg_result_t *result = &batch->results[batch->next];
    bool binary = batch->source.form == TG_FORM_BINARY;
    bool flat = binary || (batch->source.form <= TG_FORM_LINES && batch->source.type.len > 0);
    tg_letter_t letter = {
        .tenant = batch->rules.tenant,
        .type = item->type,
        .error = error,
        .form = flat                                  ? "event"
                : batch->source.form <= TG_FORM_LINES ? "item"
                                                      : "cloudevent",
        .attributes = binary && item->cloud.id.len > 0 ? &item->cloud : NULL,
        .received_at = batch->rules.now,
        .bytes = batch->slots[batch->next].text,
    };
    batch->rules.index = batch->next;
    tg_letter_name(&batch->rules, &letter.id);
    result->id = letter.id;
    result->dead = true;
    result->state = TG_RESULT_PENDING;
    note_sent(batch, tg_letter_produce(batch->thread, &letter,
                                       item->has_trace ? &item->trace : &batch->trace,
                                       on_acknowledged, &batch->slots[batch->next]));
}

/* Notes what is wrong, as far as there is room for it. */
static void note_error(struct batch *batch, tg_result_t *result, const tg_event_error_t *error)
{
    size_t field_len = strlen(error->field), message_len = strlen(error->message);
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

static void reject(struct batch *batch, const tg_item_t *item, const tg_event_error_t *error)
{
    tg_result_t *result = &batch->results[batch->next];
    *result = (tg_result_t){.state = TG_RESULT_REJECTED, .code = error->code};
    batch->refused++;
    tg_metric_add(batch->thread->shard, ING_REJECTED, tg_ingestion_reason_of_code(error->code), 1);
    note_error(batch, result, error);
    /* What exceeds the limit of an event exceeds that of a dead letter. */
    if (batch->bury_invalid &&
        batch->slots[batch->next].text.len <= batch->thread->config->event_max_bytes)
        bury(batch, item, error);
}

static void reject_as(struct batch *batch, const tg_item_t *item, const char *code,
                      const char *message)
{
    const char *field = batch->source.form == TG_FORM_BINARY ? "ce-type" : "type";
    tg_event_error_t error = {.code = code};
    (void)snprintf(error.field, sizeof(error.field), "%s", field);
    (void)snprintf(error.message, sizeof(error.message), "%s", message);
    reject(batch, item, &error);
}

/* --- types --- */

static void run(struct batch *batch);

static void on_fetched(void *arg)
{
    struct batch *batch = arg;
    assert(batch->waiting);
    batch->waiting = false;
    if (batch->req != NULL)
        run(batch);
    else if (batch->unacknowledged == 0)
        finish(batch);
}

/* The type of the item at hand, or NULL when the item was decided or must wait. */
static const tg_event_type_t *type_of_item(struct batch *batch, const tg_item_t *item,
                                           uint32_t *out_number)
{
    const tg_event_type_t *type = NULL;
    switch (tg_types_find(batch->types, item->type, &type, out_number)) {
    case TG_OK:
        return type;
    case TG_FULL:
        batch->waiting = true;
        return NULL;
    case TG_INVALID:
        reject_as(batch, item, "unknown_type",
                  "There is no event type of this name: it must match [a-z][a-z0-9_]{0,62}, or be "
                  "given as ?type=.");
        return NULL;
    case TG_NOT_FOUND:
        reject_as(batch, item, "unknown_type",
                  "There is no event type of this name; register its schema first.");
        return NULL;
    case TG_TOO_LARGE:
        reject_as(batch, item, "too_many_types",
                  "A request may hold events of 64 different types.");
        return NULL;
    default:
        tg_metric_add(batch->thread->shard, ING_FAILED, tg_ingestion_reason_registry(), 1);
        lose(batch, batch->next, "registry_unavailable");
        return NULL;
    }
}

/* --- the way of an item --- */

static void produce(struct batch *batch, const tg_item_t *item, const tg_event_t *event,
                    uint32_t type)
{
    size_t index = batch->next;
    tg_result_t *result = &batch->results[index];
    const tg_identity_t identity = {event->id, event->occurred_at, type};

    result->id = event->id;
    uint32_t original = tg_idset_add(batch->seen, &identity, (uint32_t)index);
    if (original != TG_IDSET_NONE) {
        result->state = TG_RESULT_DUPLICATE;
        result->original = original;
        return;
    }
    if (batch->produced_us == 0)
        batch->produced_us = tg_time_mono_us();
    note_sent(batch, tg_record_produce(batch->thread, event,
                                       item->has_trace ? &item->trace : &batch->trace,
                                       on_acknowledged, &batch->slots[index]));
}

static void encode(struct batch *batch, const tg_item_t *item, const tg_event_type_t *type,
                   uint32_t number)
{
    tg_event_error_t error;
    tg_event_t event;
    batch->rules.index = batch->next;
    batch->rules.given = (tg_event_given_t){item->cloud.id, item->cloud.source, item->cloud.time};
    tg_status_t status =
        tg_record_encode(batch->thread, type, &batch->rules, item->nodes, item->at, &event, &error);
    if (status == TG_OK && batch->checking) {
        batch->results[batch->next].state = TG_RESULT_WITHHELD;
    } else if (status == TG_OK) {
        produce(batch, item, &event, number);
    } else if (status == TG_INVALID || status == TG_TOO_LARGE) {
        tg_item_blame(&batch->source, item, &error);
        reject(batch, item, &error);
    } else {
        lose(batch, batch->next, tg_record_failure(batch->thread, TG_FULL));
    }
}

/* One item to its decision, or to the wait for its type. */
static void step(struct batch *batch)
{
    tg_event_error_t error;
    tg_item_t item;
    uint32_t number = 0;

    tg_status_t status =
        tg_item_read(&batch->source, batch->slots[batch->next].text, &item, &error);
    if (status == TG_INVALID || status == TG_TOO_LARGE) {
        reject(batch, &item, &error);
        return;
    }
    if (status != TG_OK) {
        lose(batch, batch->next, tg_record_failure(batch->thread, TG_FULL));
        return;
    }
    const tg_event_type_t *type = type_of_item(batch, &item, &number);
    if (type != NULL)
        encode(batch, &item, type, number);
}

static void run_items(struct batch *batch)
{
    for (; batch->next < batch->count; batch->next++) {
        step(batch);
        if (batch->waiting)
            return; /* on_fetched comes back to the same item */
    }
}

static void run(struct batch *batch)
{
    assert(batch->req != NULL);
    run_items(batch);
    if (!batch->waiting && batch->checking && batch->refused == 0) {
        batch->checking = false;
        batch->next = 0;
        memset(batch->results, 0, batch->count * sizeof(*batch->results));
        run_items(batch);
        assert(!batch->waiting); /* the types were all fetched */
    }
    if (batch->waiting)
        return;
    tg_body_close(batch->thread, &batch->body);
    if (batch->unacknowledged == 0)
        finish(batch);
}

/* --- the body --- */

static tg_status_t on_item(void *arg, tg_str_t text)
{
    struct batch *batch = arg;
    if (batch->count == batch->thread->config->request_max_events)
        return TG_TOO_LARGE;
    if (batch->count == batch->capacity) {
        size_t capacity = batch->capacity == 0 ? ITEMS_FIRST : batch->capacity * 2;
        struct slot *slots = realloc(batch->slots, capacity * sizeof(*slots));
        if (slots == NULL)
            return TG_NOMEM;
        batch->slots = slots;
        batch->capacity = capacity;
    }
    batch->slots[batch->count++] = (struct slot){batch, text};
    return TG_OK;
}

static tg_status_t cut(struct batch *batch, tg_error_t *error)
{
    switch (batch->source.form) {
    case TG_FORM_ARRAY:
    case TG_FORM_CLOUDEVENTS:
        return tg_split_array(batch->body.text, on_item, batch, error);
    case TG_FORM_LINES:
        return tg_split_lines(batch->body.text, on_item, batch);
    default:
        return on_item(batch, batch->body.text);
    }
}

/* Cuts the body into items. On failure the request was answered. */
static tg_status_t split(struct batch *batch)
{
    tg_http_req_t *req = batch->req;
    tg_error_t error = {.status = TG_OK};
    tg_status_t status = cut(batch, &error);
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

/* Memory for the items' results. On failure the request was answered. */
static tg_status_t prepare(struct batch *batch)
{
    batch->results = calloc(batch->count, sizeof(*batch->results));
    batch->seen = tg_idset_create(batch->count);
    batch->types = tg_types_create(batch->thread, batch->rules.tenant, on_fetched, batch);
    batch->texts = tg_buf_make(TEXTS_MAX);
    bool room = batch->body.unpacked.cap > 0 || /* it was let in with its bound */
                tg_body_budget(batch->thread, batch->body.text.len);
    if (batch->results != NULL && batch->seen != NULL && batch->types != NULL && room)
        return TG_OK;
    tg_metric_add(batch->thread->shard, ING_EVENTS, ING_LOST, batch->count);
    (void)tg_record_failure(batch->thread, TG_FULL);
    tg_record_fail_503(batch->req, "overloaded");
    return TG_FULL;
}

static struct batch *batch_create(tg_ingestion_thread_t *thread, tg_http_req_t *req,
                                  const tg_event_rules_t *rules, tg_form_t form)
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
    batch->source = (tg_item_source_t){.thread = thread, .req = req, .form = form};
    batch->source.texts = tg_buf_make(thread->config->event_max_bytes + TG_ITEM_HEADERS_MAX);
    const tg_param_value_t *type = tg_http_param(req, TG_BATCH_PARAM_TYPE);
    if (type->present)
        batch->source.type = type->text;
    batch->strict = batch->checking = tg_http_param(req, TG_BATCH_PARAM_STRICT)->number != 0;
    batch->bury_invalid = tg_http_param(req, TG_BATCH_PARAM_ON_INVALID)->number != 0;
    return batch;
}

static bool params_agree(tg_http_req_t *req)
{
    if (tg_http_param(req, TG_BATCH_PARAM_STRICT)->number == 0 ||
        tg_http_param(req, TG_BATCH_PARAM_ON_INVALID)->number == 0)
        return true;
    tg_http_fail(req, 400, "invalid_parameter", TG_STR("on_invalid"),
                 "strict=true takes all or nothing, so on_invalid=dead_letter cannot go with it.");
    return false;
}

void tg_batch_handle(tg_http_req_t *req, void *thread_ctx)
{
    tg_ingestion_thread_t *thread = thread_ctx;
    tg_event_rules_t rules;
    tg_form_t form;
    if (!tg_form_read(req, &form) || !params_agree(req) ||
        tg_record_rules(thread, req, &rules) != TG_OK)
        return;
    struct batch *batch = batch_create(thread, req, &rules, form);
    if (batch == NULL)
        return;
    if (tg_body_open(thread, req, thread->config->request_max_bytes, &batch->body) != TG_OK ||
        split(batch) != TG_OK || prepare(batch) != TG_OK) {
        batch_free(batch);
        return;
    }
    tg_http_set_user(req, batch, on_gone);
    run(batch);
}
