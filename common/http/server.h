/* HTTP/1.1 server shell on h2o: threads, route table, typed parameters, errors, deadlines, drain.
 *
 * One loop, one h2o context and one SO_REUSEPORT listener per thread; a request never leaves its
 * thread. HTTP/2 is off (no Rapid Reset defence in this h2o). The guard (common/http/guard.h)
 * refuses framing that RFC 9112 forbids before h2o accepts it.
 *
 * Without a handler: OPTIONS is answered 204 with Allow (RFC 9110 section 9.3.7), other methods
 * than the path's 405 with Allow (15.5.6), HEAD as GET without its body (9.3.2), 404 and 405 in the
 * format of the row that comes nearest. At the edge (TG_HTTP_EDGE_OPTIONS) browsers' preflights are
 * answered (CORS of the Fetch standard), long texts are compressed by Accept-Encoding (12.5.3), and
 * connections of one address are counted.
 *
 * A handler answers exactly once, now or later, with tg_http_reply or tg_http_fail. The request
 * struct lives until then; its memory pool dies with it. A handler that returns without having
 * answered must have set on_cancel (asserted): when the deadline passes, the connection is lost or
 * the drain ends first, on_cancel is called (once) instead, the shell answers for it, and the
 * handler must not touch the request after it. h2o does not read while a request is handled, so a
 * client that goes away is noticed only when the answer is written: the work is bounded by the
 * deadline.
 *
 * Limits: body size per route, requests in flight and connections per thread, header and idle
 * timeouts, a deadline per request (504 when passed) and an own write timeout for clients that do
 * not read. Each has a metric and a named answer.
 *
 * Threads: tg_http_server_* from the main thread; everything with a request on its loop's thread.
 */
#ifndef TG_HTTP_SERVER_H
#define TG_HTTP_SERVER_H

#include "common/base/arena.h"
#include "common/base/config.h"
#include "common/http/bytes.h"
#include "common/http/params.h"
#include "common/loop/loop.h"
#include "common/observe/metrics.h"
#include "common/observe/trace.h"

typedef struct tg_http_server tg_http_server_t;
typedef struct tg_http_req tg_http_req_t;

/* Settings that every service has; rows come from TG_HTTP_OPTIONS(struct, member). */
typedef struct tg_http_config {
    char *listen;               /* "127.0.0.1:8080" */
    char *admin_listen;         /* /health, /ready, /metrics */
    uint64_t threads;           /* 0: no API, only the admin port */
    uint64_t max_connections;   /* per thread */
    uint64_t max_inflight;      /* requests per thread; beyond it 503 overloaded */
    uint64_t header_timeout_ms; /* a request must have arrived whole within this */
    uint64_t idle_timeout_ms;   /* keep-alive without a request */
    uint64_t write_timeout_ms;  /* a client that takes no byte for this long is cut */
    uint64_t deadline_ms;       /* default deadline of a request */
    uint64_t drain_ms;          /* SIGTERM: longest wait for requests in flight */
    uint64_t max_buffered;      /* bytes of requests held per thread; 0: the default, 256 MiB */
    char *tls_cert, *tls_key;   /* PEM files of the API's listener; NULL or "": plain */
    char *access_log;           /* off, errors, all, 1/N; NULL or "": off */
    /* What only a service at the edge has (TG_HTTP_EDGE_OPTIONS); zero for the others. */
    char *cors_origins; /* texts as common/http/edge/origins.h has them; NULL or "": no CORS */
    uint64_t cors_max_age_ms; /* how long a browser may remember a preflight */
    uint64_t max_per_address; /* open connections of one client address; 0: no limit */
    bool compress;            /* answers, when the client accepts it */
} tg_http_config_t;

// clang-format off
#define TG_HTTP_OPTIONS(S, m, port, admin_port)                                                                                       \
    {"http.listen", TG_OPT_STR, offsetof(S, m.listen), "127.0.0.1:" port, 3, 255, "Address and port of the API."},                    \
    {"http.admin_listen", TG_OPT_STR, offsetof(S, m.admin_listen), "127.0.0.1:" admin_port, 3, 255, "Address and port of /health, /ready and /metrics."}, \
    {"http.threads", TG_OPT_UINT, offsetof(S, m.threads), "1", 1, 64, "Event-loop threads."},                                         \
    {"http.max_connections", TG_OPT_UINT | TG_OPT_LIVE, offsetof(S, m.max_connections), "10000", 1, 1000000, "Open client connections per thread; more wait in the kernel's backlog."}, \
    {"http.max_inflight", TG_OPT_UINT | TG_OPT_LIVE, offsetof(S, m.max_inflight), "4096", 1, 1000000, "Requests in flight per thread; more are answered 503 overloaded."}, \
    {"http.header_timeout", TG_OPT_MS | TG_OPT_LIVE, offsetof(S, m.header_timeout_ms), "10s", 100, 600000, "A request must have arrived whole within this."}, \
    {"http.idle_timeout", TG_OPT_MS | TG_OPT_LIVE, offsetof(S, m.idle_timeout_ms), "75s", 100, 3600000, "A kept connection without a request is closed after this."}, \
    {"http.write_timeout", TG_OPT_MS | TG_OPT_LIVE, offsetof(S, m.write_timeout_ms), "10s", 100, 600000, "A client that accepts no byte for this long is cut."}, \
    {"http.deadline", TG_OPT_MS | TG_OPT_LIVE, offsetof(S, m.deadline_ms), "10s", 100, 600000, "Longest time to an answer; 504 after it."},           \
    {"http.drain", TG_OPT_MS | TG_OPT_LIVE, offsetof(S, m.drain_ms), "8s", 0, 600000, "On SIGTERM, longest wait for requests in flight."},                \
    {"http.max_buffered", TG_OPT_BYTES | TG_OPT_LIVE, offsetof(S, m.max_buffered), "256MiB", 1048576, 1099511627776.0, "Bytes of requests held per thread; above it the largest that are still arriving are answered 503."}, \
    {"http.tls_cert", TG_OPT_STR | TG_OPT_LIVE, offsetof(S, m.tls_cert), "", 0, 4095, "PEM file of the API's certificate and its chain; empty: no TLS."}, \
    {"http.tls_key", TG_OPT_STR | TG_OPT_LIVE, offsetof(S, m.tls_key), "", 0, 4095, "PEM file of its key, without a pass phrase."}, \
    {"http.access_log", TG_OPT_STR | TG_OPT_LIVE, offsetof(S, m.access_log), "errors", 2, 24, "Requests that get a line in the log: off, errors (400 and above, at most 100 per second and thread), all, or 1/N (errors, and one of N)."}

#define TG_HTTP_EDGE_OPTIONS(S, m)                                                                                                    \
    {"http.max_per_address", TG_OPT_UINT | TG_OPT_LIVE, offsetof(S, m.max_per_address), "1024", 0, 1000000, "Open connections of one client address (IPv6: of a /64); more are answered 429 and closed. 0: no limit, as behind a load balancer."}, \
    {"http.cors_origins", TG_OPT_STR | TG_OPT_LIVE, offsetof(S, m.cors_origins), "", 0, 16384, "Origins whose pages may call the API from a browser, as https://app.example.com, commas between them; * for all, without credentials."}, \
    {"http.cors_max_age", TG_OPT_MS | TG_OPT_LIVE, offsetof(S, m.cors_max_age_ms), "10m", 0, 86400000, "How long a browser may remember that a page may call."}, \
    {"http.compress", TG_OPT_BOOL | TG_OPT_LIVE, offsetof(S, m.compress), "true", 0, 1, "Compress answers above 1 KiB by gzip or zstd for clients that accept it."}
// clang-format on

/* The shape of error bodies. */
typedef enum tg_http_format {
    TG_HTTP_V1,        /* {"error":{"code","message","field"?,"request_id"}} */
    TG_HTTP_V2,        /* RFC 9457 application/problem+json with the same code */
    TG_HTTP_CONFLUENT, /* {"error_code":40401,"message":"…"}: the number is `code` if that is one
                        * ("40401"), else the HTTP code */
} tg_http_format_t;

typedef void (*tg_http_handler_fn)(tg_http_req_t *req, void *thread_ctx);

typedef struct tg_http_route {
    const char *method; /* "GET" (answers HEAD too), "POST", … */
    const char *path;   /* "/v1/events/:type"; a last segment "*" takes the rest */
    tg_http_handler_fn handler;
    const tg_param_t *params; /* query parameters; unknown ones are refused when not NULL */
    size_t param_count;
    size_t max_body; /* bytes; 0: no body is accepted (413) */
    tg_http_format_t format;
    unsigned flags;   /* TG_HTTP_ROUTE_* */
    const void *user; /* the service's own note on the row */
} tg_http_route_t;
enum {
    TG_HTTP_ROUTE_INTERNAL = 1, /* refuse (403) requests without the shared secret */
    /* Others than peers are let in as well, as nobody: the handler checks them. A wrong secret, or
     * a tenant without the secret, is refused (403). */
    TG_HTTP_ROUTE_PEERS_TOO = 2,
    /* What the last segment "*" takes may hold escaped slashes. Joined they look like others: such
     * a handler reads tg_http_path. */
    TG_HTTP_ROUTE_SLASHES = 4,
};

typedef struct tg_http_service {
    const char *name; /* "query" */
    const tg_http_config_t *config;
    const tg_http_route_t *routes; /* first match wins */
    size_t route_count;
    const char *secret; /* shared secret of the gateway; NULL: internal routes are a bug */
    tg_metrics_t
        *metrics; /* the service's own; rendered beside those of common/http. May be NULL */
    /* Per-thread state (pools on that loop). `start` fails the whole start; both may be NULL. */
    tg_status_t (*thread_start)(void *arg, tg_loop_t *loop, tg_metrics_shard_t *shard,
                                void **out_thread_ctx, tg_error_t *error);
    void (*thread_stop)(void *thread_ctx); /* after the drain; flush and close here */
    /* Appends one {"name":"kafka","ready":true,"detail":"…"} object per dependency, comma
     * separated, and returns whether all are ready. Called on the admin thread and, through
     * tg_http_handle_ready, on any API thread; one call at a time. NULL: ready. */
    bool (*ready)(void *arg, tg_buf_t *out);
    /* What of the service's own settings may change while it runs: makes an immutable value of
     * `options` (the service's config struct) and frees it. Made at open and at each reload, on the
     * main thread; a request reads it by tg_http_settings. Both NULL: there is nothing. */
    const void *options; /* at open */
    tg_status_t (*settings_make)(void *arg, const void *options, void **out_settings,
                                 tg_error_t *error);
    void (*settings_free)(void *settings); /* NULL is allowed */
    void *arg;
} tg_http_service_t;

/* Opens the listeners and starts the threads. A port in use is an error that names it. */
TG_NODISCARD tg_status_t tg_http_server_open(const tg_http_service_t *service,
                                             tg_http_server_t **out_server, tg_error_t *error);

/* Fails /ready, closes the listeners, answers what is in flight (at most drain_ms), stops the
 * threads. Returns the number of requests that had to be cut. */
size_t tg_http_server_drain(tg_http_server_t *server);
void tg_http_server_close(tg_http_server_t *server);

/* Puts new settings in the place of those in use, or fails and changes nothing. `config` and
 * `options` are borrowed until it returns. Address, threads, and whether there is TLS stay as they
 * are. Main thread. */
TG_NODISCARD tg_status_t tg_http_server_reload(tg_http_server_t *server,
                                               const tg_http_config_t *config, const void *options,
                                               tg_error_t *error);

/* Asks the process to read its settings again, as SIGHUP does. `done` comes later on the request's
 * loop: what has changed ("http.deadline, certificate"), or the error's text. NULL: this process
 * cannot, or too many ask at once. */
typedef struct tg_http_reload tg_http_reload_t;
typedef void (*tg_http_reload_fn)(void *user, tg_status_t status, tg_str_t changed,
                                  const char *error);
tg_http_reload_t *tg_http_reload_ask(const tg_http_req_t *req, tg_http_reload_fn done, void *user);
void tg_http_reload_cancel(tg_http_reload_t *reload); /* `done` will not come */

/* The ports in use; of interest when the configuration says port 0. */
uint16_t tg_http_server_port(const tg_http_server_t *server);
uint16_t tg_http_server_admin_port(const tg_http_server_t *server);

/* Whole life of a service process: blocks signals, opens, waits for SIGTERM or SIGINT, drains,
 * closes. SIGHUP reads the settings again (common/observe/program.h). Returns the exit code. Call
 * it before other threads exist, or with those signals blocked in them. */
int tg_http_server_run(const tg_http_service_t *service);

/* --- what a handler reads; all borrowed until the answer --- */
tg_str_t tg_http_method(const tg_http_req_t *req);
tg_str_t tg_http_path(const tg_http_req_t *req);       /* as it came, without the query */
tg_str_t tg_http_query_text(const tg_http_req_t *req); /* as it came, without '?' */
tg_str_t tg_http_body(const tg_http_req_t *req);
tg_str_t tg_http_find_header(const tg_http_req_t *req,
                             tg_str_t lower_name); /* {NULL,0} if absent */
static inline tg_str_t tg_http_header(const tg_http_req_t *req, const char *lower_name)
{
    return tg_http_find_header(req, tg_str_from(lower_name));
}
tg_str_t tg_http_segment(const tg_http_req_t *req,
                         unsigned index); /* n-th :name, percent-decoded */
const tg_param_value_t *tg_http_param(const tg_http_req_t *req, unsigned index); /* row of params */
tg_str_t tg_http_request_id(const tg_http_req_t *req);     /* given (if sane) or made */
const tg_trace_t *tg_http_trace(const tg_http_req_t *req); /* this hop's own span */
const tg_http_route_t *tg_http_matched(const tg_http_req_t *req);
/* What the service's settings_make has made of the newest settings; until the loop's next turn. */
const void *tg_http_settings(const tg_http_req_t *req);
tg_str_t tg_http_tenant(const tg_http_req_t *req); /* X-Tidegate-Tenant; of peers only */
bool tg_http_from_peer(const tg_http_req_t *req);  /* the request had the shared secret */
tg_str_t tg_http_peer(const tg_http_req_t *req);   /* client address without port */
uint64_t tg_http_deadline_at(
    const tg_http_req_t *req); /* loop ms; min of config and X-Tidegate-Deadline-Ms */
uint64_t tg_http_started_us(const tg_http_req_t *req); /* monotonic; when it was read whole */
tg_loop_t *tg_http_loop(const tg_http_req_t *req);
tg_arena_t *tg_http_arena(const tg_http_req_t *req); /* freed after the answer; limit 64 MiB */
/* The handler's own pointer, and what is called when the client went away or the deadline passed
 * before the answer. After on_cancel the request is gone. */
void tg_http_set_user(tg_http_req_t *req, void *user, void (*on_cancel)(void *user));
void *tg_http_user(const tg_http_req_t *req);

/* --- what the access log says of a request, besides what the shell knows; copied --- */
void tg_http_note_key(tg_http_req_t *req, tg_str_t tenant, tg_str_t key_id);
void tg_http_note_hops(tg_http_req_t *req, uint64_t queue_us, uint64_t upstream_us);

/* --- answering --- */
/* Adds an answer header; name is a lower-case literal, value is copied. CR, LF and NUL are refused
 * by assertion in our own values: pass outside text only after checking. */
void tg_http_add_header(tg_http_req_t *req, const char *name, tg_str_t value);

/* What the request has cost, from a service to the gateway, which charges the tenant: the events
 * that were accepted, or the rows that were read for this answer. Never sent to a client. */
#define TG_HTTP_COST_HEADER "x-tidegate-cost"
void tg_http_add_cost(tg_http_req_t *req, uint64_t cost);

/* How many ms a service behind the gateway has left to answer a request; the shell obeys it. */
#define TG_HTTP_DEADLINE_HEADER "x-tidegate-deadline-ms"

/* Sends the answer and ends the request. The body is copied or, with the other two, taken. */
void tg_http_reply(tg_http_req_t *req, int code, const char *content_type, tg_str_t body);
void tg_http_reply_buf(tg_http_req_t *req, int code, const char *content_type, tg_buf_t *body);
/* Releases the bytes when they have been sent, or cannot be; never before returning. */
void tg_http_reply_bytes(tg_http_req_t *req, int code, const char *content_type,
                         const tg_http_bytes_t *body);

/* Handlers of /health and /ready, for services that also have them among their own routes. */
void tg_http_handle_health(tg_http_req_t *req, void *thread_ctx);
void tg_http_handle_ready(tg_http_req_t *req, void *thread_ctx);

/* Sends an error in the route's format and ends the request. `code` is a snake_case word of
 * docs/errors.md; `field` may be empty. The message is for a person: what, where, what to do. */
void tg_http_fail(tg_http_req_t *req, int http_code, const char *code, tg_str_t field,
                  const char *format, ...) TG_PRINTF(5, 6);

#endif
