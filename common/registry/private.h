/* The inside of the registry's client, shared by client.c (its thread and its life), fetch.c (what
 * the registry is asked, and when) and ask.c (what callers ask, and how they hear).
 *
 * Threads: `mutex` guards the cache, the entries and `undelivered`; what stands under "loop thread"
 * is that thread's alone. */
#ifndef TG_REGISTRY_CLIENT_PRIVATE_H
#define TG_REGISTRY_CLIENT_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/http/client.h"
#include "common/registry/answer.h"
#include "common/registry/cache.h"
#include "common/registry/client.h"

struct waiter {
    struct waiter *next;
    tg_loop_t *loop;
    tg_registry_done_fn done;
    void *arg;
    tg_status_t status;
    tg_event_type_t *type; /* owned until delivered */
};

struct fetch {
    struct fetch *next, **back; /* in client->fetches */
    tg_registry_client_t *client;
    tg_registry_entry_t *entry; /* NULL: a probe */
    tg_http_call_t *call;
};

struct tg_registry_client {
    tg_registry_client_config_t config; /* without the site, which is */
    tg_registry_site_t *site;
    pthread_t thread;
    tg_loop_t *loop;
    atomic_uint_fast64_t answered_ms; /* when the registry answered last; 0 never */
    atomic_bool refused;              /* it does not accept our secret */

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool started, closing;
    tg_status_t start_status;
    tg_error_t start_error;
    tg_registry_cache_t *cache;
    struct waiter *undelivered; /* their loops' posts were full: tried again by the tick */

    /* loop thread */
    tg_http_client_t *http;
    tg_registry_answer_parser_t *parser;
    struct fetch *fetches;
    bool probing;
    tg_timer_t tick;
};

/* ask.c */
/* Posts the answer to the waiter's loop. Takes the waiter. The mutex is held. */
void tg_registry_deliver(tg_registry_client_t *client, struct waiter *waiter, tg_status_t status,
                         tg_event_type_t *type);
/* Tries again what has found the loops full. The mutex is held. */
void tg_registry_deliver_again(tg_registry_client_t *client);
void tg_registry_drop_undelivered(tg_registry_client_t *client);

/* fetch.c */
/* What is known of the newest version counts no more. The mutex is held. */
void tg_registry_outdate(tg_registry_entry_t *entry);
/* Lets the loop thread fetch `entry`; what is not asked for now may be by the tick. The mutex is
 * held. */
tg_status_t tg_registry_request_fetch(tg_registry_client_t *client, tg_registry_entry_t *entry);
/* Refreshes what is in use and probes a silent registry, then starts its timer anew. */
void tg_registry_tick(void *arg);
/* Ends all fetches that are under way. */
void tg_registry_drop_fetches(tg_registry_client_t *client);

#endif
