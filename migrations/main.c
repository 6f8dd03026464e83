/* tidegate-migrate: applies the numbered SQL files to a database.
 *
 *     tidegate-migrate up [--dry-run]
 *     tidegate-migrate status
 *
 * Exit code 0: done; 1: refused or failed; 2: wrong command line or settings. */
#include "common/base/config.h"
#include "common/tool/args.h"
#include "migrations/apply.h"

#define EXIT_USAGE 2

typedef struct migrate_config {
    char *dsn, *dir, *engine;
    uint64_t lock_wait_ms;
} migrate_config_t;

#define AT(member) offsetof(migrate_config_t, member)

// clang-format off
static const tg_option_t options[] = {
    {"pg.dsn",         TG_OPT_SECRET, AT(dsn),          "dbname=tidegate", 1, 4096,   "Connection string of the role that owns the schemas."},
    {"migrations.dir", TG_OPT_STR,    AT(dir),          "migrations",      1, 1024,   "Folder with common/ and one folder per engine."},
    {"store.engine",   TG_OPT_STR,    AT(engine),       TG_ENGINE_AUTO,    1, TG_ENGINE_NAME_MAX - 1, "Storage engine: auto, timescale, plain; chosen once per database. auto: what it records, else timescale where the server has loaded it."},
    {"lock.wait",      TG_OPT_MS,     AT(lock_wait_ms), "60s",             1, 3600000, "Longest wait for another run to end."},
};
// clang-format on

static const tg_program_t program = {
    .name = "migrate",
    .summary = "Applies the numbered SQL files: tidegate-migrate up [--dry-run] | status",
    .options = options,
    .option_count = TG_ARRAY_LEN(options)};

typedef tg_status_t (*command_fn)(const tg_migration_run_t *run, tg_error_t *error);

static const struct command {
    const char *name;
    command_fn run;
} commands[] = {
    {"up", tg_migration_up},
    {"status", tg_migration_status},
};

static command_fn find_command(const char *name)
{
    for (size_t i = 0; name != NULL && i < TG_ARRAY_LEN(commands); i++) {
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run;
    }
    return NULL;
}

/* An engine's name becomes a part of a path: its folder beside common/. */
static bool is_engine(const char *name)
{
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0' &&
           strcmp(name, "common") != 0;
}

static tg_status_t run_command(const migrate_config_t *config, command_fn command, bool dry_run,
                               tg_error_t *error)
{
    tg_migration_files_t files = {0};
    tg_session_t *session = NULL;
    char engine[TG_ENGINE_NAME_MAX];

    if (!is_engine(config->engine))
        return tg_error_set(error, TG_INVALID, "store.engine: no engine is called \"%s\"",
                            config->engine);
    tg_status_t status = tg_session_open(config->dsn, "tidegate-migrate", &session, error);
    if (status == TG_OK)
        status = tg_migration_engine(session, config->engine, engine, error);
    if (status == TG_OK)
        status = tg_migration_files_load(config->dir, engine, &files, error);
    if (status == TG_OK) {
        tg_migration_run_t run = {session, &files, engine, config->lock_wait_ms, dry_run, stdout};
        status = command(&run, error);
    }
    tg_session_close(session);
    tg_migration_files_dispose(&files);
    return status;
}

static tg_status_t read_command(tg_args_t *args, command_fn *out_command, bool *out_dry_run,
                                tg_error_t *error)
{
    *out_dry_run = tg_args_switch(args, "--dry-run");
    *out_command = find_command(tg_args_word(args));
    if (*out_command == NULL)
        return tg_error_set(error, TG_INVALID, "the command is up or status; see --help");
    return tg_args_done(args, error);
}

int main(int argc, char **argv)
{
    tg_args_t args;
    migrate_config_t config = {0};
    tg_config_action_t action = TG_CONFIG_RUN;
    tg_error_t error = {0};
    command_fn command = NULL;
    bool dry_run = false;
    int code = 0;

    tg_status_t status = tg_args_split(argc, argv, &args, &error);
    if (status == TG_OK)
        status = tg_config_load(&program, args.config_count, args.config, &config, &action, &error);
    if (status == TG_OK && action == TG_CONFIG_RUN)
        status = read_command(&args, &command, &dry_run, &error);
    if (status != TG_OK)
        code = EXIT_USAGE;
    else if (action == TG_CONFIG_RUN && run_command(&config, command, dry_run, &error) != TG_OK)
        code = 1;
    if (code != 0)
        (void)fprintf(stderr, "tidegate-migrate: %s\n", error.text);
    tg_config_dispose(&program, &config);
    return code;
}
