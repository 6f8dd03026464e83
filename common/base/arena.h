/* Memory that dies together: one bump allocator per request, batch or parsed document.
 *
 * Why: nothing inside a request is freed one by one, so nothing can be forgotten or freed twice.
 * The arena has a byte limit; beyond it (or without memory) an allocation gives NULL.
 *
 * Threads: one at a time. */
#ifndef TG_ARENA_H
#define TG_ARENA_H

#include "common/base/str.h"

typedef struct tg_arena tg_arena_t;

/* Returns an owned arena that hands out at most `max_bytes`, or NULL when out of memory. */
tg_arena_t *tg_arena_create(size_t max_bytes);

/* Frees the arena and all that came from it. NULL is allowed. */
void tg_arena_destroy(tg_arena_t *arena);

/* Forgets all allocations and keeps the first block, for the next round. */
void tg_arena_reset(tg_arena_t *arena);

/* `size` zeroed bytes, aligned for any type, alive until reset or destroy; NULL beyond the limit.
 */
void *tg_arena_alloc(tg_arena_t *arena, size_t size);

/* As tg_arena_alloc for `count` items; NULL on overflow of the product as well. */
void *tg_arena_array(tg_arena_t *arena, size_t count, size_t size);

/* Copies `text` with a NUL behind it (not counted in len); ptr is NULL when it does not fit. */
tg_str_t tg_arena_copy(tg_arena_t *arena, tg_str_t text);

/* Bytes handed out since the last reset. */
size_t tg_arena_used(const tg_arena_t *arena);

#endif
