/* The arithmetic of pace.h. */
#include "gateway/overload/pace.h"

#include <assert.h>

#define WINDOW_US    100000
#define WINDOW_LEAST 10
#define BEST_US      UINT64_C(30000000)
#define NEVER        UINT64_MAX

void tg_pace_init(tg_pace_t *pace, uint32_t least, uint32_t most, uint64_t slack_us,
                  uint64_t now_us)
{
    assert(least >= 1 && least <= most);
    *pace = (tg_pace_t){
        .least = least,
        .most = most,
        .limit = most / 4 > least ? most / 4 : least,
        .slack_us = slack_us,
        .since_us = now_us,
        .best_us = NEVER,
        .former_us = NEVER,
        .best_since_us = now_us,
    };
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void remember_best(tg_pace_t *pace, uint64_t now_us, uint64_t mean_us)
{
    if (now_us - pace->best_since_us > BEST_US) {
        pace->former_us = pace->best_us;
        pace->best_us = NEVER;
        pace->best_since_us = now_us;
    }
    pace->best_us = lesser(pace->best_us, mean_us);
}

static bool is_late(const tg_pace_t *pace, uint64_t mean_us)
{
    uint64_t best = lesser(pace->best_us, pace->former_us);
    return mean_us > 2 * best && mean_us > best + pace->slack_us;
}

static void shrink(tg_pace_t *pace)
{
    uint32_t next = pace->limit - (pace->limit + 4) / 5;
    pace->limit = next > pace->least ? next : pace->least;
    pace->shrunk_total++;
}

static void grow(tg_pace_t *pace)
{
    uint32_t step = (pace->most + 63) / 64;
    pace->limit = pace->most - pace->limit < step ? pace->most : pace->limit + step;
}

void tg_pace_note(tg_pace_t *pace, uint64_t now_us, uint64_t latency_us, uint32_t in_flight,
                  bool failed)
{
    pace->latency_us += latency_us;
    pace->answers++;
    pace->failures += failed;
    pace->peak = in_flight > pace->peak ? in_flight : pace->peak;
    if (now_us - pace->since_us < WINDOW_US || pace->answers < WINDOW_LEAST)
        return;
    uint64_t mean_us = pace->latency_us / pace->answers;
    bool failing = 10 * pace->failures > pace->answers;
    if (!failing) /* what fails fast says nothing of how fast work is */
        remember_best(pace, now_us, mean_us);
    if (failing || is_late(pace, mean_us))
        shrink(pace);
    else if (2 * pace->peak >= pace->limit)
        grow(pace);
    pace->since_us = now_us;
    pace->latency_us = 0;
    pace->answers = pace->failures = pace->peak = 0;
}
