/* See refresh.h. */
#include "worker/upkeep/refresh.h"

#include <stdlib.h>

#include "common/base/time.h"
#include "worker/pg/pgarray.h"

#define ANSWER_MS UINT64_C(920000) /* beyond the server's own limit below */
/* The planner multiplies the columns' numbers of values and so expects as many groups as minutes;
 * it would sort them on disk. Hashing them is 2.4 times as fast. */
#define SETTINGS       "SET statement_timeout = '15min'; SET work_mem = '64MB'; SET enable_sort = off"
#define PLAIN_LIMIT    100 /* touched (tenant, hour)s in one transaction */
#define DUE_LIMIT      100 /* hours in one question */
#define CONFLICT_TRIES 3

enum { ALL_COMPRESS, ALL_DROP, ALL_BACKLOG, ALL_COUNT };
enum { PLAIN_HOURS = ALL_COUNT, PLAIN_DAYS, PLAIN_COUNT };
enum {
    TS_DUE = ALL_COUNT,
    TS_CALL = TS_DUE + 2,
    TS_TAKE = TS_CALL + 2,
    TS_DONE,
    TS_FOLD,
    TS_COUNT
};

#define I4 TG_PG_INT4
#define I8 TG_PG_INT8
#define T  TG_PG_TEXT
#define TZ TG_PG_TIMESTAMPTZ
#define F8 TG_PG_FLOAT8

// clang-format off
#define WAITING(column, table, width)                                                                       \
    "(SELECT count(*) FROM (SELECT DISTINCT tenant_id, " column " FROM data." table                          \
    " WHERE " column " <= now() - interval '" width "') x)"
#define ALL_STATEMENTS                                                                                       \
    [ALL_COMPRESS] = {"compress", "SELECT data.compress_next($1 * interval '1 millisecond')", 1, {F8}},      \
    [ALL_DROP] = {"drop", "SELECT data.drop_next()", 0, {0}},                                                \
    [ALL_BACKLOG] = {"backlog", "SELECT " WAITING("hour", "touched_hours", "1 hour") ", "                    \
                     WAITING("day", "touched_days", "24 hours"), 0, {0}}
#define CALL(view, width)                                                                                    \
    "CALL public.refresh_continuous_aggregate('data." view "', $1::timestamptz,"                             \
    " $1::timestamptz + interval '" width "', force => true)"

static const tg_statement_t plain_statements[PLAIN_COUNT] = {
    ALL_STATEMENTS,
    [PLAIN_HOURS] = {"hours", "SELECT data.refresh_hours($1)", 1, {I4}},
    [PLAIN_DAYS] = {"days", "SELECT data.refresh_days($1)", 1, {I4}},
};
static const tg_statement_t timescale_statements[TS_COUNT] = {
    ALL_STATEMENTS,
    [TS_DUE + TG_REFRESH_HOURS] = {"due_hours", "SELECT data.due_hours($1)", 1, {I4}},
    [TS_DUE + TG_REFRESH_DAYS] = {"due_days", "SELECT data.due_days($1)", 1, {I4}},
    [TS_CALL + TG_REFRESH_HOURS] = {"call_hour", CALL("metric_hour", "1 hour"), 1, {TZ}},
    [TS_CALL + TG_REFRESH_DAYS] = {"call_day", CALL("metric_day", "24 hours"), 1, {TZ}},
    [TS_TAKE] = {"take", "SELECT data.take_marks($1, $2)", 2, {T, TZ}},
    [TS_DONE] = {"done", "SELECT data.marks_done($1, $2, $3, $4)", 4, {T, TZ, I8, F8}},
    [TS_FOLD] = {"fold", "SELECT data.fold_marks()", 0, {0}},
};
// clang-format on

static const char *const level_names[TG_REFRESH_LEVELS] = {"hour", "day"};

struct tg_refresh {
    tg_refresh_config_t config;
    tg_conn_t *conn;
};

tg_refresh_t *tg_refresh_create(const tg_refresh_config_t *config)
{
    assert(config != NULL);
    assert(config->wait != NULL);
    bool plain = config->engine == TG_ENGINE_PLAIN;
    tg_refresh_t *refresh = calloc(1, sizeof(*refresh));
    if (refresh == NULL)
        return NULL;
    refresh->config = *config;
    const tg_conn_config_t conn = {.dsn = config->dsn,
                                   .name = "tidegate-worker-refresh",
                                   .settings = SETTINGS,
                                   .statements = plain ? plain_statements : timescale_statements,
                                   .statement_count = plain ? PLAIN_COUNT : TS_COUNT,
                                   .connect_timeout_ms = config->connect_timeout_ms,
                                   .wait_ms = ANSWER_MS};
    refresh->conn = tg_conn_create(&conn);
    if (refresh->conn == NULL) {
        free(refresh);
        return NULL;
    }
    return refresh;
}

void tg_refresh_destroy(tg_refresh_t *refresh)
{
    if (refresh == NULL)
        return;
    tg_conn_destroy(refresh->conn);
    free(refresh);
}

const tg_conn_t *tg_refresh_conn(const tg_refresh_t *refresh)
{
    return refresh->conn;
}

static tg_status_t connect_once(tg_refresh_t *refresh)
{
    bool fresh = false;
    tg_conn_check(refresh->conn);
    return tg_conn_connect(refresh->conn, &fresh);
}

/* Waits for the answer to what has been sent, in the caller's way. */
static tg_status_t await(tg_refresh_t *refresh)
{
    tg_status_t status = tg_conn_flush(refresh->conn);

    while (status == TG_OK && !tg_conn_answered(refresh->conn)) {
        if (refresh->config.wait(refresh->config.arg))
            continue;
        tg_conn_disconnect(refresh->conn); /* the server ends it, or finishes it without harm */
        status = TG_UNAVAILABLE;
    }
    return status;
}

/* One statement alone: it commits, or has committed, by itself. */
static tg_status_t query(tg_refresh_t *refresh, size_t statement, const tg_str_t *params,
                         PGresult **out_result)
{
    PGresult *result = NULL;
    tg_status_t status = tg_conn_send(refresh->conn, statement, params);

    if (status == TG_OK)
        status = await(refresh);
    if (status == TG_OK)
        status = tg_conn_result(refresh->conn, &result);
    tg_conn_settle(refresh->conn);
    if (status == TG_OK && !tg_conn_connected(refresh->conn))
        status = TG_UNAVAILABLE;
    if (status == TG_OK && out_result != NULL)
        *out_result = result;
    else
        PQclear(result);
    return status;
}

static void put_float8(char bytes[8], double value)
{
    int64_t bits = 0;
    memcpy(&bits, &value, sizeof(bits));
    tg_pg_put_int8(bytes, bits);
}

static void tell(const tg_refresh_t *refresh, unsigned level, uint64_t start_us)
{
    if (refresh->config.refreshed != NULL)
        refresh->config.refreshed(refresh->config.arg, level,
                                  (double)(tg_time_mono_us() - start_us) / 1e6);
}

/* --- plain PostgreSQL --- */

/* One call of a refresh function in its own REPEATABLE READ transaction; how many it rolled up. */
static tg_status_t plain_once(tg_refresh_t *refresh, unsigned level, int32_t *out_done)
{
    PGresult *result = NULL;
    char limit[4];

    tg_pg_put_int4(limit, PLAIN_LIMIT);
    const tg_str_t params = {limit, sizeof(limit)};
    tg_status_t status = tg_conn_send_text(refresh->conn, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    if (status == TG_OK)
        status = tg_conn_send(refresh->conn, PLAIN_HOURS + level, &params);
    if (status == TG_OK)
        status = await(refresh);
    if (status == TG_OK)
        status = tg_conn_expect(refresh->conn);
    if (status == TG_OK)
        status = tg_conn_result(refresh->conn, &result);
    if (status == TG_OK)
        status = tg_conn_send_text(refresh->conn, "COMMIT");
    if (status == TG_OK)
        status = tg_conn_flush(refresh->conn);
    if (status == TG_OK)
        status = tg_conn_expect(refresh->conn);
    if (status == TG_OK)
        *out_done = tg_conn_int4(result, 0, 0);
    PQclear(result);
    tg_conn_settle(refresh->conn);
    return status;
}

static tg_status_t plain_level(tg_refresh_t *refresh, unsigned level, uint64_t until_ms)
{
    tg_status_t status = TG_OK;
    int32_t done = PLAIN_LIMIT;
    unsigned conflicts = 0;

    while (done >= PLAIN_LIMIT && tg_time_mono_ms() < until_ms) {
        uint64_t start = tg_time_mono_us();
        status = plain_once(refresh, level, &done);
        if (status == TG_CONFLICT && conflicts++ < CONFLICT_TRIES)
            continue;
        if (status != TG_OK)
            break;
        if (done > 0)
            tell(refresh, level, start);
    }
    return status;
}

/* --- TimescaleDB --- */

static tg_status_t take_marks(tg_refresh_t *refresh, unsigned level, tg_str_t bucket,
                              char number[8])
{
    PGresult *result = NULL;
    const tg_str_t params[] = {tg_str_from(level_names[level]), bucket};

    tg_status_t status = query(refresh, TS_TAKE, params, &result);
    if (status == TG_OK)
        tg_pg_put_int8(number, tg_conn_int8(result, 0, 0));
    PQclear(result);
    return status;
}

static tg_status_t refresh_bucket(tg_refresh_t *refresh, unsigned level, tg_str_t bucket)
{
    char number[8], seconds[8];
    uint64_t start = tg_time_mono_us();

    tg_status_t status = take_marks(refresh, level, bucket, number);
    if (status == TG_OK)
        status = query(refresh, TS_CALL + level, &bucket, NULL);
    if (status != TG_OK)
        return status;
    put_float8(seconds, (double)(tg_time_mono_us() - start) / 1e6);
    const tg_str_t params[] = {tg_str_from(level_names[level]), bucket, {number, 8}, {seconds, 8}};
    status = query(refresh, TS_DONE, params, NULL);
    if (status == TG_OK)
        tell(refresh, level, start);
    return status;
}

/* Another holder of a lapsed lease may be at the same bucket: then the rest is left to it. */
static tg_status_t timescale_level(tg_refresh_t *refresh, unsigned level, uint64_t until_ms)
{
    PGresult *due = NULL;
    char limit[4];
    tg_status_t status = query(refresh, TS_FOLD, NULL, NULL);

    tg_pg_put_int4(limit, DUE_LIMIT);
    const tg_str_t params = {limit, sizeof(limit)};
    if (status == TG_OK)
        status = query(refresh, TS_DUE + level, &params, &due);
    if (status != TG_OK)
        return status;
    for (int row = 0; status == TG_OK && row < PQntuples(due) && tg_time_mono_ms() < until_ms;
         row++)
        status = refresh_bucket(refresh, level, tg_conn_cell(due, row, 0));
    PQclear(due);
    return status;
}

/* --- both --- */

tg_status_t tg_refresh_level(tg_refresh_t *refresh, unsigned level, uint64_t budget_ms)
{
    assert(refresh != NULL);
    assert(level < TG_REFRESH_LEVELS);
    uint64_t until = tg_time_mono_ms() + budget_ms;
    tg_status_t status = connect_once(refresh);

    if (status != TG_OK)
        return status;
    return refresh->config.engine == TG_ENGINE_PLAIN ? plain_level(refresh, level, until)
                                                     : timescale_level(refresh, level, until);
}

/* Repeats a function that does one piece of work until it finds none. */
static tg_status_t repeat(tg_refresh_t *refresh, size_t statement, const tg_str_t *params,
                          uint64_t budget_ms)
{
    uint64_t until = tg_time_mono_ms() + budget_ms;
    tg_status_t status = connect_once(refresh);
    int32_t done = 1;

    while (status == TG_OK && done > 0 && tg_time_mono_ms() < until) {
        PGresult *result = NULL;
        status = query(refresh, statement, params, &result);
        if (status == TG_OK)
            done = tg_conn_int4(result, 0, 0);
        PQclear(result);
    }
    return status;
}

tg_status_t tg_refresh_compress(tg_refresh_t *refresh, uint64_t budget_ms)
{
    char age[8];

    if (refresh->config.compress_after_ms == 0)
        return TG_OK;
    put_float8(age, (double)refresh->config.compress_after_ms);
    const tg_str_t params = {age, sizeof(age)};
    return repeat(refresh, ALL_COMPRESS, &params, budget_ms);
}

tg_status_t tg_refresh_drop(tg_refresh_t *refresh, uint64_t budget_ms)
{
    return repeat(refresh, ALL_DROP, NULL, budget_ms);
}

tg_status_t tg_refresh_backlog(tg_refresh_t *refresh, int64_t out_waiting[TG_REFRESH_LEVELS])
{
    PGresult *result = NULL;
    tg_status_t status = connect_once(refresh);

    if (status == TG_OK)
        status = query(refresh, ALL_BACKLOG, NULL, &result);
    for (int level = 0; status == TG_OK && level < TG_REFRESH_LEVELS; level++)
        out_waiting[level] = tg_conn_int8(result, 0, level);
    PQclear(result);
    return status;
}
