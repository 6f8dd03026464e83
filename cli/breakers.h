/* `tidegate breakers …`: the instances and breakers of one running gateway, over its admin API.
 *
 * The only commands that ask a service and not a store: breakers live in a gateway's memory. Which
 * one is gateway.address, and a key with the scope admin is gateway.key.
 *
 * Threads: one. */
#ifndef TG_CLI_BREAKERS_H
#define TG_CLI_BREAKERS_H

#include "cli/cli.h"

TG_NODISCARD tg_status_t tg_breakers_list(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
TG_NODISCARD tg_status_t tg_breakers_set(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);

/* Prints a list as the gateway answers it; TG_INTERNAL when the text is none. */
TG_NODISCARD tg_status_t tg_breakers_print(FILE *out, tg_str_t json, tg_error_t *error);

#endif
