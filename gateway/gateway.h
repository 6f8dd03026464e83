/* The gateway: authenticates and limits each request once, then hands it to the service that
 * answers.
 *
 * Per thread: one client per upstream service and a reference to the newest snapshot of the
 * directory. A request looks into memory only; the one wait in it is the upstream's answer.
 *
 * Threads: open and close on the main thread; everything else on the loops. */
#ifndef TG_GATEWAY_H
#define TG_GATEWAY_H

#include "common/http/client.h"
#include "common/http/server.h"
#include "common/watch/watch.h"
#include "gateway/gather.h"
#include "gateway/keys/failures.h"
#include "gateway/keys/uses.h"
#include "gateway/limit/limits.h"
#include "gateway/overload/fair.h"
#include "gateway/routes.h"
#include "gateway/upstreams/upstreams.h"

typedef struct tg_gateway_config {
    tg_http_config_t http;
    char *pg_dsn;
    char *admin_dsn; /* NULL or "": no admin API */
    char *secret;
    char *instances[TG_UP_COUNT];
    uint64_t max_connections; /* per upstream instance and thread */
    uint64_t max_waiting;
    uint64_t max_inflight; /* per upstream and thread: the most that the overload limit allows */
    uint64_t max_queue;
    uint64_t slack_ms; /* of latency: see gateway/overload/pace.h */
    uint64_t connect_timeout_ms;
    uint64_t max_answer; /* bytes of an upstream's answer */
    tg_upstreams_config_t upstreams;
    char *redis_address; /* NULL or "": limits are not shared */
    char *redis_password;
    uint64_t gateways;        /* that share the limits */
    uint64_t bundle_inflight; /* per thread; 0: single events travel alone */
    uint64_t bundle_linger_ms;
    uint64_t failures_per_minute; /* wrong keys from one address */
    uint64_t failures_burst;
    uint64_t watch_first_ms;
    uint64_t watch_poll_ms;
    uint64_t watch_stale_ms; /* /ready fails when the snapshot is older */
    char *deprecations;      /* NULL: none */
    char *log_level;
} tg_gateway_config_t;

extern const tg_program_t tg_gateway_program;

typedef struct tg_gateway tg_gateway_t;

/* One loop thread's state. */
#define TG_GATEWAY_TARGET_MAX ((size_t)32 << 10) /* bytes of an upstream target, after encoding */

typedef struct tg_gateway_thread {
    tg_gateway_t *gateway;
    tg_loop_t *loop;
    tg_metrics_shard_t *shard;
    tg_http_client_t *clients[TG_UP_COUNT];
    tg_upstreams_seat_t *seat; /* where the clients are seen by others */
    tg_fair_t *queues[TG_UP_COUNT];
    tg_lessor_t *lessor;
    tg_gather_t *gather;     /* NULL when single events travel alone */
    tg_pg_pool_t *pool;      /* of the gateway's own role, for what requests don't wait for */
    tg_pg_pool_t *admin;     /* of the admin API's role; NULL: it is off */
    tg_failures_t *failures; /* borrowed */
    tg_uses_list_t *uses;
    tg_directory_t *directory; /* reference; NULL before the first snapshot */
    uint64_t directory_version;
    tg_timer_t gauges;
    tg_buf_t target; /* of the upstream request being made; kept for its memory */
} tg_gateway_thread_t;

/* The newest snapshot, borrowed until the next call on this thread; NULL before the first. */
const tg_directory_t *tg_gateway_directory(tg_gateway_thread_t *thread);

tg_board_t *tg_gateway_board(const tg_gateway_t *gateway);
const char *tg_gateway_name(const tg_gateway_t *gateway); /* "host:127.0.0.1:8080" */
tg_limits_t *tg_gateway_limits(const tg_gateway_t *gateway);
tg_str_t tg_gateway_secret(const tg_gateway_t *gateway);

/* The service over an open configuration (borrowed): for a process's whole life, or in parts for
 * tests. Without PostgreSQL it opens all the same, and answers 503 until the first snapshot. */
TG_NODISCARD tg_status_t tg_gateway_open(const tg_gateway_config_t *config,
                                         tg_gateway_t **out_gateway, tg_error_t *error);
void tg_gateway_close(tg_gateway_t *gateway); /* its server is closed before; NULL is allowed */
const tg_http_service_t *tg_gateway_service(const tg_gateway_t *gateway);

/* Runs the service by a tg_gateway_config_t until SIGTERM; returns the exit code. */
int tg_gateway_run(const void *config);

#endif
