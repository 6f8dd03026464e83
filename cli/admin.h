/* Commands for the platform's own people: the first key of the admin API, and the audit log.
 *
 * Threads: one. */
#ifndef TG_CLI_ADMIN_H
#define TG_CLI_ADMIN_H

#include "cli/cli.h"

#define TG_AUDIT_ROWS_MAX 100000

/* admin bootstrap [--expires 1d]: a key with the scope admin, of the tenant "operator" */
TG_NODISCARD tg_status_t tg_admin_bootstrap(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
/* audit list [--tenant T] [--action A] [--limit N] */
TG_NODISCARD tg_status_t tg_audit_list(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);

#endif
