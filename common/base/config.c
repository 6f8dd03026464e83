/* The loader: defaults, file, environment, command line, in this order, each through the same value
 * parser. Whatever is wrong ends the start with one line that names the option, where the value
 * came from and what is allowed.
 *
 * The file is walked twice: once for [tidegate], whose settings apply to each service that has the
 * option (so unknown names are no error there), once for the service's own section. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/config_private.h"

#define SHARED_SECTION "tidegate"
#define FILE_SUFFIX    "_file"
#define ENV_SUFFIX     "_FILE"
#define READ_CHUNK     4096 /* bytes */
#define PATH_LEN_MAX   4095 /* bytes of a secret's path */

extern char **environ;

struct loader {
    const tg_program_t *program;
    char *config;     /* the caller's struct */
    const char *path; /* the INI file, NULL without one */
    tg_str_t section; /* the one being read */
    unsigned *lines;  /* per option: its line in the current section, to find repetitions */
    tg_config_action_t action;
};

/* Puts where the value came from before an error's text. */
static tg_status_t blame(tg_error_t *error, tg_status_t status, const char *source)
{
    if (error == NULL)
        return status;
    tg_error_t inner = *error;
    return tg_error_set(error, status, "%s: %s", source, inner.text);
}

static void *field_of(const struct loader *loader, const tg_option_t *option)
{
    return loader->config + option->offset;
}

static const tg_option_t *find_option(const tg_program_t *program, tg_str_t name)
{
    for (size_t i = 0; i < program->option_count; i++) {
        if (tg_str_eq(tg_str_from(program->options[i].name), name))
            return &program->options[i];
    }
    return NULL;
}

/* Whether `text` ends in `suffix`; cuts it off then. */
static bool cut_suffix(tg_str_t *text, tg_str_t suffix)
{
    if (text->len <= suffix.len ||
        memcmp(text->ptr + text->len - suffix.len, suffix.ptr, suffix.len) != 0)
        return false;
    text->len -= suffix.len;
    return true;
}

/* Wipes and frees what came from a file, because it may hold secrets. */
static void dispose_content(tg_buf_t *content)
{
    if (content->data != NULL)
        explicit_bzero(content->data, content->cap);
    tg_buf_dispose(content);
}

/* Reads until the end, or one byte beyond `max`, which shows that the file is too long. False when
 * the kernel refuses (errno) or memory runs out (out->failed). */
static bool read_all(int fd, size_t max, tg_buf_t *out)
{
    *out = tg_buf_make(max + 1);
    while (out->len <= max) {
        size_t room = max + 1 - out->len;
        size_t want = room < READ_CHUNK ? room : READ_CHUNK;
        char *to = tg_buf_reserve(out, want);
        if (to == NULL)
            return false;
        ssize_t got = read(fd, to, want);
        if (got == 0)
            return true;
        if (got < 0 && errno != EINTR)
            return false;
        out->len += got > 0 ? (size_t)got : 0;
    }
    return true;
}

/* Reads a file of at most `max` bytes. On TG_OK the caller disposes of `out`. */
static tg_status_t read_file(const char *path, size_t max, tg_buf_t *out, tg_error_t *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return tg_error_set(error, TG_NOT_FOUND, "cannot open %s: %s", path, strerror(errno));
    tg_status_t status = TG_OK;
    if (!read_all(fd, max, out))
        status = tg_error_set(error, TG_INVALID, "cannot read %s: %s", path,
                              out->failed ? "out of memory" : strerror(errno));
    else if (out->len > max)
        status = tg_error_set(error, TG_TOO_LARGE, "%s is longer than %zu bytes", path, max);
    (void)close(fd);
    if (status != TG_OK)
        dispose_content(out);
    return status;
}

/* The secret is the file's content without the newline that editors leave at its end. */
static tg_status_t load_secret(const struct loader *loader, const tg_option_t *option,
                               tg_str_t path, tg_error_t *error)
{
    char name[PATH_LEN_MAX + 1];
    if (path.len == 0 || path.len > PATH_LEN_MAX || memchr(path.ptr, '\0', path.len) != NULL)
        return tg_error_set(error, TG_INVALID, "%s: not a file's path", option->name);
    memcpy(name, path.ptr, path.len);
    name[path.len] = '\0';
    tg_buf_t content = {0};
    tg_status_t status = read_file(name, TG_CONFIG_SECRET_MAX, &content, error);
    if (status != TG_OK)
        return blame(error, status, option->name);
    tg_str_t secret = tg_buf_view(&content);
    while (secret.len > 0 &&
           (secret.ptr[secret.len - 1] == '\n' || secret.ptr[secret.len - 1] == '\r'))
        secret.len--;
    status = tg_config_parse_value(option, secret, field_of(loader, option), error);
    dispose_content(&content);
    return status;
}

static tg_status_t load_defaults(const struct loader *loader, tg_error_t *error)
{
    const tg_program_t *program = loader->program;
    for (size_t i = 0; i < program->option_count; i++) {
        tg_option_t option = program->options[i];
        const char *text = option.fallback == NULL ? "" : option.fallback;
        bool is_text = tg_config_is_text(&option);
        if (text[0] == '\0' && !is_text)
            continue; /* stays zero */
        if (text[0] == '\0')
            option.min = 0; /* required: checked when all sources are read */
        tg_status_t status =
            tg_config_parse_value(&option, tg_str_from(text), field_of(loader, &option), error);
        if (status != TG_OK)
            return blame(error, status, "built-in default");
    }
    return TG_OK;
}

static tg_status_t set_from_line(struct loader *loader, tg_str_t name, tg_str_t value,
                                 unsigned line, tg_error_t *error)
{
    const tg_program_t *program = loader->program;
    const tg_option_t *option = find_option(program, name);
    tg_str_t base = name;
    bool from_file = false;
    if (option == NULL && cut_suffix(&base, TG_STR(FILE_SUFFIX))) {
        option = find_option(program, base);
        from_file = option != NULL && tg_config_kind(option) == TG_OPT_SECRET;
        option = from_file ? option : NULL;
    }
    if (option == NULL && tg_str_eq(loader->section, TG_STR(SHARED_SECTION)))
        return TG_OK; /* another service's */
    if (option == NULL)
        return tg_error_set(error, TG_INVALID,
                            "unknown option \"" TG_STR_FMT "\"; tidegate-%s --help lists them",
                            TG_STR_ARG(name), program->name);
    unsigned *seen = &loader->lines[option - program->options];
    if (*seen != 0)
        return tg_error_set(error, TG_INVALID, "%s: set on line %u already", option->name, *seen);
    *seen = line;
    return from_file ? load_secret(loader, option, value, error)
                     : tg_config_parse_value(option, value, field_of(loader, option), error);
}

static tg_status_t on_ini_line(void *arg, tg_str_t section, tg_str_t name, tg_str_t value,
                               unsigned line, tg_error_t *error)
{
    struct loader *loader = arg;
    if (!tg_str_eq(section, loader->section))
        return TG_OK;
    tg_status_t status = set_from_line(loader, name, value, line, error);
    if (status == TG_OK)
        return TG_OK;
    char source[32];
    (void)snprintf(source, sizeof(source), "line %u", line);
    return blame(error, status, source);
}

static tg_status_t load_file(struct loader *loader, tg_error_t *error)
{
    if (loader->path == NULL)
        return TG_OK;
    tg_buf_t text = {0};
    tg_status_t status = read_file(loader->path, TG_CONFIG_FILE_MAX, &text, error);
    if (status != TG_OK)
        return blame(error, status, "configuration file");
    const tg_str_t sections[] = {TG_STR(SHARED_SECTION), tg_str_from(loader->program->name)};
    for (size_t i = 0; i < TG_ARRAY_LEN(sections) && status == TG_OK; i++) {
        loader->section = sections[i];
        memset(loader->lines, 0, loader->program->option_count * sizeof(*loader->lines));
        status = tg_config_parse_ini(tg_buf_view(&text), on_ini_line, loader, error);
    }
    if (status != TG_OK)
        blame(error, status, loader->path);
    dispose_content(&text);
    return status;
}

/* The option of an environment name, and whether the name is its …_FILE form. */
static const tg_option_t *find_env_option(const tg_program_t *program, tg_str_t name,
                                          bool *out_from_file)
{
    char candidate[TG_CONFIG_ENV_MAX];
    tg_str_t base = name;
    bool has_suffix = cut_suffix(&base, TG_STR(ENV_SUFFIX));
    const tg_option_t *by_file = NULL;
    for (size_t i = 0; i < program->option_count; i++) {
        const tg_option_t *option = &program->options[i];
        tg_str_t own = {candidate, tg_config_env_name(program->name, option->name, candidate)};
        if (tg_str_eq(own, name)) {
            *out_from_file = false;
            return option;
        }
        if (has_suffix && tg_config_kind(option) == TG_OPT_SECRET && tg_str_eq(own, base))
            by_file = option;
    }
    *out_from_file = true;
    return by_file;
}

static tg_status_t set_from_env(const struct loader *loader, tg_str_t name, tg_str_t value,
                                tg_error_t *error)
{
    bool from_file = false;
    const tg_option_t *option = find_env_option(loader->program, name, &from_file);
    if (option == NULL)
        return tg_error_set(error, TG_INVALID, "unknown variable; tidegate-%s --help lists them",
                            loader->program->name);
    if (!from_file)
        return tg_config_parse_value(option, value, field_of(loader, option), error);
    char direct[TG_CONFIG_ENV_MAX];
    tg_config_env_name(loader->program->name, option->name, direct);
    if (getenv(direct) != NULL)
        return tg_error_set(error, TG_INVALID, "%s is set too; only one of them may be", direct);
    return load_secret(loader, option, value, error);
}

static tg_status_t load_environment(const struct loader *loader, tg_error_t *error)
{
    char prefix[TG_CONFIG_ENV_MAX];
    size_t prefix_len = tg_config_env_name(loader->program->name, NULL, prefix);
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        if (strncmp(*entry, prefix, prefix_len) != 0)
            continue;
        const char *equals = strchr(*entry, '=');
        if (equals == NULL)
            continue;
        tg_str_t name = {*entry, (size_t)(equals - *entry)};
        tg_status_t status = set_from_env(loader, name, tg_str_from(equals + 1), error);
        if (status != TG_OK) {
            char source[200];
            (void)snprintf(source, sizeof(source), "environment " TG_STR_FMT,
                           name.len < 160 ? (int)name.len : 160, name.ptr);
            return blame(error, status, source);
        }
    }
    return TG_OK;
}

static tg_status_t set_from_argument(const struct loader *loader, const char *argument,
                                     tg_error_t *error)
{
    const char *equals = strchr(argument, '=');
    size_t len = equals == NULL ? strlen(argument) : (size_t)(equals - argument);
    if (strncmp(argument, "--", 2) != 0 || len <= 2)
        return tg_error_set(error, TG_INVALID, "unexpected argument \"%.64s\"", argument);
    tg_str_t name = {argument + 2, len - 2};
    const tg_option_t *option = find_option(loader->program, name);
    if (option == NULL)
        return tg_error_set(error, TG_INVALID, "unknown option --%.*s; --help lists them",
                            name.len < 64 ? (int)name.len : 64, name.ptr);
    if (tg_config_kind(option) == TG_OPT_SECRET)
        return tg_error_set(error, TG_DENIED,
                            "%s is a secret: give it by environment, file or secret's file",
                            option->name);
    if (equals == NULL)
        return tg_error_set(error, TG_INVALID, "--%s needs a value: --%s=VALUE", option->name,
                            option->name);
    return tg_config_parse_value(option, tg_str_from(equals + 1), field_of(loader, option), error);
}

/* Whether argv[*index] is --config; moves past its value. */
static bool take_config_path(int argc, char **argv, int *index, const char **out_path)
{
    const char *argument = argv[*index];
    if (strncmp(argument, "--config=", 9) == 0) {
        *out_path = argument + 9;
        return true;
    }
    if (strcmp(argument, "--config") != 0)
        return false;
    *index += 1;
    *out_path = *index < argc ? argv[*index] : "";
    return true;
}

static bool is_check(const char *argument)
{
    return strcmp(argument, "--check-config") == 0;
}

static tg_status_t load_arguments(const struct loader *loader, int argc, char **argv,
                                  tg_error_t *error)
{
    const char *path = NULL;
    for (int i = 1; i < argc; i++) {
        if (take_config_path(argc, argv, &i, &path) || is_check(argv[i]))
            continue;
        tg_status_t status = set_from_argument(loader, argv[i], error);
        if (status != TG_OK)
            return blame(error, status, "command line");
    }
    return TG_OK;
}

/* Options that end the program without needing a valid configuration. */
static bool print_and_exit(const tg_program_t *program, const char *argument)
{
    if (strcmp(argument, "--help") == 0)
        tg_config_print_help(program, stdout);
    else if (strcmp(argument, "--version") == 0)
        (void)printf("tidegate-%s %s\n", program->name, TG_VERSION);
    else if (strcmp(argument, "--print-env") == 0)
        tg_config_print_env(program, stdout);
    else
        return false;
    (void)fflush(stdout);
    return true;
}

/* First look at the arguments: what to do, and which file to read. */
static tg_status_t scan_arguments(struct loader *loader, int argc, char **argv, tg_error_t *error)
{
    const char *path = getenv("TIDEGATE_CONFIG");
    loader->path = path != NULL && path[0] != '\0' ? path : NULL;
    for (int i = 1; i < argc; i++) {
        if (print_and_exit(loader->program, argv[i])) {
            loader->action = TG_CONFIG_EXIT;
            return TG_OK;
        }
        if (take_config_path(argc, argv, &i, &loader->path) && loader->path[0] == '\0')
            return tg_error_set(error, TG_INVALID, "command line: --config needs a file's path");
    }
    return TG_OK;
}

static tg_status_t check_required(const struct loader *loader, tg_error_t *error)
{
    for (size_t i = 0; i < loader->program->option_count; i++) {
        const tg_option_t *option = &loader->program->options[i];
        if (!tg_config_is_text(option) || option->min <= 0)
            continue;
        const char *text = *(char **)field_of(loader, option);
        assert(text != NULL); /* each source, the default included, sets it */
        if (text[0] != '\0')
            continue;
        char name[TG_CONFIG_ENV_MAX];
        tg_config_env_name(loader->program->name, option->name, name);
        return tg_error_set(error, TG_INVALID, "%s is required: set %s%s, or %s in [%s]",
                            option->name, name,
                            tg_config_kind(option) == TG_OPT_SECRET ? " or " ENV_SUFFIX : "",
                            option->name, loader->program->name);
    }
    return TG_OK;
}

static tg_status_t load_sources(struct loader *loader, int argc, char **argv, tg_error_t *error)
{
    tg_status_t status = load_defaults(loader, error);
    if (status == TG_OK)
        status = load_file(loader, error);
    if (status == TG_OK)
        status = load_environment(loader, error);
    if (status == TG_OK)
        status = load_arguments(loader, argc, argv, error);
    return status == TG_OK ? check_required(loader, error) : status;
}

static bool wants_check(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (is_check(argv[i]))
            return true;
    }
    return false;
}

tg_status_t tg_config_load(const tg_program_t *program, int argc, char **argv, void *config,
                           tg_config_action_t *out_action, tg_error_t *error)
{
    assert(program != NULL);
    assert(config != NULL);
    assert(out_action != NULL);
    struct loader loader = {.program = program, .config = config, .action = TG_CONFIG_RUN};
    tg_status_t status = scan_arguments(&loader, argc, argv, error);
    if (status != TG_OK || loader.action == TG_CONFIG_EXIT) {
        *out_action = loader.action;
        return status;
    }
    loader.lines = calloc(program->option_count + 1, sizeof(*loader.lines));
    if (loader.lines == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    status = load_sources(&loader, argc, argv, error);
    free(loader.lines);
    if (status != TG_OK)
        return status;
    if (wants_check(argc, argv)) {
        (void)printf("tidegate-%s: the configuration is valid\n", program->name);
        (void)fflush(stdout);
        loader.action = TG_CONFIG_EXIT;
    }
    *out_action = loader.action;
    return TG_OK;
}

void tg_config_dispose(const tg_program_t *program, void *config)
{
    assert(program != NULL);
    if (config == NULL)
        return;
    for (size_t i = 0; i < program->option_count; i++)
        tg_config_clear_field(&program->options[i], (char *)config + program->options[i].offset);
}
