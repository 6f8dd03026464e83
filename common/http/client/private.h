/* What the files of the client share: an instance with its connections, a call on its way.
 *
 * client.c owns calls: where they go, when they are tried again, how they end. conn.c owns
 * connections: connecting, sending, reading, keeping. instances.c owns the set of instances
 * and which of them a call gets. upkeep.c owns what is done without a call: health checks,
 * looks at peers, new addresses. They meet in the functions at the end.
 *
 * Threads: the loop's. */
#ifndef TG_HTTP_CLIENT_PRIVATE_H
#define TG_HTTP_CLIENT_PRIVATE_H

#include <h2o.h>

#include "common/http/client.h"
#include "common/http/client/latency.h"
#include "common/http/client/response.h"

#define TG_CLIENT_INSTANCES_MAX TG_RESOLVE_MAX

struct conn;

struct instance { /* a slot: while `used` is false nothing else in it holds */
    tg_http_client_t *client;
    bool used;
    bool gone; /* its address is: no new calls, and the slot is free when the last has ended */
    tg_address_t address;
    tg_breaker_t breaker;
    uint64_t changes_told; /* of the breaker */
    tg_breaker_state_t state_told;
    tg_latency_t latency;
    tg_health_t health;
    tg_outlier_t outlier;
    tg_http_call_t *check; /* a health check on its way */
    tg_http_call_t *doubt; /* one that is asked because a call waits long */
    uint64_t checks_total, checks_bad_total, ejected_total;
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
    h2o_linklist_t spares; /* ended calls of usual size, for the next ones */
    size_t spare_count;
    unsigned retry_credit; /* each call adds 1, each retry takes TG_CLIENT_RETRY_COST */
    uint32_t random;
    tg_timer_t upkeep;
    uint64_t looked_at_ms; /* at peers, for outliers */
    uint64_t addresses_version;
    size_t choice_count; /* instances that are in, or all when none is; instances[choice[i]] */
    unsigned char choice[TG_CLIENT_INSTANCES_MAX];
    size_t instance_count; /* slots beyond were never used */
    struct instance instances[TG_CLIENT_INSTANCES_MAX];
};

enum call_step {
    CALL_WAITING, /* in an instance's queue */
    CALL_ON_CONN, /* connecting or exchanging */
    CALL_FAILING, /* the end is known, and told at the next turn */
    CALL_DONE,
};

struct tg_http_call {
    h2o_linklist_t link; /* in instance->waiting, or client->spares */
    tg_http_client_t *client;
    struct instance *instance;
    struct conn *conn; /* CALL_ON_CONN */
    enum call_step step;
    tg_status_t failure; /* CALL_FAILING */
    unsigned tried;      /* bit per instance */
    bool idempotent, to_head;
    bool pinned;          /* a health check: of this instance, and no breaker waits for it */
    bool counted;         /* the breaker waits for this call's result */
    bool retried;         /* on another instance */
    bool refreshed;       /* on a fresh connection, after a kept one was found closed */
    uint64_t tried_at_us; /* when it was given to this instance; 0: there was no other */
    uint64_t deadline_at_ms;
    tg_timer_t timer; /* half of the time, where that matters; then the deadline */
    tg_http_done_fn done;
    void *arg;
    tg_str_t body;
    bool tells_deadline; /* the head's last header is the deadline's, its value not written */
    size_t head_room;
    size_t head_len; /* without its end, which each try writes for itself */
    char head[];
};

/* What became of an exchange, as the connection sees it. */
enum exchange_end {
    EXCHANGE_NOT_SENT, /* no connection could be made */
    EXCHANGE_STALE,    /* a kept connection was closed before one byte of the answer */
    EXCHANGE_BROKEN,   /* lost before one byte of the answer */
    EXCHANGE_BAD,      /* the answer is malformed, or ends too early */
    EXCHANGE_TOO_LARGE,
};

/* conn.c */

/* Gives the call a connection of its instance: kept, new, or later (it then waits). TG_FULL when
 * too many wait. The call's end comes through tg_client_on_answer or tg_client_on_end, later. */
TG_NODISCARD tg_status_t tg_client_conn_acquire(tg_http_call_t *call, bool fresh);

/* Takes the call off its connection or out of the queue; the connection is closed. */
void tg_client_conn_abandon(tg_http_call_t *call);
void tg_client_conn_close_all(struct instance *instance);

/* A call of the instance that may be taken back: waiting, or sent and idempotent and not retried
 * yet; NULL when there is none. */
tg_http_call_t *tg_client_conn_movable(struct instance *instance);

/* instances.c */

/* The set becomes these addresses: new ones come in, those that are no more are `gone`. */
void tg_client_set_instances(tg_http_client_t *client, const tg_address_t *addresses, size_t count);

/* Frees the slots of those gone that have no call any more. */
void tg_client_sweep_instances(tg_http_client_t *client);

/* To be called when an instance came, went, or its health or ejection changed. */
void tg_client_regard(tg_http_client_t *client);

/* An instance whose breaker lets the call through and that it has not tried; NULL if none. The
 * breaker then waits for the call's result. */
struct instance *tg_client_choose(tg_http_call_t *call);
bool tg_client_has_untried(const tg_http_call_t *call);

/* Tells what the breaker has become, if it has; to be called after each word to it. */
void tg_client_tell_breaker(struct instance *instance);
void tg_client_tell(struct instance *instance, tg_http_change_t change);

uint32_t tg_client_random(tg_http_client_t *client);

static inline size_t tg_client_outstanding(const struct instance *instance)
{
    return instance->inflight + instance->waiting_count;
}

/* upkeep.c */
void tg_client_upkeep_start(tg_http_client_t *client);
void tg_client_upkeep_stop(tg_http_client_t *client);

/* A call waits long for this instance: asks at once whether it is there, and takes calls back if it
 * does not answer in time. */
void tg_client_doubt(struct instance *instance, uint64_t timeout_ms);

/* client.c */

/* The request's head, complete, as of now. */
tg_str_t tg_client_head(tg_http_call_t *call);
void tg_client_on_answer(tg_http_call_t *call, const tg_http_response_t *response);
void tg_client_on_end(tg_http_call_t *call, enum exchange_end end); /* detached already */

/* A call to this instance only, about which its breaker hears nothing. NULL when out of memory. */
tg_http_call_t *tg_client_call_pinned(struct instance *instance, const tg_http_request_t *request,
                                      tg_http_done_fn done, void *arg);

/* Takes a movable call off its instance, as a failure if it had been sent, and gives it to another
 * one; false, and nothing done, when there is none or no retry is left. */
bool tg_client_move(tg_http_call_t *call);

#endif
