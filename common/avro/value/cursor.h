/* The reader's hot half: what loops over many values use instead of the calls of codec.h.
 *
 * Why inline: most numbers in Avro are one byte and most texts are short ASCII. Both are settled
 * here in a few instructions; anything else, and each refusal, goes to the functions behind the
 * calls. Nothing here believes a length before it is held against the bytes that are left.
 *
 * Threads: as codec.h. */
#ifndef TG_AVRO_CURSOR_H
#define TG_AVRO_CURSOR_H

#include "common/avro/codec.h"
#include "common/avro/internal.h"

static inline size_t tg_avro_left(const tg_avro_reader_t *r)
{
    assert(r->at <= r->end);
    return (size_t)(r->end - r->at);
}

/* A length or an index: not negative, at most `max`; `what` names it in the refusal. */
TG_NODISCARD tg_status_t tg_avro_read_size(tg_avro_reader_t *r, size_t max, const char *what,
                                           size_t *out_size);

/* One block of an array or a map: how many items (0: no more blocks), and where it says that it
 * ends (NULL if it doesn't say). */
TG_NODISCARD tg_status_t tg_avro_read_block(tg_avro_reader_t *r, const tg_avro_type_t *type,
                                            size_t *out_count, const uint8_t **out_end);

/* The whole check of a text that is not plain: UTF-8, and U+0000 where the flags refuse it. */
TG_NODISCARD tg_status_t tg_avro_check_text(tg_avro_reader_t *r, tg_str_t text);

/* Moves behind one value; TG_INVALID as tg_avro_decode would. */
TG_NODISCARD tg_status_t tg_avro_skip(tg_avro_reader_t *r, const tg_avro_type_t *type);

/* Refuses bytes that end within a value. */
TG_NODISCARD tg_status_t tg_avro_ends_early(tg_avro_reader_t *r);

/* The bytes of a fixed type, or of any type that has `size` of them. */
TG_NODISCARD static inline tg_status_t tg_avro_take_raw(tg_avro_reader_t *r, size_t size,
                                                        tg_str_t *out_bytes)
{
    if (tg_avro_left(r) < size)
        return tg_avro_ends_early(r);
    *out_bytes = (tg_str_t){(const char *)r->at, size};
    r->at += size;
    return TG_OK;
}

/* Any int or long. */
TG_NODISCARD static inline tg_status_t tg_avro_take_long(tg_avro_reader_t *r, int64_t *out_value)
{
    if (r->at == r->end || *r->at >= 0x80)
        return tg_avro_read_long(r, out_value);
    uint8_t byte = *r->at++;
    *out_value = (int64_t)(byte >> 1) ^ -(int64_t)(byte & 1);
    return TG_OK;
}

/* A number that nobody wants, of up to 8 bytes at once: the first byte below 0x80 is its last. */
TG_NODISCARD static inline tg_status_t tg_avro_skip_long(tg_avro_reader_t *r)
{
    int64_t ignored;
    if (tg_avro_left(r) >= 8) {
        uint64_t last = ~tg_avro_word((const char *)r->at) & UINT64_C(0x8080808080808080);
        if (last != 0) {
            r->at += (unsigned)__builtin_ctzll(last) / 8 + 1;
            return TG_OK;
        }
    }
    return tg_avro_read_long(r, &ignored);
}

/* An index below `count`, which is at least 1. */
TG_NODISCARD static inline tg_status_t tg_avro_take_index(tg_avro_reader_t *r, size_t count,
                                                          const char *what, size_t *out_index)
{
    if (r->at == r->end || (*r->at & 0x81) != 0 || (size_t)(*r->at >> 1) >= count)
        return tg_avro_read_size(r, count - 1, what, out_index);
    *out_index = *r->at++ >> 1;
    return TG_OK;
}

/* Length and bytes. */
TG_NODISCARD static inline tg_status_t tg_avro_take_bytes(tg_avro_reader_t *r, tg_str_t *out_bytes)
{
    size_t len = 0;
    tg_status_t status = TG_OK;
    if (r->at == r->end || (*r->at & 0x81) != 0)
        status = tg_avro_read_size(r, tg_avro_left(r), "length", &len);
    else
        len = *r->at++ >> 1;
    return status == TG_OK ? tg_avro_take_raw(r, len, out_bytes) : status;
}

/* Whether a word holds a zero byte or one of 0x80 and above. A borrow can only give a false alarm
 * behind a true one. */
static inline uint64_t tg_avro_odd_bytes(uint64_t word)
{
    return (word | (word - UINT64_C(0x0101010101010101))) & UINT64_C(0x8080808080808080);
}

/* ASCII without U+0000: well-formed text that no flag refuses. */
static inline bool tg_avro_is_plain(tg_str_t text)
{
    if (text.len < 8) {
        uint64_t beyond =
            text.len == 0 ? UINT64_MAX : UINT64_MAX << (8 * text.len); /* where no text is */
        uint64_t word = tg_avro_short_word(text.ptr, text.len);
        return tg_avro_odd_bytes(word | (beyond & UINT64_C(0x0101010101010101))) == 0;
    }
    uint64_t odd = tg_avro_odd_bytes(tg_avro_word(text.ptr + text.len - 8));
    for (size_t i = 0; i + 8 < text.len; i += 8)
        odd |= tg_avro_odd_bytes(tg_avro_word(text.ptr + i));
    return odd == 0;
}

/* A string: well-formed, and without U+0000 where the flags refuse it. */
TG_NODISCARD static inline tg_status_t tg_avro_take_text(tg_avro_reader_t *r, tg_str_t *out_text)
{
    tg_status_t status = tg_avro_take_bytes(r, out_text);
    if (status != TG_OK || tg_avro_is_plain(*out_text))
        return status;
    return tg_avro_check_text(r, *out_text);
}

/* Appends the name of a field and a colon, behind a comma unless it is the first. It needs no
 * escapes: a name is letters, digits and _. */
static inline void tg_avro_write_name(tg_buf_t *out, tg_str_t name, bool first)
{
    char *to = tg_avro_room(out, name.len + 4);
    if (to == NULL)
        return;
    char *start = to;
    if (!first)
        *to++ = ',';
    *to++ = '"';
    memcpy(to, name.ptr, name.len);
    to += name.len;
    *to++ = '"';
    *to++ = ':';
    out->len += (size_t)(to - start);
}

#endif
