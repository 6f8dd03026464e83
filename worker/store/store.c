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
#include "worker/pg/pgarray.h"
#include "worker/pg/pgcopy.h"
#include "worker/store/aggregate.h"
#include "worker/store/bin.h"
#include "worker/store/sql.h"

#define COLUMNS_MAX      10
#define EVENT_COLUMNS    11
#define COLUMN_BYTES_MAX ((size_t)256 << 20)     /* far above what the buffers can hold */
#define ROWS_BYTES_MAX   ((size_t)1 << 30)       /* likewise */
#define DAYS_KNOWN       65536                   /* days since 1970 that the cache can note */
#define DAYS_KNOWN_MS    60000                   /* for so long: the horizon moves */
#define LATE_AFTER_US    (60 * TG_US_PER_SECOND) /* hours are binned 90 s after their end */
#define CAREFUL_BATCHES  64                      /* after a duplicate */
#define UNIQUE_VIOLATION "23505"

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

/* --- columns --- */

/* Makes the first `count` columns empty arrays of these element types. */
static void start_columns(tg_store_t *store, const unsigned *elements, size_t count)
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

static tg_status_t send_columns(tg_store_t *store, size_t count, enum tg_sql statement)
{
    for (size_t i = 0; i < count; i++) {
        /* A column that does not fit is answered like a bad row: the batch gets smaller. */
        if (tg_pgarray_finish(&store->columns[i], &store->params[i]) != TG_OK)
            return TG_INVALID;
    }
    return tg_conn_send(store->conn, statement, store->params);
}

/* --- the days' partitions --- */

static bool day_known(const tg_store_t *store, int64_t day)
{
    return day >= 0 && day < DAYS_KNOWN && (store->days[day / 8] >> (day % 8) & 1) != 0;
}

static int64_t day_of(const tg_row_t *row)
{
    return tg_time_floor(row->occurred_at, TG_US_PER_DAY) / TG_US_PER_DAY;
}

/* The batch's days whose partitions are not known to exist; false when they are more than the
 * caller may put together. */
static bool missing_days(const tg_store_t *store, const tg_batch_t *batch, int64_t *out_days,
                         size_t *out_count)
{
    size_t count = 0;

    for (size_t i = 0; i < batch->row_count; i++) {
        int64_t day = day_of(batch->rows[i]);
        bool known = day_known(store, day);
        for (size_t j = 0; j < count && !known; j++)
            known = out_days[j] == day;
        if (known)
            continue;
        if (count == TG_BATCH_DAYS_MAX)
            return false;
        out_days[count++] = day;
    }
    *out_count = count;
    return true;
}

/* Makes the partitions of the batch's days in a transaction of its own, as makers wait for each
 * other. */
static tg_status_t ensure_days(tg_store_t *store, const tg_batch_t *batch)
{
    int64_t missing[TG_BATCH_DAYS_MAX];
    size_t count = 0;
    tg_str_t days = {0};

    if (tg_time_mono_ms() >= store->days_until_ms) {
        memset(store->days, 0, sizeof(store->days));
        store->days_until_ms = tg_time_mono_ms() + DAYS_KNOWN_MS;
    }
    if (!missing_days(store, batch, missing, &count))
        return TG_INVALID;
    if (count == 0)
        return TG_OK;
    start_columns(store, (const unsigned[]){TG_PG_DATE}, 1);
    for (size_t i = 0; i < count; i++)
        tg_pgarray_date(&store->columns[0], missing[i] * TG_US_PER_DAY);
    if (tg_pgarray_finish(&store->columns[0], &days) != TG_OK)
        return TG_INVALID;
    tg_status_t status = tg_conn_query(store->conn, TG_SQL_ENSURE_DAYS, &days, NULL);
    for (size_t i = 0; i < count && status == TG_OK; i++) {
        if (missing[i] >= 0 && missing[i] < DAYS_KNOWN)
            store->days[missing[i] / 8] |= (uint8_t)(1 << (missing[i] % 8));
    }
    return status;
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

/* --- times that are ours --- */

static int compare_rows(const void *left, const void *right)
{
    return tg_row_compare(*(tg_row_t *const *)left, *(tg_row_t *const *)right);
}

/* One partition's rows are often in order as they are. */
static void sort_rows(const tg_batch_t *batch)
{
    bool sorted = true;
    for (size_t i = 1; i < batch->row_count && sorted; i++)
        sorted = tg_row_compare(batch->rows[i - 1], batch->rows[i]) <= 0;
    if (!sorted)
        qsort(batch->rows, batch->row_count, sizeof(tg_row_t *), compare_rows);
}

static size_t send_own_times(tg_store_t *store, const tg_batch_t *batch, tg_status_t *status)
{
    static const unsigned elements[] = {TG_PG_TEXT, TG_PG_TEXT, TG_PG_UUID, TG_PG_TIMESTAMPTZ};
    size_t count = 0;

    start_columns(store, elements, TG_ARRAY_LEN(elements));
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
        *status = send_columns(store, 4, TG_SQL_KEEP_TIMES);
    if (count > 0 && *status == TG_OK)
        *status = tg_conn_send(store->conn, TG_SQL_READ_TIMES, store->params);
    return count;
}

/* Puts the kept times in place of ours and brings the rows back into order. */
static tg_status_t read_own_times(tg_store_t *store, const tg_batch_t *batch, size_t count)
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
    sort_rows(batch);
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

static void optional_float8(tg_pgarray_t *column, bool present, double value)
{
    if (present)
        tg_pgarray_float8(column, value);
    else
        tg_pgarray_null(column);
}

static tg_status_t send_events(tg_store_t *store, const tg_batch_t *batch)
{
    static const unsigned elements[] = {TG_PG_TEXT,        TG_PG_TEXT,        TG_PG_UUID,
                                        TG_PG_TIMESTAMPTZ, TG_PG_TIMESTAMPTZ, TG_PG_TEXT,
                                        TG_PG_TEXT,        TG_PG_TEXT,        TG_PG_FLOAT8,
                                        TG_PG_TEXT};
    char processed_at[8];

    start_columns(store, elements, TG_ARRAY_LEN(elements));
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
        optional_float8(&store->columns[8], row->has_value, row->value);
        optional_text(&store->columns[9], row->payload);
    }
    tg_pg_put_int8(processed_at, tg_time_now() - TG_PG_EPOCH_US);
    store->params[10] = (tg_str_t){processed_at, sizeof(processed_at)};
    return send_columns(store, TG_ARRAY_LEN(elements), TG_SQL_EVENTS);
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

/* The same columns as one text for COPY. */
static void fill_copy(tg_store_t *store, const tg_batch_t *batch)
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

/* Puts the minutes into the columns: while the server inserts the rows, if they are known already.
 */
static void fill_minutes(tg_store_t *store)
{
    static const unsigned elements[] = {TG_PG_TEXT,   TG_PG_TEXT,  TG_PG_TIMESTAMPTZ, TG_PG_TEXT,
                                        TG_PG_TEXT,   TG_PG_INT8,  TG_PG_INT8,        TG_PG_TEXT,
                                        TG_PG_FLOAT8, TG_PG_FLOAT8};
    const tg_minute_t *const *minutes = tg_aggregate_minutes(store->aggregate, &store->minutes);

    start_columns(store, elements, TG_ARRAY_LEN(elements));
    for (size_t i = 0; i < store->minutes; i++) {
        const tg_minute_t *minute = minutes[i];
        char sum[TG_DECIMAL_TEXT_MAX];
        size_t sum_len = tg_decimal_format(&minute->sum, sum);
        tg_pgarray_text(&store->columns[0], minute->row->tenant);
        tg_pgarray_text(&store->columns[1], minute->row->type);
        tg_pgarray_time(&store->columns[2], minute->bucket);
        tg_pgarray_text(&store->columns[3], minute->row->kind);
        tg_pgarray_text(&store->columns[4], minute->row->entity);
        tg_pgarray_int8(&store->columns[5], minute->count);
        tg_pgarray_int8(&store->columns[6], minute->value_count);
        tg_pgarray_text(&store->columns[7], (tg_str_t){sum, sum_len});
        optional_float8(&store->columns[8], minute->value_count > 0, minute->min);
        optional_float8(&store->columns[9], minute->value_count > 0, minute->max);
    }
}

static tg_status_t aggregate_rows(tg_store_t *store, const tg_batch_t *batch)
{
    for (size_t i = 0; i < batch->row_count; i++) {
        if (tg_aggregate_add(store->aggregate, batch->rows[i]) != TG_OK)
            return TG_UNAVAILABLE;
    }
    fill_minutes(store);
    return TG_OK;
}

static tg_status_t read_keys(tg_store_t *store, const tg_batch_t *batch, tg_store_result_t *result)
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
        fill_minutes(store);
        result->stored = (size_t)PQntuples(keys);
        result->duplicates = batch->row_count - result->stored;
        store->careful = result->duplicates > 0 ? CAREFUL_BATCHES : store->careful - 1;
    }
    PQclear(keys);
    return status;
}

/* --- roll-ups --- */

/* What fill_minutes has put there; first of the roll-ups, as the others use the columns anew. */
static tg_status_t send_minutes(tg_store_t *store, size_t *sent)
{
    if (store->minutes == 0)
        return TG_OK;
    (*sent)++;
    return send_columns(store, COLUMNS_MAX, TG_SQL_MINUTES);
}

static tg_status_t send_states(tg_store_t *store, size_t *sent)
{
    static const unsigned elements[] = {TG_PG_TEXT, TG_PG_TEXT, TG_PG_TEXT, TG_PG_TEXT, TG_PG_INT8};
    size_t count = 0;
    const tg_state_delta_t *const *states = tg_aggregate_states(store->aggregate, &count);

    if (count == 0)
        return TG_OK;
    start_columns(store, elements, TG_ARRAY_LEN(elements));
    for (size_t i = 0; i < count; i++) {
        const tg_row_t *row = states[i]->row;
        tg_pgarray_text(&store->columns[0], row->tenant);
        tg_pgarray_text(&store->columns[1], row->type);
        tg_pgarray_text(&store->columns[2], row->entity);
        tg_pgarray_text(&store->columns[3], row->state);
        tg_pgarray_int8(&store->columns[4], states[i]->delta);
    }
    (*sent)++;
    return send_columns(store, TG_ARRAY_LEN(elements), TG_SQL_STATES);
}

/* Values whose hour may have its bins by now go where readers add them to those; their hours are
 * then marked as late, so this comes before send_hours. */
static tg_status_t send_late(tg_store_t *store, size_t *sent)
{
    static const unsigned elements[] = {TG_PG_TEXT, TG_PG_TEXT, TG_PG_TIMESTAMPTZ,
                                        TG_PG_TEXT, TG_PG_TEXT, TG_PG_INT4};
    size_t count = 0;
    const tg_row_t *const *rows =
        tg_aggregate_late(store->aggregate, tg_time_now() - LATE_AFTER_US, &count);

    if (count == 0)
        return TG_OK;
    start_columns(store, elements, TG_ARRAY_LEN(elements));
    for (size_t i = 0; i < count; i++) {
        tg_pgarray_text(&store->columns[0], rows[i]->tenant);
        tg_pgarray_text(&store->columns[1], rows[i]->type);
        tg_pgarray_time(&store->columns[2], tg_time_floor(rows[i]->occurred_at, TG_US_PER_HOUR));
        tg_pgarray_text(&store->columns[3], rows[i]->kind);
        tg_pgarray_text(&store->columns[4], rows[i]->entity);
        tg_pgarray_int4(&store->columns[5], tg_bin_of(rows[i]->value));
    }
    (*sent)++;
    return send_columns(store, TG_ARRAY_LEN(elements), TG_SQL_LATE);
}

static tg_status_t send_hours(tg_store_t *store, size_t *sent)
{
    static const unsigned elements[] = {TG_PG_TEXT, TG_PG_TIMESTAMPTZ, TG_PG_INT4};
    size_t count = 0;
    const tg_hour_t *const *hours = tg_aggregate_hours(store->aggregate, &count);

    if (count == 0)
        return TG_OK;
    start_columns(store, elements, TG_ARRAY_LEN(elements));
    for (size_t i = 0; i < count; i++) {
        tg_pgarray_text(&store->columns[0], hours[i]->row->tenant);
        tg_pgarray_time(&store->columns[1], hours[i]->hour);
        tg_pgarray_int4(&store->columns[2], hours[i]->late ? 1 : 0);
    }
    (*sent)++;
    return send_columns(store, TG_ARRAY_LEN(elements), TG_SQL_HOURS);
}

/* An empty text as SQL NULL. */
static tg_str_t or_null(tg_str_t text)
{
    return text.len == 0 ? (tg_str_t){NULL, 0} : text;
}

static tg_status_t send_dead_letter(tg_store_t *store, const tg_dead_letter_t *dead)
{
    char partition[4], offset[8], occurred_at[8], published[4];
    const tg_str_t none = {NULL, 0};

    tg_pg_put_int4(partition, dead->partition);
    tg_pg_put_int4(published, dead->published ? 1 : 0);
    tg_pg_put_int8(offset, dead->offset);
    tg_pg_put_int8(occurred_at, dead->occurred_at - TG_PG_EPOCH_US);
    const tg_str_t params[] = {
        {(const char *)dead->id.bytes, sizeof(dead->id.bytes)},
        or_null(dead->tenant),
        or_null(dead->type),
        dead->has_event ? (tg_str_t){(const char *)dead->event_id.bytes, 16} : none,
        dead->has_event ? (tg_str_t){occurred_at, 8} : none,
        dead->code,
        dead->text.ptr == NULL ? TG_STR("") : dead->text,
        dead->topic,
        {partition, 4},
        {offset, 8},
        dead->topic_id.ptr == NULL ? TG_STR("") : dead->topic_id,
        dead->key,
        dead->value,
        dead->headers,
        dead->field.ptr == NULL ? TG_STR("") : dead->field,
        {published, 4},
    };
    return tg_conn_send(store->conn, TG_SQL_DEAD_LETTER, params);
}

/* The second half: what follows from the new rows, and COMMIT. */
static tg_status_t send_rollups(tg_store_t *store, const tg_batch_t *batch, size_t *sent)
{
    tg_status_t status = send_minutes(store, sent);

    if (status == TG_OK)
        status = send_states(store, sent);
    if (status == TG_OK)
        status = send_late(store, sent);
    if (status == TG_OK)
        status = send_hours(store, sent);
    for (size_t i = 0; i < batch->dead_count && status == TG_OK; i++, (*sent)++)
        status = send_dead_letter(store, &batch->dead[i]);
    return status;
}

static tg_status_t commit(tg_store_t *store, const tg_batch_t *batch)
{
    size_t sent = 0;
    tg_status_t status = send_rollups(store, batch, &sent);

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
    size_t own = status == TG_OK ? send_own_times(store, batch, &status) : 0;

    *out_fence_read = own > 0;
    if (own == 0 || status != TG_OK)
        return status;
    status = tg_conn_sync(store->conn);
    if (status == TG_OK)
        status = read_fence(store, batch, result);
    if (status == TG_OK)
        status = read_own_times(store, batch, own);
    return status == TG_OK ? tg_conn_synced(store->conn) : status;
}

/* The way of a batch that may hold duplicates. */
static tg_status_t insert_rows(tg_store_t *store, const tg_batch_t *batch, bool fence_read,
                               tg_store_result_t *result)
{
    tg_status_t status = send_events(store, batch);

    if (status == TG_OK)
        status = tg_conn_sync(store->conn);
    if (status == TG_OK)
        spend_wait(store);
    if (status == TG_OK && !fence_read)
        status = read_fence(store, batch, result);
    if (status == TG_OK)
        status = read_keys(store, batch, result);
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
        fill_copy(store, batch); /* while the server is at the fence */
    if (status == TG_OK && !fence_read)
        status = pass_fence(store, batch, result);
    if (status == TG_OK && store->copy.failed)
        status = TG_INVALID; /* answered like a bad row: the batch gets smaller */
    if (status == TG_OK)
        status = tg_conn_copy(store->conn, tg_sql_copy_events, tg_buf_view(&store->copy));
    if (status == TG_OK)
        status = aggregate_rows(store, batch); /* while the server writes them */
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
    tg_status_t status = ensure_days(store, batch);
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
    sort_rows(batch);
    tg_status_t status = write_once(store, batch, &result);
    if (status == TG_INVALID && strcmp(tg_conn_sqlstate(store->conn), "23514") == 0) {
        /* A day's partition is gone (retention) that we took for granted: look again, once. */
        memset(store->days, 0, sizeof(store->days));
        status = write_once(store, batch, &result);
    }
    if (store->again)
        status = write_once(store, batch, &result);
    *out_result = result;
    return status;
}
