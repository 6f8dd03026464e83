/* SHA-256 by OpenSSL, murmur2 and SipHash-1-3 by their papers, random bytes by the kernel.
 *
 * OpenSSL's low-level SHA256_* is taken on purpose although 3.0 calls it deprecated: the one-shot
 * and EVP forms fetch the algorithm at each call, which costs more than hashing an API key.
 *
 * Small random requests come out of a per-thread pool, because a system call per trace id would be
 * the dearest part of making one. Bytes are wiped as they are handed out, and a fork empties the
 * child's pool, so no two callers ever see the same ones. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "common/base/hash.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#define TG_HASH_POOL_BYTES   1024 /* random bytes fetched at once */
#define TG_HASH_POOL_LARGEST 64   /* larger requests go to the kernel directly */

void tg_hash_sha256(tg_str_t bytes, uint8_t out[TG_SHA256_LEN])
{
    assert(bytes.ptr != NULL || bytes.len == 0);
    SHA256_CTX context;
    int ok = SHA256_Init(&context);
    ok &= SHA256_Update(&context, bytes.ptr, bytes.len);
    ok &= SHA256_Final(out, &context);
    if (ok != 1)
        abort(); /* these cannot fail with valid pointers */
    OPENSSL_cleanse(&context, sizeof(context));
}

static uint32_t read_u32(const char *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof(value));
    return value;
}

static uint64_t read_u64(const char *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof(value));
    return value;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "read_u32 and read_u64 assume it");

uint32_t tg_hash_murmur2(tg_str_t bytes)
{
    assert(bytes.ptr != NULL || bytes.len == 0);
    const uint32_t mix = 0x5bd1e995;
    const char *at = bytes.ptr;
    size_t left = bytes.len;
    uint32_t hash = 0x9747b28cU ^ (uint32_t)bytes.len;

    for (; left >= 4; at += 4, left -= 4) {
        uint32_t word = read_u32(at) * mix;
        word ^= word >> 24;
        hash = hash * mix ^ word * mix;
    }
    uint32_t tail = 0;
    for (size_t i = 0; i < left; i++)
        tail |= (uint32_t)(uint8_t)at[i] << (8 * i);
    if (left > 0)
        hash = (hash ^ tail) * mix;
    hash = (hash ^ hash >> 13) * mix;
    return hash ^ hash >> 15;
}

static uint64_t table_key[2];
static pthread_once_t table_key_once = PTHREAD_ONCE_INIT;

static void make_table_key(void)
{
    tg_hash_random(table_key, sizeof(table_key));
}

static inline uint64_t rotate(uint64_t value, unsigned by)
{
    return value << by | value >> (64 - by);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

/* SipHash-1-3: one round per word, three at the end; keyed, hence safe against chosen keys. */
uint64_t tg_hash_table(tg_str_t bytes)
{
    assert(bytes.ptr != NULL || bytes.len == 0);
    pthread_once(&table_key_once, make_table_key);
    uint64_t v[4] = {table_key[0] ^ UINT64_C(0x736f6d6570736575),
                     table_key[1] ^ UINT64_C(0x646f72616e646f6d),
                     table_key[0] ^ UINT64_C(0x6c7967656e657261),
                     table_key[1] ^ UINT64_C(0x7465646279746573)};
    const char *at = bytes.ptr;
    size_t left = bytes.len;
    for (; left >= 8; at += 8, left -= 8) {
        uint64_t word = read_u64(at);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t)bytes.len << 56;
    for (size_t i = 0; i < left; i++)
        last |= (uint64_t)(uint8_t)at[i] << (8 * i);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

bool tg_hash_equal_ct(const void *a, const void *b, size_t len)
{
    assert(a != NULL || len == 0);
    assert(b != NULL || len == 0);
    return CRYPTO_memcmp(a, b, len) == 0;
}

void tg_hash_hex(const uint8_t *bytes, size_t len, char *out)
{
    assert(bytes != NULL || len == 0);
    assert(out != NULL);
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}

static void random_from_kernel(char *out, size_t len)
{
    while (len > 0) {
        ssize_t got = getrandom(out, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort(); /* no random source: ids and keys would be guessable */
        out += got;
        len -= (size_t)got;
    }
}

static _Thread_local struct {
    char bytes[TG_HASH_POOL_BYTES];
    size_t left; /* bytes[0 .. left) are still to be handed out */
} pool;

static void empty_pool_in_child(void)
{
    pool.left = 0;
}

static void watch_forks(void)
{
    if (pthread_atfork(NULL, NULL, empty_pool_in_child) != 0)
        abort();
}

void tg_hash_random(void *out, size_t len)
{
    assert(out != NULL || len == 0);
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (len > TG_HASH_POOL_LARGEST) {
        random_from_kernel(out, len);
        return;
    }
    if (pool.left < len) {
        pthread_once(&once, watch_forks);
        random_from_kernel(pool.bytes, sizeof(pool.bytes));
        pool.left = sizeof(pool.bytes);
    }
    pool.left -= len;
    memcpy(out, pool.bytes + pool.left, len);
    OPENSSL_cleanse(pool.bytes + pool.left, len);
}
