/* What the files of this folder share and nobody else includes. */
#ifndef TG_AVRO_INTERNAL_H
#define TG_AVRO_INTERNAL_H

#include <stdatomic.h>

#include <jansson.h>

#include "common/avro/schema.h"
#include "common/base/arena.h"

#define TG_AVRO_ARENA_MAX ((size_t)8 << 20) /* types, names and defaults of one schema */

struct tg_avro_schema {
    _Atomic unsigned shares; /* the caller's and those of schemas that refer to this one */
    tg_arena_t *arena;       /* every type, name and default */
    json_t *json;            /* the parsed text; fields and types point into it */
    const tg_avro_type_t *root;
    tg_avro_type_t **named; /* in order of definition; a type's id is its index */
    size_t named_count;
    tg_avro_schema_t **refs; /* all that is referred to, directly or not; a share in each */
    size_t ref_count;
    unsigned ref_depth; /* 1 more than the deepest of refs */
};

/* The namespace of a full name, empty if there is none; and what stands behind it. */
tg_str_t tg_avro_space(tg_str_t full);
tg_str_t tg_avro_short_name(tg_str_t full);

/* Avro's text form of bytes: one code point up to U+00FF for each byte. Gives the number of bytes,
 * or -1 when `text` (well-formed UTF-8) has a higher code point. */
ptrdiff_t tg_avro_latin1_len(tg_str_t text);

/* Appends those bytes; the text must have passed tg_avro_latin1_len. */
void tg_avro_write_latin1(tg_buf_t *out, tg_str_t text);

static inline uint64_t tg_avro_word(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

/* The first `len` < 8 bytes as a word, zeros behind them, in at most two loads (they overlap). */
static inline uint64_t tg_avro_short_word(const char *at, size_t len)
{
    uint32_t low = 0, high = 0;
    if (len >= 4) {
        memcpy(&low, at, 4);
        memcpy(&high, at + len - 4, 4);
        return low | (uint64_t)high << (8 * (len - 4));
    }
    if (len == 0)
        return 0;
    return (uint64_t)(uint8_t)at[0] | (uint64_t)(uint8_t)at[len / 2] << (8 * (len / 2)) |
           (uint64_t)(uint8_t)at[len - 1] << (8 * (len - 1));
}

/* tg_str_eq for names, in words instead of a call: they are short and compared for each member. */
static inline bool tg_avro_same(tg_str_t a, tg_str_t b)
{
    if (a.len != b.len)
        return false;
    if (a.len < 8)
        return tg_avro_short_word(a.ptr, a.len) == tg_avro_short_word(b.ptr, b.len);
    for (size_t i = 0; i + 8 < a.len; i += 8) {
        if (tg_avro_word(a.ptr + i) != tg_avro_word(b.ptr + i))
            return false;
    }
    return tg_avro_word(a.ptr + a.len - 8) == tg_avro_word(b.ptr + b.len - 8);
}

static inline bool tg_avro_word_has_zero(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    return ((word - ones) & ~word & ones << 7) != 0;
}

/* Whether the text holds U+0000, in words likewise. */
static inline bool tg_avro_has_nul(tg_str_t text)
{
    if (text.len < 8) {
        /* Ones where no text is, so that only the text's own zeros count. */
        uint64_t beyond = text.len == 0 ? UINT64_MAX : UINT64_MAX << (8 * text.len);
        return tg_avro_word_has_zero(tg_avro_short_word(text.ptr, text.len) | beyond);
    }
    for (size_t i = 0; i + 8 < text.len; i += 8) {
        if (tg_avro_word_has_zero(tg_avro_word(text.ptr + i)))
            return true;
    }
    return tg_avro_word_has_zero(tg_avro_word(text.ptr + text.len - 8));
}

/* Zigzag and varint. Writes at most 10 bytes, returns how many. */
static inline size_t tg_avro_put_long(char *at, int64_t value)
{
    uint64_t rest = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    size_t n = 0;
    while (rest >= 0x80) {
        at[n++] = (char)(rest | 0x80);
        rest >>= 7;
    }
    at[n++] = (char)rest;
    return n;
}

/* Room for `n` bytes without a call while the buffer has them. */
static inline char *tg_avro_room(tg_buf_t *out, size_t n)
{
    if (out->cap - out->len >= n && !out->failed)
        return out->data + out->len;
    return tg_buf_reserve(out, n);
}

static inline void tg_avro_write_long(tg_buf_t *out, int64_t value)
{
    char *at = tg_avro_room(out, 10);
    if (at != NULL)
        out->len += tg_avro_put_long(at, value);
}

/* bytes and string: length, then the bytes. */
static inline void tg_avro_write_bytes(tg_buf_t *out, tg_str_t bytes)
{
    char *at = tg_avro_room(out, 10 + bytes.len);
    if (at == NULL)
        return;
    size_t n = tg_avro_put_long(at, (int64_t)bytes.len);
    if (bytes.len > 0)
        memcpy(at + n, bytes.ptr, bytes.len);
    out->len += n + bytes.len;
}

/* IEEE 754, little endian, as the machine has it. */
static inline void tg_avro_write_double(tg_buf_t *out, double value)
{
    char *at = tg_avro_room(out, sizeof(value));
    if (at == NULL)
        return;
    memcpy(at, &value, sizeof(value));
    out->len += sizeof(value);
}

static inline void tg_avro_write_float(tg_buf_t *out, float value)
{
    char *at = tg_avro_room(out, sizeof(value));
    if (at == NULL)
        return;
    memcpy(at, &value, sizeof(value));
    out->len += sizeof(value);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "Avro's floats are written as they are");

#endif
