/* What operators ask: /health, /ready, /metrics; served by a thread of its own, so that a busy or
 * stuck API thread can still be seen. */
#include "common/http/guard.h"
#include "common/http/shell/shell.h"

#define TG_HTTP_READY_MAX   ((size_t)64 << 10)
#define TG_HTTP_METRICS_MAX ((size_t)16 << 20)

static bool write_ready(tg_http_server_t *server, tg_buf_t *out)
{
    const tg_http_service_t *service = server->service;
    tg_buf_t list = tg_buf_make(TG_HTTP_READY_MAX);
    bool ready = true;
    if (service->ready != NULL) {
        pthread_mutex_lock(&server->ready_mutex);
        ready = service->ready(service->arg, &list);
        pthread_mutex_unlock(&server->ready_mutex);
    }
    if (atomic_load(&server->draining))
        ready = false;
    tg_buf_printf(out, "{\"ready\":%s,\"draining\":%s,\"dependencies\":[", ready ? "true" : "false",
                  atomic_load(&server->draining) ? "true" : "false");
    tg_buf_str(out, tg_buf_view(&list));
    tg_buf_str(out, TG_STR("]}"));
    tg_buf_dispose(&list);
    return ready;
}

void tg_http_handle_ready(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_buf_t body = tg_buf_make(2 * TG_HTTP_READY_MAX);
    bool ready = write_ready(req->thread->server, &body);
    tg_http_reply_buf(req, ready ? 200 : 503, "application/json", &body);
}

void tg_http_handle_health(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_http_reply(req, 200, "application/json", TG_STR("{\"status\":\"ok\"}"));
}

static void on_metrics(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_http_server_t *server = req->thread->server;
    uint64_t refused = tg_http_guard_refused();
    uint64_t seen = atomic_exchange(&server->refused_seen, refused);
    tg_metric_add(req->thread->shard, HTTP_REFUSED, 0, refused - seen);
    tg_metric_set(req->thread->shard, HTTP_CERT, 0, req->thread->settings->cert.not_after_s);
    tg_buf_t body = tg_buf_make(TG_HTTP_METRICS_MAX);
    tg_metrics_render(server->metrics, &body);
    if (server->service->metrics != NULL)
        tg_metrics_render_own(server->service->metrics, &body);
    tg_http_reply_buf(req, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
}

const tg_http_route_t tg_http_admin_routes[] = {
    {.method = "GET", .path = "/health", .handler = tg_http_handle_health},
    {.method = "GET", .path = "/ready", .handler = tg_http_handle_ready},
    {.method = "GET", .path = "/metrics", .handler = on_metrics},
};
const size_t tg_http_admin_route_count = TG_ARRAY_LEN(tg_http_admin_routes);
