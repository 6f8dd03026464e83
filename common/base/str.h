/* Text and bytes: a borrowed view (tg_str_t) and a growing buffer with a hard limit (tg_buf_t).
 *
 * A view never owns, never ends in NUL and may hold any byte. A buffer grows by doubling up to its
 * limit and remembers that it overflowed instead of failing each call: write everything, then look
 * at `failed` once.
 *
 * Threads: values of one thread. */
#ifndef TG_STR_H
#define TG_STR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/base/status.h"

typedef struct tg_str {
    const char *ptr; /* NULL only when len is 0 */
    size_t len;      /* bytes */
} tg_str_t;

#define TG_STR(literal) ((tg_str_t){(literal), sizeof(literal) - 1})
#define TG_STR_FMT      "%.*s"
#define TG_STR_ARG(s)   (int)(s).len, ((s).ptr != NULL ? (s).ptr : "")

static inline tg_str_t tg_str_from(const char *text)
{
    return (tg_str_t){text, text == NULL ? 0 : strlen(text)};
}

static inline bool tg_str_eq(tg_str_t a, tg_str_t b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Bytewise order, shorter first on a common prefix: the same as collation "C". */
static inline int tg_str_cmp(tg_str_t a, tg_str_t b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* Decimal text to a number; TG_INVALID on any other byte, sign trouble or overflow. */
TG_NODISCARD tg_status_t tg_str_to_u64(tg_str_t text, uint64_t *out_value);
TG_NODISCARD tg_status_t tg_str_to_i64(tg_str_t text, int64_t *out_value);

/* Writes the digits, at most TG_U64_DIGITS of them and no NUL; returns where they end. */
#define TG_U64_DIGITS 20
char *tg_str_put_u64(char *at, uint64_t value);

/* Whether the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool tg_str_is_utf8(tg_str_t text);

typedef struct tg_buf {
    char *data;  /* owned; NULL while empty */
    size_t len;  /* bytes in use */
    size_t cap;  /* bytes allocated */
    size_t max;  /* never grows beyond this many bytes */
    bool failed; /* something did not fit or memory ran out; the content is then incomplete */
} tg_buf_t;

/* An empty buffer that may grow to `max` bytes. Allocates nothing yet. */
static inline tg_buf_t tg_buf_make(size_t max)
{
    return (tg_buf_t){.max = max};
}

/* Frees the bytes and leaves an empty buffer with the same limit. */
void tg_buf_dispose(tg_buf_t *buf);

/* Empties the buffer and forgives an earlier failure; keeps the memory. */
static inline void tg_buf_clear(tg_buf_t *buf)
{
    buf->len = 0;
    buf->failed = false;
}

/* Room for `n` more bytes: their start, or NULL (and `failed`) beyond the limit. The caller writes
 * there and adds to `len`. */
char *tg_buf_reserve(tg_buf_t *buf, size_t n);

void tg_buf_append(tg_buf_t *buf, const void *bytes, size_t n);
void tg_buf_printf(tg_buf_t *buf, const char *format, ...) TG_PRINTF(2, 3);

static inline void tg_buf_str(tg_buf_t *buf, tg_str_t text)
{
    tg_buf_append(buf, text.ptr, text.len);
}

static inline void tg_buf_byte(tg_buf_t *buf, char byte)
{
    if (buf->len < buf->cap && !buf->failed)
        buf->data[buf->len++] = byte;
    else
        tg_buf_append(buf, &byte, 1);
}

/* Appends `text` as a JSON string with its quotes (RFC 8259 section 7). Bytes that are not UTF-8
 * become U+FFFD, so that the output is valid JSON whatever comes in. */
void tg_buf_json_string(tg_buf_t *buf, tg_str_t text);

/* Appends a finite double as the shortest JSON number that reads back the same; others as null. */
void tg_buf_json_double(tg_buf_t *buf, double value);

/* Appends a decimal integer; the hot path's printf("%lld"). */
void tg_buf_i64(tg_buf_t *buf, int64_t value);

static inline tg_str_t tg_buf_view(const tg_buf_t *buf)
{
    return (tg_str_t){buf->data, buf->len};
}

#endif
