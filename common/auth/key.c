/* See key.h. The checksum is CRC-32 (IEEE 802.3, reflected), which is zlib's. */
#include "common/auth/key.h"

#include <zlib.h>

#define ID_AT       3
#define SECRET_AT   (ID_AT + TG_KEY_ID_LEN + 1)
#define CHECKSUM_AT (SECRET_AT + TG_KEY_SECRET_LEN)

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
#define BASE 62U

_Static_assert(sizeof(TG_KEY_PREFIX) - 1 == ID_AT, "the prefix ends where the id begins");
_Static_assert(sizeof(digits) - 1 == BASE, "base62 has 62 digits");
_Static_assert(CHECKSUM_AT + TG_KEY_CHECKSUM_LEN == TG_KEY_LEN, "the parts add up");

/* No branch for a character: with random ones each would be mispredicted. And all in bytes, of
 * which the compiler looks at sixteen at a time. */
static unsigned char is_in(char c, char first, char last)
{
    return (unsigned char)(c - first) <= (unsigned char)(last - first);
}

static bool all_digits62(const char *text, size_t len)
{
    unsigned char good = 1;
    for (size_t i = 0; i < len; i++)
        good &= (unsigned char)(is_in(text[i], '0', '9') | is_in(text[i], 'A', 'Z') |
                                is_in(text[i], 'a', 'z'));
    return good != 0;
}

/* 62^6 > 2^32, so six digits always hold a CRC-32. */
static void write_checksum(const char *text, char out[TG_KEY_CHECKSUM_LEN])
{
    uint32_t crc = (uint32_t)crc32(0, (const Bytef *)text, CHECKSUM_AT);
    for (size_t i = TG_KEY_CHECKSUM_LEN; i > 0; i--) {
        out[i - 1] = digits[crc % BASE];
        crc /= BASE;
    }
    assert(crc == 0);
}

/* Bytes of 248 and above are drawn again: 248 is a multiple of 62, so each digit is equally likely.
 */
static void write_random(char *out, size_t len)
{
    uint8_t pool[64];
    size_t used = sizeof(pool);

    for (size_t i = 0; i < len;) {
        if (used == sizeof(pool)) {
            tg_hash_random(pool, sizeof(pool));
            used = 0;
        }
        uint8_t byte = pool[used++];
        if (byte < 4 * BASE)
            out[i++] = digits[byte % BASE];
    }
    explicit_bzero(pool, sizeof(pool));
}

static void fill_key(const char *text, tg_key_t *out_key)
{
    memcpy(out_key->id, text + ID_AT, TG_KEY_ID_LEN);
    out_key->id[TG_KEY_ID_LEN] = '\0';
    tg_hash_sha256((tg_str_t){text, TG_KEY_LEN}, out_key->sha256);
}

void tg_key_generate(char out_text[TG_KEY_LEN + 1], tg_key_t *out_key)
{
    assert(out_text != NULL);
    assert(out_key != NULL);

    memcpy(out_text, TG_KEY_PREFIX, ID_AT);
    write_random(out_text + ID_AT, TG_KEY_ID_LEN);
    out_text[SECRET_AT - 1] = '_';
    write_random(out_text + SECRET_AT, TG_KEY_SECRET_LEN);
    write_checksum(out_text, out_text + CHECKSUM_AT);
    out_text[TG_KEY_LEN] = '\0';
    fill_key(out_text, out_key);
}

tg_status_t tg_key_parse(tg_str_t text, tg_key_t *out_key)
{
    assert(out_key != NULL);
    char checksum[TG_KEY_CHECKSUM_LEN];

    if (text.len != TG_KEY_LEN || memcmp(text.ptr, TG_KEY_PREFIX, ID_AT) != 0 ||
        text.ptr[SECRET_AT - 1] != '_')
        return TG_INVALID;
    if (!all_digits62(text.ptr + ID_AT, TG_KEY_ID_LEN) ||
        !all_digits62(text.ptr + SECRET_AT, TG_KEY_LEN - SECRET_AT))
        return TG_INVALID;
    write_checksum(text.ptr, checksum);
    if (memcmp(checksum, text.ptr + CHECKSUM_AT, sizeof(checksum)) != 0)
        return TG_INVALID;
    fill_key(text.ptr, out_key);
    return TG_OK;
}

bool tg_key_id_ok(tg_str_t id)
{
    return id.len == TG_KEY_ID_LEN && all_digits62(id.ptr, id.len);
}
