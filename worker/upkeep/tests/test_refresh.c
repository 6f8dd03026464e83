/* The long pieces of maintenance against a real server, on each engine that it offers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "worker/store/tests/db.h"
#include "worker/upkeep/refresh.h"

#define BUDGET_MS UINT64_C(60000)

static tg_test_db_t db;
static tg_engine_t engine;
static tg_refresh_t *refresh;
static bool go_on;
static unsigned waits, refreshed[TG_REFRESH_LEVELS];

static bool wait_a_moment(void *arg)
{
    assert_ptr_equal(arg, &db);
    waits++;
    (void)usleep(1000);
    return go_on;
}

static void on_refreshed(void *arg, unsigned level, double seconds)
{
    (void)arg;
    assert_true(level < TG_REFRESH_LEVELS);
    assert_true(seconds > 0);
    refreshed[level]++;
}

static int start(void **state)
{
    (void)state;
    return tg_test_db_start(&db);
}

static int stop(void **state)
{
    (void)state;
    tg_test_db_stop(&db);
    return 0;
}

static int fresh(void **state)
{
    (void)state;
    const tg_refresh_config_t config = {.dsn = db.worker_dsn,
                                        .engine = engine,
                                        .connect_timeout_ms = 5000,
                                        .compress_after_ms = UINT64_C(86400000),
                                        .wait = wait_a_moment,
                                        .refreshed = on_refreshed,
                                        .arg = &db};
    go_on = true;
    waits = refreshed[0] = refreshed[1] = 0;
    refresh = tg_refresh_create(&config);
    tg_test_db_exec(&db, "TRUNCATE data.metric_minute, data.touched_hours, data.touched_days, "
                         "data.unbinned_hours");
    tg_test_db_exec(&db, "SELECT data.ensure_days(array(SELECT current_date - n FROM "
                         "generate_series(0, 5) n))");
    return refresh == NULL ? -1 : 0;
}

static int clean(void **state)
{
    (void)state;
    tg_refresh_destroy(refresh);
    return 0;
}

/* One series of tenants a and b with one event in each hour of the day that ended `days` ago. */
static void fill_day(int days)
{
    char sql[512];
    snprintf(sql, sizeof(sql),
             "INSERT INTO data.metric_minute (tenant_id, type, bucket, count) "
             "SELECT t, 'order', (current_date - %d)::timestamp AT TIME ZONE 'UTC' "
             "+ h * interval '1 hour', 1 FROM unnest('{a,b}'::text[]) t, generate_series(0, 23) h",
             days);
    tg_test_db_exec(&db, sql);
    tg_test_db_exec(&db, "INSERT INTO data.touched_hours (tenant_id, hour) "
                         "SELECT tenant_id, bucket FROM data.metric_minute");
}

static long count(const char *what)
{
    char sql[256];
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", what);
    return tg_test_db_int(&db, sql);
}

static void hours_and_then_days_are_rolled_up_until_nothing_is_left(void **state)
{
    (void)state;
    int64_t waiting[TG_REFRESH_LEVELS] = {0};
    fill_day(3);
    tg_test_db_exec(&db, "INSERT INTO data.touched_hours (tenant_id, hour) VALUES ('a', now())");
    assert_int_equal(tg_refresh_backlog(refresh, waiting), TG_OK);
    assert_int_equal(waiting[TG_REFRESH_HOURS], 48);
    assert_int_equal(waiting[TG_REFRESH_DAYS], 0);
    assert_int_equal(tg_refresh_level(refresh, TG_REFRESH_HOURS, BUDGET_MS), TG_OK);
    assert_int_equal(tg_refresh_backlog(refresh, waiting), TG_OK);
    assert_int_equal(waiting[TG_REFRESH_HOURS], 0);
    assert_int_equal(waiting[TG_REFRESH_DAYS], 2);
    assert_int_equal(count("data.touched_hours"), 1); /* the open one */
    assert_int_equal(count("(SELECT DISTINCT tenant_id, day FROM data.touched_days) d"), 2);
    assert_int_equal(tg_refresh_level(refresh, TG_REFRESH_DAYS, BUDGET_MS), TG_OK);
    assert_int_equal(count("data.touched_days"), 0);
    assert_int_equal(tg_test_db_int(&db, "SELECT sum(count) FROM data.metric_hour"), 48);
    assert_int_equal(tg_test_db_int(&db, "SELECT sum(count) FROM data.metric_day"), 48);
    assert_int_equal(count("data.metric_day"), 2);
    assert_true(refreshed[TG_REFRESH_HOURS] > 0);
    assert_int_equal(refreshed[TG_REFRESH_DAYS], 1);
}

static void without_time_nothing_is_done(void **state)
{
    (void)state;
    fill_day(4);
    assert_int_equal(tg_refresh_level(refresh, TG_REFRESH_HOURS, 0), TG_OK);
    assert_int_equal(tg_refresh_compress(refresh, 0), TG_OK);
    assert_int_equal(tg_refresh_drop(refresh, 0), TG_OK);
    assert_int_equal(count("data.touched_hours"), 48);
    assert_int_equal(refreshed[TG_REFRESH_HOURS], 0);
}

static void a_caller_that_gives_up_is_obeyed_and_the_marks_stay(void **state)
{
    (void)state;
    fill_day(4);
    assert_int_equal(tg_refresh_drop(refresh, 0), TG_OK); /* connects */
    tg_test_db_exec(&db, "BEGIN; LOCK TABLE data.touched_hours IN ACCESS EXCLUSIVE MODE");
    go_on = false;
    assert_int_equal(tg_refresh_level(refresh, TG_REFRESH_HOURS, BUDGET_MS), TG_UNAVAILABLE);
    assert_int_equal(waits, 1);
    tg_test_db_exec(&db, "COMMIT");
    assert_int_equal(count("data.touched_hours"), 48);
    go_on = true;
    assert_int_equal(tg_refresh_level(refresh, TG_REFRESH_HOURS, BUDGET_MS), TG_OK);
    assert_int_equal(count("data.touched_hours"), 0);
}

static void a_server_that_was_away_is_found_again(void **state)
{
    (void)state;
    fill_day(2);
    assert_int_equal(tg_refresh_level(refresh, TG_REFRESH_HOURS, 0), TG_OK);
    assert_int_equal(tg_pg_server_do(&db.server, "kill"), 0);
    assert_int_equal(tg_refresh_level(refresh, TG_REFRESH_HOURS, BUDGET_MS), TG_UNAVAILABLE);
    assert_int_equal(tg_pg_server_do(&db.server, "start"), 0);
    PQreset(db.admin);
    assert_int_equal(tg_refresh_level(refresh, TG_REFRESH_HOURS, BUDGET_MS), TG_OK);
    assert_int_equal(count("data.touched_hours"), 0);
}

static void old_days_are_compressed_where_the_engine_can(void **state)
{
    (void)state;
    const char *compressed =
        engine == TG_ENGINE_PLAIN
            ? "SELECT 0"
            : "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_schema = "
              "'data' "
              "AND hypertable_name IN ('events', 'metric_minute') AND is_compressed";
    fill_day(3);
    assert_int_equal(tg_refresh_compress(refresh, BUDGET_MS), TG_OK);
    assert_true((tg_test_db_int(&db, compressed) >= 8) == (engine == TG_ENGINE_TIMESCALE));
    assert_int_equal(tg_test_db_int(&db, "SELECT sum(count) FROM data.metric_minute"), 48);
}

static void days_beyond_the_horizon_go_and_their_hours_stay(void **state)
{
    (void)state;
    fill_day(5);
    assert_int_equal(tg_refresh_level(refresh, TG_REFRESH_HOURS, BUDGET_MS), TG_OK);
    tg_test_db_exec(&db, "TRUNCATE data.unbinned_hours");
    tg_test_db_exec(&db, "UPDATE data.horizon SET days = 1");
    tg_test_db_exec(&db, "UPDATE data.horizon SET changed_at = now() - interval '1 hour'");
    assert_int_equal(tg_refresh_drop(refresh, BUDGET_MS), TG_OK);
    tg_test_db_exec(&db, "UPDATE data.horizon SET days = 430");
    assert_int_equal(count("data.metric_minute"), 0);
    assert_int_equal(
        tg_test_db_int(&db,
                       "SELECT sum(count) FROM data.metric_hour WHERE bucket < current_date - 4"),
        48);
}

static int run(const char *name)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(hours_and_then_days_are_rolled_up_until_nothing_is_left,
                                        fresh, clean),
        cmocka_unit_test_setup_teardown(without_time_nothing_is_done, fresh, clean),
        cmocka_unit_test_setup_teardown(a_caller_that_gives_up_is_obeyed_and_the_marks_stay, fresh,
                                        clean),
        cmocka_unit_test_setup_teardown(a_server_that_was_away_is_found_again, fresh, clean),
        cmocka_unit_test_setup_teardown(old_days_are_compressed_where_the_engine_can, fresh, clean),
        cmocka_unit_test_setup_teardown(days_beyond_the_horizon_go_and_their_hours_stay, fresh,
                                        clean),
    };
    engine = tg_test_db_is_plain() ? TG_ENGINE_PLAIN : TG_ENGINE_TIMESCALE;
    return cmocka_run_group_tests_name(name, tests, start, stop);
}

int main(void)
{
    return tg_test_db_each_engine(run);
}
