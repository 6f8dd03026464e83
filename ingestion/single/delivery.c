/* start -> parse -> encode -> produce -> on_acknowledged. Each path ends in exactly one finish(),
 * the only place that counts and calls back. */
#include "ingestion/single/delivery.h"

#include "ingestion/metrics.h"
#include "ingestion/record/record.h"

static void finish(tg_delivery_t *delivery, unsigned result, const tg_outcome_t *outcome)
{
    if (result != ING_REFUSED || !delivery->buries)
        tg_metric_add(delivery->thread->shard, ING_EVENTS, result, 1);
    delivery->done(delivery->arg, outcome);
}

static void refuse(tg_delivery_t *delivery, int http_code, const tg_event_error_t *error)
{
    tg_metric_add(delivery->thread->shard, ING_REJECTED, tg_ingestion_reason_of_code(error->code),
                  1);
    finish(delivery, ING_REFUSED,
           &(tg_outcome_t){.http_code = http_code,
                           .code = error->code,
                           .field = tg_str_from(error->field),
                           .message = error->message});
}

static void lose(tg_delivery_t *delivery, int http_code, const char *code)
{
    finish(delivery, ING_LOST,
           &(tg_outcome_t){.http_code = http_code,
                           .code = code,
                           .message = tg_record_failure_text(code)});
}

static void fail(tg_delivery_t *delivery, tg_status_t status)
{
    const char *code = tg_record_failure(delivery->thread, status);
    lose(delivery, status == TG_TOO_LARGE ? 413 : 503, code);
}

static void on_acknowledged(void *arg, tg_status_t status)
{
    tg_delivery_t *delivery = arg;
    tg_metric_observe(delivery->thread->shard, ING_PRODUCE_S, 0,
                      (double)(tg_time_mono_us() - delivery->produced_us) * 1e-6);
    if (status != TG_OK) {
        fail(delivery, status);
        return;
    }
    finish(delivery, ING_ACCEPTED,
           &(tg_outcome_t){.http_code = 202,
                           .id = &delivery->id,
                           .received_at = delivery->rules.now});
}

void tg_delivery_start(tg_delivery_t *delivery, const tg_event_type_t *type, tg_str_t body,
                       const tg_trace_t *trace)
{
    assert(type != NULL && delivery->done != NULL);
    tg_ingestion_thread_t *thread = delivery->thread;
    const tg_json_node_t *nodes = NULL;
    tg_event_error_t error;
    tg_event_t event;

    tg_status_t status = tg_record_parse(thread, body, &nodes, &error);
    if (status == TG_OK)
        status = tg_record_encode(thread, type, &delivery->rules, nodes, 0, &event, &error);
    if (status == TG_INVALID || status == TG_TOO_LARGE) {
        refuse(delivery, tg_record_http_code(error.code), &error);
        return;
    }
    if (status == TG_OK) {
        delivery->id = event.id;
        delivery->produced_us = tg_time_mono_us();
        status = tg_record_produce(thread, &event, trace, on_acknowledged, delivery);
    }
    if (status != TG_OK)
        fail(delivery, status);
}

void tg_delivery_without_type(tg_delivery_t *delivery, tg_status_t status)
{
    if (status == TG_NOT_FOUND || status == TG_INVALID) {
        const tg_event_error_t unknown = {
            .code = "unknown_type",
            .field = "type",
            .message = "There is no event type of this name; register its schema first."};
        refuse(delivery, 404, &unknown);
        return;
    }
    tg_metric_add(delivery->thread->shard, ING_FAILED, tg_ingestion_reason_registry(), 1);
    lose(delivery, 503, "registry_unavailable");
}

size_t tg_delivery_answer(const tg_outcome_t *outcome, char out[TG_DELIVERY_ANSWER_MAX])
{
    static const char head[] = "{\"event_id\":\"";
    static const char middle[] = "\",\"received_at\":\"";
    static_assert(sizeof(head) + TG_UUID_TEXT_LEN + sizeof(middle) + TG_TIME_TEXT_MAX + 2 <=
                      TG_DELIVERY_ANSWER_MAX,
                  "an answer fits");
    assert(outcome->http_code == 202 && outcome->id != NULL);
    char *at = out;
    memcpy(at, head, sizeof(head) - 1);
    at += sizeof(head) - 1;
    tg_uuid_format(outcome->id, at);
    at += TG_UUID_TEXT_LEN;
    memcpy(at, middle, sizeof(middle) - 1);
    at += sizeof(middle) - 1;
    at += tg_time_format(outcome->received_at, at);
    *at++ = '"';
    *at++ = '}';
    return (size_t)(at - out);
}
