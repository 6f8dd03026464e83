/* A compressed body to its bytes: gzip (RFC 1952) and zstd (RFC 8878), also of several members or
 * frames one behind the other, as pigz and `cat a.gz b.gz` make them.
 *
 * Why caps on both size and ratio: the size bounds memory; the ratio ends a bomb long before that,
 * while it has cost little. Below TG_DECOMPRESS_FREE bytes the ratio says nothing, since a short
 * repetitive body compresses very well.
 *
 * Limits: the caller's bytes and ratio; a zstd window of 2^TG_DECOMPRESS_WINDOW_LOG bytes, which
 * RFC 8878 tells every decoder to take; TG_DECOMPRESS_MEMBERS_MAX members.
 * Threads: plain functions. The work is done in one go: 10 MiB take 15 to 40 ms. */
#ifndef TG_INGESTION_BODY_DECOMPRESS_H
#define TG_INGESTION_BODY_DECOMPRESS_H

#include "common/http/edge/coding.h"

#define TG_DECOMPRESS_FREE        ((size_t)1 << 20)
#define TG_DECOMPRESS_WINDOW_LOG  23
#define TG_DECOMPRESS_MEMBERS_MAX 10000

typedef struct tg_decompress_limits {
    size_t max_bytes;
    uint64_t max_ratio; /* bytes out per byte in */
} tg_decompress_limits_t;

/* Appends the content of `packed` to the empty `out`, whose own limit must exceed max_bytes. The
 * error is for the client: TG_INVALID it is truncated, corrupt, followed by something else or
 * wants a larger window; TG_TOO_LARGE beyond max_bytes or max_ratio; TG_NOMEM. */
TG_NODISCARD tg_status_t tg_decompress(tg_coding_t coding, tg_str_t packed,
                                       const tg_decompress_limits_t *limits, tg_buf_t *out,
                                       tg_error_t *error);

#endif
