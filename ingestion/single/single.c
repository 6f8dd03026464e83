/* One event as a request of its own.
 *
 *   handle -> [on_type, when the type is not cached] -> delivery -> on_done
 *                  `-- refused, with ?on_invalid=dead_letter: bury -> on_buried
 *
 * The struct outlives a request that was given up: its record may be on its way. Each path ends in
 * exactly one single_free(). */
#include "ingestion/single/single.h"

#include <stdio.h>
#include <stdlib.h>

#include "ingestion/body/body.h"
#include "ingestion/metrics.h"
#include "ingestion/record/letter.h"
#include "ingestion/record/record.h"
#include "ingestion/single/delivery.h"

#define BURIED_MAX ((size_t)4096) /* bytes of a dead letter's answer */

const tg_param_t tg_single_params[TG_SINGLE_PARAM_COUNT] = {
    [TG_SINGLE_PARAM_ON_INVALID] = {.name = "on_invalid",
                                    .type = TG_PARAM_ENUM,
                                    .allowed = "reject|dead_letter"},
};

struct single {
    tg_delivery_t delivery;
    tg_http_req_t *req; /* NULL once the request was given up */
    tg_body_t body;
    tg_buf_t buried; /* the answer, when it has become a dead letter */
};

static void single_free(struct single *single)
{
    tg_body_close(single->delivery.thread, &single->body);
    tg_buf_dispose(&single->buried);
    free(single);
}

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

/* --- dead letters --- */

static void on_buried(void *arg, tg_status_t status)
{
    struct single *single = arg;
    tg_ingestion_thread_t *thread = single->delivery.thread;
    tg_metric_add(thread->shard, ING_EVENTS, status == TG_OK ? ING_BURIED : ING_LOST, 1);
    const char *code = status == TG_OK ? NULL : tg_record_failure(thread, status);
    if (single->req != NULL && status == TG_OK)
        tg_http_reply_buf(single->req, 202, "application/json", &single->buried);
    else if (single->req != NULL)
        tg_record_fail_503(single->req, code);
    single_free(single);
}

static void write_buried(const tg_letter_t *letter, tg_buf_t *out)
{
    char id[TG_UUID_TEXT_LEN], time[TG_TIME_TEXT_MAX];
    tg_uuid_format(&letter->id, id);
    tg_buf_printf(out, "{\"status\":\"dead_lettered\",\"dead_letter_id\":\"%.*s\",",
                  (int)sizeof(id), id);
    tg_buf_printf(out, "\"received_at\":\"%.*s\",\"code\":\"%s\",\"field\":",
                  (int)tg_time_format(letter->received_at, time), time, letter->error->code);
    tg_buf_json_string(out, tg_str_from(letter->error->field));
    tg_buf_str(out, TG_STR(",\"message\":"));
    tg_buf_json_string(out, tg_str_from(letter->error->message));
    tg_buf_byte(out, '}');
}

static void bury(struct single *single, const tg_outcome_t *outcome)
{
    tg_ingestion_thread_t *thread = single->delivery.thread;
    tg_event_error_t error = {.code = outcome->code};
    tg_letter_t letter = {.tenant = single->delivery.rules.tenant,
                          .type = tg_http_segment(single->req, 0),
                          .error = &error,
                          .form = "event",
                          .received_at = single->delivery.rules.now,
                          .bytes = single->body.text};
    (void)snprintf(error.field, sizeof(error.field), TG_STR_FMT, TG_STR_ARG(outcome->field));
    (void)snprintf(error.message, sizeof(error.message), "%s", outcome->message);
    tg_letter_name(&single->delivery.rules, &letter.id);
    single->buried = tg_buf_make(BURIED_MAX);
    write_buried(&letter, &single->buried);
    tg_status_t status =
        single->buried.failed
            ? TG_NOMEM
            : tg_letter_produce(thread, &letter, tg_http_trace(single->req), on_buried, single);
    if (status != TG_OK)
        on_buried(single, status);
}

/* Refused for what it is, while its bytes are at hand. */
static bool is_invalid(const tg_outcome_t *outcome)
{
    return outcome->http_code == 400 || outcome->http_code == 404 || outcome->http_code == 422;
}

/* --- the way --- */

static void on_done(void *arg, const tg_outcome_t *outcome)
{
    struct single *single = arg;
    if (single->delivery.buries && single->req != NULL && is_invalid(outcome)) {
        bury(single, outcome);
        return;
    }
    if (single->req != NULL)
        answer(single->req, outcome);
    single_free(single);
}

static void deliver(struct single *single, const tg_event_type_t *type)
{
    tg_delivery_start(&single->delivery, type, single->body.text, tg_http_trace(single->req));
}

static void on_type(void *arg, tg_status_t status, tg_event_type_t *type)
{
    struct single *single = arg;
    tg_ingestion_thread_t *thread = single->delivery.thread;
    assert(thread->fetches > 0);
    thread->fetches--;
    tg_metric_add(thread->shard, ING_TYPE_FETCHES, tg_ingestion_fetch_result(status), 1);
    if (single->req == NULL)
        single_free(single);
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
    tg_body_t body;
    if (tg_body_open(thread, req, thread->config->event_max_bytes, &body) != TG_OK)
        return;
    struct single *single = malloc(sizeof(*single));
    if (single == NULL) {
        tg_body_close(thread, &body);
        tg_record_fail_503(req, "overloaded");
        return;
    }
    *single = (struct single){.req = req, .body = body};
    single->delivery =
        (tg_delivery_t){.thread = thread,
                        .rules = rules,
                        .done = on_done,
                        .arg = single,
                        .buries = tg_http_param(req, TG_SINGLE_PARAM_ON_INVALID)->number != 0};
    tg_http_set_user(req, single, on_gone);

    tg_str_t name = tg_http_segment(req, 0);
    tg_event_type_t *type = tg_registry_type_cached(thread->registry, rules.tenant, name);
    if (type != NULL)
        deliver(single, type);
    else
        fetch_type(single, name);
    tg_event_type_unref(type);
}
