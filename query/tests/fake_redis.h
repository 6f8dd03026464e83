/* A Redis of the tests on a loopback socket: PING, GET, PTTL and SET … PX into a small table, kept
 * without regard to time: PTTL is what SET said, or the test.
 *
 * Threads: it has one of its own; the functions are for the test's. */
#ifndef TG_QUERY_TESTS_FAKE_REDIS_H
#define TG_QUERY_TESTS_FAKE_REDIS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

#define FAKE_REDIS_ENTRIES_MAX 32

typedef struct fake_redis fake_redis_t;

typedef struct fake_redis_entry {
    char *key, *value; /* owned by the fake; `key` is NUL-terminated */
    size_t len;
    uint64_t ttl_ms;
} fake_redis_entry_t;

fake_redis_t *fake_redis_start(void);
void fake_redis_stop(fake_redis_t *redis); /* NULL is allowed */
const char *fake_redis_address(const fake_redis_t *redis);

/* While mute, GET and PTTL are not answered. */
void fake_redis_mute(fake_redis_t *redis, bool mute);

/* Waits until SET has come `count` times, then gives what the last one set; NULL if it does not
 * come or came more often. Valid until its key is set again. */
const fake_redis_entry_t *fake_redis_wait(fake_redis_t *redis, size_t count);

/* From now on PTTL says this of the entry. */
void fake_redis_age(fake_redis_t *redis, const fake_redis_entry_t *entry, uint64_t left_ms);

/* Replaces what is stored under an entry's key. */
void fake_redis_put(fake_redis_t *redis, const fake_redis_entry_t *entry, tg_str_t value);

#endif
