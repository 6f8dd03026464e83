/* API keys as text: tg_<12 id>_<32 secret><6 checksum>, all base62.
 *
 * Why this form: the prefix lets secret scanners find a leaked key, the id finds the stored row
 * without the secret, and the checksum (CRC-32 of all before it) tells a typing mistake from a
 * guess before anything is looked up. The checksum is no defence: 190 random bits in the secret
 * are. What is stored is the id and the SHA-256 of the whole text; comparing them in constant time
 * is the caller's work (tg_hash_equal_ct).
 *
 * Threads: any. */
#ifndef TG_KEY_H
#define TG_KEY_H

#include "common/base/hash.h"

#define TG_KEY_PREFIX       "tg_"
#define TG_KEY_ID_LEN       12
#define TG_KEY_SECRET_LEN   32
#define TG_KEY_CHECKSUM_LEN 6
#define TG_KEY_LEN          (3 + TG_KEY_ID_LEN + 1 + TG_KEY_SECRET_LEN + TG_KEY_CHECKSUM_LEN)

/* A well-formed key's id, and the digest that the database holds. */
typedef struct tg_key {
    char id[TG_KEY_ID_LEN + 1]; /* NUL-terminated */
    uint8_t sha256[TG_SHA256_LEN];
} tg_key_t;

/* Writes a new key from the kernel's random source and its NUL. The caller wipes `out_text`. */
void tg_key_generate(char out_text[TG_KEY_LEN + 1], tg_key_t *out_key);

/* TG_INVALID unless the text has exactly this form and a right checksum. */
TG_NODISCARD tg_status_t tg_key_parse(tg_str_t text, tg_key_t *out_key);

/* Whether the bytes have the form of a key's id alone. */
bool tg_key_id_ok(tg_str_t id);

#endif
