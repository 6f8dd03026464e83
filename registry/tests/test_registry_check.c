/* A schema against a subject's versions in a real database: which are looked at, and what is found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/time.h"
#include "registry/compatibility/check.h"
#include "registry/tests/database.h"

static tg_pg_server_t server;
static tg_loop_t *loop;
static tg_pg_pool_t *pool;
static tg_arena_t *arena;
static tg_parsed_cache_t *cache;

struct answer {
    int times;
    tg_status_t status;
    tg_check_result_t result;
};

static void on_done(void *arg, tg_status_t status, const tg_pg_answer_t *answer,
                    const tg_check_result_t *result)
{
    struct answer *out = arg;
    assert_non_null(answer);
    out->times++;
    out->status = status;
    out->result = *result;
}

static void turn_until(const int *times)
{
    uint64_t end = tg_time_mono_ms() + 20000;
    while (*times == 0 && tg_time_mono_ms() < end)
        tg_loop_turn(loop, 50);
    assert_int_equal(*times, 1);
}

static tg_avro_schema_t *parse(const char *text)
{
    tg_avro_schema_t *schema = NULL;
    tg_error_t error = {.status = TG_OK};
    if (tg_avro_schema_parse(tg_str_from(text), &schema, &error) != TG_OK)
        fail_msg("%s: %s", text, error.text);
    return schema;
}

/* Asks for subject "s" of "acme"; `more` sets what differs. */
static tg_check_result_t check_with(const char *schema, tg_check_ask_t more)
{
    struct answer out = {.times = 0};
    tg_avro_schema_t *parsed = parse(schema);
    tg_loop_turn(loop, 0);
    more.loop = loop;
    more.pool = pool;
    more.cache = cache;
    more.arena = arena;
    more.deadline_at_ms = tg_loop_now_ms(loop) + 20000;
    more.context = TG_STR("acme");
    more.subject = TG_STR("s");
    more.root = tg_avro_schema_root(parsed);
    more.done = on_done;
    more.arg = &out;
    assert_non_null(tg_check_start(&more));
    turn_until(&out.times);
    assert_int_equal(out.status, TG_OK);
    tg_avro_schema_destroy(parsed);
    return out.result;
}

static bool fits(const char *schema)
{
    return check_with(schema, (tg_check_ask_t){.version = 0}).findings.count == 0;
}

static void sql(const char *text)
{
    assert_int_equal(tg_pg_server_sql(&server, text), 0);
}

/* Adds version `version` of s, with id 100 + version. */
static void add_version(int version, const char *schema, const char *metadata)
{
    char text[2048];
    snprintf(text, sizeof(text),
             "INSERT INTO control.schemas (id, context, schema, printed, fingerprint, metadata)"
             " VALUES (%d, 'acme', '', '%s', sha256('%d'), %s%s%s);"
             "INSERT INTO control.subject_versions (context, subject, version, schema_id)"
             " VALUES ('acme', 's', %d, %d)",
             100 + version, schema, version, metadata == NULL ? "" : "'",
             metadata == NULL ? "NULL" : metadata, metadata == NULL ? "" : "'", version,
             100 + version);
    sql(text);
}

static void set_level(const char *level)
{
    char text[512];
    snprintf(text, sizeof(text),
             "INSERT INTO control.registry_settings (context, subject, configured, compatibility)"
             " VALUES ('acme', 's', true, '%s') ON CONFLICT (context, subject)"
             " DO UPDATE SET compatibility = excluded.compatibility",
             level);
    sql(text);
}

static void an_unknown_subject_takes_anything(void **state)
{
    (void)state;
    tg_check_result_t result = check_with("\"int\"", (tg_check_ask_t){.version = 0});
    assert_int_equal(result.findings.count, 0);
    assert_false(result.subject_known);
    assert_false(result.version_known);
    assert_int_equal(result.newest_version, 0);
    assert_int_equal(result.scope.effective.level, TG_LEVEL_BACKWARD);
}

static void a_level_looks_at_the_newest_live_version(void **state)
{
    (void)state;
    add_version(1, "\"string\"", NULL);
    add_version(2, "\"int\"", NULL);
    add_version(4, "\"string\"", NULL);
    sql("UPDATE control.subject_versions SET deleted = true WHERE version = 4");
    tg_check_result_t result = check_with("\"long\"", (tg_check_ask_t){.version = 0});
    assert_int_equal(result.findings.count, 0);
    assert_int_equal(result.newest_version, 2);
    assert_true(result.subject_known);
    assert_false(fits("\"string\""));
    set_level("FORWARD");
    assert_false(fits("\"long\""));
    set_level("NONE");
    assert_true(fits("\"string\""));
}

static void a_transitive_level_looks_at_all_live_versions(void **state)
{
    (void)state;
    add_version(1, "\"string\"", NULL);
    for (int version = 2; version < 2 * TG_CHECK_PAGE + 3; version++)
        add_version(version, version % 2 == 0 ? "\"int\"" : "\"long\"", NULL);
    set_level("BACKWARD");
    assert_true(fits("\"double\""));
    set_level("BACKWARD_TRANSITIVE");
    tg_check_result_t result = check_with("\"double\"", (tg_check_ask_t){.version = 0});
    assert_true(result.findings.count > 0);
    assert_string_equal(result.findings.messages[1].ptr, "{oldSchemaVersion: 1}");
    assert_true(check_with("\"double\"", (tg_check_ask_t){.newest_only = true}).findings.count ==
                0);
    sql("UPDATE control.subject_versions SET deleted = true WHERE version = 1");
    assert_true(fits("\"double\""));
}

static void long_schemas_are_read_in_smaller_pages(void **state)
{
    (void)state;
    add_version(1, "\"string\"", NULL);
    for (int version = 2; version <= 5; version++)
        add_version(version, "\"int\"", NULL);
    /* Blanks make them long: the print has none, so here they stand for a real long text. */
    sql("UPDATE control.schemas SET printed = printed || repeat(' ', 200000) WHERE id > 101");
    set_level("BACKWARD_TRANSITIVE");
    tg_check_result_t result = check_with("\"long\"", (tg_check_ask_t){.version = 0});
    assert_true(result.findings.count > 0);
    assert_string_equal(result.findings.messages[1].ptr, "{oldSchemaVersion: 1}");
    sql("UPDATE control.subject_versions SET deleted = true WHERE version = 1");
    assert_true(fits("\"long\""));
}

static void a_wanted_version_is_the_only_one(void **state)
{
    (void)state;
    add_version(1, "\"string\"", NULL);
    add_version(2, "\"int\"", NULL);
    set_level("FULL_TRANSITIVE");
    assert_true(check_with("\"string\"", (tg_check_ask_t){.version = 1}).findings.count == 0);
    assert_true(check_with("\"string\"", (tg_check_ask_t){.version = 2}).findings.count > 0);
    tg_check_result_t result = check_with("\"string\"", (tg_check_ask_t){.version = 3});
    assert_true(result.subject_known);
    assert_false(result.version_known);
    sql("UPDATE control.subject_versions SET deleted = true WHERE version = 1");
    assert_false(check_with("\"string\"", (tg_check_ask_t){.version = 1}).version_known);
}

static bool fits_group(const char *schema, const char *metadata)
{
    return check_with(schema, (tg_check_ask_t){.metadata = tg_str_from(metadata)}).findings.count ==
           0;
}

static void only_versions_of_the_same_group_are_compared(void **state)
{
    (void)state;
    add_version(1, "\"int\"", NULL);
    add_version(2, "\"string\"", "{\"properties\":{\"major\":\"1\"}}");
    add_version(3, "\"boolean\"", "{\"properties\":{\"major\":\"2\"}}");
    set_level("BACKWARD");
    sql("UPDATE control.registry_settings SET compatibility_group = 'major'");
    assert_true(fits_group("\"string\"", "{\"properties\":{\"major\":\"1\"}}"));
    assert_false(fits_group("\"boolean\"", "{\"properties\":{\"major\":\"1\"}}"));
    assert_true(fits_group("\"boolean\"", "{\"properties\":{\"major\":\"2\"}}"));
    assert_true(fits_group("\"boolean\"", "{\"properties\":{\"major\":\"3\"}}"));
    assert_true(fits_group("\"int\"", NULL));
    assert_false(fits_group("\"string\"", NULL));
    set_level("FULL_TRANSITIVE");
    assert_true(fits_group("\"string\"", "{\"properties\":{\"major\":\"1\"}}"));
    assert_false(fits_group("\"boolean\"", NULL));
}

static void references_of_earlier_versions_are_resolved(void **state)
{
    (void)state;
    add_version(1, "{\"type\":\"record\",\"name\":\"In\",\"fields\":[]}", NULL);
    add_version(
        2, "{\"type\":\"record\",\"name\":\"Mid\",\"fields\":[{\"name\":\"i\",\"type\":\"In\"}]}",
        NULL);
    add_version(
        3, "{\"type\":\"record\",\"name\":\"Out\",\"fields\":[{\"name\":\"m\",\"type\":\"Mid\"}]}",
        NULL);
    sql("INSERT INTO control.schema_references VALUES"
        " (102, 0, 'In', 's', 'acme', 's', 1, 101), (103, 0, 'Mid', 's', 'acme', 's', 2, 102)");
    const char *same = "{\"type\":\"record\",\"name\":\"Out\",\"fields\":[{\"name\":\"m\",\"type\":"
                       "{\"type\":\"record\",\"name\":\"Mid\",\"fields\":[{\"name\":\"i\",\"type\":"
                       "{\"type\":\"record\",\"name\":\"In\",\"fields\":[]}}]}}]}";
    assert_true(fits(same));
    assert_true(fits(same)); /* now out of the cache */
    assert_false(fits("{\"type\":\"record\",\"name\":\"Out\",\"fields\":[{\"name\":\"m\",\"type\":"
                      "\"int\"}]}"));
}

static void a_schema_that_cannot_be_read_any_more_is_said(void **state)
{
    (void)state;
    add_version(1, "{\"type\":\"nonsense\"}", NULL);
    tg_check_result_t result = check_with("\"int\"", (tg_check_ask_t){.version = 0});
    assert_int_equal(result.findings.count, 2);
    assert_non_null(strstr(result.findings.messages[0].ptr, "UNREADABLE"));
    assert_non_null(strstr(result.findings.messages[0].ptr, "101"));
}

#define EVENT(name, role)                                                                          \
    "{\"type\":\"record\",\"name\":\"E\",\"fields\":[{\"name\":\"" name                            \
    "\",\"type\":\"string\",\"default\":\"\"" role "}]}"

static void roles_stay_whatever_the_level(void **state)
{
    (void)state;
    add_version(1, EVENT("a", ",\"role\":\"entity\""), NULL);
    set_level("NONE");
    tg_check_ask_t keeps = {.keeps_roles = true};
    assert_true(check_with(EVENT("a", ",\"role\":\"entity\""), keeps).findings.count == 0);
    tg_check_result_t result = check_with(EVENT("a", ""), keeps);
    assert_int_equal(result.findings.count, 2);
    assert_non_null(strstr(result.findings.messages[0].ptr, "ROLE_CHANGED"));
    assert_true(fits(EVENT("a", "")));
    sql("UPDATE control.subject_versions SET deleted = true");
    assert_true(check_with(EVENT("a", ""), keeps).findings.count > 0);
}

static void a_permanently_deleted_id_may_stand_for_another_schema(void **state)
{
    (void)state;
    add_version(1, "\"int\"", NULL);
    assert_false(fits("\"string\""));
    sql("DELETE FROM control.subject_versions; DELETE FROM control.schemas;"
        " UPDATE control.registry_state SET deletions = deletions + 1");
    add_version(1, "\"string\"", NULL);
    assert_true(fits("\"string\""));
}

static void a_cancelled_check_is_never_answered(void **state)
{
    (void)state;
    struct answer out = {.times = 0};
    tg_avro_schema_t *parsed = parse("\"int\"");
    tg_loop_turn(loop, 0);
    tg_check_ask_t ask = {.loop = loop,
                          .pool = pool,
                          .cache = cache,
                          .arena = arena,
                          .deadline_at_ms = tg_loop_now_ms(loop) + 20000,
                          .context = TG_STR(""),
                          .subject = TG_STR("s"),
                          .root = tg_avro_schema_root(parsed),
                          .done = on_done,
                          .arg = &out};
    tg_check_t *check = tg_check_start(&ask);
    assert_non_null(check);
    tg_check_cancel(check);
    assert_true(fits("\"int\"")); /* a whole other check meanwhile */
    assert_int_equal(out.times, 0);
    tg_avro_schema_destroy(parsed);
}

static int clean(void **state)
{
    (void)state;
    tg_arena_reset(arena);
    return tg_pg_server_sql(&server,
                            "DELETE FROM control.schema_references;"
                            "DELETE FROM control.subject_versions; DELETE FROM control.schemas;"
                            "DELETE FROM control.registry_settings;"
                            "UPDATE control.registry_state SET deletions = deletions + 1");
}

static int set_up(void **state)
{
    (void)state;
    char dsn[128];
    tg_error_t error;
    if (database_create(&server, dsn) != 0)
        return -1;
    loop = tg_loop_create();
    arena = tg_arena_create((size_t)16 << 20);
    cache = tg_parsed_cache_create(64, (size_t)1 << 20);
    tg_pg_config_t config = {
        .dsn = dsn, .name = "test", .connections = 2, .max_waiting = 8, .connect_timeout_ms = 5000};
    if (loop == NULL || arena == NULL || cache == NULL)
        return -1;
    return tg_pg_pool_open(loop, &config, &pool, &error) == TG_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    tg_pg_pool_close(pool);
    tg_loop_destroy(loop);
    tg_arena_destroy(arena);
    tg_parsed_cache_destroy(cache);
    return tg_pg_server_do(&server, "destroy");
}

#define TEST(name) cmocka_unit_test_setup(name, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_unknown_subject_takes_anything),
        TEST(a_level_looks_at_the_newest_live_version),
        TEST(a_transitive_level_looks_at_all_live_versions),
        TEST(long_schemas_are_read_in_smaller_pages),
        TEST(a_wanted_version_is_the_only_one),
        TEST(only_versions_of_the_same_group_are_compared),
        TEST(references_of_earlier_versions_are_resolved),
        TEST(a_schema_that_cannot_be_read_any_more_is_said),
        TEST(roles_stay_whatever_the_level),
        TEST(a_permanently_deleted_id_may_stand_for_another_schema),
        TEST(a_cancelled_check_is_never_answered),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
