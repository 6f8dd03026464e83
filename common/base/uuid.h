/* UUIDs (RFC 9562): parse and format, version 5 from text, version 7 from the clock.
 *
 * Threads: any; version 7 keeps its counter per thread. */
#ifndef TG_UUID_H
#define TG_UUID_H

#include "common/base/str.h"

#define TG_UUID_TEXT_LEN 36

typedef struct tg_uuid {
    uint8_t bytes[16]; /* network order */
} tg_uuid_t;

/* The 8-4-4-4-12 form, either case, any version. TG_INVALID otherwise. */
TG_NODISCARD tg_status_t tg_uuid_parse(tg_str_t text, tg_uuid_t *out_uuid);

/* Writes 36 lower-case characters, no NUL. */
void tg_uuid_format(const tg_uuid_t *uuid, char out[TG_UUID_TEXT_LEN]);

/* Version 5: SHA-1 of the namespace and the concatenated parts, hashed without copying them. */
void tg_uuid_v5(const tg_uuid_t *space, const tg_str_t *parts, size_t part_count,
                tg_uuid_t *out_uuid);

/* Version 7: `unix_ms` and 74 random bits, increasing within a thread's millisecond. */
void tg_uuid_v7(int64_t unix_ms, tg_uuid_t *out_uuid);

#endif
