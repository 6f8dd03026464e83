/* Hash table from byte keys to pointers: open addressing, bounded, keys copied.
 *
 * Why our own: POSIX has only one global table, and each cache here needs a limit of its own. The
 * hash is keyed per process (tg_hash_table), so outside keys cannot be aimed at one bucket.
 *
 * Threads: one at a time; share under the caller's lock. */
#ifndef TG_TABLE_H
#define TG_TABLE_H

#include "common/base/str.h"

typedef struct tg_table tg_table_t;
typedef void (*tg_table_free_fn)(void *value);

/* Returns an owned table for at most `max_items`, or NULL when out of memory. `free_value` (NULL is
 * allowed) releases values at remove, replace and destroy. */
tg_table_t *tg_table_create(size_t max_items, tg_table_free_fn free_value);
void tg_table_destroy(tg_table_t *table);

/* Takes `value` on TG_OK and replaces an older one; TG_FULL at the limit, TG_NOMEM. */
TG_NODISCARD tg_status_t tg_table_put(tg_table_t *table, tg_str_t key, void *value);

/* Borrows the value until it is removed or replaced; NULL when there is none. */
void *tg_table_get(const tg_table_t *table, tg_str_t key);

/* Removes and releases; false when there was none. */
bool tg_table_remove(tg_table_t *table, tg_str_t key);

size_t tg_table_len(const tg_table_t *table);

/* Walks all items in no order: start with *cursor = 0; false at the end. `out_key` may be NULL. The
 * table must not change meanwhile. */
bool tg_table_next(const tg_table_t *table, size_t *cursor, tg_str_t *out_key, void **out_value);

#endif
