/* See tenants.h. */
#include "cli/tenants.h"

/* As control.tenants checks it, said in words. */
static tg_status_t check_id(const char *id, tg_error_t *error)
{
    size_t len = strlen(id);
    if (len >= 1 && len <= 63 && id[0] != '-' &&
        strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == len)
        return TG_OK;
    return tg_error_set(error, TG_INVALID,
                        "a tenant's id is 1 to 63 of a-z, 0-9 and -, and does not begin with -");
}

tg_status_t tg_tenants_create(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    const char *id = NULL, *name = "", *plan = "default";
    uint64_t changed = 0;
    bool lenient = tg_args_switch(args, "--if-not-exists");

    tg_status_t status = tg_args_flag(args, "--name", &name, error);
    if (status == TG_OK)
        status = tg_args_flag(args, "--plan", &plan, error);
    if (status == TG_OK)
        status = tg_cli_word(args, "the tenant's id", &id, error);
    if (status == TG_OK)
        status = tg_args_done(args, error);
    if (status == TG_OK)
        status = check_id(id, error);
    if (status != TG_OK)
        return status;

    const char *const params[] = {id, name, plan};
    status = tg_cli_execute(cli,
                            "INSERT INTO control.tenants (id, name, plan) VALUES ($1, $2, $3)"
                            " ON CONFLICT (id) DO NOTHING",
                            3, params, &changed, error);
    if (status != TG_OK)
        return status;
    if (changed == 0 && !lenient)
        return tg_error_set(error, TG_CONFLICT, "tenant %s exists", id);
    (void)fprintf(cli->out, "tenant %s %s\n", id, changed == 0 ? "exists" : "created");
    return TG_OK;
}

tg_status_t tg_tenants_list(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    tg_status_t status = tg_args_done(args, error);
    if (status != TG_OK)
        return status;
    return tg_cli_list(cli,
                       "SELECT id, plan,"
                       " (SELECT count(*) FROM control.api_keys k WHERE k.tenant_id = t.id"
                       "  AND k.revoked_at IS NULL) AS keys,"
                       " created_at::timestamptz(0) AS created,"
                       " coalesce(disabled_at::timestamptz(0)::text, '-') AS disabled, name"
                       " FROM control.tenants t ORDER BY id",
                       0, NULL, error);
}

/* `sql` changes the one tenant $1 and must touch a row. */
static tg_status_t change_tenant(tg_cli_t *cli, tg_args_t *args, const char *sql, const char *done,
                                 tg_error_t *error)
{
    const char *id = NULL;
    uint64_t changed = 0;

    tg_status_t status = tg_cli_word(args, "the tenant's id", &id, error);
    if (status == TG_OK)
        status = tg_args_done(args, error);
    if (status == TG_OK)
        status = tg_cli_execute(cli, sql, 1, &id, &changed, error);
    if (status != TG_OK)
        return status;
    if (changed == 0)
        return tg_error_set(error, TG_NOT_FOUND, "there is no tenant %s", id);
    (void)fprintf(cli->out, "tenant %s %s\n", id, done);
    return TG_OK;
}

tg_status_t tg_tenants_disable(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    return change_tenant(cli, args,
                         "UPDATE control.tenants SET disabled_at = coalesce(disabled_at, now())"
                         " WHERE id = $1",
                         "disabled", error);
}

tg_status_t tg_tenants_enable(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    return change_tenant(cli, args, "UPDATE control.tenants SET disabled_at = NULL WHERE id = $1",
                         "enabled", error);
}

tg_status_t tg_plans_list(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    tg_status_t status = tg_args_done(args, error);
    if (status != TG_OK)
        return status;
    return tg_cli_list(cli,
                       "SELECT name, requests_per_second, burst, active_series, retention_days,"
                       " (SELECT count(*) FROM control.tenants t WHERE t.plan = p.name) AS tenants"
                       " FROM control.plans p ORDER BY name",
                       0, NULL, error);
}

tg_status_t tg_plans_set(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    const char *name = NULL, *rate = NULL, *burst = NULL;

    tg_status_t status = tg_args_flag(args, "--requests-per-second", &rate, error);
    if (status == TG_OK)
        status = tg_args_flag(args, "--burst", &burst, error);
    if (status == TG_OK)
        status = tg_cli_word(args, "the plan's name", &name, error);
    if (status == TG_OK)
        status = tg_args_done(args, error);
    if (status == TG_OK && (rate == NULL || burst == NULL))
        status = tg_error_set(error, TG_INVALID, "--requests-per-second and --burst are needed");
    if (status != TG_OK)
        return status;

    const char *const params[] = {name, rate, burst};
    status = tg_cli_execute(cli,
                            "INSERT INTO control.plans (name, requests_per_second, burst)"
                            " VALUES ($1, $2::integer, $3::integer) ON CONFLICT (name) DO UPDATE"
                            " SET requests_per_second = excluded.requests_per_second,"
                            " burst = excluded.burst",
                            3, params, NULL, error);
    if (status == TG_OK)
        (void)fprintf(cli->out, "plan %s: %s requests/s, burst %s\n", name, rate, burst);
    return status;
}
