/* Options, the pump, POST /emit, /ready, the summary.
 *
 * The pump runs at each tick of send.linger and sends everything that is due, partly filled
 * requests too; between ticks it runs only when it had to stop for want of a free request. */
#include "loadtest/simulator/simulator.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/hash.h"
#include "common/base/time.h"
#include "common/http/server.h"
#include "common/observe/log.h"
#include "loadtest/simulator/answer.h"
#include "loadtest/simulator/emit.h"
#include "loadtest/simulator/metrics.h"
#include "loadtest/simulator/sender.h"

#define ROUTES      3
#define SUMMARY_MAX ((size_t)4 << 20)
#define EVENT_MAX   (2 * TG_EMIT_BODY_MAX)
#define TURN_MS     20

#define AT(member) offsetof(tg_simulator_config_t, member)
// clang-format off
static const tg_option_t options[] = {
    {"http.listen",       TG_OPT_STR,    AT(listen),       "127.0.0.1:8085", 3, 255,    "Address and port of POST /emit (port 0: any)."},
    {"http.admin_listen", TG_OPT_STR,    AT(admin_listen), "127.0.0.1:8095", 3, 255,    "Address and port of /health, /ready and /metrics (port 0: any)."},
    {"gateway",           TG_OPT_STR,    AT(gateway),      "127.0.0.1:8080", 3, 1024,   "Gateways, host:port[,...]."},
    {"key",               TG_OPT_SECRET, AT(key),          "",     1, 256,              "API key with the scope ingest."},
    {"seed",              TG_OPT_UINT,   AT(seed),         "1",    0, 9e15,             "The same seed and rates give the same events, byte for byte apart from the start."},
    {"start",             TG_OPT_STR,    AT(start),        "now",  3, 64,               "Time base: now, or an RFC 3339 time; what is due before now is sent at once."},
    {"history",           TG_OPT_MS,     AT(history_ms),   "0ms",  0, 34560000000.0,    "Begin so long before now instead of at the start; 0: at the start."},
    {"rate",              TG_OPT_DOUBLE, AT(rate),         "1",    0.001, 10000,        "Factor on all rates."},
    {"rate.reading",      TG_OPT_DOUBLE, AT(rates[TG_SIM_READING]),  "30",   0, 100000, "Readings per second: 10 devices with 3 sensors each."},
    {"rate.activity",     TG_OPT_DOUBLE, AT(rates[TG_SIM_ACTIVITY]), "50",   0, 100000, "Activities per second."},
    {"rate.signal",       TG_OPT_DOUBLE, AT(rates[TG_SIM_SIGNAL]),   "1000", 0, 100000, "Signals per second."},
    {"rate.order",        TG_OPT_DOUBLE, AT(rates[TG_SIM_ORDER]),    "5",    0, 100000, "Orders per second."},
    {"rate.session",      TG_OPT_DOUBLE, AT(rates[TG_SIM_SESSION]),  "20",   0, 100000, "Steps of sessions per second: view, checkout, purchase."},
    {"rate.stream",       TG_OPT_DOUBLE, AT(rates[TG_SIM_STREAM]),   "40",   0, 100000, "Stream events per second: joins, leaves, chat messages, donations."},
    {"types",             TG_OPT_STR,    AT(types),        "reading,activity,signal,order,session,stream", 4, 128, "Event types to send, comma separated."},
    {"events",            TG_OPT_UINT,   AT(events),       "0",    0, 1e15,             "End after exactly so many events; 0: no end."},
    {"duration",          TG_OPT_MS,     AT(duration_ms),  "0ms",  0, 34560000000.0,    "End with the events of so long a time; 0: no end."},
    {"ledger",            TG_OPT_STR,    AT(ledger),       "",     0, 4095,             "File to which each acknowledged event is appended, one JSON line each."},
    {"single",            TG_OPT_BOOL,   AT(single),       "false", 0, 0,               "Post each event alone to /v1/events/{type} instead of batches to /v2/events."},
    {"send.batch",        TG_OPT_UINT,   AT(batch),        "500",  1, TG_SENDER_BATCH_MAX, "Most events in one request."},
    {"send.inflight",     TG_OPT_UINT,   AT(inflight),     "16",   1, 1024,             "Most requests that are not settled; then events wait, and the schedule is behind."},
    {"send.linger",       TG_OPT_MS,     AT(linger_ms),    "100ms", 1, 60000,           "How often what is due is sent."},
    {"send.deadline",     TG_OPT_MS,     AT(deadline_ms),  "10s",  100, 600000,         "Longest wait for an answer; then the request is sent again."},
    {"send.give_up",      TG_OPT_MS,     AT(give_up_ms),   "2m",   0, 86400000,         "An event that is not acknowledged so long after its first try is given up."},
    {"send.drain",        TG_OPT_MS,     AT(drain_ms),     "5s",   0, 600000,           "On SIGTERM, longest wait for what is under way."},
    {"log.level",         TG_OPT_STR,    AT(log_level),    "info", 4, 5,                "debug, info, warn or error."},
};
// clang-format on

const tg_program_t tg_simulator_program = {
    .name = "simulator",
    .summary = "Sends the events of a small made-up world through the gateway.",
    .options = options,
    .option_count = TG_ARRAY_LEN(options),
};

const tg_metric_desc_t tg_sim_metrics[SIM_METRIC_COUNT] = {
#define TG_METRIC(id, kind, name, labels, help) [id] = {TG_##kind, name, labels, help},
#include "loadtest/simulator/metrics.def"
#undef TG_METRIC
};

struct simulator {
    const tg_simulator_config_t *config;
    tg_generator_config_t world;
    int64_t end_us; /* no event from here on; INT64_MAX: no end */
    tg_metrics_t *metrics;
    tg_ledger_t *ledger;

    /* On the loop's thread. */
    tg_loop_t *loop;
    tg_metrics_shard_t *shard;
    tg_generator_t *generator;
    tg_emitter_t *emitter;
    tg_sender_t *sender;
    tg_buf_t emitted;
    tg_timer_t tick;
    uint64_t produced, started_us;
    bool ended;    /* no more events are made */
    bool starved;  /* the pump stopped for want of a free request */
    bool told_end; /* the main thread knows */

    atomic_bool failing; /* for /ready */
    atomic_llong behind_ms;
    bool ledger_failed;
    double seconds;
};

/* --- the pump --- */

/* Without an end, a simulator that has nothing to send stays for POST /emit. */
static bool is_over(struct simulator *sim, int64_t due)
{
    if ((sim->end_us != INT64_MAX && due >= sim->end_us) ||
        (sim->config->events > 0 && sim->produced >= sim->config->events))
        sim->ended = true;
    return sim->ended;
}

static void fill(struct simulator *sim, tg_parcel_t *parcel, int64_t now)
{
    int64_t due = tg_generator_due(sim->generator);
    while (!tg_parcel_is_full(parcel) && due <= now && !is_over(sim, due)) {
        tg_parcel_add(parcel, sim->generator);
        sim->produced++;
        due = tg_generator_due(sim->generator);
    }
}

static void show_state(struct simulator *sim, int64_t now)
{
    tg_sender_state_t state = tg_sender_get_state(sim->sender);
    int64_t due = tg_generator_due(sim->generator);
    int64_t behind = !sim->ended && due < now ? (now - due) / TG_US_PER_MS : 0;
    tg_metric_set(sim->shard, SIM_INFLIGHT, 0, (int64_t)state.inflight);
    tg_metric_set(sim->shard, SIM_WAITING, 0, (int64_t)state.waiting_events);
    tg_metric_set(sim->shard, SIM_BEHIND, 0, behind);
    atomic_store(&sim->failing, state.failing);
    atomic_store(&sim->behind_ms, behind);
    sim->ledger_failed |= state.ledger_failed;
}

/* Once everything is settled, the process may leave as on a SIGTERM from outside. */
static void tell_end(struct simulator *sim)
{
    bool over = sim->ledger_failed || (sim->ended && tg_sender_is_idle(sim->sender));
    if (!over || sim->told_end)
        return;
    sim->told_end = true;
    (void)kill(getpid(), SIGTERM);
}

static void pump(struct simulator *sim)
{
    int64_t now = tg_time_now();
    int64_t due = tg_generator_due(sim->generator);
    sim->starved = false;
    while (due <= now && !is_over(sim, due) && !sim->starved) {
        tg_parcel_t *parcel = tg_sender_take(sim->sender);
        sim->starved = parcel == NULL;
        if (parcel == NULL)
            break;
        fill(sim, parcel, now);
        tg_sender_send(sim->sender, parcel);
        due = tg_generator_due(sim->generator);
    }
    (void)is_over(sim, due); /* the last one may be long before the end */
    show_state(sim, now);
    tell_end(sim);
}

static void on_tick(void *arg)
{
    struct simulator *sim = arg;
    pump(sim);
    tg_timer_start(sim->loop, &sim->tick, sim->config->linger_ms, on_tick, sim);
}

static void on_settled(void *arg)
{
    struct simulator *sim = arg;
    if (sim->starved) {
        pump(sim);
        return;
    }
    show_state(sim, tg_time_now());
    tell_end(sim);
}

/* --- POST /emit --- */

struct emission {
    struct simulator *sim;
    tg_http_req_t *req;
    tg_http_call_t *call;
    tg_ledger_entry_t entry; /* its texts are in the request's arena */
};

static void note_emission(struct emission *emission, int code, tg_str_t event_id)
{
    struct simulator *sim = emission->sim;
    unsigned result = SIM_EMIT_FAILED;
    if (event_id.len > 0) {
        result = SIM_EMIT_ACCEPTED;
        emission->entry.event_id = event_id;
        tg_ledger_acknowledged(sim->ledger, &emission->entry);
    } else if (code >= 400 && code < 500 && code != 429) {
        result = SIM_EMIT_REFUSED;
        tg_ledger_failed(sim->ledger, TG_LEDGER_REFUSED, "emit", &emission->entry);
    } else {
        tg_ledger_failed(sim->ledger, TG_LEDGER_GIVEN_UP, "emit", &emission->entry);
    }
    tg_metric_add(sim->shard, SIM_EMITTED, result, 1);
    if (tg_ledger_flush(sim->ledger) != TG_OK)
        sim->ledger_failed = true;
}

static void on_emitted(void *arg, tg_status_t status, const tg_http_response_t *response)
{
    struct emission *emission = arg;
    tg_http_req_t *req = emission->req;
    emission->call = NULL;
    if (status != TG_OK) {
        note_emission(emission, 0, TG_STR(""));
        tg_http_fail(req, status == TG_TIMEOUT ? 504 : 502, "no_answer", TG_STR(""),
                     "The gateway gave no answer (%s); whether the event is stored is unknown.",
                     tg_status_name(status));
        return;
    }
    tg_answer_item_t item = {0};
    tg_json_parser_t *parser = tg_json_parser_create(TG_EMIT_BODY_MAX, 16);
    bool stored = response->code == 202 && parser != NULL &&
                  tg_answer_parse_single(parser, response->body, &item) == TG_OK;
    note_emission(emission, response->code, stored ? item.event_id : TG_STR(""));
    tg_json_parser_destroy(parser);
    tg_str_t retry_after = tg_http_response_header(response, "retry-after");
    if (retry_after.len > 0)
        tg_http_add_header(req, "retry-after", retry_after);
    tg_http_reply(req, response->code, "application/json", response->body);
}

static void on_gone(void *user)
{
    struct emission *emission = user;
    assert(emission->call != NULL);
    tg_http_call_cancel(emission->call);
    note_emission(emission, 0, TG_STR(""));
}

/* The entry outlives the emitter's documents. */
static bool keep_entry(tg_arena_t *arena, const tg_ledger_entry_t *from, tg_ledger_entry_t *to)
{
    *to = *from;
    to->kind = tg_arena_copy(arena, from->kind);
    to->entity = tg_arena_copy(arena, from->entity);
    to->event = tg_arena_copy(arena, from->event);
    return to->kind.ptr != NULL && to->entity.ptr != NULL && to->event.ptr != NULL;
}

static void handle_emit(tg_http_req_t *req, void *thread_ctx)
{
    struct simulator *sim = thread_ctx;
    tg_arena_t *arena = tg_http_arena(req);
    struct emission *emission = tg_arena_alloc(arena, sizeof(*emission));
    tg_ledger_entry_t entry;
    tg_error_t error = {.status = TG_OK};
    tg_buf_clear(&sim->emitted);
    if (tg_emitter_make(sim->emitter, tg_http_body(req), tg_time_now(), &sim->emitted, &entry,
                        &error) != TG_OK) {
        tg_http_fail(req, 400, "invalid_emit", TG_STR(""), "%s", error.text);
        return;
    }
    if (emission == NULL || !keep_entry(arena, &entry, &emission->entry)) {
        tg_http_fail(req, 503, "overloaded", TG_STR(""), "Out of memory; retry.");
        return;
    }
    emission->sim = sim;
    emission->req = req;
    tg_http_set_user(req, emission, on_gone);
    emission->call = tg_sender_post(sim->sender, emission->entry.type, emission->entry.event,
                                    tg_http_deadline_at(req), on_emitted, emission);
    if (emission->call == NULL)
        on_emitted(emission, TG_NOMEM, NULL);
}

static bool ready(void *arg, tg_buf_t *out)
{
    struct simulator *sim = arg;
    bool good = !atomic_load(&sim->failing);
    tg_buf_printf(out, "{\"name\":\"gateway\",\"ready\":%s,\"detail\":\"%s, %lld ms behind\"}",
                  good ? "true" : "false", good ? "takes events" : "refuses or is away",
                  (long long)atomic_load(&sim->behind_ms));
    return good;
}

/* --- the thread --- */

static tg_status_t open_sender(struct simulator *sim, tg_error_t *error)
{
    const tg_simulator_config_t *config = sim->config;
    const tg_sender_config_t sender = {
        .gateway = config->gateway,
        .key = config->key,
        .single = config->single,
        .batch = config->single ? 1 : config->batch,
        .inflight = config->inflight,
        .deadline_ms = config->deadline_ms,
        .give_up_ms = config->give_up_ms,
    };
    return tg_sender_open(sim->loop, &sender, sim->shard, sim->ledger, on_settled, sim,
                          &sim->sender, error);
}

/* What is under way gets some time to be acknowledged; the rest is given up. */
static void thread_stop(void *thread_ctx)
{
    struct simulator *sim = thread_ctx;
    if (sim == NULL)
        return;
    tg_timer_stop(&sim->tick);
    sim->ended = true;
    sim->told_end = true;
    uint64_t until = tg_time_mono_ms() + sim->config->drain_ms;
    while (sim->sender != NULL && !tg_sender_is_idle(sim->sender) && tg_time_mono_ms() < until)
        tg_loop_turn(sim->loop, TURN_MS);
    sim->seconds = (double)(tg_time_mono_us() - sim->started_us) / 1e6;
    tg_sender_close(sim->sender);
    tg_emitter_destroy(sim->emitter);
    tg_generator_destroy(sim->generator);
    tg_buf_dispose(&sim->emitted);
    sim->sender = NULL;
    sim->emitter = NULL;
    sim->generator = NULL;
}

static tg_status_t thread_start(void *arg, tg_loop_t *loop, tg_metrics_shard_t *shard,
                                void **out_thread_ctx, tg_error_t *error)
{
    struct simulator *sim = arg;
    uint64_t emit_seed = 0;
    assert(sim->loop == NULL); /* one thread only */
    tg_hash_random(&emit_seed, sizeof(emit_seed));
    sim->loop = loop;
    sim->shard = shard;
    sim->started_us = tg_time_mono_us();
    sim->generator = tg_generator_create(&sim->world);
    sim->emitter = tg_emitter_create(emit_seed >> 12);
    sim->emitted = tg_buf_make(EVENT_MAX);
    tg_status_t status = TG_OK;
    if (sim->generator == NULL || sim->emitter == NULL)
        status = tg_error_set(error, TG_NOMEM, "out of memory");
    if (status == TG_OK)
        status = open_sender(sim, error);
    if (status != TG_OK) {
        thread_stop(sim);
        return status;
    }
    tg_timer_start(loop, &sim->tick, 0, on_tick, sim);
    *out_thread_ctx = sim;
    return TG_OK;
}

/* --- the run --- */

/* The rates of the types that are wanted. */
static tg_status_t choose_types(const tg_simulator_config_t *config, double rates[TG_SIM_TYPES],
                                tg_error_t *error)
{
    for (const char *at = config->types; at != NULL;) {
        const char *comma = strchr(at, ',');
        tg_str_t name = {at, comma == NULL ? strlen(at) : (size_t)(comma - at)};
        tg_sim_type_t type = tg_sim_type_of(name);
        if (type == TG_SIM_TYPES)
            return tg_error_set(error, TG_INVALID, "types: there is no \"" TG_STR_FMT "\"",
                                TG_STR_ARG(name));
        rates[type] = config->rates[type] * config->rate;
        at = comma == NULL ? NULL : comma + 1;
    }
    return TG_OK;
}

/* Where the world is entered, and where it ends. */
static tg_status_t choose_times(struct simulator *sim, tg_error_t *error)
{
    const tg_simulator_config_t *config = sim->config;
    tg_generator_config_t *world = &sim->world;
    world->begin_us = tg_time_now() - (int64_t)config->history_ms * TG_US_PER_MS;
    world->start_us = world->begin_us;
    bool fixed = strcmp(config->start, "now") != 0;
    if (fixed && tg_time_parse(tg_str_from(config->start), &world->start_us) != TG_OK)
        return tg_error_set(error, TG_INVALID,
                            "start: \"%s\" is neither now nor a time like 2026-02-03T10:00:00Z",
                            config->start);
    if (world->begin_us < world->start_us || config->history_ms == 0)
        world->begin_us = world->start_us;
    sim->end_us = INT64_MAX;
    if (config->duration_ms > 0)
        sim->end_us = world->begin_us + (int64_t)config->duration_ms * TG_US_PER_MS;
    return TG_OK;
}

/* The part of a key that is no secret: tg_<id>_<secret>. */
static void key_id(const char *key, char out[16])
{
    (void)snprintf(out, 16, "%.12s", strncmp(key, "tg_", 3) == 0 ? key + 3 : "");
}

static tg_status_t open_simulator(struct simulator *sim, tg_error_t *error)
{
    char id[16];
    key_id(sim->config->key, id);
    sim->world.seed = sim->config->seed;
    tg_status_t status = choose_types(sim->config, sim->world.rates, error);
    if (status == TG_OK)
        status = choose_times(sim, error);
    if (status == TG_OK)
        status = tg_ledger_open(sim->config->ledger, id, &sim->ledger, error);
    sim->metrics = tg_metrics_create(tg_sim_metrics, SIM_METRIC_COUNT);
    if (status == TG_OK && sim->metrics == NULL)
        status = tg_error_set(error, TG_NOMEM, "out of memory");
    return status;
}

static void print_summary(const struct simulator *sim)
{
    struct rusage own;
    char start[TG_TIME_TEXT_MAX];
    tg_buf_t out = tg_buf_make(SUMMARY_MAX);
    tg_ledger_counts_t counts = tg_ledger_counts(sim->ledger);
    (void)getrusage(RUSAGE_SELF, &own);
    double cpu = (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec) +
                 (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec) / 1e6;
    (void)tg_time_format(sim->world.start_us, start);
    tg_buf_printf(&out,
                  "{\"seed\":%llu,\"start\":\"%s\",\"seconds\":%.3f,\"cpu_seconds\":%.3f,"
                  "\"produced\":%llu,\"events\":%llu,\"given_up\":%llu,\"refused\":%llu,",
                  (unsigned long long)sim->world.seed, start, sim->seconds, cpu,
                  (unsigned long long)sim->produced, (unsigned long long)counts.acknowledged,
                  (unsigned long long)counts.given_up, (unsigned long long)counts.refused);
    tg_ledger_write_sums(sim->ledger, &out);
    tg_buf_str(&out, TG_STR("}"));
    if (!out.failed)
        (void)printf(TG_STR_FMT "\n", TG_STR_ARG(tg_buf_view(&out)));
    (void)fflush(stdout);
    tg_buf_dispose(&out);
}

static int serve(struct simulator *sim)
{
    const tg_http_config_t http = {
        .listen = sim->config->listen,
        .admin_listen = sim->config->admin_listen,
        .threads = 1,
        .max_connections = 64,
        .max_inflight = 32,
        .header_timeout_ms = 5000,
        .idle_timeout_ms = 30000,
        .write_timeout_ms = 5000,
        .deadline_ms = 10000,
        .drain_ms = 1000,
    };
    const tg_http_route_t routes[ROUTES] = {
        {.method = "POST", .path = "/emit", .handler = handle_emit, .max_body = TG_EMIT_BODY_MAX},
        {.method = "GET", .path = "/health", .handler = tg_http_handle_health},
        {.method = "GET", .path = "/ready", .handler = tg_http_handle_ready},
    };
    const tg_http_service_t service = {
        .name = "simulator",
        .config = &http,
        .routes = routes,
        .route_count = ROUTES,
        .metrics = sim->metrics,
        .thread_start = thread_start,
        .thread_stop = thread_stop,
        .ready = ready,
        .arg = sim,
    };
    int code = tg_http_server_run(&service);
    tg_ledger_counts_t counts = tg_ledger_counts(sim->ledger);
    if (code != 0)
        return code;
    print_summary(sim);
    return sim->ledger_failed || counts.given_up > 0 || counts.refused > 0;
}

int tg_simulator_run(const void *config)
{
    static struct simulator sim;
    tg_error_t error = {.status = TG_OK};
    sim.config = config;
    int code = 1;
    if (open_simulator(&sim, &error) != TG_OK)
        tg_log_error("start_failed", TG_F_TEXT("reason", error.text));
    else
        code = serve(&sim);
    tg_metrics_destroy(sim.metrics);
    tg_ledger_close(sim.ledger);
    return code;
}
