/* The gateway's upstreams as a whole: how their clients are set, what is told of their instances,
 * and the board (gateway/upstreams/board.h) on which all threads' clients are seen.
 *
 * Threads: open and close on the main thread; attach, detach and the clients on their loop. */
#ifndef TG_GATEWAY_UPSTREAMS_H
#define TG_GATEWAY_UPSTREAMS_H

#include "gateway/upstreams/board.h"

/* 0 in all: as the options' defaults for breakers, and nothing is watched (in tests). */
typedef struct tg_upstreams_config {
    uint64_t breaker_row, breaker_ratio, breaker_ratio_min, breaker_window_ms;
    uint64_t breaker_open_ms, breaker_open_max_ms, breaker_probes;
    uint64_t check_ms, check_timeout_ms, check_bad;
    uint64_t outlier_share, outlier_calls, outlier_ms, outlier_max_ms;
    uint64_t resolve_ms;
} tg_upstreams_config_t;

// clang-format off
#define TG_UPSTREAMS_OPTIONS(S, m)                                                                                                     \
    {"breaker.failures_in_row", TG_OPT_UINT, offsetof(S, m.breaker_row), "5", 1, 1000, "Failed calls in a row that open an instance's breaker."}, \
    {"breaker.ratio", TG_OPT_UINT, offsetof(S, m.breaker_ratio), "50", 1, 100, "Percent of failed calls within breaker.window that open it."}, \
    {"breaker.ratio_min", TG_OPT_UINT, offsetof(S, m.breaker_ratio_min), "20", 1, 100000, "Calls within breaker.window below which their share does not count."}, \
    {"breaker.window", TG_OPT_MS, offsetof(S, m.breaker_window_ms), "10s", 100, 3600000, "Time over which the share is taken."}, \
    {"breaker.open", TG_OPT_MS, offsetof(S, m.breaker_open_ms), "1s", 10, 3600000, "First time that a breaker stays open; doubled each time that a probe fails."}, \
    {"breaker.open_max", TG_OPT_MS, offsetof(S, m.breaker_open_max_ms), "30s", 10, 3600000, "Longest such time."}, \
    {"breaker.probes", TG_OPT_UINT, offsetof(S, m.breaker_probes), "3", 1, 1000, "Good calls that close a half-open breaker."}, \
    {"health.interval", TG_OPT_MS, offsetof(S, m.check_ms), "1s", 0, 3600000, "How often each thread asks each upstream instance for /ready; 0: never."}, \
    {"health.timeout", TG_OPT_MS, offsetof(S, m.check_timeout_ms), "1s", 10, 60000, "Longest wait for that answer."}, \
    {"health.failures", TG_OPT_UINT, offsetof(S, m.check_bad), "3", 1, 1000, "Bad checks in a row after which an instance is left out while others are left."}, \
    {"outlier.share", TG_OPT_UINT, offsetof(S, m.outlier_share), "20", 1, 100, "Percent of failed calls, three times its peers' at least, for which an instance is ejected."}, \
    {"outlier.calls", TG_OPT_UINT, offsetof(S, m.outlier_calls), "20", 1, 100000, "Calls of the last ten seconds below which that is not judged."}, \
    {"outlier.ejection", TG_OPT_MS, offsetof(S, m.outlier_ms), "30s", 0, 3600000, "How long the first time, each time longer; 0: no instance is ejected."}, \
    {"outlier.ejection_max", TG_OPT_MS, offsetof(S, m.outlier_max_ms), "5m", 0, 3600000, "Longest such time."}, \
    {"upstream.resolve", TG_OPT_MS, offsetof(S, m.resolve_ms), "30s", 0, 3600000, "How often the names of instances are looked up again; 0: only at the start."}
// clang-format on

typedef struct tg_upstreams tg_upstreams_t;
typedef struct tg_upstreams_seat tg_upstreams_seat_t; /* a thread's */

/* Looks the instances' names up, which may block. `config` is borrowed. */
TG_NODISCARD tg_status_t tg_upstreams_open(const tg_upstreams_config_t *config,
                                           char *const instances[TG_UP_COUNT],
                                           tg_upstreams_t **out_upstreams, tg_error_t *error);
void tg_upstreams_close(tg_upstreams_t *upstreams); /* NULL is allowed */

tg_board_t *tg_upstreams_board(const tg_upstreams_t *upstreams);

/* Sets what of a client's configuration is the same everywhere: breaker and upkeep. */
void tg_upstreams_configure(tg_upstreams_t *upstreams, tg_upstream_t upstream,
                            tg_http_client_config_t *client);

/* The thread's clients are seen on the board from now on. NULL when out of memory. Detach before
 * they are closed; NULL is allowed. */
tg_upstreams_seat_t *tg_upstreams_attach(tg_upstreams_t *upstreams, tg_loop_t *loop,
                                         tg_http_client_t *const clients[TG_UP_COUNT]);
void tg_upstreams_detach(tg_upstreams_seat_t *seat);

/* Brings the board and the clients up to date now. */
void tg_upstreams_visit(tg_upstreams_seat_t *seat);

#endif
