/* The configuration from all its sources, and the words of its errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <unistd.h>

#include "common/base/config.h"

struct demo {
    char *brokers;
    char *password;
    uint64_t threads;
    uint64_t linger_ms;
    uint64_t queue_bytes;
    bool enabled;
    double ratio;
    char *note;
};

#define AT(member) offsetof(struct demo, member)

// clang-format off
static const tg_option_t options[] = {
    {"kafka.brokers", TG_OPT_STR,    AT(brokers),     "localhost:9092", 1,    64,       "Bootstrap servers."},
    {"db.password",   TG_OPT_SECRET, AT(password),    "",               0,    32,       "Password."},
    {"http.threads",  TG_OPT_UINT,   AT(threads),     "2",              1,    64,       "Threads."},
    {"batch.linger",  TG_OPT_MS | TG_OPT_LIVE, AT(linger_ms), "200ms",   1,    10000,    "Longest wait."},
    {"queue.bytes",   TG_OPT_BYTES,  AT(queue_bytes), "64KiB",          1024, 10 << 20, "Bytes held."},
    {"cache.enabled", TG_OPT_BOOL,   AT(enabled),     "true",           0,    1,        "Whether to cache."},
    {"sample.ratio",  TG_OPT_DOUBLE, AT(ratio),       "0.5",            0,    1,        "Share sampled."},
    {"demo.note",     TG_OPT_STR | TG_OPT_LIVE, AT(note),     "",        0,    64,       "Any text."},
};
// clang-format on

static const tg_program_t program = {.name = "demo",
                                     .summary = "shows settings.",
                                     .options = options,
                                     .option_count = TG_ARRAY_LEN(options),
                                     .config_size = sizeof(struct demo)};

struct run {
    struct demo config;
    tg_status_t status;
    tg_config_action_t action;
    tg_error_t error;
};

static struct run load(const char *argument, const char *second)
{
    struct run run = {.action = (tg_config_action_t)99};
    char *argv[] = {(char *)"tidegate-demo", (char *)argument, (char *)second, NULL};
    int argc = 1 + (argument != NULL) + (second != NULL);
    run.status = tg_config_load(&program, argc, argv, &run.config, &run.action, &run.error);
    return run;
}

static void assert_refused(const char *argument, const char *second, const char *words)
{
    struct run run = load(argument, second);
    assert_int_not_equal(run.status, TG_OK);
    if (strstr(run.error.text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", run.error.text, words);
    assert_null(strchr(run.error.text, '\n'));
    tg_config_dispose(&program, &run.config);
}

static char file_path[] = "/tmp/tidegate-test-config-XXXXXX";

static const char *write_file(const char *text)
{
    FILE *file = fopen(file_path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    static char argument[64];
    (void)snprintf(argument, sizeof(argument), "--config=%s", file_path);
    return argument;
}

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(file_path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(file_path);
}

static int clear_environment(void **state)
{
    (void)state;
    return clearenv();
}

static void defaults_fill_the_struct(void **state)
{
    (void)state;
    struct run run = load(NULL, NULL);
    assert_int_equal(run.status, TG_OK);
    assert_int_equal(run.action, TG_CONFIG_RUN);
    assert_string_equal(run.config.brokers, "localhost:9092");
    assert_string_equal(run.config.password, "");
    assert_int_equal(run.config.threads, 2);
    assert_int_equal(run.config.linger_ms, 200);
    assert_int_equal(run.config.queue_bytes, 65536);
    assert_true(run.config.enabled);
    assert_true(run.config.ratio == 0.5);
    tg_config_dispose(&program, &run.config);
    assert_null(run.config.brokers);
}

static void later_sources_win(void **state)
{
    (void)state;
    const char *file = write_file("# comment\n[tidegate]\nhttp.threads = 3\nbatch.linger=1s\n"
                                  "other.service = yes\n[demo]\r\nhttp.threads = 4 \r\n"
                                  "demo.note = a # b ; c = d\n[elsewhere]\nanything = 1\n");
    struct run run = load(file, NULL);
    assert_int_equal(run.status, TG_OK);
    assert_int_equal(run.config.linger_ms, 1000);
    assert_int_equal(run.config.threads, 4);
    assert_string_equal(run.config.note, "a # b ; c = d");
    tg_config_dispose(&program, &run.config);

    setenv("TIDEGATE_DEMO_HTTP_THREADS", "5", 1);
    run = load(file, NULL);
    assert_int_equal(run.config.threads, 5);
    tg_config_dispose(&program, &run.config);
    run = load(file, "--http.threads=6");
    assert_int_equal(run.config.threads, 6);
    tg_config_dispose(&program, &run.config);

    setenv("TIDEGATE_CONFIG", file_path, 1);
    run = load("--http.threads=6", NULL);
    assert_int_equal(run.config.linger_ms, 1000);
    tg_config_dispose(&program, &run.config);
    run = load("--config", file_path);
    assert_int_equal(run.status, TG_OK);
    tg_config_dispose(&program, &run.config);
}

static void unknown_names_are_errors(void **state)
{
    (void)state;
    assert_refused("--no.such=1", NULL, "unknown option --no.such");
    assert_refused("stray", NULL, "unexpected argument \"stray\"");
    assert_refused(write_file("[demo]\n\nhttp.thread = 1\n"), NULL, "line 3");
    setenv("TIDEGATE_DEMO_HTTP_THREAD", "5", 1);
    assert_refused(NULL, NULL, "environment TIDEGATE_DEMO_HTTP_THREAD: unknown variable");
}

static void foreign_variables_are_left_alone(void **state)
{
    (void)state;
    setenv("TIDEGATE_FAULT", "x=kill", 1);
    setenv("TIDEGATE_DEMOLITION_X", "1", 1);
    setenv("TIDEGATE_WORKER_THREADS", "1", 1);
    struct run run = load(NULL, NULL);
    assert_int_equal(run.status, TG_OK);
    tg_config_dispose(&program, &run.config);
}

static void a_bad_value_names_option_source_and_what_is_allowed(void **state)
{
    (void)state;
    assert_refused("--http.threads=65", NULL,
                   "command line: http.threads: \"65\" is not accepted; "
                   "allowed: a whole number from 1 to 64");
    assert_refused("--http.threads", NULL, "--http.threads needs a value");
    assert_refused("--config=/no/such/file", NULL, "cannot open /no/such/file");
    assert_refused("--config", NULL, "--config needs");
    const char *file = write_file("[demo]\nbatch.linger = 30\n");
    assert_refused(file, NULL, "line 2: batch.linger: \"30\"");
    assert_refused(file, NULL, file_path);
    setenv("TIDEGATE_DEMO_QUEUE_BYTES", "11MiB", 1);
    assert_refused(NULL, NULL,
                   "environment TIDEGATE_DEMO_QUEUE_BYTES: queue.bytes: \"11MiB\" is not accepted; "
                   "allowed: a size (B, KiB, MiB, GiB) from 1KiB to 10MiB");
}

static void the_file_s_own_form_is_checked(void **state)
{
    (void)state;
    assert_refused(write_file("[demo\n"), NULL, "line 1");
    assert_refused(write_file("[demo]\nno equals sign\n"), NULL, "line 2");
    assert_refused(write_file("http.threads = 1\n"), NULL, "before any [section]");
    assert_refused(write_file("[demo]\nhttp.threads = 1\nhttp.threads = 2\n"), NULL,
                   "set on line 2 already");
}

static void a_required_text_must_come_from_somewhere(void **state)
{
    (void)state;
    tg_option_t required = options[0];
    required.fallback = NULL;
    const tg_program_t strict = {.name = "demo", .options = &required, .option_count = 1};
    struct demo config = {0};
    tg_config_action_t action;
    tg_error_t error;
    char *argv[] = {(char *)"demo", NULL};
    assert_int_equal(tg_config_load(&strict, 1, argv, &config, &action, &error), TG_INVALID);
    assert_non_null(strstr(error.text, "TIDEGATE_DEMO_KAFKA_BROKERS"));
    tg_config_dispose(&strict, &config);
    setenv("TIDEGATE_DEMO_KAFKA_BROKERS", "k:1", 1);
    assert_int_equal(tg_config_load(&strict, 1, argv, &config, &action, &error), TG_OK);
    tg_config_dispose(&strict, &config);
}

static void a_secret_comes_from_environment_or_file_but_no_argument(void **state)
{
    (void)state;
    assert_refused("--db.password=hunter2", NULL, "is a secret");
    setenv("TIDEGATE_DEMO_DB_PASSWORD", "direct", 1);
    struct run run = load(NULL, NULL);
    assert_string_equal(run.config.password, "direct");
    tg_config_dispose(&program, &run.config);

    (void)write_file("from file\n");
    setenv("TIDEGATE_DEMO_DB_PASSWORD_FILE", file_path, 1);
    assert_refused(NULL, NULL, "TIDEGATE_DEMO_DB_PASSWORD is set too");
    unsetenv("TIDEGATE_DEMO_DB_PASSWORD");
    run = load(NULL, NULL);
    assert_int_equal(run.status, TG_OK);
    assert_string_equal(run.config.password, "from file");
    tg_config_dispose(&program, &run.config);

    setenv("TIDEGATE_DEMO_DB_PASSWORD_FILE", "/no/such", 1);
    assert_refused(NULL, NULL, "db.password: cannot open /no/such");
    unsetenv("TIDEGATE_DEMO_DB_PASSWORD_FILE");
    setenv("TIDEGATE_DEMO_KAFKA_BROKERS_FILE", file_path, 1); /* only secrets have the form */
    assert_refused(NULL, NULL, "unknown variable");
}

static void a_bad_secret_is_not_shown(void **state)
{
    (void)state;
    setenv("TIDEGATE_DEMO_DB_PASSWORD", "much-too-long-to-be-a-password-here", 1);
    struct run run = load(NULL, NULL);
    assert_int_equal(run.status, TG_INVALID);
    assert_null(strstr(run.error.text, "much"));
    tg_config_dispose(&program, &run.config);
}

static void a_secret_s_path_may_stand_in_the_file(void **state)
{
    (void)state;
    char secret[] = "/tmp/tidegate-test-secret-XXXXXX";
    int fd = mkstemp(secret);
    assert_int_equal(write(fd, "s3\r\n", 4), 4);
    close(fd);
    char text[128];
    (void)snprintf(text, sizeof(text), "[demo]\ndb.password_file = %s\n", secret);
    struct run run = load(write_file(text), NULL);
    unlink(secret);
    assert_int_equal(run.status, TG_OK);
    assert_string_equal(run.config.password, "s3");
    tg_config_dispose(&program, &run.config);
}

static void each_type_takes_its_forms_and_no_others(void **state)
{
    (void)state;
    // clang-format off
    const struct { const char *argument; bool good; } cases[] = {
        {"--batch.linger=10s", true},       {"--batch.linger=0", false},      {"--batch.linger=11s", false},
        {"--batch.linger=1 s", false},      {"--batch.linger=s", false},      {"--batch.linger=1.5s", false},
        {"--batch.linger=99999999999999999999d", false}, {"--batch.linger=9999999999999999d", false},
        {"--queue.bytes=2048", true},       {"--queue.bytes=1KiB", true},     {"--queue.bytes=1kb", false},
        {"--queue.bytes=10MiB", true},      {"--queue.bytes=-1", false},      {"--queue.bytes=1023B", false},
        {"--cache.enabled=off", true},      {"--cache.enabled=1", true},      {"--cache.enabled=TRUE", false},
        {"--sample.ratio=1", true},         {"--sample.ratio=1e-3", true},    {"--sample.ratio=1.1", false},
        {"--sample.ratio=nan", false},      {"--sample.ratio=0x1p-1", false}, {"--sample.ratio=", false},
        {"--sample.ratio=1e999", false},    {"--sample.ratio=.5.", false},
        {"--kafka.brokers=", false},        {"--demo.note=", true},           {"--http.threads=+1", false},
    };
    // clang-format on
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        struct run run = load(cases[i].argument, NULL);
        if ((run.status == TG_OK) != cases[i].good)
            fail_msg("%s: %s", cases[i].argument,
                     run.status == TG_OK ? "accepted" : run.error.text);
        tg_config_dispose(&program, &run.config);
    }
}

/* Runs load() with stdout in a file and returns what was printed, in a static buffer. */
static const char *printed(const char *argument, tg_config_action_t *out_action)
{
    static char text[16384];
    fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    FILE *file = tmpfile();
    assert_non_null(file);
    dup2(fileno(file), STDOUT_FILENO);
    struct run run = load(argument, NULL);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    rewind(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    assert_int_equal(run.status, TG_OK);
    *out_action = run.action;
    tg_config_dispose(&program, &run.config);
    return text;
}

static void help_lists_each_option_even_with_a_bad_environment(void **state)
{
    (void)state;
    setenv("TIDEGATE_DEMO_NO_SUCH", "1", 1);
    tg_config_action_t action;
    const char *text = printed("--help", &action);
    assert_int_equal(action, TG_CONFIG_EXIT);
    for (size_t i = 0; i < TG_ARRAY_LEN(options); i++) {
        assert_non_null(strstr(text, options[i].name));
        assert_non_null(strstr(text, options[i].help));
    }
    assert_non_null(strstr(text, "TIDEGATE_DEMO_BATCH_LINGER"));
    assert_non_null(strstr(text, "a time (ms, s, m, h, d) from 1ms to 10s; default: 200ms"));
    assert_null(strstr(text, "--db.password"));
    assert_non_null(strstr(printed("--version", &action), "tidegate-demo " TG_VERSION));
}

static void print_env_is_a_valid_environment(void **state)
{
    (void)state;
    tg_config_action_t action;
    char copy[16384];
    (void)snprintf(copy, sizeof(copy), "%s", printed("--print-env", &action));
    assert_int_equal(action, TG_CONFIG_EXIT);
    int lines = 0;
    for (char *line = strtok(copy, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (line[0] == '#')
            continue;
        char *equals = strchr(line, '=');
        assert_non_null(equals);
        *equals = '\0';
        if (equals[1] != '\0')
            setenv(line, equals + 1, 1);
        lines++;
    }
    assert_int_equal(lines, TG_ARRAY_LEN(options) - 1); /* the secret is a comment */
    struct run run = load(NULL, NULL);
    assert_int_equal(run.status, TG_OK);
    tg_config_dispose(&program, &run.config);
}

static void check_config_says_whether_it_would_start(void **state)
{
    (void)state;
    tg_config_action_t action;
    assert_non_null(strstr(printed("--check-config", &action), "valid"));
    assert_int_equal(action, TG_CONFIG_EXIT);
    assert_refused("--check-config", "--http.threads=0", "http.threads");
}

/* --- read again --- */

struct again {
    struct demo config;
    tg_status_t status;
    tg_buf_t changed;
    tg_error_t error;
};

static struct again reload(const struct demo *in_use)
{
    struct again again = {.changed = tg_buf_make(256)};
    static char path[64];
    (void)snprintf(path, sizeof(path), "--config=%s", file_path);
    char *argv[] = {(char *)"tidegate-demo", path, NULL};
    again.status =
        tg_config_reload(&program, 2, argv, in_use, &again.config, &again.changed, &again.error);
    return again;
}

static void forget(struct again *again)
{
    tg_buf_dispose(&again->changed);
    tg_config_dispose(&program, &again->config);
}

static void what_may_change_is_read_again_and_named(void **state)
{
    (void)state;
    struct run run = load(write_file("[demo]\nbatch.linger = 1s\nhttp.threads = 3\n"), NULL);
    assert_int_equal(run.status, TG_OK);
    struct again same = reload(&run.config);
    assert_int_equal(same.status, TG_OK);
    assert_int_equal(same.changed.len, 0);
    forget(&same);
    (void)write_file("[demo]\nbatch.linger = 2s\nhttp.threads = 3\ndemo.note = new\n");
    struct again other = reload(&run.config);
    assert_int_equal(other.status, TG_OK);
    assert_true(tg_str_eq(tg_buf_view(&other.changed), TG_STR("batch.linger, demo.note")));
    assert_int_equal(other.config.linger_ms, 2000);
    assert_string_equal(other.config.note, "new");
    assert_int_equal(run.config.linger_ms, 1000);
    forget(&other);
    tg_config_dispose(&program, &run.config);
}

static void a_change_that_needs_a_restart_is_refused_by_name(void **state)
{
    (void)state;
    struct run run = load(write_file("[demo]\nbatch.linger = 1s\n"), NULL);
    assert_int_equal(run.status, TG_OK);
    static const char *const texts[] = {"http.threads = 3",     "kafka.brokers = other:9092",
                                        "db.password = secret", "cache.enabled = no",
                                        "sample.ratio = 0.25",  "queue.bytes = 1MiB"};
    for (size_t i = 0; i < TG_ARRAY_LEN(texts); i++) {
        char text[128];
        (void)snprintf(text, sizeof(text), "[demo]\nbatch.linger = 2s\n%s\n", texts[i]);
        (void)write_file(text);
        struct again again = reload(&run.config);
        assert_int_equal(again.status, TG_CONFLICT);
        assert_int_equal(strncmp(again.error.text, texts[i], strcspn(texts[i], " ")), 0);
        assert_non_null(strstr(again.error.text, "restart"));
        assert_null(strstr(again.error.text, "secret"));
        forget(&again);
    }
    tg_config_dispose(&program, &run.config);
}

static void a_bad_file_is_refused_with_its_line(void **state)
{
    (void)state;
    struct run run = load(write_file("[demo]\nbatch.linger = 1s\n"), NULL);
    assert_int_equal(run.status, TG_OK);
    (void)write_file("[demo]\n\nbatch.linger = 1 second\n");
    struct again again = reload(&run.config);
    assert_int_equal(again.status, TG_INVALID);
    assert_non_null(strstr(again.error.text, file_path));
    assert_non_null(strstr(again.error.text, "line 3"));
    assert_non_null(strstr(again.error.text, "batch.linger"));
    forget(&again);
    tg_config_dispose(&program, &run.config);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, clear_environment)
    const struct CMUnitTest tests[] = {
        TEST(defaults_fill_the_struct),
        TEST(later_sources_win),
        TEST(unknown_names_are_errors),
        TEST(foreign_variables_are_left_alone),
        TEST(a_bad_value_names_option_source_and_what_is_allowed),
        TEST(the_file_s_own_form_is_checked),
        TEST(a_required_text_must_come_from_somewhere),
        TEST(a_secret_comes_from_environment_or_file_but_no_argument),
        TEST(a_bad_secret_is_not_shown),
        TEST(a_secret_s_path_may_stand_in_the_file),
        TEST(each_type_takes_its_forms_and_no_others),
        TEST(help_lists_each_option_even_with_a_bad_environment),
        TEST(print_env_is_a_valid_environment),
        TEST(check_config_says_whether_it_would_start),
        TEST(what_may_change_is_read_again_and_named),
        TEST(a_change_that_needs_a_restart_is_refused_by_name),
        TEST(a_bad_file_is_refused_with_its_line),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
