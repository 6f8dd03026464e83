/* The origins whose pages may call an API from a browser (RFC 6454; CORS of the Fetch standard).
 *
 * A list is texts as browsers send them, compared byte for byte: no patterns, no suffixes, no
 * defaults, because each of those has let strangers in somewhere. "*" stands alone and means
 * everybody; "null", which any sandboxed page may claim to be, is an origin like others that must
 * be listed.
 *
 * Limits: TG_ORIGINS_MAX origins of TG_ORIGIN_LEN_MAX bytes.
 * Threads: read-only after create. */
#ifndef TG_EDGE_ORIGINS_H
#define TG_EDGE_ORIGINS_H

#include "common/base/str.h"

#define TG_ORIGINS_MAX    64
#define TG_ORIGIN_LEN_MAX 262 /* https://, a host name, a port */

typedef struct tg_origins tg_origins_t;

/* Gives a list from texts with commas or spaces between them. TG_INVALID: the error names the one
 * that no browser would send, and why; TG_NOMEM. */
TG_NODISCARD tg_status_t tg_origins_create(tg_str_t text, tg_origins_t **out_origins,
                                           tg_error_t *error);
void tg_origins_destroy(tg_origins_t *origins); /* NULL is allowed */

bool tg_origins_is_any(const tg_origins_t *origins);

/* The list's own text of that origin ("*" when it is any), or {NULL, 0}. */
tg_str_t tg_origins_find(const tg_origins_t *origins, tg_str_t origin);

#endif
