/* The transaction against a real server: exactness, fences, kept times, days, poisonous rows. */
#include "worker/store/store.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "worker/store/tests/db.h"
#include "worker/store/tests/rows.h"

#define ROWS_MAX 2000

static tg_test_db_t db;
static tg_conn_t *conn;
static tg_store_t *store;
static int64_t now_us;

static int start(void **state)
{
    (void)state;
    if (tg_test_db_start(&db) != 0)
        return -1;
    bool fresh = false;
    conn = tg_test_db_conn(&db);
    if (tg_conn_connect(conn, &fresh) != TG_OK) {
        fprintf(stderr, "%s\n", tg_conn_message(conn));
        return -1;
    }
    store = tg_store_create(conn, ROWS_MAX);
    return store == NULL ? -1 : 0;
}

static int stop(void **state)
{
    (void)state;
    tg_store_destroy(store);
    tg_conn_destroy(conn);
    tg_test_db_stop(&db);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    now_us = tg_time_floor(tg_time_now(), TG_US_PER_MINUTE);
    tg_test_db_exec(&db, "TRUNCATE data.events, data.metric_minute, data.event_times, "
                         "data.stream_state, data.consumer_offsets, data.dead_letters, "
                         "data.touched_hours, data.late_bins");
    tg_test_db_exec(&db, "INSERT INTO data.consumer_offsets (topic, partition, epoch) "
                         "VALUES ('a', 0, 7), ('b', 1, 3)");
    bool fresh = false;
    tg_store_destroy(store); /* one that has met duplicates goes another way */
    store = tg_store_create(conn, ROWS_MAX);
    return store != NULL && tg_conn_connect(conn, &fresh) == TG_OK ? 0 : -1;
}

/* Writes `count` rows as partition a/0 of epoch 7 up to `next`. */
static tg_status_t write_rows(tg_row_t *rows, size_t count, int64_t next, tg_store_result_t *result)
{
    static tg_row_t *pointers[ROWS_MAX];
    tg_batch_partition_t part = {.topic = "a", .partition = 0, .epoch = 7, .next_offset = next};
    tg_batch_t batch = {.rows = pointers,
                        .row_count = count,
                        .partitions = &part,
                        .partition_count = 1};
    for (size_t i = 0; i < count; i++)
        pointers[i] = &rows[i];
    tg_status_t status = tg_store_write(store, &batch, result);
    if (status != TG_OK)
        print_message("%s: %s %s\n", tg_status_name(status), tg_conn_sqlstate(conn),
                      tg_conn_message(conn));
    return status;
}

static void a_batch_appears_in_rows_minutes_hours_and_offsets(void **state)
{
    (void)state;
    tg_store_result_t result;
    tg_row_t rows[] = {
        tg_test_row_value("acme", "order", "USD", "web", 1, now_us, 0.1),
        tg_test_row_value("acme", "order", "USD", "web", 2, now_us + 1, 0.2),
        tg_test_row("acme", "order", "USD", "web", 3, now_us + 2),
        tg_test_row_value("acme", "order", "EUR", "web", 4, now_us, -5),
        tg_test_row_value("bolt", "order", "USD", "web", 5, now_us, 7),
    };
    assert_int_equal(write_rows(rows, TG_ARRAY_LEN(rows), 5, &result), TG_OK);
    assert_int_equal(result.stored, 5);
    assert_int_equal(result.duplicates, 0);
    assert_int_equal(tg_test_db_int(&db, "SELECT count(*) FROM data.events"), 5);
    assert_string_equal(
        tg_test_db_text(&db, "SELECT concat_ws(' ', count, value_count, sum, min, max) FROM "
                             "data.metric_minute WHERE tenant_id = 'acme' AND kind = 'USD'"),
        "3 2 0.3 0.1 0.2");
    assert_int_equal(tg_test_db_int(&db, "SELECT count(*) FROM data.touched_hours"), 2);
    assert_int_equal(tg_test_db_int(&db, "SELECT next_offset FROM data.consumer_offsets "
                                         "WHERE topic = 'a'"),
                     5);
    assert_int_equal(tg_test_db_int(&db, "SELECT count(*) FROM data.events WHERE user_id IS NULL "
                                         "AND processed_at > now() - interval '1 minute'"),
                     5);
}

static void late_values_are_left_as_bins_and_their_hours_marked_so(void **state)
{
    (void)state;
    tg_store_result_t result;
    int64_t old = now_us - 5 * TG_US_PER_HOUR;
    tg_row_t rows[] = {
        tg_test_row_value("acme", "order", "USD", "web", 1, old, 1.0),
        tg_test_row("acme", "order", "USD", "web", 2, old),
        tg_test_row_value("acme", "order", "USD", "web", 3, now_us, 2.0),
    };
    assert_int_equal(write_rows(rows, TG_ARRAY_LEN(rows), 3, &result), TG_OK);
    assert_int_equal(write_rows(rows, TG_ARRAY_LEN(rows), 4, &result), TG_OK);
    assert_int_equal(result.duplicates, 3);
    assert_string_equal(
        tg_test_db_text(&db, "SELECT string_agg(concat_ws(' ', tenant_id, type, kind, entity, bin, "
                             "count, hour <= now() - interval '4 hours'), ',') "
                             "FROM data.late_bins"),
        "acme order USD web 16384 1 t");
    assert_string_equal(tg_test_db_text(&db, "SELECT string_agg(late::text, ' ' ORDER BY hour) "
                                             "FROM data.touched_hours"),
                        "true false");
}

static void a_repeated_batch_changes_nothing(void **state)
{
    (void)state;
    tg_store_result_t result;
    tg_row_t rows[20];
    for (unsigned i = 0; i < 20; i++)
        rows[i] = tg_test_row_value("acme", "order", "USD", "web", i % 10, now_us, 1.25);
    assert_int_equal(write_rows(rows, 20, 20, &result), TG_OK);
    assert_int_equal(result.stored, 10);
    assert_int_equal(result.duplicates, 10);
    assert_int_equal(write_rows(rows, 20, 40, &result), TG_OK);
    assert_int_equal(result.stored, 0);
    assert_string_equal(
        tg_test_db_text(&db, "SELECT concat_ws(' ', count, sum) FROM data.metric_minute"),
        "10 12.5");
}

static void a_duplicate_among_new_rows_counts_once(void **state)
{
    (void)state;
    tg_store_result_t result;
    /* Batches of 10, each beginning with the last row of the one before. */
    for (unsigned batch = 0; batch < 5; batch++) {
        tg_row_t rows[10];
        for (unsigned i = 0; i < 10; i++)
            rows[i] = tg_test_row_value("acme", "order", "USD", "web", batch * 9 + i, now_us, 0.1);
        assert_int_equal(write_rows(rows, 10, batch + 1, &result), TG_OK);
        assert_int_equal(result.stored, batch == 0 ? 10 : 9);
        assert_int_equal(result.duplicates, batch == 0 ? 0 : 1);
    }
    assert_int_equal(tg_test_db_int(&db, "SELECT count(*) FROM data.events"), 46);
    assert_string_equal(
        tg_test_db_text(&db, "SELECT concat_ws(' ', count, sum) FROM data.metric_minute"),
        "46 4.6");
}

static unsigned meanwhile_calls;

/* The first call lets go of the row that the transaction waits for. */
static bool let_go(void *arg)
{
    if (meanwhile_calls++ == 0)
        tg_test_db_exec(arg, "COMMIT");
    return true;
}

static void the_wait_for_the_server_is_spent_on_something_else(void **state)
{
    (void)state;
    tg_row_t row = tg_test_row_value("acme", "order", "USD", "web", 1, now_us, 0.1);
    tg_store_result_t result;
    meanwhile_calls = 0;
    tg_store_meanwhile(store, let_go, &db);
    tg_test_db_exec(&db, "BEGIN; SELECT FROM data.consumer_offsets WHERE topic = 'a' FOR UPDATE");
    assert_int_equal(write_rows(&row, 1, 1, &result), TG_OK); /* nobody else would end the wait */
    assert_int_equal(result.stored, 1);
    assert_true(meanwhile_calls > 0);
}

static void a_fenced_owner_writes_nothing(void **state)
{
    (void)state;
    tg_store_result_t result;
    tg_row_t rows[] = {tg_test_row("acme", "order", "USD", "web", 1, now_us)};
    tg_test_db_exec(&db, "UPDATE data.consumer_offsets SET epoch = 8 WHERE topic = 'a'");
    assert_int_equal(write_rows(rows, 1, 1, &result), TG_DENIED);
    assert_int_equal(tg_test_db_int(&db, "SELECT count(*) FROM data.events"), 0);
    assert_true(tg_conn_connected(conn));
    tg_test_db_exec(&db, "UPDATE data.consumer_offsets SET epoch = 7 WHERE topic = 'a'");
    assert_int_equal(write_rows(rows, 1, 1, &result), TG_OK);
}

static void one_fenced_partition_among_several_is_named(void **state)
{
    (void)state;
    tg_row_t row = tg_test_row("acme", "order", "USD", "web", 1, now_us), *rows[] = {&row};
    tg_batch_partition_t parts[] = {{"b", 1, 2, 10}, {"a", 0, 7, 10}};
    tg_batch_t batch = {.rows = rows, .row_count = 1, .partitions = parts, .partition_count = 2};
    tg_store_result_t result;
    assert_int_equal(tg_store_write(store, &batch, &result), TG_DENIED);
    assert_string_equal(batch.partitions[result.fenced].topic, "b");
    assert_string_equal(
        tg_test_db_text(&db, "SELECT next_offset FROM data.consumer_offsets WHERE topic = 'a'"),
        "");
}

static void the_first_own_time_of_an_id_is_kept(void **state)
{
    (void)state;
    tg_store_result_t result;
    tg_row_t rows[40];
    for (unsigned i = 0; i < 40; i++) {
        rows[i] = tg_test_row_value("acme", "session", "view", "web", i % 4,
                                    now_us + (int64_t)i * 1000, 1);
        rows[i].time_own = i % 4 != 3;
    }
    assert_int_equal(write_rows(rows, 20, 20, &result), TG_OK);
    assert_int_equal(result.stored, 3 + 5); /* id 3 has a time of the client's: five events */
    assert_int_equal(write_rows(rows + 20, 20, 40, &result), TG_OK);
    assert_int_equal(result.stored, 5);
    assert_int_equal(tg_test_db_int(&db, "SELECT sum(count) FROM data.metric_minute"), 13);
    assert_int_equal(tg_test_db_int(&db, "SELECT count(*) FROM data.event_times"), 3);
}

static void states_follow_the_stored_rows_only(void **state)
{
    (void)state;
    tg_store_result_t result;
    tg_row_t rows[6];
    for (unsigned i = 0; i < 6; i++) {
        rows[i] = tg_test_row("acme", "stream", "viewer_join", "s1", i % 5, now_us);
        rows[i].state = TG_STR("active_viewers");
        rows[i].delta = i % 5 == 4 ? -1 : 1;
    }
    assert_int_equal(write_rows(rows, 6, 6, &result), TG_OK);
    assert_int_equal(write_rows(rows, 6, 6, &result), TG_OK);
    assert_string_equal(tg_test_db_text(&db, "SELECT concat_ws(' ', entity, name, value) FROM "
                                             "data.stream_state"),
                        "s1 active_viewers 3");
}

static void a_poisonous_row_is_told_from_an_unavailable_server(void **state)
{
    (void)state;
    tg_store_result_t result;
    tg_row_t rows[] = {tg_test_row("acme", "order", "USD", "web", 1, now_us),
                       tg_test_row("acme", "order", "USD", "web", 2, now_us)};
    rows[1].payload = TG_STR("{\"a\":\"\\u0000\"}");
    assert_int_equal(write_rows(rows, 2, 2, &result), TG_INVALID);
    assert_string_equal(tg_conn_sqlstate(conn), "22P05");
    assert_int_equal(write_rows(rows, 1, 1, &result), TG_OK);
    rows[1].payload = TG_STR("{}");
    rows[1].occurred_at = now_us - 500 * TG_US_PER_DAY;
    assert_int_equal(write_rows(rows + 1, 1, 2, &result), TG_INVALID);
    assert_string_equal(tg_conn_sqlstate(conn), "22008");
}

static void a_dead_letter_moves_with_the_offset_and_counts_once(void **state)
{
    (void)state;
    tg_batch_partition_t part = {"a", 0, 7, 4};
    tg_dead_letter_t dead = {.topic = TG_STR("a"),
                             .offset = 3,
                             .tenant = TG_STR("acme"),
                             .code = TG_STR("undecodable"),
                             .text = TG_STR("magic byte"),
                             .value = TG_STR("\x01\x02"),
                             .headers = TG_STR("[{\"name\":\"x\",\"value\":\"AAE=\"}]")};
    tg_batch_t batch = {.dead = &dead, .dead_count = 1, .partitions = &part, .partition_count = 1};
    tg_store_result_t result;
    assert_int_equal(tg_store_write(store, &batch, &result), TG_OK);
    assert_int_equal(tg_store_write(store, &batch, &result), TG_OK);
    assert_string_equal(
        tg_test_db_text(&db, "SELECT concat_ws(' ', count(*), min(error_code), min(encode("
                             "record_value, 'hex')), min(headers ->> 0)) FROM data.dead_letters"),
        "1 undecodable 0102 {\"name\": \"x\", \"value\": \"AAE=\"}");
}

static void a_dropped_day_is_made_again(void **state)
{
    (void)state;
    tg_store_result_t result;
    int64_t day = now_us - 30 * TG_US_PER_DAY;
    char text[TG_TIME_TEXT_MAX], sql[256];
    tg_row_t rows[] = {tg_test_row("acme", "order", "USD", "web", 1, day)};
    assert_int_equal(write_rows(rows, 1, 1, &result), TG_OK);
    tg_time_format(day, text);
    if (tg_test_db_is_plain())
        snprintf(sql, sizeof(sql),
                 "DROP TABLE data.events_%.4s%.2s%.2s, data.metric_minute_%.4s%.2s%.2s", text,
                 text + 5, text + 8, text, text + 5, text + 8);
    else
        snprintf(sql, sizeof(sql),
                 "SELECT public.drop_chunks(h, older_than => now() - interval '29 days') "
                 "FROM unnest('{data.events,data.metric_minute}'::regclass[]) h");
    tg_test_db_exec(&db, sql);
    assert_int_equal(write_rows(rows, 1, 2, &result), TG_OK);
    assert_int_equal(result.stored, 1);
}

/* What amounts and measurements look like, and any bits at all. */
static double random_value(unsigned n)
{
    uint64_t bits = ((uint64_t)random() << 42) ^ ((uint64_t)random() << 21) ^ (uint64_t)random();
    double value = 0;
    switch (n % 5) {
    case 0:
        return (double)(random() % 2000000 - 1000000) / 100;
    case 1:
        return 20 + (double)random() / RAND_MAX;
    case 2:
        return ldexp(1, (int)(random() % 1800) - 900);
    case 3:
        return (double)(random() % 9 + 1) * pow(10, (double)(random() % 40) - 10);
    default:
        memcpy(&value, &bits, sizeof(value));
        return isfinite(value) && fabs(value) < 1e300 ? value : 1e23;
    }
}

static void sums_equal_the_servers_sum_of_decimals_exactly(void **state)
{
    (void)state;
    static tg_row_t rows[ROWS_MAX];
    tg_store_result_t result;
    srandom(42);
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < ROWS_MAX; i++) {
            char entity[16];
            unsigned n = round * ROWS_MAX + i;
            snprintf(entity, sizeof(entity), "e%u", n % 5 * 20 + n % 17);
            rows[i] = tg_test_row_value("acme", "reading", "t", entity, n,
                                        now_us + (n % 3) * TG_US_PER_MINUTE, random_value(n));
        }
        assert_int_equal(write_rows(rows, ROWS_MAX, round, &result), TG_OK);
    }
    assert_int_equal(
        tg_test_db_int(
            &db, "SELECT count(*) FROM data.metric_minute m FULL JOIN (SELECT entity, "
                 "date_trunc('minute', occurred_at) b, count(*) c, sum(value::text::numeric) "
                 "s, min(value) lo, max(value) hi FROM data.events GROUP BY 1, 2) e ON "
                 "m.entity = e.entity AND m.bucket = e.b WHERE (m.count, m.sum, m.min, m.max) "
                 "IS DISTINCT FROM (e.c, e.s, e.lo, e.hi)"),
        0);
    assert_int_equal(tg_test_db_int(&db, "SELECT sum(count) FROM data.metric_minute"),
                     5 * ROWS_MAX);
}

static void a_lost_connection_is_unavailable_and_comes_back(void **state)
{
    (void)state;
    tg_store_result_t result;
    bool fresh = false;
    tg_row_t rows[] = {tg_test_row("acme", "order", "USD", "web", 1, now_us)};
    tg_test_db_exec(&db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                         "WHERE usename = 'tidegate_worker'");
    assert_int_equal(write_rows(rows, 1, 1, &result), TG_UNAVAILABLE);
    assert_false(tg_conn_connected(conn));
    assert_int_equal(tg_conn_connect(conn, &fresh), TG_OK);
    assert_true(fresh);
    assert_int_equal(write_rows(rows, 1, 1, &result), TG_OK);
}

static int run(const char *engine)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_batch_appears_in_rows_minutes_hours_and_offsets, clean),
        cmocka_unit_test_setup(late_values_are_left_as_bins_and_their_hours_marked_so, clean),
        cmocka_unit_test_setup(a_repeated_batch_changes_nothing, clean),
        cmocka_unit_test_setup(a_duplicate_among_new_rows_counts_once, clean),
        cmocka_unit_test_setup(the_wait_for_the_server_is_spent_on_something_else, clean),
        cmocka_unit_test_setup(a_fenced_owner_writes_nothing, clean),
        cmocka_unit_test_setup(one_fenced_partition_among_several_is_named, clean),
        cmocka_unit_test_setup(the_first_own_time_of_an_id_is_kept, clean),
        cmocka_unit_test_setup(states_follow_the_stored_rows_only, clean),
        cmocka_unit_test_setup(a_poisonous_row_is_told_from_an_unavailable_server, clean),
        cmocka_unit_test_setup(a_dead_letter_moves_with_the_offset_and_counts_once, clean),
        cmocka_unit_test_setup(a_dropped_day_is_made_again, clean),
        cmocka_unit_test_setup(sums_equal_the_servers_sum_of_decimals_exactly, clean),
        cmocka_unit_test_setup(a_lost_connection_is_unavailable_and_comes_back, clean),
    };
    return cmocka_run_group_tests_name(engine, tests, start, stop);
}

int main(void)
{
    return tg_test_db_each_engine(run);
}
