/* The built-in schemas: loading the files, and registering them while PostgreSQL comes and goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "common/base/time.h"
#include "registry/builtin.h"
#include "registry/tests/database.h"

#define TYPE(field)                                                                                \
    "{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"" field                           \
    "\",\"type\":\"double\",\"role\":\"value\"}]}"
#define TICK TYPE("v")
#define TOCK TYPE("w")

static tg_pg_server_t server;
static char dsn[128];
static char dir[] = "/tmp/tidegate-builtin-XXXXXX";
static tg_loop_t *loop;

static void path_of(const char *name, char path[256])
{
    snprintf(path, 256, "%s/%s", dir, name);
}

static void put_file(const char *name, const char *text)
{
    char path[256];
    path_of(name, path);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void drop_file(const char *name)
{
    char path[256];
    path_of(name, path);
    unlink(path);
}

static void the_projects_own_schemas_are_good(void **state)
{
    (void)state;
    tg_builtin_t *builtin = NULL;
    assert_int_equal(tg_builtin_load("schemas", &builtin, NULL), TG_OK);
    assert_int_equal(tg_builtin_missing(builtin), 6);
    tg_builtin_destroy(builtin);
    tg_builtin_destroy(NULL);
}

static void a_bad_folder_or_file_is_named(void **state)
{
    (void)state;
    tg_builtin_t *builtin = NULL;
    tg_error_t error = {.text = ""};
    assert_int_not_equal(tg_builtin_load("/nowhere", &builtin, &error), TG_OK);
    assert_non_null(strstr(error.text, "/nowhere"));
    assert_int_not_equal(tg_builtin_load(dir, &builtin, &error), TG_OK);
    assert_non_null(strstr(error.text, "no .avsc file"));
    put_file("tick.avsc", "\"int\"");
    assert_int_not_equal(tg_builtin_load(dir, &builtin, &error), TG_OK);
    assert_non_null(strstr(error.text, "tick.avsc"));
    drop_file("tick.avsc");
    put_file("Tick.avsc", TICK);
    assert_int_not_equal(tg_builtin_load(dir, &builtin, &error), TG_OK);
    assert_non_null(strstr(error.text, "Tick.avsc"));
    drop_file("Tick.avsc");
}

static void run_once(void)
{
    tg_pg_config_t config = {
        .dsn = dsn, .name = "test", .connections = 1, .max_waiting = 8, .connect_timeout_ms = 2000};
    tg_pg_pool_t *pool = NULL;
    tg_builtin_t *builtin = NULL;
    assert_int_equal(tg_pg_pool_open(loop, &config, &pool, NULL), TG_OK);
    assert_int_equal(tg_builtin_load(dir, &builtin, NULL), TG_OK);
    tg_builtin_start(builtin, loop, pool);
    uint64_t end = tg_time_mono_ms() + 15000;
    while (tg_builtin_missing(builtin) > 0 && tg_time_mono_ms() < end)
        tg_loop_turn(loop, 50);
    assert_int_equal(tg_builtin_missing(builtin), 0);
    tg_builtin_stop(builtin);
    tg_builtin_destroy(builtin);
    tg_pg_pool_close(pool);
}

/* Fails unless the query gives `wanted`. */
static void expect(const char *query, const char *wanted)
{
    char sql[512];
    snprintf(sql, sizeof(sql),
             "do $$ begin if (%s)::text is distinct from '%s' then raise 'it is %%', (%s); end if; "
             "end $$",
             query, wanted, query);
    assert_int_equal(tg_pg_server_sql(&server, sql), 0);
}

static void registering_is_idempotent_and_a_changed_file_is_the_next_version(void **state)
{
    (void)state;
    put_file("tick.avsc", TICK);
    put_file("tock.avsc", TOCK);
    run_once();
    run_once();
    expect("select string_agg(subject || version, ' ' order by subject) from "
           "control.subject_versions where context = ''",
           "tick-value1 tock-value1");
    expect("select count(*) from control.schemas", "2");
    expect("select version from control.config_version", "3"); /* repeating changes nothing */
    put_file("tick.avsc", TOCK);
    run_once();
    expect("select max(version) from control.subject_versions where subject = 'tick-value'", "2");
    expect("select count(*) from control.schemas", "2");
}

/* As release 3 left them: no print, an identity of another kind, two spellings of one schema. */
static void schemas_of_an_earlier_release_keep_their_ids_and_get_what_they_lack(void **state)
{
    (void)state;
    assert_int_equal(
        tg_pg_server_sql(&server,
                         "INSERT INTO control.schemas (id, context, schema, fingerprint) VALUES"
                         " (900, 'old', '{\"type\":\"int\"}', sha256('a')), (901, 'old', '\"int\"',"
                         " sha256('b')), (902, 'old', 'no schema', sha256('c'))"),
        0);
    put_file("tick.avsc", TICK);
    put_file("tock.avsc", TOCK);
    run_once();
    expect("select string_agg(id || printed, ' ' order by id) from control.schemas "
           "where context = 'old'",
           "900\"int\" 901\"int\" 902no schema");
    expect("select string_agg((fingerprint = sha256('\"int\"\\000'::bytea))::text, ' ' order by id)"
           " from control.schemas where context = 'old'",
           "true false false");
    expect("select count(guid) from control.schemas where context = 'old'", "2");
}

static void a_database_that_comes_later_is_waited_for(void **state)
{
    (void)state;
    tg_pg_config_t config = {
        .dsn = dsn, .name = "test", .connections = 1, .max_waiting = 8, .connect_timeout_ms = 500};
    tg_pg_pool_t *pool = NULL;
    tg_builtin_t *builtin = NULL;
    assert_int_equal(tg_pg_server_do(&server, "kill"), 0);
    assert_int_equal(tg_pg_pool_open(loop, &config, &pool, NULL), TG_OK);
    assert_int_equal(tg_builtin_load(dir, &builtin, NULL), TG_OK);
    tg_builtin_start(builtin, loop, pool);
    for (int i = 0; i < 5; i++)
        tg_loop_turn(loop, 20);
    assert_int_equal(tg_builtin_missing(builtin), 2);
    assert_int_equal(tg_pg_server_do(&server, "start"), 0);
    uint64_t end = tg_time_mono_ms() + 15000;
    while (tg_builtin_missing(builtin) > 0 && tg_time_mono_ms() < end)
        tg_loop_turn(loop, 50);
    assert_int_equal(tg_builtin_missing(builtin), 0);
    tg_builtin_stop(builtin);
    tg_builtin_destroy(builtin);
    tg_pg_pool_close(pool);
}

static int start(void **state)
{
    (void)state;
    loop = tg_loop_create();
    if (loop == NULL || mkdtemp(dir) == NULL)
        return -1;
    return database_create(&server, dsn);
}

static int stop(void **state)
{
    (void)state;
    drop_file("tick.avsc");
    drop_file("tock.avsc");
    rmdir(dir);
    tg_loop_destroy(loop);
    return tg_pg_server_do(&server, "destroy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_projects_own_schemas_are_good),
        cmocka_unit_test(a_bad_folder_or_file_is_named),
        cmocka_unit_test(registering_is_idempotent_and_a_changed_file_is_the_next_version),
        cmocka_unit_test(schemas_of_an_earlier_release_keep_their_ids_and_get_what_they_lack),
        cmocka_unit_test(a_database_that_comes_later_is_waited_for),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
