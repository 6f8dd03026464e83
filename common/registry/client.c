/* The registry client's thread: its start, its end, and how it does. */
#include "common/registry/client.h"

#include <stdlib.h>

#include "common/base/thread.h"
#include "common/registry/private.h"

#define READY_WITHIN_MS    5000 /* of the last answer */
#define MAX_BODY           ((size_t)2 << 20)
#define MAX_CONNECTIONS    4
#define MAX_WAITING        4096
#define CONNECT_TIMEOUT_MS 1000
#define IDLE_TIMEOUT_MS    30000

/* --- the thread --- */

static tg_status_t thread_open(tg_registry_client_t *client, tg_error_t *error)
{
    client->parser = tg_registry_answer_parser_create(MAX_BODY);
    client->loop = tg_loop_create();
    if (client->parser == NULL || client->loop == NULL)
        return tg_error_set(error, TG_NOMEM, "registry client: out of memory or descriptors");
    const tg_http_client_config_t config = {
        .name = "registry",
        .instances = tg_registry_site_instances(client->site),
        .max_connections = MAX_CONNECTIONS,
        .max_waiting = MAX_WAITING,
        .max_body = MAX_BODY,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .idle_timeout_ms = IDLE_TIMEOUT_MS,
        /* Tried again soon: the ticks and negative entries already bound what is asked. */
        .breaker = {5, 50, 20, 10000, 300, 1000, 3},
    };
    return tg_http_client_open(client->loop, &config, &client->http, error);
}

static void thread_close(tg_registry_client_t *client)
{
    tg_timer_stop(&client->tick);
    tg_registry_drop_fetches(client);
    tg_http_client_close(client->http);
    client->http = NULL;
    tg_loop_destroy(client->loop); /* runs what was still posted, which settles it */
    tg_registry_answer_parser_destroy(client->parser);
}

static void *thread_main(void *arg)
{
    tg_registry_client_t *client = arg;
    tg_error_t error = {0};
    tg_status_t status = thread_open(client, &error);
    tg_loop_t *loop = client->loop;

    pthread_mutex_lock(&client->mutex);
    client->started = true;
    client->start_status = status;
    client->start_error = error;
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->mutex);
    if (status == TG_OK) {
        tg_timer_start(loop, &client->tick, 0, tg_registry_tick, client);
        tg_loop_run(loop);
    }
    thread_close(client);
    return NULL;
}

/* --- open and close --- */

static void client_free(tg_registry_client_t *client)
{
    tg_registry_drop_undelivered(client);
    tg_registry_cache_destroy(client->cache);
    pthread_cond_destroy(&client->changed);
    pthread_mutex_destroy(&client->mutex);
    tg_registry_site_close(client->site);
    free(client);
}

static tg_status_t client_new(const tg_registry_client_config_t *config,
                              tg_registry_client_t **out_client, tg_error_t *error)
{
    tg_registry_client_t *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        (void)tg_error_set(error, TG_NOMEM, "registry client: out of memory");
        return TG_NOMEM;
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&client->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&client->mutex, NULL);
    client->config = *config;
    client->config.site = NULL; /* the caller's */
    client->cache = tg_registry_cache_create(TG_REGISTRY_CACHE_MAX);
    tg_status_t status = tg_registry_site_open(config->site, &client->site, error);
    if (status == TG_OK && client->cache == NULL)
        status = tg_error_set(error, TG_NOMEM, "registry client: out of memory");
    if (status != TG_OK) {
        client_free(client);
        return status;
    }
    *out_client = client;
    return TG_OK;
}

tg_status_t tg_registry_client_open(const tg_registry_client_config_t *config,
                                    tg_registry_client_t **out_client, tg_error_t *error)
{
    assert(config->site != NULL);
    assert(config->timeout_ms > 0 && config->refresh_ms > 0);
    tg_registry_client_t *client = NULL;
    tg_status_t opened = client_new(config, &client, error);
    if (opened != TG_OK)
        return opened;
    if (tg_thread_start(&client->thread, thread_main, client) != 0) {
        client_free(client);
        return tg_error_set(error, TG_NOMEM, "registry client: no thread for it");
    }
    pthread_mutex_lock(&client->mutex);
    while (!client->started)
        pthread_cond_wait(&client->changed, &client->mutex);
    pthread_mutex_unlock(&client->mutex);
    if (client->start_status != TG_OK) {
        pthread_join(client->thread, NULL);
        tg_status_t status =
            tg_error_set(error, client->start_status, "%s", client->start_error.text);
        client_free(client);
        return status;
    }
    *out_client = client;
    return TG_OK;
}

void tg_registry_client_close(tg_registry_client_t *client)
{
    if (client == NULL)
        return;
    pthread_mutex_lock(&client->mutex);
    client->closing = true;
    pthread_mutex_unlock(&client->mutex);
    tg_loop_stop(client->loop);
    pthread_join(client->thread, NULL);
    client_free(client);
}

size_t tg_registry_client_cached(tg_registry_client_t *client)
{
    pthread_mutex_lock(&client->mutex);
    size_t count = tg_registry_cache_len(client->cache);
    pthread_mutex_unlock(&client->mutex);
    return count;
}

bool tg_registry_client_ready(tg_registry_client_t *client, tg_buf_t *out_detail)
{
    uint64_t answered = atomic_load(&client->answered_ms);
    if (atomic_load(&client->refused)) {
        tg_buf_printf(out_detail, "the registry refuses the %s",
                      tg_registry_site_foreign(client->site) ? "credentials" : "shared secret");
        return false;
    }
    if (answered == 0) {
        tg_buf_str(out_detail, TG_STR("the registry has not answered yet"));
        return false;
    }
    uint64_t silent = tg_time_mono_ms() - answered;
    tg_buf_printf(out_detail, "the registry answered %llu ms ago", (unsigned long long)silent);
    return silent < READY_WITHIN_MS;
}
