/* The rows themselves: the times that we give them, inserting or copying them, and which of them
 * the server has found to be new. */
#include "worker/store/private.h"

#include <stdlib.h>

#include "worker/pg/pgcopy.h"

#define EVENT_COLUMNS 11

/* --- times that are ours --- */

static int compare_rows(const void *left, const void *right)
{
    return tg_row_compare(*(tg_row_t *const *)left, *(tg_row_t *const *)right);
}

/* One partition's rows are often in order as they are. */
void tg_store_sort_rows(const tg_batch_t *batch)
{
    bool sorted = true;
    for (size_t i = 1; i < batch->row_count && sorted; i++)
        sorted = tg_row_compare(batch->rows[i - 1], batch->rows[i]) <= 0;
    if (!sorted)
        qsort(batch->rows, batch->row_count, sizeof(tg_row_t *), compare_rows);
}

size_t tg_store_send_own_times(tg_store_t *store, const tg_batch_t *batch, tg_status_t *status)
{
    static const unsigned elements[] = {TG_PG_TEXT, TG_PG_TEXT, TG_PG_UUID, TG_PG_TIMESTAMPTZ};
    size_t count = 0;

    tg_store_start_columns(store, elements, TG_ARRAY_LEN(elements));
    for (size_t i = 0; i < batch->row_count; i++) {
        const tg_row_t *row = batch->rows[i];
        if (!row->time_own)
            continue;
        tg_pgarray_text(&store->columns[0], row->tenant);
        tg_pgarray_text(&store->columns[1], row->type);
        tg_pgarray_uuid(&store->columns[2], &row->id);
        tg_pgarray_time(&store->columns[3], row->occurred_at);
        count++;
    }
    if (count > 0)
        *status = tg_store_send_columns(store, 4, TG_SQL_KEEP_TIMES);
    if (count > 0 && *status == TG_OK)
        *status = tg_conn_send(store->conn, TG_SQL_READ_TIMES, store->params);
    return count;
}

/* Puts the kept times in place of ours and brings the rows back into order. */
tg_status_t tg_store_read_own_times(tg_store_t *store, const tg_batch_t *batch, size_t count)
{
    PGresult *times = NULL;
    tg_status_t status = tg_conn_expect(store->conn);

    if (status == TG_OK)
        status = tg_conn_result(store->conn, &times);
    if (status == TG_OK && (size_t)PQntuples(times) != count)
        status = TG_CONFLICT; /* purged between the two statements: seven days to the moment */
    for (size_t i = 0, n = 0; status == TG_OK && i < batch->row_count; i++) {
        if (batch->rows[i]->time_own)
            batch->rows[i]->occurred_at = tg_conn_time(times, (int)n++, 0);
    }
    PQclear(times);
    tg_store_sort_rows(batch);
    return status;
}

/* --- events --- */

static void optional_text(tg_pgarray_t *column, tg_str_t text)
{
    if (text.len == 0)
        tg_pgarray_null(column);
    else
        tg_pgarray_text(column, text);
}

tg_status_t tg_store_send_events(tg_store_t *store, const tg_batch_t *batch)
{
    static const unsigned elements[] = {TG_PG_TEXT,        TG_PG_TEXT,        TG_PG_UUID,
                                        TG_PG_TIMESTAMPTZ, TG_PG_TIMESTAMPTZ, TG_PG_TEXT,
                                        TG_PG_TEXT,        TG_PG_TEXT,        TG_PG_FLOAT8,
                                        TG_PG_TEXT};
    char processed_at[8];

    tg_store_start_columns(store, elements, TG_ARRAY_LEN(elements));
    for (size_t i = 0; i < batch->row_count; i++) {
        const tg_row_t *row = batch->rows[i];
        tg_pgarray_text(&store->columns[0], row->tenant);
        tg_pgarray_text(&store->columns[1], row->type);
        tg_pgarray_uuid(&store->columns[2], &row->id);
        tg_pgarray_time(&store->columns[3], row->occurred_at);
        tg_pgarray_time(&store->columns[4], row->received_at);
        tg_pgarray_text(&store->columns[5], row->kind);
        tg_pgarray_text(&store->columns[6], row->entity);
        optional_text(&store->columns[7], row->user);
        tg_store_optional_float8(&store->columns[8], row->has_value, row->value);
        optional_text(&store->columns[9], row->payload);
    }
    tg_pg_put_int8(processed_at, tg_time_now() - TG_PG_EPOCH_US);
    store->params[10] = (tg_str_t){processed_at, sizeof(processed_at)};
    return tg_store_send_columns(store, TG_ARRAY_LEN(elements), TG_SQL_EVENTS);
}

static void copy_row(tg_buf_t *out, const tg_row_t *row, int64_t processed_at)
{
    tg_pgcopy_row(out, EVENT_COLUMNS);
    tg_pg_cell_text(out, row->tenant);
    tg_pg_cell_text(out, row->type);
    tg_pg_cell_uuid(out, &row->id);
    tg_pg_cell_time(out, row->occurred_at);
    tg_pg_cell_time(out, row->received_at);
    tg_pg_cell_time(out, processed_at);
    tg_pg_cell_text(out, row->kind);
    tg_pg_cell_text(out, row->entity);
    if (row->user.len == 0)
        tg_pg_cell_null(out);
    else
        tg_pg_cell_text(out, row->user);
    if (row->has_value)
        tg_pg_cell_float8(out, row->value);
    else
        tg_pg_cell_null(out);
    if (row->payload.len == 0)
        tg_pg_cell_null(out);
    else
        tg_pgcopy_jsonb(out, row->payload);
}

void tg_store_fill_copy(tg_store_t *store, const tg_batch_t *batch)
{
    int64_t processed_at = tg_time_now();

    tg_pgcopy_start(&store->copy);
    for (size_t i = 0; i < batch->row_count; i++)
        copy_row(&store->copy, batch->rows[i], processed_at);
    tg_pgcopy_end(&store->copy);
}

static bool is_key(const tg_row_t *row, const PGresult *keys, int n)
{
    return tg_conn_time(keys, n, 3) == row->occurred_at &&
           memcmp(PQgetvalue(keys, n, 2), row->id.bytes, sizeof(row->id.bytes)) == 0 &&
           tg_str_eq(tg_conn_cell(keys, n, 0), row->tenant) &&
           tg_str_eq(tg_conn_cell(keys, n, 1), row->type);
}

/* The first row with the n-th key at or after `from`, else anywhere. The server inserts in our
 * order, so the first search nearly always takes one step; correctness must not hang on that. */
static const tg_row_t *find_row(const tg_batch_t *batch, const PGresult *keys, int n, size_t *from)
{
    for (size_t i = *from; i < batch->row_count; i++) {
        if (is_key(batch->rows[i], keys, n)) {
            *from = i + 1;
            return batch->rows[i];
        }
    }
    for (size_t i = 0; i < *from; i++) {
        if (is_key(batch->rows[i], keys, n))
            return batch->rows[i];
    }
    return NULL;
}

tg_status_t tg_store_read_keys(tg_store_t *store, const tg_batch_t *batch,
                               tg_store_result_t *result)
{
    PGresult *keys = NULL;
    tg_status_t status = tg_conn_result(store->conn, &keys);
    size_t from = 0;

    for (int n = 0; status == TG_OK && n < PQntuples(keys); n++) {
        const tg_row_t *row = find_row(batch, keys, n, &from);
        assert(row != NULL); /* the server returns what we sent */
        status = tg_aggregate_add(store->aggregate, row) == TG_OK ? TG_OK : TG_UNAVAILABLE;
    }
    if (status == TG_OK) {
        tg_store_fill_minutes(store);
        result->stored = (size_t)PQntuples(keys);
        result->duplicates = batch->row_count - result->stored;
        store->careful = result->duplicates > 0 ? CAREFUL_BATCHES : store->careful - 1;
    }
    PQclear(keys);
    return status;
}
