/* Database rows to the v1 answer, and the form in which an answer is cached.
 *
 * {"bucket"?,"from","to","items":[…],"freshness":{"newest_minute","as_of","cached"}}. The entity
 * tag covers the items and the range only, so that an unchanged answer stays 304 although its as_of
 * moves.
 *
 * A cached entry is the tag followed by the body up to its last member, `"cached":`; the reader
 * adds true or false. An entry that does not look like one is a miss.
 *
 * Threads: any. */
#ifndef TG_QUERY_RENDER_H
#define TG_QUERY_RENDER_H

#include "query/plan.h"

#define TG_RENDER_TAG_LEN  20 /* W/"<16 hex>" */
#define TG_RENDER_BODY_MAX ((size_t)16 << 20)

/* Appends the entry for the rows of the plan's statement and the newest minute (one row, one µs
 * column). */
void tg_render_entry(const tg_plan_t *plan, const PGresult *rows, const PGresult *newest,
                     tg_buf_t *out);

/* Splits an entry; false when it is none. Views into `entry`. The tag is safe to be a header's
 * value whatever the cache held. */
bool tg_render_split(tg_str_t entry, tg_str_t *out_tag, tg_str_t *out_body);

/* Whether an If-None-Match field holds `*` or the tag, by weak comparison (RFC 9110, 13.1.2). */
bool tg_render_matches(tg_str_t if_none_match, tg_str_t tag);

/* What is missing at the end of an entry's body part. */
tg_str_t tg_render_end(bool cached);

/* Appends the whole JSON body of an entry's body part. */
void tg_render_body(tg_str_t body, bool cached, tg_buf_t *out);

#endif
