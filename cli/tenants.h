/* Commands on tenants and plans: rows of the control tables. The services see a change through
 * their configuration watch within its poll interval.
 *
 * Threads: one. */
#ifndef TG_CLI_TENANTS_H
#define TG_CLI_TENANTS_H

#include "cli/cli.h"

/* tenant create ID [--name N] [--plan P] [--if-not-exists] */
TG_NODISCARD tg_status_t tg_tenants_create(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
/* tenant list */
TG_NODISCARD tg_status_t tg_tenants_list(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
/* tenant disable ID: its keys stop working; its data stays */
TG_NODISCARD tg_status_t tg_tenants_disable(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
/* tenant enable ID */
TG_NODISCARD tg_status_t tg_tenants_enable(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
/* plan list */
TG_NODISCARD tg_status_t tg_plans_list(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
/* plan set NAME --requests-per-second N --burst N: makes or changes the plan */
TG_NODISCARD tg_status_t tg_plans_set(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);

#endif
