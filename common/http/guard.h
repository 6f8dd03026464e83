/* Strictness that h2o 2.2.5 lacks: this program defines phr_parse_request and phr_decode_chunked,
 * which libh2o calls through the PLT, calls the real parser of heads (dlsym RTLD_NEXT), and refuses
 * by RFC 9112 what it accepted: Content-Length together with Transfer-Encoding, several or bad
 * Content-Lengths, codings other than chunked, obs-fold, bare LF, none or several Host headers,
 * white space before a colon, bad targets, heads above TG_HTTP_HEAD_MAX. Bodies go through our own
 * strict decoder (common/http/chunked.h).
 *
 * A refused head is handed to h2o as a request with a method that no client can send, so that the
 * server answers it in our own error format and closes the connection.
 *
 * Threads: any. */
#ifndef TG_HTTP_GUARD_H
#define TG_HTTP_GUARD_H

#include "common/base/str.h"

#define TG_HTTP_HEAD_MAX ((size_t)32 * 1024) /* bytes of request line and headers */

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

/* The reason if `method` is the one of a refused head (by its address), else NULL; `path` is what
 * the parser gave with it. */
const tg_guard_refusal_t *tg_http_guard_refusal(const char *method, const char *path);

#endif
