/* See tenants.h. */
#include "cli/tenants.h"

#include "cli/limits.h"

/* As the database checks it, said before there is a connection. */
static tg_status_t check_id(const char *id, tg_error_t *error)
{
    size_t len = strlen(id);
    if (len >= 1 && len <= 63 && id[0] != '-' &&
        strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == len)
        return TG_OK;
    return tg_error_set(error, TG_INVALID,
                        "a tenant's id is 1 to 63 of a-z, 0-9 and -, and does not begin with -");
}

typedef struct tenant_request {
    const char *id, *name, *plan; /* NULL: not said */
    tg_buf_t limits;              /* JSON; owned */
} tenant_request_t;

/* The request's buffer is to be disposed of in any case. */
static tg_status_t read_request(tg_args_t *args, tenant_request_t *out_request, tg_error_t *error)
{
    const char *limits = "";
    out_request->limits = tg_buf_make(TG_LIMITS_TEXT_MAX);
    tg_status_t status = tg_args_flag(args, "--name", &out_request->name, error);
    if (status == TG_OK)
        status = tg_args_flag(args, "--plan", &out_request->plan, error);
    if (status == TG_OK)
        status = tg_args_flag(args, "--limits", &limits, error);
    if (status == TG_OK)
        status = tg_cli_word(args, "the tenant's id", &out_request->id, error);
    if (status == TG_OK)
        status = tg_args_done(args, error);
    if (status == TG_OK)
        status = check_id(out_request->id, error);
    return status == TG_OK ? tg_limits_read(limits, &out_request->limits, error) : status;
}

/* Members that were said; $4 is the limits'. */
#define BODY                                                                                       \
    "jsonb_strip_nulls(jsonb_build_object('name', $2::text, 'plan', $3::text))"                    \
    " || jsonb_build_object('limits', $4::jsonb)"

static tg_status_t run_request(tg_cli_t *cli, const tenant_request_t *request, const char *sql,
                               const char *done, tg_error_t *error)
{
    const char *const params[] = {request->id, request->name, request->plan, request->limits.data};
    tg_status_t status = tg_cli_execute(cli, sql, 4, params, NULL, error);
    if (status == TG_OK)
        (void)fprintf(cli->out, "tenant %s %s\n", request->id, done);
    return status;
}

static tg_status_t find_tenant(tg_cli_t *cli, const char *id, bool *out_found, tg_error_t *error)
{
    PGresult *rows = NULL;
    tg_status_t status =
        tg_cli_query(cli, "SELECT FROM control.tenants WHERE id = $1 AND deleted_at IS NULL", 1,
                     &id, &rows, error);
    if (status == TG_OK)
        *out_found = PQntuples(rows) > 0;
    PQclear(rows);
    return status;
}

tg_status_t tg_tenants_create(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    assert(cli != NULL);
    tenant_request_t request = {.id = NULL};
    bool lenient = tg_args_switch(args, "--if-not-exists"), found = false;
    tg_status_t status = read_request(args, &request, error);
    if (status == TG_OK && lenient)
        status = find_tenant(cli, request.id, &found, error);
    if (status == TG_OK && found)
        (void)fprintf(cli->out, "tenant %s exists\n", request.id);
    else if (status == TG_OK)
        status =
            run_request(cli, &request,
                        "SELECT admin.create_tenant(jsonb_build_object('id', $1::text) || " BODY
                        ")",
                        "created", error);
    tg_buf_dispose(&request.limits);
    return status;
}

tg_status_t tg_tenants_update(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    assert(cli != NULL);
    tenant_request_t request = {.id = NULL};
    tg_status_t status = read_request(args, &request, error);
    if (status == TG_OK)
        status = run_request(cli, &request, "SELECT admin.update_tenant($1, " BODY ")", "changed",
                             error);
    tg_buf_dispose(&request.limits);
    return status;
}

tg_status_t tg_tenants_show(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    return tg_cli_show(cli, args, "the tenant's id",
                       "SELECT key AS tenant, value AS \"-\" FROM"
                       " json_each_text(admin.show_tenant($1))",
                       error);
}

tg_status_t tg_tenants_list(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    const char *params[2] = {NULL, NULL};
    tg_status_t status = tg_args_flag(args, "--state", &params[0], error);
    if (status == TG_OK)
        status = tg_args_flag(args, "--plan", &params[1], error);
    if (status == TG_OK)
        status = tg_args_done(args, error);
    if (status == TG_OK && params[0] != NULL && strcmp(params[0], "active") != 0 &&
        strcmp(params[0], "suspended") != 0 && strcmp(params[0], "deleted") != 0)
        status = tg_error_set(error, TG_INVALID, "--state is active, suspended or deleted");
    if (status != TG_OK)
        return status;
    return tg_cli_list(
        cli,
        "SELECT t.id, t.plan, CASE WHEN t.deleted_at IS NOT NULL THEN 'deleted'"
        " WHEN t.disabled_at IS NOT NULL THEN 'suspended' ELSE 'active' END AS state,"
        " (SELECT count(*) FROM control.api_keys k WHERE k.tenant_id = t.id"
        "  AND k.revoked_at IS NULL) AS keys,"
        " t.created_at::timestamptz(0) AS created, t.name"
        " FROM control.tenants t WHERE ($2::text IS NULL OR t.plan = $2)"
        " AND CASE coalesce($1, '') WHEN 'deleted' THEN t.deleted_at IS NOT NULL"
        " WHEN 'suspended' THEN t.disabled_at IS NOT NULL AND t.deleted_at IS NULL"
        " WHEN 'active' THEN t.disabled_at IS NULL ELSE t.deleted_at IS NULL END ORDER BY t.id",
        2, params, error);
}

tg_status_t tg_tenants_suspend(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    return tg_cli_change(cli, args, "the tenant's id", "SELECT admin.suspend_tenant($1)", "tenant",
                         "suspended", error);
}

tg_status_t tg_tenants_resume(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    return tg_cli_change(cli, args, "the tenant's id", "SELECT admin.resume_tenant($1)", "tenant",
                         "resumed", error);
}

tg_status_t tg_tenants_delete(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    if (!tg_args_switch(args, "--yes"))
        return tg_error_set(error, TG_INVALID,
                            "a deletion is for good and ends the tenant's keys; say --yes");
    return tg_cli_change(cli, args, "the tenant's id", "SELECT admin.delete_tenant($1)", "tenant",
                         "deleted", error);
}
