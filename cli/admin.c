/* See admin.h. */
#include "cli/admin.h"

#include "cli/keys.h"

tg_status_t tg_admin_bootstrap(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    const char *expires = "1d";
    tg_keys_text_t seconds;
    tg_status_t status = tg_args_flag(args, "--expires", &expires, error);
    if (status == TG_OK)
        status = tg_args_done(args, error);
    if (status == TG_OK)
        status = tg_keys_seconds("--expires", expires, TG_KEYS_EXPIRES_MAX_DAYS, &seconds, error);
    if (status != TG_OK)
        return status;
    const char *const params[] = {seconds.text};
    return tg_keys_make(cli, "SELECT admin.bootstrap($1, $2::bytea, $3::bigint)", 1, params, error);
}

tg_status_t tg_audit_list(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    const char *params[] = {"100", NULL, NULL};
    uint64_t number = 0;
    tg_status_t status = tg_args_flag(args, "--limit", &params[0], error);
    if (status == TG_OK)
        status = tg_args_flag(args, "--tenant", &params[1], error);
    if (status == TG_OK)
        status = tg_args_flag(args, "--action", &params[2], error);
    if (status == TG_OK)
        status = tg_args_done(args, error);
    if (status == TG_OK && (tg_str_to_u64(tg_str_from(params[0]), &number) != TG_OK || number < 1 ||
                            number > TG_AUDIT_ROWS_MAX))
        status =
            tg_error_set(error, TG_INVALID, "--limit: a number from 1 to %d", TG_AUDIT_ROWS_MAX);
    if (status != TG_OK)
        return status;
    return tg_cli_list(
        cli,
        "SELECT a ->> 'at' AS at, a ->> 'actor' AS actor, a ->> 'address' AS address,"
        " a ->> 'action' AS action, a ->> 'object' AS object"
        " FROM json_array_elements(admin.list_audit($1::integer, NULL, $2, $3)"
        " -> 'items') AS a",
        3, params, error);
}
