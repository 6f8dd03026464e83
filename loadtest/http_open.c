/* Sends requests by a schedule that does not care how the server is, and measures what became of
 * each.
 *
 * An open loop: arrivals are a constant or a Poisson stream, and a request's time counts from when
 * it was to arrive, also when no connection was free for it then. A server that stalls cannot hide
 * that by making us send less (coordinated omission). The load comes in phases, as normal,
 * overload, normal; each request belongs to the phase in which it was to arrive. A cut connection
 * is a lost request and is made anew. Prints one JSON object:
 *
 *   phases[]: sent; how many were ok (2xx), limited (429), refused (503), late (504), other, lost;
 *   latency of the ok and of the limited or refused ones; goodput: ok answers that came in this
 *   phase per second of it; recovered_ms: when, from the phase's start, the last request arrived
 *   that was not ok within load.slow.
 *
 *   http_open --load.target=127.0.0.1:8080 --load.keys=FILE --load.get=/v1/metrics \
 *             --load.phases=500:2000,5000:8000,500:6000
 *
 * Limits: CONNECTIONS_MAX, PHASES_MAX. What cannot be sent within LAST_ANSWERS_US of the end is
 * lost. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "loadtest/ask.h"
#include "loadtest/bench_main.h"
#include "loadtest/histogram.h"
#include "loadtest/simulator/rng.h"
#include "loadtest/wire.h"

#define CONNECTIONS_MAX 16384
#define PHASES_MAX      8
#define RATE_MAX        1000000
#define PHASE_MS_MAX    3600000
#define REQUEST_MAX     ((size_t)16 << 10)      /* room of one that carries one event */
#define LAST_ANSWERS_US (12 * TG_US_PER_SECOND) /* for what is under way at the end */
#define POLL_US         (100 * TG_US_PER_MS)

struct settings {
    tg_ask_settings_t ask;
    char *phases;
    uint64_t connections, seed, slow_ms;
    bool poisson;
};

#define AT(member) offsetof(struct settings, member)
// clang-format off
static const tg_option_t options[] = {
    TG_ASK_OPTIONS(struct settings, ask),
    {"load.phases", TG_OPT_STR, AT(phases), "1000:4000", 3, 256, "What is to arrive: RATE:MS,…: requests per second for so many ms."},
    {"load.poisson", TG_OPT_BOOL, AT(poisson), "false", 0, 0, "Arrivals by chance, instead of evenly."},
    {"load.seed", TG_OPT_UINT, AT(seed), "1", 0, 1e15, "Of that chance."},
    {"load.slow", TG_OPT_MS, AT(slow_ms), "100ms", 1, 60000, "An answer later than this is not what a normal phase has."},
    {"load.connections", TG_OPT_UINT, AT(connections), "64", 1, CONNECTIONS_MAX, "Connections, each with one request at a time."},
};
// clang-format on

static const tg_program_t program = {
    .name = "http_open",
    .summary = "Sends by a schedule and measures from when each request was due; for benchmarks.",
    .options = options,
    .option_count = TG_ARRAY_LEN(options),
};

enum outcome { OK, LIMITED, REFUSED, LATE, OTHER, LOST, OUTCOMES };

static const char *const outcome_names[OUTCOMES] = {"ok",   "limited", "refused",
                                                    "late", "other",   "lost"};

struct phase {
    uint64_t rate, ms;
    uint64_t ends_us; /* from the start of the run */
    uint64_t sent;
    uint64_t outcomes[OUTCOMES];
    uint64_t ok_came;  /* ok answers that came in it, whenever they were asked for */
    uint64_t abnormal; /* µs from its start at which the last abnormal request arrived */
    tg_histogram_t ok, refused;
};

struct connection {
    tg_wire_t wire;  /* first: it is the epoll set's */
    uint64_t due_us; /* when its request arrived; from the start of the run */
    size_t phase;
};

struct load {
    const struct settings *settings;
    struct sockaddr_in address;
    tg_ask_t ask;
    tg_rng_t rng;
    int epoll;
    struct connection *connections;
    struct connection **idle; /* ring of those without a request */
    size_t idle_first, idle_count;
    struct phase phases[PHASES_MAX];
    size_t phase_count, phase;
    uint64_t started_us;
    double due_us; /* of the next request to arrive, from the start */
    int bad_code;  /* last code that is neither ok nor a refusal */
};

static uint64_t elapsed_us(const struct load *load)
{
    return tg_time_mono_us() - load->started_us;
}

/* --- the schedule --- */

static uint64_t phase_start_us(const struct load *load, size_t phase)
{
    return phase == 0 ? 0 : load->phases[phase - 1].ends_us;
}

/* Ends the phases that are over before the next arrival; false when that was the last one. */
static bool arrives(struct load *load)
{
    while (load->phase < load->phase_count &&
           load->due_us >= (double)load->phases[load->phase].ends_us) {
        load->due_us = (double)load->phases[load->phase].ends_us;
        load->phase++;
    }
    return load->phase < load->phase_count;
}

static void schedule_next(struct load *load)
{
    double mean = 1e6 / (double)load->phases[load->phase].rate;
    load->due_us += load->settings->poisson ? mean * tg_rng_exponential(&load->rng) : mean;
}

/* --- outcomes --- */

static enum outcome outcome_of(int code)
{
    if (code >= 200 && code <= 299)
        return OK;
    if (code == 429)
        return LIMITED;
    if (code == 503)
        return REFUSED;
    return code == 504 ? LATE : OTHER;
}

/* Of the request that was due in that phase at that time. */
static void note(struct load *load, size_t phase_number, uint64_t due_us, enum outcome outcome)
{
    uint64_t now = elapsed_us(load), took = now - due_us;
    struct phase *phase = &load->phases[phase_number];
    phase->outcomes[outcome]++;
    if (outcome == OK)
        tg_histogram_add(&phase->ok, took);
    else if (outcome == LIMITED || outcome == REFUSED)
        tg_histogram_add(&phase->refused, took);
    uint64_t since = due_us - phase_start_us(load, phase_number);
    if ((outcome != OK || took > load->settings->slow_ms * 1000) && since > phase->abnormal)
        phase->abnormal = since;
    for (size_t i = 0; outcome == OK && i < load->phase_count; i++) {
        if (now < load->phases[i].ends_us) {
            load->phases[i].ok_came++;
            break;
        }
    }
}

static void put_idle(struct load *load, struct connection *connection)
{
    assert(load->idle_count < load->settings->connections);
    load->idle[(load->idle_first + load->idle_count++) % load->settings->connections] = connection;
}

/* A connection that failed, with or without a request on it, is made anew. */
static bool renew(struct load *load, struct connection *connection)
{
    bool busy = connection->wire.busy;
    if (busy)
        note(load, connection->phase, connection->due_us, LOST);
    tg_wire_close(&connection->wire);
    if (!tg_wire_open(&connection->wire, &load->address))
        return false;
    if (busy)
        put_idle(load, connection);
    return true;
}

/* --- the run --- */

/* Sends what has arrived, as far as there are connections. */
static bool send_due(struct load *load)
{
    while (load->idle_count > 0 && arrives(load) && load->due_us <= (double)elapsed_us(load)) {
        struct connection *connection = load->idle[load->idle_first];
        load->idle_first = (load->idle_first + 1) % load->settings->connections;
        load->idle_count--;
        connection->due_us = (uint64_t)load->due_us;
        connection->phase = load->phase;
        load->phases[load->phase].sent++;
        tg_ask_write(&load->ask, &connection->wire.request);
        schedule_next(load);
        if (!tg_wire_send(&connection->wire) && !renew(load, connection))
            return false;
    }
    return true;
}

static bool handle(struct load *load, const struct epoll_event *event)
{
    struct connection *connection = event->data.ptr;
    tg_wire_t *wire = &connection->wire;
    tg_wire_state_t state = TG_WIRE_MORE;
    if ((event->events & EPOLLOUT) != 0 && !tg_wire_push(wire))
        state = TG_WIRE_LOST;
    else if ((event->events & ~(uint32_t)EPOLLOUT) != 0)
        state = tg_wire_pull(wire);
    if (state == TG_WIRE_LOST)
        return renew(load, connection);
    if (state == TG_WIRE_MORE)
        return true;
    enum outcome outcome = outcome_of(wire->code);
    if (outcome == LATE || outcome == OTHER)
        load->bad_code = wire->code;
    note(load, connection->phase, connection->due_us, outcome);
    put_idle(load, connection);
    return true;
}

/* How long nothing can be due. */
static struct timespec pause_until_due(const struct load *load)
{
    double left = load->due_us - (double)elapsed_us(load);
    if (load->idle_count == 0 || load->phase >= load->phase_count || left > (double)POLL_US)
        left = (double)POLL_US;
    return (struct timespec){.tv_nsec = left > 0 ? (long)(left * 1e3) : 0};
}

static bool run(struct load *load)
{
    struct epoll_event events[256];
    uint64_t most = load->phases[load->phase_count - 1].ends_us + (uint64_t)LAST_ANSWERS_US;
    load->started_us = tg_time_mono_us();
    while ((arrives(load) || load->idle_count < load->settings->connections) &&
           elapsed_us(load) < most) {
        if (!send_due(load))
            return false;
        struct timespec pause = pause_until_due(load);
        int n = epoll_pwait2(load->epoll, events, TG_ARRAY_LEN(events), &pause, NULL);
        for (int i = 0; i < n; i++) {
            if (!handle(load, &events[i]))
                return false;
        }
    }
    return true;
}

/* What is under way at the very end, or was never sent, is lost. */
static void note_rest(struct load *load)
{
    for (size_t i = 0; i < load->settings->connections; i++) {
        const struct connection *connection = &load->connections[i];
        if (connection->wire.busy)
            note(load, connection->phase, connection->due_us, LOST);
    }
    for (; arrives(load); schedule_next(load)) {
        load->phases[load->phase].sent++;
        note(load, load->phase, (uint64_t)load->due_us, LOST);
    }
}

/* --- life --- */

/* "RATE:MS,…"; false when it is not that. */
static bool parse_phases(struct load *load, tg_str_t text)
{
    uint64_t ends_us = 0;
    while (text.len > 0 && load->phase_count < PHASES_MAX) {
        const char *comma = memchr(text.ptr, ',', text.len);
        size_t len = comma == NULL ? text.len : (size_t)(comma - text.ptr);
        const char *colon = memchr(text.ptr, ':', len);
        size_t digits = colon == NULL ? 0 : (size_t)(colon - text.ptr);
        struct phase *phase = &load->phases[load->phase_count++];
        if (colon == NULL || tg_str_to_u64((tg_str_t){text.ptr, digits}, &phase->rate) != TG_OK ||
            tg_str_to_u64((tg_str_t){colon + 1, len - digits - 1}, &phase->ms) != TG_OK ||
            phase->rate == 0 || phase->rate > RATE_MAX || phase->ms == 0 ||
            phase->ms > PHASE_MS_MAX)
            return false;
        phase->ends_us = ends_us += phase->ms * 1000;
        len += comma != NULL;
        text = (tg_str_t){text.ptr + len, text.len - len};
    }
    return text.len == 0;
}

static bool open_connections(struct load *load)
{
    for (size_t i = 0; i < load->settings->connections; i++)
        tg_wire_init(&load->connections[i].wire, load->epoll, REQUEST_MAX);
    for (size_t i = 0; i < load->settings->connections; i++) {
        if (!tg_wire_open(&load->connections[i].wire, &load->address))
            return false;
        put_idle(load, &load->connections[i]);
    }
    return true;
}

static bool open_load(struct load *load, const struct settings *settings, const char **out_why)
{
    load->settings = settings;
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->connections = calloc(settings->connections, sizeof(*load->connections));
    load->idle = calloc(settings->connections, sizeof(*load->idle));
    tg_rng_seed(&load->rng, settings->seed);
    if (!tg_ask_init(&load->ask, &settings->ask, out_why))
        return false;
    *out_why = "load.target is no IPv4 address and port, or load.phases no RATE:MS,…";
    if (load->epoll < 0 || load->connections == NULL || load->idle == NULL ||
        !tg_wire_target(settings->ask.target, &load->address) ||
        !parse_phases(load, tg_str_from(settings->phases)))
        return false;
    bool opened = open_connections(load);
    *out_why = strerror(errno);
    return opened;
}

static void close_load(struct load *load)
{
    for (size_t i = 0; load->connections != NULL && i < load->settings->connections; i++) {
        if (load->connections[i].wire.request.max > 0)
            tg_wire_dispose(&load->connections[i].wire);
    }
    free(load->connections);
    free(load->idle);
    tg_ask_dispose(&load->ask);
    if (load->epoll >= 0)
        close(load->epoll);
}

static void report_latency(const char *name, const tg_histogram_t *latency)
{
    static const struct {
        const char *name;
        double share;
    } points[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}};
    for (size_t i = 0; i < TG_ARRAY_LEN(points); i++)
        printf(",\"%s_%s_ms\":%.3f", name, points[i].name,
               tg_histogram_ms(latency, points[i].share));
}

static void report_phase(const struct phase *phase)
{
    double seconds = (double)phase->ms / 1000;
    printf("{\"rate\":%llu,\"seconds\":%.3f,\"sent\":%llu", (unsigned long long)phase->rate,
           seconds, (unsigned long long)phase->sent);
    for (size_t i = 0; i < OUTCOMES; i++)
        printf(",\"%s\":%llu", outcome_names[i], (unsigned long long)phase->outcomes[i]);
    printf(",\"goodput\":%.1f,\"recovered_ms\":%.1f", (double)phase->ok_came / seconds,
           (double)phase->abnormal / 1000);
    report_latency("ok", &phase->ok);
    report_latency("refused", &phase->refused);
    printf("}");
}

static void report(const struct load *load)
{
    struct rusage own;
    (void)getrusage(RUSAGE_SELF, &own);
    double cpu = (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec) +
                 (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec) / 1e6;
    printf("{\"requests\":%llu,\"bad_code\":%d,\"cpu_seconds\":%.3f,\"phases\":[",
           (unsigned long long)load->ask.requests, load->bad_code, cpu);
    for (size_t i = 0; i < load->phase_count; i++) {
        printf("%s", i == 0 ? "" : ",");
        report_phase(&load->phases[i]);
    }
    printf("]}\n");
}

static int run_load(const void *config)
{
    const struct settings *settings = config;
    static struct load load;
    const char *why = "";
    int code = 1;
    (void)prctl(PR_SET_TIMERSLACK, 1UL); /* wake when it is time, not up to 50 µs later */
    if (!open_load(&load, settings, &why)) {
        (void)fprintf(stderr, "http_open: cannot send to %s: %s\n", settings->ask.target, why);
    } else if (!run(&load)) {
        (void)fprintf(stderr, "http_open: %s takes no connections any more\n",
                      settings->ask.target);
    } else {
        code = 0;
        note_rest(&load);
        report(&load);
    }
    close_load(&load);
    return code;
}

int main(int argc, char **argv)
{
    struct settings settings = {0};
    return tg_bench_main(&program, argc, argv, &settings, run_load);
}
