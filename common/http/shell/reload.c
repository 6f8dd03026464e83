/* New settings for the running process: on SIGHUP, or because a request asked for it.
 *
 * The main thread does it in either case, one after the other: a request leaves a word on the
 * server and sends the process the signal, and its answer is posted to its loop. So reading files
 * holds up no loop, and two reloads cannot meet.
 *
 * Limits: TG_HTTP_RELOADS_MAX requests wait at a time. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/http/shell/shell.h"
#include "common/observe/log.h"
#include "common/observe/program.h"

#define CHANGED_MAX ((size_t)4 << 10) /* bytes of the changed options' names */

/* Main sets the outcome and posts it; everything else is the loop's. */
struct tg_http_reload {
    tg_http_reload_t *next;
    tg_loop_t *loop;
    tg_http_reload_fn done; /* NULL: nobody waits any more */
    void *user;
    tg_status_t status;
    tg_error_t error;
    tg_buf_t changed;
};

static void reload_free(tg_http_reload_t *reload)
{
    tg_buf_dispose(&reload->changed);
    free(reload);
}

/* --- on a loop --- */

tg_http_reload_t *tg_http_reload_ask(const tg_http_req_t *req, tg_http_reload_fn done, void *user)
{
    assert(done != NULL);
    tg_http_server_t *server = req->thread->server;
    tg_http_reload_t *reload = NULL;
    pthread_mutex_lock(&server->mutex);
    if (tg_program_can_reload() && server->reload_count < TG_HTTP_RELOADS_MAX)
        reload = calloc(1, sizeof(*reload));
    if (reload != NULL) {
        *reload = (tg_http_reload_t){.next = server->reloads,
                                     .loop = req->thread->loop,
                                     .done = done,
                                     .user = user};
        server->reloads = reload;
        server->reload_count++;
    }
    pthread_mutex_unlock(&server->mutex);
    if (reload != NULL)
        (void)kill(getpid(), SIGHUP);
    return reload;
}

void tg_http_reload_cancel(tg_http_reload_t *reload)
{
    assert(reload->done != NULL);
    reload->done = NULL;
}

static void on_outcome(void *arg)
{
    tg_http_reload_t *reload = arg;
    if (reload->done != NULL)
        reload->done(reload->user, reload->status, tg_buf_view(&reload->changed),
                     reload->error.text);
    reload_free(reload);
}

/* --- on the main thread --- */

static tg_status_t take_over(tg_http_server_t *server, tg_buf_t *changed, tg_error_t *error)
{
    const tg_http_service_t *service = server->service;
    const void *fresh = NULL;
    tg_status_t status = tg_program_reload(&fresh, changed, error);
    if (status != TG_OK)
        return status;
    const tg_http_config_t *config = tg_program_part(fresh, service->config);
    const tg_http_cert_t before = server->settings->cert;
    if (config != NULL) /* else the service has none but its own */
        status = tg_http_server_reload(server, config, fresh, error);
    if (status == TG_OK && memcmp(&before, &server->settings->cert, sizeof(before)) != 0)
        tg_buf_str(changed, changed->len > 0 ? TG_STR(", certificate") : TG_STR("certificate"));
    tg_program_keep(status == TG_OK);
    return status;
}

static tg_http_reload_t *take_reloads(tg_http_server_t *server)
{
    pthread_mutex_lock(&server->mutex);
    tg_http_reload_t *reloads = server->reloads;
    server->reloads = NULL;
    server->reload_count = 0;
    pthread_mutex_unlock(&server->mutex);
    return reloads;
}

void tg_http_reload_run(tg_http_server_t *server)
{
    /* Whoever asks from here on gets a reload of its own: its signal is still to come. */
    tg_http_reload_t *reload = take_reloads(server), *next;
    tg_buf_t changed = tg_buf_make(CHANGED_MAX);
    tg_error_t error = {.status = TG_OK};
    tg_status_t status = take_over(server, &changed, &error);
    if (status == TG_OK)
        tg_log_info("reloaded", TG_F_STR("changed", tg_buf_view(&changed)));
    else
        tg_log_error("reload_failed", TG_F_TEXT("reason", error.text),
                     TG_F_TEXT("action", "the settings in use stay"));
    for (; reload != NULL; reload = next) {
        next = reload->next;
        reload->status = status;
        reload->error = error;
        reload->changed = tg_buf_make(CHANGED_MAX);
        tg_buf_str(&reload->changed, tg_buf_view(&changed));
        while (tg_loop_post(reload->loop, on_outcome, reload) == TG_FULL)
            usleep(1000); /* the loop runs and empties its queue */
    }
    tg_buf_dispose(&changed);
}

void tg_http_reload_end(tg_http_server_t *server)
{
    for (tg_http_reload_t *reload = take_reloads(server), *next; reload != NULL; reload = next) {
        next = reload->next;
        reload_free(reload);
    }
}
