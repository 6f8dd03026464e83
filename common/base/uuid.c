/* UUID text, version 5 and version 7.
 *
 * Version 5 uses OpenSSL's low-level SHA-1: the EVP interface costs several times the hash itself
 * for inputs of this size, and an event without a UUID of its own passes here once. SHA-1 is what
 * RFC 9562 prescribes; ids are names, not secrets.
 *
 * Version 7 within one millisecond adds a random step to the previous 74 bits (RFC 9562, section
 * 6.2, method 2), so ids of one thread sort in the order they were made. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "common/base/uuid.h"

#include <stdlib.h>

#include <endian.h>
#include <openssl/sha.h>

#include "common/base/hash.h"

#define SHORT_MAX (2 * SHA_CBLOCK - 9) /* bytes that fit two SHA-1 blocks with their padding */

/* The build zeroes every local variable; here that would cost as much as the hash. */
#define UNINITIALIZED __attribute__((uninitialized))

/* Value of a hex digit, 16 for any other byte. */
static const uint8_t hex_value[256] = {
// clang-format off
#define X 16
    X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X, X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,
    X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X, 0,1,2,3,4,5,6,7,8,9,X,X,X,X,X,X,
    X,10,11,12,13,14,15,X,X,X,X,X,X,X,X,X, X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,
    X,10,11,12,13,14,15,X,X,X,X,X,X,X,X,X, X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,
    X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X, X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,
    X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X, X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,
    X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X, X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,
    X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X, X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,
#undef X
    // clang-format on
};

/* Where each byte's two digits stand in the text. */
static const uint8_t text_at[16] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};

tg_status_t tg_uuid_parse(tg_str_t text, tg_uuid_t *out_uuid)
{
    assert(out_uuid != NULL);
    if (text.len != TG_UUID_TEXT_LEN)
        return TG_INVALID;
    const char *t = text.ptr;
    if (t[8] != '-' || t[13] != '-' || t[18] != '-' || t[23] != '-')
        return TG_INVALID;
    tg_uuid_t uuid;
    unsigned bad = 0;
    for (size_t i = 0; i < sizeof(uuid.bytes); i++) {
        unsigned high = hex_value[(uint8_t)t[text_at[i]]];
        unsigned low = hex_value[(uint8_t)t[text_at[i] + 1]];
        bad |= (high | low) & 16;
        uuid.bytes[i] = (uint8_t)(high << 4 | low);
    }
    if (bad != 0)
        return TG_INVALID;
    *out_uuid = uuid;
    return TG_OK;
}

void tg_uuid_format(const tg_uuid_t *uuid, char out[TG_UUID_TEXT_LEN])
{
    assert(uuid != NULL);
    assert(out != NULL);
    out[8] = out[13] = out[18] = out[23] = '-';
    for (size_t i = 0; i < sizeof(uuid->bytes); i++)
        tg_hash_hex(&uuid->bytes[i], 1, out + text_at[i]);
}

static void set_version(tg_uuid_t *uuid, unsigned version)
{
    uuid->bytes[6] = (uint8_t)((uuid->bytes[6] & 0x0f) | version << 4);
    uuid->bytes[8] = (uint8_t)((uuid->bytes[8] & 0x3f) | 0x80);
}

/* SHA-1 of the namespace and the parts, of any length. */
static void digest_long(const tg_uuid_t *space, const tg_str_t *parts, size_t part_count,
                        uint8_t digest[SHA_DIGEST_LENGTH])
{
    SHA_CTX context;
    int ok = SHA1_Init(&context);
    ok &= SHA1_Update(&context, space->bytes, sizeof(space->bytes));
    for (size_t i = 0; i < part_count; i++)
        ok &= SHA1_Update(&context, parts[i].ptr, parts[i].len);
    ok &= SHA1_Final(digest, &context);
    assert(ok == 1);
}

static inline void put_u32(uint8_t *at, uint32_t value)
{
    uint32_t big_endian = htobe32(value);
    memcpy(at, &big_endian, sizeof(big_endian));
}

/* The same for what fits one or two blocks with its padding: a handful of copies instead of a call
 * for each part, which cost more than the hash. */
static void digest_short(const tg_uuid_t *space, const tg_str_t *parts, size_t part_count,
                         size_t len, uint8_t digest[SHA_DIGEST_LENGTH])
{
    UNINITIALIZED uint8_t blocks[2 * SHA_CBLOCK];
    size_t at = sizeof(space->bytes), size = len + 9 > SHA_CBLOCK ? 2 * SHA_CBLOCK : SHA_CBLOCK;
    assert(len <= SHORT_MAX);
    memset(blocks, 0, SHA_CBLOCK); /* in constant pieces: no call */
    memset(blocks + (size_t)SHA_CBLOCK, 0, SHA_CBLOCK);
    memcpy(blocks, space->bytes, sizeof(space->bytes));
    for (size_t i = 0; i < part_count; i++) {
        if (parts[i].len > 0) /* NULL must not reach memcpy */
            memcpy(blocks + at, parts[i].ptr, parts[i].len);
        at += parts[i].len;
    }
    assert(at == len);
    blocks[len] = 0x80;
    put_u32(blocks + size - 4, (uint32_t)(len * 8));
    UNINITIALIZED SHA_CTX context; /* a transform reads and writes the five words only */
    context.h0 = 0x67452301;
    context.h1 = 0xefcdab89;
    context.h2 = 0x98badcfe;
    context.h3 = 0x10325476;
    context.h4 = 0xc3d2e1f0;
    SHA1_Transform(&context, blocks);
    if (size > SHA_CBLOCK)
        SHA1_Transform(&context, blocks + (size_t)SHA_CBLOCK);
    const uint32_t words[] = {context.h0, context.h1, context.h2, context.h3, context.h4};
    for (size_t i = 0; i < TG_ARRAY_LEN(words); i++)
        put_u32(digest + 4 * i, words[i]);
}

void tg_uuid_v5(const tg_uuid_t *space, const tg_str_t *parts, size_t part_count,
                tg_uuid_t *out_uuid)
{
    assert(space != NULL);
    assert(parts != NULL || part_count == 0);
    assert(out_uuid != NULL);
    uint8_t digest[SHA_DIGEST_LENGTH];
    size_t len = sizeof(space->bytes);
    for (size_t i = 0; i < part_count && len <= SHORT_MAX; i++)
        len = parts[i].len > SHORT_MAX ? SIZE_MAX : len + parts[i].len;
    if (len <= SHORT_MAX)
        digest_short(space, parts, part_count, len, digest);
    else
        digest_long(space, parts, part_count, digest);
    memcpy(out_uuid->bytes, digest, sizeof(out_uuid->bytes));
    set_version(out_uuid, 5);
}

/* The 74 random bits of version 7 as two numbers, most significant first. */
struct v7_state {
    int64_t ms;
    uint32_t high; /* 12 bits */
    uint64_t low;  /* 62 bits */
};

#define V7_LOW_MASK  ((UINT64_C(1) << 62) - 1)
#define V7_HIGH_MASK 0xfffU

static void v7_fresh(struct v7_state *state, int64_t unix_ms)
{
    tg_hash_random(&state->low, sizeof(state->low));
    tg_hash_random(&state->high, sizeof(state->high));
    state->ms = unix_ms;
    state->low &= V7_LOW_MASK;
    state->high &= V7_HIGH_MASK >> 1; /* half the room stays free for the steps */
}

static void v7_step(struct v7_state *state)
{
    uint32_t step = 0;
    tg_hash_random(&step, sizeof(step));
    state->low += (uint64_t)step + 1;
    state->high = (state->high + (uint32_t)(state->low >> 62)) & V7_HIGH_MASK;
    state->low &= V7_LOW_MASK;
}

void tg_uuid_v7(int64_t unix_ms, tg_uuid_t *out_uuid)
{
    assert(unix_ms >= 0);
    assert(unix_ms < INT64_C(1) << 48);
    assert(out_uuid != NULL);
    static _Thread_local struct v7_state state = {.ms = -1};
    if (state.ms == unix_ms)
        v7_step(&state);
    else
        v7_fresh(&state, unix_ms);

    uint8_t *bytes = out_uuid->bytes;
    for (unsigned i = 0; i < 6; i++)
        bytes[i] = (uint8_t)((uint64_t)unix_ms >> (40 - 8 * i));
    bytes[6] = (uint8_t)(state.high >> 8);
    bytes[7] = (uint8_t)state.high;
    for (unsigned i = 0; i < 8; i++)
        bytes[8 + i] = (uint8_t)(state.low >> (56 - 8 * i));
    set_version(out_uuid, 7);
}
