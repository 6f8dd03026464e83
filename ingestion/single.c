/* One event as a request of its own.
 *
 *   handle -> [on_type, when the type is not cached] -> delivery -> on_done
 *
 * The struct outlives a request that was given up: its record may be on its way. Each path ends in
 * exactly one on_done(), or in on_type() when the request has gone meanwhile. */
#include "ingestion/single.h"

#include <stdlib.h>

#include "ingestion/delivery.h"
#include "ingestion/metrics.h"
#include "ingestion/record.h"

struct single {
    tg_delivery_t delivery;
    tg_http_req_t *req; /* NULL once the request was given up */
};

static void on_gone(void *user)
{
    struct single *single = user;
    assert(single->req != NULL);
    single->req = NULL; /* the callback that is due will free it */
}

static void answer(tg_http_req_t *req, const tg_outcome_t *outcome)
{
    if (outcome->http_code == 202) {
        char body[TG_DELIVERY_ANSWER_MAX];
        size_t len = tg_delivery_answer(outcome, body);
        tg_http_reply(req, 202, "application/json", (tg_str_t){body, len});
        return;
    }
    if (outcome->http_code == 503)
        tg_http_add_header(req, "retry-after", TG_STR("1"));
    tg_http_fail(req, outcome->http_code, outcome->code, outcome->field, "%s", outcome->message);
}

static void on_done(void *arg, const tg_outcome_t *outcome)
{
    struct single *single = arg;
    if (single->req != NULL)
        answer(single->req, outcome);
    free(single);
}

static void deliver(struct single *single, const tg_event_type_t *type)
{
    tg_delivery_start(&single->delivery, type, tg_http_body(single->req),
                      tg_http_trace(single->req));
}

static void on_type(void *arg, tg_status_t status, tg_event_type_t *type)
{
    struct single *single = arg;
    tg_ingestion_thread_t *thread = single->delivery.thread;
    assert(thread->fetches > 0);
    thread->fetches--;
    tg_metric_add(thread->shard, ING_TYPE_FETCHES, tg_ingestion_fetch_result(status), 1);
    if (single->req == NULL)
        free(single);
    else if (status == TG_OK)
        deliver(single, type);
    else
        tg_delivery_without_type(&single->delivery, status);
    tg_event_type_unref(type);
}

static void fetch_type(struct single *single, tg_str_t name)
{
    tg_ingestion_thread_t *thread = single->delivery.thread;
    tg_status_t status = tg_registry_type_fetch(thread->registry, single->delivery.rules.tenant,
                                                name, thread->loop, on_type, single);
    if (status == TG_OK)
        thread->fetches++;
    else
        tg_delivery_without_type(&single->delivery, TG_UNAVAILABLE);
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
    *single = (struct single){.req = req};
    single->delivery =
        (tg_delivery_t){.thread = thread, .rules = rules, .done = on_done, .arg = single};
    tg_http_set_user(req, single, on_gone);

    tg_str_t name = tg_http_segment(req, 0);
    tg_event_type_t *type = tg_registry_type_cached(thread->registry, rules.tenant, name);
    if (type != NULL)
        deliver(single, type);
    else
        fetch_type(single, name);
    tg_event_type_unref(type);
}
