/* Fetches, all of them on the loop thread.
 *
 *   request_fetch --post--> start_fetch --HTTP--> on_response --> settle: all who wait are told
 *
 * An entry has at most one fetch under way, whoever asks. Refreshing the newest versions goes the
 * same way, started by the tick. */
#include "common/registry/private.h"

#include <stdlib.h>

#include "common/observe/log.h"

#define TICK_MS          200
#define PROBE_AFTER_MS   1000  /* of silence */
#define IN_USE_MS        60000 /* a type not asked for this long is not refreshed */
#define REFRESH_PER_TICK 64
#define RETRY_UNKNOWN_MS 1000
#define RETRY_AWAY_MS    200
#define TARGET_MAX       2048

struct start { /* what a post to the loop thread carries */
    tg_registry_client_t *client;
    tg_registry_entry_t *entry;
};

/* --- the end --- */

static uint64_t retry_after(tg_status_t status)
{
    return status == TG_UNAVAILABLE ? RETRY_AWAY_MS : RETRY_UNKNOWN_MS;
}

void tg_registry_outdate(tg_registry_entry_t *entry)
{
    assert(entry->id == 0);
    entry->outdated = entry->in_flight;
    entry->retry_at_ms = 0; /* asked for by the next who wants it, */
    entry->fetched_ms = 0;  /* or by the tick while it is in use */
}

/* Writes a fetch's outcome into its entry. A registry that is away, or a version that cannot be
 * compiled, changes nothing for a type that is known. Takes `plan`. The mutex is held. */
static void entry_update(tg_registry_entry_t *entry, tg_status_t status, tg_event_type_t *plan)
{
    uint64_t now = tg_time_mono_ms();
    entry->fetched_ms = now;
    if ((status == TG_UNAVAILABLE || status == TG_INVALID) && entry->type != NULL)
        return;
    assert((status == TG_OK) == (plan != NULL));
    tg_event_type_unref(entry->type);
    entry->type = plan;
    entry->failure = status;
    entry->retry_at_ms = now + retry_after(status);
}

static void settle(tg_registry_client_t *client, tg_registry_entry_t *entry, tg_status_t status,
                   tg_event_type_t *plan)
{
    pthread_mutex_lock(&client->mutex);
    assert(entry->in_flight);
    entry_update(entry, status, plan);
    entry->in_flight = false;
    if (entry->outdated)
        tg_registry_outdate(entry);
    struct waiter *waiters = entry->waiters;
    entry->waiters = NULL;
    while (waiters != NULL) {
        struct waiter *next = waiters->next;
        tg_registry_deliver(client, waiters, entry->type != NULL ? TG_OK : entry->failure,
                            entry->type);
        waiters = next;
    }
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->mutex);
}

static struct fetch *fetch_new(tg_registry_client_t *client, tg_registry_entry_t *entry)
{
    struct fetch *fetch = calloc(1, sizeof(*fetch));
    if (fetch == NULL)
        return NULL;
    fetch->client = client;
    fetch->entry = entry;
    fetch->next = client->fetches;
    fetch->back = &client->fetches;
    if (fetch->next != NULL)
        fetch->next->back = &fetch->next;
    client->fetches = fetch;
    return fetch;
}

static void fetch_free(struct fetch *fetch)
{
    *fetch->back = fetch->next;
    if (fetch->next != NULL)
        fetch->next->back = fetch->back;
    free(fetch);
}

/* The plan of the entry's type and an id, compiled unless it is known. */
static tg_status_t plan_of(tg_registry_client_t *client, const tg_registry_entry_t *entry,
                           uint32_t id, tg_str_t schema, tg_event_type_t **out_plan)
{
    tg_str_t type = tg_str_from(entry->type_name);
    tg_str_t owner = tg_str_from(tg_registry_site_own_ids(client->site) ? entry->tenant : "");
    pthread_mutex_lock(&client->mutex);
    tg_event_type_t *plan = tg_registry_cache_plan(client->cache, owner, type, id);
    pthread_mutex_unlock(&client->mutex);
    if (plan == NULL) {
        tg_error_t error;
        tg_status_t status = tg_event_type_compile(type, schema, id, &plan, &error);
        if (status != TG_OK) {
            tg_log_warn("schema_unusable", TG_F_STR("type", type), TG_F_INT("schema_id", id),
                        TG_F_TEXT("reason", error.text));
            return status == TG_NOMEM ? TG_UNAVAILABLE : TG_INVALID;
        }
        pthread_mutex_lock(&client->mutex);
        tg_registry_cache_keep_plan(client->cache, owner, plan);
        pthread_mutex_unlock(&client->mutex);
    }
    *out_plan = plan;
    return TG_OK;
}

static tg_status_t read_answer(tg_registry_client_t *client, const tg_registry_entry_t *entry,
                               const tg_http_response_t *response, tg_event_type_t **out_plan)
{
    if (response->code == 404)
        return TG_NOT_FOUND;
    if (response->code != 200)
        return TG_UNAVAILABLE;
    tg_registry_answer_t answer;
    tg_error_t error;
    tg_status_t status =
        tg_registry_answer_parse(client->parser, response->body, entry->id, &answer, &error);
    if (status != TG_OK) {
        tg_log_warn("registry_answer_malformed", TG_F_TEXT("type", entry->type_name),
                    TG_F_TEXT("reason", error.text));
        return TG_UNAVAILABLE;
    }
    tg_event_type_t *plan = NULL;
    status = plan_of(client, entry, answer.id, answer.schema, &plan);
    if (status == TG_OK && entry->id == 0 && !tg_event_type_has_roles(plan)) {
        tg_event_type_unref(plan);
        return TG_NOT_FOUND;
    }
    *out_plan = plan;
    return status;
}

static void note_answer(tg_registry_client_t *client, const tg_http_response_t *response)
{
    bool refused = response->code == 401 || response->code == 403;
    if (refused || response->code == 200)
        atomic_store(&client->refused, refused); /* 404 may come from before the check */
    if (response->code < 500)
        atomic_store(&client->answered_ms, tg_time_mono_ms());
    if (refused)
        tg_log_error(tg_registry_site_foreign(client->site) ? "registry_refused_credentials"
                                                            : "registry_refused_secret",
                     TG_F_INT("code", response->code));
}

static void on_response(void *arg, tg_status_t status, const tg_http_response_t *response)
{
    struct fetch *fetch = arg;
    tg_registry_client_t *client = fetch->client;
    tg_registry_entry_t *entry = fetch->entry;
    fetch_free(fetch);

    if (status == TG_OK)
        note_answer(client, response);
    if (entry == NULL) {
        client->probing = false;
        return;
    }
    tg_event_type_t *plan = NULL;
    status = status == TG_OK ? read_answer(client, entry, response, &plan) : TG_UNAVAILABLE;
    settle(client, entry, status, plan);
}

/* --- the start --- */

static void target_of(const tg_registry_client_t *client, const tg_registry_entry_t *entry,
                      tg_buf_t *out)
{
    if (entry == NULL)
        tg_registry_site_probe(client->site, out);
    else
        tg_registry_site_target(client->site, entry->tenant, entry->type_name, entry->id, out);
}

static tg_status_t call_registry(tg_registry_client_t *client, struct fetch *fetch)
{
    tg_buf_t target = tg_buf_make(TARGET_MAX);
    tg_http_header_t headers[TG_REGISTRY_HEADERS_MAX];
    target_of(client, fetch->entry, &target);
    const tg_http_request_t request = {
        .method = TG_STR("GET"),
        .target = tg_buf_view(&target),
        .headers = headers,
        .header_count =
            tg_registry_site_headers(client->site,
                                     fetch->entry == NULL ? NULL : fetch->entry->tenant, headers),
        .deadline_at_ms = tg_loop_now_ms(client->loop) + client->config.timeout_ms,
        .idempotent = true,
    };
    fetch->call =
        target.failed ? NULL : tg_http_client_call(client->http, &request, on_response, fetch);
    tg_buf_dispose(&target);
    return fetch->call == NULL ? TG_NOMEM : TG_OK;
}

static void start_fetch(tg_registry_client_t *client, tg_registry_entry_t *entry)
{
    struct fetch *fetch = fetch_new(client, entry);
    if (fetch != NULL && call_registry(client, fetch) == TG_OK)
        return;
    if (fetch != NULL)
        fetch_free(fetch);
    if (entry != NULL)
        settle(client, entry, TG_UNAVAILABLE, NULL);
}

static void on_start(void *arg)
{
    struct start *start = arg;
    if (start->client->http == NULL) /* closing: this loop runs its last posts */
        settle(start->client, start->entry, TG_UNAVAILABLE, NULL);
    else
        start_fetch(start->client, start->entry);
    free(start);
}

tg_status_t tg_registry_request_fetch(tg_registry_client_t *client, tg_registry_entry_t *entry)
{
    assert(!entry->in_flight);
    struct start *start = malloc(sizeof(*start));
    if (start == NULL)
        return TG_NOMEM;
    *start = (struct start){client, entry};
    if (client->closing || tg_loop_post(client->loop, on_start, start) != TG_OK) {
        free(start);
        return TG_UNAVAILABLE;
    }
    entry->in_flight = true;
    return TG_OK;
}

/* --- the tick: refresh what is in use, probe a silent registry --- */

static bool due(const tg_registry_client_t *client, const tg_registry_entry_t *entry, uint64_t now)
{
    return entry->id == 0 && entry->type != NULL && !entry->in_flight &&
           now - entry->used_ms < IN_USE_MS && now - entry->fetched_ms >= client->config.refresh_ms;
}

static size_t collect_due(tg_registry_client_t *client, tg_registry_entry_t **out, size_t max)
{
    size_t count = 0;
    uint64_t now = tg_time_mono_ms();
    pthread_mutex_lock(&client->mutex);
    tg_registry_deliver_again(client);
    size_t cursor = 0;
    tg_registry_entry_t *entry = tg_registry_cache_next(client->cache, &cursor);
    for (; entry != NULL && count < max; entry = tg_registry_cache_next(client->cache, &cursor)) {
        if (!due(client, entry, now))
            continue;
        entry->in_flight = true;
        out[count++] = entry;
    }
    pthread_mutex_unlock(&client->mutex);
    return count;
}

static void probe_if_silent(tg_registry_client_t *client)
{
    uint64_t answered = atomic_load(&client->answered_ms);
    if (client->probing || tg_time_mono_ms() - answered < PROBE_AFTER_MS)
        return;
    client->probing = true;
    struct fetch *fetch = fetch_new(client, NULL);
    if (fetch != NULL && call_registry(client, fetch) == TG_OK)
        return;
    if (fetch != NULL)
        fetch_free(fetch);
    client->probing = false;
}

void tg_registry_tick(void *arg)
{
    tg_registry_client_t *client = arg;
    tg_registry_entry_t *entries[REFRESH_PER_TICK];
    size_t count = collect_due(client, entries, REFRESH_PER_TICK);
    for (size_t i = 0; i < count; i++)
        start_fetch(client, entries[i]);
    probe_if_silent(client);
    tg_timer_start(client->loop, &client->tick, TICK_MS, tg_registry_tick, client);
}

void tg_registry_drop_fetches(tg_registry_client_t *client)
{
    struct fetch *fetch = client->fetches;
    client->fetches = NULL;
    while (fetch != NULL) {
        struct fetch *next = fetch->next;
        tg_http_call_cancel(fetch->call);
        if (fetch->entry != NULL)
            settle(client, fetch->entry, TG_UNAVAILABLE, NULL);
        free(fetch);
        fetch = next;
    }
}
