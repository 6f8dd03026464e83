/* See bins.h. The work itself is SQL: it reads and writes nothing but tables. */
#include "worker/upkeep/bins.h"

#include "common/base/time.h"
#include "worker/pg/pgarray.h"
#include "worker/store/sql.h"

/* One statement in a transaction of one snapshot. */
static tg_status_t step(tg_conn_t *conn, size_t statement, const tg_str_t *params,
                        PGresult **out_result)
{
    PGresult *result = NULL;
    tg_status_t status = tg_conn_send_text(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ");

    if (status == TG_OK)
        status = tg_conn_send(conn, statement, params);
    if (status == TG_OK)
        status = tg_conn_flush(conn);
    if (status == TG_OK)
        status = tg_conn_expect(conn);
    if (status == TG_OK)
        status = tg_conn_result(conn, &result);
    if (status == TG_OK)
        status = tg_conn_send_text(conn, "COMMIT");
    if (status == TG_OK)
        status = tg_conn_flush(conn);
    if (status == TG_OK)
        status = tg_conn_expect(conn);
    tg_conn_settle(conn);
    if (status == TG_OK)
        *out_result = result;
    else
        PQclear(result);
    return status;
}

static int64_t hour_rows(tg_bins_t *bins)
{
    if (bins->hour_rows == 0 || tg_time_mono_ms() >= bins->narrow_until_ms)
        bins->hour_rows = TG_BINS_HOUR_ROWS;
    return bins->hour_rows;
}

static void narrow(tg_bins_t *bins)
{
    bins->hour_rows /= 2;
    if (bins->hour_rows < TG_BINS_NARROW_LEAST)
        bins->hour_rows = TG_BINS_NARROW_LEAST;
    bins->narrow_until_ms = tg_time_mono_ms() + TG_BINS_NARROW_MS;
}

/* Bins what one step takes; how many hours that was. */
static tg_status_t bin_hours(tg_bins_t *bins, tg_conn_t *conn, int64_t epoch,
                             tg_metrics_shard_t *shard, int32_t *out_hours)
{
    PGresult *result = NULL;
    char bytes[3][8];
    uint64_t start = tg_time_mono_us();

    tg_pg_put_int8(bytes[0], epoch);
    tg_pg_put_int8(bytes[1], TG_BINS_STEP_ROWS);
    tg_pg_put_int8(bytes[2], hour_rows(bins));
    const tg_str_t params[] = {{bytes[0], 8}, {bytes[1], 8}, {bytes[2], 8}};
    tg_status_t status = step(conn, TG_SQL_BIN_HOURS, params, &result);
    if (status != TG_OK) {
        if (status != TG_CONFLICT && tg_conn_connected(conn))
            narrow(bins);
        return status;
    }
    *out_hours = tg_conn_int4(result, 0, 0);
    assert(*out_hours >= 0);
    tg_metric_add(shard, WK_BIN_HOURS, 0, (uint64_t)*out_hours);
    tg_metric_add(shard, WK_BIN_VALUES, 0, (uint64_t)tg_conn_int8(result, 0, 1));
    tg_metric_set(shard, WK_BIN_PENDING, 0, tg_conn_int8(result, 0, 2));
    tg_metric_set(shard, WK_BIN_PENDING, 1, tg_conn_int8(result, 0, 3));
    if (*out_hours > 0)
        tg_metric_observe(shard, WK_BIN_SECONDS, 0, (double)(tg_time_mono_us() - start) / 1e6);
    PQclear(result);
    return TG_OK;
}

static tg_status_t fold_late(tg_conn_t *conn, int64_t epoch, tg_metrics_shard_t *shard,
                             int32_t *out_folded)
{
    PGresult *result = NULL;
    char holder[8], limit[4];

    tg_pg_put_int8(holder, epoch);
    tg_pg_put_int4(limit, TG_BINS_LATE_ROWS);
    const tg_str_t params[] = {{holder, 8}, {limit, 4}};
    tg_status_t status = step(conn, TG_SQL_BIN_LATE, params, &result);
    if (status != TG_OK)
        return status;
    *out_folded = tg_conn_int4(result, 0, 0);
    assert(*out_folded >= 0);
    tg_metric_add(shard, WK_BIN_LATE, 0, (uint64_t)*out_folded);
    PQclear(result);
    return TG_OK;
}

tg_status_t tg_bins_run(tg_bins_t *bins, tg_conn_t *conn, int64_t epoch, tg_metrics_shard_t *shard,
                        const atomic_bool *stopping)
{
    assert(bins != NULL);
    assert(conn != NULL);
    uint64_t until = tg_time_mono_ms() + TG_BINS_ROUND_MS;
    int32_t hours = 1, folded = TG_BINS_LATE_ROWS;
    tg_status_t status = TG_OK;

    while (status == TG_OK && folded == TG_BINS_LATE_ROWS && tg_time_mono_ms() < until &&
           !atomic_load(stopping))
        status = fold_late(conn, epoch, shard, &folded);
    while (status == TG_OK && hours > 0 && tg_time_mono_ms() < until && !atomic_load(stopping))
        status = bin_hours(bins, conn, epoch, shard, &hours);
    return status;
}
