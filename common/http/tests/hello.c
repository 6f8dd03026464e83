/* The smallest service on the server shell, for measuring what the shell costs: GET /hello answers
 * 13 bytes. `tests/hello [port]`; stop with SIGTERM. Not a test. */
#include <stdio.h>
#include <stdlib.h>

#include "common/http/server.h"
#include "common/observe/log.h"

static void on_hello(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_http_reply(req, 200, "text/plain", TG_STR("Hello, world\n"));
}

int main(int argc, char **argv)
{
    char listen[64];
    (void)snprintf(listen, sizeof(listen), "127.0.0.1:%s", argc > 1 ? argv[1] : "18431");
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
    tg_http_route_t routes[] = {{.method = "GET", .path = "/hello", .handler = on_hello}};
    tg_http_service_t service = {.name = "hello",
                                 .config = &config,
                                 .routes = routes,
                                 .route_count = 1};
    tg_error_t error;
    if (tg_log_open("hello", "info", &error) != TG_OK)
        return 2;
    return tg_http_server_run(&service);
}
