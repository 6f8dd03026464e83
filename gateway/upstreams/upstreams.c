/* See upstreams.h. A change of an instance is one line in the log, by each thread that finds it. */
#include "gateway/upstreams/upstreams.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "common/observe/log.h"

struct tg_upstreams {
    const tg_upstreams_config_t *config;
    tg_resolver_t *resolver;
    tg_board_t *board;
    _Atomic uint64_t lookups_failed[TG_UP_COUNT]; /* those that the log has */
};

struct tg_upstreams_seat {
    tg_upstreams_t *upstreams;
    tg_loop_t *loop;
    tg_http_client_t *const *clients;
    tg_board_place_t *place;
    tg_timer_t timer;
};

/* --- the process's --- */

static tg_status_t check_config(const tg_upstreams_config_t *config, tg_error_t *error)
{
    if (config->breaker_open_ms > config->breaker_open_max_ms)
        return tg_error_set(error, TG_INVALID,
                            "breaker.open must not be longer than breaker.open_max.");
    return TG_OK;
}

tg_status_t tg_upstreams_open(const tg_upstreams_config_t *config,
                              char *const instances[TG_UP_COUNT], tg_upstreams_t **out_upstreams,
                              tg_error_t *error)
{
    const char *lists[TG_UP_COUNT];
    for (size_t i = 0; i < TG_UP_COUNT; i++)
        lists[i] = instances[i];
    const tg_resolver_config_t resolver = {.lists = lists,
                                           .list_count = TG_UP_COUNT,
                                           .every_ms = config->resolve_ms};
    tg_status_t status = check_config(config, error);
    if (status != TG_OK)
        return status;
    tg_upstreams_t *upstreams = calloc(1, sizeof(*upstreams));
    if (upstreams == NULL)
        return tg_error_set(error, TG_NOMEM, "Out of memory.");
    upstreams->config = config;
    status = tg_resolver_open(&resolver, &upstreams->resolver, error);
    if (status == TG_OK && (upstreams->board = tg_board_create(upstreams->resolver)) == NULL)
        status = tg_error_set(error, TG_NOMEM, "Out of memory.");
    if (status != TG_OK) {
        tg_upstreams_close(upstreams);
        return status;
    }
    *out_upstreams = upstreams;
    return TG_OK;
}

void tg_upstreams_close(tg_upstreams_t *upstreams)
{
    if (upstreams == NULL)
        return;
    tg_board_destroy(upstreams->board);
    tg_resolver_close(upstreams->resolver);
    free(upstreams);
}

tg_board_t *tg_upstreams_board(const tg_upstreams_t *upstreams)
{
    return upstreams->board;
}

/* --- the clients --- */

static void on_change(void *arg, const tg_http_change_t *change)
{
    static const char *const events[] = {[TG_HTTP_BREAKER] = "breaker_changed",
                                         [TG_HTTP_HEALTH] = "instance_health_changed",
                                         [TG_HTTP_EJECTION] = "instance_ejection_changed",
                                         [TG_HTTP_ADDRESS] = "instance_address_changed"};
    (void)arg;
    bool bad = strcmp(change->to, "open") == 0 || strcmp(change->to, "out") == 0;
    const tg_log_field_t fields[] = {
        TG_F_TEXT("upstream", change->upstream), TG_F_TEXT("instance", change->instance),
        TG_F_TEXT("from", change->from),         TG_F_TEXT("to", change->to),
        TG_F_TEXT("why", change->why),           TG_F_INT("next_ms", change->next_ms),
    };
    assert((size_t)change->what < TG_ARRAY_LEN(events));
    tg_log_write(bad ? TG_LOG_WARN : TG_LOG_INFO, events[change->what], fields,
                 TG_ARRAY_LEN(fields) - (change->next_ms == 0 ? 1 : 0));
}

static tg_breaker_config_t breaker_config(const tg_upstreams_config_t *config)
{
    if (config->breaker_row == 0)
        return (tg_breaker_config_t)TG_BREAKER_DEFAULTS;
    return (tg_breaker_config_t){.failures_in_row = (unsigned)config->breaker_row,
                                 .ratio_percent = (unsigned)config->breaker_ratio,
                                 .ratio_min = (unsigned)config->breaker_ratio_min,
                                 .window_ms = (unsigned)config->breaker_window_ms,
                                 .open_ms = (unsigned)config->breaker_open_ms,
                                 .open_max_ms = (unsigned)config->breaker_open_max_ms,
                                 .probes = (unsigned)config->breaker_probes};
}

void tg_upstreams_configure(tg_upstreams_t *upstreams, tg_upstream_t upstream,
                            tg_http_client_config_t *client)
{
    const tg_upstreams_config_t *config = upstreams->config;
    client->breaker = breaker_config(config);
    client->upkeep = (tg_http_upkeep_t){
        .check_ms = config->check_ms,
        .check_timeout_ms = config->check_timeout_ms,
        .check_path = "/ready",
        .check_bad = (unsigned)config->check_bad,
        .outlier = {.share_percent = (unsigned)config->outlier_share,
                    .calls_min = (unsigned)config->outlier_calls,
                    .eject_ms = config->outlier_ms,
                    .eject_max_ms = config->outlier_max_ms},
        .resolver = upstreams->resolver,
        .resolver_list = upstream,
        .on_change = on_change,
    };
}

/* --- a thread's --- */

static void log_failed_lookups(tg_upstreams_t *upstreams)
{
    for (unsigned i = 0; i < TG_UP_COUNT; i++) {
        uint64_t failed = tg_resolver_get_stats(upstreams->resolver, i).failed;
        if (atomic_exchange(&upstreams->lookups_failed[i], failed) < failed)
            tg_log_warn("upstream_lookup_failed",
                        TG_F_TEXT("upstream", tg_upstream_name((tg_upstream_t)i)),
                        TG_F_INT("failed_total", failed),
                        TG_F_TEXT("done", "the addresses known before stay in use"));
    }
}

static void on_timer(void *arg)
{
    tg_upstreams_seat_t *seat = arg;
    tg_upstreams_visit(seat);
    log_failed_lookups(seat->upstreams);
    tg_timer_start(seat->loop, &seat->timer, TG_BOARD_VISIT_MS, on_timer, seat);
}

tg_upstreams_seat_t *tg_upstreams_attach(tg_upstreams_t *upstreams, tg_loop_t *loop,
                                         tg_http_client_t *const clients[TG_UP_COUNT])
{
    tg_upstreams_seat_t *seat = calloc(1, sizeof(*seat));
    if (seat == NULL)
        return NULL;
    *seat = (tg_upstreams_seat_t){.upstreams = upstreams, .loop = loop, .clients = clients};
    seat->place = tg_board_enter(upstreams->board);
    if (seat->place == NULL) {
        free(seat);
        return NULL;
    }
    on_timer(seat);
    return seat;
}

void tg_upstreams_detach(tg_upstreams_seat_t *seat)
{
    if (seat == NULL)
        return;
    tg_timer_stop(&seat->timer);
    tg_board_leave(seat->place);
    free(seat);
}

void tg_upstreams_visit(tg_upstreams_seat_t *seat)
{
    tg_board_visit(seat->place, seat->clients, tg_loop_now_ms(seat->loop));
}
