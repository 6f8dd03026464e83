/* See args.h. Taking a word closes the gap, so what is left is always a plain list. */
#include "common/tool/args.h"

/* The loader's own options, which have no dot in their names. */
static const char *const loader_flags[] = {"--help", "--version", "--check-config", "--print-env"};

static bool is_loader_flag(const char *word)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(loader_flags); i++) {
        if (strcmp(word, loader_flags[i]) == 0)
            return true;
    }
    return strncmp(word, "--config=", sizeof("--config=") - 1) == 0;
}

/* "--area.name=value" and "--area.name": a dot in the name. */
static bool is_setting(const char *word)
{
    if (strncmp(word, "--", 2) != 0)
        return false;
    size_t name_len = strcspn(word, "=");
    return memchr(word, '.', name_len) != NULL;
}

tg_status_t tg_args_split(int argc, char **argv, tg_args_t *out_args, tg_error_t *error)
{
    assert(argv != NULL);
    assert(out_args != NULL);
    *out_args = (tg_args_t){0};
    if (argc < 1 || argc > TG_ARGS_MAX)
        return tg_error_set(error, TG_TOO_LARGE, "a command line has 1 to %d words", TG_ARGS_MAX);

    out_args->config[out_args->config_count++] = argv[0];
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--config") == 0) {
            out_args->config[out_args->config_count++] = argv[i];
            if (i + 1 < argc)
                out_args->config[out_args->config_count++] = argv[++i];
        } else if (is_loader_flag(argv[i]) || is_setting(argv[i])) {
            out_args->config[out_args->config_count++] = argv[i];
        } else {
            out_args->words[out_args->count++] = argv[i];
        }
    }
    return TG_OK;
}

static void take(tg_args_t *args, int at, int how_many)
{
    assert(at >= 0);
    assert(at + how_many <= args->count);
    for (int i = at; i + how_many < args->count; i++)
        args->words[i] = args->words[i + how_many];
    args->count -= how_many;
}

/* Takes one occurrence; NULL value when there is none left. */
static tg_status_t take_flag(tg_args_t *args, const char *name, const char **out_value,
                             tg_error_t *error)
{
    size_t name_len = strlen(name);
    *out_value = NULL;
    for (int i = 0; i < args->count; i++) {
        const char *word = args->words[i];
        if (strncmp(word, name, name_len) != 0 || (word[name_len] != '=' && word[name_len] != '\0'))
            continue;
        if (word[name_len] == '=') {
            *out_value = word + name_len + 1;
            take(args, i, 1);
            return TG_OK;
        }
        if (i + 1 >= args->count)
            return tg_error_set(error, TG_INVALID, "%s needs a value", name);
        *out_value = args->words[i + 1];
        take(args, i, 2);
        return TG_OK;
    }
    return TG_OK;
}

tg_status_t tg_args_flag(tg_args_t *args, const char *name, const char **out_value,
                         tg_error_t *error)
{
    assert(args != NULL);
    assert(strncmp(name, "--", 2) == 0);
    const char *value, *again;

    tg_status_t status = take_flag(args, name, &value, error);
    if (status != TG_OK || value == NULL)
        return status;
    status = take_flag(args, name, &again, error);
    if (status != TG_OK)
        return status;
    if (again != NULL)
        return tg_error_set(error, TG_INVALID, "%s is given twice", name);
    *out_value = value;
    return TG_OK;
}

bool tg_args_switch(tg_args_t *args, const char *name)
{
    assert(args != NULL);
    assert(name != NULL);
    for (int i = 0; i < args->count; i++) {
        if (strcmp(args->words[i], name) == 0) {
            take(args, i, 1);
            return true;
        }
    }
    return false;
}

const char *tg_args_word(tg_args_t *args)
{
    assert(args != NULL);
    for (int i = 0; i < args->count; i++) {
        const char *word = args->words[i];
        if (word[0] != '-') {
            take(args, i, 1);
            return word;
        }
    }
    return NULL;
}

tg_status_t tg_args_done(const tg_args_t *args, tg_error_t *error)
{
    assert(args != NULL);
    if (args->count == 0)
        return TG_OK;
    return tg_error_set(error, TG_INVALID, "unknown %s: %s",
                        args->words[0][0] == '-' ? "option" : "word", args->words[0]);
}
