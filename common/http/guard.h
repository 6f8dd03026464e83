/* Strictness that h2o 2.2.5 lacks: this program defines phr_parse_request and phr_decode_chunked,
 * which libh2o calls through the PLT, in the place of the library's own. Heads are split by
 * common/http/head.h; what is refused, there and here:
 *
 *   RFC 9112 section 2.2   bare LF; white space before the first field
 *            section 2.3   versions other than 1.0 and 1.1 (505)
 *            section 3     methods that are not known (501); a request line without end (414)
 *            section 3.2   targets that are not a path, or "*" of OPTIONS; none or several Hosts
 *            section 5     white space before a colon, obs-fold (5.2)
 *            section 6.1   codings other than one chunked; chunked from HTTP/1.0
 *            section 6.3   Content-Length with Transfer-Encoding, several or bad Content-Lengths
 *   RFC 9110 section 5.4   heads above TG_HTTP_HEAD_MAX or 100 fields (431)
 *            section 5.3   several values where there may be one: who asks, what the body is
 *            section 5.5   control characters in values
 *            section 10.1.1 other expectations than 100-continue (417)
 *
 * Bodies go through our own strict decoder (common/http/chunked.h; RFC 9112 section 7.1).
 *
 * A refused head is handed to h2o as a request with a method that no client can send, and the plain
 * part of its path, so that the server answers it in the error format of that path and closes the
 * connection. A 100-continue of an HTTP/1.0 client is left out.
 *
 * Threads: any. */
#ifndef TG_HTTP_GUARD_H
#define TG_HTTP_GUARD_H

#include "common/base/str.h"

#define TG_HTTP_HEAD_MAX  ((size_t)32 * 1024) /* bytes of request line and headers */
#define TG_GUARD_PATH_MAX 64 /* bytes of a refused head's path that are handed on */

/* Why a head was refused, for the answer. */
typedef struct tg_guard_refusal {
    int http_code;
    const char *code;
    const char *text;
} tg_guard_refusal_t;

/* Proves that libh2o runs through the guard, by asking the dynamic linker for the symbol that it
 * will call and by parsing a request that only the guard refuses. Called at each server start. */
TG_NODISCARD tg_status_t tg_http_guard_check(tg_error_t *error);

/* Requests refused so far, for the metric. */
uint64_t tg_http_guard_refused(void);

/* The reason if `method` is the one of a refused head (by its address), else NULL. *out_head is
 * then set: whether it was a HEAD, whose answer has no body. */
const tg_guard_refusal_t *tg_http_guard_refusal(const char *method, bool *out_head);

#endif
