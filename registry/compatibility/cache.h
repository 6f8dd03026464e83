/* Parsed schemas by id, so that comparing with versions that were compared before needs neither
 * their text nor a parse.
 *
 * A schema never changes under its id, except that a permanent deletion makes the id free for an
 * import. So the cache knows the number of permanent deletions that it was filled under and empties
 * itself when that has moved.
 *
 * Limits: entries and bytes of text, the least recently used goes first; the last one put stays.
 * Threads: one. */
#ifndef TG_REGISTRY_COMPATIBILITY_CACHE_H
#define TG_REGISTRY_COMPATIBILITY_CACHE_H

#include "common/avro/schema.h"

typedef struct tg_parsed_cache tg_parsed_cache_t;

/* NULL when out of memory. */
tg_parsed_cache_t *tg_parsed_cache_create(size_t max_schemas, size_t max_text);
void tg_parsed_cache_destroy(tg_parsed_cache_t *cache); /* NULL is allowed */

/* To be told before each use: forgets everything when `deletions` is not what it was. */
void tg_parsed_cache_see(tg_parsed_cache_t *cache, uint64_t deletions);

/* Borrowed until the next put or see; NULL when it is not there. */
const tg_avro_schema_t *tg_parsed_cache_get(tg_parsed_cache_t *cache, uint32_t id);

/* Takes `schema` in every case; TG_NOMEM when it could not be kept. `text` are its bytes. */
TG_NODISCARD tg_status_t tg_parsed_cache_put(tg_parsed_cache_t *cache, uint32_t id,
                                             tg_avro_schema_t *schema, size_t text);

typedef struct tg_parsed_cache_stats {
    size_t schemas, text;
} tg_parsed_cache_stats_t;
tg_parsed_cache_stats_t tg_parsed_cache_stats(const tg_parsed_cache_t *cache);

#endif
