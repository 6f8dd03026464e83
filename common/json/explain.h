/* Says where and why a text is no JSON document, in words for the client.
 *
 * Why apart from the parser: simdjson is fast because it keeps no position; only a text that it has
 * refused is read again here, byte by byte, by the grammar of RFC 8259. One pass, no recursion, no
 * memory.
 *
 * Threads: any. */
#ifndef TG_JSON_EXPLAIN_H
#define TG_JSON_EXPLAIN_H

#include "common/base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TG_JSON_BLAME_MAX 64 /* bytes; a longer member name is not worth repeating */

/* Fills `error` with the first fault's byte offset, and the member it stands in, and returns its
 * status: TG_INVALID, or TG_TOO_LARGE for nesting beyond `max_depth`. *out_member is that member's
 * name as written (a view into `text`), empty if there is none. */
TG_NODISCARD tg_status_t tg_json_explain(tg_str_t text, unsigned max_depth, tg_str_t *out_member,
                                         tg_error_t *error);

#ifdef __cplusplus
}
#endif
#endif
