/* Strict decoder of the chunked transfer coding (RFC 9112 section 7.1), in place, in pieces.
 *
 * Why our own: the one in libh2o 2.2.5 takes bare LF, any bytes behind the size and trailers
 * without end; each of them is a way to make two servers disagree on where a request ends.
 * Extensions and trailers are checked and dropped.
 *
 * Limits: 15 hex digits of a chunk's size, 1 KiB of one extension, 8 KiB of trailers.
 * Threads: values of one thread. */
#ifndef TG_HTTP_CHUNKED_H
#define TG_HTTP_CHUNKED_H

#include "common/base/str.h"

#include <sys/types.h>

#define TG_CHUNKED_DIGITS_MAX    15
#define TG_CHUNKED_EXTENSION_MAX 1024
#define TG_CHUNKED_TRAILER_MAX   8192

/* Zeroed before the first piece. Has the size of libh2o's decoder, whose place it takes. */
typedef struct tg_chunked {
    size_t left;    /* bytes of the chunk still to come; in a size: its value so far */
    char unused;    /* libh2o's consume_trailer: trailers are always consumed */
    uint8_t digits; /* of the size so far */
    uint8_t state;
    uint8_t named;    /* the trailer line has had its colon */
    uint32_t counted; /* bytes of the extension or of the trailers so far */
} tg_chunked_t;

enum { TG_CHUNKED_MORE = -2, TG_CHUNKED_BAD = -1 };

/* Moves the data to the front of `buf` and its length to *inout_len. TG_CHUNKED_MORE: the next
 * piece is needed; TG_CHUNKED_BAD: refuse the message; otherwise the body has ended and that many
 * bytes that are not part of it stand behind the data. */
ssize_t tg_chunked_decode(tg_chunked_t *decoder, char *buf, size_t *inout_len);

#endif
