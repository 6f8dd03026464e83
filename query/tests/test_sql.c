/* Each statement against a real PostgreSQL with 60 daily partitions: it runs, its columns are as
 * many as its shape says, and it opens the partitions of its range only. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/pg/tests/server.h"
#include "query/sql.h"

#define DAYS_MAX 64

static tg_pg_server_t pg;
static PGconn *connection;

/* "+3" and "-2" are hours from now, "H+1" whole hours from the begun one; others as they stand. */
static void append_param(tg_buf_t *out, const char *param)
{
    if (param == NULL) {
        tg_buf_str(out, TG_STR("null"));
        return;
    }
    bool whole = param[0] == 'H';
    if (whole || param[0] == '+' || param[0] == '-') {
        char text[TG_TIME_TEXT_MAX];
        int64_t now = tg_time_now();
        int64_t from = whole ? tg_time_floor(now, TG_US_PER_HOUR) : now;
        (void)tg_time_format(from + strtol(param + whole, NULL, 10) * TG_US_PER_HOUR, text);
        tg_buf_printf(out, "'%s'", text);
    } else {
        tg_buf_printf(out, "'%s'", param);
    }
}

static PGresult *run(const char *sql)
{
    PGresult *result = PQexec(connection, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", sql, PQresultErrorMessage(result));
    return result;
}

/* The result of the statement, or of EXPLAIN of it, with those parameters. */
static PGresult *execute(const char *prefix, const char *const *params)
{
    tg_buf_t sql = tg_buf_make(4096);
    tg_buf_printf(&sql, "%s execute statement", prefix);
    for (size_t i = 0; params[i] == NULL || params[i][0] != '\0'; i++) {
        tg_buf_byte(&sql, i == 0 ? '(' : ',');
        append_param(&sql, params[i]);
    }
    tg_buf_str(&sql, TG_STR(")"));
    tg_buf_byte(&sql, '\0');
    assert_false(sql.failed);
    PGresult *result = run(sql.data);
    tg_buf_dispose(&sql);
    return result;
}

/* Adds the day of each partition that a line of a plan names: "events_20261121". */
static void note_days(const char *line, long days[DAYS_MAX], size_t *count)
{
    for (const char *at = line; (at = strchr(at, '_')) != NULL;) {
        char *end = NULL;
        at++;
        long day = isdigit((unsigned char)*at) ? strtol(at, &end, 10) : 0;
        size_t i = 0;
        if (day < 20000101 || end - at != 8)
            continue;
        while (i < *count && days[i] != day)
            i++;
        assert_in_range(i, 0, DAYS_MAX - 1);
        days[i] = day;
        *count += i == *count;
    }
}

static size_t days_opened(const PGresult *plan)
{
    long days[DAYS_MAX];
    size_t count = 0;
    for (int row = 0; row < PQntuples(plan); row++)
        note_days(PQgetvalue(plan, row, 0), days, &count);
    return count;
}

/* A statement with the parameters of its endpoint's defaults and the most days that those touch. */
static const struct {
    const tg_shape_t *shape;
    size_t days;
    const char *params[TG_PLAN_PARAMS_MAX + 1]; /* "" ends them */
} cases[] = {
    {&tg_sql_kpi[0], 2, {"-2", "+0", NULL, "2000", ""}},
    {&tg_sql_kpi[0], 2, {"-1", "+0", "USD", "1", ""}},
    {&tg_sql_kpi[1], 4, {"H-72", "H+1", NULL, "2000", ""}},
    {&tg_sql_kpi_latest[0], 8, {"-168", "+0", NULL, ""}},
    {&tg_sql_kpi_latest[1], 32, {"H-744", "H+0", NULL, ""}},
    {&tg_sql_stream, 3, {"-1", "+0", NULL, "500", "+24", ""}},
    {&tg_sql_stream_latest, 3, {"-24", "+0", NULL, "+24", ""}},
    {&tg_sql_top[0], 2, {"-1", "+0", "10", ""}},
    {&tg_sql_top[1], 2, {"-1", "+0", "10", ""}},
    {&tg_sql_top[2], 2, {"-1", "+0", "10", ""}},
    {&tg_sql_reading_latest, 3, {"-24", "+24", NULL, NULL, "1000", ""}},
    {&tg_sql_reading_history, 2, {"-1", "+0", "d", "m", "-1", "500", ""}},
    {&tg_sql_activity_latest, 2, {"-24", "+0", NULL, ""}},
    {&tg_sql_leaderboard, 2, {"-1", "+0", "10", ""}},
    {&tg_sql_signals, 2, {"-24", "+0", NULL, NULL, NULL, "500", ""}},
    {&tg_sql_signals, 2, {"-24", "+0", "u", "web", "click", "500", ""}},
    {&tg_sql_anomalies, 0, {"-24", "+0", "u", "z", "3", "500", ""}},
    {&tg_sql_alerts, 0, {"-24", "+0", NULL, NULL, "500", ""}},
};

static void prepare(const tg_shape_t *shape)
{
    PQclear(run("deallocate all"));
    PGresult *result = PQprepare(connection, "statement", shape->sql, 0, NULL);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", shape->name, PQresultErrorMessage(result));
    PQclear(result);
}

static void every_statement_runs_and_has_its_shapes_columns(void **state)
{
    (void)state;
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        prepare(cases[i].shape);
        PGresult *rows = execute("", cases[i].params);
        assert_int_equal(PQnfields(rows), cases[i].shape->column_count);
        PQclear(rows);
    }
}

static void every_statement_opens_the_partitions_of_its_range_only(void **state)
{
    (void)state;
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        prepare(cases[i].shape);
        PGresult *plan = execute("explain", cases[i].params);
        size_t opened = days_opened(plan);
        if (opened > cases[i].days || (cases[i].days > 0 && opened == 0))
            fail_msg("%s opens the partitions of %zu days, %zu expected", cases[i].shape->name,
                     opened, cases[i].days);
        PQclear(plan);
    }
}

/* The counterpart of the test above: that it can fail. */
static void a_statement_without_bounds_opens_all(void **state)
{
    (void)state;
    PGresult *plan = run("explain select * from api.metric_minute where type = 'order'");
    assert_in_range(days_opened(plan), 60, DAYS_MAX);
    PQclear(plan);
}

static void the_newest_rows_come_in_order_out_of_the_index(void **state)
{
    (void)state;
    static const char *const params[] = {"-24", "+0", NULL, NULL, NULL, "500", ""};
    prepare(&tg_sql_signals);
    PQclear(run("set enable_seqscan = off"));
    PGresult *plan = execute("explain", params);
    int backward = 0;
    for (int row = 0; row < PQntuples(plan); row++)
        backward += strstr(PQgetvalue(plan, row, 0), "Index Scan Backward using events_") != NULL;
    assert_in_range(backward, 1, 2);
    PQclear(plan);
    PQclear(run("reset enable_seqscan"));
}

static int start(void **state)
{
    (void)state;
    char dsn[160];
    if (tg_pg_server_create(&pg) != 0 || tg_pg_server_migrate(&pg) != 0 ||
        tg_pg_server_sql(&pg, "select data.ensure_days(array(select (now() at time zone 'UTC')"
                              "::date + 2 - day from generate_series(0, 59) day));"
                              "insert into data.touched_hours (tenant_id, hour)"
                              " select 'acme', date_trunc('hour', now(), 'UTC')") != 0)
        return -1;
    (void)snprintf(dsn, sizeof(dsn), "host=%s user=tidegate_query dbname=postgres", pg.dir);
    connection = PQconnectdb(dsn);
    if (PQstatus(connection) != CONNECTION_OK)
        return -1;
    PQclear(run("begin"));
    PQclear(run("select set_config('tidegate.tenant', 'acme', true)"));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    PQfinish(connection);
    return tg_pg_server_do(&pg, "destroy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_statement_runs_and_has_its_shapes_columns),
        cmocka_unit_test(every_statement_opens_the_partitions_of_its_range_only),
        cmocka_unit_test(a_statement_without_bounds_opens_all),
        cmocka_unit_test(the_newest_rows_come_in_order_out_of_the_index),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
