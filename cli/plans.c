/* See plans.h. */
#include "cli/plans.h"

#include "cli/limits.h"

/* The two oldest limits have flags of their own. */
static tg_status_t add_flag(tg_args_t *args, const char *flag, const char *name, tg_buf_t *limits,
                            tg_error_t *error)
{
    const char *value = NULL;
    int64_t number = 0;
    tg_status_t status = tg_args_flag(args, flag, &value, error);
    if (status != TG_OK || value == NULL)
        return status;
    if (tg_str_to_i64(tg_str_from(value), &number) != TG_OK)
        return tg_error_set(error, TG_INVALID, "%s: \"%s\" is no integer", flag, value);
    tg_buf_printf(limits, "%s%s=%lld", limits->len > 0 ? "," : "", name, (long long)number);
    return TG_OK;
}

static tg_status_t read_limits(tg_args_t *args, tg_buf_t *out_json, tg_error_t *error)
{
    const char *limits = NULL;
    tg_buf_t pairs = tg_buf_make(TG_LIMITS_TEXT_MAX);
    tg_status_t status = tg_args_flag(args, "--limits", &limits, error);
    if (status == TG_OK && limits != NULL)
        tg_buf_str(&pairs, tg_str_from(limits));
    if (status == TG_OK)
        status = add_flag(args, "--requests-per-second", "requests_per_second", &pairs, error);
    if (status == TG_OK)
        status = add_flag(args, "--burst", "burst", &pairs, error);
    tg_buf_byte(&pairs, '\0');
    if (status == TG_OK && pairs.failed)
        status = tg_error_set(error, TG_TOO_LARGE, "--limits is too long");
    if (status == TG_OK)
        status = tg_limits_read(pairs.data, out_json, error);
    tg_buf_dispose(&pairs);
    return status;
}

static tg_status_t store(tg_cli_t *cli, const char *name, const char *limits, tg_error_t *error)
{
    const char *const params[] = {name, limits};
    tg_status_t status = tg_cli_execute(
        cli,
        "SELECT CASE WHEN EXISTS (SELECT FROM control.plans WHERE name = $1)"
        " THEN admin.update_plan($1, jsonb_build_object('limits', $2::jsonb))"
        " ELSE admin.create_plan(jsonb_build_object('name', $1::text, 'limits', $2::jsonb)) END",
        2, params, NULL, error);
    if (status == TG_OK)
        (void)fprintf(cli->out, "plan %s set: %s\n", name, limits);
    return status;
}

tg_status_t tg_plans_set(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    assert(cli != NULL);
    const char *name = NULL;
    tg_buf_t limits = tg_buf_make(TG_LIMITS_TEXT_MAX);
    tg_status_t status = read_limits(args, &limits, error);
    if (status == TG_OK)
        status = tg_cli_word(args, "the plan's name", &name, error);
    if (status == TG_OK)
        status = tg_args_done(args, error);
    if (status == TG_OK)
        status = store(cli, name, limits.data, error);
    tg_buf_dispose(&limits);
    return status;
}

tg_status_t tg_plans_show(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    return tg_cli_show(cli, args, "the plan's name",
                       "SELECT l.key AS limit, l.value,"
                       " CASE WHEN p -> 'limits' -> l.key IS NULL THEN '' ELSE 'set' END AS \"-\""
                       " FROM (SELECT admin.show_plan($1)::jsonb AS p) x,"
                       " jsonb_each_text(p -> 'effective_limits') AS l ORDER BY 1",
                       error);
}

tg_status_t tg_plans_list(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    tg_status_t status = tg_args_done(args, error);
    if (status != TG_OK)
        return status;
    return tg_cli_list(cli,
                       "SELECT name, requests_per_second, burst, active_series, retention_days,"
                       " (SELECT count(*) FROM control.tenants t WHERE t.plan = p.name"
                       "  AND t.deleted_at IS NULL) AS tenants,"
                       " replace(control.limits_text(p.limits), ' ', ',') AS limits"
                       " FROM control.plans p ORDER BY name",
                       0, NULL, error);
}

tg_status_t tg_plans_delete(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    return tg_cli_change(cli, args, "the plan's name", "SELECT admin.delete_plan($1)", "plan",
                         "deleted", error);
}

tg_status_t tg_plans_limits(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    tg_status_t status = tg_args_done(args, error);
    if (status != TG_OK)
        return status;
    return tg_cli_list(cli,
                       "SELECT name, low AS minimum, high AS maximum,"
                       " coalesce(fallback::text, '-') AS \"default\", help"
                       " FROM control.limits ORDER BY name",
                       0, NULL, error);
}
