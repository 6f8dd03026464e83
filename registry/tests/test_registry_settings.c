/* The statements about settings against a real server, as the registry's role. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/time.h"
#include "registry/settings/store.h"
#include "registry/tests/database.h"

static tg_pg_server_t server;
static tg_loop_t *loop;
static tg_pg_pool_t *pool;
static tg_arena_t *arena;

/* What came of one call; the first result's only row, if it is one of settings. */
struct answer {
    int times, rows;
    tg_status_t status;
    tg_subject_config_t row;
    tg_scope_t scope;
    const char *context, *subject; /* not NULL: it is a scope's */
};

static void on_answer(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    struct answer *out = arg;
    out->times++;
    out->status = status;
    if (status != TG_OK)
        return;
    const PGresult *rows = answer->results[0];
    out->rows = PQntuples(rows);
    if (out->context != NULL)
        out->status = tg_scope_read(rows, tg_str_from(out->context), tg_str_from(out->subject),
                                    arena, &out->scope);
    else if (out->rows == 1)
        out->status = tg_settings_read(rows, 0, arena, &out->row);
}

static void run(const tg_pg_stmt_t *stmts, size_t count, struct answer *out)
{
    tg_loop_turn(loop, 0);
    assert_non_null(
        tg_pg_call(pool, NULL, stmts, count, tg_loop_now_ms(loop) + 10000, on_answer, out));
    uint64_t end = tg_time_mono_ms() + 10000;
    while (out->times == 0 && tg_time_mono_ms() < end)
        tg_loop_turn(loop, 50);
    assert_int_equal(out->times, 1);
    assert_int_equal(out->status, TG_OK);
}

static tg_scope_t scope_of(const char *context, const char *subject)
{
    struct answer out = {.context = context, .subject = subject};
    tg_pg_stmt_t stmt = tg_scope_stmt(tg_str_from(context), tg_str_from(subject));
    run(&stmt, 1, &out);
    return out.scope;
}

static struct answer put(const char *context, const char *subject, const tg_config_patch_t *patch)
{
    tg_config_given_t given;
    struct answer out = {.times = 0};
    tg_pg_stmt_t stmt = tg_settings_put_config(patch, tg_str_from(context), tg_str_from(subject),
                                               TG_STR("3"), &given);
    run(&stmt, 1, &out);
    return out;
}

static struct answer put_level(const char *context, const char *subject, tg_level_t level)
{
    tg_config_patch_t patch = {{.level = level}, 1U << TG_CONFIG_LEVEL};
    return put(context, subject, &patch);
}

static void put_mode(const char *context, const char *subject, tg_mode_t mode)
{
    struct answer out = {.times = 0};
    tg_pg_stmt_t stmt =
        tg_settings_put_mode(mode, tg_str_from(context), tg_str_from(subject), TG_STR("3"));
    run(&stmt, 1, &out);
    assert_int_equal(out.rows, 1);
    assert_int_equal(out.row.mode, mode);
}

static void drop_config(const char *context, const char *subject)
{
    struct answer out = {.times = 0};
    tg_pg_stmt_t stmts[TG_SETTINGS_STMTS];
    tg_settings_drop_config(tg_str_from(context), tg_str_from(subject), stmts);
    run(stmts, TG_SETTINGS_STMTS, &out);
}

static void drop_mode(const char *context, const char *subject, bool recursive)
{
    struct answer out = {.times = 0};
    tg_pg_stmt_t stmts[TG_SETTINGS_STMTS];
    tg_settings_drop_mode(tg_str_from(context), tg_str_from(subject), recursive, stmts);
    run(stmts, TG_SETTINGS_STMTS, &out);
}

static void a_scope_is_subject_context_and_registry(void **state)
{
    (void)state;
    assert_int_equal(scope_of("acme", "s").effective.level, TG_LEVEL_BACKWARD);
    put_level(TG_CONTEXT_GLOBAL, "", TG_LEVEL_NONE);
    assert_int_equal(scope_of("acme", "s").effective.level, TG_LEVEL_NONE);
    put_level("acme", "", TG_LEVEL_FORWARD);
    put_level("acme", "s", TG_LEVEL_FULL);
    put_level("other", "s", TG_LEVEL_FULL_TRANSITIVE);
    assert_int_equal(scope_of("acme", "s").effective.level, TG_LEVEL_FULL);
    assert_int_equal(scope_of("acme", "t").effective.level, TG_LEVEL_FORWARD);
    assert_true(scope_of("acme", "").subject.configured);
    assert_true(scope_of("acme", "").context.configured);
    assert_false(scope_of("acme", "t").subject.configured);
}

static void a_change_keeps_what_it_does_not_name(void **state)
{
    (void)state;
    tg_config_patch_t patch = {
        {.normalize = TG_YES, .alias = TG_STR("x"), .default_metadata = TG_STR("{}")},
        1U << TG_CONFIG_NORMALIZE | 1U << TG_CONFIG_ALIAS | 1U << TG_CONFIG_DEFAULT_METADATA};
    put_level("acme", "s", TG_LEVEL_FULL);
    struct answer out = put("acme", "s", &patch);
    assert_int_equal(out.rows, 1);
    assert_int_equal(out.row.level, TG_LEVEL_FULL);
    assert_int_equal(out.row.normalize, TG_YES);
    assert_string_equal(out.row.alias.ptr, "x");
    patch =
        (tg_config_patch_t){{.group = TG_STR("g")}, 1U << TG_CONFIG_ALIAS | 1U << TG_CONFIG_GROUP};
    out = put("acme", "s", &patch);
    assert_null(out.row.alias.ptr);
    assert_string_equal(out.row.group.ptr, "g");
    assert_string_equal(out.row.default_metadata.ptr, "{}");
    patch = (tg_config_patch_t){.given = 0};
    assert_int_equal(put("acme", "s", &patch).row.normalize, TG_YES);
}

static void a_context_has_a_limit_of_settings(void **state)
{
    (void)state;
    assert_int_equal(put_level("acme", "1", TG_LEVEL_FULL).rows, 1);
    assert_int_equal(put_level("acme", "2", TG_LEVEL_FULL).rows, 1);
    assert_int_equal(put_level("acme", "3", TG_LEVEL_FULL).rows, 1);
    assert_int_equal(put_level("acme", "4", TG_LEVEL_FULL).rows, 0);
    assert_int_equal(put_level("acme", "3", TG_LEVEL_NONE).rows, 1);
    assert_int_equal(put_level("other", "4", TG_LEVEL_FULL).rows, 1);
}

static void config_and_mode_are_dropped_apart(void **state)
{
    (void)state;
    put_level("acme", "s", TG_LEVEL_FULL);
    put_mode("acme", "s", TG_MODE_READONLY);
    drop_config("acme", "s");
    tg_scope_t scope = scope_of("acme", "s");
    assert_false(scope.subject.configured);
    assert_int_equal(scope.effective.level, TG_LEVEL_BACKWARD);
    assert_int_equal(scope.effective.mode, TG_MODE_READONLY);
    put_level("acme", "s", TG_LEVEL_FULL);
    drop_mode("acme", "s", false);
    scope = scope_of("acme", "s");
    assert_int_equal(scope.effective.level, TG_LEVEL_FULL);
    assert_int_equal(scope.effective.mode, TG_MODE_READWRITE);
}

static void modes_of_a_context_are_dropped_together(void **state)
{
    (void)state;
    put_mode("acme", "", TG_MODE_READONLY);
    put_mode("acme", "s", TG_MODE_IMPORT);
    put_mode("other", "s", TG_MODE_IMPORT);
    drop_mode("acme", "", false);
    assert_int_equal(scope_of("acme", "s").effective.mode, TG_MODE_IMPORT);
    drop_mode("acme", "", true);
    assert_int_equal(scope_of("acme", "s").effective.mode, TG_MODE_READWRITE);
    assert_int_equal(scope_of("other", "s").effective.mode, TG_MODE_IMPORT);
}

static void settings_go_with_the_last_live_version(void **state)
{
    (void)state;
    assert_int_equal(
        tg_pg_server_sql(
            &server, "INSERT INTO control.schemas (id, context, schema, fingerprint)"
                     " VALUES (7, 'acme', '\"int\"', sha256('7')), (8, 'acme', '8', sha256('8'));"
                     "INSERT INTO control.subject_versions (context, subject, version, schema_id)"
                     " VALUES ('acme', 's', 1, 7), ('acme', 's', 2, 8)"),
        0);
    put_level("acme", "s", TG_LEVEL_FULL);
    put_mode("acme", "s", TG_MODE_IMPORT);
    put_level("acme", "t", TG_LEVEL_FULL);
    assert_int_equal(tg_pg_server_sql(&server,
                                      "UPDATE control.subject_versions SET deleted = version = 1"),
                     0);
    assert_int_equal(scope_of("acme", "s").effective.level, TG_LEVEL_FULL);
    assert_int_equal(tg_pg_server_sql(&server,
                                      "UPDATE control.subject_versions SET deleted = true"),
                     0);
    assert_false(scope_of("acme", "s").subject.configured);
    assert_int_equal(scope_of("acme", "s").effective.mode, TG_MODE_READWRITE);
    assert_true(scope_of("acme", "t").subject.configured);
}

static void an_alias_leads_to_the_name_behind_it(void **state)
{
    (void)state;
    tg_config_patch_t patch = {{.alias = TG_STR("real")}, 1U << TG_CONFIG_ALIAS};
    put("acme", "other", &patch);
    assert_int_equal(
        tg_pg_server_sql(&server,
                         "SELECT 1 / (control.real_subject('acme', 'other') = 'real')::int,"
                         " 1 / (control.real_subject('acme', 'real') = 'real')::int,"
                         " 1 / (control.real_subject('b', 'other') = 'other')::int"),
        0);
}

static void sql(const char *text)
{
    assert_int_equal(tg_pg_server_sql(&server, text), 0);
}

static void an_import_finds_an_empty_place(void **state)
{
    (void)state;
    sql("DELETE FROM control.subject_versions; DELETE FROM control.schemas;"
        "INSERT INTO control.schemas (id, context, schema, fingerprint)"
        " VALUES (7, 'acme', '7', sha256('7')), (8, 'acme', '8', sha256('8'));"
        "INSERT INTO control.subject_versions (context, subject, version, schema_id, deleted)"
        " VALUES ('acme', 's', 1, 7, true), ('acme', 't', 1, 8, false)");
    sql("SELECT 1 / (NOT control.clear_for_import('acme', ''))::int,"
        " 1 / (NOT control.clear_for_import('__GLOBAL', ''))::int,"
        " 1 / (NOT control.clear_for_import('acme', 't'))::int,"
        " 1 / control.clear_for_import('other', '')::int");
    sql("INSERT INTO control.schema_references VALUES (8, 0, 'N', 's', 'acme', 's', 1, 7)");
    assert_int_not_equal(tg_pg_server_sql(&server, "SELECT control.clear_for_import('acme', 's')"),
                         0);
    sql("DELETE FROM control.schema_references");
    sql("SELECT 1 / control.clear_for_import('acme', 's')::int");
    sql("SELECT 1 / (count(*) = 1)::int FROM control.subject_versions");
    sql("SELECT 1 / (count(*) = 1)::int FROM control.schemas");
}

static int clean(void **state)
{
    (void)state;
    tg_arena_reset(arena);
    return tg_pg_server_sql(&server, "TRUNCATE control.registry_settings");
}

static int set_up(void **state)
{
    (void)state;
    char dsn[128];
    tg_error_t error;
    if (database_create(&server, dsn) != 0)
        return -1;
    loop = tg_loop_create();
    arena = tg_arena_create((size_t)1 << 20);
    tg_pg_config_t config = {
        .dsn = dsn, .name = "test", .connections = 1, .max_waiting = 8, .connect_timeout_ms = 5000};
    if (loop == NULL || arena == NULL)
        return -1;
    return tg_pg_pool_open(loop, &config, &pool, &error) == TG_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    tg_pg_pool_close(pool);
    tg_loop_destroy(loop);
    tg_arena_destroy(arena);
    return tg_pg_server_do(&server, "destroy");
}

#define TEST(name) cmocka_unit_test_setup(name, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_scope_is_subject_context_and_registry), TEST(a_change_keeps_what_it_does_not_name),
        TEST(a_context_has_a_limit_of_settings),       TEST(config_and_mode_are_dropped_apart),
        TEST(modes_of_a_context_are_dropped_together), TEST(settings_go_with_the_last_live_version),
        TEST(an_alias_leads_to_the_name_behind_it),    TEST(an_import_finds_an_empty_place),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
