/* Failed authentications per client address: how many, and whether that is too many.
 *
 * What it is for: a client with a broken configuration, or somebody who tries keys, gets a cheap
 * 429 and a time to wait instead of an endless row of 401. It never stands before a valid key: the
 * key is judged first, and only a failure is counted and limited, so that a stranger behind the
 * same address translation can lock nobody out. Guessing is hopeless anyway (190 random bits).
 *
 * Addresses are hashed into a fixed table of GCRA clocks, without eviction and without locks; two
 * addresses that meet in one place share its budget. An IPv6 client counts by its /64.
 *
 * Limits: 65,536 places for the whole process.
 * Threads: any. */
#ifndef TG_GATEWAY_FAILURES_H
#define TG_GATEWAY_FAILURES_H

#include "common/base/str.h"

typedef struct tg_failures tg_failures_t;

typedef struct tg_failures_rate {
    int64_t interval_us, room_us;
} tg_failures_rate_t;

/* `burst` failures at once and `per_minute` of them for good; both at least 1. */
tg_failures_rate_t tg_failures_rate(uint64_t per_minute, uint64_t burst);

/* NULL when out of memory. */
tg_failures_t *tg_failures_create(void);
void tg_failures_destroy(tg_failures_t *failures); /* NULL is allowed */

/* Counts one; returns 0 while the address is within its budget, else the µs until a failure would
 * be again. `now_us` is monotonic. */
int64_t tg_failures_note(tg_failures_t *failures, const tg_failures_rate_t *rate, tg_str_t address,
                         int64_t now_us);

#endif
