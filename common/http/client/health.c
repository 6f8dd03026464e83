/* See health.h. The share of the others is that of all their calls together, so that a quiet peer
 * weighs little. */
#include "common/http/client/health.h"

#define TIMES_PEERS  3
#define KEPT_BY_LOOK 0.9

bool tg_health_note(tg_health_t *health, tg_check_t check, unsigned bad)
{
    assert(bad > 0);
    bool was_out = health->out;
    if (check == TG_CHECK_GOOD)
        *health = (tg_health_t){0};
    else if (++health->bad_in_row >= bad)
        health->out = true;
    return health->out != was_out;
}

void tg_outlier_feed(tg_outlier_t *outlier, uint64_t calls_total, uint64_t failures_total)
{
    assert(calls_total >= outlier->calls_seen);
    assert(failures_total >= outlier->failures_seen);
    outlier->calls = outlier->calls * KEPT_BY_LOOK + (double)(calls_total - outlier->calls_seen);
    outlier->failures =
        outlier->failures * KEPT_BY_LOOK + (double)(failures_total - outlier->failures_seen);
    outlier->calls_seen = calls_total;
    outlier->failures_seen = failures_total;
}

static double share(double failures, double calls)
{
    return calls > 0 ? 100 * failures / calls : 0;
}

static bool is_outlier(tg_outlier_t *const *peers, size_t count, const tg_outlier_t *one,
                       const tg_outlier_config_t *config)
{
    double calls = 0, failures = 0, own = share(one->failures, one->calls);
    for (size_t i = 0; i < count; i++) {
        if (peers[i] == one || peers[i]->ejected)
            continue;
        calls += peers[i]->calls;
        failures += peers[i]->failures;
    }
    return one->calls >= config->calls_min && calls >= config->calls_min &&
           own >= config->share_percent && own >= TIMES_PEERS * share(failures, calls);
}

static void eject(tg_outlier_t *one, const tg_outlier_config_t *config, uint64_t now_ms)
{
    uint64_t length = config->eject_ms * ++one->times;
    one->ejected = true;
    one->since_ms = now_ms;
    one->until_ms = now_ms + (length < config->eject_max_ms ? length : config->eject_max_ms);
}

static void let_in(tg_outlier_t *one, uint64_t now_ms)
{
    one->ejected = false;
    one->since_ms = now_ms;
    one->calls = 0;
    one->failures = 0;
}

/* Each ejection's length served without another takes one off the count. */
static void forgive(tg_outlier_t *one, const tg_outlier_config_t *config, uint64_t now_ms)
{
    if (one->times == 0 || now_ms - one->since_ms < config->eject_ms)
        return;
    one->times--;
    one->since_ms = now_ms;
}

unsigned tg_outlier_judge(tg_outlier_t *const *peers, size_t count,
                          const tg_outlier_config_t *config, uint64_t now_ms)
{
    assert(count <= 32);
    unsigned changed = 0;
    size_t out = 0;
    if (config->eject_ms == 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        if (peers[i]->ejected && now_ms >= peers[i]->until_ms) {
            let_in(peers[i], now_ms);
            changed |= 1u << i;
        }
        out += peers[i]->ejected;
    }
    for (size_t i = 0; i < count; i++) {
        if (peers[i]->ejected)
            continue;
        if (2 * (out + 1) <= count && is_outlier(peers, count, peers[i], config)) {
            eject(peers[i], config, now_ms);
            out++;
            changed |= 1u << i;
        } else {
            forgive(peers[i], config, now_ms);
        }
    }
    return changed;
}
