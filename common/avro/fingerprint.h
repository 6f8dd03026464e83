/* Fingerprints of a schema's parsing canonical form (canonical.h), by the three algorithms that
 * Avro names.
 *
 * Threads: any. */
#ifndef TG_AVRO_FINGERPRINT_H
#define TG_AVRO_FINGERPRINT_H

#include "common/base/hash.h"

#define TG_MD5_LEN 16

/* CRC-64-AVRO, the Rabin fingerprint. Avro's single-object header holds it little-endian. */
uint64_t tg_avro_fingerprint(tg_str_t canonical);

void tg_avro_fingerprint_md5(tg_str_t canonical, uint8_t out[TG_MD5_LEN]);
void tg_avro_fingerprint_sha256(tg_str_t canonical, uint8_t out[TG_SHA256_LEN]);

#endif
