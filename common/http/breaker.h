/* Three-state circuit breaker (closed, open, half-open), a value without a clock of its own.
 *
 * Closed → open after `failures_in_row`, or when at least `ratio_percent` of at least `ratio_min`
 * calls in the last `window_ms` failed. Open → half-open after `open_ms`, doubled at each return up
 * to `open_max_ms`, jittered by ±20 % so that clients do not come back in step; or at once when the
 * health checks turn good. Half-open lets `probes` calls through: all good closes, one bad opens.
 *
 * Health checks speak where they know more than calls do. One without an answer is a failure like
 * any other. A good one ends an opening only if the one before was bad: an instance whose checks
 * are good while its answers are not waits its time. In half-open a good one is a good probe, so
 * that a breaker closes without traffic, too. A breaker that is held (by an operator) is what it is
 * told to be until it is released.
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

/* What brought a breaker where it is. */
typedef enum tg_breaker_why {
    TG_BREAKER_BY_START,
    TG_BREAKER_BY_ROW,     /* failures in a row */
    TG_BREAKER_BY_RATIO,   /* their share */
    TG_BREAKER_BY_TIME,    /* the opening is over */
    TG_BREAKER_BY_CHECK,   /* health checks */
    TG_BREAKER_BY_PROBES,  /* all were good */
    TG_BREAKER_BY_PROBE,   /* one was bad */
    TG_BREAKER_BY_OPERATOR /* held or released */
} tg_breaker_why_t;

/* What a health check has found. */
typedef enum tg_check {
    TG_CHECK_GOOD,
    TG_CHECK_NOT_READY, /* it answered that it must not have traffic */
    TG_CHECK_SILENT     /* no answer */
} tg_check_t;

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
    uint64_t entered[TG_BREAKER_HALF_OPEN + 1]; /* each state, so often */
    tg_breaker_why_t why;
    uint64_t since_ms; /* in this state */
    uint64_t changes;  /* of the state or of who decides it */
    bool held, check_bad;
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

/* What opened it is known to be over (a connection stands again): half-open at once. */
void tg_breaker_healthy(tg_breaker_t *breaker, uint64_t now_ms);

void tg_breaker_check(tg_breaker_t *breaker, tg_check_t check, uint64_t now_ms);

/* Holds it open or closed, whatever calls and checks say. */
void tg_breaker_hold(tg_breaker_t *breaker, bool open, uint64_t now_ms);

/* Ends that: an open one becomes half-open. Nothing happens to one that is not held. */
void tg_breaker_release(tg_breaker_t *breaker, uint64_t now_ms);

const char *tg_breaker_state_name(tg_breaker_state_t state);
const char *tg_breaker_why_name(tg_breaker_why_t why);

#endif
