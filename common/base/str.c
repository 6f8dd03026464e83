/* Growing buffers, number text, UTF-8 and JSON text.
 *
 * JSON strings are written in runs: bytes that need nothing are found eight at a time and copied
 * together. Doubles first try to be integers or decimals of up to six places, which is what amounts
 * and counts are; only the rest goes through printf. */
#include "common/base/str.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TG_BUF_CAP_MIN  64
#define TG_I64_TEXT_MAX 20 /* "-9223372036854775808" */
#define DECIMAL_SCALE   1000000
#define DECIMAL_PLACES  6
#define DECIMAL_LARGEST 1e9  /* times the scale: 15 digits, which a double holds exactly */
#define INTEGER_LARGEST 1e15 /* ditto */

tg_status_t tg_str_to_u64(tg_str_t text, uint64_t *out_value)
{
    assert(out_value != NULL);
    if (text.len == 0)
        return TG_INVALID;
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(uint8_t)text.ptr[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, digit, &value))
            return TG_INVALID;
    }
    *out_value = value;
    return TG_OK;
}

tg_status_t tg_str_to_i64(tg_str_t text, int64_t *out_value)
{
    assert(out_value != NULL);
    bool negative = text.len > 0 && text.ptr[0] == '-';
    tg_str_t digits = negative ? (tg_str_t){text.ptr + 1, text.len - 1} : text;
    uint64_t magnitude = 0;
    if (tg_str_to_u64(digits, &magnitude) != TG_OK ||
        magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return TG_INVALID;
    *out_value = (int64_t)(negative ? 0 - magnitude : magnitude);
    return TG_OK;
}

static inline bool is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Length of the well-formed sequence that starts with a byte >= 0x80, or 0. The second byte's range
 * depends on the first (RFC 3629, section 4): that excludes overlong forms, surrogates and what is
 * beyond U+10FFFF. */
static size_t utf8_sequence(const uint8_t *at, size_t left)
{
    uint8_t lead = at[0];
    size_t len = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (len == 0 || len > left)
        return 0;
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if (!is_continuation(at[i]))
            return 0;
    }
    return len;
}

static inline uint64_t load_word(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

#define EACH_BYTE(b) (UINT64_C(0x0101010101010101) * (b))

bool tg_str_is_utf8(tg_str_t text)
{
    const uint8_t *at = (const uint8_t *)text.ptr;
    size_t left = text.len;
    while (left > 0) {
        size_t step = 1;
        if (left >= 8 && (load_word(at) & EACH_BYTE(0x80)) == 0)
            step = 8;
        else if (at[0] >= 0x80)
            step = utf8_sequence(at, left);
        if (step == 0)
            return false;
        at += step;
        left -= step;
    }
    return true;
}

void tg_buf_dispose(tg_buf_t *buf)
{
    if (buf == NULL)
        return;
    free(buf->data);
    *buf = tg_buf_make(buf->max);
}

/* Makes room for `need` bytes in all, need <= max. */
static bool grow(tg_buf_t *buf, size_t need)
{
    size_t cap = buf->cap < TG_BUF_CAP_MIN ? TG_BUF_CAP_MIN : buf->cap;
    while (cap < need && cap <= SIZE_MAX / 2)
        cap *= 2;
    if (cap < need || cap > buf->max)
        cap = buf->max;
    assert(cap >= need);
    char *data = realloc(buf->data, cap);
    if (data == NULL)
        return false;
    buf->data = data;
    buf->cap = cap;
    return true;
}

char *tg_buf_reserve(tg_buf_t *buf, size_t n)
{
    assert(buf != NULL);
    assert(buf->len <= buf->cap);
    if (buf->failed)
        return NULL;
    if (n <= buf->cap - buf->len && buf->data != NULL)
        return buf->data + buf->len;
    if (buf->max == 0 || n > buf->max - buf->len || !grow(buf, buf->len + n)) {
        buf->failed = true;
        return NULL;
    }
    return buf->data + buf->len;
}

void tg_buf_append(tg_buf_t *buf, const void *bytes, size_t n)
{
    assert(bytes != NULL || n == 0);
    if (n == 0)
        return;
    char *to = tg_buf_reserve(buf, n);
    if (to == NULL)
        return;
    memcpy(to, bytes, n);
    buf->len += n;
}

void tg_buf_printf(tg_buf_t *buf, const char *format, ...)
{
    assert(format != NULL);
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    char small[256];
    int n = vsnprintf(small, sizeof(small), format, args);
    assert(n >= 0);
    if ((size_t)n < sizeof(small)) {
        tg_buf_append(buf, small, (size_t)n);
    } else {
        char *to = tg_buf_reserve(buf, (size_t)n + 1); /* its NUL is not counted in len */
        if (to != NULL)
            buf->len += (size_t)vsnprintf(to, (size_t)n + 1, format, again);
    }
    va_end(again);
    va_end(args);
}

/* Whether any byte of the word is a control character, a quote, a backslash or not ASCII. The
 * subtraction sets a byte's high bit when it was below the subtrahend; a borrow can only give a
 * false alarm, which the bytewise scan settles. */
static inline bool word_needs_care(uint64_t word)
{
    uint64_t quote = word ^ EACH_BYTE('"'), backslash = word ^ EACH_BYTE('\\');
    uint64_t care =
        word | (word - EACH_BYTE(0x20)) | (quote - EACH_BYTE(1)) | (backslash - EACH_BYTE(1));
    return (care & EACH_BYTE(0x80)) != 0;
}

/* Bytes from `at` that may stand in a JSON string as they are. */
static size_t plain_run(const uint8_t *at, size_t left)
{
    size_t n = 0;
    while (n < left) {
        if (left - n >= 8 && !word_needs_care(load_word(at + n))) {
            n += 8;
            continue;
        }
        uint8_t byte = at[n];
        if (byte < 0x20 || byte == '"' || byte == '\\')
            break;
        size_t step = byte < 0x80 ? 1 : utf8_sequence(at + n, left - n);
        if (step == 0)
            break;
        n += step;
    }
    return n;
}

/* Whether all of it may stand as it is: most texts, settled in words that overlap at the end. */
static inline bool all_plain(const uint8_t *at, size_t len)
{
    if (len < 8)
        return plain_run(at, len) == len;
    for (size_t i = 0; i + 8 < len; i += 8) {
        if (word_needs_care(load_word(at + i)))
            return false;
    }
    return !word_needs_care(load_word(at + len - 8));
}

/* One byte that cannot stand as it is: an escape, or U+FFFD for what is not UTF-8. */
static void append_escape(tg_buf_t *buf, uint8_t byte)
{
    static const char letters[0x20] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    static const char hex[] = "0123456789abcdef";
    if (byte >= 0x80) {
        tg_buf_append(buf, "\xef\xbf\xbd", 3);
    } else if (byte == '"' || byte == '\\') {
        tg_buf_append(buf, (char[]){'\\', (char)byte}, 2);
    } else if (letters[byte] != 0) {
        tg_buf_append(buf, (char[]){'\\', letters[byte]}, 2);
    } else {
        tg_buf_append(buf, (char[]){'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]}, 6);
    }
}

void tg_buf_json_string(tg_buf_t *buf, tg_str_t text)
{
    assert(text.ptr != NULL || text.len == 0);
    const uint8_t *at = (const uint8_t *)text.ptr;
    size_t left = text.len;
    char *to = tg_buf_reserve(buf, text.len + 2);
    if (to == NULL)
        return;
    if (left > 0 && all_plain(at, left)) {
        *to = '"';
        memcpy(to + 1, at, left);
        to[left + 1] = '"';
        buf->len += left + 2;
        return;
    }
    tg_buf_byte(buf, '"');
    while (left > 0 && !buf->failed) {
        size_t run = plain_run(at, left);
        tg_buf_append(buf, at, run);
        at += run;
        left -= run;
        if (left > 0) {
            append_escape(buf, *at);
            at++;
            left--;
        }
    }
    tg_buf_byte(buf, '"');
}

/* Writes the digits so that they end at `end`; returns where they start. */
static char *put_u64(char *end, uint64_t value)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    for (; value >= 100; value /= 100) {
        *--end = pairs[2 * (value % 100) + 1];
        *--end = pairs[2 * (value % 100)];
    }
    if (value >= 10) {
        *--end = pairs[2 * value + 1];
        *--end = pairs[2 * value];
    } else {
        *--end = (char)('0' + value);
    }
    return end;
}

char *tg_str_put_u64(char *at, uint64_t value)
{
    size_t len = 1;
    for (uint64_t rest = value; rest >= 10; rest /= 10)
        len++;
    (void)put_u64(at + len, value);
    return at + len;
}

void tg_buf_i64(tg_buf_t *buf, int64_t value)
{
    char text[TG_I64_TEXT_MAX];
    char *end = text + sizeof(text);
    char *start = put_u64(end, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    if (value < 0)
        *--start = '-';
    assert(start >= text);
    tg_buf_append(buf, start, (size_t)(end - start));
}

/* `scaled` millionths, without trailing zeros; scaled is positive and no whole number. */
static void append_decimal(tg_buf_t *buf, bool negative, uint64_t scaled)
{
    char text[TG_I64_TEXT_MAX + 2];
    char *end = text + sizeof(text), *at = end;
    uint64_t fraction = scaled % DECIMAL_SCALE;
    assert(fraction != 0);
    for (int place = 0; place < DECIMAL_PLACES; place++) {
        *--at = (char)('0' + fraction % 10);
        fraction /= 10;
    }
    while (end[-1] == '0')
        end--;
    *--at = '.';
    at = put_u64(at, scaled / DECIMAL_SCALE);
    if (negative)
        *--at = '-';
    tg_buf_append(buf, at, (size_t)(end - at));
}

/* The general case: the first precision that reads back the same. 17 digits always do. */
static void append_shortest(tg_buf_t *buf, double value)
{
    char text[40];
    int n = 0;
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(text, sizeof(text), "%.*g", digits, value);
        assert(n > 0);
        if (strtod(text, NULL) == value)
            break;
    }
    tg_buf_append(buf, text, (size_t)n);
}

void tg_buf_json_double(tg_buf_t *buf, double value)
{
    if (!isfinite(value)) {
        tg_buf_append(buf, "null", 4);
        return;
    }
    double magnitude = fabs(value);
    bool negative = signbit(value) != 0;
    if (magnitude < INTEGER_LARGEST && magnitude == (double)(uint64_t)magnitude) {
        if (negative && magnitude == 0)
            tg_buf_append(buf, "-0", 2);
        else
            tg_buf_i64(buf, (int64_t)value);
        return;
    }
    if (magnitude < DECIMAL_LARGEST) {
        /* At most 15 digits: dividing an exact integer by an exact power of ten rounds as reading
         * the decimal text does, so equality here proves the round trip. */
        uint64_t scaled = (uint64_t)(magnitude * DECIMAL_SCALE + 0.5);
        if (scaled % DECIMAL_SCALE != 0 && (double)scaled / DECIMAL_SCALE == magnitude) {
            append_decimal(buf, negative, scaled);
            return;
        }
    }
    append_shortest(buf, value);
}
