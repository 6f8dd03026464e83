/* Snapshots of real control tables, read as the gateway's own role, and keys judged by them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/time.h"
#include "gateway/auth.h"
#include "gateway/tests/control.h"

static control_t control;
static PGconn *pg;
static tg_directory_loader_t *loader;

/* As the watch does it: in one transaction. */
static tg_directory_t *try_load(tg_error_t *error)
{
    PQclear(PQexec(pg, "begin isolation level repeatable read read only"));
    tg_directory_t *directory = tg_directory_load(pg, loader, error);
    PQclear(PQexec(pg, "commit"));
    return directory;
}

static tg_directory_t *load(void)
{
    tg_error_t error = {.status = TG_OK};
    tg_directory_t *directory = try_load(&error);
    if (directory == NULL)
        fail_msg("%s", error.text);
    return directory;
}

static const tg_api_key_t *find(const tg_directory_t *directory, const char *key)
{
    const tg_tenant_t *tenant = NULL;
    return tg_directory_find(directory, (tg_str_t){key + 3, TG_KEY_ID_LEN}, &tenant);
}

static const tg_tenant_t *tenant_of(const tg_directory_t *directory, const char *key)
{
    const tg_tenant_t *tenant = NULL;
    assert_non_null(tg_directory_find(directory, (tg_str_t){key + 3, TG_KEY_ID_LEN}, &tenant));
    assert_non_null(tenant->plan);
    return tenant;
}

static tg_auth_result_t check(const tg_directory_t *directory, const char *key, tg_scope_t scope)
{
    tg_identity_t found = {.key = NULL};
    tg_credentials_t credentials = {.api_key = tg_str_from(key)};
    tg_auth_result_t result = tg_auth_check(directory, &credentials, scope, tg_time_now(), &found);
    bool known = result == TG_AUTH_OK || result == TG_AUTH_FORBIDDEN;
    assert_int_equal(found.key != NULL && found.tenant != NULL, known);
    return result;
}

static void a_snapshot_holds_tenants_with_plans_and_keys_with_scopes(void **state)
{
    (void)state;
    char key[TG_KEY_LEN + 1];
    control_sql(&control, "insert into control.plans values ('small', 5, 7);"
                          " insert into control.tenants (id, plan) values ('acme', 'small'),"
                          " ('other', 'default')");
    control_key(&control, "acme", "ingest,registry", "null", key);
    tg_directory_t *directory = load();

    assert_int_equal(tg_directory_stats(directory).tenants, 2);
    assert_int_equal(tg_directory_stats(directory).keys, 1);
    const tg_api_key_t *found = find(directory, key);
    assert_non_null(found);
    const tg_tenant_t *tenant = tenant_of(directory, key);
    assert_string_equal(tenant->id, "acme");
    assert_false(tenant->disabled);
    assert_string_equal(tenant->plan->name, "small");
    for (size_t i = 0; i < TG_CLASS_COUNT; i++) {
        assert_int_equal(tenant->plan->classes[i].requests_per_second, 5);
        assert_int_equal(tenant->plan->classes[i].burst, 7);
    }
    assert_int_equal(tenant->plan->versions, TG_PLAN_V1 | TG_PLAN_V2);
    assert_int_equal(found->scopes, TG_SCOPE_INGEST | TG_SCOPE_REGISTRY);
    assert_true(found->expires_at == INT64_MAX);
    assert_null(tg_directory_find(directory, TG_STR("unknown00000"), &tenant));
    tg_directory_release(directory, loader);
}

static void a_key_is_valid_for_its_scopes_and_with_its_secret_only(void **state)
{
    (void)state;
    char key[TG_KEY_LEN + 1], stranger[TG_KEY_LEN + 1], forged[TG_KEY_LEN + 1];
    tg_key_t unused;
    control_key(&control, "acme", "read", "now() + interval '1 hour'", key);
    tg_key_generate(stranger, &unused);
    tg_directory_t *directory = load();

    assert_int_equal(check(directory, key, TG_SCOPE_READ), TG_AUTH_OK);
    assert_int_equal(check(directory, key, TG_SCOPE_INGEST), TG_AUTH_FORBIDDEN);
    assert_int_equal(check(directory, stranger, TG_SCOPE_READ), TG_AUTH_INVALID);
    assert_int_equal(check(directory, "", TG_SCOPE_READ), TG_AUTH_MISSING);
    assert_int_equal(check(directory, "tg_short", TG_SCOPE_READ), TG_AUTH_INVALID);

    /* The stranger's text is well-formed; stored under its id is another secret's digest. */
    memcpy(forged, stranger, sizeof(forged));
    control_sql(&control,
                "insert into control.api_keys (id, tenant_id, secret_sha256, scopes)"
                " values ('%.12s', 'acme', sha256('another'), '{read}')",
                forged + 3);
    tg_directory_release(directory, loader);
    directory = load();
    assert_non_null(find(directory, forged));
    assert_int_equal(check(directory, forged, TG_SCOPE_READ), TG_AUTH_INVALID);
    tg_directory_release(directory, loader);
}

static void keys_expire_at_their_time(void **state)
{
    (void)state;
    char past[TG_KEY_LEN + 1], ever[TG_KEY_LEN + 1], never[TG_KEY_LEN + 1], far[TG_KEY_LEN + 1];
    control_key(&control, "acme", "read", "now() - interval '1 second'", past);
    control_key(&control, "acme", "read", "'infinity'", ever);
    control_key(&control, "acme", "read", "'-infinity'", never);
    control_key(&control, "acme", "read", "'294276-12-31'", far);
    tg_directory_t *directory = load(); /* no date makes a snapshot fail */

    assert_int_equal(check(directory, past, TG_SCOPE_READ), TG_AUTH_INVALID);
    assert_int_equal(check(directory, ever, TG_SCOPE_READ), TG_AUTH_OK);
    assert_int_equal(check(directory, never, TG_SCOPE_READ), TG_AUTH_INVALID);
    assert_int_equal(check(directory, far, TG_SCOPE_READ), TG_AUTH_OK);
    tg_identity_t found = {.key = NULL};
    tg_credentials_t credentials = {.api_key = tg_str_from(past)};
    int64_t expiry = find(directory, past)->expires_at;
    assert_int_equal(tg_auth_check(directory, &credentials, TG_SCOPE_READ, expiry - 1, &found),
                     TG_AUTH_OK);
    assert_int_equal(tg_auth_check(directory, &credentials, TG_SCOPE_READ, expiry, &found),
                     TG_AUTH_INVALID);
    tg_directory_release(directory, loader);
}

static void a_revoked_key_is_left_out_and_a_disabled_tenants_refused(void **state)
{
    (void)state;
    char revoked[TG_KEY_LEN + 1], disabled[TG_KEY_LEN + 1];
    control_sql(&control, "insert into control.tenants (id) values ('gone')");
    control_key(&control, "acme", "read", "null", revoked);
    control_key(&control, "gone", "read", "null", disabled);
    tg_directory_t *before = load();
    assert_int_equal(check(before, revoked, TG_SCOPE_READ), TG_AUTH_OK);
    assert_int_equal(check(before, disabled, TG_SCOPE_READ), TG_AUTH_OK);

    control_sql(&control,
                "update control.api_keys set revoked_at = now() where id = '%.12s';"
                " update control.tenants set disabled_at = now() where id = 'gone'",
                revoked + 3);
    tg_directory_t *after = load();
    assert_null(find(after, revoked));
    assert_int_equal(check(after, revoked, TG_SCOPE_READ), TG_AUTH_INVALID);
    assert_true(tenant_of(after, disabled)->disabled);
    assert_int_equal(check(after, disabled, TG_SCOPE_READ), TG_AUTH_INVALID);
    assert_int_equal(check(before, revoked, TG_SCOPE_READ), TG_AUTH_OK); /* the old one stands */
    tg_directory_release(before, loader);
    tg_directory_release(after, loader);
}

static void a_tenant_keeps_its_number_until_it_is_deleted(void **state)
{
    (void)state;
    char key[TG_KEY_LEN + 1], other[TG_KEY_LEN + 1];
    control_sql(&control, "insert into control.tenants (id) values ('first')");
    control_key(&control, "first", "read", "null", key);
    tg_directory_t *before = load();
    uint32_t number = tenant_of(before, key)->number;

    control_sql(&control, "update control.tenants set name = 'First' where id = 'first'");
    tg_directory_t *after = load();
    assert_int_equal(tenant_of(after, key)->number, number);
    tg_directory_release(after, loader);

    /* Its key is not revoked, and yet opens nothing: above all not the tenant with its number. */
    control_sql(&control, "update control.tenants set disabled_at = now(), deleted_at = now()"
                          " where id = 'first'");
    tg_directory_release(load(), loader);
    control_sql(&control, "insert into control.tenants (id) values ('second')");
    control_key(&control, "second", "read", "null", other);
    after = load();
    assert_int_equal(tenant_of(after, other)->number, number);
    assert_null(find(after, key));
    assert_string_equal(tenant_of(before, key)->id, "first"); /* the old one stands */
    tg_directory_release(before, loader);
    tg_directory_release(after, loader);
}

static void a_change_is_read_alone_and_all_after_a_reconnect(void **state)
{
    (void)state;
    char key[TG_KEY_LEN + 1];
    control_key(&control, "acme", "read", "null", key);
    tg_directory_release(load(), loader);
    control_sql(&control,
                "update control.plans set requests_per_second = 77 where name = 'small';"
                " update control.tenants set limits = '{\"read_burst\": 3}' where id = 'acme'");
    tg_directory_t *directory = load();
    assert_false(tg_directory_stats(directory).whole);
    const tg_plan_t *plan = tenant_of(directory, key)->plan;
    assert_int_equal(plan->classes[TG_CLASS_READ].requests_per_second, 77);
    assert_int_equal(plan->classes[TG_CLASS_READ].burst, 3);
    assert_int_equal(plan->classes[TG_CLASS_INGEST].burst, 7);
    tg_directory_release(directory, loader);

    /* The plan alone: the tenant's own limit stays over it. */
    control_sql(&control, "update control.plans set burst = 9, limits = '{\"weight\": 5}'"
                          " where name = 'small'");
    directory = load();
    assert_false(tg_directory_stats(directory).whole);
    plan = tenant_of(directory, key)->plan;
    assert_int_equal(plan->classes[TG_CLASS_READ].burst, 3);
    assert_int_equal(plan->classes[TG_CLASS_INGEST].burst, 9);
    assert_int_equal(plan->weight, 5);
    size_t keys = tg_directory_stats(directory).keys;
    tg_directory_release(directory, loader);

    PQreset(pg);
    directory = load();
    assert_true(tg_directory_stats(directory).whole);
    assert_int_equal(tg_directory_stats(directory).keys, keys);
    tg_directory_release(directory, loader);
    control_sql(&control, "delete from control.api_keys where id = '%.12s'", key + 3);
    directory = load();
    assert_false(tg_directory_stats(directory).whole);
    assert_null(find(directory, key));
    tg_directory_release(directory, loader);
}

static void a_statement_on_very_many_rows_makes_everything_be_read(void **state)
{
    (void)state;
    tg_directory_release(load(), loader);
    control_sql(&control, "insert into control.api_keys (id, tenant_id, secret_sha256, scopes)"
                          " select lpad(n::text, 12, 'x'), 'acme', sha256(n::text::bytea), '{read}'"
                          " from generate_series(1, 12000) n");
    tg_directory_t *directory = load();
    assert_true(tg_directory_stats(directory).whole);
    const tg_tenant_t *tenant = NULL;
    for (unsigned i = 1; i <= 12000; i++) {
        char id[16];
        char padded[TG_KEY_ID_LEN + 1] = "xxxxxxxxxxxx";
        (void)snprintf(id, sizeof(id), "%u", i);
        memcpy(padded + TG_KEY_ID_LEN - strlen(id), id, strlen(id));
        assert_non_null(tg_directory_find(directory, tg_str_from(padded), &tenant));
    }
    tg_directory_release(directory, loader);
    control_sql(&control, "delete from control.api_keys where id like 'x%%'");
    directory = load();
    assert_null(tg_directory_find(directory, TG_STR("xxxxxxxxxxx1"), &tenant));
    tg_directory_release(directory, loader);
}

static void the_scope_admin_counts_for_operators_only(void **state)
{
    (void)state;
    char key[TG_KEY_LEN + 1], operators[TG_KEY_LEN + 1];
    control_sql(&control, "insert into control.tenants (id, operator) values ('ops', true)");
    control_key(&control, "acme", "admin,read", "null", key);
    control_key(&control, "ops", "admin", "null", operators);
    tg_directory_t *directory = load();
    assert_int_equal(check(directory, key, TG_SCOPE_ADMIN), TG_AUTH_FORBIDDEN);
    assert_int_equal(check(directory, key, TG_SCOPE_READ), TG_AUTH_OK);
    assert_int_equal(check(directory, operators, TG_SCOPE_ADMIN), TG_AUTH_OK);
    assert_int_equal(check(directory, operators, TG_SCOPE_READ), TG_AUTH_FORBIDDEN);
    tg_directory_release(directory, loader);
}

/* One list in two languages. */
static void the_table_of_limits_is_that_of_the_database(void **state)
{
    (void)state;
    PGconn *owner = PQconnectdb(control.server.dsn);
    PGresult *rows = PQexec(owner, "select name, low, high, coalesce(fallback::text, '-')"
                                   " from control.limits");
    assert_int_equal(PQresultStatus(rows), PGRES_TUPLES_OK);
    int count = 0;
    for (const tg_plan_limit_t *limit; (limit = tg_plan_limit((size_t)count)) != NULL; count++) {
        char expected[128] = "", found[128] = "";
        char fallback[24] = "-";
        if (limit->fallback != TG_PLAN_UNSET)
            (void)snprintf(fallback, sizeof(fallback), "%lld", (long long)limit->fallback);
        (void)snprintf(expected, sizeof(expected), "%s %lld %lld %s", limit->name,
                       (long long)limit->low, (long long)limit->high, fallback);
        for (int row = 0; row < PQntuples(rows); row++) {
            if (strcmp(PQgetvalue(rows, row, 0), limit->name) == 0)
                (void)snprintf(found, sizeof(found), "%s %s %s %s", PQgetvalue(rows, row, 0),
                               PQgetvalue(rows, row, 1), PQgetvalue(rows, row, 2),
                               PQgetvalue(rows, row, 3));
        }
        assert_string_equal(found, expected);
    }
    assert_int_equal(PQntuples(rows), count);
    PQclear(rows);
    PQfinish(owner);
}

static void a_snapshot_is_refused_when_either_query_fails(void **state)
{
    (void)state;
    static const char *const tables[] = {"control.tenants", "control.api_keys"};
    for (size_t i = 0; i < TG_ARRAY_LEN(tables); i++) {
        tg_error_t error = {.status = TG_OK};
        control_sql(&control, "revoke select on %s from tidegate_gateway", tables[i]);
        assert_null(try_load(&error));
        assert_non_null(strstr(error.text, "permission denied"));
        control_sql(&control, "grant select on %s to tidegate_gateway", tables[i]);
        tg_directory_release(load(), loader);
    }
    tg_directory_release(NULL, loader);
}

static void scopes_have_the_names_of_the_control_tables(void **state)
{
    (void)state;
    assert_string_equal(tg_scope_name(TG_SCOPE_INGEST), "ingest");
    assert_string_equal(tg_scope_name(TG_SCOPE_ADMIN), "admin");
    assert_string_equal(tg_scope_name((tg_scope_t)(TG_SCOPE_READ | TG_SCOPE_MANAGE)), "");
}

static int start(void **state)
{
    (void)state;
    if (control_create(&control) != 0)
        return -1;
    pg = PQconnectdb(control.dsn);
    loader = tg_directory_loader_create();
    return PQstatus(pg) == CONNECTION_OK && loader != NULL ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    PQfinish(pg);
    tg_directory_loader_destroy(loader);
    return control_destroy(&control);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_holds_tenants_with_plans_and_keys_with_scopes),
        cmocka_unit_test(a_key_is_valid_for_its_scopes_and_with_its_secret_only),
        cmocka_unit_test(keys_expire_at_their_time),
        cmocka_unit_test(a_revoked_key_is_left_out_and_a_disabled_tenants_refused),
        cmocka_unit_test(a_tenant_keeps_its_number_until_it_is_deleted),
        cmocka_unit_test(a_change_is_read_alone_and_all_after_a_reconnect),
        cmocka_unit_test(a_statement_on_very_many_rows_makes_everything_be_read),
        cmocka_unit_test(the_scope_admin_counts_for_operators_only),
        cmocka_unit_test(the_table_of_limits_is_that_of_the_database),
        cmocka_unit_test(a_snapshot_is_refused_when_either_query_fails),
        cmocka_unit_test(scopes_have_the_names_of_the_control_tables),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
