/* How many requests may be on their way to one upstream, from one thread: found by additive
 * increase and multiplicative decrease (Chiu and Jain, 1989) over the latency that it answers with.
 *
 * Answers are looked at in windows of at least 100 ms and 10 answers. A window whose mean is above
 * twice the best mean of the last minute, and by more than a slack, or in which more than a tenth
 * failed, shrinks the limit by a fifth; any other that made use of half of the limit raises it by
 * 1/64 of its upper bound. The best is forgotten after half a minute to a minute, so that an
 * upstream whose work has become heavier finds a new level.
 *
 * Why latency: an upstream that is full answers late long before it answers with an error, and what
 * waits there is out of order; what waits here is shared out fairly and dropped when it is too
 * late.
 *
 * Threads: a value of one thread. */
#ifndef TG_OVERLOAD_PACE_H
#define TG_OVERLOAD_PACE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct tg_pace {
    uint32_t least, most; /* bounds of the limit */
    uint32_t limit;
    uint64_t slack_us;
    /* the window */
    uint64_t since_us, latency_us;
    uint32_t answers, failures, peak;
    /* best means: of this half minute and of the one before */
    uint64_t best_us, former_us, best_since_us;
    uint64_t shrunk_total;
} tg_pace_t;

/* Begins at a quarter of `most`. */
void tg_pace_init(tg_pace_t *pace, uint32_t least, uint32_t most, uint64_t slack_us,
                  uint64_t now_us);

/* An answer came after `latency_us`, while `in_flight` were on their way, it included; `failed`
 * when it did not come, or said that the upstream is overloaded. */
void tg_pace_note(tg_pace_t *pace, uint64_t now_us, uint64_t latency_us, uint32_t in_flight,
                  bool failed);

static inline uint32_t tg_pace_limit(const tg_pace_t *pace)
{
    return pace->limit;
}

#endif
