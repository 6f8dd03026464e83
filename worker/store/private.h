/* The inside of the store, shared by store.c (a batch's way through its transaction), days.c (the
 * partitions of its days), events.c (its rows), rollups.c (what follows from the new ones) and
 * columns.c (the arrays in which all of it is sent).
 *
 * Threads: as the store. */
#ifndef TG_WORKER_STORE_PRIVATE_H
#define TG_WORKER_STORE_PRIVATE_H

#include "worker/pg/pgarray.h"
#include "worker/store/aggregate.h"
#include "worker/store/sql.h"
#include "worker/store/store.h"

#define COLUMNS_MAX     10
#define DAYS_KNOWN      65536 /* days since 1970 that the cache can note */
#define CAREFUL_BATCHES 64    /* after a duplicate */

struct tg_store {
    tg_conn_t *conn; /* borrowed */
    tg_aggregate_t *aggregate;
    size_t max_rows;
    size_t minutes;   /* rows of the minutes that stand in the columns, ready to be sent */
    unsigned careful; /* batches that will still ask which of their rows are new */
    bool again;       /* the COPY has met a duplicate: the transaction starts anew */
    tg_buf_t copy;    /* the rows as COPY takes them */
    tg_store_meanwhile_fn meanwhile;
    void *meanwhile_arg;
    tg_pgarray_t columns[COLUMNS_MAX];
    tg_str_t params[TG_CONN_PARAMS_MAX];
    uint8_t days[DAYS_KNOWN / 8]; /* bit set: the day's partitions exist */
    uint64_t days_until_ms;       /* then all of them are asked for again */
};

/* columns.c */
/* Makes the first `count` columns empty arrays of these element types. */
void tg_store_start_columns(tg_store_t *store, const unsigned *elements, size_t count);
/* Sends the statement with the first `count` columns; TG_INVALID: one has grown too large. */
TG_NODISCARD tg_status_t tg_store_send_columns(tg_store_t *store, size_t count,
                                               enum tg_sql statement);
void tg_store_optional_float8(tg_pgarray_t *column, bool present, double value);

/* days.c */
/* Makes the partitions of the batch's days in a transaction of its own, as makers wait for each
 * other. */
TG_NODISCARD tg_status_t tg_store_ensure_days(tg_store_t *store, const tg_batch_t *batch);
void tg_store_forget_days(tg_store_t *store);

/* events.c */
void tg_store_sort_rows(const tg_batch_t *batch);
/* Exchanges the times that are ours for those kept for their ids; gives the number of such rows. */
size_t tg_store_send_own_times(tg_store_t *store, const tg_batch_t *batch, tg_status_t *status);
TG_NODISCARD tg_status_t tg_store_read_own_times(tg_store_t *store, const tg_batch_t *batch,
                                                 size_t count);
/* The rows as an insert that skips duplicates, and the keys of those that were new. */
TG_NODISCARD tg_status_t tg_store_send_events(tg_store_t *store, const tg_batch_t *batch);
TG_NODISCARD tg_status_t tg_store_read_keys(tg_store_t *store, const tg_batch_t *batch,
                                            tg_store_result_t *result);
/* The same columns as one text for COPY. */
void tg_store_fill_copy(tg_store_t *store, const tg_batch_t *batch);

/* rollups.c */
/* Puts the minutes into the columns: while the server inserts the rows, if they are known already.
 */
void tg_store_fill_minutes(tg_store_t *store);
/* Counts all rows of the batch as new. */
TG_NODISCARD tg_status_t tg_store_aggregate_rows(tg_store_t *store, const tg_batch_t *batch);
/* The second half: what follows from the new rows. Adds the statements to *sent. */
TG_NODISCARD tg_status_t tg_store_send_rollups(tg_store_t *store, const tg_batch_t *batch,
                                               size_t *sent);

#endif
