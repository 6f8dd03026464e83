/* Limits as a command line has them: "--limits burst=5,weight=default".
 *
 * Threads: one. */
#ifndef TG_CLI_LIMITS_H
#define TG_CLI_LIMITS_H

#include "cli/cli.h"

#define TG_LIMITS_TEXT_MAX ((size_t)4096)

/* As a JSON object of numbers, NUL-terminated; "default" becomes null, which takes the limit away.
 * Which limits there are the database knows. "" is "{}". */
TG_NODISCARD tg_status_t tg_limits_read(const char *text, tg_buf_t *out_json, tg_error_t *error);

#endif
