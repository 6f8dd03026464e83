/* The cursor over Avro bytes: numbers, texts, indices and blocks, each checked before it is
 * believed.
 *
 * The bytes are hostile: each length and count is held against what is left before anything is read
 * or written, and items of no bytes are counted per value. What the hot loops need of this stands
 * inline in cursor.h. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/avro/value/cursor.h"

void tg_avro_reader_init(tg_avro_reader_t *reader, tg_str_t bytes, unsigned flags,
                         tg_avro_error_t *error)
{
    assert(reader != NULL);
    assert(error != NULL);
    const uint8_t *start = (const uint8_t *)(bytes.len == 0 ? "" : bytes.ptr);
    error->path[0] = '\0'; /* running out of memory leaves the rest as it is */
    *reader = (tg_avro_reader_t){.start = start,
                                 .at = start,
                                 .end = start + bytes.len,
                                 .flags = flags,
                                 .empty_items = TG_AVRO_EMPTY_ITEMS_MAX,
                                 .error = error};
}

tg_status_t tg_avro_reader_refuse(tg_avro_reader_t *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->error->message, sizeof(r->error->message), format, args);
    va_end(args);
    r->error->code = "invalid_value";
    r->error->path[0] = '\0';
    r->error->offset = (size_t)(r->at - r->start);
    return TG_INVALID;
}

tg_status_t tg_avro_ends_early(tg_avro_reader_t *r)
{
    return tg_avro_reader_refuse(r, "the bytes end early");
}

/* --- scalars --- */

tg_status_t tg_avro_read_long(tg_avro_reader_t *r, int64_t *out_value)
{
    assert(r->at <= r->end);
    uint64_t value = 0;
    const uint8_t *at = r->at;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (at == r->end)
            return tg_avro_ends_early(r);
        uint8_t byte = *at++;
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            r->at = at;
            *out_value = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
            return TG_OK;
        }
    }
    return tg_avro_reader_refuse(r, "a number of more than 64 bits");
}

tg_status_t tg_avro_read_size(tg_avro_reader_t *r, size_t max, const char *what, size_t *out_size)
{
    int64_t value = 0;
    const uint8_t *before = r->at;
    tg_status_t status = tg_avro_read_long(r, &value);
    if (status != TG_OK)
        return status;
    if (value < 0 || (uint64_t)value > max) {
        r->at = before;
        return tg_avro_reader_refuse(r, "%s %lld; at most %zu is possible here", what,
                                     (long long)value, max);
    }
    *out_size = (size_t)value;
    return TG_OK;
}

tg_status_t tg_avro_check_text(tg_avro_reader_t *r, tg_str_t text)
{
    if (!tg_str_is_utf8(text))
        return tg_avro_reader_refuse(r, "text that is not UTF-8");
    if ((r->flags & TG_AVRO_REFUSE_NUL) != 0 && tg_avro_has_nul(text))
        return tg_avro_reader_refuse(r, "text with U+0000");
    return TG_OK;
}

tg_status_t tg_avro_read_text(tg_avro_reader_t *r, tg_str_t *out_text)
{
    assert(out_text != NULL);
    return tg_avro_take_text(r, out_text);
}

tg_status_t tg_avro_read_double(tg_avro_reader_t *r, double *out_value)
{
    if (tg_avro_left(r) < sizeof(*out_value))
        return tg_avro_ends_early(r);
    memcpy(out_value, r->at, sizeof(*out_value));
    if (!isfinite(*out_value))
        return tg_avro_reader_refuse(r, "a number that is not finite");
    r->at += sizeof(*out_value);
    return TG_OK;
}

tg_status_t tg_avro_read_float(tg_avro_reader_t *r, float *out_value)
{
    if (tg_avro_left(r) < sizeof(*out_value))
        return tg_avro_ends_early(r);
    memcpy(out_value, r->at, sizeof(*out_value));
    if (!isfinite(*out_value))
        return tg_avro_reader_refuse(r, "a number that is not finite");
    r->at += sizeof(*out_value);
    return TG_OK;
}

tg_status_t tg_avro_read_symbol(tg_avro_reader_t *r, const tg_avro_type_t *type,
                                tg_str_t *out_symbol)
{
    assert(type->kind == TG_AVRO_ENUM);
    size_t index = 0;
    if (type->count == 0)
        return tg_avro_reader_refuse(r, "an enum without symbols");
    tg_status_t status = tg_avro_take_index(r, type->count, "symbol", &index);
    if (status == TG_OK)
        *out_symbol = type->symbols[index];
    return status;
}

tg_status_t tg_avro_read_branch(tg_avro_reader_t *r, const tg_avro_type_t *type,
                                const tg_avro_type_t **out_branch)
{
    assert(type->kind == TG_AVRO_UNION);
    size_t index = 0;
    if (type->count == 0)
        return tg_avro_reader_refuse(r, "a union without branches");
    tg_status_t status = tg_avro_take_index(r, type->count, "union branch", &index);
    if (status == TG_OK)
        *out_branch = type->branches[index];
    return status;
}

/* A map's item has at least its key's length. */
tg_status_t tg_avro_read_block(tg_avro_reader_t *r, const tg_avro_type_t *type, size_t *out_count,
                               const uint8_t **out_end)
{
    assert(type->kind == TG_AVRO_ARRAY || type->kind == TG_AVRO_MAP);
    int64_t count = 0;
    size_t size = 0;
    tg_status_t status = tg_avro_take_long(r, &count);
    *out_end = NULL;
    if (status == TG_OK && count < 0) {
        status = tg_avro_read_size(r, tg_avro_left(r), "block size", &size);
        if (status == TG_OK && size > tg_avro_left(r))
            status = tg_avro_ends_early(r);
        *out_end = r->at + size;
    }
    if (status != TG_OK)
        return status;
    uint64_t items = count < 0 ? 0 - (uint64_t)count : (uint64_t)count;
    bool empty = type->kind == TG_AVRO_ARRAY && type->items->may_be_empty;
    if (items > (empty ? (uint64_t)r->empty_items : (uint64_t)tg_avro_left(r)))
        return tg_avro_reader_refuse(r, "%llu items, more than there can be",
                                     (unsigned long long)items);
    if (empty)
        r->empty_items -= (uint32_t)items;
    *out_count = (size_t)items;
    return TG_OK;
}
