/* See logins.h. A role's statements take no parameters, so the server writes each one itself, with
 * format(), and gets it back to run. */
#include "cli/logins.h"

#include "common/base/hash.h"

#define PASSWORD_BYTES 24
#define PASSWORD_LEN   ((size_t)2 * PASSWORD_BYTES)

/* A plain name needs no quotes in a client's settings. Ours are refused: the views treat them
 * specially. */
static tg_status_t check_name(const char *name, tg_error_t *error)
{
    size_t len = strlen(name);
    if (len < 1 || len > 63 || name[0] < 'a' || name[0] > 'z' ||
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != len)
        return tg_error_set(error, TG_INVALID,
                            "a login's name is 1 to 63 of a-z, 0-9 and _, and begins with a-z");
    if (strncmp(name, "tidegate", 8) == 0 || strncmp(name, "pg_", 3) == 0)
        return tg_error_set(error, TG_INVALID,
                            "names that begin with tidegate or pg_ are not for logins");
    return TG_OK;
}

/* Runs what the one-cell query `format` gives. */
static tg_status_t run_written(tg_cli_t *cli, const char *format, size_t count,
                               const char *const *params, tg_error_t *error)
{
    PGresult *text = NULL;
    tg_status_t status = tg_session_query(cli->session, format, count, params, &text, error);
    if (status != TG_OK)
        return status;
    assert(PQntuples(text) == 1 && PQnfields(text) == 1);
    status = tg_cli_execute(cli, PQgetvalue(text, 0, 0), 0, NULL, NULL, error);
    PQclear(text);
    return status;
}

/* What a person at a prompt may need reminding of; whoever wants can set them otherwise. */
static const struct setting {
    const char *name, *value;
} settings[] = {
    {"search_path", "api"},
    {"statement_timeout", "60s"},
    {"idle_in_transaction_session_timeout", "60s"},
    {"default_transaction_read_only", "on"},
    {"jit", "off"},
};

static tg_status_t set_defaults(tg_cli_t *cli, const char *name, tg_error_t *error)
{
    tg_status_t status = TG_OK;
    for (size_t i = 0; status == TG_OK && i < TG_ARRAY_LEN(settings); i++) {
        const char *const params[] = {name, settings[i].name, settings[i].value};
        status = run_written(cli,
                             "SELECT format('ALTER ROLE %I IN DATABASE %I SET %I = %L',"
                             " $1::text, current_database(), $2::text, $3::text)",
                             3, params, error);
    }
    return status;
}

static tg_status_t make_role(tg_cli_t *cli, const char *name, const char *password,
                             const char *connections, tg_error_t *error)
{
    char *verifier = NULL;
    tg_status_t status = tg_session_verifier(cli->session, name, password, &verifier, error);
    if (status != TG_OK)
        return status;
    const char *const params[] = {name, connections, verifier};
    status = run_written(cli,
                         "SELECT format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE"
                         " NOREPLICATION IN ROLE tidegate_sql CONNECTION LIMIT %s PASSWORD %L',"
                         " $1::text, $2::integer, $3::text)",
                         3, params, error);
    PQfreemem(verifier);
    return status == TG_OK ? set_defaults(cli, name, error) : status;
}

typedef struct login_request {
    const char *name, *tenant, *connections;
} login_request_t;

/* Inside the transaction. */
static tg_status_t add_login(tg_cli_t *cli, const login_request_t *request, const char *password,
                             tg_error_t *error)
{
    const char *const params[] = {request->name, request->tenant};
    uint64_t changed = 0;
    tg_status_t status = tg_cli_execute(cli,
                                        "INSERT INTO control.sql_logins (login, tenant_id)"
                                        " SELECT $1, t.id FROM control.tenants t WHERE t.id = $2",
                                        2, params, &changed, error);
    if (status == TG_CONFLICT)
        return tg_error_set(error, TG_CONFLICT, "login %s exists", request->name);
    if (status == TG_OK && changed == 0)
        return tg_error_set(error, TG_NOT_FOUND, "there is no tenant %s", request->tenant);
    return status == TG_OK ? make_role(cli, request->name, password, request->connections, error)
                           : status;
}

/* Commits on TG_OK, else rolls back; the first error stays. */
static tg_status_t end_transaction(tg_cli_t *cli, tg_status_t status, tg_error_t *error)
{
    if (status == TG_OK)
        return tg_cli_execute(cli, "COMMIT", 0, NULL, NULL, error);
    tg_error_t ignored;
    (void)!tg_cli_execute(cli, "ROLLBACK", 0, NULL, NULL, &ignored);
    return status;
}

static tg_status_t check_request(const login_request_t *request, tg_error_t *error)
{
    uint64_t number = 0;
    if (request->tenant == NULL)
        return tg_error_set(error, TG_INVALID, "--tenant is needed");
    if (tg_str_to_u64(tg_str_from(request->connections), &number) != TG_OK || number < 1 ||
        number > TG_LOGINS_CONNECTIONS_MAX)
        return tg_error_set(error, TG_INVALID, "--connections is 1 to %d",
                            TG_LOGINS_CONNECTIONS_MAX);
    return check_name(request->name, error);
}

static tg_status_t read_request(tg_args_t *args, login_request_t *out_request, tg_error_t *error)
{
    login_request_t request = {.connections = "5"};

    tg_status_t status = tg_args_flag(args, "--tenant", &request.tenant, error);
    if (status == TG_OK)
        status = tg_args_flag(args, "--connections", &request.connections, error);
    if (status == TG_OK)
        status = tg_cli_word(args, "the login's name", &request.name, error);
    if (status == TG_OK)
        status = tg_args_done(args, error);
    if (status == TG_OK)
        status = check_request(&request, error);
    if (status == TG_OK)
        *out_request = request;
    return status;
}

tg_status_t tg_logins_create(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    assert(cli != NULL);
    login_request_t request;
    tg_status_t status = read_request(args, &request, error);
    if (status == TG_OK)
        status = tg_cli_execute(cli, "BEGIN", 0, NULL, NULL, error);
    if (status != TG_OK)
        return status;

    unsigned char random[PASSWORD_BYTES];
    char password[PASSWORD_LEN + 1];
    tg_hash_random(random, sizeof(random));
    tg_hash_hex(random, sizeof(random), password);
    password[PASSWORD_LEN] = '\0';
    status = end_transaction(cli, add_login(cli, &request, password, error), error);
    if (status == TG_OK)
        (void)fprintf(cli->out, "%s\n", password);
    explicit_bzero(random, sizeof(random));
    explicit_bzero(password, sizeof(password));
    return status;
}

tg_status_t tg_logins_list(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    tg_status_t status = tg_args_done(args, error);
    if (status != TG_OK)
        return status;
    return tg_cli_list(cli,
                       "SELECT l.login, l.tenant_id AS tenant,"
                       " (SELECT count(*) FROM pg_stat_activity a WHERE a.usename = l.login)"
                       " AS connected, r.rolconnlimit AS connections"
                       " FROM control.sql_logins l LEFT JOIN pg_roles r ON r.rolname = l.login"
                       " ORDER BY l.tenant_id, l.login",
                       0, NULL, error);
}

/* Inside the transaction. Only who is a member of a role may end its sessions and drop what it
 * owns. */
static tg_status_t remove_login(tg_cli_t *cli, const char *name, tg_error_t *error)
{
    static const char *const statements[] = {
        "SELECT format('GRANT %I TO CURRENT_USER', $1::text)",
        "SELECT format('SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
        " WHERE usename = %L', $1::text)",
        "SELECT format('DROP OWNED BY %I', $1::text)",
        "SELECT format('DROP ROLE %I', $1::text)",
    };
    uint64_t changed = 0;
    tg_status_t status = tg_cli_execute(cli, "DELETE FROM control.sql_logins WHERE login = $1", 1,
                                        &name, &changed, error);
    if (status == TG_OK && changed == 0)
        return tg_error_set(error, TG_NOT_FOUND, "there is no login %s", name);
    for (size_t i = 0; status == TG_OK && i < TG_ARRAY_LEN(statements); i++)
        status = run_written(cli, statements[i], 1, &name, error);
    return status;
}

tg_status_t tg_logins_drop(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    const char *name = NULL;
    tg_status_t status = tg_cli_word(args, "the login's name", &name, error);
    if (status == TG_OK)
        status = tg_args_done(args, error);
    if (status == TG_OK)
        status = check_name(name, error);
    if (status == TG_OK)
        status = tg_cli_execute(cli, "BEGIN", 0, NULL, NULL, error);
    if (status != TG_OK)
        return status;
    status = end_transaction(cli, remove_login(cli, name, error), error);
    if (status == TG_OK)
        (void)fprintf(cli->out, "login %s dropped\n", name);
    return status;
}
