/* Whether an instance may have traffic, by its health checks and by its peers; values without a
 * clock of their own.
 *
 * Checks: `bad` in a row take it out, one good one lets it in again.
 *
 * Peers: an instance of whose calls a much larger share fails than of the others' is ejected for a
 * while, longer each time (Envoy's outlier detection by success rate). The breaker sees an instance
 * that is broken; this sees one that is worse than it need be, because the others are not. An
 * instance that is slow needs no ejection: it is chosen less (common/http/client/latency.h).
 *
 * Being out is advice: whoever chooses goes by it while others are left.
 *
 * Threads: values of one thread. */
#ifndef TG_HEALTH_H
#define TG_HEALTH_H

#include "common/http/breaker.h"

typedef struct tg_health {
    unsigned bad_in_row;
    bool out;
} tg_health_t;

/* Takes a check's result in; true when that changed `out`. */
bool tg_health_note(tg_health_t *health, tg_check_t check, unsigned bad);

typedef struct tg_outlier_config {
    unsigned share_percent; /* of failures, at least; and three times the others' */
    unsigned calls_min;     /* about the last ten seconds' */
    uint64_t eject_ms;      /* the first time; 0: nobody is ejected */
    uint64_t eject_max_ms;
} tg_outlier_config_t;

typedef struct tg_outlier {
    double calls, failures; /* fading: nine tenths are left after each look */
    uint64_t calls_seen, failures_seen;
    unsigned times; /* ejected, less what it has served well since */
    uint64_t until_ms, since_ms;
    bool ejected;
} tg_outlier_t;

/* Looks at one instance; to be called for each about once a second before tg_outlier_judge. */
void tg_outlier_feed(tg_outlier_t *outlier, uint64_t calls_total, uint64_t failures_total);

/* Ejects and lets in again, of `count` peers; at most half of them are out. Returns a bit for each
 * whose `ejected` changed. */
unsigned tg_outlier_judge(tg_outlier_t *const *peers, size_t count,
                          const tg_outlier_config_t *config, uint64_t now_ms);

#endif
