/* handle -> a delivery for each event -> on_done of each -> answer, when none is pending.
 *
 * The struct outlives a request that was given up, as its records may be on their way. */
#include "ingestion/single/bundle.h"

#include <stdlib.h>

#include "common/event/bundle.h"
#include "ingestion/record/record.h"
#include "ingestion/single/delivery.h"

#define TEXTS_MAX                                                                                  \
    ((size_t)TG_BUNDLE_EVENTS_MAX * 1024) /* fields and messages of refused events                 \
                                           */
#define ANSWER_MAX (TEXTS_MAX + (size_t)TG_BUNDLE_EVENTS_MAX * 256)

struct item {
    tg_delivery_t delivery;
    struct bundle *bundle;
    tg_bundle_outcome_t outcome; /* its texts are in `answer` or in the bundle's texts */
    char answer[TG_DELIVERY_ANSWER_MAX];
};

struct bundle {
    tg_http_req_t *req; /* NULL once the request was given up */
    tg_arena_t *texts;
    size_t count;
    size_t pending; /* events without an outcome, and one while they are being started */
    struct item items[];
};

static void bundle_free(struct bundle *bundle)
{
    if (bundle != NULL)
        tg_arena_destroy(bundle->texts);
    free(bundle);
}

static void on_gone(void *user)
{
    struct bundle *bundle = user;
    assert(bundle->req != NULL);
    bundle->req = NULL; /* the last outcome frees it */
}

static void answer(struct bundle *bundle)
{
    tg_buf_t body = tg_buf_make(ANSWER_MAX);
    for (size_t i = 0; i < bundle->count; i++)
        tg_bundle_put_outcome(&bundle->items[i].outcome, &body);
    if (body.failed) {
        tg_buf_dispose(&body);
        tg_record_fail_503(bundle->req, "overloaded");
        return;
    }
    tg_http_reply_buf(bundle->req, 200, TG_BUNDLE_MEDIA_TYPE, &body);
}

static void settle(struct bundle *bundle)
{
    assert(bundle->pending > 0);
    if (--bundle->pending > 0)
        return;
    if (bundle->req != NULL)
        answer(bundle);
    bundle_free(bundle);
}

static void on_done(void *arg, const tg_outcome_t *outcome)
{
    struct item *item = arg;
    tg_arena_t *texts = item->bundle->texts;
    item->outcome.http_code = outcome->http_code;
    if (outcome->http_code == 202) {
        size_t len = tg_delivery_answer(outcome, item->answer);
        item->outcome.body = (tg_str_t){item->answer, len};
    } else {
        item->outcome.code = tg_str_from(outcome->code);
        item->outcome.field = tg_arena_copy(texts, outcome->field);
        item->outcome.message = tg_arena_copy(texts, tg_str_from(outcome->message));
    }
    settle(item->bundle);
}

/* What needs more than memory and Kafka is left as it was made: to be sent alone. */
static void start(struct item *item, tg_ingestion_thread_t *thread, const tg_bundle_event_t *event)
{
    tg_trace_t trace;
    tg_event_rules_t rules;
    tg_event_type_t *type = NULL;
    if (tg_record_rules_of(thread, event->tenant, event->idempotency_key, event->retention_days,
                           &rules) &&
        tg_event_type_name_ok(event->type))
        type = tg_registry_type_cached(thread->registry, event->tenant, event->type);
    if (type == NULL) {
        settle(item->bundle);
        return;
    }
    item->delivery =
        (tg_delivery_t){.thread = thread, .rules = rules, .done = on_done, .arg = item};
    tg_trace_child(&event->trace, &trace);
    tg_delivery_start(&item->delivery, type, event->body, &trace);
    tg_event_type_unref(type);
}

/* The number of events, or 0 when the bytes are no bundle. */
static size_t count_events(tg_str_t rest)
{
    size_t count = 0;
    tg_bundle_event_t event;
    while (rest.len > 0 && count < TG_BUNDLE_EVENTS_MAX) {
        if (tg_bundle_take_event(&rest, &event) != TG_OK)
            return 0;
        count++;
    }
    return rest.len == 0 ? count : 0;
}

static struct bundle *bundle_create(tg_http_req_t *req, size_t count)
{
    struct bundle *bundle = calloc(1, sizeof(*bundle) + count * sizeof(bundle->items[0]));
    if (bundle == NULL)
        return NULL;
    bundle->req = req;
    bundle->count = count;
    bundle->pending = count + 1;
    bundle->texts = tg_arena_create(TEXTS_MAX);
    for (size_t i = 0; i < count; i++)
        bundle->items[i].bundle = bundle;
    if (bundle->texts != NULL)
        return bundle;
    bundle_free(bundle);
    return NULL;
}

void tg_bundle_handle(tg_http_req_t *req, void *thread_ctx)
{
    static const char *const media_types[] = {TG_BUNDLE_MEDIA_TYPE, NULL};
    size_t media;
    if (!tg_record_media_type(req, media_types, &media))
        return;
    tg_str_t rest = tg_http_body(req);
    size_t count = count_events(rest);
    if (count == 0) {
        tg_http_fail(req, 400, "invalid_bundle", TG_STR(""),
                     "The body is not a bundle of 1 to %d events.", TG_BUNDLE_EVENTS_MAX);
        return;
    }
    struct bundle *bundle = bundle_create(req, count);
    if (bundle == NULL) {
        tg_record_fail_503(req, "overloaded");
        return;
    }
    tg_http_set_user(req, bundle, on_gone);
    for (size_t i = 0; i < count; i++) {
        tg_bundle_event_t event;
        tg_status_t status = tg_bundle_take_event(&rest, &event);
        assert(status == TG_OK);
        start(&bundle->items[i], thread_ctx, &event);
    }
    settle(bundle);
}
