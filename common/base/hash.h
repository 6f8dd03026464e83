/* Hashes by their standard names, over bytes.
 *
 * SHA-256 (FIPS 180-4) is for secrets and checksums of files; murmur2 (seed 0x9747b28c, as the Java
 * Kafka client partitions); SipHash-1-3 for our own hash tables, keyed per process so that outside
 * keys cannot be aimed at one bucket.
 *
 * Threads: any. */
#ifndef TG_HASH_H
#define TG_HASH_H

#include "common/base/str.h"

#define TG_SHA256_LEN 32

void tg_hash_sha256(tg_str_t bytes, uint8_t out[TG_SHA256_LEN]);

/* The Java client's 32-bit murmur2; partition = (hash & 0x7fffffff) % count. */
uint32_t tg_hash_murmur2(tg_str_t bytes);

/* Keyed 64-bit hash for in-memory tables; the key is random per process. */
uint64_t tg_hash_table(tg_str_t bytes);

/* Whether the bytes are the same, in time that depends only on `len`. */
bool tg_hash_equal_ct(const void *a, const void *b, size_t len);

/* `len` lower-case hex digits pairs: out has 2*len bytes, no NUL. */
void tg_hash_hex(const uint8_t *bytes, size_t len, char *out);

/* Fills from the kernel's random source; aborts if there is none. */
void tg_hash_random(void *out, size_t len);

#endif
