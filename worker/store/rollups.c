/* What follows from the new rows: minutes, running states, late values and touched hours; and the
 * dead letters, which go with them. Each is sorted, so that two workers lock in one order. */
#include "worker/store/private.h"

#include "worker/store/bin.h"

#define LATE_AFTER_US (60 * TG_US_PER_SECOND) /* hours are binned 90 s after their end */

void tg_store_fill_minutes(tg_store_t *store)
{
    static const unsigned elements[] = {TG_PG_TEXT,   TG_PG_TEXT,  TG_PG_TIMESTAMPTZ, TG_PG_TEXT,
                                        TG_PG_TEXT,   TG_PG_INT8,  TG_PG_INT8,        TG_PG_TEXT,
                                        TG_PG_FLOAT8, TG_PG_FLOAT8};
    const tg_minute_t *const *minutes = tg_aggregate_minutes(store->aggregate, &store->minutes);

    tg_store_start_columns(store, elements, TG_ARRAY_LEN(elements));
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
        tg_store_optional_float8(&store->columns[8], minute->value_count > 0, minute->min);
        tg_store_optional_float8(&store->columns[9], minute->value_count > 0, minute->max);
    }
}

tg_status_t tg_store_aggregate_rows(tg_store_t *store, const tg_batch_t *batch)
{
    for (size_t i = 0; i < batch->row_count; i++) {
        if (tg_aggregate_add(store->aggregate, batch->rows[i]) != TG_OK)
            return TG_UNAVAILABLE;
    }
    tg_store_fill_minutes(store);
    return TG_OK;
}

/* What tg_store_fill_minutes has put there; first of the roll-ups, as the others use the columns
 * anew. */
static tg_status_t send_minutes(tg_store_t *store, size_t *sent)
{
    if (store->minutes == 0)
        return TG_OK;
    (*sent)++;
    return tg_store_send_columns(store, COLUMNS_MAX, TG_SQL_MINUTES);
}

static tg_status_t send_states(tg_store_t *store, size_t *sent)
{
    static const unsigned elements[] = {TG_PG_TEXT, TG_PG_TEXT, TG_PG_TEXT, TG_PG_TEXT, TG_PG_INT8};
    size_t count = 0;
    const tg_state_delta_t *const *states = tg_aggregate_states(store->aggregate, &count);

    if (count == 0)
        return TG_OK;
    tg_store_start_columns(store, elements, TG_ARRAY_LEN(elements));
    for (size_t i = 0; i < count; i++) {
        const tg_row_t *row = states[i]->row;
        tg_pgarray_text(&store->columns[0], row->tenant);
        tg_pgarray_text(&store->columns[1], row->type);
        tg_pgarray_text(&store->columns[2], row->entity);
        tg_pgarray_text(&store->columns[3], row->state);
        tg_pgarray_int8(&store->columns[4], states[i]->delta);
    }
    (*sent)++;
    return tg_store_send_columns(store, TG_ARRAY_LEN(elements), TG_SQL_STATES);
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
    tg_store_start_columns(store, elements, TG_ARRAY_LEN(elements));
    for (size_t i = 0; i < count; i++) {
        tg_pgarray_text(&store->columns[0], rows[i]->tenant);
        tg_pgarray_text(&store->columns[1], rows[i]->type);
        tg_pgarray_time(&store->columns[2], tg_time_floor(rows[i]->occurred_at, TG_US_PER_HOUR));
        tg_pgarray_text(&store->columns[3], rows[i]->kind);
        tg_pgarray_text(&store->columns[4], rows[i]->entity);
        tg_pgarray_int4(&store->columns[5], tg_bin_of(rows[i]->value));
    }
    (*sent)++;
    return tg_store_send_columns(store, TG_ARRAY_LEN(elements), TG_SQL_LATE);
}

static tg_status_t send_hours(tg_store_t *store, size_t *sent)
{
    static const unsigned elements[] = {TG_PG_TEXT, TG_PG_TIMESTAMPTZ, TG_PG_INT4};
    size_t count = 0;
    const tg_hour_t *const *hours = tg_aggregate_hours(store->aggregate, &count);

    if (count == 0)
        return TG_OK;
    tg_store_start_columns(store, elements, TG_ARRAY_LEN(elements));
    for (size_t i = 0; i < count; i++) {
        tg_pgarray_text(&store->columns[0], hours[i]->row->tenant);
        tg_pgarray_time(&store->columns[1], hours[i]->hour);
        tg_pgarray_int4(&store->columns[2], hours[i]->late ? 1 : 0);
    }
    (*sent)++;
    return tg_store_send_columns(store, TG_ARRAY_LEN(elements), TG_SQL_HOURS);
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

tg_status_t tg_store_send_rollups(tg_store_t *store, const tg_batch_t *batch, size_t *sent)
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
