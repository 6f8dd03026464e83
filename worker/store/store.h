/* The transaction that makes a batch exact: offsets, events, minutes, states and touched hours move
 * together, or nothing does.
 *
 * BEGIN and the fence on each partition's offset row (in order); COPY of the rows, or, while
 * duplicates come, INSERT … ON CONFLICT DO NOTHING; then, of the new rows only, minutes, states and
 * hours (each sorted), dead letters, COMMIT. COMMIT is never sent before the fence's answer is
 * read: an UPDATE of no row is no error. Rows whose time is our own cost one more round trip first,
 * which exchanges their time for the one kept for their id.
 *
 * Limits: max_rows per batch, TG_BATCH_DAYS_MAX days. Threads: one at a time. */
#ifndef TG_STORE_H
#define TG_STORE_H

#include "worker/pg/conn.h"
#include "worker/store/batch.h"

typedef struct tg_store tg_store_t;

typedef struct tg_store_result {
    size_t stored;     /* rows that are new */
    size_t duplicates; /* rows that were there */
    size_t fenced;     /* on TG_DENIED: index of the partition that is another's */
} tg_store_result_t;

/* A store over a borrowed connection; NULL when out of memory. */
tg_store_t *tg_store_create(tg_conn_t *conn, size_t max_rows);
void tg_store_destroy(tg_store_t *store); /* NULL is allowed */

/* Called while the server works on a batch and has not answered yet, so that its time is not lost:
 * does a little of something else, or returns false when there is nothing to do. It must leave the
 * batch, its rows and the connection alone. */
typedef bool (*tg_store_meanwhile_fn)(void *arg);
void tg_store_meanwhile(tg_store_t *store, tg_store_meanwhile_fn meanwhile, void *arg);

/* Writes one batch.
 *   TG_OK           committed
 *   TG_DENIED       fenced: nothing written
 *   TG_INVALID      some row is at fault: nothing written; try with fewer rows
 *   TG_CONFLICT     deadlock or serialisation failure: nothing written; try again
 *   TG_UNAVAILABLE  nothing written; the connection may be gone
 *   TG_TIMEOUT      COMMIT was sent and the connection lost: claim again and compare next_offset
 * In all cases but TG_OK the connection has what went wrong. */
TG_NODISCARD tg_status_t tg_store_write(tg_store_t *store, tg_batch_t *batch,
                                        tg_store_result_t *out_result);

#endif
