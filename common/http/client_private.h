/* What the files of the client share: an instance with its connections, a call on its way.
 *
 * client.c owns calls: where they go, when they are tried again, how they end. client_conn.c owns
 * connections: connecting, sending, reading, keeping. They meet in the functions at the end.
 *
 * Threads: the loop's. */
#ifndef TG_HTTP_CLIENT_PRIVATE_H
#define TG_HTTP_CLIENT_PRIVATE_H

#include <h2o.h>

#include "common/http/client.h"
#include "common/http/response.h"

#define TG_CLIENT_INSTANCES_MAX 16
#define TG_CLIENT_ADDRESS_MAX   256

struct conn;

struct instance {
    tg_http_client_t *client;
    char address[TG_CLIENT_ADDRESS_MAX];
    struct sockaddr_storage where;
    socklen_t where_len;
    tg_breaker_t breaker;
    h2o_linklist_t conns, idle; /* all; those without a call, the last used first */
    h2o_linklist_t waiting;     /* calls that want a connection, oldest first */
    size_t conn_count, inflight, waiting_count;
    size_t last_answer; /* bytes: the next one is expected to be like it */
    uint64_t calls_total, failures_total;
};

struct tg_http_client {
    tg_loop_t *loop;
    tg_http_client_config_t config;
    char *name;
    size_t calls;
    unsigned retry_credit; /* each call adds 1, each retry takes TG_CLIENT_RETRY_COST */
    uint32_t random;
    size_t instance_count;
    struct instance instances[TG_CLIENT_INSTANCES_MAX];
};

enum call_step {
    CALL_WAITING, /* in an instance's queue */
    CALL_ON_CONN, /* connecting or exchanging */
    CALL_FAILING, /* the end is known, and told at the next turn */
    CALL_DONE,
};

struct tg_http_call {
    h2o_linklist_t link; /* in instance->waiting */
    tg_http_client_t *client;
    struct instance *instance;
    struct conn *conn; /* CALL_ON_CONN */
    enum call_step step;
    tg_status_t failure; /* CALL_FAILING */
    unsigned tried;      /* bit per instance */
    bool idempotent, to_head;
    bool counted;   /* the breaker waits for this call's result */
    bool retried;   /* on another instance */
    bool refreshed; /* on a fresh connection, after a kept one was found closed */
    tg_timer_t timer;
    tg_http_done_fn done;
    void *arg;
    tg_str_t body;
    size_t head_len;
    char head[];
};

/* What became of an exchange, as the connection sees it. */
enum exchange_end {
    EXCHANGE_NOT_SENT, /* no connection could be made */
    EXCHANGE_STALE,    /* a kept connection was closed before one byte of the answer */
    EXCHANGE_BROKEN,   /* lost in the middle */
    EXCHANGE_BAD,      /* the answer is malformed */
    EXCHANGE_TOO_LARGE,
};

/* client_conn.c */

/* Gives the call a connection of its instance: kept, new, or later (it then waits). TG_FULL when
 * too many wait. The call's end comes through tg_client_on_answer or tg_client_on_end, later. */
TG_NODISCARD tg_status_t tg_client_conn_acquire(tg_http_call_t *call, bool fresh);

/* Takes the call off its connection or out of the queue; the connection is closed. */
void tg_client_conn_abandon(tg_http_call_t *call);
void tg_client_conn_close_all(struct instance *instance);

/* client.c */
void tg_client_on_answer(tg_http_call_t *call, const tg_http_response_t *response);
void tg_client_on_end(tg_http_call_t *call, enum exchange_end end); /* detached already */

#endif
