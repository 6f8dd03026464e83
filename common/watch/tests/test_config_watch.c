/* The watch against a real server that is changed, killed and frozen under it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "common/base/time.h"
#include "common/pg/tests/server.h"
#include "common/watch/watch.h"

static tg_pg_server_t server;
static _Atomic int alive;     /* snapshots not yet released */
static _Atomic bool refusing; /* load fails */

struct snap {
    int value;
};

static void *load(PGconn *connection, void *arg, tg_error_t *error)
{
    (void)arg;
    if (refusing) {
        (void)tg_error_set(error, TG_INVALID, "refused by the test");
        return NULL;
    }
    PGresult *result = tg_config_watch_query(connection, "select value from setting", error);
    if (result == NULL)
        return NULL;
    struct snap *snap = malloc(sizeof(*snap));
    snap->value = atoi(PQgetvalue(result, 0, 0));
    PQclear(result);
    alive++;
    return snap;
}

static void release(void *snapshot, void *arg)
{
    (void)arg;
    free(snapshot);
    alive--;
}

static tg_config_watch_t *open_watch(uint64_t first_ms)
{
    tg_config_watch_config_t config = {.dsn = server.dsn,
                                       .poll_ms = 20,
                                       .load = load,
                                       .release = release};
    tg_config_watch_t *watch = NULL;
    assert_int_equal(tg_config_watch_open(&config, first_ms, &watch, NULL), TG_OK);
    return watch;
}

static int value_of(tg_config_watch_t *watch)
{
    struct snap *snap = tg_config_watch_get(watch);
    int value = snap == NULL ? -1 : snap->value;
    tg_config_watch_put(watch, snap);
    return value;
}

static void change(int value)
{
    char sql[160];
    snprintf(
        sql, sizeof(sql),
        "update setting set value = %d; update control.config_version set version = version + 1",
        value);
    assert_int_equal(tg_pg_server_sql(&server, sql), 0);
}

static void wait_value(tg_config_watch_t *watch, int wanted)
{
    uint64_t end = tg_time_mono_ms() + 15000;
    while (value_of(watch) != wanted && tg_time_mono_ms() < end)
        usleep(2000);
    assert_int_equal(value_of(watch), wanted);
}

static void the_first_snapshot_is_there_after_open(void **state)
{
    (void)state;
    change(1);
    tg_config_watch_t *watch = open_watch(5000);
    assert_int_equal(value_of(watch), 1);
    assert_true(tg_config_watch_version(watch) > 0);
    assert_in_range(tg_config_watch_age_ms(watch), 0, 5000);
    tg_config_watch_close(watch);
    assert_int_equal(alive, 0);
}

static void a_change_replaces_the_snapshot_but_not_under_a_reader(void **state)
{
    (void)state;
    change(1);
    tg_config_watch_t *watch = open_watch(5000);
    struct snap *held = tg_config_watch_get(watch);
    uint64_t version = tg_config_watch_version(watch);
    change(2);
    wait_value(watch, 2);
    assert_true(tg_config_watch_version(watch) > version);
    assert_int_equal(held->value, 1);
    assert_int_equal(alive, 2);
    tg_config_watch_put(watch, held);
    assert_int_equal(alive, 1);
    tg_config_watch_close(watch);
    tg_config_watch_close(NULL);
}

static void without_a_new_version_nothing_is_loaded(void **state)
{
    (void)state;
    change(1);
    tg_config_watch_t *watch = open_watch(5000);
    assert_int_equal(tg_pg_server_sql(&server, "update setting set value = 9"), 0);
    change(3); /* seen only with this one */
    wait_value(watch, 3);
    tg_config_watch_close(watch);
}

static void a_load_that_fails_leaves_the_old_snapshot_and_is_tried_again(void **state)
{
    (void)state;
    change(1);
    tg_config_watch_t *watch = open_watch(5000);
    uint64_t version = tg_config_watch_version(watch);
    refusing = true;
    change(2);
    uint64_t end = tg_time_mono_ms() + 10000;
    while (tg_config_watch_age_ms(watch) < 200 && tg_time_mono_ms() < end)
        usleep(2000);
    assert_true(tg_config_watch_age_ms(watch) >= 200);
    assert_int_equal(value_of(watch), 1);
    assert_int_equal(tg_config_watch_version(watch), version);
    refusing = false;
    wait_value(watch, 2);
    tg_config_watch_close(watch);
}

static void a_dead_server_leaves_the_last_snapshot_and_its_age_grows(void **state)
{
    (void)state;
    change(1);
    tg_config_watch_t *watch = open_watch(5000);
    assert_int_equal(tg_pg_server_do(&server, "kill"), 0);
    uint64_t end = tg_time_mono_ms() + 10000;
    while (tg_config_watch_age_ms(watch) < 200 && tg_time_mono_ms() < end)
        usleep(2000);
    assert_int_equal(value_of(watch), 1);

    tg_config_watch_t *blind = open_watch(50); /* starting without the database is no error */
    assert_int_equal(value_of(blind), -1);
    assert_int_equal(tg_config_watch_version(blind), 0);
    assert_true(tg_config_watch_age_ms(blind) == UINT64_MAX);

    assert_int_equal(tg_pg_server_do(&server, "start"), 0);
    change(7);
    wait_value(watch, 7);
    wait_value(blind, 7);
    tg_config_watch_close(watch);
    tg_config_watch_close(blind);
}

static void a_frozen_server_does_not_hold_up_close(void **state)
{
    (void)state;
    change(1);
    tg_config_watch_t *watch = open_watch(5000);
    assert_int_equal(tg_pg_server_do(&server, "pause"), 0);
    uint64_t end = tg_time_mono_ms() + 10000;
    while (tg_config_watch_age_ms(watch) < 200 && tg_time_mono_ms() < end)
        usleep(2000);
    uint64_t started = tg_time_mono_ms();
    tg_config_watch_close(watch);
    assert_in_range(tg_time_mono_ms() - started, 0, 4000);
    assert_int_equal(tg_pg_server_do(&server, "resume"), 0);
    assert_int_equal(alive, 0);
}

struct reader {
    tg_config_watch_t *watch;
    _Atomic bool *stop;
    int wrong;
};

static void *read_on(void *arg)
{
    struct reader *reader = arg;
    while (!*reader->stop) {
        struct snap *a = tg_config_watch_get(reader->watch);
        struct snap *b = tg_config_watch_get(reader->watch);
        reader->wrong += a->value < 100 || b->value < a->value;
        tg_config_watch_put(reader->watch, a);
        tg_config_watch_put(reader->watch, b);
    }
    return NULL;
}

static void many_threads_read_while_it_changes(void **state)
{
    (void)state;
    change(100);
    _Atomic bool stop = false;
    struct reader readers[4];
    pthread_t threads[4];
    tg_config_watch_t *watch = open_watch(5000);
    for (size_t i = 0; i < 4; i++) {
        readers[i] = (struct reader){watch, &stop, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
    }
    for (int value = 101; value < 111; value++) {
        change(value);
        wait_value(watch, value);
    }
    stop = true;
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(readers[i].wrong, 0);
    }
    assert_int_equal(alive, 1);
    tg_config_watch_close(watch);
}

static int start(void **state)
{
    (void)state;
    if (tg_pg_server_create(&server) != 0)
        return -1;
    return tg_pg_server_sql(&server, "create schema control;"
                                     "create table control.config_version (version bigint);"
                                     "insert into control.config_version values (1);"
                                     "create table setting (value int);"
                                     "insert into setting values (0)");
}

static int stop(void **state)
{
    (void)state;
    return tg_pg_server_do(&server, "destroy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_snapshot_is_there_after_open),
        cmocka_unit_test(a_change_replaces_the_snapshot_but_not_under_a_reader),
        cmocka_unit_test(without_a_new_version_nothing_is_loaded),
        cmocka_unit_test(a_load_that_fails_leaves_the_old_snapshot_and_is_tried_again),
        cmocka_unit_test(a_dead_server_leaves_the_last_snapshot_and_its_age_grows),
        cmocka_unit_test(a_frozen_server_does_not_hold_up_close),
        cmocka_unit_test(many_threads_read_while_it_changes),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
