/* tidegate: the operator's command line. `tidegate help` lists the commands.
 *
 * Exit code 0: done; 1: refused or failed; 2: wrong command line or settings. */
#include "cli/admin.h"
#include "cli/breakers.h"
#include "cli/keys.h"
#include "cli/logins.h"
#include "cli/plans.h"
#include "cli/status.h"
#include "cli/tenants.h"
#include "cli/topics.h"

#define EXIT_USAGE 2
#define AT(member) offsetof(tg_cli_config_t, member)

// clang-format off
static const tg_option_t options[] = {
    {"pg.dsn",            TG_OPT_SECRET, AT(dsn),         "dbname=tidegate", 1,   4096,   "Connection string of the operator's role, which owns the schemas."},
    {"kafka.brokers",     TG_OPT_STR,    AT(brokers),     "localhost:9092",  1,   1024,   "Bootstrap servers, host:port[,...]."},
    {"kafka.replication", TG_OPT_UINT,   AT(replication), "1",               1,   TG_TOPICS_REPLICATION_MAX, "Replicas of new topics; 3 or more also sets min.insync.replicas to 2."},
    {"kafka.timeout",     TG_OPT_MS,     AT(timeout_ms),  "10s",             100, 600000, "Longest wait for an answer of Kafka."},
    {"gateway.address",   TG_OPT_STR,    AT(gateway),     "127.0.0.1:8080",  3,   1024,   "Gateway whose breakers are shown or set, host:port; without TLS."},
    {"gateway.key",       TG_OPT_SECRET, AT(key),         "",                0,   256,    "API key with the scope admin, for that."},
};

static const tg_cli_command_t commands[] = {
    {"tenant", "create",  tg_tenants_create,  "ID [--name N] [--plan P] [--limits a=1,...] [--if-not-exists]", "Makes a tenant."},
    {"tenant", "update",  tg_tenants_update,  "ID [--name N] [--plan P] [--limits a=1,b=default]", "Changes a tenant's name, plan and own limits."},
    {"tenant", "show",    tg_tenants_show,    "ID",                                         "Shows a tenant with its limits."},
    {"tenant", "list",    tg_tenants_list,    "[--state active|suspended|deleted] [--plan P]", "Lists tenants; deleted ones by their state only."},
    {"tenant", "suspend", tg_tenants_suspend, "ID",                                         "Refuses a tenant's keys; its data stays."},
    {"tenant", "resume",  tg_tenants_resume,  "ID",                                         "Takes that back."},
    {"tenant", "disable", tg_tenants_suspend, "ID",                                         "The older name of suspend."},
    {"tenant", "enable",  tg_tenants_resume,  "ID",                                         "The older name of resume."},
    {"tenant", "delete",  tg_tenants_delete,  "ID --yes",                                   "Ends a tenant and its keys for good."},
    {"plan",   "set",     tg_plans_set,       "NAME [--requests-per-second N] [--burst N] [--limits a=1,b=default]", "Makes or changes a plan."},
    {"plan",   "show",    tg_plans_show,      "NAME",                                       "Shows a plan's limits."},
    {"plan",   "list",    tg_plans_list,      "",                                           "Lists plans."},
    {"plan",   "delete",  tg_plans_delete,    "NAME",                                       "Removes a plan that no tenant has."},
    {"plan",   "limits",  tg_plans_limits,    "",                                           "Lists the limits that there are."},
    {"key",    "create",  tg_keys_create,     "--tenant T --scopes a,b [--expires 30d] [--description TEXT]", "Makes an API key and prints it, once."},
    {"key",    "list",    tg_keys_list,       "[--tenant T]",                               "Lists keys without their secrets."},
    {"key",    "show",    tg_keys_show,       "ID",                                         "Shows a key without its secret."},
    {"key",    "rotate",  tg_keys_rotate,     "ID [--overlap 24h]",                         "Makes a key like this one, which ends that much later."},
    {"key",    "revoke",  tg_keys_revoke,     "ID",                                         "Ends a key everywhere within a second."},
    {"admin",  "bootstrap", tg_admin_bootstrap, "[--expires 1d]",                           "Makes a key for the admin API and prints it, once."},
    {"audit",  "list",    tg_audit_list,      "[--tenant T] [--action A] [--limit N]",      "Lists who changed what, newest first."},
    {"sql-login", "create", tg_logins_create, "NAME --tenant T [--connections N]",          "Makes a PostgreSQL login that reads the tenant's views; prints its password, once."},
    {"sql-login", "list",   tg_logins_list,   "",                                           "Lists them."},
    {"sql-login", "drop",   tg_logins_drop,   "NAME",                                       "Removes one and ends its sessions."},
    {"breakers", "list",  tg_breakers_list,   "",                                           "Shows a gateway's upstream instances and their breakers."},
    {"breakers", "set",   tg_breakers_set,    "UPSTREAM INSTANCE open|closed|auto",         "Holds a breaker of that gateway open or closed, or lets it go."},
    {"topics", "create",  tg_topics_create,   "[--replication N]",                          "Makes the Kafka topics that are missing."},
    {"topics", "list",    tg_topics_list,     "",                                           "Lists them with partitions and replicas."},
    {"topics", "offsets", tg_topics_offsets,  "",                                           "Shows each partition's first and next offset."},
    {"status", NULL,      tg_status_show,     "",                                           "Shows the store: counts, offsets, leases."},
};
// clang-format on

static const tg_program_t program = {.name = "cli",
                                     .summary = "The operator's command line of tidegate.",
                                     .options = options,
                                     .option_count = TG_ARRAY_LEN(options)};

static void print_commands(FILE *out)
{
    (void)fputs("tidegate COMMAND [--setting.name=value ...]\n\n", out);
    for (size_t i = 0; i < TG_ARRAY_LEN(commands); i++) {
        const tg_cli_command_t *c = &commands[i];
        (void)fprintf(out, "  tidegate %s%s%s%s%s\n      %s\n", c->noun, c->verb == NULL ? "" : " ",
                      c->verb == NULL ? "" : c->verb, c->usage[0] == '\0' ? "" : " ", c->usage,
                      c->help);
    }
    (void)fputs("\ntidegate --help lists the settings as well.\n\n", out);
}

static const tg_cli_command_t *find_command(tg_args_t *args)
{
    const char *noun = tg_args_word(args), *verb = NULL;

    for (size_t i = 0; noun != NULL && i < TG_ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i].noun, noun) != 0)
            continue;
        if (commands[i].verb == NULL)
            return &commands[i];
        verb = verb == NULL ? tg_args_word(args) : verb;
        if (verb != NULL && strcmp(commands[i].verb, verb) == 0)
            return &commands[i];
    }
    return NULL;
}

static bool has_help_flag(const tg_args_t *args)
{
    for (int i = 1; i < args->config_count; i++) {
        if (strcmp(args->config[i], "--help") == 0)
            return true;
    }
    return false;
}

/* "tidegate" and "tidegate help": the commands alone. */
static bool wants_commands(int argc, const tg_args_t *args)
{
    return argc == 1 || (args->count > 0 && strcmp(args->words[0], "help") == 0);
}

/* A command that finds its own words wrong answers TG_INVALID: that is a usage error as well. */
static int run_command(const tg_cli_config_t *config, tg_args_t *args, tg_error_t *error)
{
    tg_cli_t cli = {.config = config, .out = stdout};

    const tg_cli_command_t *command = find_command(args);
    if (command == NULL) {
        (void)tg_error_set(error, TG_INVALID, "there is no such command; see tidegate help");
        return EXIT_USAGE;
    }
    tg_status_t status = command->run(&cli, args, error);
    tg_cli_close(&cli);
    if (status == TG_OK && fflush(stdout) != 0)
        status = tg_error_set(error, TG_UNAVAILABLE, "standard output cannot be written");
    return status == TG_OK ? 0 : status == TG_INVALID ? EXIT_USAGE : 1;
}

/* The database names limits for the admin API as well; this is the command line's way to them. */
static void complain(const char *text)
{
    (void)fprintf(stderr, "tidegate: %s\n", text);
    if (strncmp(text, "limits.", 7) == 0)
        (void)fprintf(stderr, "`tidegate plan limits` lists them; --limits NAME=default takes one "
                              "away.\n");
}

int main(int argc, char **argv)
{
    tg_args_t args;
    tg_cli_config_t config = {0};
    tg_config_action_t action = TG_CONFIG_RUN;
    tg_error_t error = {0};
    int code = 0;

    tg_status_t status = tg_args_split(argc, argv, &args, &error);
    if (status == TG_OK && (wants_commands(argc, &args) || has_help_flag(&args)))
        print_commands(stdout);
    if (status == TG_OK && wants_commands(argc, &args))
        return 0;
    if (status == TG_OK)
        status = tg_config_load(&program, args.config_count, args.config, &config, &action, &error);
    if (status != TG_OK)
        code = EXIT_USAGE;
    else if (action == TG_CONFIG_RUN)
        code = run_command(&config, &args, &error);
    if (code != 0)
        complain(error.text);
    tg_config_dispose(&program, &config);
    return code;
}
