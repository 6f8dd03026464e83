/* What the commands do before they reach a server: scopes, refused words, printed text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/admin.h"
#include "cli/breakers.h"
#include "cli/keys.h"
#include "cli/limits.h"
#include "cli/logins.h"
#include "cli/plans.h"
#include "cli/tenants.h"
#include "cli/topics.h"

static void scopes_become_an_array_in_fixed_order_without_doubles(void **state)
{
    (void)state;
    tg_buf_t array = tg_buf_make(128);
    assert_int_equal(tg_keys_scopes(TG_STR("read,ingest,read"), &array, NULL), TG_OK);
    assert_string_equal(array.data, "{ingest,read}");
    tg_buf_dispose(&array);
}

static void unknown_or_empty_scopes_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const bad[] = {"",      "write", "read,", ",read", "read,,ingest",
                                      "read}", "READ",  "read ", "rea"};
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        tg_buf_t array = tg_buf_make(128);
        tg_error_t error = {0};
        assert_int_equal(tg_keys_scopes(tg_str_from(bad[i]), &array, &error), TG_INVALID);
        assert_non_null(strstr(error.text, "--scopes"));
        tg_buf_dispose(&array);
    }
}

static void limits_become_an_object_of_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text, *json;
    } good[] = {{"", "{}"},
                {"burst=5", "{\"burst\":5}"},
                {"burst=5,max_body=default", "{\"burst\":5,\"max_body\":null}"}};
    static const char *const bad[] = {"burst",   "burst=",   "=5",        "burst=5,", ",burst=5",
                                      "Burst=5", "burst=5x", "bu\"rst=5", "burst=1.5"};
    for (size_t i = 0; i < TG_ARRAY_LEN(good); i++) {
        tg_buf_t json = tg_buf_make(TG_LIMITS_TEXT_MAX);
        assert_int_equal(tg_limits_read(good[i].text, &json, NULL), TG_OK);
        assert_string_equal(json.data, good[i].json);
        tg_buf_dispose(&json);
    }
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        tg_buf_t json = tg_buf_make(TG_LIMITS_TEXT_MAX);
        tg_error_t error = {0};
        assert_int_equal(tg_limits_read(bad[i], &json, &error), TG_INVALID);
        assert_non_null(strstr(error.text, "--limits"));
        tg_buf_dispose(&json);
    }
}

/* Runs a command that must refuse its words before it opens any connection. */
static void refuses(tg_cli_fn command, char **words, int count, const char *part)
{
    tg_cli_config_t config = {.replication = 1, .timeout_ms = 100};
    tg_cli_t cli = {.config = &config, .out = stdout};
    tg_args_t args;
    tg_error_t error = {0};
    assert_int_equal(tg_args_split(count, words, &args, NULL), TG_OK);
    assert_int_equal(command(&cli, &args, &error), TG_INVALID);
    assert_non_null(strstr(error.text, part));
    assert_null(cli.session);
}

static void a_wrong_command_line_is_refused_before_any_connection(void **state)
{
    (void)state;
    char *none[] = {"t"};
    char *upper[] = {"t", "Acme"};
    char *no_scopes[] = {"t", "--tenant", "a"};
    char *expiry[] = {"t", "--tenant=a", "--scopes=read", "--expires=soon"};
    char *extra[] = {"t", "acme", "--colour", "red"};
    char *whole_key[] = {"t", "tg_0123456789ab_secret"};
    char *overlap[] = {"t", "0123456789ab", "--overlap", "long"};
    char *limits[] = {"t", "acme", "--limits", "weight=1,burst=many"};
    char *rate[] = {"t", "gold", "--requests-per-second", "fast"};
    char *rows[] = {"t", "--limit", "0"};
    char *replication[] = {"t", "--replication", "10"};
    char *no_tenant[] = {"t", "alice"};
    char *quoted[] = {"t", "a\"b", "--tenant", "acme"};
    char *ours[] = {"t", "tidegate_query", "--tenant", "acme"};
    char *many[] = {"t", "alice", "--tenant", "acme", "--connections", "101"};
    refuses(tg_tenants_create, none, 1, "the tenant's id");
    refuses(tg_tenants_create, extra, 4, "--colour");
    refuses(tg_tenants_create, upper, 2, "1 to 63");
    refuses(tg_keys_create, no_scopes, 3, "--scopes");
    refuses(tg_keys_create, expiry, 4, "");
    refuses(tg_keys_revoke, whole_key, 2, "12 characters");
    refuses(tg_keys_show, whole_key, 2, "12 characters");
    refuses(tg_keys_rotate, overlap, 4, "");
    refuses(tg_tenants_delete, upper, 2, "--yes");
    refuses(tg_tenants_update, limits, 4, "burst=many");
    refuses(tg_plans_set, rate, 4, "integer");
    refuses(tg_audit_list, rows, 3, "--limit");
    refuses(tg_admin_bootstrap, rows, 3, "--limit");
    refuses(tg_topics_create, replication, 3, "--replication");
    refuses(tg_logins_create, no_tenant, 2, "--tenant");
    refuses(tg_logins_create, quoted, 4, "a-z, 0-9");
    refuses(tg_logins_create, ours, 4, "tidegate");
    refuses(tg_logins_create, many, 6, "--connections");
    refuses(tg_logins_drop, ours, 2, "tidegate");
    refuses(tg_logins_drop, none, 1, "the login's name");
}

static void printed_text_cannot_steer_the_terminal(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    tg_cli_print(out, "a\x1b[2J\n\x7f\xc3\xbc", 10);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, "a?[2J??\xc3\xbc  ");
    free(text);
}

static void a_list_of_breakers_is_printed_and_garbage_is_refused(void **state)
{
    (void)state;
    static const char json[] =
        "{\"gateway\":\"a\",\"items\":[{\"upstream\":\"query\",\"instance\":\"127.0.0.1:1\","
        "\"state\":\"open\",\"set\":\"auto\",\"why\":\"bad\\u001b[2J\",\"since\":\"now\","
        "\"healthy\":false,\"ejected\":false,\"calls\":7},{}]}";
    static const char *const bad[] = {"", "{}", "[]", "{\"items\":{}}", "{\"items\":[", "null"};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    assert_int_equal(tg_breakers_print(out, TG_STR(json), NULL), TG_OK);
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
        assert_int_equal(tg_breakers_print(out, tg_str_from(bad[i]), NULL), TG_INTERNAL);
    (void)fclose(out);
    assert_non_null(strstr(text, "127.0.0.1:1"));
    assert_non_null(strstr(text, "unhealthy"));
    assert_null(strchr(text, '\x1b')); /* what is from outside cannot steer the terminal */
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_of_breakers_is_printed_and_garbage_is_refused),
        cmocka_unit_test(scopes_become_an_array_in_fixed_order_without_doubles),
        cmocka_unit_test(unknown_or_empty_scopes_are_refused_by_name),
        cmocka_unit_test(limits_become_an_object_of_numbers),
        cmocka_unit_test(a_wrong_command_line_is_refused_before_any_connection),
        cmocka_unit_test(printed_text_cannot_steer_the_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
