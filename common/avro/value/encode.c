/* JSON nodes to Avro bytes: one function per kind, called through a table.
 *
 * A record's members may come in any order, its fields leave in the schema's: one pass over the
 * members notes each field's node, a second over the fields writes. Clients mostly send members in
 * the schema's order, so the field after the last one is guessed before the name is searched. The
 * notes live in the codec's scratch array, used as a stack by nested records. Recursion is bounded
 * by TG_AVRO_DEPTH_MAX. */
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/avro/internal.h"
#include "common/avro/logical.h"
#include "common/avro/value/base64.h"
#include "common/avro/value/duration.h"
#include "common/avro/value/scratch.h"
#include "common/base/time.h"
#include "common/base/uuid.h"

struct encode {
    tg_avro_codec_t *codec;
    const tg_json_node_t *nodes;
    tg_buf_t *out;
    tg_avro_error_t *error;
    unsigned flags, depth;
};

typedef tg_status_t (*encode_fn)(struct encode *e, const tg_avro_type_t *type, size_t index);

static tg_status_t encode(struct encode *e, const tg_avro_type_t *type, size_t index);

static bool is_strict(const struct encode *e)
{
    return (e->flags & TG_AVRO_STRICT_JSON) != 0;
}

/* --- refusals --- */

/* Cold and never inlined: the hot functions must not zero these buffers on each call. */
#define COLD __attribute__((cold, noinline))

COLD static tg_status_t refuse(struct encode *e, const char *code, const char *format, ...)
    TG_PRINTF(3, 4);

static tg_status_t refuse(struct encode *e, const char *code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(e->error->message, sizeof(e->error->message), format, args);
    va_end(args);
    e->error->code = code;
    e->error->path[0] = '\0';
    e->error->offset = 0;
    return TG_INVALID;
}

COLD static tg_status_t expected(struct encode *e, const char *code, const char *what, size_t index)
{
    char came[128];
    tg_avro_describe(&e->nodes[index], came, sizeof(came));
    return refuse(e, code, "expected %s, got %s", what, came);
}

/* --- scalars --- */

static bool is_number(const tg_json_node_t *node)
{
    return node->type == TG_JSON_INT || node->type == TG_JSON_UINT || node->type == TG_JSON_DOUBLE;
}

static double number_of(const tg_json_node_t *node)
{
    switch (node->type) {
    case TG_JSON_INT:
        return (double)node->value.integer;
    case TG_JSON_UINT:
        return (double)node->value.uinteger;
    default:
        return node->value.real;
    }
}

/* Whole numbers only: 1.0 is 1, 1.5 is refused; nothing is rounded. */
static bool integer_of(const tg_json_node_t *node, int64_t *out_value)
{
    if (node->type == TG_JSON_INT) {
        *out_value = node->value.integer;
        return true;
    }
    if (node->type != TG_JSON_DOUBLE)
        return false;
    double value = node->value.real;
    if (!(value >= -9223372036854775808.0 && value < 9223372036854775808.0) ||
        value != trunc(value))
        return false;
    *out_value = (int64_t)value;
    return true;
}

tg_status_t tg_avro_json_time(const tg_json_node_t *node, int64_t *out_us)
{
    assert(node != NULL);
    assert(out_us != NULL);
    static const struct {
        double below, us;
    } units[] = {{1e11, 1e6}, {1e14, 1e3}, {1e17, 1}};

    if (node->type == TG_JSON_STRING)
        return tg_time_parse(node->value.text, out_us);
    if (node->type != TG_JSON_INT && node->type != TG_JSON_DOUBLE)
        return TG_INVALID;
    double magnitude = fabs(number_of(node));
    for (size_t i = 0; i < TG_ARRAY_LEN(units); i++) {
        if (!(magnitude < units[i].below))
            continue;
        if (node->type == TG_JSON_INT)
            *out_us = node->value.integer * (int64_t)units[i].us;
        else
            *out_us = (int64_t)llround(node->value.real * units[i].us);
        return TG_OK;
    }
    return TG_INVALID;
}

static tg_status_t encode_null(struct encode *e, const tg_avro_type_t *type, size_t index)
{
    (void)type;
    return e->nodes[index].type == TG_JSON_NULL ? TG_OK : expected(e, "wrong_type", "null", index);
}

static tg_status_t encode_boolean(struct encode *e, const tg_avro_type_t *type, size_t index)
{
    (void)type;
    tg_json_type_t came = e->nodes[index].type;
    if (came != TG_JSON_TRUE && came != TG_JSON_FALSE)
        return expected(e, "wrong_type", "true or false", index);
    tg_buf_byte(e->out, came == TG_JSON_TRUE ? 1 : 0);
    return TG_OK;
}

static bool is_timestamp(tg_avro_logical_t logical)
{
    return logical >= TG_AVRO_TIMESTAMP_MILLIS && logical <= TG_AVRO_TIMESTAMP_NANOS;
}

static tg_status_t time_value(const tg_avro_type_t *type, const tg_json_node_t *node,
                              int64_t *out_value)
{
    assert(tg_avro_logical_is_time(type->logical));
    int64_t us;
    if (is_timestamp(type->logical)) {
        tg_status_t status = tg_avro_json_time(node, &us);
        return status == TG_OK ? tg_avro_time_from_us(type->logical, us, out_value) : status;
    }
    if (node->type == TG_JSON_STRING)
        return tg_avro_time_from_text(type->logical, node->value.text, out_value);
    return integer_of(node, out_value) ? TG_OK : TG_INVALID;
}

static tg_status_t encode_integer(struct encode *e, const tg_avro_type_t *type, size_t index)
{
    assert(type->kind == TG_AVRO_INT || type->kind == TG_AVRO_LONG);
    const tg_json_node_t *node = &e->nodes[index];
    int64_t value;
    if (tg_avro_logical_is_time(type->logical) && !is_strict(e)) {
        if (time_value(type, node, &value) != TG_OK)
            return expected(e,
                            node->type == TG_JSON_STRING || is_number(node) ? "invalid_value"
                                                                            : "wrong_type",
                            tg_avro_time_expectation(type->logical), index);
    } else if (!integer_of(node, &value)) {
        return is_number(node) ? expected(e, "invalid_value", "a whole number of 64 bits", index)
                               : expected(e, "wrong_type", "an integer", index);
    }
    if (type->kind == TG_AVRO_INT && (value < INT32_MIN || value > INT32_MAX))
        return expected(e, "invalid_value", "an integer from -2147483648 to 2147483647", index);
    tg_avro_write_long(e->out, value);
    return TG_OK;
}

/* NaN and the infinities, which only Avro's own encoding can say. */
static bool real_of(const struct encode *e, const tg_json_node_t *node, double *out_value)
{
    static const struct {
        tg_str_t name;
        double value;
    } rows[] = {{{"NaN", 3}, NAN}, {{"Infinity", 8}, INFINITY}, {{"-Infinity", 9}, -INFINITY}};
    if (is_number(node)) {
        *out_value = number_of(node);
        return true;
    }
    for (size_t i = 0; node->type == TG_JSON_STRING && is_strict(e) && i < TG_ARRAY_LEN(rows);
         i++) {
        *out_value = rows[i].value;
        if (tg_str_eq(rows[i].name, node->value.text))
            return true;
    }
    return false;
}

static tg_status_t encode_real(struct encode *e, const tg_avro_type_t *type, size_t index)
{
    assert(type->kind == TG_AVRO_FLOAT || type->kind == TG_AVRO_DOUBLE);
    const tg_json_node_t *node = &e->nodes[index];
    double value;
    if (!real_of(e, node, &value))
        return expected(e, "wrong_type", "a number", index);
    if (type->kind == TG_AVRO_DOUBLE)
        tg_avro_write_double(e->out, value);
    else if ((value >= -FLT_MAX && value <= FLT_MAX) || !isfinite(value))
        tg_avro_write_float(e->out, (float)value);
    else
        return expected(e, "invalid_value", "a number within a 32-bit float", index);
    return TG_OK;
}

/* Text that may pass, or the reason why not. */
static tg_status_t check_text(struct encode *e, tg_str_t text)
{
    if ((e->flags & TG_AVRO_REFUSE_NUL) != 0 && tg_avro_has_nul(text))
        return refuse(e, "invalid_value", "text must not hold U+0000");
    return TG_OK;
}

static tg_status_t encode_string(struct encode *e, const tg_avro_type_t *type, size_t index)
{
    const tg_json_node_t *node = &e->nodes[index];
    tg_uuid_t uuid;
    if (node->type != TG_JSON_STRING)
        return expected(e, "wrong_type", "a string", index);
    if (type->logical == TG_AVRO_UUID && !is_strict(e) &&
        tg_uuid_parse(node->value.text, &uuid) != TG_OK)
        return expected(e, "invalid_value", "a UUID", index);
    tg_status_t status = check_text(e, node->value.text);
    if (status == TG_OK)
        tg_avro_write_bytes(e->out, node->value.text);
    return status;
}

/* The number as text: a decimal must not pass through binary rounding where the client avoided it.
 */
static tg_status_t decimal_bytes(const tg_avro_type_t *type, const tg_json_node_t *node,
                                 uint8_t *bytes, size_t *out_len)
{
    char memory[64];
    tg_buf_t text = {.data = memory, .cap = sizeof(memory), .max = sizeof(memory)};
    if (node->type == TG_JSON_STRING)
        return tg_avro_decimal_from_text(type, node->value.text, bytes, out_len);
    if (node->type == TG_JSON_DOUBLE)
        tg_buf_json_double(&text, node->value.real);
    else
        text.len = (size_t)snprintf(memory, sizeof(memory), "%s%llu",
                                    node->type == TG_JSON_INT && node->value.integer < 0 ? "-" : "",
                                    node->type == TG_JSON_INT && node->value.integer < 0
                                        ? 0 - (unsigned long long)node->value.integer
                                        : (unsigned long long)node->value.uinteger);
    return tg_avro_decimal_from_text(type, tg_buf_view(&text), bytes, out_len);
}

static tg_status_t encode_decimal(struct encode *e, const tg_avro_type_t *type, size_t index)
{
    assert(type->logical == TG_AVRO_DECIMAL);
    const tg_json_node_t *node = &e->nodes[index];
    uint8_t bytes[TG_AVRO_DECIMAL_BYTES];
    char what[80];
    size_t len;
    snprintf(what, sizeof(what), "a decimal of at most %u digits, %u of them after the point",
             (unsigned)type->precision, (unsigned)type->scale);
    if (node->type != TG_JSON_STRING && !is_number(node))
        return expected(e, "wrong_type", what, index);
    if (decimal_bytes(type, node, bytes, &len) != TG_OK ||
        (type->kind == TG_AVRO_FIXED && len > type->size))
        return expected(e, "invalid_value", what, index);
    if (type->kind == TG_AVRO_BYTES) {
        tg_avro_write_bytes(e->out, (tg_str_t){(const char *)bytes, len});
        return TG_OK;
    }
    for (size_t i = len; i < type->size; i++) /* the sign fills what the number leaves */
        tg_buf_byte(e->out, (char)(bytes[0] >= 0x80 ? 0xff : 0));
    tg_buf_append(e->out, bytes, len);
    return TG_OK;
}

/* Room for `len` bytes of the type's encoding, with their length where they have no fixed one. */
static tg_status_t begin_bytes(struct encode *e, const tg_avro_type_t *type, ptrdiff_t len)
{
    assert(len >= 0);
    if (type->kind == TG_AVRO_FIXED && len != (ptrdiff_t)type->size)
        return refuse(e, "invalid_value", "expected %u bytes, got %zd", (unsigned)type->size, len);
    if (type->kind == TG_AVRO_BYTES)
        tg_avro_write_long(e->out, len);
    return TG_OK;
}

/* Avro's own form: a code point for each byte. */
static tg_status_t encode_latin1(struct encode *e, const tg_avro_type_t *type, size_t index)
{
    const tg_json_node_t *node = &e->nodes[index];
    static const char what[] = "a string of bytes (U+0000 to U+00FF)";
    if (node->type != TG_JSON_STRING)
        return expected(e, "wrong_type", what, index);
    ptrdiff_t len = tg_avro_latin1_len(node->value.text);
    if (len < 0)
        return expected(e, "invalid_value", what, index);
    tg_status_t status = begin_bytes(e, type, len);
    if (status == TG_OK)
        tg_avro_write_latin1(e->out, node->value.text);
    return status;
}

/* The fixed bytes of a logical type that has a text of its own. */
static tg_status_t logical_bytes(const tg_avro_type_t *type, tg_str_t text, tg_uuid_t *out_bytes)
{
    _Static_assert(sizeof(out_bytes->bytes) >= TG_AVRO_DURATION_BYTES, "room for either");
    return type->logical == TG_AVRO_UUID ? tg_uuid_parse(text, out_bytes)
                                         : tg_avro_duration_from_text(text, out_bytes->bytes);
}

static tg_status_t encode_text_of_fixed(struct encode *e, const tg_avro_type_t *type, size_t index)
{
    assert(type->kind == TG_AVRO_FIXED);
    const tg_json_node_t *node = &e->nodes[index];
    const char *what =
        type->logical == TG_AVRO_UUID ? "a UUID" : "a duration (ISO 8601, like P1M2DT3.004S)";
    tg_uuid_t bytes;
    if (node->type != TG_JSON_STRING)
        return expected(e, "wrong_type", what, index);
    if (logical_bytes(type, node->value.text, &bytes) != TG_OK)
        return expected(e, "invalid_value", what, index);
    tg_buf_append(e->out, bytes.bytes, type->size);
    return TG_OK;
}

static tg_status_t encode_bytes(struct encode *e, const tg_avro_type_t *type, size_t index)
{
    const tg_json_node_t *node = &e->nodes[index];
    if (is_strict(e))
        return encode_latin1(e, type, index);
    if (type->logical == TG_AVRO_DECIMAL)
        return encode_decimal(e, type, index);
    if (type->logical != TG_AVRO_PLAIN)
        return encode_text_of_fixed(e, type, index);
    if (node->type != TG_JSON_STRING)
        return expected(e, "wrong_type", "bytes as base64", index);
    ptrdiff_t len = tg_avro_base64_len(node->value.text);
    if (len < 0)
        return expected(e, "invalid_value", "bytes as base64", index);
    tg_status_t status = begin_bytes(e, type, len);
    if (status == TG_OK)
        tg_avro_base64_read(node->value.text, e->out);
    return status;
}

/* "one of a, b, c", cut where it grows too long. */
static void list_symbols(const tg_avro_type_t *type, char *out, size_t size)
{
    size_t len = (size_t)snprintf(out, size, "one of ");
    for (uint32_t i = 0; i < type->count; i++) {
        tg_str_t symbol = type->symbols[i];
        if (len + symbol.len + 8 > size) {
            snprintf(out + len, size - len, "…");
            return;
        }
        len += (size_t)snprintf(out + len, size - len, "%s" TG_STR_FMT, i == 0 ? "" : ", ",
                                TG_STR_ARG(symbol));
    }
}

COLD static tg_status_t refuse_symbol(struct encode *e, const tg_avro_type_t *type, size_t index)
{
    char what[128];
    list_symbols(type, what, sizeof(what));
    bool text = e->nodes[index].type == TG_JSON_STRING;
    return expected(e, text ? "invalid_value" : "wrong_type", what, index);
}

static tg_status_t encode_enum(struct encode *e, const tg_avro_type_t *type, size_t index)
{
    const tg_json_node_t *node = &e->nodes[index];
    int symbol = node->type == TG_JSON_STRING ? tg_avro_type_find(type, node->value.text) : -1;
    if (symbol < 0)
        return refuse_symbol(e, type, index);
    tg_avro_write_long(e->out, symbol);
    return TG_OK;
}

/* --- containers --- */

static tg_status_t encode_array(struct encode *e, const tg_avro_type_t *type, size_t index)
{
    assert(type->items != NULL);
    const tg_json_node_t *node = &e->nodes[index];
    if (node->type != TG_JSON_ARRAY)
        return expected(e, "wrong_type", "an array", index);
    if (type->items->may_be_empty && node->count > TG_AVRO_EMPTY_ITEMS_MAX)
        return refuse(e, "too_large", "more than %d items without content",
                      TG_AVRO_EMPTY_ITEMS_MAX);
    if (node->count > 0)
        tg_avro_write_long(e->out, node->count);
    size_t at = index + 1;
    for (uint32_t i = 0; i < node->count; i++, at = e->nodes[at].next) {
        tg_status_t status = encode(e, type->items, at);
        if (status != TG_OK) {
            tg_avro_error_within(e->error, (tg_str_t){NULL, 0}, i);
            return status;
        }
    }
    tg_buf_byte(e->out, 0);
    return TG_OK;
}

static tg_status_t encode_map(struct encode *e, const tg_avro_type_t *type, size_t index)
{
    assert(type->items != NULL);
    const tg_json_node_t *node = &e->nodes[index];
    if (node->type != TG_JSON_OBJECT)
        return expected(e, "wrong_type", "an object", index);
    if (node->count > 0)
        tg_avro_write_long(e->out, node->count);
    size_t at = index + 1;
    for (uint32_t i = 0; i < node->count; i++, at = e->nodes[at].next) {
        tg_str_t key = e->nodes[at].key;
        tg_status_t status = check_text(e, key);
        if (status == TG_OK) {
            tg_avro_write_bytes(e->out, key);
            status = encode(e, type->items, at);
        }
        if (status != TG_OK) {
            tg_avro_error_within(e->error, key, 0);
            return status;
        }
    }
    tg_buf_byte(e->out, 0);
    return TG_OK;
}

static tg_status_t note_members(struct encode *e, const tg_avro_type_t *type, size_t index,
                                size_t base)
{
    assert(base + type->count <= e->codec->slots_used);
    const tg_json_node_t *nodes = e->nodes;
    uint32_t guess = 0;
    size_t at = index + 1;
    for (uint32_t i = 0; i < nodes[index].count; i++, at = nodes[at].next) {
        tg_str_t key = nodes[at].key;
        int field = guess < type->count && tg_avro_same(type->fields[guess].name, key)
                        ? (int)guess
                        : tg_avro_type_find(type, key);
        tg_status_t status = TG_OK;
        if (field < 0)
            status = refuse(e, "unknown_field", "no such field");
        else if (e->codec->slots[base + (size_t)field] != 0)
            status = refuse(e, "duplicate_field", "given twice");
        if (status != TG_OK) {
            tg_avro_error_within(e->error, key, 0);
            return status;
        }
        e->codec->slots[base + (size_t)field] = (uint32_t)at;
        guess = (uint32_t)field + 1;
    }
    return TG_OK;
}

static tg_status_t encode_fields(struct encode *e, const tg_avro_type_t *type, size_t base)
{
    for (uint32_t i = 0; i < type->count; i++) {
        const tg_avro_field_t *field = &type->fields[i];
        uint32_t at = e->codec->slots[base + i];
        tg_status_t status = TG_OK;
        if (at != 0)
            status = encode(e, field->type, at);
        else if (field->has_default && !is_strict(e))
            tg_buf_append(e->out, field->default_bytes.ptr, field->default_bytes.len);
        else
            status = refuse(e, "missing_field", "required (%s), but not given",
                            tg_avro_kind_name(field->type->kind));
        if (status != TG_OK) {
            tg_avro_error_within(e->error, field->name, 0);
            return status;
        }
    }
    return TG_OK;
}

static tg_status_t encode_record(struct encode *e, const tg_avro_type_t *type, size_t index)
{
    assert(type->kind == TG_AVRO_RECORD);
    if (e->nodes[index].type != TG_JSON_OBJECT)
        return expected(e, "wrong_type", "an object", index);
    size_t base = tg_avro_push_slots(e->codec, type->count);
    if (base == SIZE_MAX)
        return TG_NOMEM;
    tg_status_t status = note_members(e, type, index, base);
    if (status == TG_OK)
        status = encode_fields(e, type, base);
    e->codec->slots_used = base;
    return status;
}

/* --- unions --- */

/* Whether the object's members are all fields of the record and no required one is missing. */
static bool fits_record(const tg_avro_type_t *type, const tg_json_node_t *nodes, size_t index)
{
    assert(type->kind == TG_AVRO_RECORD);
    uint32_t required = 0, given = 0;
    size_t at = index + 1;
    for (uint32_t i = 0; i < type->count; i++)
        required += !type->fields[i].has_default;
    for (uint32_t i = 0; i < nodes[index].count; i++, at = nodes[at].next) {
        int field = tg_avro_type_find(type, nodes[at].key);
        if (field < 0)
            return false;
        given += !type->fields[field].has_default;
    }
    return given >= required;
}

static bool fits_integer(const tg_avro_type_t *type, const tg_json_node_t *node)
{
    int64_t value;
    bool ok = tg_avro_logical_is_time(type->logical) ? time_value(type, node, &value) == TG_OK
                                                     : integer_of(node, &value);
    return ok && (type->kind == TG_AVRO_LONG || (value >= INT32_MIN && value <= INT32_MAX));
}

static bool fits_decimal(const tg_avro_type_t *type, const tg_json_node_t *node)
{
    uint8_t bytes[TG_AVRO_DECIMAL_BYTES];
    size_t size;
    return (node->type == TG_JSON_STRING || is_number(node)) &&
           decimal_bytes(type, node, bytes, &size) == TG_OK &&
           (type->kind == TG_AVRO_BYTES || size <= type->size);
}

static bool fits_bytes(const tg_avro_type_t *type, const tg_json_node_t *node)
{
    tg_uuid_t bytes;
    if (type->logical == TG_AVRO_DECIMAL)
        return fits_decimal(type, node);
    if (node->type != TG_JSON_STRING)
        return false;
    if (type->logical != TG_AVRO_PLAIN)
        return logical_bytes(type, node->value.text, &bytes) == TG_OK;
    ptrdiff_t len = tg_avro_base64_len(node->value.text);
    return len >= 0 && (type->kind == TG_AVRO_BYTES || len == (ptrdiff_t)type->size);
}

static bool fits_string(const tg_avro_type_t *type, const tg_json_node_t *node)
{
    tg_uuid_t uuid;
    return node->type == TG_JSON_STRING &&
           (type->logical != TG_AVRO_UUID || tg_uuid_parse(node->value.text, &uuid) == TG_OK);
}

static bool fits_float(const tg_json_node_t *node)
{
    return is_number(node) && fabs(number_of(node)) <= FLT_MAX;
}

static bool fits(const tg_avro_type_t *type, const tg_json_node_t *nodes, size_t index)
{
    const tg_json_node_t *node = &nodes[index];
    switch (type->kind) {
    case TG_AVRO_NULL:
        return node->type == TG_JSON_NULL;
    case TG_AVRO_BOOLEAN:
        return node->type == TG_JSON_TRUE || node->type == TG_JSON_FALSE;
    case TG_AVRO_INT:
    case TG_AVRO_LONG:
        return fits_integer(type, node);
    case TG_AVRO_FLOAT:
        return fits_float(node);
    case TG_AVRO_DOUBLE:
        return is_number(node);
    case TG_AVRO_STRING:
        return fits_string(type, node);
    case TG_AVRO_BYTES:
    case TG_AVRO_FIXED:
        return fits_bytes(type, node);
    case TG_AVRO_ENUM:
        return node->type == TG_JSON_STRING && tg_avro_type_find(type, node->value.text) >= 0;
    case TG_AVRO_ARRAY:
        return node->type == TG_JSON_ARRAY;
    case TG_AVRO_MAP:
        return node->type == TG_JSON_OBJECT;
    default:
        return node->type == TG_JSON_OBJECT && type->kind == TG_AVRO_RECORD &&
               fits_record(type, nodes, index);
    }
}

int tg_avro_union_pick(const tg_avro_type_t *type, const tg_json_node_t *nodes, size_t index)
{
    assert(type->kind == TG_AVRO_UNION);
    for (uint32_t i = 0; i < type->count; i++) {
        if (fits(type->branches[i], nodes, index))
            return (int)i;
    }
    return -1;
}

/* With one branch besides null, that branch says best what is wrong. */
COLD static tg_status_t refuse_union(struct encode *e, const tg_avro_type_t *type, size_t index)
{
    char what[160] = "one of";
    size_t len = strlen(what);
    const tg_avro_type_t *only = NULL;
    uint32_t others = 0;
    for (uint32_t i = 0; i < type->count; i++) {
        const tg_avro_type_t *branch = type->branches[i];
        if (branch->kind != TG_AVRO_NULL) {
            others++;
            only = branch;
        }
        if (len < sizeof(what) - 1)
            len += (size_t)snprintf(what + len, sizeof(what) - len, "%s %s", i == 0 ? "" : ",",
                                    tg_avro_kind_name(branch->kind));
    }
    if (others == 1) {
        tg_status_t status = encode(e, only, index);
        if (status != TG_OK)
            return status;
    }
    return expected(e, "wrong_type", what, index);
}

tg_str_t tg_avro_branch_tag(const tg_avro_type_t *branch)
{
    assert(branch->kind != TG_AVRO_UNION);
    return branch->name.len > 0 ? branch->name : tg_str_from(tg_avro_kind_name(branch->kind));
}

/* The branch with that name; -1 if there is none. */
static int find_tag(const tg_avro_type_t *type, tg_str_t tag)
{
    for (uint32_t i = 0; i < type->count; i++) {
        if (tg_str_eq(tg_avro_branch_tag(type->branches[i]), tag))
            return (int)i;
    }
    return -1;
}

/* Avro's own form: null, or an object whose one member names the branch. */
static tg_status_t encode_tagged(struct encode *e, const tg_avro_type_t *type, size_t index)
{
    const tg_json_node_t *node = &e->nodes[index];
    bool is_null = node->type == TG_JSON_NULL;
    if (!is_null && (node->type != TG_JSON_OBJECT || node->count != 1))
        return expected(e, "wrong_type", "null, or an object that names its branch", index);
    size_t value = is_null ? index : index + 1;
    tg_str_t tag = is_null ? TG_STR("null") : e->nodes[value].key;
    int branch = find_tag(type, tag);
    if (branch < 0)
        return refuse(e, "invalid_value", "the union has no branch \"" TG_STR_FMT "\"",
                      (int)(tag.len > 64 ? 64 : tag.len), tag.ptr);
    tg_avro_write_long(e->out, branch);
    tg_status_t status = encode(e, type->branches[branch], value);
    if (status == TG_INVALID && !is_null)
        tg_avro_error_within(e->error, tag, 0);
    return status;
}

static tg_status_t encode_union(struct encode *e, const tg_avro_type_t *type, size_t index)
{
    assert(type->kind == TG_AVRO_UNION);
    if (is_strict(e))
        return encode_tagged(e, type, index);
    if (type->nullable_branch >= 0 && e->nodes[index].type != TG_JSON_NULL) {
        /* Of null and one other type: what is not null can only be that one. */
        tg_avro_write_long(e->out, type->nullable_branch);
        return encode(e, type->branches[type->nullable_branch], index);
    }
    int branch = tg_avro_union_pick(type, e->nodes, index);
    if (branch < 0)
        return refuse_union(e, type, index);
    tg_avro_write_long(e->out, branch);
    return encode(e, type->branches[branch], index);
}

/* --- the whole --- */

static tg_status_t encode(struct encode *e, const tg_avro_type_t *type, size_t index)
{
    assert(type != NULL);
    static const encode_fn by_kind[TG_AVRO_KINDS] = {
        [TG_AVRO_NULL] = encode_null,     [TG_AVRO_BOOLEAN] = encode_boolean,
        [TG_AVRO_INT] = encode_integer,   [TG_AVRO_LONG] = encode_integer,
        [TG_AVRO_FLOAT] = encode_real,    [TG_AVRO_DOUBLE] = encode_real,
        [TG_AVRO_BYTES] = encode_bytes,   [TG_AVRO_STRING] = encode_string,
        [TG_AVRO_RECORD] = encode_record, [TG_AVRO_ENUM] = encode_enum,
        [TG_AVRO_FIXED] = encode_bytes,   [TG_AVRO_ARRAY] = encode_array,
        [TG_AVRO_MAP] = encode_map,       [TG_AVRO_UNION] = encode_union,
    };
    assert(type->kind < TG_AVRO_KINDS);
    if (e->depth == TG_AVRO_DEPTH_MAX)
        return refuse(e, "too_large", "nested deeper than %d levels", TG_AVRO_DEPTH_MAX);
    if (e->out->failed)
        return TG_NOMEM;
    e->depth++;
    tg_status_t status = by_kind[type->kind](e, type, index);
    e->depth--;
    return status;
}

tg_status_t tg_avro_encode(tg_avro_codec_t *codec, const tg_avro_type_t *type,
                           const tg_json_node_t *nodes, size_t index, unsigned flags, tg_buf_t *out,
                           tg_avro_error_t *error)
{
    assert(codec != NULL);
    assert(codec->slots_used == 0);
    assert(error != NULL);
    struct encode e = {codec, nodes, out, error, flags, 0};
    error->path[0] = '\0'; /* running out of memory leaves the rest as it is */
    size_t before = out->len;
    tg_status_t status = encode(&e, type, index);
    codec->slots_used = 0;
    if (status == TG_OK && out->failed)
        status = TG_NOMEM;
    if (status != TG_OK)
        out->len = before;
    return status;
}
