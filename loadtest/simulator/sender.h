/* Sends events through the gateway until their outcome is known.
 *
 * A fixed number of requests, each taken, filled, and sent. What is not acknowledged (429, 5xx, no
 * answer, an item that failed) is sent again, the same bytes and so the same ids, until it is or
 * until `give_up_ms` have passed since its first try; then it is given up and named in the ledger.
 * While the gateway pushes back, nothing at all is sent for as long as it asks (Retry-After), or
 * for a growing while with jitter; and nothing new is taken while something waits.
 *
 * Limits: `inflight` requests of `batch` events each: everything that is not settled.
 *
 * Threads: the loop's. */
#ifndef TG_SIM_SENDER_H
#define TG_SIM_SENDER_H

#include "common/http/client.h"
#include "common/observe/metrics.h"
#include "loadtest/simulator/generator.h"
#include "loadtest/simulator/ledger.h"

#define TG_SENDER_BATCH_MAX 10000

typedef struct tg_sender tg_sender_t;
typedef struct tg_parcel tg_parcel_t; /* a request, while it is filled */

typedef struct tg_sender_config {
    const char *gateway; /* "127.0.0.1:8080", or several, comma separated */
    const char *key;     /* API key */
    bool single;         /* one event per request, to /v1/events/{type} */
    size_t batch;        /* events per request; 1 if single */
    size_t inflight;     /* requests */
    uint64_t deadline_ms, give_up_ms;
} tg_sender_config_t;

/* `settled` is called whenever a request has ended or a pause is over. */
TG_NODISCARD tg_status_t tg_sender_open(tg_loop_t *loop, const tg_sender_config_t *config,
                                        tg_metrics_shard_t *shard, tg_ledger_t *ledger,
                                        tg_loop_fn settled, void *arg, tg_sender_t **out_sender,
                                        tg_error_t *error);

/* Gives up what is unsettled (as "stopped") and frees the sender. NULL is allowed. */
void tg_sender_close(tg_sender_t *sender);

/* An empty request, or NULL while all are under way or the gateway pushes back. */
tg_parcel_t *tg_sender_take(tg_sender_t *sender);

/* Adds the generator's next event; the parcel must not be full. */
void tg_parcel_add(tg_parcel_t *parcel, tg_generator_t *generator);
bool tg_parcel_is_full(const tg_parcel_t *parcel);

/* Takes the parcel, which has at least one event. */
void tg_sender_send(tg_sender_t *sender, tg_parcel_t *parcel);

/* Nothing is under way and nothing waits. */
bool tg_sender_is_idle(const tg_sender_t *sender);

typedef struct tg_sender_state {
    bool failing;       /* the last outcome was no answer or a push-back */
    bool ledger_failed; /* the run should end */
    size_t inflight, waiting_events;
} tg_sender_state_t;
tg_sender_state_t tg_sender_get_state(const tg_sender_t *sender);

/* Posts one event, once; see tg_http_client_call. For POST /emit. */
tg_http_call_t *tg_sender_post(tg_sender_t *sender, tg_str_t type, tg_str_t body,
                               uint64_t deadline_at_ms, tg_http_done_fn done, void *arg);

#endif
