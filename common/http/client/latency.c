/* See latency.h. Fading is exp(-age / TG_LATENCY_FADE_US); some 20 ns, and only where there is a
 * choice. */
#include "common/http/client/latency.h"

#include <math.h>

#define UNKNOWN_US 1e12 /* above any latency that a deadline allows */

static double kept(const tg_latency_t *latency, uint64_t now_us)
{
    double age = now_us > latency->at_us ? (double)(now_us - latency->at_us) : 0;
    return exp(-age / TG_LATENCY_FADE_US);
}

void tg_latency_note(tg_latency_t *latency, uint64_t took_us, uint64_t now_us)
{
    double took = took_us > 0 ? (double)took_us : 1, weight = kept(latency, now_us);
    double mean = latency->us * weight + took * (1 - weight);
    latency->us = took > mean ? took : mean;
    latency->at_us = now_us;
    assert(latency->us > 0);
}

void tg_latency_refused(tg_latency_t *latency, uint64_t took_us, uint64_t now_us)
{
    if ((double)took_us < latency->us)
        latency->at_us = now_us;
    else
        tg_latency_note(latency, took_us, now_us);
}

double tg_latency_cost(const tg_latency_t *latency, size_t outstanding, uint64_t now_us)
{
    assert(latency->us >= 0);
    if (latency->us <= 0)
        return outstanding == 0 ? 0 : UNKNOWN_US + (double)outstanding;
    return latency->us * kept(latency, now_us) * ((double)outstanding + 1);
}
