/* JSON nodes to the Avro bytes of everything that does not nest, and which of such types a value is
 * one of. Nothing is rounded: a whole number stays whole, a decimal keeps its digits. */
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/avro/internal.h"
#include "common/avro/logical.h"
#include "common/avro/value/base64.h"
#include "common/avro/value/duration.h"
#include "common/avro/value/encoder.h"
#include "common/base/time.h"
#include "common/base/uuid.h"

/* --- refusals --- */

/* Cold and never inlined: the hot functions must not zero these buffers on each call. */
#define COLD __attribute__((cold, noinline))

/* Out of line whatever has locals in memory: the function that inlines it would guard its stack for
 * the sake of values that need none of that. */
#define APART __attribute__((noinline))

COLD tg_status_t tg_avro_encoder_refuse(tg_avro_encoder_t *e, const char *code, const char *format,
                                        ...)
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

COLD tg_status_t tg_avro_encoder_expected(tg_avro_encoder_t *e, const char *code, const char *what,
                                          size_t index)
{
    char came[128];
    tg_avro_describe(&e->nodes[index], came, sizeof(came));
    return tg_avro_encoder_refuse(e, code, "expected %s, got %s", what, came);
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

static tg_status_t encode_null(tg_avro_encoder_t *e, size_t index)
{
    return e->nodes[index].type == TG_JSON_NULL
               ? TG_OK
               : tg_avro_encoder_expected(e, "wrong_type", "null", index);
}

static tg_status_t encode_boolean(tg_avro_encoder_t *e, size_t index)
{
    tg_json_type_t came = e->nodes[index].type;
    if (came != TG_JSON_TRUE && came != TG_JSON_FALSE)
        return tg_avro_encoder_expected(e, "wrong_type", "true or false", index);
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

APART static tg_status_t encode_integer(tg_avro_encoder_t *e, const tg_avro_type_t *type,
                                        size_t index)
{
    assert(type->kind == TG_AVRO_INT || type->kind == TG_AVRO_LONG);
    const tg_json_node_t *node = &e->nodes[index];
    int64_t value;
    if (tg_avro_logical_is_time(type->logical) && !tg_avro_encoder_strict(e)) {
        if (time_value(type, node, &value) != TG_OK)
            return tg_avro_encoder_expected(e,
                                            node->type == TG_JSON_STRING || is_number(node)
                                                ? "invalid_value"
                                                : "wrong_type",
                                            tg_avro_time_expectation(type->logical), index);
    } else if (!integer_of(node, &value)) {
        return is_number(node) ? tg_avro_encoder_expected(e, "invalid_value",
                                                          "a whole number of 64 bits", index)
                               : tg_avro_encoder_expected(e, "wrong_type", "an integer", index);
    }
    if (type->kind == TG_AVRO_INT && (value < INT32_MIN || value > INT32_MAX))
        return tg_avro_encoder_expected(e, "invalid_value",
                                        "an integer from -2147483648 to 2147483647", index);
    tg_avro_write_long(e->out, value);
    return TG_OK;
}

/* NaN and the infinities, which only Avro's own encoding can say. */
static bool real_of(const tg_avro_encoder_t *e, const tg_json_node_t *node, double *out_value)
{
    static const struct {
        tg_str_t name;
        double value;
    } rows[] = {{{"NaN", 3}, NAN}, {{"Infinity", 8}, INFINITY}, {{"-Infinity", 9}, -INFINITY}};
    if (is_number(node)) {
        *out_value = number_of(node);
        return true;
    }
    for (size_t i = 0;
         node->type == TG_JSON_STRING && tg_avro_encoder_strict(e) && i < TG_ARRAY_LEN(rows); i++) {
        *out_value = rows[i].value;
        if (tg_str_eq(rows[i].name, node->value.text))
            return true;
    }
    return false;
}

APART static tg_status_t encode_any_real(tg_avro_encoder_t *e, const tg_avro_type_t *type,
                                         size_t index)
{
    assert(type->kind == TG_AVRO_FLOAT || type->kind == TG_AVRO_DOUBLE);
    const tg_json_node_t *node = &e->nodes[index];
    double value;
    if (!real_of(e, node, &value))
        return tg_avro_encoder_expected(e, "wrong_type", "a number", index);
    if (type->kind == TG_AVRO_DOUBLE)
        tg_avro_write_double(e->out, value);
    else if ((value >= -FLT_MAX && value <= FLT_MAX) || !isfinite(value))
        tg_avro_write_float(e->out, (float)value);
    else
        return tg_avro_encoder_expected(e, "invalid_value", "a number within a 32-bit float",
                                        index);
    return TG_OK;
}

static tg_status_t encode_real(tg_avro_encoder_t *e, const tg_avro_type_t *type, size_t index)
{
    const tg_json_node_t *node = &e->nodes[index];
    if (type->kind != TG_AVRO_DOUBLE || node->type != TG_JSON_DOUBLE)
        return encode_any_real(e, type, index);
    tg_avro_write_double(e->out, node->value.real);
    return TG_OK;
}

COLD static tg_status_t refuse_nul(tg_avro_encoder_t *e)
{
    return tg_avro_encoder_refuse(e, "invalid_value", "text must not hold U+0000");
}

tg_status_t tg_avro_encoder_check_text(tg_avro_encoder_t *e, tg_str_t text)
{
    if ((e->flags & TG_AVRO_REFUSE_NUL) != 0 && tg_avro_has_nul(text))
        return refuse_nul(e);
    return TG_OK;
}

APART static bool is_uuid(tg_str_t text)
{
    tg_uuid_t uuid;
    return tg_uuid_parse(text, &uuid) == TG_OK;
}

static tg_status_t encode_string(tg_avro_encoder_t *e, const tg_avro_type_t *type, size_t index)
{
    const tg_json_node_t *node = &e->nodes[index];
    if (node->type != TG_JSON_STRING)
        return tg_avro_encoder_expected(e, "wrong_type", "a string", index);
    if (type->logical == TG_AVRO_UUID && !tg_avro_encoder_strict(e) && !is_uuid(node->value.text))
        return tg_avro_encoder_expected(e, "invalid_value", "a UUID", index);
    if ((e->flags & TG_AVRO_REFUSE_NUL) != 0 && tg_avro_has_nul(node->value.text))
        return refuse_nul(e);
    tg_avro_write_bytes(e->out, node->value.text);
    return TG_OK;
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

APART static tg_status_t encode_decimal(tg_avro_encoder_t *e, const tg_avro_type_t *type,
                                        size_t index)
{
    assert(type->logical == TG_AVRO_DECIMAL);
    const tg_json_node_t *node = &e->nodes[index];
    uint8_t bytes[TG_AVRO_DECIMAL_BYTES];
    char what[80];
    size_t len;
    snprintf(what, sizeof(what), "a decimal of at most %u digits, %u of them after the point",
             (unsigned)type->precision, (unsigned)type->scale);
    if (node->type != TG_JSON_STRING && !is_number(node))
        return tg_avro_encoder_expected(e, "wrong_type", what, index);
    if (decimal_bytes(type, node, bytes, &len) != TG_OK ||
        (type->kind == TG_AVRO_FIXED && len > type->size))
        return tg_avro_encoder_expected(e, "invalid_value", what, index);
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
static tg_status_t begin_bytes(tg_avro_encoder_t *e, const tg_avro_type_t *type, ptrdiff_t len)
{
    assert(len >= 0);
    if (type->kind == TG_AVRO_FIXED && len != (ptrdiff_t)type->size)
        return tg_avro_encoder_refuse(e, "invalid_value", "expected %u bytes, got %zd",
                                      (unsigned)type->size, len);
    if (type->kind == TG_AVRO_BYTES)
        tg_avro_write_long(e->out, len);
    return TG_OK;
}

/* Avro's own form: a code point for each byte. */
APART static tg_status_t encode_latin1(tg_avro_encoder_t *e, const tg_avro_type_t *type,
                                       size_t index)
{
    const tg_json_node_t *node = &e->nodes[index];
    static const char what[] = "a string of bytes (U+0000 to U+00FF)";
    if (node->type != TG_JSON_STRING)
        return tg_avro_encoder_expected(e, "wrong_type", what, index);
    ptrdiff_t len = tg_avro_latin1_len(node->value.text);
    if (len < 0)
        return tg_avro_encoder_expected(e, "invalid_value", what, index);
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

APART static tg_status_t encode_text_of_fixed(tg_avro_encoder_t *e, const tg_avro_type_t *type,
                                              size_t index)
{
    assert(type->kind == TG_AVRO_FIXED);
    const tg_json_node_t *node = &e->nodes[index];
    const char *what =
        type->logical == TG_AVRO_UUID ? "a UUID" : "a duration (ISO 8601, like P1M2DT3.004S)";
    tg_uuid_t bytes;
    if (node->type != TG_JSON_STRING)
        return tg_avro_encoder_expected(e, "wrong_type", what, index);
    if (logical_bytes(type, node->value.text, &bytes) != TG_OK)
        return tg_avro_encoder_expected(e, "invalid_value", what, index);
    tg_buf_append(e->out, bytes.bytes, type->size);
    return TG_OK;
}

APART static tg_status_t encode_bytes(tg_avro_encoder_t *e, const tg_avro_type_t *type,
                                      size_t index)
{
    const tg_json_node_t *node = &e->nodes[index];
    if (tg_avro_encoder_strict(e))
        return encode_latin1(e, type, index);
    if (type->logical == TG_AVRO_DECIMAL)
        return encode_decimal(e, type, index);
    if (type->logical != TG_AVRO_PLAIN)
        return encode_text_of_fixed(e, type, index);
    if (node->type != TG_JSON_STRING)
        return tg_avro_encoder_expected(e, "wrong_type", "bytes as base64", index);
    ptrdiff_t len = tg_avro_base64_len(node->value.text);
    if (len < 0)
        return tg_avro_encoder_expected(e, "invalid_value", "bytes as base64", index);
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

COLD static tg_status_t refuse_symbol(tg_avro_encoder_t *e, const tg_avro_type_t *type,
                                      size_t index)
{
    char what[128];
    list_symbols(type, what, sizeof(what));
    bool text = e->nodes[index].type == TG_JSON_STRING;
    return tg_avro_encoder_expected(e, text ? "invalid_value" : "wrong_type", what, index);
}

static tg_status_t encode_enum(tg_avro_encoder_t *e, const tg_avro_type_t *type, size_t index)
{
    const tg_json_node_t *node = &e->nodes[index];
    int symbol = node->type == TG_JSON_STRING ? tg_avro_type_find(type, node->value.text) : -1;
    if (symbol < 0)
        return refuse_symbol(e, type, index);
    tg_avro_write_long(e->out, symbol);
    return TG_OK;
}

tg_status_t tg_avro_encode_scalar(tg_avro_encoder_t *e, const tg_avro_type_t *type, size_t index)
{
    switch (type->kind) {
    case TG_AVRO_NULL:
        return encode_null(e, index);
    case TG_AVRO_BOOLEAN:
        return encode_boolean(e, index);
    case TG_AVRO_INT:
    case TG_AVRO_LONG:
        return encode_integer(e, type, index);
    case TG_AVRO_FLOAT:
    case TG_AVRO_DOUBLE:
        return encode_real(e, type, index);
    case TG_AVRO_STRING:
        return encode_string(e, type, index);
    case TG_AVRO_ENUM:
        return encode_enum(e, type, index);
    default:
        assert(type->kind == TG_AVRO_BYTES || type->kind == TG_AVRO_FIXED);
        return encode_bytes(e, type, index);
    }
}

/* --- which type a value is one of --- */

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
    return node->type == TG_JSON_STRING &&
           (type->logical != TG_AVRO_UUID || is_uuid(node->value.text));
}

bool tg_avro_scalar_fits(const tg_avro_type_t *type, const tg_json_node_t *node)
{
    switch (type->kind) {
    case TG_AVRO_NULL:
        return node->type == TG_JSON_NULL;
    case TG_AVRO_BOOLEAN:
        return node->type == TG_JSON_TRUE || node->type == TG_JSON_FALSE;
    case TG_AVRO_INT:
    case TG_AVRO_LONG:
        return fits_integer(type, node);
    case TG_AVRO_FLOAT:
        return is_number(node) && fabs(number_of(node)) <= FLT_MAX;
    case TG_AVRO_DOUBLE:
        return is_number(node);
    case TG_AVRO_STRING:
        return fits_string(type, node);
    case TG_AVRO_ENUM:
        return node->type == TG_JSON_STRING && tg_avro_type_find(type, node->value.text) >= 0;
    default:
        assert(type->kind == TG_AVRO_BYTES || type->kind == TG_AVRO_FIXED);
        return fits_bytes(type, node);
    }
}
