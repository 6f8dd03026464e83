/* Command lines of the tools that have sub-commands: settings apart from the command's own words.
 *
 * Settings ("--pg.dsn=…" has a dot, and the loader's own "--config", "--help", …) may stand
 * anywhere and go to tg_config_load; what is left is the command with its flags ("--tenant acme" or
 * "--tenant=acme"), which the command takes out one by one. What nobody took is an error.
 *
 * Threads: start-up code of one thread. */
#ifndef TG_ARGS_H
#define TG_ARGS_H

#include "common/base/status.h"
#include "common/base/str.h"

#define TG_ARGS_MAX 256 /* words of a command line */

typedef struct tg_args {
    int config_count; /* for tg_config_load, with the program's name in front */
    char *config[TG_ARGS_MAX + 1];
    int count; /* the command's words that are not taken yet */
    char *words[TG_ARGS_MAX + 1];
} tg_args_t;

/* Borrows the words of argv. TG_TOO_LARGE beyond TG_ARGS_MAX of them. */
TG_NODISCARD tg_status_t tg_args_split(int argc, char **argv, tg_args_t *out_args,
                                       tg_error_t *error);

/* Takes the flag `name` ("--tenant") with its value; *out_value stays as it is when the flag is
 * absent. TG_INVALID when it comes twice or without a value. */
TG_NODISCARD tg_status_t tg_args_flag(tg_args_t *args, const char *name, const char **out_value,
                                      tg_error_t *error);

/* Takes a flag without a value; whether it was there. */
bool tg_args_switch(tg_args_t *args, const char *name);

/* Takes the first word that is no flag; NULL when there is none. */
const char *tg_args_word(tg_args_t *args);

/* TG_INVALID naming the first word that nobody took. */
TG_NODISCARD tg_status_t tg_args_done(const tg_args_t *args, tg_error_t *error);

#endif
