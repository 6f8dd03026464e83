/* Three-state circuit breaker (closed, open, half-open), a value without a clock of its own.
 *
 * Closed → open after `failures_in_row`, or when at least `ratio_percent` of at least `ratio_min`
 * calls in the last `window_ms` failed. Open → half-open after `open_ms`, doubled at each return up
 * to `open_max_ms`, jittered by ±20 % so that clients do not come back in step; or at once by
 * tg_breaker_healthy. Half-open lets `probes` calls through: all good closes, one bad opens.
 *
 * Threads: owned by one; the caller passes the time. */
#ifndef TG_BREAKER_H
#define TG_BREAKER_H

#include "common/base/str.h"

typedef enum tg_breaker_state {
    TG_BREAKER_CLOSED,
    TG_BREAKER_OPEN,
    TG_BREAKER_HALF_OPEN
} tg_breaker_state_t;

typedef struct tg_breaker_config {
    unsigned failures_in_row; /* 5 */
    unsigned ratio_percent;   /* 50 */
    unsigned ratio_min;       /* 20 */
    unsigned window_ms;       /* 10,000, in 10 slots */
    unsigned open_ms;         /* 1,000 */
    unsigned open_max_ms;     /* 30,000 */
    unsigned probes;          /* 3 */
} tg_breaker_config_t;

#define TG_BREAKER_DEFAULTS                                                                        \
    {                                                                                              \
        5, 50, 20, 10000, 1000, 30000, 3                                                           \
    }

typedef struct tg_breaker {
    tg_breaker_config_t config;
    tg_breaker_state_t state;
    unsigned in_row; /* failures since the last success */
    unsigned probes_out, probes_good;
    unsigned open_ms; /* length of the current or next opening */
    uint64_t reopen_at_ms;
    uint64_t opened_total;
    uint64_t slot_ms; /* start of the newest slot */
    struct {
        unsigned calls, failures;
    } slots[10];
    uint32_t random;
} tg_breaker_t;

void tg_breaker_init(tg_breaker_t *breaker, const tg_breaker_config_t *config);

/* Whether a call may go now; in half-open this takes one of the probes. Each true must be followed
 * by exactly one tg_breaker_result or tg_breaker_forget. */
bool tg_breaker_allow(tg_breaker_t *breaker, uint64_t now_ms);
void tg_breaker_result(tg_breaker_t *breaker, bool good, uint64_t now_ms);
void tg_breaker_forget(tg_breaker_t *breaker); /* cancelled: says nothing of the upstream */

/* A health check was good: an open breaker becomes half-open at once. */
void tg_breaker_healthy(tg_breaker_t *breaker, uint64_t now_ms);

const char *tg_breaker_state_name(tg_breaker_state_t state);

#endif
