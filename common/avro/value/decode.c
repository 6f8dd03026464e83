/* Avro bytes to JSON text: one function per kind, over a cursor that never leaves the bytes.
 *
 * Two forms of JSON leave here: the natural one (no tags, ISO 8601 times, decimals as numbers,
 * bytes as base64) and, by TG_AVRO_STRICT_JSON, Avro's own (tagged unions, base values, bytes as
 * code points). Recursion is bounded by TG_AVRO_DEPTH_MAX; what a value may grow to is the output
 * buffer's limit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/avro/logical.h"
#include "common/avro/value/base64.h"
#include "common/avro/value/cursor.h"
#include "common/avro/value/duration.h"
#include "common/base/uuid.h"

static bool is_strict(const tg_avro_reader_t *r)
{
    return (r->flags & TG_AVRO_STRICT_JSON) != 0;
}

static tg_status_t put_null(tg_buf_t *out)
{
    tg_buf_append(out, "null", 4);
    return TG_OK;
}

static tg_status_t put_boolean(tg_avro_reader_t *r, tg_buf_t *out)
{
    if (tg_avro_left(r) == 0)
        return tg_avro_ends_early(r);
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
    tg_status_t status = tg_avro_take_long(r, &value);
    if (status != TG_OK)
        return status;
    if (type->kind == TG_AVRO_INT && (value < INT32_MIN || value > INT32_MAX)) {
        r->at = before;
        return tg_avro_reader_refuse(r, "an int of %lld", (long long)value);
    }
    if (tg_avro_logical_is_time(type->logical) && !is_strict(r))
        return put_time(r, type, value, out);
    tg_buf_i64(out, value);
    return TG_OK;
}

/* What JSON has no number for. Avro's own encoding knows it as text; plain JSON refuses it. */
static tg_status_t put_not_finite(tg_avro_reader_t *r, double value, tg_buf_t *out)
{
    assert(!isfinite(value));
    if (!is_strict(r))
        return tg_avro_reader_refuse(r, "a number that is not finite");
    if (isnan(value))
        tg_buf_str(out, TG_STR("\"NaN\""));
    else
        tg_buf_str(out, value > 0 ? TG_STR("\"Infinity\"") : TG_STR("\"-Infinity\""));
    return TG_OK;
}

static tg_status_t put_float(tg_avro_reader_t *r, tg_buf_t *out)
{
    float value;
    char text[32];
    if (tg_avro_left(r) < sizeof(value))
        return tg_avro_ends_early(r);
    memcpy(&value, r->at, sizeof(value));
    if (!isfinite(value)) {
        tg_status_t status = put_not_finite(r, (double)value, out);
        r->at += status == TG_OK ? sizeof(value) : 0;
        return status;
    }
    r->at += sizeof(value);
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

static tg_status_t put_double(tg_avro_reader_t *r, tg_buf_t *out)
{
    double value;
    if (tg_avro_left(r) < sizeof(value))
        return tg_avro_ends_early(r);
    memcpy(&value, r->at, sizeof(value));
    if (!isfinite(value)) {
        tg_status_t status = put_not_finite(r, value, out);
        r->at += status == TG_OK ? sizeof(value) : 0;
        return status;
    }
    r->at += sizeof(value);
    tg_json_write_double(value, out);
    return TG_OK;
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

static void write_uuid(tg_buf_t *out, tg_str_t bytes)
{
    tg_uuid_t uuid;
    char text[TG_UUID_TEXT_LEN];
    assert(bytes.len == sizeof(uuid.bytes));
    memcpy(uuid.bytes, bytes.ptr, sizeof(uuid.bytes));
    tg_uuid_format(&uuid, text);
    tg_buf_json_string(out, (tg_str_t){text, sizeof(text)});
}

static tg_status_t put_bytes(tg_avro_reader_t *r, const tg_avro_type_t *type, tg_buf_t *out)
{
    tg_str_t bytes = {NULL, 0};
    tg_status_t status = type->kind == TG_AVRO_FIXED ? tg_avro_take_raw(r, type->size, &bytes)
                                                     : tg_avro_take_bytes(r, &bytes);
    if (status != TG_OK)
        return status;
    if (is_strict(r)) {
        write_latin1(out, bytes);
        return TG_OK;
    }
    switch (type->logical) {
    case TG_AVRO_DECIMAL:
        if (tg_avro_decimal_write(type, bytes, out) == TG_OK)
            return TG_OK;
        return tg_avro_reader_refuse(r, "a decimal of more than %u digits",
                                     (unsigned)type->precision);
    case TG_AVRO_UUID:
        write_uuid(out, bytes);
        return TG_OK;
    case TG_AVRO_DURATION:
        tg_avro_duration_write(bytes, out);
        return TG_OK;
    default:
        tg_avro_base64_write(bytes, out);
        return TG_OK;
    }
}

static tg_status_t put_string(tg_avro_reader_t *r, tg_buf_t *out)
{
    tg_str_t text = {NULL, 0};
    tg_status_t status = tg_avro_take_text(r, &text);
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
        tg_avro_write_name(out, field->name, i == 0);
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
    if (status != TG_OK || !is_strict(r) || branch->kind == TG_AVRO_NULL)
        return status == TG_OK ? tg_avro_read_json(r, branch, out) : status;
    tg_buf_byte(out, '{');
    tg_buf_json_string(out, tg_avro_branch_tag(branch));
    tg_buf_byte(out, ':');
    status = tg_avro_read_json(r, branch, out);
    tg_buf_byte(out, '}');
    return status;
}

static tg_status_t put_item(tg_avro_reader_t *r, const tg_avro_type_t *type, size_t index,
                            tg_buf_t *out)
{
    tg_str_t key = {NULL, 0};
    if (index > 0)
        tg_buf_byte(out, ',');
    if (type->kind == TG_AVRO_MAP) {
        tg_status_t status = tg_avro_take_text(r, &key);
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
        tg_status_t status = tg_avro_read_block(r, type, &count, &end);
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

/* What may nest. */
static tg_status_t put_container(tg_avro_reader_t *r, const tg_avro_type_t *type, tg_buf_t *out)
{
    tg_status_t status;
    if (r->depth == TG_AVRO_DEPTH_MAX)
        return tg_avro_reader_refuse(r, "nested deeper than %d levels", TG_AVRO_DEPTH_MAX);
    if (out->failed)
        return TG_NOMEM;
    r->depth++;
    if (type->kind == TG_AVRO_RECORD)
        status = put_record(r, type, out);
    else if (type->kind == TG_AVRO_UNION)
        status = put_union(r, type, out);
    else
        status = put_blocks(r, type, out);
    r->depth--;
    return status;
}

tg_status_t tg_avro_read_json(tg_avro_reader_t *r, const tg_avro_type_t *type, tg_buf_t *out)
{
    assert(type != NULL);
    assert(out != NULL);
    switch (type->kind) {
    case TG_AVRO_NULL:
        return put_null(out);
    case TG_AVRO_BOOLEAN:
        return put_boolean(r, out);
    case TG_AVRO_INT:
    case TG_AVRO_LONG:
        return put_integer(r, type, out);
    case TG_AVRO_FLOAT:
        return put_float(r, out);
    case TG_AVRO_DOUBLE:
        return put_double(r, out);
    case TG_AVRO_STRING:
        return put_string(r, out);
    case TG_AVRO_ENUM:
        return put_enum(r, type, out);
    case TG_AVRO_BYTES:
    case TG_AVRO_FIXED:
        return put_bytes(r, type, out);
    default:
        return put_container(r, type, out);
    }
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
