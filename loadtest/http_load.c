/* Sends events or asks questions over HTTP as fast as they are answered, or at a given rate, and
 * measures.
 *
 * One thread, N kept connections, one request at a time on each. At a rate the time of a request
 * counts from when it was due, not from when a connection became free: a server that stalls cannot
 * hide it by making us send less. Prints one JSON object; exits 1 when the server cannot be
 * reached or cuts a connection.
 *
 *   http_load --load.target=127.0.0.1:8080 --load.key=tg_… --load.seconds=4s
 *
 * Limits: CONNECTIONS_MAX, an answer of TG_WIRE_ANSWER_MAX bytes. Ids are unique over all runs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "loadtest/ask.h"
#include "loadtest/bench_main.h"
#include "loadtest/histogram.h"
#include "loadtest/wire.h"

#define CONNECTIONS_MAX 4096
#define LAST_ANSWERS_US (15 * TG_US_PER_SECOND) /* for what is under way at the end */

struct settings {
    tg_ask_settings_t ask;
    uint64_t connections, ms, rate;
};

#define AT(member) offsetof(struct settings, member)
// clang-format off
static const tg_option_t options[] = {
    TG_ASK_OPTIONS(struct settings, ask),
    {"load.connections", TG_OPT_UINT, AT(connections), "32", 1, CONNECTIONS_MAX, "Connections, each with one request at a time."},
    {"load.seconds", TG_OPT_MS, AT(ms), "4s", 1, 86400000, "How long to send."},
    {"load.rate", TG_OPT_UINT, AT(rate), "0", 0, 1000000, "Requests per second; 0: as fast as they are answered."},
};
// clang-format on

static const tg_program_t program = {
    .name = "http_load",
    .summary = "Sends events over HTTP and measures; for benchmarks.",
    .options = options,
    .option_count = TG_ARRAY_LEN(options),
};

struct connection {
    tg_wire_t wire;  /* first: it is the epoll set's */
    uint64_t due_us; /* when its request should have left */
};

struct load {
    const struct settings *settings;
    tg_ask_t ask;
    int epoll;
    struct connection *connections;
    size_t idle; /* connections without a request */
    uint64_t started_us, ends_us;
    uint64_t answered, accepted, errors;
    uint64_t limited;      /* of the errors: 429 */
    int bad_code;          /* last code that is no 2xx */
    uint64_t answer_bytes; /* heads and bodies */
    tg_histogram_t latency;
};

/* --- requests and answers --- */

static bool start(struct load *load, struct connection *connection, uint64_t due_us)
{
    assert(load->idle > 0);
    tg_ask_write(&load->ask, &connection->wire.request);
    connection->due_us = due_us;
    load->idle--;
    return tg_wire_send(&connection->wire);
}

static void finish(struct load *load, const struct connection *connection)
{
    const tg_wire_t *wire = &connection->wire;
    uint64_t accepted = 1, batch = load->settings->ask.batch;
    bool good = wire->code >= 200 && wire->code <= 299;
    if (good && batch > 0 &&
        !tg_wire_number(&wire->answer, wire->answer.len, "\"accepted\":", &accepted))
        accepted = batch; /* an answer that counts nothing: the hello server's */
    if (good)
        load->accepted += accepted;
    else
        load->bad_code = wire->code;
    load->limited += wire->code == 429;
    load->errors += !good || accepted < batch;
    load->answered++;
    load->answer_bytes += wire->answer_len;
    tg_histogram_add(&load->latency, tg_time_mono_us() - connection->due_us);
    load->idle++;
}

/* --- pace --- */

static bool sending(const struct load *load)
{
    return tg_time_mono_us() < load->ends_us;
}

/* Starts what is due on the connections that are free. */
static bool start_due(struct load *load)
{
    uint64_t rate = load->settings->rate, now = tg_time_mono_us();
    uint64_t due = rate == 0 ? UINT64_MAX : (now - load->started_us) * rate / 1000000 + 1;
    for (size_t i = 0; i < load->settings->connections && load->idle > 0; i++) {
        struct connection *connection = &load->connections[i];
        uint64_t sent = load->ask.requests;
        if (connection->wire.busy || sent >= due)
            continue;
        uint64_t at = rate == 0 ? now : load->started_us + sent * 1000000 / rate;
        if (!start(load, connection, at))
            return false;
    }
    return true;
}

/* False when the connection is lost. */
static bool handle(struct load *load, const struct epoll_event *event)
{
    struct connection *connection = event->data.ptr;
    if ((event->events & EPOLLOUT) != 0 && !tg_wire_push(&connection->wire))
        return false;
    if ((event->events & ~(uint32_t)EPOLLOUT) != 0) {
        tg_wire_state_t state = tg_wire_pull(&connection->wire);
        if (state == TG_WIRE_LOST)
            return false;
        if (state == TG_WIRE_ANSWERED)
            finish(load, connection);
    }
    if (connection->wire.busy || load->settings->rate != 0 || !sending(load))
        return true;
    return start(load, connection, tg_time_mono_us());
}

static bool run(struct load *load)
{
    struct epoll_event events[256];
    load->started_us = tg_time_mono_us();
    load->ends_us = load->started_us + load->settings->ms * 1000;
    while (sending(load) || load->idle < load->settings->connections) {
        if (sending(load) && !start_due(load))
            return false;
        int n = epoll_wait(load->epoll, events, TG_ARRAY_LEN(events),
                           load->settings->rate == 0 ? 100 : 1);
        for (int i = 0; i < n; i++) {
            if (!handle(load, &events[i]))
                return false;
        }
        if (tg_time_mono_us() > load->ends_us + (uint64_t)LAST_ANSWERS_US)
            return false;
    }
    return true;
}

/* --- life --- */

static bool open_load(struct load *load, const struct settings *settings, const char **out_why)
{
    struct sockaddr_in address;
    load->settings = settings;
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->connections = calloc(settings->connections, sizeof(*load->connections));
    if (!tg_ask_init(&load->ask, &settings->ask, out_why))
        return false;
    *out_why = "not an IPv4 address and port";
    if (load->connections == NULL || load->epoll < 0 ||
        !tg_wire_target(settings->ask.target, &address))
        return false;
    for (size_t i = 0; i < settings->connections; i++)
        tg_wire_init(&load->connections[i].wire, load->epoll, TG_ASK_REQUEST_MAX);
    for (size_t i = 0; i < settings->connections; i++, load->idle++) {
        if (!tg_wire_open(&load->connections[i].wire, &address)) {
            *out_why = strerror(errno);
            return false;
        }
    }
    return true;
}

static void close_load(struct load *load)
{
    for (size_t i = 0; load->connections != NULL && i < load->settings->connections; i++) {
        if (load->connections[i].wire.request.max > 0)
            tg_wire_dispose(&load->connections[i].wire);
    }
    free(load->connections);
    tg_ask_dispose(&load->ask);
    if (load->epoll >= 0)
        close(load->epoll);
}

static void report(const struct load *load)
{
    struct rusage own;
    (void)getrusage(RUSAGE_SELF, &own);
    double seconds = (double)(tg_time_mono_us() - load->started_us) / 1e6;
    double cpu = (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec) +
                 (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec) / 1e6;
    printf("{\"requests\":%llu,\"events\":%llu,\"errors\":%llu,\"limited\":%llu,\"bad_code\":%d,"
           "\"seconds\":%.3f,\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,"
           "\"cpu_seconds\":%.3f,\"answer_bytes\":%llu}\n",
           (unsigned long long)load->answered, (unsigned long long)load->accepted,
           (unsigned long long)load->errors, (unsigned long long)load->limited, load->bad_code,
           seconds, tg_histogram_ms(&load->latency, 0.5), tg_histogram_ms(&load->latency, 0.9),
           tg_histogram_ms(&load->latency, 0.99), tg_histogram_ms(&load->latency, 1), cpu,
           (unsigned long long)(load->answered == 0 ? 0 : load->answer_bytes / load->answered));
}

static int run_load(const void *config)
{
    const struct settings *settings = config;
    static struct load load;
    const char *why = "";
    int code = 1;
    if (!open_load(&load, settings, &why))
        (void)fprintf(stderr, "http_load: cannot send to %s: %s\n", settings->ask.target, why);
    else if (!run(&load))
        (void)fprintf(stderr, "http_load: %s cut a connection or did not answer\n",
                      settings->ask.target);
    else
        code = 0;
    if (code == 0)
        report(&load);
    close_load(&load);
    return code;
}

int main(int argc, char **argv)
{
    struct settings settings = {0};
    return tg_bench_main(&program, argc, argv, &settings, run_load);
}
