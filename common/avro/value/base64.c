/* Four letters for three bytes. A table from letter to value settles what is allowed; the length
 * and the bits that padding leaves over are checked on top. */
#include "common/avro/value/base64.h"

#include <assert.h>

#define BAD 0x40

static const char letters[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static unsigned value_of(char letter)
{
    if (letter >= 'A' && letter <= 'Z')
        return (unsigned)(letter - 'A');
    if (letter >= 'a' && letter <= 'z')
        return (unsigned)(letter - 'a') + 26;
    if (letter >= '0' && letter <= '9')
        return (unsigned)(letter - '0') + 52;
    return letter == '+' ? 62 : letter == '/' ? 63 : BAD;
}

static size_t padding_of(tg_str_t text)
{
    assert(text.len >= 4);
    size_t padding = text.ptr[text.len - 1] == '=' ? 1 : 0;
    return padding == 1 && text.ptr[text.len - 2] == '=' ? 2 : padding;
}

void tg_avro_base64_write(tg_str_t bytes, tg_buf_t *out)
{
    assert(out != NULL);
    const uint8_t *from = (const uint8_t *)bytes.ptr;
    char *to = tg_buf_reserve(out, (bytes.len + 2) / 3 * 4 + 2);
    if (to == NULL)
        return;
    char *start = to;
    *to++ = '"';
    size_t left = bytes.len;
    for (; left >= 3; left -= 3, from += 3) {
        uint32_t word = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];
        for (unsigned shift = 24; shift > 0; shift -= 6)
            *to++ = letters[word >> (shift - 6) & 63];
    }
    if (left > 0) {
        uint32_t word = (uint32_t)from[0] << 16 | (left == 2 ? (uint32_t)from[1] << 8 : 0);
        *to++ = letters[word >> 18 & 63];
        *to++ = letters[word >> 12 & 63];
        *to++ = left == 2 ? letters[word >> 6 & 63] : '=';
        *to++ = '=';
    }
    *to++ = '"';
    out->len += (size_t)(to - start);
}

ptrdiff_t tg_avro_base64_len(tg_str_t text)
{
    if (text.len % 4 != 0)
        return -1;
    if (text.len == 0)
        return 0;
    size_t padding = padding_of(text), count = text.len - padding;
    unsigned all = 0;
    for (size_t i = 0; i < count; i++)
        all |= value_of(text.ptr[i]);
    unsigned last = value_of(text.ptr[count - 1]);
    if (all >= BAD || (padding > 0 && (last & ((1u << 2 * padding) - 1)) != 0))
        return -1;
    return (ptrdiff_t)(text.len / 4 * 3 - padding);
}

void tg_avro_base64_read(tg_str_t text, tg_buf_t *out)
{
    assert(text.len % 4 == 0);
    char *to = tg_buf_reserve(out, text.len / 4 * 3);
    if (to == NULL || text.len == 0)
        return;
    for (size_t i = 0; i < text.len; i += 4, to += 3) {
        uint32_t word = 0;
        for (size_t j = 0; j < 4; j++)
            word = word << 6 | (value_of(text.ptr[i + j]) & 63); /* padding counts as nothing */
        to[0] = (char)(word >> 16);
        to[1] = (char)(word >> 8);
        to[2] = (char)word;
    }
    out->len += text.len / 4 * 3 - padding_of(text);
}
