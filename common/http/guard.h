/* Strictness that h2o 2.2.5 lacks: this program defines phr_parse_request and phr_decode_chunked, which
 * libh2o calls through the PLT, calls the real ones (dlsym RTLD_NEXT), and refuses by RFC 9112 what
 * they accepted: Content-Length together with Transfer-Encoding, differing or bad Content-Lengths,
 * codings other than chunked, obs-fold, bare LF, none or several Host headers, white space before a
 * colon, bad chunk sizes.
 *
 * Threads: any. */
#ifndef TG_HTTP_GUARD_H
#define TG_HTTP_GUARD_H

#include "common/base/str.h"

/* Proves that libh2o runs through the guard, by asking the dynamic linker for the symbol that it
 * will call and by parsing a request that only the guard refuses. Called at each server start. */
TG_NODISCARD tg_status_t tg_http_guard_check(tg_error_t *error);

/* Requests refused so far, for the metric. */
uint64_t tg_http_guard_refused(void);

#endif
