/* A round of binning against a real server: what it does, whom it obeys, where it stops. */
#include "worker/upkeep/bins.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "worker/store/bin.h"
#include "worker/store/tests/db.h"
#include "worker/upkeep/tests/meter.h"

#define EPOCH 7

static tg_test_db_t db;
static tg_conn_t *conn;
static test_meter_t meter;
static tg_bins_t bins;
static atomic_bool stopping;

static int start(void **state)
{
    (void)state;
    if (tg_test_db_start(&db) != 0 || test_meter_open(&meter) != 0)
        return -1;
    conn = tg_test_db_conn(&db);
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

/* 300 values in an old hour that waits for its bins, and two late ones in the hour before. */
static int clean(void **state)
{
    (void)state;
    bool fresh = false;
    memset(&bins, 0, sizeof(bins));
    atomic_store(&stopping, false);
    tg_test_db_exec(&db, "TRUNCATE data.events, data.leases, data.unbinned_hours, data.late_bins, "
                         "data.metric_hour_bins, data.metric_hour_kind_bins");
    tg_test_db_exec(&db, "INSERT INTO data.leases VALUES ('maintenance', 'me', 7, now())");
    tg_test_db_exec(&db, "SELECT data.ensure_days(ARRAY[current_date - 2, current_date - 1])");
    tg_test_db_exec(&db, "INSERT INTO data.events (tenant_id, type, event_id, occurred_at, "
                         "received_at, value) SELECT 't', 'order', gen_random_uuid(), "
                         "date_trunc('day', now(), 'UTC') - interval '20 hours' "
                         "+ n * interval '1 second', now(), n FROM generate_series(1, 300) n");
    tg_test_db_exec(&db, "INSERT INTO data.unbinned_hours (tenant_id, hour, marked_at) VALUES ('t',"
                         "date_trunc('day', now(), 'UTC') - interval '20 hours', "
                         "now() - interval '1 day')");
    tg_test_db_exec(&db, "INSERT INTO data.late_bins (tenant_id, type, hour, kind, entity, bin, "
                         "count, added_at) SELECT 't', 'order', "
                         "date_trunc('day', now(), 'UTC') - interval '21 hours', '', '', 16384, 1, "
                         "now() - interval '1 hour' FROM generate_series(1, 2)");
    return tg_conn_connect(conn, &fresh) == TG_OK ? 0 : -1;
}

static tg_status_t run(void)
{
    return tg_bins_run(&bins, conn, EPOCH, meter.shard, &stopping);
}

static long metric(const char *name)
{
    return test_meter_read(&meter, name);
}

static void a_round_bins_waiting_hours_and_folds_late_values(void **state)
{
    (void)state;
    long hours = metric("\ntidegate_worker_bin_hours_total ");
    assert_int_equal(run(), TG_OK);
    assert_int_equal(tg_test_db_int(&db, "SELECT count(*) FROM data.unbinned_hours"), 0);
    assert_int_equal(tg_test_db_int(&db, "SELECT count(*) FROM data.late_bins"), 0);
    assert_string_equal(
        tg_test_db_text(&db, "SELECT string_agg(n::text, ' ' ORDER BY bucket) FROM (SELECT bucket, "
                             "(SELECT sum(c) FROM unnest(counts) c) AS n "
                             "FROM data.metric_hour_bins) x"),
        "2 300");
    assert_int_equal(metric("\ntidegate_worker_bin_hours_total "), hours + 1);
    assert_int_equal(metric("tidegate_worker_bin_hours_pending{state=\"waiting\"} "), 0);
    assert_int_equal(metric("\ntidegate_worker_bin_late_total "), 2);
}

static void a_lost_lease_changes_nothing(void **state)
{
    (void)state;
    tg_test_db_exec(&db, "UPDATE data.leases SET epoch = 8, owner = 'you'");
    assert_int_equal(run(), TG_UNAVAILABLE);
    assert_string_equal(tg_conn_sqlstate(conn), "55P03");
    assert_int_equal(tg_test_db_int(&db, "SELECT count(*) FROM data.metric_hour_bins"), 0);
    assert_int_equal(tg_test_db_int(&db, "SELECT count(*) FROM data.late_bins"), 2);
    assert_int_equal(tg_test_db_int(&db, "SELECT count(*) FROM data.unbinned_hours"), 1);
}

static void a_round_stops_when_told(void **state)
{
    (void)state;
    atomic_store(&stopping, true);
    assert_int_equal(run(), TG_OK);
    assert_int_equal(tg_test_db_int(&db, "SELECT count(*) FROM data.metric_hour_bins"), 0);
}

static void a_step_that_fails_narrows_what_is_binned(void **state)
{
    (void)state;
    tg_test_db_exec(&db, "UPDATE data.unbinned_hours SET rows = 9000000");
    tg_test_db_exec(&db, "ALTER TABLE data.metric_hour_bins ADD CONSTRAINT no CHECK "
                         "(cardinality(bins) < 2)");
    assert_int_not_equal(run(), TG_OK);
    tg_test_db_exec(&db, "ALTER TABLE data.metric_hour_bins DROP CONSTRAINT no");
    assert_int_equal(bins.hour_rows, TG_BINS_HOUR_ROWS / 2);
    assert_int_equal(run(), TG_OK);
    assert_int_equal(tg_test_db_int(&db, "SELECT count(*) FROM data.unbinned_hours"), 1);
    assert_int_equal(metric("tidegate_worker_bin_hours_pending{state=\"too_dense\"} "), 1);
    bins.narrow_until_ms = 0;
    assert_int_equal(run(), TG_OK);
    assert_int_equal(tg_test_db_int(&db, "SELECT count(*) FROM data.unbinned_hours"), 0);
}

static void the_server_numbers_bins_as_the_worker_does(void **state)
{
    (void)state;
    PGresult *rows =
        PQexec(db.admin, "SELECT v::text, api.bin_of(v) FROM (SELECT (random() - 0.5) * "
                         "power(10::float8, n % 280 - 140) AS v FROM generate_series(1, 20000) n"
                         " UNION ALL SELECT unnest(ARRAY[0, 1, 1.02, 1e-140, 5e-324, 1e308, "
                         "-1e308]::float8[])) x");
    assert_int_equal(PQresultStatus(rows), PGRES_TUPLES_OK);
    int off = 0;
    for (int i = 0; i < PQntuples(rows); i++) {
        int mine = tg_bin_of(strtod(PQgetvalue(rows, i, 0), NULL));
        int theirs = atoi(PQgetvalue(rows, i, 1));
        assert_true(abs(mine - theirs) <= 1);
        off += mine != theirs;
    }
    assert_true(off <= 2); /* at the very edge of two bins */
    PQclear(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_round_bins_waiting_hours_and_folds_late_values, clean),
        cmocka_unit_test_setup(a_lost_lease_changes_nothing, clean),
        cmocka_unit_test_setup(a_round_stops_when_told, clean),
        cmocka_unit_test_setup(a_step_that_fails_narrows_what_is_binned, clean),
        cmocka_unit_test_setup(the_server_numbers_bins_as_the_worker_does, clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
