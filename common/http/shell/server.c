/* The server as a whole: its threads, and the life of a service's process.
 *
 * The main thread only starts, waits and stops; threads tell it what they reach (running, failed,
 * drained) by counts under one mutex, and it tells them what to do by posts to their loops. */
#include "common/http/server.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "common/base/thread.h"
#include "common/http/guard.h"
#include "common/http/shell/shell.h"
#include "common/observe/log.h"
#include "common/observe/program.h"

#define TG_HTTP_CUT_MS  1000      /* after the drain: time for the cut answers to leave */
#define KEPT_PER_THREAD (8 << 20) /* bytes of freed memory */

static const tg_metric_desc_t metric_descs[] = {
#define TG_METRIC(id, kind, ...) {TG_##kind, __VA_ARGS__},
#include "common/http/shell/metrics.def"
#undef TG_METRIC
};
_Static_assert(TG_ARRAY_LEN(metric_descs) == HTTP_METRIC_COUNT, "one row per id");

/* --- threads --- */

static void *thread_entry(void *arg)
{
    tg_http_thread_main(arg);
    return NULL;
}

static tg_status_t start_thread(tg_http_thread_t *thread, tg_error_t *error)
{
    int code = tg_thread_start(&thread->id, thread_entry, thread);
    if (code != 0)
        return tg_error_set(error, TG_NOMEM, "Cannot start a thread: %s.", strerror(code));
    return TG_OK;
}

/* Waits until each thread has said whether it runs. */
static tg_status_t wait_started(tg_http_server_t *server, tg_error_t *error)
{
    tg_status_t status = TG_OK;
    pthread_mutex_lock(&server->mutex);
    while (server->running + server->failed < server->thread_count)
        pthread_cond_wait(&server->changed, &server->mutex);
    if (server->failed > 0) {
        status = server->start_error.status;
        if (error != NULL)
            *error = server->start_error;
    }
    pthread_mutex_unlock(&server->mutex);
    return status;
}

static tg_status_t start_threads(tg_http_server_t *server, tg_error_t *error)
{
    tg_status_t started = TG_OK;
    while (started == TG_OK && server->thread_count <= server->api_count) {
        started = start_thread(&server->threads[server->thread_count], error);
        server->thread_count += started == TG_OK ? 1 : 0;
    }
    tg_status_t status = wait_started(server, started == TG_OK ? error : NULL);
    return started != TG_OK ? started : status;
}

static void stop_thread(tg_http_thread_t *thread)
{
    assert(thread->server != NULL);
    if (thread->runs)
        tg_loop_stop(thread->loop);
    pthread_join(thread->id, NULL);
}

static tg_status_t open_listeners(tg_http_server_t *server, tg_error_t *error)
{
    const tg_http_config_t *config = server->service->config;
    int fds[TG_METRIC_SHARDS_MAX];
    assert(server->api_count <= TG_ARRAY_LEN(fds));
    tg_status_t status = TG_OK;
    if (server->api_count > 0)
        status = tg_http_listen(config->listen, server->api_count, fds, &server->port, error);
    if (status != TG_OK)
        return status;
    for (size_t i = 0; i < server->api_count; i++)
        server->threads[i].listen_fd = fds[i];
    return tg_http_listen(config->admin_listen, 1, &server->threads[server->api_count].listen_fd,
                          &server->admin_port, error);
}

static tg_status_t prepare_threads(tg_http_server_t *server, tg_error_t *error)
{
    server->threads = calloc(server->api_count + 1, sizeof(*server->threads));
    server->metrics = tg_metrics_create(metric_descs, HTTP_METRIC_COUNT);
    server->peers = tg_http_peers_create();
    if (server->threads == NULL || server->metrics == NULL || server->peers == NULL)
        return tg_error_set(error, TG_NOMEM, "Out of memory.");
    for (size_t i = 0; i <= server->api_count; i++) {
        tg_http_thread_t *thread = &server->threads[i];
        thread->server = server;
        thread->is_api = i < server->api_count;
        thread->service = thread->is_api ? server->service : &server->admin_service;
        thread->settings = tg_http_settings_ref(server->settings);
        thread->listen_fd = -1;
        thread->shard = tg_metrics_shard(server->metrics);
        if (thread->shard == NULL)
            return tg_error_set(error, TG_NOMEM, "Out of memory.");
    }
    return TG_OK;
}

static tg_http_server_t *server_create(const tg_http_service_t *service)
{
    tg_http_server_t *server = calloc(1, sizeof(*server));
    if (server == NULL)
        return NULL;
    server->service = service;
    server->api_count = service->config->threads;
    server->admin_service = (tg_http_service_t){.name = service->name,
                                                .config = service->config,
                                                .routes = tg_http_admin_routes,
                                                .route_count = tg_http_admin_route_count};
    pthread_mutex_init(&server->mutex, NULL);
    pthread_mutex_init(&server->ready_mutex, NULL);
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&server->changed, &clock);
    pthread_condattr_destroy(&clock);
    return server;
}

static void check_service(const tg_http_service_t *service)
{
    assert(service != NULL && service->name != NULL && service->config != NULL);
    assert(service->config->threads < TG_METRIC_SHARDS_MAX);
    for (size_t i = 0; i < service->route_count; i++)
        assert((service->routes[i].flags & TG_HTTP_ROUTE_INTERNAL) == 0 ||
               (service->secret != NULL && service->secret[0] != '\0'));
}

tg_status_t tg_http_server_open(const tg_http_service_t *service, tg_http_server_t **out_server,
                                tg_error_t *error)
{
    check_service(service);
    tg_status_t status = tg_http_guard_check(error);
    if (status != TG_OK)
        return status;
    tg_http_server_t *server = server_create(service);
    if (server == NULL)
        return tg_error_set(error, TG_NOMEM, "Out of memory.");
    status = tg_http_settings_create(service, service->config, service->options, &server->settings,
                                     error);
    if (status == TG_OK)
        status = prepare_threads(server, error);
    if (status == TG_OK)
        status = open_listeners(server, error);
    if (status == TG_OK)
        status = start_threads(server, error);
    if (status != TG_OK)
        goto fail;
    assert(server->threads != NULL);
    *out_server = server;
    return TG_OK;

fail:
    tg_http_server_close(server);
    return status;
}

/* --- messages to threads --- */

static void post_to(tg_http_server_t *server, size_t from, size_t to, tg_loop_fn fn)
{
    for (size_t i = from; i < to; i++) {
        /* Room is always found: the loop runs and empties its queue. */
        while (tg_loop_post(server->threads[i].loop, fn, &server->threads[i]) == TG_FULL)
            usleep(1000);
    }
}

/* --- new settings --- */

tg_status_t tg_http_server_reload(tg_http_server_t *server, const tg_http_config_t *config,
                                  const void *options, tg_error_t *error)
{
    assert(server != NULL && config != NULL);
    tg_http_settings_t *next = NULL;
    tg_status_t status = tg_http_settings_create(server->service, config, options, &next, error);
    if (status != TG_OK)
        return status;
    if ((next->tls == NULL) != (server->settings->tls == NULL)) {
        tg_http_settings_unref(next);
        return tg_error_set(error, TG_CONFLICT,
                            "http.tls_cert: turning TLS on or off needs a restart.");
    }
    for (size_t i = 0; i < server->thread_count; i++)
        tg_http_settings_unref(
            atomic_exchange(&server->threads[i].next_settings, tg_http_settings_ref(next)));
    post_to(server, 0, server->thread_count, tg_http_thread_settle);
    tg_http_settings_unref(server->settings);
    server->settings = next;
    return TG_OK;
}

/* --- draining --- */

/* Whether all API threads have no connection left before `wait_ms` have passed. */
static bool wait_drained(tg_http_server_t *server, size_t count, uint64_t wait_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(wait_ms / 1000);
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    int code = 0;
    pthread_mutex_lock(&server->mutex);
    while (server->drained < count && code == 0)
        code = pthread_cond_timedwait(&server->changed, &server->mutex, &until);
    bool all = server->drained >= count;
    pthread_mutex_unlock(&server->mutex);
    return all;
}

static size_t drain(tg_http_server_t *server, uint64_t wait_ms)
{
    if (atomic_exchange(&server->draining, true))
        return 0;
    size_t count = server->api_count, cut = 0;
    post_to(server, 0, count, tg_http_thread_begin_drain);
    if (wait_drained(server, count, wait_ms))
        return 0;
    post_to(server, 0, count, tg_http_thread_cut);
    (void)wait_drained(server, count, TG_HTTP_CUT_MS);
    for (size_t i = 0; i < count; i++)
        cut += atomic_load(&server->threads[i].cut_requests);
    return cut;
}

size_t tg_http_server_drain(tg_http_server_t *server)
{
    assert(server != NULL);
    return drain(server, server->settings->limits.drain_ms);
}

/* What a thread that has ended, or has never begun, leaves behind. */
static void release_thread(tg_http_thread_t *thread, bool ran)
{
    if (!ran && thread->listen_fd > 0)
        close(thread->listen_fd);
    tg_http_settings_unref(atomic_exchange(&thread->next_settings, NULL));
    tg_http_settings_unref(thread->settings);
}

void tg_http_server_close(tg_http_server_t *server)
{
    if (server == NULL)
        return;
    if (server->failed == 0 && server->thread_count > server->api_count)
        (void)drain(server, 0);
    for (size_t i = 0; i < server->thread_count; i++)
        stop_thread(&server->threads[i]);
    for (size_t i = 0; server->threads != NULL && i <= server->api_count; i++)
        release_thread(&server->threads[i], i < server->thread_count);
    free(server->threads);
    tg_http_reload_end(server);
    tg_http_settings_unref(server->settings);
    tg_metrics_destroy(server->metrics);
    tg_http_peers_destroy(server->peers);
    pthread_mutex_destroy(&server->mutex);
    pthread_mutex_destroy(&server->ready_mutex);
    pthread_cond_destroy(&server->changed);
    free(server);
}

uint16_t tg_http_server_port(const tg_http_server_t *server)
{
    assert(server != NULL);
    return server->port;
}

uint16_t tg_http_server_admin_port(const tg_http_server_t *server)
{
    assert(server != NULL);
    return server->admin_port;
}

/* --- the process --- */

static int wait_for_end(tg_http_server_t *server, const sigset_t *signals)
{
    int signal_number = 0;
    for (;;) {
        if (sigwait(signals, &signal_number) != 0)
            continue;
        if (signal_number == SIGTERM || signal_number == SIGINT)
            return signal_number;
        if (tg_program_can_reload())
            tg_http_reload_run(server);
        else
            tg_log_info("signal_ignored", TG_F_INT("signal", signal_number));
    }
}

/* As many descriptors as the system lets us have: one for each connection. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* What requests have freed stays with the process: glibc gives a thread's heap back to the kernel
 * from 128 KiB of free memory at its end on, and faults it in again for the next answer, page by
 * page. That was a third of the CPU time of a 20 KiB answer. */
static void keep_freed_memory(void)
{
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_PER_THREAD);
    (void)mallopt(M_MMAP_THRESHOLD, KEPT_PER_THREAD / 2);
}

int tg_http_server_run(const tg_http_service_t *service)
{
    raise_descriptor_limit();
    keep_freed_memory();
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);

    tg_error_t error = {.status = TG_OK};
    tg_http_server_t *server = NULL;
    if (tg_http_server_open(service, &server, &error) != TG_OK) {
        tg_log_error("start_failed", TG_F_TEXT("reason", error.text));
        return 1;
    }
    tg_log_info("started", TG_F_TEXT("listen", service->config->listen),
                TG_F_INT("port", tg_http_server_port(server)),
                TG_F_TEXT("admin_listen", service->config->admin_listen),
                TG_F_INT("threads", service->config->threads));
    int signal_number = wait_for_end(server, &signals);
    tg_log_info("draining", TG_F_INT("signal", signal_number));
    size_t cut = tg_http_server_drain(server);
    tg_http_server_close(server);
    tg_log_info("stopped", TG_F_INT("requests_cut", cut));
    return 0;
}
