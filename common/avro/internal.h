/* What the files of this folder share and nobody else includes. */
#ifndef TG_AVRO_INTERNAL_H
#define TG_AVRO_INTERNAL_H

#include <jansson.h>

#include "common/avro/schema.h"
#include "common/base/arena.h"

struct tg_avro_schema {
    tg_arena_t *arena; /* every type, name and default */
    json_t *json;      /* the parsed text; fields and types point into it */
    const tg_avro_type_t *root;
    tg_avro_type_t **named; /* in order of definition */
    size_t named_count;
};

/* Refuses records of which no finite value exists, and marks the types that may encode to no
 * bytes. */
TG_NODISCARD tg_status_t tg_avro_check_finite(tg_avro_schema_t *schema, tg_error_t *error);

/* Encodes each field's default into default_bytes; refuses those that do not fit their type. */
TG_NODISCARD tg_status_t tg_avro_encode_defaults(tg_avro_schema_t *schema, tg_error_t *error);

/* Avro's text form of bytes: one code point up to U+00FF for each byte. Gives the number of bytes,
 * or -1 when `text` (well-formed UTF-8) has a higher code point. */
ptrdiff_t tg_avro_latin1_len(tg_str_t text);

/* Appends those bytes; the text must have passed tg_avro_latin1_len. */
void tg_avro_write_latin1(tg_buf_t *out, tg_str_t text);

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
