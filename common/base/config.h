/* Settings: one table row each, from which the loader, the environment names, --help and the
 * reference document all come.
 *
 * Order: built-in default < INI file < environment < command line. The INI section is the service's
 * name; section [tidegate] is read first and applies to each service that has the option. The
 * environment name of "kafka.brokers" in the service "worker" is TIDEGATE_WORKER_KAFKA_BROKERS.
 * Unknown names in the service's own section, in its environment prefix or on the command line are
 * errors, so that a typing mistake cannot pass silently. A secret (TG_OPT_SECRET) may also come
 * from the file named by …_FILE (environment) or <name>_file (INI), never from the command line.
 *
 * Values carry units: "200ms", "5s", "10m", "24h", "64KiB", "10MiB".
 *
 * A running program can read its settings again (tg_config_reload): what is marked TG_OPT_LIVE may
 * have changed then, anything else not. It gets a new struct; the one in use is never written to.
 *
 * Threads: used by one thread, the main one; a filled struct is read-only after that. */
#ifndef TG_CONFIG_H
#define TG_CONFIG_H

#include "common/base/str.h"

#define TG_CONFIG_FILE_MAX   ((size_t)1 << 20) /* bytes of an INI file */
#define TG_CONFIG_SECRET_MAX 4096              /* bytes of a secret's file */

typedef enum tg_option_type {
    TG_OPT_STR,         /* char *, owned by the config struct; min/max bound its length */
    TG_OPT_SECRET,      /* as TG_OPT_STR; never printed */
    TG_OPT_UINT,        /* uint64_t */
    TG_OPT_MS,          /* uint64_t milliseconds */
    TG_OPT_BYTES,       /* uint64_t bytes */
    TG_OPT_BOOL,        /* bool: true/false/yes/no/on/off/1/0 */
    TG_OPT_DOUBLE,      /* double; min/max bound it */
    TG_OPT_LIVE = 0x10, /* with one of these by "|": may change while the program runs */
} tg_option_type_t;

typedef struct tg_option {
    const char *name; /* "kafka.brokers" */
    tg_option_type_t type;
    size_t offset;        /* of the field in the config struct */
    const char *fallback; /* the default, in the same syntax as the file */
    double min, max;      /* inclusive */
    const char *help;     /* one sentence */
} tg_option_t;

/* What a program is: its name ("worker"), one line about it, its options. */
typedef struct tg_program {
    const char *name;
    const char *summary;
    const tg_option_t *options;
    size_t option_count;
    size_t config_size; /* of the config struct; 0: its settings are not read again */
} tg_program_t;

typedef enum tg_config_action {
    TG_CONFIG_RUN,  /* go on with the filled struct */
    TG_CONFIG_EXIT, /* --help, --version, --check-config, --print-env: done, exit 0 */
} tg_config_action_t;

/* Fills `config` (zeroed by the caller) from defaults, the file of --config FILE or
 * TIDEGATE_CONFIG, the environment and `--name=value` arguments. --help, --version, --check-config
 * and --print-env (all options as environment lines with defaults) print to stdout. On failure the
 * error text names the option, the value's source (file and line, or variable) and what is allowed;
 * call tg_config_dispose in every case. */
TG_NODISCARD tg_status_t tg_config_load(const tg_program_t *program, int argc, char **argv,
                                        void *config, tg_config_action_t *out_action,
                                        tg_error_t *error);

/* Reads all sources again into `fresh` (zeroed by the caller) and compares with those in use.
 * Appends to `changed` the names of options that differ, separated by ", ". TG_CONFLICT names one
 * that may not change while the program runs; other failures are as those of tg_config_load. Call
 * tg_config_dispose for `fresh` in every case. */
TG_NODISCARD tg_status_t tg_config_reload(const tg_program_t *program, int argc, char **argv,
                                          const void *in_use, void *fresh, tg_buf_t *changed,
                                          tg_error_t *error);

/* Frees the strings in `config`; secrets are wiped. */
void tg_config_dispose(const tg_program_t *program, void *config);

/* One parsed line of an INI text. */
typedef tg_status_t (*tg_config_line_fn)(void *arg, tg_str_t section, tg_str_t name, tg_str_t value,
                                         unsigned line, tg_error_t *error);

/* Walks an INI text: [section], name = value, # and ; comments, no continuation lines. Stops at the
 * first bad line or the callback's first failure. Exposed for the fuzz target. */
TG_NODISCARD tg_status_t tg_config_parse_ini(tg_str_t text, tg_config_line_fn on_line, void *arg,
                                             tg_error_t *error);

/* Parses one value into the field at `field` as the option's type says. Exposed for tests. */
TG_NODISCARD tg_status_t tg_config_parse_value(const tg_option_t *option, tg_str_t value,
                                               void *field, tg_error_t *error);

#endif
