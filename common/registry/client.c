/* The registry client's thread and its API.
 *
 *   caller --(lock: entry in flight)--> post --> start_fetch --HTTP--> on_response --(lock:
 * settle)--> waiters' loops, and the condition for those who wait blocking
 *
 * An entry has at most one fetch under way, whoever asks. Refreshing the newest versions goes the
 * same way, started by the tick.
 *
 * Threads: `mutex` guards the cache, the entries and `undelivered`; what stands under "loop thread"
 * is that thread's alone. */
#include "common/registry/client.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/thread.h"
#include "common/http/client.h"
#include "common/observe/log.h"
#include "common/registry/answer.h"
#include "common/registry/cache.h"

#define TICK_MS            200
#define PROBE_AFTER_MS     1000  /* of silence */
#define READY_WITHIN_MS    5000  /* of the last answer */
#define IN_USE_MS          60000 /* a type not asked for this long is not refreshed */
#define REFRESH_PER_TICK   64
#define RETRY_UNKNOWN_MS   1000
#define RETRY_AWAY_MS      200
#define MAX_BODY           ((size_t)2 << 20)
#define TARGET_MAX         2048
#define MAX_CONNECTIONS    4
#define MAX_WAITING        4096
#define CONNECT_TIMEOUT_MS 1000
#define IDLE_TIMEOUT_MS    30000

struct waiter {
    struct waiter *next;
    tg_loop_t *loop;
    tg_registry_done_fn done;
    void *arg;
    tg_status_t status;
    tg_event_type_t *type; /* owned until delivered */
};

struct fetch {
    struct fetch *next, **back; /* in client->fetches */
    tg_registry_client_t *client;
    tg_registry_entry_t *entry; /* NULL: a probe */
    tg_http_call_t *call;
};

struct start { /* what a post to the loop thread carries */
    tg_registry_client_t *client;
    tg_registry_entry_t *entry;
};

struct tg_registry_client {
    tg_registry_client_config_t config; /* without the site, which is */
    tg_registry_site_t *site;
    pthread_t thread;
    tg_loop_t *loop;
    atomic_uint_fast64_t answered_ms; /* when the registry answered last; 0 never */
    atomic_bool refused;              /* it does not accept our secret */

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool started, closing;
    tg_status_t start_status;
    tg_error_t start_error;
    tg_registry_cache_t *cache;
    struct waiter *undelivered; /* their loops' posts were full: tried again by the tick */

    /* loop thread */
    tg_http_client_t *http;
    tg_registry_answer_parser_t *parser;
    struct fetch *fetches;
    bool probing;
    tg_timer_t tick;
};

/* --- delivering --- */

static void on_deliver(void *arg)
{
    struct waiter *waiter = arg;
    waiter->done(waiter->arg, waiter->status, waiter->type);
    free(waiter);
}

/* The mutex is held. */
static void deliver(tg_registry_client_t *client, struct waiter *waiter, tg_status_t status,
                    tg_event_type_t *type)
{
    waiter->status = status;
    waiter->type = type != NULL ? tg_event_type_ref(type) : NULL;
    if (tg_loop_post(waiter->loop, on_deliver, waiter) == TG_OK)
        return;
    waiter->next = client->undelivered;
    client->undelivered = waiter;
}

/* The mutex is held. */
static void deliver_again(tg_registry_client_t *client)
{
    struct waiter *list = client->undelivered;
    client->undelivered = NULL;
    while (list != NULL) {
        struct waiter *waiter = list;
        list = waiter->next;
        if (tg_loop_post(waiter->loop, on_deliver, waiter) == TG_OK)
            continue;
        waiter->next = client->undelivered;
        client->undelivered = waiter;
    }
}

/* --- the end of a fetch: all of it on the loop thread --- */

static uint64_t retry_after(tg_status_t status)
{
    return status == TG_UNAVAILABLE ? RETRY_AWAY_MS : RETRY_UNKNOWN_MS;
}

/* What is known of the newest version counts no more. The mutex is held. */
static void entry_outdate(tg_registry_entry_t *entry)
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
        entry_outdate(entry);
    struct waiter *waiters = entry->waiters;
    entry->waiters = NULL;
    while (waiters != NULL) {
        struct waiter *next = waiters->next;
        deliver(client, waiters, entry->type != NULL ? TG_OK : entry->failure, entry->type);
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

/* --- the start of a fetch --- */

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

/* Lets the loop thread fetch `entry`. The mutex is held. */
static tg_status_t request_fetch(tg_registry_client_t *client, tg_registry_entry_t *entry)
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
    deliver_again(client);
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

static void on_tick(void *arg)
{
    tg_registry_client_t *client = arg;
    tg_registry_entry_t *entries[REFRESH_PER_TICK];
    size_t count = collect_due(client, entries, REFRESH_PER_TICK);
    for (size_t i = 0; i < count; i++)
        start_fetch(client, entries[i]);
    probe_if_silent(client);
    tg_timer_start(client->loop, &client->tick, TICK_MS, on_tick, client);
}

/* --- the thread --- */

static tg_status_t thread_open(tg_registry_client_t *client, tg_error_t *error)
{
    client->parser = tg_registry_answer_parser_create(MAX_BODY);
    client->loop = tg_loop_create();
    if (client->parser == NULL || client->loop == NULL)
        return tg_error_set(error, TG_NOMEM, "registry client: out of memory or descriptors");
    const tg_http_client_config_t config = {
        .name = "registry",
        .instances = tg_registry_site_instances(client->site),
        .max_connections = MAX_CONNECTIONS,
        .max_waiting = MAX_WAITING,
        .max_body = MAX_BODY,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .idle_timeout_ms = IDLE_TIMEOUT_MS,
        /* Tried again soon: the ticks and negative entries already bound what is asked. */
        .breaker = {5, 50, 20, 10000, 300, 1000, 3},
    };
    return tg_http_client_open(client->loop, &config, &client->http, error);
}

static void thread_close(tg_registry_client_t *client)
{
    tg_timer_stop(&client->tick);
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
    tg_http_client_close(client->http);
    client->http = NULL;
    tg_loop_destroy(client->loop); /* runs what was still posted, which settles it */
    tg_registry_answer_parser_destroy(client->parser);
}

static void *thread_main(void *arg)
{
    tg_registry_client_t *client = arg;
    tg_error_t error = {0};
    tg_status_t status = thread_open(client, &error);
    tg_loop_t *loop = client->loop;

    pthread_mutex_lock(&client->mutex);
    client->started = true;
    client->start_status = status;
    client->start_error = error;
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->mutex);
    if (status == TG_OK) {
        tg_timer_start(loop, &client->tick, 0, on_tick, client);
        tg_loop_run(loop);
    }
    thread_close(client);
    return NULL;
}

/* --- open and close --- */

static void client_free(tg_registry_client_t *client)
{
    assert(client->undelivered == NULL || client->closing);
    while (client->undelivered != NULL) {
        struct waiter *waiter = client->undelivered;
        client->undelivered = waiter->next;
        tg_event_type_unref(waiter->type);
        free(waiter);
    }
    tg_registry_cache_destroy(client->cache);
    pthread_cond_destroy(&client->changed);
    pthread_mutex_destroy(&client->mutex);
    tg_registry_site_close(client->site);
    free(client);
}

static tg_status_t client_new(const tg_registry_client_config_t *config,
                              tg_registry_client_t **out_client, tg_error_t *error)
{
    tg_registry_client_t *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        (void)tg_error_set(error, TG_NOMEM, "registry client: out of memory");
        return TG_NOMEM;
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&client->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&client->mutex, NULL);
    client->config = *config;
    client->config.site = NULL; /* the caller's */
    client->cache = tg_registry_cache_create(TG_REGISTRY_CACHE_MAX);
    tg_status_t status = tg_registry_site_open(config->site, &client->site, error);
    if (status == TG_OK && client->cache == NULL)
        status = tg_error_set(error, TG_NOMEM, "registry client: out of memory");
    if (status != TG_OK) {
        client_free(client);
        return status;
    }
    *out_client = client;
    return TG_OK;
}

tg_status_t tg_registry_client_open(const tg_registry_client_config_t *config,
                                    tg_registry_client_t **out_client, tg_error_t *error)
{
    assert(config->site != NULL);
    assert(config->timeout_ms > 0 && config->refresh_ms > 0);
    tg_registry_client_t *client = NULL;
    tg_status_t opened = client_new(config, &client, error);
    if (opened != TG_OK)
        return opened;
    if (tg_thread_start(&client->thread, thread_main, client) != 0) {
        client_free(client);
        return tg_error_set(error, TG_NOMEM, "registry client: no thread for it");
    }
    pthread_mutex_lock(&client->mutex);
    while (!client->started)
        pthread_cond_wait(&client->changed, &client->mutex);
    pthread_mutex_unlock(&client->mutex);
    if (client->start_status != TG_OK) {
        pthread_join(client->thread, NULL);
        tg_status_t status =
            tg_error_set(error, client->start_status, "%s", client->start_error.text);
        client_free(client);
        return status;
    }
    *out_client = client;
    return TG_OK;
}

void tg_registry_client_close(tg_registry_client_t *client)
{
    if (client == NULL)
        return;
    pthread_mutex_lock(&client->mutex);
    client->closing = true;
    pthread_mutex_unlock(&client->mutex);
    tg_loop_stop(client->loop);
    pthread_join(client->thread, NULL);
    client_free(client);
}

/* --- asking --- */

/* Whose entry serves a request. A built-in type is the default context's for everybody, so all
 * tenants share one: a tenant that was never seen before depends no more on the registry than
 * others. */
static tg_str_t context_of(tg_str_t tenant, tg_str_t type)
{
    return tg_event_type_builtin(type) ? TG_STR("") : tenant;
}

tg_event_type_t *tg_registry_type_cached(tg_registry_client_t *client, tg_str_t tenant,
                                         tg_str_t type)
{
    tg_event_type_t *found = NULL;
    pthread_mutex_lock(&client->mutex);
    tg_registry_entry_t *entry =
        tg_registry_cache_get(client->cache, context_of(tenant, type), type, 0);
    if (entry != NULL && entry->type != NULL) {
        entry->used_ms = tg_time_mono_ms();
        found = tg_event_type_ref(entry->type);
    }
    pthread_mutex_unlock(&client->mutex);
    return found;
}

/* What is known without a fetch; TG_FULL: nothing, ask. The mutex is held. */
static tg_status_t known(tg_registry_entry_t *entry, uint64_t now)
{
    if (entry->type != NULL)
        return TG_OK;
    if (!entry->in_flight && entry->failure != TG_OK && now < entry->retry_at_ms)
        return entry->failure;
    return TG_FULL;
}

/* Answers `waiter` from what is known, or hangs it on the entry's fetch. The mutex is held. */
static void ask(tg_registry_client_t *client, tg_registry_entry_t *entry, struct waiter *waiter)
{
    uint64_t now = tg_time_mono_ms();
    entry->used_ms = now;
    tg_status_t status = known(entry, now);
    if (status == TG_FULL && !entry->in_flight && request_fetch(client, entry) != TG_OK)
        status = TG_UNAVAILABLE;
    if (status != TG_FULL) {
        deliver(client, waiter, status, entry->type);
        return;
    }
    waiter->next = entry->waiters;
    entry->waiters = waiter;
}

tg_status_t tg_registry_type_fetch(tg_registry_client_t *client, tg_str_t tenant, tg_str_t type,
                                   tg_loop_t *loop, tg_registry_done_fn done, void *arg)
{
    assert(loop != NULL);
    assert(done != NULL);
    struct waiter *waiter = calloc(1, sizeof(*waiter));
    if (waiter == NULL)
        return TG_NOMEM;
    waiter->loop = loop;
    waiter->done = done;
    waiter->arg = arg;
    bool named = tg_event_tenant_ok(tenant) && tg_event_type_name_ok(type);

    pthread_mutex_lock(&client->mutex);
    tg_registry_entry_t *entry =
        !named ? NULL
               : tg_registry_cache_make(client->cache, context_of(tenant, type), type, 0,
                                        tg_time_mono_ms());
    if (entry != NULL)
        ask(client, entry, waiter);
    else
        deliver(client, waiter, named ? TG_UNAVAILABLE : TG_NOT_FOUND, NULL);
    pthread_mutex_unlock(&client->mutex);
    return TG_OK;
}

/* --- announcements --- */

/* Fetched at once where it is known. The mutex is held. */
static void renew(tg_registry_client_t *client, tg_registry_entry_t *entry)
{
    entry_outdate(entry);
    if (entry->type != NULL && !entry->in_flight)
        (void)request_fetch(client, entry); /* else by the tick */
}

void tg_registry_client_announce(tg_registry_client_t *client, tg_str_t tenant, tg_str_t type)
{
    pthread_mutex_lock(&client->mutex);
    tg_registry_entry_t *entry = tg_registry_cache_get(client->cache, tenant, type, 0);
    if (tenant.len > 0 && entry != NULL)
        renew(client, entry);
    size_t cursor = 0;
    while (tenant.len == 0 && (entry = tg_registry_cache_next(client->cache, &cursor)) != NULL) {
        if (entry->id == 0 && tg_str_eq(tg_str_from(entry->type_name), type))
            renew(client, entry);
    }
    pthread_mutex_unlock(&client->mutex);
}

void tg_registry_client_announce_all(tg_registry_client_t *client)
{
    uint64_t now = tg_time_mono_ms();
    pthread_mutex_lock(&client->mutex);
    size_t cursor = 0;
    tg_registry_entry_t *entry = tg_registry_cache_next(client->cache, &cursor);
    for (; entry != NULL; entry = tg_registry_cache_next(client->cache, &cursor)) {
        if (entry->id != 0)
            continue;
        entry_outdate(entry);
        entry->used_ms = now; /* so that the tick takes it, some at a time */
    }
    pthread_mutex_unlock(&client->mutex);
}

size_t tg_registry_client_cached(tg_registry_client_t *client)
{
    pthread_mutex_lock(&client->mutex);
    size_t count = tg_registry_cache_len(client->cache);
    pthread_mutex_unlock(&client->mutex);
    return count;
}

static struct timespec monotonic_at(uint64_t ms)
{
    return (struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
}

/* One look; TG_FULL: wait for a change and look again. The mutex is held. */
static tg_status_t look(tg_registry_client_t *client, tg_str_t tenant, tg_str_t type,
                        uint32_t schema_id, tg_event_type_t **out_type)
{
    uint64_t now = tg_time_mono_ms();
    tg_registry_entry_t *entry =
        tg_registry_cache_make(client->cache, context_of(tenant, type), type, schema_id, now);
    if (entry == NULL)
        return TG_UNAVAILABLE;
    entry->used_ms = now;
    tg_status_t status = known(entry, now);
    if (status == TG_OK)
        *out_type = tg_event_type_ref(entry->type);
    if (status == TG_FULL && !entry->in_flight && request_fetch(client, entry) != TG_OK)
        return TG_UNAVAILABLE;
    return status;
}

tg_status_t tg_registry_schema_wait(tg_registry_client_t *client, tg_str_t tenant, tg_str_t type,
                                    uint32_t schema_id, uint64_t timeout_ms,
                                    tg_event_type_t **out_type)
{
    assert(out_type != NULL);
    if (schema_id == 0 || !tg_event_tenant_ok(tenant) || !tg_event_type_name_ok(type))
        return TG_NOT_FOUND;
    struct timespec until = monotonic_at(tg_time_mono_ms() + timeout_ms);

    pthread_mutex_lock(&client->mutex);
    tg_status_t status = look(client, tenant, type, schema_id, out_type);
    while (status == TG_FULL) {
        if (pthread_cond_timedwait(&client->changed, &client->mutex, &until) != 0)
            break;
        status = look(client, tenant, type, schema_id, out_type);
    }
    pthread_mutex_unlock(&client->mutex);
    return status == TG_FULL ? TG_TIMEOUT : status;
}

bool tg_registry_client_ready(tg_registry_client_t *client, tg_buf_t *out_detail)
{
    uint64_t answered = atomic_load(&client->answered_ms);
    if (atomic_load(&client->refused)) {
        tg_buf_printf(out_detail, "the registry refuses the %s",
                      tg_registry_site_foreign(client->site) ? "credentials" : "shared secret");
        return false;
    }
    if (answered == 0) {
        tg_buf_str(out_detail, TG_STR("the registry has not answered yet"));
        return false;
    }
    uint64_t silent = tg_time_mono_ms() - answered;
    tg_buf_printf(out_detail, "the registry answered %llu ms ago", (unsigned long long)silent);
    return silent < READY_WITHIN_MS;
}
