/* Commands on tenants, by the database's own functions: they check, and write the audit log. The
 * gateways see a change within their poll interval (300 ms).
 *
 * Threads: one. */
#ifndef TG_CLI_TENANTS_H
#define TG_CLI_TENANTS_H

#include "cli/cli.h"

/* tenant create ID [--name N] [--plan P] [--limits a=1,...] [--if-not-exists] */
TG_NODISCARD tg_status_t tg_tenants_create(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
/* tenant update ID [--name N] [--plan P] [--limits a=1,b=default] */
TG_NODISCARD tg_status_t tg_tenants_update(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
/* tenant show ID */
TG_NODISCARD tg_status_t tg_tenants_show(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
/* tenant list [--state active|suspended|deleted] [--plan P] */
TG_NODISCARD tg_status_t tg_tenants_list(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
/* tenant suspend ID: its keys stop working; its data stays */
TG_NODISCARD tg_status_t tg_tenants_suspend(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
/* tenant resume ID */
TG_NODISCARD tg_status_t tg_tenants_resume(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
/* tenant delete ID --yes: for good; its id is not used again */
TG_NODISCARD tg_status_t tg_tenants_delete(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);

#endif
