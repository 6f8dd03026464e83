/* Announcements from real control tables: what the trigger notes, and what the registry's client is
 * told. */
#include "ingestion/announce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/time.h"
#include "common/pg/tests/server.h"
#include "common/registry/tests/fake_registry.h"

#define WAIT_MS 10000
#define ACME    TG_STR("acme")
#define VISIT   TG_STR("visit")
#define TYPED                                                                                      \
    "{\"type\":\"record\",\"name\":\"V\",\"fields\":[{\"name\":\"a\",\"type\":\"string\","         \
    "\"role\":\"user\"}]}"
#define PLAIN                                                                                      \
    "{\"type\":\"record\",\"name\":\"V\",\"fields\":[{\"name\":\"a\",\"type\":\"string\"}]}"

static tg_pg_server_t server;
static fake_registry_t *registry;
static tg_registry_client_t *client;
static tg_announce_t *announce;
static tg_loop_t *loop;

static int start_server(void **state)
{
    (void)state;
    return tg_pg_server_create(&server) == 0 ? tg_pg_server_migrate(&server) : -1;
}

static int stop_server(void **state)
{
    (void)state;
    return tg_pg_server_do(&server, "destroy");
}

static void sql(const char *format, ...) TG_PRINTF(1, 2);
static void sql(const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    assert_int_equal(tg_pg_server_sql(&server, text), 0);
}

/* Fails the test unless the SQL condition holds. */
static void assert_sql(const char *condition)
{
    sql("do $$ begin assert %s; end $$", condition);
}

static void add_version(const char *context, const char *subject, int version, const char *schema)
{
    sql("with s as (insert into control.schemas (context, schema, fingerprint) values"
        " ('%s', '%s', sha256('%s/%s/%d')) returning context, id)"
        " insert into control.subject_versions (context, subject, version, schema_id)"
        " select context, '%s', %d, id from s",
        context, schema, context, subject, version, subject, version);
}

static int open_all(void **state)
{
    (void)state;
    char instances[64], dsn[160];
    tg_error_t error = {0};
    sql("delete from control.subject_versions; delete from control.schemas;"
        " delete from control.event_types");
    loop = tg_loop_create();
    registry = fake_registry_open(0);
    (void)snprintf(instances, sizeof(instances), "127.0.0.1:%u", fake_registry_port(registry));
    (void)snprintf(dsn, sizeof(dsn), "host=%s user=tidegate_ingestion dbname=postgres", server.dir);
    const tg_registry_site_config_t site = {.instances = instances, .secret = FAKE_SECRET};
    const tg_registry_client_config_t config = {&site, 2000, 60000};
    assert_int_equal(tg_registry_client_open(&config, &client, &error), TG_OK);
    assert_int_equal(tg_announce_open(dsn, 50, client, &announce, &error), TG_OK);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    tg_announce_close(announce);
    tg_registry_client_close(client);
    tg_loop_destroy(loop);
    fake_registry_close(registry);
    return 0;
}

static bool current(void)
{
    tg_buf_t detail = tg_buf_make(256);
    bool is = tg_announce_current(announce, &detail);
    assert_true(detail.len > 0);
    tg_buf_dispose(&detail);
    return is;
}

static void wait_until(bool (*is)(void))
{
    uint64_t end = tg_time_mono_ms() + WAIT_MS;
    while (!is() && tg_time_mono_ms() < end)
        tg_loop_turn(loop, 10);
    assert_true(is());
}

static void on_type(void *arg, tg_status_t status, tg_event_type_t *type)
{
    *(tg_status_t *)arg = status;
    tg_event_type_unref(type);
}

static tg_status_t fetch(tg_str_t type)
{
    tg_status_t status = TG_FULL;
    assert_int_equal(tg_registry_type_fetch(client, ACME, type, loop, on_type, &status), TG_OK);
    uint64_t end = tg_time_mono_ms() + WAIT_MS;
    while (status == TG_FULL && tg_time_mono_ms() < end)
        tg_loop_turn(loop, 10);
    return status;
}

static bool heard_one(void)
{
    return tg_announce_total(announce) >= 1;
}

static bool sees_second_order(void)
{
    tg_event_type_t *type = tg_registry_type_cached(client, ACME, TG_STR("order"));
    bool second = type != NULL && tg_event_type_schema_id(type) == FAKE_ORDER_2;
    tg_event_type_unref(type);
    return second;
}

static void a_new_type_is_announced(void **state)
{
    (void)state;
    wait_until(current);
    fake_registry_hide_visit(registry, true);
    assert_int_equal(fetch(VISIT), TG_NOT_FOUND);
    fake_registry_hide_visit(registry, false);
    add_version("acme", "visit-value", 1, TYPED);
    wait_until(heard_one);
    assert_int_equal(fetch(VISIT), TG_OK);
}

static void a_new_version_of_a_type_for_all_is_announced(void **state)
{
    (void)state;
    wait_until(current);
    assert_int_equal(fetch(TG_STR("order")), TG_OK);
    fake_registry_upgrade(registry);
    add_version("", "order-value", 2, TYPED);
    wait_until(sees_second_order);
}

static void what_changed_unseen_is_asked_anew(void **state)
{
    (void)state;
    wait_until(current);
    assert_int_equal(fetch(TG_STR("order")), TG_OK);
    fake_registry_upgrade(registry);
    sql("update control.config_version set version = 1"); /* as after restoring a backup */
    wait_until(sees_second_order);
}

static void the_trigger_notes_types_and_nothing_else(void **state)
{
    (void)state;
    add_version("acme", "visit-value", 1, TYPED);
    add_version("acme", "plain-value", 1, PLAIN);
    add_version("acme", "text-value", 1, "\"string\"");
    add_version("acme", "Visit-value", 1, TYPED);
    add_version("acme", "visit-key", 1, TYPED);
    add_version("acme", "odd-value", 1,
                "{\"type\":\"record\",\"name\":\"a\\u0000b\",\"fields\":[]}");
    assert_sql("(select array_agg(type || version) from control.event_types) = '{visit1}'");
    add_version("acme", "visit-value", 2, TYPED);
    assert_sql("(select array_agg(type || version) from control.event_types) = '{visit2}'");
    sql("update control.subject_versions set deleted = true where subject = 'visit-value'"
        " and version = 2");
    assert_sql("(select array_agg(type || version) from control.event_types) = '{visit1}'");
    sql("delete from control.subject_versions where subject = 'visit-value'");
    assert_sql(
        "(select array_agg(type) from control.event_types where version is null) = '{visit}'");
    assert_sql("(select max(changed) from control.event_types)"
               " <= (select version from control.config_version)");
}

static void there_is_room_for_so_many_types(void **state)
{
    (void)state;
    add_version("acme", "one-value", 1, TYPED);
    assert_sql("control.event_type_room('acme', 'two-value', 2)");
    assert_sql("not control.event_type_room('acme', 'two-value', 1)");
    assert_sql("control.event_type_room('acme', 'one-value', 1)");
    assert_sql("control.event_type_room('other', 'two-value', 1)");
    assert_sql("control.event_type_room('', 'two-value', 0)");
    sql("delete from control.subject_versions where subject = 'one-value'");
    assert_sql("control.event_type_room('acme', 'two-value', 1)");
}

static void without_postgresql_known_types_go_on(void **state)
{
    (void)state;
    wait_until(current);
    assert_int_equal(fetch(TG_STR("order")), TG_OK);
    assert_int_equal(tg_pg_server_do(&server, "kill"), 0);
    fake_registry_upgrade(registry);
    assert_int_equal(fetch(TG_STR("session")), TG_OK);
    assert_false(sees_second_order());
    assert_int_equal(tg_pg_server_do(&server, "start"), 0);
    add_version("", "order-value", 2, TYPED);
    wait_until(sees_second_order); /* heard of on a connection of its own making */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_type_is_announced),           TEST(a_new_version_of_a_type_for_all_is_announced),
        TEST(what_changed_unseen_is_asked_anew), TEST(the_trigger_notes_types_and_nothing_else),
        TEST(there_is_room_for_so_many_types),   TEST(without_postgresql_known_types_go_on),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
