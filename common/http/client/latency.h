/* What sending one more call to an instance costs: its latency as last seen, times the calls that
 * would then be on their way.
 *
 * The latency is a peak EWMA, as in Finagle's balancer of that name: a slower answer counts at once
 * and whole, a faster one bit by bit, and what is not confirmed fades with TG_LATENCY_FADE_US, so
 * that an instance that was slow is tried again. Beside the number of calls alone it tells a slow
 * instance from a fast one before calls pile up on it. Choosing the cheaper of two drawn at random
 * (Mitzenmacher, "The power of two choices") spreads load nearly as well as knowing all, and does
 * not send everybody to the same one.
 *
 * Threads: a value of one thread; the caller passes the time. */
#ifndef TG_LATENCY_H
#define TG_LATENCY_H

#include "common/base/str.h"

#define TG_LATENCY_FADE_US 10000000.0 /* to a third (1/e) */

typedef struct tg_latency {
    double us; /* 0: no answer yet */
    uint64_t at_us;
} tg_latency_t;

void tg_latency_note(tg_latency_t *latency, uint64_t took_us, uint64_t now_us);

/* A refusal or failure, which may be quick: the latency is confirmed, and never made better. */
void tg_latency_refused(tg_latency_t *latency, uint64_t took_us, uint64_t now_us);

/* Of one call more beside `outstanding` ones. An instance that has not answered yet costs nothing
 * for one call, and more than any other as long as that one is out. */
double tg_latency_cost(const tg_latency_t *latency, size_t outstanding, uint64_t now_us);

#endif
