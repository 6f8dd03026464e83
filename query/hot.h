/* The answers that are asked for most, kept in the thread in front of Redis.
 *
 * Why: to fetch 20 KiB over a socket for every reader costs more than all the rest of a cached
 * answer. An answer stays here no longer than Redis has it, which the caller sees to by the time
 * that it gives, so a reader notices nothing but speed.
 *
 * Limits: bytes as given, and TG_HOT_ITEMS_MAX answers; the oldest gives way. An answer that would
 * take more than an eighth of the bytes is not kept. One that was given up, but is still being
 * sent, lives until then and is not counted.
 *
 * Threads: belongs to its loop's thread, and so do the bodies that it gives. */
#ifndef TG_QUERY_HOT_H
#define TG_QUERY_HOT_H

#include <stdint.h>

#include "common/http/bytes.h"

#define TG_HOT_ITEMS_MAX 16384

typedef struct tg_hot tg_hot_t;

tg_hot_t *tg_hot_create(size_t max_bytes); /* NULL when out of memory */
void tg_hot_destroy(tg_hot_t *hot);        /* NULL is allowed; bodies given stay good */

/* Keeps an answer, whose body is what tg_render_body makes of `body` when cached, until `until_us`;
 * an older one under the key is forgotten. TG_TOO_LARGE, TG_NOMEM: it is not kept. */
TG_NODISCARD tg_status_t tg_hot_put(tg_hot_t *hot, tg_str_t key, tg_str_t tag, tg_str_t body,
                                    uint64_t until_us);

typedef struct tg_hot_answer {
    tg_str_t tag; /* valid as long as the body */
    tg_http_bytes_t body;
} tg_hot_answer_t;

/* False when there is none at `now_us` (the same clock as at put). The caller releases the body. */
bool tg_hot_get(tg_hot_t *hot, tg_str_t key, uint64_t now_us, tg_hot_answer_t *out_answer);

typedef struct tg_hot_stats {
    size_t bytes, items;
    uint64_t evicted_total; /* given up before their time, for want of room */
} tg_hot_stats_t;
void tg_hot_get_stats(const tg_hot_t *hot, tg_hot_stats_t *out_stats);

#endif
