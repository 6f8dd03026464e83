/* Commands on SQL logins: roles of PostgreSQL that read one tenant's views and nothing else.
 *
 * A login is a role with the rights of tidegate_sql and a row in control.sql_logins, which says
 * whose data it sees. Both are made and removed in one transaction. Its password is printed once;
 * the server only ever gets the SCRAM verifier.
 *
 * Threads: one. */
#ifndef TG_CLI_LOGINS_H
#define TG_CLI_LOGINS_H

#include "cli/cli.h"

#define TG_LOGINS_CONNECTIONS_MAX 100

/* sql-login create NAME --tenant T [--connections N] */
TG_NODISCARD tg_status_t tg_logins_create(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
/* sql-login list */
TG_NODISCARD tg_status_t tg_logins_list(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
/* sql-login drop NAME: ends its sessions too */
TG_NODISCARD tg_status_t tg_logins_drop(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);

#endif
