/* Avro bytes to JSON text: one function per kind, called through a table, over a cursor that never
 * leaves the bytes.
 *
 * The bytes are hostile: each length and count is held against what is left before anything is read
 * or written, blocks with a byte size must end where they said, and recursion is bounded by
 * TG_AVRO_DEPTH_MAX. What a value may grow to is the output buffer's limit. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/avro/codec.h"
#include "common/avro/internal.h"
#include "common/avro/logical.h"

typedef tg_status_t (*read_fn)(tg_avro_reader_t *r, const tg_avro_type_t *type, tg_buf_t *out);

void tg_avro_reader_init(tg_avro_reader_t *reader, tg_str_t bytes, unsigned flags,
                         tg_avro_error_t *error)
{
    assert(reader != NULL);
    assert(error != NULL);
    const uint8_t *start = (const uint8_t *)(bytes.len == 0 ? "" : bytes.ptr);
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

static size_t left(const tg_avro_reader_t *r)
{
    assert(r->at <= r->end);
    return (size_t)(r->end - r->at);
}

static tg_status_t ends_early(tg_avro_reader_t *r)
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
            return ends_early(r);
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

/* A length or an index: not negative, at most `max`. */
static tg_status_t read_size(tg_avro_reader_t *r, size_t max, const char *what, size_t *out_size)
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

static tg_status_t read_bytes(tg_avro_reader_t *r, tg_str_t *out_bytes)
{
    size_t len = 0;
    tg_status_t status = read_size(r, left(r), "length", &len);
    if (status != TG_OK)
        return status;
    if (len > left(r))
        return ends_early(r);
    *out_bytes = (tg_str_t){(const char *)r->at, len};
    r->at += len;
    return TG_OK;
}

static tg_status_t check_nul(tg_avro_reader_t *r, tg_str_t text)
{
    bool refuse = (r->flags & TG_AVRO_REFUSE_NUL) != 0 && text.len > 0;
    return refuse && memchr(text.ptr, '\0', text.len) != NULL
               ? tg_avro_reader_refuse(r, "text with U+0000")
               : TG_OK;
}

tg_status_t tg_avro_read_text(tg_avro_reader_t *r, tg_str_t *out_text)
{
    assert(out_text != NULL);
    tg_status_t status = read_bytes(r, out_text);
    if (status != TG_OK)
        return status;
    if (!tg_str_is_utf8(*out_text))
        return tg_avro_reader_refuse(r, "text that is not UTF-8");
    return check_nul(r, *out_text);
}

tg_status_t tg_avro_read_double(tg_avro_reader_t *r, double *out_value)
{
    if (left(r) < sizeof(*out_value))
        return ends_early(r);
    memcpy(out_value, r->at, sizeof(*out_value));
    if (!isfinite(*out_value))
        return tg_avro_reader_refuse(r, "a number that is not finite");
    r->at += sizeof(*out_value);
    return TG_OK;
}

tg_status_t tg_avro_read_float(tg_avro_reader_t *r, float *out_value)
{
    if (left(r) < sizeof(*out_value))
        return ends_early(r);
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
    tg_status_t status = read_size(r, type->count - 1, "symbol", &index);
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
    tg_status_t status = read_size(r, type->count - 1, "union branch", &index);
    if (status == TG_OK)
        *out_branch = type->branches[index];
    return status;
}

/* --- to JSON --- */

static tg_status_t put_null(tg_avro_reader_t *r, const tg_avro_type_t *type, tg_buf_t *out)
{
    (void)r, (void)type;
    tg_buf_append(out, "null", 4);
    return TG_OK;
}

static tg_status_t put_boolean(tg_avro_reader_t *r, const tg_avro_type_t *type, tg_buf_t *out)
{
    (void)type;
    if (left(r) == 0)
        return ends_early(r);
    if (*r->at > 1)
        return tg_avro_reader_refuse(r, "a boolean of %u", (unsigned)*r->at);
    tg_buf_str(out, *r->at++ == 1 ? TG_STR("true") : TG_STR("false"));
    return TG_OK;
}

static tg_status_t put_time(tg_avro_reader_t *r, const tg_avro_type_t *type, int64_t value,
                            tg_buf_t *out)
{
    assert(tg_avro_logical_is_time(type->logical));
    int64_t us = 0;
    tg_status_t status;
    if ((r->flags & TG_AVRO_RAW_TIMES) != 0 && type->logical >= TG_AVRO_TIMESTAMP_MILLIS) {
        status = tg_avro_time_to_us(type->logical, value, &us);
        if (status == TG_OK)
            tg_buf_i64(out, us);
    } else {
        status = tg_avro_time_write(type->logical, value, out);
    }
    return status == TG_OK ? TG_OK : tg_avro_reader_refuse(r, "a time outside the years 1 to 9999");
}

static tg_status_t put_integer(tg_avro_reader_t *r, const tg_avro_type_t *type, tg_buf_t *out)
{
    int64_t value = 0;
    const uint8_t *before = r->at;
    tg_status_t status = tg_avro_read_long(r, &value);
    if (status != TG_OK)
        return status;
    if (type->kind == TG_AVRO_INT && (value < INT32_MIN || value > INT32_MAX)) {
        r->at = before;
        return tg_avro_reader_refuse(r, "an int of %lld", (long long)value);
    }
    if (tg_avro_logical_is_time(type->logical))
        return put_time(r, type, value, out);
    tg_buf_i64(out, value);
    return TG_OK;
}

static tg_status_t put_float(tg_avro_reader_t *r, const tg_avro_type_t *type, tg_buf_t *out)
{
    (void)type;
    float value = 0;
    char text[32];
    tg_status_t status = tg_avro_read_float(r, &value);
    if (status != TG_OK)
        return status;
    if (value == 0) {
        tg_json_write_double((double)value, out);
        return TG_OK;
    }
    /* 9 digits always read back as the same float; fewer look better where they do too. */
    int digits = 6, len;
    do {
        len = snprintf(text, sizeof(text), "%.*g", digits, (double)value);
    } while (digits++ < 9 && strtof(text, NULL) != value);
    tg_buf_append(out, text, (size_t)len);
    return TG_OK;
}

static tg_status_t put_double(tg_avro_reader_t *r, const tg_avro_type_t *type, tg_buf_t *out)
{
    (void)type;
    double value = 0;
    tg_status_t status = tg_avro_read_double(r, &value);
    if (status == TG_OK)
        tg_json_write_double(value, out);
    return status;
}

/* Bytes as text: one code point for each (Avro's own convention). */
static void write_latin1(tg_buf_t *out, tg_str_t bytes)
{
    tg_buf_byte(out, '"');
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t byte = (uint8_t)bytes.ptr[i];
        if (byte < 0x20 || byte == '"' || byte == '\\') {
            tg_buf_printf(out, "\\u%04x", (unsigned)byte);
        } else if (byte < 0x80) {
            tg_buf_byte(out, (char)byte);
        } else {
            tg_buf_byte(out, (char)(0xc0 | byte >> 6));
            tg_buf_byte(out, (char)(0x80 | (byte & 0x3f)));
        }
    }
    tg_buf_byte(out, '"');
}

static tg_status_t put_bytes(tg_avro_reader_t *r, const tg_avro_type_t *type, tg_buf_t *out)
{
    tg_str_t bytes = {NULL, 0};
    if (type->kind == TG_AVRO_FIXED) {
        if (left(r) < type->size)
            return ends_early(r);
        bytes = (tg_str_t){(const char *)r->at, type->size};
        r->at += type->size;
    } else {
        tg_status_t status = read_bytes(r, &bytes);
        if (status != TG_OK)
            return status;
    }
    if (type->logical == TG_AVRO_DECIMAL)
        return tg_avro_decimal_write(type, bytes, out) == TG_OK
                   ? TG_OK
                   : tg_avro_reader_refuse(r, "a decimal of more than %u digits",
                                           (unsigned)type->precision);
    tg_status_t status = check_nul(r, bytes);
    if (status == TG_OK)
        write_latin1(out, bytes);
    return status;
}

static tg_status_t put_string(tg_avro_reader_t *r, const tg_avro_type_t *type, tg_buf_t *out)
{
    (void)type;
    tg_str_t text = {NULL, 0};
    tg_status_t status = tg_avro_read_text(r, &text);
    if (status == TG_OK)
        tg_buf_json_string(out, text);
    return status;
}

static tg_status_t put_enum(tg_avro_reader_t *r, const tg_avro_type_t *type, tg_buf_t *out)
{
    tg_str_t symbol = {NULL, 0};
    tg_status_t status = tg_avro_read_symbol(r, type, &symbol);
    if (status == TG_OK)
        tg_buf_json_string(out, symbol);
    return status;
}

static tg_status_t put_record(tg_avro_reader_t *r, const tg_avro_type_t *type, tg_buf_t *out)
{
    assert(type->kind == TG_AVRO_RECORD);
    tg_buf_byte(out, '{');
    for (uint32_t i = 0; i < type->count; i++) {
        const tg_avro_field_t *field = &type->fields[i];
        if (i > 0)
            tg_buf_byte(out, ',');
        tg_buf_json_string(out, field->name);
        tg_buf_byte(out, ':');
        tg_status_t status = tg_avro_read_json(r, field->type, out);
        if (status != TG_OK) {
            tg_avro_error_within(r->error, field->name, 0);
            return status;
        }
    }
    tg_buf_byte(out, '}');
    return TG_OK;
}

static tg_status_t put_union(tg_avro_reader_t *r, const tg_avro_type_t *type, tg_buf_t *out)
{
    const tg_avro_type_t *branch = NULL;
    tg_status_t status = tg_avro_read_branch(r, type, &branch);
    return status == TG_OK ? tg_avro_read_json(r, branch, out) : status;
}

/* One block of an array or a map: how many items, and where it says that it ends (NULL if it
 * doesn't). A map's item has at least its key's length. */
static tg_status_t read_block(tg_avro_reader_t *r, const tg_avro_type_t *type, size_t *out_count,
                              const uint8_t **out_end)
{
    assert(type->kind == TG_AVRO_ARRAY || type->kind == TG_AVRO_MAP);
    int64_t count = 0;
    size_t size = 0;
    tg_status_t status = tg_avro_read_long(r, &count);
    *out_end = NULL;
    if (status == TG_OK && count < 0) {
        status = read_size(r, left(r), "block size", &size);
        if (status == TG_OK && size > left(r))
            status = ends_early(r);
        *out_end = r->at + size;
    }
    if (status != TG_OK)
        return status;
    uint64_t items = count < 0 ? 0 - (uint64_t)count : (uint64_t)count;
    bool empty = type->kind == TG_AVRO_ARRAY && type->items->may_be_empty;
    if (items > (empty ? (uint64_t)r->empty_items : (uint64_t)left(r)))
        return tg_avro_reader_refuse(r, "%llu items, more than there can be",
                                     (unsigned long long)items);
    if (empty)
        r->empty_items -= (uint32_t)items;
    *out_count = (size_t)items;
    return TG_OK;
}

static tg_status_t put_item(tg_avro_reader_t *r, const tg_avro_type_t *type, size_t index,
                            tg_buf_t *out)
{
    tg_str_t key = {NULL, 0};
    if (index > 0)
        tg_buf_byte(out, ',');
    if (type->kind == TG_AVRO_MAP) {
        tg_status_t status = tg_avro_read_text(r, &key);
        if (status != TG_OK)
            return status;
        tg_buf_json_string(out, key);
        tg_buf_byte(out, ':');
    }
    tg_status_t status = tg_avro_read_json(r, type->items, out);
    if (status != TG_OK)
        tg_avro_error_within(r->error, key, index);
    return status;
}

static tg_status_t put_blocks(tg_avro_reader_t *r, const tg_avro_type_t *type, tg_buf_t *out)
{
    assert(type->items != NULL);
    size_t done = 0, count = 0;
    tg_buf_byte(out, type->kind == TG_AVRO_MAP ? '{' : '[');
    for (;;) {
        const uint8_t *end;
        tg_status_t status = read_block(r, type, &count, &end);
        if (status != TG_OK)
            return status;
        if (count == 0)
            break;
        for (size_t i = 0; i < count; i++) {
            status = put_item(r, type, done++, out);
            if (status != TG_OK)
                return status;
        }
        if (end != NULL && end != r->at)
            return tg_avro_reader_refuse(r, "a block that does not end where it says");
    }
    tg_buf_byte(out, type->kind == TG_AVRO_MAP ? '}' : ']');
    return TG_OK;
}

tg_status_t tg_avro_read_json(tg_avro_reader_t *r, const tg_avro_type_t *type, tg_buf_t *out)
{
    assert(type != NULL);
    assert(out != NULL);
    static const read_fn by_kind[TG_AVRO_KINDS] = {
        [TG_AVRO_NULL] = put_null,     [TG_AVRO_BOOLEAN] = put_boolean,
        [TG_AVRO_INT] = put_integer,   [TG_AVRO_LONG] = put_integer,
        [TG_AVRO_FLOAT] = put_float,   [TG_AVRO_DOUBLE] = put_double,
        [TG_AVRO_BYTES] = put_bytes,   [TG_AVRO_STRING] = put_string,
        [TG_AVRO_RECORD] = put_record, [TG_AVRO_ENUM] = put_enum,
        [TG_AVRO_FIXED] = put_bytes,   [TG_AVRO_ARRAY] = put_blocks,
        [TG_AVRO_MAP] = put_blocks,    [TG_AVRO_UNION] = put_union,
    };
    assert(type->kind < TG_AVRO_KINDS);
    if (r->depth == TG_AVRO_DEPTH_MAX)
        return tg_avro_reader_refuse(r, "nested deeper than %d levels", TG_AVRO_DEPTH_MAX);
    if (out->failed)
        return TG_NOMEM;
    r->depth++;
    tg_status_t status = by_kind[type->kind](r, type, out);
    r->depth--;
    return status;
}

tg_status_t tg_avro_decode(const tg_avro_type_t *type, tg_str_t bytes, unsigned flags,
                           tg_buf_t *out, tg_avro_error_t *error)
{
    assert(type != NULL);
    assert(error != NULL);
    tg_avro_reader_t reader;
    tg_avro_reader_init(&reader, bytes, flags, error);
    size_t before = out->len;
    tg_status_t status = tg_avro_read_json(&reader, type, out);
    if (status == TG_OK && reader.at != reader.end)
        status =
            tg_avro_reader_refuse(&reader, "%zu bytes left over", (size_t)(reader.end - reader.at));
    if (status == TG_OK && out->failed)
        status = TG_NOMEM;
    if (status != TG_OK)
        out->len = before;
    return status;
}
