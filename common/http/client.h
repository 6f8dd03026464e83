/* HTTP/1.1 client to our own services: keep-alive pools on the caller's loop, one per upstream
 * instance, each with a circuit breaker.
 *
 * Why our own hop: the gateway rebuilds each upstream request from what it understood, so that a
 * client's framing never travels on. Answers must have Content-Length or chunked framing and fit
 * max_body. A request is sent on a kept connection if there is one; if that connection turns out to
 * be closed before one byte of the answer came, an idempotent request, or one whose bytes were not
 * written yet, goes once more on a fresh one.
 *
 * A call goes to the cheaper of two instances drawn at random (common/http/client/latency.h), past
 * those whose breaker is open, and past those that are out (common/http/client/health.h) while
 * others are left. With `upkeep` the client asks its instances how they are, and follows their
 * names' addresses; an instance that falls silent gives the calls that may happen twice back, to be
 * tried elsewhere.
 *
 * Limits: connections and waiting requests per instance (TG_FULL beyond), answer head 32 KiB,
 * answer body max_body. The deadline covers waiting, connecting, writing and reading.
 *
 * Threads: belongs to its loop's thread. */
#ifndef TG_HTTP_CLIENT_H
#define TG_HTTP_CLIENT_H

#include "common/http/breaker.h"
#include "common/http/bytes.h"
#include "common/http/client/health.h"
#include "common/http/head.h"
#include "common/http/resolve.h"
#include "common/loop/loop.h"

typedef struct tg_http_client tg_http_client_t; /* one upstream: a set of instances */
typedef struct tg_http_call tg_http_call_t;

typedef enum tg_http_aspect {
    TG_HTTP_BREAKER,
    TG_HTTP_HEALTH,
    TG_HTTP_EJECTION,
    TG_HTTP_ADDRESS
} tg_http_aspect_t;

/* What became of an instance, for logs and metrics; texts are borrowed. */
typedef struct tg_http_change {
    const char *upstream, *instance;
    tg_http_aspect_t what;
    const char *from, *to;
    const char *why;
    uint64_t next_ms; /* from now, when this ends by itself; 0: not by time */
} tg_http_change_t;

/* How instances are watched; all zero: not at all. */
typedef struct tg_http_upkeep {
    uint64_t check_ms; /* between health checks, ±20 %; 0: none */
    uint64_t check_timeout_ms;
    const char *check_path; /* a literal; good is what is below 500, or 503 with Retry-After */
    unsigned check_bad;     /* in a row: out */
    tg_outlier_config_t outlier;
    tg_resolver_t *resolver; /* borrowed; NULL: addresses are looked up once, by the client */
    size_t resolver_list;
    void (*on_change)(void *arg, const tg_http_change_t *change); /* NULL: nobody hears of it */
    void *arg;
} tg_http_upkeep_t;

typedef struct tg_http_client_config {
    const char *name;       /* "query"; for logs and metrics */
    const char *instances;  /* "127.0.0.1:8082,query-b:8082"; unused with a resolver */
    size_t max_connections; /* per instance */
    size_t max_waiting;     /* requests waiting for a connection, per instance */
    size_t max_body;        /* bytes of an answer */
    uint64_t connect_timeout_ms;
    uint64_t idle_timeout_ms; /* a kept connection is closed after this */
    tg_breaker_config_t breaker;
    tg_http_upkeep_t upkeep;
} tg_http_client_config_t;

typedef struct tg_http_request {
    tg_str_t method;
    tg_str_t target;                 /* origin-form: path and query, already encoded */
    const tg_http_header_t *headers; /* without Host, Content-Length, Connection */
    size_t header_count;
    tg_str_t body;           /* borrowed until the callback */
    uint64_t deadline_at_ms; /* loop clock */
    tg_str_t deadline_name;  /* a header that tells each try how many ms are left; empty: none */
    bool idempotent;
} tg_http_request_t;

typedef struct tg_http_response {
    int code;
    const tg_http_header_t *headers; /* names in lower case; hop-by-hop ones removed */
    size_t header_count;
    tg_str_t body;
    void *source; /* for tg_http_response_take */
} tg_http_response_t;

/* Called once, later. On TG_OK `response` is borrowed until return. Otherwise TG_TIMEOUT,
 * TG_UNAVAILABLE (no instance could be reached, or all breakers are open), TG_FULL, TG_INTERNAL
 * (malformed or too large an answer). */
typedef void (*tg_http_done_fn)(void *arg, tg_status_t status, const tg_http_response_t *response);

TG_NODISCARD tg_status_t tg_http_client_open(tg_loop_t *loop, const tg_http_client_config_t *config,
                                             tg_http_client_t **out_client, tg_error_t *error);

/* Calls in flight must be finished or cancelled. NULL is allowed. */
void tg_http_client_close(tg_http_client_t *client);

/* Starts a call. The request's texts are copied except the body. NULL only when out of memory;
 * every other trouble comes through the callback. */
tg_http_call_t *tg_http_client_call(tg_http_client_t *client, const tg_http_request_t *request,
                                    tg_http_done_fn done, void *arg);

/* After this the callback cannot come; the connection is closed if bytes were in flight. NULL is
 * allowed. */
void tg_http_call_cancel(tg_http_call_t *call);

/* Inside the callback, at most once: gives the body with the memory in which the whole response
 * stands, which is valid until the bytes are released. For a body worth more than a copy: of the
 * memory, which is held as a whole, up to half may be unused. */
void tg_http_response_take(const tg_http_response_t *response, tg_http_bytes_t *out_body);

/* {NULL, 0} if absent. */
tg_str_t tg_http_response_find(const tg_http_response_t *response, tg_str_t lower_name);
static inline tg_str_t tg_http_response_header(const tg_http_response_t *response,
                                               const char *lower_name)
{
    return tg_http_response_find(response, tg_str_from(lower_name));
}

/* Instances, for /ready and metrics: state and counters of each. */
typedef struct tg_http_instance_stats {
    const char *address;
    tg_breaker_state_t breaker;
    tg_breaker_why_t why;
    uint64_t since_ms, next_ms; /* loop clock; next_ms 0 unless open */
    bool held, unhealthy, ejected;
    uint64_t breaker_entered[TG_BREAKER_HALF_OPEN + 1], calls_total, failures_total;
    uint64_t checks_total, checks_bad_total, ejected_total;
    double latency_us;
    size_t connections, inflight, waiting;
} tg_http_instance_stats_t;
size_t tg_http_client_stats(const tg_http_client_t *client, tg_http_instance_stats_t *out,
                            size_t max);

/* What an operator wants of an instance's breaker. */
typedef enum tg_http_hold {
    TG_HTTP_HOLD_AUTO,
    TG_HTTP_HOLD_OPEN,
    TG_HTTP_HOLD_CLOSED
} tg_http_hold_t;

/* False when there is no such instance (any more). */
bool tg_http_client_hold(tg_http_client_t *client, const char *address, tg_http_hold_t hold);

#endif
