/* `tidegate status`: where the store stands, in four short tables.
 *
 * Threads: one. */
#ifndef TG_CLI_STATUS_H
#define TG_CLI_STATUS_H

#include "cli/cli.h"

TG_NODISCARD tg_status_t tg_status_show(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);

#endif
