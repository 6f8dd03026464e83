/* Commands on plans, by the database's own functions.
 *
 * Threads: one. */
#ifndef TG_CLI_PLANS_H
#define TG_CLI_PLANS_H

#include "cli/cli.h"

/* plan set NAME [--requests-per-second N] [--burst N] [--limits a=1,b=default]: makes or changes */
TG_NODISCARD tg_status_t tg_plans_set(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
/* plan show NAME */
TG_NODISCARD tg_status_t tg_plans_show(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
/* plan list */
TG_NODISCARD tg_status_t tg_plans_list(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
/* plan delete NAME: refused while a tenant has it */
TG_NODISCARD tg_status_t tg_plans_delete(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
/* plan limits: the limits that there are */
TG_NODISCARD tg_status_t tg_plans_limits(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);

#endif
