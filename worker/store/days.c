/* Which days have their partitions: known for a minute, else asked for. */
#include "worker/store/private.h"

#define DAYS_KNOWN_MS 60000 /* for so long: the horizon moves */

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

void tg_store_forget_days(tg_store_t *store)
{
    memset(store->days, 0, sizeof(store->days));
}

tg_status_t tg_store_ensure_days(tg_store_t *store, const tg_batch_t *batch)
{
    int64_t missing[TG_BATCH_DAYS_MAX];
    size_t count = 0;
    tg_str_t days = {0};

    if (tg_time_mono_ms() >= store->days_until_ms) {
        tg_store_forget_days(store);
        store->days_until_ms = tg_time_mono_ms() + DAYS_KNOWN_MS;
    }
    if (!missing_days(store, batch, missing, &count))
        return TG_INVALID;
    if (count == 0)
        return TG_OK;
    tg_store_start_columns(store, (const unsigned[]){TG_PG_DATE}, 1);
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
