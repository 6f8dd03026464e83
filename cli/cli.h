/* What the commands of `tidegate` share: settings, the lazily opened database, the output.
 *
 * A command is one row of a table: two words, a function, its help. It takes its flags out of the
 * arguments, does one thing and prints rows to `out`. Connections are made when a command first
 * asks, so `topics create` needs no database and `key create` no Kafka. What lives in a gateway's
 * memory is asked of its admin API.
 *
 * Threads: one. */
#ifndef TG_CLI_H
#define TG_CLI_H

#include <stdio.h>

#include "common/base/config.h"
#include "common/tool/args.h"
#include "common/tool/session.h"

typedef struct tg_cli_config {
    char *dsn, *brokers;
    char *gateway, *key; /* the admin API's address, and a key for it */
    uint64_t replication;
    uint64_t timeout_ms; /* of one request to Kafka */
} tg_cli_config_t;

typedef struct tg_cli {
    const tg_cli_config_t *config; /* borrowed */
    tg_session_t *session;         /* NULL until tg_cli_session */
    FILE *out;
} tg_cli_t;

typedef tg_status_t (*tg_cli_fn)(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);

typedef struct tg_cli_command {
    const char *noun, *verb; /* verb NULL: the command is one word */
    tg_cli_fn run;
    const char *usage; /* what follows the words */
    const char *help;  /* one sentence */
} tg_cli_command_t;

/* Opens the database on first use. */
TG_NODISCARD tg_status_t tg_cli_session(tg_cli_t *cli, tg_error_t *error);
void tg_cli_close(tg_cli_t *cli);

/* Runs one statement; *out_changed (NULL is allowed) is the number of rows that it touched. */
TG_NODISCARD tg_status_t tg_cli_execute(tg_cli_t *cli, const char *sql, size_t count,
                                        const char *const *params, uint64_t *out_changed,
                                        tg_error_t *error);

/* Runs one statement and gives its rows (PQclear them). */
TG_NODISCARD tg_status_t tg_cli_query(tg_cli_t *cli, const char *sql, size_t count,
                                      const char *const *params, PGresult **out_rows,
                                      tg_error_t *error);

/* Runs one query and prints its rows as aligned columns under their names. */
TG_NODISCARD tg_status_t tg_cli_list(tg_cli_t *cli, const char *sql, size_t count,
                                     const char *const *params, tg_error_t *error);

/* A command of one word, the object's id `what`: runs `sql` on it ($1) and prints its rows, or says
 * "<noun> <id> <done>". */
TG_NODISCARD tg_status_t tg_cli_show(tg_cli_t *cli, tg_args_t *args, const char *what,
                                     const char *sql, tg_error_t *error);
TG_NODISCARD tg_status_t tg_cli_change(tg_cli_t *cli, tg_args_t *args, const char *what,
                                       const char *sql, const char *noun, const char *done,
                                       tg_error_t *error);

/* Prints text with control bytes as '?', so that stored text cannot steer the operator's terminal;
 * padded to `width` columns. */
void tg_cli_print(FILE *out, const char *text, int width);

/* Takes the next word as the command's object; TG_INVALID naming `what` when it is missing. */
TG_NODISCARD tg_status_t tg_cli_word(tg_args_t *args, const char *what, const char **out_word,
                                     tg_error_t *error);

#endif
