/* A service as the gateway sees it, without its stores: answers every request with as many bytes as
 * told, checks nothing, and has a capacity.
 *
 * The capacity is one server behind an unlimited queue in order of arrival: request n is done 1/N s
 * after request n-1, or after it came if that was later, and answered `stub.delay` after that. So
 * latency grows with the queue, and what nobody waits for any more has cost its time all the same,
 * as in a real service. A bundle of single events costs as many requests as it has events.
 *
 *   http_stub --stub.port=9901 --stub.capacity=1000 --stub.delay=10ms
 *
 * SIGUSR1: from now on 503 with Retry-After, at no cost; SIGUSR2: answers again. /health and /ready
 * are always 200 at once. Times are right to 1 ms, the loop's clock. */
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/config.h"
#include "common/base/time.h"
#include "common/event/bundle.h"
#include "loadtest/bench_main.h"
#include "loadtest/h2o_serve.h"

#define BYTES_MAX 65536
#define TURN_MS   1000

static struct settings {
    uint64_t port, bytes, capacity, delay_ms;
} settings;

#define AT(member) offsetof(struct settings, member)
// clang-format off
static const tg_option_t options[] = {
    {"stub.port", TG_OPT_UINT, AT(port), "9901", 1, 65535, "Port on 127.0.0.1."},
    {"stub.bytes", TG_OPT_UINT, AT(bytes), "200", 2, BYTES_MAX, "Bytes of an answer's body."},
    {"stub.capacity", TG_OPT_UINT, AT(capacity), "0", 0, 1000000, "Requests per second; 0: as many as it can."},
    {"stub.delay", TG_OPT_MS, AT(delay_ms), "0ms", 0, 60000, "Time from a request's being done to its answer."},
};
// clang-format on

static const tg_program_t program = {
    .name = "http_stub",
    .summary = "Stands in for a service behind the gateway, with a fixed capacity; for benchmarks.",
    .options = options,
    .option_count = TG_ARRAY_LEN(options),
};

/* A request whose time has not come; lives and dies with it. */
struct waiting {
    h2o_linklist_t link;
    h2o_req_t *req;
    uint64_t due_us;
};

static h2o_linklist_t queue; /* by due time, which only grows */
static uint64_t free_at_us;  /* when the server is done with all that came */
static char body[BYTES_MAX];
static volatile sig_atomic_t refusing;

static void on_switch(int number)
{
    refusing = number == SIGUSR1;
}

/* --- answers --- */

static void reply(h2o_req_t *req, int code, const char *reason, const char *bytes, size_t len)
{
    req->res.status = code;
    req->res.reason = reason;
    req->res.content_length = len;
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
                   H2O_STRLIT("application/json"));
    h2o_send_inline(req, bytes, len);
}

static void refuse(h2o_req_t *req)
{
    h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("retry-after"), 0, NULL,
                          H2O_STRLIT("1"));
    reply(req, 503, "Service Unavailable", "{}", 2);
}

static bool is_bundle(const h2o_req_t *req)
{
    return h2o_memis(req->path_normalized.base, req->path_normalized.len,
                     H2O_STRLIT(TG_BUNDLE_PATH));
}

/* Calls for each event of a bundle; the number of them. */
static uint64_t each_event(const h2o_req_t *req, tg_buf_t *out)
{
    tg_str_t rest = {req->entity.base, req->entity.len};
    const tg_bundle_outcome_t outcome = {
        .http_code = 202,
        .body = {body, settings.bytes},
    };
    tg_bundle_event_t event;
    uint64_t count = 0;
    while (rest.len > 0 && tg_bundle_take_event(&rest, &event) == TG_OK) {
        count++;
        if (out != NULL)
            tg_bundle_put_outcome(&outcome, out);
    }
    return count;
}

static void answer(h2o_req_t *req)
{
    if (!is_bundle(req)) {
        reply(req, 200, "OK", body, settings.bytes);
        return;
    }
    tg_buf_t outcomes = tg_buf_make((size_t)TG_BUNDLE_EVENTS_MAX * (BYTES_MAX + 64));
    (void)each_event(req, &outcomes);
    assert(!outcomes.failed);
    reply(req, 200, "OK", outcomes.data, outcomes.len); /* copies */
    tg_buf_dispose(&outcomes);
}

/* --- the queue --- */

/* The request is gone, answered or not. */
static void on_dispose(void *memory)
{
    struct waiting *waiting = memory;
    if (h2o_linklist_is_linked(&waiting->link))
        h2o_linklist_unlink(&waiting->link);
}

/* When a request that comes now is to be answered. */
static uint64_t due_us(const h2o_req_t *req)
{
    uint64_t now = tg_time_mono_us(), cost = is_bundle(req) ? each_event(req, NULL) : 1;
    if (settings.capacity > 0) {
        free_at_us = (free_at_us > now ? free_at_us : now) + cost * 1000000 / settings.capacity;
        now = free_at_us;
    }
    return now + settings.delay_ms * 1000;
}

static int on_request(h2o_handler_t *self, h2o_req_t *req)
{
    (void)self;
    bool health =
        h2o_memis(req->path_normalized.base, req->path_normalized.len, H2O_STRLIT("/health")) ||
        h2o_memis(req->path_normalized.base, req->path_normalized.len, H2O_STRLIT("/ready"));
    if (refusing && !health) {
        refuse(req);
    } else if (health || settings.capacity + settings.delay_ms == 0) {
        answer(req);
    } else {
        struct waiting *waiting = h2o_mem_alloc_shared(&req->pool, sizeof(*waiting), on_dispose);
        *waiting = (struct waiting){.req = req, .due_us = due_us(req)};
        h2o_linklist_insert(&queue, &waiting->link);
    }
    return 0;
}

/* Answers what is due; the ms until the next one is. */
static int32_t on_turn(void)
{
    uint64_t now = tg_time_mono_us();
    while (!h2o_linklist_is_empty(&queue)) {
        struct waiting *first = H2O_STRUCT_FROM_MEMBER(struct waiting, link, queue.next);
        if (first->due_us > now) {
            uint64_t ms = (first->due_us - now + 999) / 1000;
            return ms < TURN_MS ? (int32_t)ms : TURN_MS;
        }
        h2o_linklist_unlink(&first->link);
        answer(first->req);
    }
    return TURN_MS;
}

/* Of `settings`, which h2o's callbacks see as well. */
static int serve(const void *config)
{
    (void)config;
    struct sigaction action = {.sa_handler = on_switch, .sa_flags = SA_RESTART};
    (void)sigaction(SIGUSR1, &action, NULL);
    (void)sigaction(SIGUSR2, &action, NULL);
    h2o_linklist_init_anchor(&queue);
    memset(body, ' ', sizeof(body));
    body[0] = '{';
    body[settings.bytes - 1] = '}';
    return tg_h2o_serve("http_stub", (uint16_t)settings.port, on_request, on_turn);
}

int main(int argc, char **argv)
{
    return tg_bench_main(&program, argc, argv, &settings, serve);
}
