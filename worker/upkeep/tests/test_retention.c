/* A round of retention against a real server of each engine: what goes, when, and how it is told.
 */
#include "worker/upkeep/retention.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/time.h"
#include "worker/store/tests/db.h"
#include "worker/upkeep/tests/meter.h"

#define HOUR_MS UINT64_C(3600000)
#define DAY_MS  (24 * HOUR_MS)

static tg_test_db_t db;
static tg_conn_t *conn;
static test_meter_t meter;
static tg_retention_t retention;
static tg_retention_config_t config;
static atomic_bool stopping;

static int start(void **state)
{
    (void)state;
    if (tg_test_db_start(&db) != 0 || test_meter_open(&meter) != 0)
        return -1;
    conn = tg_test_db_conn(&db);
    tg_test_db_exec(&db, "INSERT INTO control.tenants (id, limits) VALUES "
                         "('brief', '{\"retention_days\": 1}'), ('long', '{}')");
    return conn == NULL ? -1 : 0;
}

static int stop(void **state)
{
    (void)state;
    tg_conn_destroy(conn);
    test_meter_close(&meter);
    tg_test_db_stop(&db);
    return 0;
}

/* 12,000 events of either tenant on one day beyond the shorter retention, 10 within. */
static int clean(void **state)
{
    (void)state;
    bool fresh = false;
    tg_retention_dispose(&retention);
    memset(&retention, 0, sizeof(retention));
    config = (tg_retention_config_t){.interval_ms = HOUR_MS};
    atomic_store(&stopping, false);
    tg_test_db_exec(&db, "TRUNCATE data.events, data.dead_letters, control.audit_log");
    tg_test_db_exec(&db, "SELECT data.ensure_days(ARRAY[current_date - 3, current_date])");
    tg_test_db_exec(&db,
                    "INSERT INTO data.events (tenant_id, type, event_id, occurred_at, "
                    "received_at) SELECT t, 'order', gen_random_uuid(), "
                    "date_trunc('day', now(), 'UTC') - interval '3 days' * (n % 1201 < 1200)::int "
                    "+ n * interval '1 ms', now() "
                    "FROM generate_series(1, 12010) n, unnest(ARRAY['brief', 'long']) t");
    return tg_conn_connect(conn, &fresh) == TG_OK ? 0 : -1;
}

static tg_status_t run(void)
{
    return tg_retention_run(&retention, &config, conn, meter.shard, &stopping);
}

static long count(const char *tenant)
{
    char sql[96];
    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM data.events WHERE tenant_id = '%s'",
                   tenant);
    return tg_test_db_int(&db, sql);
}

static long metric(const char *name)
{
    return test_meter_read(&meter, name);
}

#define ROWS(table) "tidegate_worker_retention_rows_total{table=\"" table "\"} "

static void a_sweep_removes_what_is_beyond_and_rests(void **state)
{
    (void)state;
    long gone = metric(ROWS("events")),
         sweeps = metric("\ntidegate_worker_retention_sweeps_total ");
    assert_int_equal(run(), TG_OK);
    assert_null(retention.parts);
    assert_int_equal(count("brief"), 10);
    assert_int_equal(count("long"), 12010);
    assert_int_equal(metric(ROWS("events")), gone + 12000);
    assert_int_equal(metric("\ntidegate_worker_retention_sweeps_total "), sweeps + 1);
    assert_int_equal(metric("\ntidegate_worker_retention_day_seconds "), 0);
    assert_true(retention.due_ms > tg_time_mono_ms() + HOUR_MS - 60000);

    tg_test_db_exec(&db, "UPDATE data.events SET tenant_id = 'brief' WHERE tenant_id = 'long' "
                         "AND occurred_at < current_date - 1");
    assert_int_equal(run(), TG_OK);
    assert_int_equal(count("brief"), 12010);
    retention.due_ms = 0;
    assert_int_equal(run(), TG_OK);
    assert_int_equal(count("brief"), 10);
}

static void a_sweep_that_is_stopped_goes_on_where_it_was(void **state)
{
    (void)state;
    atomic_store(&stopping, true);
    assert_int_equal(run(), TG_OK);
    assert_non_null(retention.parts);
    assert_int_equal(count("brief"), 12010);
    atomic_store(&stopping, false);
    assert_int_equal(run(), TG_OK);
    assert_null(retention.parts);
    assert_int_equal(count("brief"), 10);
}

/* The events' day is told until the sweep is over, whatever came in between. */
static void the_day_in_work_is_told_until_the_sweep_ends(void **state)
{
    (void)state;
    tg_test_db_exec(&db, "ALTER FUNCTION data.expire_old(text, interval, integer) RENAME TO gone");
    assert_int_not_equal(run(), TG_OK);
    assert_int_equal(metric("\ntidegate_worker_retention_day_seconds "),
                     tg_test_db_int(&db,
                                    "SELECT extract(epoch FROM date_trunc('day', now(), 'UTC') "
                                    "- interval '3 days')::bigint"));
    tg_test_db_exec(&db, "ALTER FUNCTION data.gone(text, interval, integer) RENAME TO expire_old");
    assert_int_equal(run(), TG_OK);
    assert_int_equal(metric("\ntidegate_worker_retention_day_seconds "), 0);
}

/* Only events are beyond their retention. */
static void a_table_that_fails_does_not_hold_up_the_others(void **state)
{
    (void)state;
    tg_test_db_exec(&db, "ALTER TABLE data.late_bins RENAME COLUMN hour TO gone");
    assert_int_not_equal(run(), TG_OK);
    assert_int_equal(count("brief"), 12010);
    assert_int_equal(run(), TG_OK);
    assert_int_equal(count("brief"), 10);
    tg_test_db_exec(&db, "ALTER TABLE data.late_bins RENAME COLUMN gone TO hour");
}

static void letters_and_the_audit_log_go_by_their_own_ages(void **state)
{
    (void)state;
    tg_test_db_exec(
        &db, "INSERT INTO data.dead_letters (id, error_code, error_text, topic, partition, "
             "record_offset, created_at, published_at) SELECT gen_random_uuid(), '', '', '', "
             "0, n, now() - n * interval '1 day', now() FROM generate_series(1, 40) n");
    tg_test_db_exec(&db, "INSERT INTO control.audit_log (at, actor, address, action, kind, object) "
                         "SELECT now() - n * interval '1 day', '', '', '', '', '' "
                         "FROM generate_series(40, 1, -1) n");
    assert_int_equal(run(), TG_OK);
    assert_int_equal(tg_test_db_int(&db, "SELECT count(*) FROM data.dead_letters"), 40);
    config.dead_letters_ms = 30 * DAY_MS;
    config.audit_ms = 35 * DAY_MS;
    retention.due_ms = 0;
    assert_int_equal(run(), TG_OK);
    assert_int_equal(tg_test_db_int(&db, "SELECT count(*) FROM data.dead_letters"), 29);
    assert_int_equal(tg_test_db_int(&db, "SELECT count(*) FROM control.audit_log"), 34);
    assert_int_equal(metric(ROWS("dead_letters")), 11);
    assert_int_equal(metric(ROWS("audit_log")), 6);
}

static int run_engine(const char *engine)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_sweep_removes_what_is_beyond_and_rests, clean),
        cmocka_unit_test_setup(a_sweep_that_is_stopped_goes_on_where_it_was, clean),
        cmocka_unit_test_setup(the_day_in_work_is_told_until_the_sweep_ends, clean),
        cmocka_unit_test_setup(a_table_that_fails_does_not_hold_up_the_others, clean),
        cmocka_unit_test_setup(letters_and_the_audit_log_go_by_their_own_ages, clean),
    };
    return cmocka_run_group_tests_name(engine, tests, start, stop);
}

int main(void)
{
    return tg_test_db_each_engine(run_engine);
}
