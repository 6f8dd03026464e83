/* One batch, one transaction. Measured on the way here: COPY costs the server half of what the
 * fastest insert does that can skip duplicates, which is unnest of binary arrays; there, returning
 * whole rows or ordinals costs more than returning the key; and unsorted keys in two workers end in
 * deadlocks of a second each.
 *
 * So rows are inserted, and asked which of them are new, only while duplicates are about. Otherwise
 * they are copied, and the aggregates made meanwhile as if all were new; when a duplicate makes the
 * COPY fail, the transaction is rolled back and written again by the insert. */
#include "worker/store/store.h"

#include <stdlib.h>

#include "common/base/fault.h"
#include "worker/store/private.h"

#define ROWS_BYTES_MAX   ((size_t)1 << 30) /* far above what the buffers can hold */
#define UNIQUE_VIOLATION "23505"

tg_store_t *tg_store_create(tg_conn_t *conn, size_t max_rows)
{
    assert(conn != NULL);
    assert(max_rows > 0);
    tg_store_t *store = calloc(1, sizeof(*store));
    if (store == NULL)
        return NULL;
    store->conn = conn;
    store->max_rows = max_rows;
    store->copy = tg_buf_make(ROWS_BYTES_MAX);
    store->aggregate = tg_aggregate_create(max_rows);
    if (store->aggregate == NULL) {
        tg_store_destroy(store);
        return NULL;
    }
    return store;
}

void tg_store_meanwhile(tg_store_t *store, tg_store_meanwhile_fn meanwhile, void *arg)
{
    store->meanwhile = meanwhile;
    store->meanwhile_arg = arg;
}

/* Spends the wait for the server's next answer. */
static void spend_wait(tg_store_t *store)
{
    while (store->meanwhile != NULL && !tg_conn_answered(store->conn) &&
           store->meanwhile(store->meanwhile_arg))
        continue;
}

void tg_store_destroy(tg_store_t *store)
{
    if (store == NULL)
        return;
    for (size_t i = 0; i < COLUMNS_MAX; i++)
        tg_pgarray_dispose(&store->columns[i]);
    tg_buf_dispose(&store->copy);
    tg_aggregate_destroy(store->aggregate);
    free(store);
}

/* --- the fence --- */

static int compare_partitions(const void *left, const void *right)
{
    const tg_batch_partition_t *a = left, *b = right;
    int order = strcmp(a->topic, b->topic);
    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

static tg_status_t send_fence(tg_store_t *store, const tg_batch_t *batch)
{
    tg_status_t status = tg_conn_send_text(store->conn, "BEGIN");

    for (size_t i = 0; i < batch->partition_count && status == TG_OK; i++) {
        const tg_batch_partition_t *part = &batch->partitions[i];
        char number[4], epoch[8], next[8];
        tg_pg_put_int4(number, part->partition);
        tg_pg_put_int8(epoch, part->epoch);
        tg_pg_put_int8(next, part->next_offset);
        const tg_str_t params[] = {tg_str_from(part->topic), {number, 4}, {epoch, 8}, {next, 8}};
        status = tg_conn_send(store->conn, TG_SQL_FENCE, params);
    }
    return status;
}

static tg_status_t read_fence(tg_store_t *store, const tg_batch_t *batch, tg_store_result_t *result)
{
    tg_status_t status = tg_conn_expect(store->conn); /* BEGIN */

    for (size_t i = 0; i < batch->partition_count && status == TG_OK; i++) {
        PGresult *answer = NULL;
        status = tg_conn_result(store->conn, &answer);
        if (status == TG_OK && strcmp(PQcmdTuples(answer), "1") != 0) {
            result->fenced = i;
            status = TG_DENIED;
        }
        PQclear(answer);
    }
    return status;
}

/* --- the transaction --- */

static tg_status_t commit(tg_store_t *store, const tg_batch_t *batch)
{
    size_t sent = 0;
    tg_status_t status = tg_store_send_rollups(store, batch, &sent);

    if (status == TG_OK)
        status = tg_conn_send_text(store->conn, "COMMIT");
    if (status != TG_OK)
        return status; /* COMMIT has not left: whatever happens, nothing is written */
    status = tg_conn_flush(store->conn);
    if (status == TG_OK)
        spend_wait(store);
    for (size_t i = 0; i < sent && status == TG_OK; i++)
        status = tg_conn_expect(store->conn);
    if (status == TG_OK)
        status = tg_conn_expect(store->conn); /* COMMIT */
    bool committed = status == TG_OK;
    tg_conn_settle(store->conn);
    if (!committed && !tg_conn_connected(store->conn))
        return TG_TIMEOUT;
    return status;
}

/* BEGIN, the fence and, if there are such rows, the exchange of our own times for the kept ones. */
static tg_status_t begin(tg_store_t *store, const tg_batch_t *batch, tg_store_result_t *result,
                         bool *out_fence_read)
{
    tg_status_t status = send_fence(store, batch);
    size_t own = status == TG_OK ? tg_store_send_own_times(store, batch, &status) : 0;

    *out_fence_read = own > 0;
    if (own == 0 || status != TG_OK)
        return status;
    status = tg_conn_sync(store->conn);
    if (status == TG_OK)
        status = read_fence(store, batch, result);
    if (status == TG_OK)
        status = tg_store_read_own_times(store, batch, own);
    return status == TG_OK ? tg_conn_synced(store->conn) : status;
}

/* The way of a batch that may hold duplicates. */
static tg_status_t insert_rows(tg_store_t *store, const tg_batch_t *batch, bool fence_read,
                               tg_store_result_t *result)
{
    tg_status_t status = tg_store_send_events(store, batch);

    if (status == TG_OK)
        status = tg_conn_sync(store->conn);
    if (status == TG_OK)
        spend_wait(store);
    if (status == TG_OK && !fence_read)
        status = read_fence(store, batch, result);
    if (status == TG_OK)
        status = tg_store_read_keys(store, batch, result);
    return status == TG_OK ? tg_conn_synced(store->conn) : status;
}

/* The fence's own round trip, for a batch whose rows do not travel with it. */
static tg_status_t pass_fence(tg_store_t *store, const tg_batch_t *batch, tg_store_result_t *result)
{
    spend_wait(store);
    tg_status_t status = read_fence(store, batch, result);
    return status == TG_OK ? tg_conn_synced(store->conn) : status;
}

/* What the server says of a COPY: a duplicate, or a deadlock with another that writes the same
 * keys, does not come again when the rows are inserted, which takes its locks in order. */
static tg_status_t read_copied(tg_store_t *store, const tg_batch_t *batch,
                               tg_store_result_t *result)
{
    uint64_t count = 0;
    tg_status_t status = tg_conn_copied(store->conn, &count);

    if (status == TG_INVALID && strcmp(tg_conn_sqlstate(store->conn), UNIQUE_VIOLATION) == 0)
        status = TG_CONFLICT;
    if (status == TG_CONFLICT) {
        store->careful = CAREFUL_BATCHES;
        store->again = true;
    }
    if (status != TG_OK)
        return status;
    assert(count == batch->row_count);
    result->stored = batch->row_count;
    result->duplicates = 0;
    return TG_OK;
}

/* The way of a batch whose rows are all new, as far as we know. */
static tg_status_t copy_rows(tg_store_t *store, const tg_batch_t *batch, bool fence_read,
                             tg_store_result_t *result)
{
    tg_status_t status = fence_read ? TG_OK : tg_conn_sync(store->conn);

    if (status == TG_OK)
        tg_store_fill_copy(store, batch); /* while the server is at the fence */
    if (status == TG_OK && !fence_read)
        status = pass_fence(store, batch, result);
    if (status == TG_OK && store->copy.failed)
        status = TG_INVALID; /* answered like a bad row: the batch gets smaller */
    if (status == TG_OK)
        status = tg_conn_copy(store->conn, tg_sql_copy_events, tg_buf_view(&store->copy));
    if (status == TG_OK)
        status = tg_store_aggregate_rows(store, batch); /* while the server writes them */
    if (status != TG_OK)
        return status;
    spend_wait(store);
    return read_copied(store, batch, result);
}

/* Up to the stored rows. */
static tg_status_t store_rows(tg_store_t *store, const tg_batch_t *batch, tg_store_result_t *result)
{
    bool fence_read = false;
    tg_status_t status = begin(store, batch, result, &fence_read);

    if (status != TG_OK)
        return status;
    if (batch->row_count > 0 && store->careful > 0)
        return insert_rows(store, batch, fence_read, result);
    if (batch->row_count > 0)
        return copy_rows(store, batch, fence_read, result);
    status = tg_conn_sync(store->conn);
    return status == TG_OK ? pass_fence(store, batch, result) : status;
}

static tg_status_t write_once(tg_store_t *store, tg_batch_t *batch, tg_store_result_t *result)
{
    store->again = false;
    store->minutes = 0;
    tg_aggregate_reset(store->aggregate);
    tg_status_t status = tg_store_ensure_days(store, batch);
    if (status == TG_OK)
        status = store_rows(store, batch, result);
    if (status == TG_OK) {
        tg_fault_point("worker_in_transaction");
        status = commit(store, batch);
    }
    tg_conn_settle(store->conn);
    return status;
}

tg_status_t tg_store_write(tg_store_t *store, tg_batch_t *batch, tg_store_result_t *out_result)
{
    assert(batch->partition_count > 0);
    assert(batch->row_count <= store->max_rows);
    tg_store_result_t result = {0};

    qsort(batch->partitions, batch->partition_count, sizeof(*batch->partitions),
          compare_partitions);
    tg_store_sort_rows(batch);
    tg_status_t status = write_once(store, batch, &result);
    if (status == TG_INVALID && strcmp(tg_conn_sqlstate(store->conn), "23514") == 0) {
        /* A day's partition is gone (retention) that we took for granted: look again, once. */
        tg_store_forget_days(store);
        status = write_once(store, batch, &result);
    }
    if (store->again)
        status = write_once(store, batch, &result);
    *out_result = result;
    return status;
}
