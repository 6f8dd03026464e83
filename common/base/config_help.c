/* What --help and --print-env show, straight from the option table. */
#include "common/base/config_private.h"

size_t tg_config_env_name(const char *program, const char *option, char out[TG_CONFIG_ENV_MAX])
{
    assert(program != NULL);
    int n =
        snprintf(out, TG_CONFIG_ENV_MAX, "TIDEGATE_%s_%s", program, option != NULL ? option : "");
    assert(n > 0);
    assert(n < TG_CONFIG_ENV_MAX); /* both names are our own literals */
    for (char *at = out; *at != '\0'; at++) {
        if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at - 'a' + 'A');
        else if (!(*at >= 'A' && *at <= 'Z') && !(*at >= '0' && *at <= '9'))
            *at = '_';
    }
    return (size_t)n;
}

static const char *default_of(const tg_option_t *option)
{
    return option->fallback == NULL ? "" : option->fallback;
}

void tg_config_print_help(const tg_program_t *program, FILE *out)
{
    assert(program != NULL);
    char name[TG_CONFIG_ENV_MAX], allowed[160];
    (void)fprintf(
        out,
        "tidegate-%s: %s\n\n"
        "usage: tidegate-%s [--config FILE] [--name=value ...]\n"
        "       tidegate-%s --help | --version | --check-config | --print-env\n\n"
        "Settings, the later winning: default, [tidegate] and [%s] of the file of --config\n"
        "or TIDEGATE_CONFIG, environment, command line. A secret also comes from the file\n"
        "named by <VARIABLE>_FILE or <name>_file, and never from the command line. Those marked\n"
        "(reload) may change while it runs: SIGHUP reads all settings again, whole or not at "
        "all.\n",
        program->name, program->summary, program->name, program->name, program->name);
    for (size_t i = 0; i < program->option_count; i++) {
        const tg_option_t *option = &program->options[i];
        tg_config_env_name(program->name, option->name, name);
        tg_config_describe(option, allowed, sizeof(allowed));
        (void)fprintf(out, "\n  %s%s%s\n      %s\n      %s; default: %s\n      %s\n",
                      tg_config_kind(option) == TG_OPT_SECRET ? "" : "--", option->name,
                      (option->type & TG_OPT_LIVE) != 0 ? " (reload)" : "", option->help, allowed,
                      default_of(option)[0] == '\0' ? "none" : default_of(option), name);
    }
}

/* Quoted only where a shell needs it, so that both sh and env-file readers take the line. */
static void print_env_value(const char *value, FILE *out)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "_@%+=:,./-";
    if (strspn(value, safe) == strlen(value))
        (void)fprintf(out, "%s\n", value);
    else
        (void)fprintf(out, "'%s'\n", value);
}

void tg_config_print_env(const tg_program_t *program, FILE *out)
{
    assert(program != NULL);
    char name[TG_CONFIG_ENV_MAX], allowed[160];
    (void)fprintf(out, "# tidegate-%s: %s\n", program->name, program->summary);
    for (size_t i = 0; i < program->option_count; i++) {
        const tg_option_t *option = &program->options[i];
        tg_config_env_name(program->name, option->name, name);
        tg_config_describe(option, allowed, sizeof(allowed));
        bool secret = tg_config_kind(option) == TG_OPT_SECRET;
        (void)fprintf(out, "\n# %s\n# %s%s\n%s%s=", option->help, allowed,
                      secret ? "; or the path of its file in …_FILE" : "", secret ? "# " : "",
                      name);
        print_env_value(default_of(option), out);
    }
}
