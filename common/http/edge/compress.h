/* Bytes to gzip (RFC 1952) or zstd (RFC 8878), in steps of the caller's choosing, one body after
 * the other.
 *
 * Made for answers on an event loop: the fastest level of each, because a loop that compresses does
 * nothing else meanwhile; a step is bounded by the bytes that it reads, so that a large body can be
 * spread over turns of the loop. A body that does not get smaller is given up.
 *
 * Limits: one body at a time; some 270 KiB of memory for gzip and 800 KiB for zstd, made when first
 * needed and kept; a zstd window of 128 KiB.
 * Threads: of one thread. */
#ifndef TG_EDGE_COMPRESS_H
#define TG_EDGE_COMPRESS_H

#include "common/http/edge/coding.h"

typedef struct tg_compressor tg_compressor_t;

/* NULL when out of memory. */
tg_compressor_t *tg_compressor_create(void);
void tg_compressor_destroy(tg_compressor_t *compressor);

/* Begins a body: borrows `content` until the last step. `coding` is not identity. TG_NOMEM. */
TG_NODISCARD tg_status_t tg_compress_start(tg_compressor_t *compressor, tg_coding_t coding,
                                           tg_str_t content);

typedef enum tg_compress_step {
    TG_COMPRESS_MORE, /* step on */
    TG_COMPRESS_DONE, /* the output is whole */
    TG_COMPRESS_VAIN, /* it would not be smaller than the content, or memory has run out */
} tg_compress_step_t;

/* Reads at most `bytes` (> 0) of the content, and writes to `out`, which holds as many bytes as the
 * content has: *inout_len grows. */
tg_compress_step_t tg_compress_step(tg_compressor_t *compressor, size_t bytes, char *out,
                                    size_t *inout_len);

#endif
