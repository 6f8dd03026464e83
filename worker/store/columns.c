/* A statement's arrays, filled column by column. */
#include "worker/store/private.h"

#define COLUMN_BYTES_MAX ((size_t)256 << 20) /* far above what the buffers can hold */

void tg_store_start_columns(tg_store_t *store, const unsigned *elements, size_t count)
{
    assert(count <= COLUMNS_MAX);
    for (size_t i = 0; i < count; i++) {
        tg_pgarray_t *column = &store->columns[i];
        if (column->element == 0)
            tg_pgarray_init(column, elements[i], COLUMN_BYTES_MAX);
        column->element = elements[i];
        tg_pgarray_clear(column);
    }
}

tg_status_t tg_store_send_columns(tg_store_t *store, size_t count, enum tg_sql statement)
{
    assert(count <= COLUMNS_MAX);
    for (size_t i = 0; i < count; i++) {
        /* A column that does not fit is answered like a bad row: the batch gets smaller. */
        if (tg_pgarray_finish(&store->columns[i], &store->params[i]) != TG_OK)
            return TG_INVALID;
    }
    return tg_conn_send(store->conn, statement, store->params);
}

void tg_store_optional_float8(tg_pgarray_t *column, bool present, double value)
{
    if (present)
        tg_pgarray_float8(column, value);
    else
        tg_pgarray_null(column);
}
