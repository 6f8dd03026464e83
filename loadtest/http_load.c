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
 * Limits: CONNECTIONS_MAX, an answer of ANSWER_MAX bytes. Ids are unique over all runs. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/config.h"
#include "common/base/hash.h"
#include "loadtest/histogram.h"
#include "loadtest/sample.h"

#define CONNECTIONS_MAX 4096
#define BATCH_MAX       10000
#define REQUEST_MAX     ((size_t)BATCH_MAX * TG_SAMPLE_MAX)
#define ANSWER_MAX      ((size_t)8 << 20)
#define LAST_ANSWERS_US (15 * TG_US_PER_SECOND) /* for what is under way at the end */

struct settings {
    char *target, *key, *type, *get, *user;
    uint64_t connections, ms, rate, batch;
};

#define AT(member) offsetof(struct settings, member)
// clang-format off
static const tg_option_t options[] = {
    {"load.target", TG_OPT_STR, AT(target), "127.0.0.1:8080", 3, 64, "IPv4 address and port."},
    {"load.key", TG_OPT_STR, AT(key), "none", 1, 256, "API key."},
    {"load.type", TG_OPT_STR, AT(type), "order", 1, 64, "Event type: order or stream."},
    {"load.get", TG_OPT_STR, AT(get), "", 0, 1024, "Ask for this path instead; {n} in it is another number from 1000 to 4999 each time."},
    {"load.user", TG_OPT_STR, AT(user), "", 0, 512, "Authorization header to send instead of the API key, as \"Basic …\"."},
    {"load.connections", TG_OPT_UINT, AT(connections), "32", 1, CONNECTIONS_MAX, "Connections, each with one request at a time."},
    {"load.seconds", TG_OPT_MS, AT(ms), "4s", 1, 86400000, "How long to send."},
    {"load.rate", TG_OPT_UINT, AT(rate), "0", 0, 1000000, "Requests per second; 0: as fast as they are answered."},
    {"load.batch", TG_OPT_UINT, AT(batch), "0", 0, BATCH_MAX, "Events per request to /v2/events; 0: single events to /v1/events/TYPE."},
};
// clang-format on

static const tg_program_t program = {
    .name = "http_load",
    .summary = "Sends events over HTTP and measures; for benchmarks.",
    .options = options,
    .option_count = TG_ARRAY_LEN(options),
};

struct connection {
    int fd;
    bool busy;
    bool waits_to_write;
    uint64_t due_us; /* when its request should have left */
    tg_buf_t request, answer;
    size_t sent;
    size_t answer_len; /* head and body; 0 until the head is here */
    int code;
};

struct load {
    const struct settings *settings;
    tg_sample_fn sample;
    uint64_t run;
    int epoll;
    struct connection *connections;
    size_t idle; /* connections without a request */
    tg_buf_t body;
    uint64_t started_us, ends_us;
    uint64_t sent, events; /* requests and events begun */
    uint64_t answered, accepted, errors;
    uint64_t limited;      /* of the errors: 429 */
    int bad_code;          /* last code that is no 2xx */
    uint64_t answer_bytes; /* heads and bodies */
    tg_histogram_t latency;
};

/* --- requests --- */

static void write_body(struct load *load)
{
    char event[TG_SAMPLE_MAX];
    int64_t now = tg_time_now();
    size_t count = load->settings->batch == 0 ? 1 : load->settings->batch;

    tg_buf_clear(&load->body);
    if (load->settings->batch > 0)
        tg_buf_byte(&load->body, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            tg_buf_byte(&load->body, ',');
        tg_buf_append(&load->body, event, load->sample(load->run, load->events++, now, event));
    }
    if (load->settings->batch > 0)
        tg_buf_byte(&load->body, ']');
}

/* A question that is like no other of the last 4,000 misses the cache. */
static void write_question(struct load *load, struct connection *connection)
{
    const struct settings *settings = load->settings;
    const char *path = settings->get, *number = strstr(path, "{n}");
    tg_buf_printf(&connection->request, "GET %.*s",
                  (int)(number == NULL ? (ptrdiff_t)strlen(path) : number - path), path);
    if (number != NULL)
        tg_buf_printf(&connection->request, "%llu%s",
                      (unsigned long long)(1000 + load->events % 4000), number + 3);
    bool basic = settings->user[0] != '\0';
    tg_buf_printf(&connection->request, " HTTP/1.1\r\nHost: %s\r\n%s: %s\r\n\r\n", settings->target,
                  basic ? "Authorization" : "X-API-Key", basic ? settings->user : settings->key);
    load->events++;
    assert(!connection->request.failed);
}

static void write_request(struct load *load, struct connection *connection)
{
    const struct settings *settings = load->settings;
    tg_buf_clear(&connection->request);
    if (settings->get[0] != '\0') {
        write_question(load, connection);
        return;
    }
    write_body(load);
    tg_buf_printf(&connection->request,
                  "POST %s%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
                  "X-API-Key: %s\r\nContent-Length: %zu\r\n\r\n",
                  settings->batch > 0 ? "/v2/events?type=" : "/v1/events/", settings->type,
                  settings->target, settings->key, load->body.len);
    tg_buf_str(&connection->request, tg_buf_view(&load->body));
    assert(!connection->request.failed && !load->body.failed);
}

/* False when the connection is lost. */
static bool push(struct load *load, struct connection *connection)
{
    while (connection->sent < connection->request.len) {
        ssize_t n = send(connection->fd, connection->request.data + connection->sent,
                         connection->request.len - connection->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            return false;
        if (n < 0)
            break;
        connection->sent += (size_t)n;
    }
    bool rest = connection->sent < connection->request.len;
    if (rest == connection->waits_to_write)
        return true; /* most requests leave at once */
    connection->waits_to_write = rest;
    struct epoll_event event = {.events = EPOLLIN | (rest ? EPOLLOUT : 0u), .data.ptr = connection};
    return epoll_ctl(load->epoll, EPOLL_CTL_MOD, connection->fd, &event) == 0;
}

static bool start(struct load *load, struct connection *connection, uint64_t due_us)
{
    assert(!connection->busy);
    assert(load->idle > 0);
    write_request(load, connection);
    tg_buf_clear(&connection->answer);
    connection->busy = true;
    connection->due_us = due_us;
    connection->sent = connection->answer_len = 0;
    load->idle--;
    load->sent++;
    return push(load, connection);
}

/* --- answers --- */

/* The number behind `name` in the first `len` bytes; false when it is not there. */
static bool number_behind(const tg_buf_t *text, size_t len, const char *name, uint64_t *out_number)
{
    const char *at = memmem(text->data, len, name, strlen(name));
    if (at == NULL)
        return false;
    at += strlen(name);
    size_t digits = 0, left = len - (size_t)(at - text->data);
    while (digits < left && at[digits] >= '0' && at[digits] <= '9')
        digits++;
    return tg_str_to_u64((tg_str_t){at, digits}, out_number) == TG_OK;
}

/* Learns code and length from the head, once it is here; false when it makes no sense. */
static bool read_head(struct connection *connection)
{
    tg_buf_t *answer = &connection->answer;
    const char *end = memmem(answer->data, answer->len, "\r\n\r\n", 4);
    uint64_t code = 0, length = 0;
    if (end == NULL)
        return true;
    size_t head = (size_t)(end - answer->data) + 4;
    if (!number_behind(answer, head, "HTTP/1.1 ", &code) ||
        (!number_behind(answer, head, "content-length: ", &length) &&
         !number_behind(answer, head, "Content-Length: ", &length)) ||
        length > ANSWER_MAX)
        return false;
    connection->code = (int)code;
    connection->answer_len = head + length;
    return true;
}

static void finish(struct load *load, struct connection *connection)
{
    uint64_t accepted = 1;
    bool good = connection->code >= 200 && connection->code <= 299;
    if (good && load->settings->batch > 0 &&
        !number_behind(&connection->answer, connection->answer.len, "\"accepted\":", &accepted))
        accepted = load->settings->batch; /* an answer that counts nothing: the hello server's */
    if (good)
        load->accepted += accepted;
    else
        load->bad_code = connection->code;
    load->limited += connection->code == 429;
    load->errors += !good || accepted < load->settings->batch;
    load->answered++;
    load->answer_bytes += connection->answer_len;
    tg_histogram_add(&load->latency, tg_time_mono_us() - connection->due_us);
    connection->busy = false;
    load->idle++;
}

/* Reads what is there; false when the connection is lost. */
static bool pull(struct load *load, struct connection *connection)
{
    char *room = tg_buf_reserve(&connection->answer, 64 << 10);
    ssize_t n = room == NULL ? -1 : recv(connection->fd, room, 64 << 10, 0);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR) && room != NULL;
    connection->answer.len += (size_t)n;
    if (connection->answer_len == 0 && !read_head(connection))
        return false;
    if (connection->busy && connection->answer_len > 0 &&
        connection->answer.len >= connection->answer_len)
        finish(load, connection);
    return true;
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
        if (connection->busy || load->sent >= due)
            continue;
        uint64_t at = rate == 0 ? now : load->started_us + load->sent * 1000000 / rate;
        if (!start(load, connection, at))
            return false;
    }
    return true;
}

static bool handle(struct load *load, const struct epoll_event *event)
{
    struct connection *connection = event->data.ptr;
    if ((event->events & EPOLLOUT) != 0 && !push(load, connection))
        return false;
    if ((event->events & ~(uint32_t)EPOLLOUT) != 0 && !pull(load, connection))
        return false;
    if (connection->busy || load->settings->rate != 0 || !sending(load))
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

static bool parse_target(const char *target, struct sockaddr_in *out_address)
{
    char host[64];
    const char *colon = strrchr(target, ':');
    uint64_t port = 0;
    if (colon == NULL || tg_str_to_u64(tg_str_from(colon + 1), &port) != TG_OK || port == 0 ||
        port > UINT16_MAX)
        return false;
    (void)snprintf(host, sizeof(host), "%.*s", (int)(colon - target), target);
    *out_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return inet_pton(AF_INET, host, &out_address->sin_addr) == 1;
}

static bool open_connection(struct load *load, struct connection *connection,
                            const struct sockaddr_in *address)
{
    int on = 1;
    connection->request = tg_buf_make(REQUEST_MAX + 1024);
    connection->answer = tg_buf_make(ANSWER_MAX + (128 << 10));
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0 ||
        connect(connection->fd, (const struct sockaddr *)address, sizeof(*address)) != 0 ||
        setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
        return false;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    load->idle++;
    return fcntl(connection->fd, F_SETFL, O_NONBLOCK) == 0 &&
           epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->fd, &event) == 0;
}

static bool open_load(struct load *load, const struct settings *settings)
{
    struct sockaddr_in address;
    load->settings = settings;
    load->sample = tg_sample_of(tg_str_from(settings->type));
    load->body = tg_buf_make(REQUEST_MAX);
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->connections = calloc(settings->connections, sizeof(*load->connections));
    tg_hash_random(&load->run, sizeof(load->run));
    if (load->sample == NULL || load->connections == NULL || load->epoll < 0 ||
        !parse_target(settings->target, &address))
        return false;
    for (size_t i = 0; i < settings->connections; i++) {
        if (!open_connection(load, &load->connections[i], &address))
            return false;
    }
    return true;
}

static void close_load(struct load *load)
{
    for (size_t i = 0; load->connections != NULL && i < load->settings->connections; i++) {
        if (load->connections[i].fd > 0)
            close(load->connections[i].fd);
        tg_buf_dispose(&load->connections[i].request);
        tg_buf_dispose(&load->connections[i].answer);
    }
    free(load->connections);
    tg_buf_dispose(&load->body);
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

static int run_load(const struct settings *settings)
{
    static struct load load;
    int code = 1;
    if (!open_load(&load, settings))
        (void)fprintf(stderr, "http_load: cannot send %s events to %s: %s\n", settings->type,
                      settings->target, strerror(errno));
    else if (!run(&load))
        (void)fprintf(stderr, "http_load: %s cut a connection or did not answer\n",
                      settings->target);
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
    tg_config_action_t action = TG_CONFIG_RUN;
    tg_error_t error = {.status = TG_OK};
    int code = 2;
    if (tg_config_load(&program, argc, argv, &settings, &action, &error) != TG_OK)
        (void)fprintf(stderr, "http_load: %s\n", error.text);
    else
        code = action == TG_CONFIG_EXIT ? 0 : run_load(&settings);
    tg_config_dispose(&program, &settings);
    return code;
}
