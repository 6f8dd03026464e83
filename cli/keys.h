/* Commands on API keys. A key's text is printed once, when it is made; the database holds its id
 * and digest only.
 *
 * Threads: one. */
#ifndef TG_CLI_KEYS_H
#define TG_CLI_KEYS_H

#include "cli/cli.h"

#define TG_KEYS_EXPIRES_MAX_DAYS 3650
#define TG_KEYS_OVERLAP_MAX_DAYS 30

/* key create --tenant T --scopes a,b [--expires 30d] [--description TEXT] */
TG_NODISCARD tg_status_t tg_keys_create(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
/* key list [--tenant T] */
TG_NODISCARD tg_status_t tg_keys_list(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
/* key show ID */
TG_NODISCARD tg_status_t tg_keys_show(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
/* key rotate ID [--overlap 24h]: a new key like the old one, which ends that much later */
TG_NODISCARD tg_status_t tg_keys_rotate(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
/* key revoke ID */
TG_NODISCARD tg_status_t tg_keys_revoke(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);

/* "a,b" of known, distinct scopes as a PostgreSQL array literal. Exposed for tests. */
TG_NODISCARD tg_status_t tg_keys_scopes(tg_str_t text, tg_buf_t *out_array, tg_error_t *error);

typedef struct tg_keys_text {
    char text[24];
} tg_keys_text_t;

/* A time of a second to so many days, "30d", as whole seconds. `what` names the flag in errors. */
TG_NODISCARD tg_status_t tg_keys_seconds(const char *what, const char *text, unsigned max_days,
                                         tg_keys_text_t *out_seconds, tg_error_t *error);

/* Makes a key, has `sql` store it ($1 is its id, $2 its digest as bytea text, then `params`, at
 * most four) and prints its text alone. */
TG_NODISCARD tg_status_t tg_keys_make(tg_cli_t *cli, const char *sql, size_t count,
                                      const char *const *params, tg_error_t *error);

#endif
