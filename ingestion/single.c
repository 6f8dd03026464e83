/* One event.
 *
 *   handle -> [on_type, when the type is not cached] -> produce -> on_acknowledged
 *
 * The struct outlives a request that was given up: its record may be on its way. Each path ends in
 * exactly one single_free(). */
#include "ingestion/single.h"

#include <stdlib.h>

#include "ingestion/metrics.h"
#include "ingestion/record.h"
#include "ingestion/results.h"

enum single_step { SINGLE_TYPE, SINGLE_ACK };

struct single {
    enum single_step step;
    tg_ingestion_thread_t *thread;
    tg_http_req_t *req; /* NULL once the request was given up */
    tg_event_rules_t rules;
    tg_uuid_t id;
    uint64_t produced_us; /* monotonic */
};

static void single_free(struct single *single)
{
    free(single);
}

static void on_gone(void *user)
{
    struct single *single = user;
    assert(single->req != NULL);
    single->req = NULL; /* the callback that is due will free it */
}

/* --- answers, each the end of the request --- */

static void refuse(struct single *single, const tg_event_error_t *error)
{
    tg_metrics_shard_t *shard = single->thread->shard;
    tg_metric_add(shard, ING_EVENTS, ING_REFUSED, 1);
    tg_metric_add(shard, ING_REJECTED, tg_ingestion_reason_of_code(error->code), 1);
    tg_http_fail(single->req, tg_record_http_code(error->code), error->code,
                 tg_str_from(error->field), "%s", error->message);
}

static void refuse_type(struct single *single, tg_status_t status)
{
    tg_metrics_shard_t *shard = single->thread->shard;
    if (status == TG_NOT_FOUND) {
        tg_metric_add(shard, ING_EVENTS, ING_REFUSED, 1);
        tg_metric_add(shard, ING_REJECTED, tg_ingestion_reason_of_code("unknown_type"), 1);
        tg_http_fail(single->req, 404, "unknown_type", TG_STR("type"),
                     "There is no event type of this name; register its schema first.");
        return;
    }
    tg_metric_add(shard, ING_EVENTS, ING_LOST, 1);
    tg_metric_add(shard, ING_FAILED, tg_ingestion_reason_registry(), 1);
    tg_record_fail_503(single->req, "registry_unavailable");
}

static void fail(struct single *single, tg_status_t status)
{
    tg_metric_add(single->thread->shard, ING_EVENTS, ING_LOST, 1);
    const char *code = tg_record_failure(single->thread, status);
    if (single->req == NULL)
        return;
    if (status == TG_TOO_LARGE)
        tg_http_fail(single->req, 413, code, TG_STR(""), "%s", tg_result_failure_text(code));
    else
        tg_record_fail_503(single->req, code);
}

static void answer(struct single *single)
{
    static const char head[] = "{\"event_id\":\"";
    static const char middle[] = "\",\"received_at\":\"";
    char body[sizeof(head) + TG_UUID_TEXT_LEN + sizeof(middle) + TG_TIME_TEXT_MAX + 2];
    char *at = body;

    memcpy(at, head, sizeof(head) - 1);
    at += sizeof(head) - 1;
    tg_uuid_format(&single->id, at);
    at += TG_UUID_TEXT_LEN;
    memcpy(at, middle, sizeof(middle) - 1);
    at += sizeof(middle) - 1;
    at += tg_time_format(single->rules.now, at);
    *at++ = '"';
    *at++ = '}';
    assert(at <= body + sizeof(body));
    tg_http_reply(single->req, 202, "application/json", (tg_str_t){body, (size_t)(at - body)});
}

/* --- the way --- */

static void on_acknowledged(void *arg, tg_status_t status)
{
    struct single *single = arg;
    assert(single->step == SINGLE_ACK);
    tg_metrics_shard_t *shard = single->thread->shard;

    tg_metric_observe(shard, ING_PRODUCE_S, 0,
                      (double)(tg_time_mono_us() - single->produced_us) * 1e-6);
    if (status != TG_OK) {
        fail(single, status);
    } else {
        tg_metric_add(shard, ING_EVENTS, ING_ACCEPTED, 1);
        if (single->req != NULL)
            answer(single);
    }
    single_free(single);
}

/* True when the record is on its way; else the request was answered. */
static bool produce(struct single *single, const tg_event_type_t *type)
{
    tg_ingestion_thread_t *thread = single->thread;
    const tg_json_node_t *nodes = NULL;
    tg_event_error_t error;
    tg_event_t event;

    tg_status_t status = tg_record_parse(thread, tg_http_body(single->req), &nodes, &error);
    if (status == TG_OK)
        status = tg_record_encode(thread, type, &single->rules, nodes, 0, &event, &error);
    if (status == TG_INVALID || status == TG_TOO_LARGE) {
        refuse(single, &error);
        return false;
    }
    if (status == TG_OK) {
        single->id = event.id;
        single->step = SINGLE_ACK;
        single->produced_us = tg_time_mono_us();
        status =
            tg_record_produce(thread, &event, tg_http_trace(single->req), on_acknowledged, single);
    }
    if (status != TG_OK)
        fail(single, status);
    return status == TG_OK;
}

static void on_type(void *arg, tg_status_t status, tg_event_type_t *type)
{
    struct single *single = arg;
    tg_ingestion_thread_t *thread = single->thread;
    assert(single->step == SINGLE_TYPE);
    assert(thread->fetches > 0);
    thread->fetches--;
    tg_metric_add(thread->shard, ING_TYPE_FETCHES, tg_ingestion_fetch_result(status), 1);

    bool under_way = false;
    if (single->req != NULL && status == TG_OK)
        under_way = produce(single, type);
    else if (single->req != NULL)
        refuse_type(single, status);
    tg_event_type_unref(type);
    if (!under_way)
        single_free(single);
}

static bool fetch_type(struct single *single, tg_str_t name)
{
    tg_ingestion_thread_t *thread = single->thread;
    single->step = SINGLE_TYPE;
    tg_status_t status = tg_registry_type_fetch(thread->registry, single->rules.tenant, name,
                                                thread->loop, on_type, single);
    if (status == TG_OK)
        thread->fetches++;
    else
        refuse_type(single, TG_UNAVAILABLE);
    return status == TG_OK;
}

void tg_single_handle(tg_http_req_t *req, void *thread_ctx)
{
    static const char *const media_types[] = {"application/json", NULL};
    tg_ingestion_thread_t *thread = thread_ctx;
    tg_event_rules_t rules;
    size_t media;
    if (!tg_record_media_type(req, media_types, &media) ||
        tg_record_rules(thread, req, &rules) != TG_OK)
        return;
    struct single *single = malloc(sizeof(*single));
    if (single == NULL) {
        tg_record_fail_503(req, "overloaded");
        return;
    }
    *single = (struct single){.thread = thread, .req = req, .rules = rules};
    tg_http_set_user(req, single, on_gone);

    tg_str_t name = tg_http_segment(req, 0);
    tg_event_type_t *type = tg_registry_type_cached(thread->registry, rules.tenant, name);
    bool under_way = type != NULL ? produce(single, type) : fetch_type(single, name);
    tg_event_type_unref(type);
    if (!under_way)
        single_free(single);
}
