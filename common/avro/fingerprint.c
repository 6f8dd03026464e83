/* CRC-64-AVRO bit by bit: a form is a few kilobytes and is hashed once for each registration, so a
 * table of 2 KiB would only cost cache. MD5 by OpenSSL's low-level calls, as in hash.c. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "common/avro/fingerprint.h"

#include <stdlib.h>

#include <openssl/md5.h>

#define CRC_EMPTY UINT64_C(0xc15d213aa4d7a795)

_Static_assert(TG_MD5_LEN == MD5_DIGEST_LENGTH, "16 bytes");

uint64_t tg_avro_fingerprint(tg_str_t canonical)
{
    uint64_t crc = CRC_EMPTY;
    for (size_t i = 0; i < canonical.len; i++) {
        crc ^= (uint8_t)canonical.ptr[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (CRC_EMPTY & (0 - (crc & 1)));
    }
    return crc;
}

void tg_avro_fingerprint_md5(tg_str_t canonical, uint8_t out[TG_MD5_LEN])
{
    assert(canonical.ptr != NULL || canonical.len == 0);
    MD5_CTX context;
    int ok = MD5_Init(&context);
    ok &= MD5_Update(&context, canonical.ptr, canonical.len);
    ok &= MD5_Final(out, &context);
    if (ok != 1)
        abort(); /* these cannot fail with valid pointers */
}

void tg_avro_fingerprint_sha256(tg_str_t canonical, uint8_t out[TG_SHA256_LEN])
{
    tg_hash_sha256(canonical, out);
}
