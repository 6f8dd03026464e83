/* list -> step, step, … on each entry until it finds nothing -> the next entry -> rest. */
#include "worker/upkeep/retention.h"

#include "common/base/time.h"
#include "worker/metrics.h"
#include "worker/pg/pgarray.h"
#include "worker/store/sql.h"

/* Columns of the list; the first four go back as they came. */
enum { PART_RELATION, PART_NAME, PART_PACKED, PART_DAY, PART_COLUMNS };

/* The labels of tidegate_worker_retention_rows_total, in their order. */
static const char *const tables[] = {"late_bins",
                                     "events",
                                     "metric_minute",
                                     "metric_hour",
                                     "metric_day",
                                     "metric_hour_bins",
                                     "metric_hour_kind_bins",
                                     "anomalies",
                                     "alerts",
                                     "dead_letters",
                                     "audit_log"};

void tg_retention_dispose(tg_retention_t *retention)
{
    PQclear(retention->parts);
    retention->parts = NULL;
}

static bool find_table(tg_str_t relation, unsigned *out_table)
{
    for (unsigned i = 0; i < TG_ARRAY_LEN(tables); i++) {
        if (tg_str_eq(relation, tg_str_from(tables[i]))) {
            *out_table = i;
            return true;
        }
    }
    return false; /* a newer schema's */
}

/* The age that counts for a table; 0: none. */
static uint64_t age_of(const tg_retention_config_t *config, const char *table)
{
    if (strcmp(table, "audit_log") == 0)
        return config->audit_ms;
    return strcmp(table, "dead_letters") == 0 ? config->dead_letters_ms : 0;
}

static tg_status_t step(const tg_retention_t *retention, const tg_retention_config_t *config,
                        const char *table, tg_conn_t *conn, int64_t *out_rows)
{
    PGresult *result = NULL;
    tg_str_t params[PART_COLUMNS + 2];
    char age[8], most[4];

    for (int i = 0; i < PART_COLUMNS; i++)
        params[i] = tg_conn_cell(retention->parts, retention->next, i);
    tg_pg_put_int8(age, (int64_t)age_of(config, table));
    tg_pg_put_int4(most, TG_RETENTION_ROWS);
    params[PART_COLUMNS] = (tg_str_t){age, sizeof(age)};
    params[PART_COLUMNS + 1] = (tg_str_t){most, sizeof(most)};
    tg_status_t status = tg_conn_query(conn, TG_SQL_EXPIRE, params, &result);
    if (status != TG_OK)
        return status;
    *out_rows = tg_conn_int8(result, 0, 0);
    assert(*out_rows >= 0);
    PQclear(result);
    return TG_OK;
}

static void tell(const tg_retention_t *retention, unsigned table, int64_t rows,
                 tg_metrics_shard_t *shard)
{
    tg_metric_add(shard, WK_RETENTION_ROWS, table, (uint64_t)rows);
    if (rows > 0 && tg_conn_cell(retention->parts, retention->next, PART_DAY).ptr != NULL)
        tg_metric_set(shard, WK_RETENTION_DAY, 0,
                      tg_conn_time(retention->parts, retention->next, PART_DAY) / TG_US_PER_SECOND);
}

static tg_status_t begin_sweep(tg_retention_t *retention, tg_conn_t *conn)
{
    assert(retention->parts == NULL);
    retention->next = 0;
    return tg_conn_query(conn, TG_SQL_RETENTION_PARTS, NULL, &retention->parts);
}

static void end_sweep(tg_retention_t *retention, const tg_retention_config_t *config,
                      tg_metrics_shard_t *shard)
{
    tg_retention_dispose(retention);
    retention->due_ms = tg_time_mono_ms() + config->interval_ms;
    tg_metric_add(shard, WK_RETENTION_SWEEPS, 0, 1);
    tg_metric_set(shard, WK_RETENTION_DAY, 0, 0);
}

/* One step, or on to the next entry when there is nothing left to delete in this one. */
static tg_status_t advance(tg_retention_t *retention, const tg_retention_config_t *config,
                           tg_conn_t *conn, tg_metrics_shard_t *shard)
{
    unsigned table = 0;
    int64_t rows = 0;
    tg_status_t status = TG_OK;

    if (find_table(tg_conn_cell(retention->parts, retention->next, PART_RELATION), &table))
        status = step(retention, config, tables[table], conn, &rows);
    if (status == TG_OK)
        tell(retention, table, rows, shard);
    /* What fails for good must not stand in the way of the others; the next sweep tries it again.
     */
    if (status == TG_OK ? rows == 0 : tg_conn_connected(conn))
        retention->next++;
    return status;
}

tg_status_t tg_retention_run(tg_retention_t *retention, const tg_retention_config_t *config,
                             tg_conn_t *conn, tg_metrics_shard_t *shard,
                             const atomic_bool *stopping)
{
    assert(retention != NULL && config != NULL);
    assert(conn != NULL);
    uint64_t until = tg_time_mono_ms() + TG_RETENTION_MS;
    tg_status_t status = TG_OK;

    if (retention->parts == NULL) {
        if (tg_time_mono_ms() < retention->due_ms)
            return TG_OK;
        status = begin_sweep(retention, conn);
    }
    while (status == TG_OK && retention->next < PQntuples(retention->parts) &&
           tg_time_mono_ms() < until && !atomic_load(stopping))
        status = advance(retention, config, conn, shard);
    if (status == TG_OK && retention->next == PQntuples(retention->parts))
        end_sweep(retention, config, shard);
    return status;
}
