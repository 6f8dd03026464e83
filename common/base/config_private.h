/* What the parts of the configuration loader share; nobody else includes it.
 *
 * config.c walks the sources in order, config_value.c turns text into fields and back into words,
 * config_ini.c walks the file's text, config_help.c prints. */
#ifndef TG_CONFIG_PRIVATE_H
#define TG_CONFIG_PRIVATE_H

#include <stdio.h>

#include "common/base/config.h"

#define TG_CONFIG_ENV_MAX 128 /* bytes of an environment name, with its NUL */

/* Writes TIDEGATE_<PROGRAM>_ and, when `option` is given, its name: upper case, '_' for any other
 * byte. Returns the length. */
size_t tg_config_env_name(const char *program, const char *option, char out[TG_CONFIG_ENV_MAX]);

static inline tg_option_type_t tg_config_kind(const tg_option_t *option)
{
    return (tg_option_type_t)(option->type & ~(unsigned)TG_OPT_LIVE);
}

static inline bool tg_config_is_text(const tg_option_t *option)
{
    return tg_config_kind(option) == TG_OPT_STR || tg_config_kind(option) == TG_OPT_SECRET;
}

/* Writes what a value of this option may be: "a whole number from 1 to 50000". */
void tg_config_describe(const tg_option_t *option, char *out, size_t size);

/* Frees (a secret: wipes first) a string field and leaves NULL. Other types are left alone. */
void tg_config_clear_field(const tg_option_t *option, void *field);

void tg_config_print_help(const tg_program_t *program, FILE *out);
void tg_config_print_env(const tg_program_t *program, FILE *out);

#endif
