/* Times go through common/base/time's RFC 3339; decimals through a byte array and schoolbook
 * arithmetic, since a precision may be larger than any machine integer. Both are off the hot path
 * except timestamps. */
#include "common/avro/logical.h"

#include "common/base/time.h"

#define US_PER_DAY_U ((uint64_t)TG_US_PER_DAY)
#define DAY_MIN      INT64_C(-719162) /* 0001-01-01 */
#define DAY_MAX      INT64_C(2932896) /* 9999-12-31 */
#define EXPONENT_MAX 2000
#define DIGITS_MAX   (TG_AVRO_PRECISION_MAX + 1)

/* --- times --- */

static int64_t unit_us(tg_avro_logical_t logical)
{
    switch (logical) {
    case TG_AVRO_DATE:
        return TG_US_PER_DAY;
    case TG_AVRO_TIME_MILLIS:
    case TG_AVRO_TIMESTAMP_MILLIS:
    case TG_AVRO_LOCAL_MILLIS:
        return TG_US_PER_MS;
    default:
        return 1;
    }
}

static bool in_nanos(tg_avro_logical_t logical)
{
    return logical == TG_AVRO_TIMESTAMP_NANOS || logical == TG_AVRO_LOCAL_NANOS;
}

static bool is_clock(tg_avro_logical_t logical)
{
    return logical == TG_AVRO_TIME_MILLIS || logical == TG_AVRO_TIME_MICROS;
}

static bool is_local(tg_avro_logical_t logical)
{
    return logical >= TG_AVRO_LOCAL_MILLIS && logical <= TG_AVRO_LOCAL_NANOS;
}

tg_status_t tg_avro_time_from_us(tg_avro_logical_t logical, int64_t us, int64_t *out_value)
{
    assert(out_value != NULL);
    if (in_nanos(logical))
        return __builtin_mul_overflow(us, INT64_C(1000), out_value) ? TG_INVALID : TG_OK;
    *out_value = tg_time_floor(us, unit_us(logical)) / unit_us(logical);
    return TG_OK;
}

tg_status_t tg_avro_time_to_us(tg_avro_logical_t logical, int64_t value, int64_t *out_us)
{
    assert(out_us != NULL);
    if (in_nanos(logical)) {
        *out_us = tg_time_floor(value, 1000) / 1000;
        return TG_OK;
    }
    return __builtin_mul_overflow(value, unit_us(logical), out_us) ? TG_INVALID : TG_OK;
}

static void append(char *text, size_t *len, tg_str_t part)
{
    memcpy(text + *len, part.ptr, part.len);
    *len += part.len;
}

/* All texts become one RFC 3339 text by what they lack: the day, the clock or the offset. */
tg_status_t tg_avro_time_from_text(tg_avro_logical_t logical, tg_str_t text, int64_t *out_value)
{
    assert(tg_avro_logical_is_time(logical));
    char full[64];
    int64_t us;
    size_t len = 0;
    if (text.len == 0 || text.len > 40)
        return TG_INVALID;
    if (is_clock(logical))
        append(full, &len, TG_STR("1970-01-01T"));
    append(full, &len, text);
    if (logical == TG_AVRO_DATE)
        append(full, &len, TG_STR("T00:00:00"));
    if (is_clock(logical) || is_local(logical) || logical == TG_AVRO_DATE)
        full[len++] = 'Z';
    if (tg_time_parse((tg_str_t){full, len}, &us) != TG_OK)
        return TG_INVALID;
    return tg_avro_time_from_us(logical, us, out_value);
}

tg_status_t tg_avro_time_write(tg_avro_logical_t logical, int64_t value, tg_buf_t *out)
{
    assert(tg_avro_logical_is_time(logical));
    char text[TG_TIME_TEXT_MAX];
    int64_t us;
    if (tg_avro_time_to_us(logical, value, &us) != TG_OK)
        return TG_INVALID;
    if (is_clock(logical) && (us < 0 || us >= TG_US_PER_DAY))
        return TG_INVALID;
    if (us < DAY_MIN * TG_US_PER_DAY || us >= (DAY_MAX + 1) * TG_US_PER_DAY)
        return TG_INVALID;
    size_t len = tg_time_format(us, text);
    size_t from = is_clock(logical) ? 11 : 0;
    size_t to = logical == TG_AVRO_DATE ? 10 : len;
    if (is_clock(logical) || is_local(logical))
        to--; /* the Z */
    char *at = tg_buf_reserve(out, TG_TIME_TEXT_MAX + 2);
    if (at == NULL)
        return TG_OK; /* the buffer remembers */
    at[0] = '"';
    memcpy(at + 1, text + from, to - from);
    at[to - from + 1] = '"';
    out->len += to - from + 2;
    return TG_OK;
}

const char *tg_avro_time_expectation(tg_avro_logical_t logical)
{
    if (logical == TG_AVRO_DATE)
        return "a date (2026-02-03) or days since 1970-01-01";
    if (is_clock(logical))
        return "a time of day (10:00:05.25) or its number";
    if (is_local(logical))
        return "a time without an offset (2026-02-03T10:00:05) or its number";
    return "a time (RFC 3339 text, or epoch seconds, ms or µs)";
}

/* --- decimals --- */

/* A number's digits without leading zeros, and how many of them stand behind the point. */
struct digits {
    bool negative;
    uint8_t digit[DIGITS_MAX];
    size_t count;
    long places;
};

static bool add_digit(struct digits *d, uint8_t digit)
{
    if (d->count == 0 && digit == 0)
        return true;
    if (d->count == DIGITS_MAX)
        return false;
    d->digit[d->count++] = digit;
    return true;
}

/* "e-12" as the rest of the text. */
static bool read_exponent(tg_str_t rest, long *out_exponent)
{
    int64_t value = 0;
    if (rest.len > 0 && rest.ptr[0] == '+')
        rest = (tg_str_t){rest.ptr + 1, rest.len - 1};
    if (tg_str_to_i64(rest, &value) != TG_OK || value < -EXPONENT_MAX || value > EXPONENT_MAX)
        return false;
    *out_exponent = (long)value;
    return true;
}

static bool read_digits(tg_str_t text, struct digits *d)
{
    bool point = false, any = false;
    size_t at = 0;
    if (text.len > 0 && text.ptr[0] == '-') {
        d->negative = true;
        at = 1;
    }
    for (; at < text.len; at++) {
        char c = text.ptr[at];
        long exponent = 0;
        if (c == '.' && !point) {
            point = true;
        } else if (c >= '0' && c <= '9') {
            any = true;
            if (!add_digit(d, (uint8_t)(c - '0')))
                return false;
            d->places += point;
        } else if (any && (c == 'e' || c == 'E') &&
                   read_exponent((tg_str_t){text.ptr + at + 1, text.len - at - 1}, &exponent)) {
            d->places -= exponent;
            return true;
        } else {
            return false;
        }
    }
    return any;
}

/* Brings the digits to `scale` places: appends zeros, or drops zeros only. */
static bool rescale(struct digits *d, long scale)
{
    assert(d->count <= DIGITS_MAX);
    while (d->places < scale && d->count > 0) {
        if (!add_digit(d, 0))
            return false;
        d->places++;
    }
    while (d->places > scale && d->count > 0) {
        if (d->digit[d->count - 1] != 0)
            return false;
        d->count--;
        d->places--;
    }
    return true;
}

static void negate(uint8_t *bytes, size_t len)
{
    unsigned carry = 1;
    for (size_t i = len; i > 0; i--) {
        unsigned sum = (unsigned)(uint8_t)~bytes[i - 1] + carry;
        bytes[i - 1] = (uint8_t)sum;
        carry = sum >> 8;
    }
}

tg_status_t tg_avro_decimal_from_text(const tg_avro_type_t *type, tg_str_t text, uint8_t *out,
                                      size_t *out_len)
{
    assert(type->logical == TG_AVRO_DECIMAL);
    struct digits d = {0};
    uint8_t number[TG_AVRO_DECIMAL_BYTES] = {0};
    if (!read_digits(text, &d) || !rescale(&d, (long)type->scale) || d.count > type->precision)
        return TG_INVALID;
    for (size_t i = 0; i < d.count; i++) {
        unsigned carry = d.digit[i];
        for (size_t at = sizeof(number); at > 0; at--) {
            carry += (unsigned)number[at - 1] * 10;
            number[at - 1] = (uint8_t)carry;
            carry >>= 8;
        }
        assert(carry == 0);
    }
    if (d.negative)
        negate(number, sizeof(number));
    /* Leading bytes that only repeat the sign are left out. */
    size_t start = 0;
    while (start + 1 < sizeof(number) && ((number[start] == 0 && number[start + 1] < 0x80) ||
                                          (number[start] == 0xff && number[start + 1] >= 0x80)))
        start++;
    *out_len = sizeof(number) - start;
    memcpy(out, number + start, *out_len);
    return TG_OK;
}

/* Divides in place by ten; returns the remainder. */
static unsigned divide(uint8_t *bytes, size_t len)
{
    unsigned rest = 0;
    for (size_t i = 0; i < len; i++) {
        rest = rest << 8 | bytes[i];
        bytes[i] = (uint8_t)(rest / 10);
        rest %= 10;
    }
    return rest;
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

tg_status_t tg_avro_decimal_write(const tg_avro_type_t *type, tg_str_t bytes, tg_buf_t *out)
{
    assert(type->logical == TG_AVRO_DECIMAL);
    uint8_t number[TG_AVRO_DECIMAL_BYTES];
    char text[DIGITS_MAX + 4];
    size_t len = bytes.len, at = sizeof(text), digits = 0;
    const uint8_t *from = (const uint8_t *)bytes.ptr;
    bool negative = len > 0 && from[0] >= 0x80;
    while (len > 1 && from[0] == (negative ? 0xff : 0)) { /* fixed types pad with the sign */
        from++;
        len--;
    }
    if (len >= sizeof(number))
        return TG_INVALID;
    number[0] = negative ? 0xff : 0; /* keeps the sign of what was stripped */
    if (len > 0)
        memcpy(number + 1, from, len);
    len++;
    if (negative)
        negate(number, len);
    do {
        if (digits > type->precision)
            return TG_INVALID;
        text[--at] = (char)('0' + divide(number, len));
        if (++digits == type->scale)
            text[--at] = '.';
    } while (digits <= type->scale || !is_zero(number, len));
    if (digits > type->precision + (type->scale == type->precision ? 1 : 0))
        return TG_INVALID;
    if (negative)
        text[--at] = '-';
    tg_buf_append(out, text + at, sizeof(text) - at);
    return TG_OK;
}
