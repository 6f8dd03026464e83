/* When keys were last used: told to the database late, rarely and in batches, so that no request
 * waits for it.
 *
 * A fixed table remembers when a key was last reported; a use within the minute after that costs
 * one load. Others are noted in the thread's list, which goes out every few seconds as one
 * statement. A list that could not be written is dropped: the key's next use brings it again.
 *
 * Limits: 32,768 places for the process (two keys in one place report more often; the database
 * takes one a minute), 1,024 keys per list and thread; a key beyond waits for the next list.
 *
 * Threads: the table is shared; a list belongs to its loop's thread. */
#ifndef TG_GATEWAY_USES_H
#define TG_GATEWAY_USES_H

#include "common/observe/metrics.h"
#include "common/pg/pool.h"

typedef struct tg_uses tg_uses_t;
typedef struct tg_uses_list tg_uses_list_t;

tg_uses_t *tg_uses_create(void); /* NULL when out of memory */
void tg_uses_destroy(tg_uses_t *uses);

/* Lists borrow the table and the pool. NULL when out of memory. */
tg_uses_list_t *tg_uses_list_open(tg_loop_t *loop, tg_uses_t *uses, tg_pg_pool_t *pool,
                                  tg_metrics_shard_t *shard);
void tg_uses_list_close(tg_uses_list_t *list); /* what is still in it is dropped; NULL is allowed */

/* The key with this id (TG_KEY_ID_LEN characters) was used. `now_us` is monotonic. */
void tg_uses_note(tg_uses_list_t *list, const char *key_id, int64_t now_us);

#endif
