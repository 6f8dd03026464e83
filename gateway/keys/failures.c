/* See failures.h. */
#include "gateway/keys/failures.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/base/hash.h"
#include "common/base/time.h"

#define PLACES ((size_t)1 << 16)

struct tg_failures {
    _Atomic int64_t arrivals[PLACES]; /* theoretical arrival times */
};

tg_failures_rate_t tg_failures_rate(uint64_t per_minute, uint64_t burst)
{
    assert(per_minute >= 1);
    assert(burst >= 1);
    int64_t interval_us = 60 * TG_US_PER_SECOND / (int64_t)per_minute;
    if (interval_us < 1)
        interval_us = 1;
    return (tg_failures_rate_t){interval_us, (int64_t)burst * interval_us};
}

tg_failures_t *tg_failures_create(void)
{
    return calloc(1, sizeof(tg_failures_t));
}

void tg_failures_destroy(tg_failures_t *failures)
{
    free(failures);
}

static size_t place_of(tg_str_t address)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char network[sizeof(struct in6_addr)];
    if (address.len < sizeof(text) && memchr(address.ptr, ':', address.len) != NULL) {
        memcpy(text, address.ptr, address.len);
        text[address.len] = '\0';
        if (inet_pton(AF_INET6, text, network) == 1)
            address = (tg_str_t){(const char *)network, 8};
    }
    return (size_t)(tg_hash_table(address) % PLACES);
}

int64_t tg_failures_note(tg_failures_t *failures, const tg_failures_rate_t *rate, tg_str_t address,
                         int64_t now_us)
{
    assert(failures != NULL);
    if (address.len == 0)
        return 0;
    _Atomic int64_t *arrival = &failures->arrivals[place_of(address)];
    int64_t seen = atomic_load_explicit(arrival, memory_order_relaxed);
    for (;;) {
        int64_t from = seen > now_us ? seen : now_us;
        int64_t next = from + rate->interval_us;
        if (next - now_us > rate->room_us)
            return next - now_us - rate->room_us; /* what is refused is not counted */
        if (atomic_compare_exchange_weak_explicit(arrival, &seen, next, memory_order_relaxed,
                                                  memory_order_relaxed))
            return 0;
    }
}
