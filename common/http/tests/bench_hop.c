/* The smallest services on the shell, for measuring what shell and client cost. Not a test.
 *
 *   http_bench_hop PORT            GET /hello answers 13 bytes; POST /hello echoes up to 64 KiB
 *   http_bench_hop PORT UPSTREAM   the same paths, each passed on to 127.0.0.1:UPSTREAM
 *
 * Stop with SIGTERM. CPU per request: difference of process_cpu_seconds_total over the requests. */
#include <stdio.h>
#include <stdlib.h>

#include "common/http/client.h"
#include "common/http/server.h"
#include "common/observe/log.h"

struct hop {
    tg_http_req_t *req;
    tg_http_call_t *call;
};

static char upstream[64]; /* empty: answer here */

static void on_hello(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_str_t body = tg_http_body(req);
    tg_http_reply(req, 200, "text/plain", body.len > 0 ? body : TG_STR("Hello, world\n"));
}

static void on_answer(void *arg, tg_status_t status, const tg_http_response_t *response)
{
    struct hop *hop = arg;
    if (status != TG_OK)
        tg_http_fail(hop->req, 502, "upstream_failed", (tg_str_t){0}, "%s", tg_status_name(status));
    else
        tg_http_reply(hop->req, response->code, "text/plain", response->body);
}

static void on_cancel(void *user)
{
    struct hop *hop = user;
    tg_http_call_cancel(hop->call);
}

static void on_hop(tg_http_req_t *req, void *thread_ctx)
{
    struct hop *hop = tg_arena_alloc(tg_http_arena(req), sizeof(*hop));
    tg_http_header_t headers[] = {
        {TG_STR("x-request-id"), tg_http_request_id(req)},
        {TG_STR("x-tidegate-tenant"), TG_STR("acme")},
    };
    tg_http_request_t request = {.method = tg_http_method(req),
                                 .target = tg_http_path(req),
                                 .headers = headers,
                                 .header_count = TG_ARRAY_LEN(headers),
                                 .body = tg_http_body(req),
                                 .deadline_at_ms = tg_http_deadline_at(req)};
    hop->req = req;
    tg_http_set_user(req, hop, on_cancel);
    hop->call = tg_http_client_call(thread_ctx, &request, on_answer, hop);
    if (hop->call == NULL)
        tg_http_fail(req, 503, "overloaded", (tg_str_t){0}, "Out of memory.");
}

static void on_any(tg_http_req_t *req, void *thread_ctx)
{
    if (thread_ctx == NULL)
        on_hello(req, NULL);
    else
        on_hop(req, thread_ctx);
}

static tg_status_t start_thread(void *arg, tg_loop_t *loop, tg_metrics_shard_t *shard,
                                void **out_thread_ctx, tg_error_t *error)
{
    (void)arg;
    (void)shard;
    *out_thread_ctx = NULL;
    if (upstream[0] == '\0')
        return TG_OK;
    tg_http_client_config_t config = {.name = "upstream",
                                      .instances = upstream,
                                      .max_connections = 256,
                                      .max_waiting = 4096,
                                      .max_body = 1 << 20,
                                      .connect_timeout_ms = 1000,
                                      .idle_timeout_ms = 60000,
                                      .breaker = TG_BREAKER_DEFAULTS};
    return tg_http_client_open(loop, &config, (tg_http_client_t **)out_thread_ctx, error);
}

static void stop_thread(void *thread_ctx)
{
    tg_http_client_close(thread_ctx);
}

int main(int argc, char **argv)
{
    char listen[64];
    (void)snprintf(listen, sizeof(listen), "127.0.0.1:%s", argc > 1 ? argv[1] : "18431");
    if (argc > 2)
        (void)snprintf(upstream, sizeof(upstream), "127.0.0.1:%s", argv[2]);
    tg_http_config_t config = {
        .listen = listen,
        .admin_listen = "127.0.0.1:0",
        .threads = 1,
        .max_connections = 10000,
        .max_inflight = 4096,
        .header_timeout_ms = 10000,
        .idle_timeout_ms = 75000,
        .write_timeout_ms = 10000,
        .deadline_ms = 10000,
        .drain_ms = 8000,
    };
    tg_http_route_t routes[] = {
        {.method = "GET", .path = "/hello", .handler = on_any},
        {.method = "POST", .path = "/hello", .handler = on_any, .max_body = 65536},
    };
    tg_http_service_t service = {.name = "bench",
                                 .config = &config,
                                 .routes = routes,
                                 .route_count = TG_ARRAY_LEN(routes),
                                 .thread_start = start_thread,
                                 .thread_stop = stop_thread};
    tg_error_t error;
    if (tg_log_open("bench", "info", &error) != TG_OK)
        return 2;
    return tg_http_server_run(&service);
}
