/* A process whose settings are read again: by SIGHUP, or because a request asks for it. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/http/tests/tls_support.h"
#include "common/observe/program.h"

#define H "Host: a\r\n"

/* --- the program --- */

struct settings {
    tg_http_config_t http;
    char *greeting; /* "" is refused by settings_make */
    char *log_level;
};

static const tg_option_t options[] = {
    TG_HTTP_OPTIONS(struct settings, http, "0", "0"),
    {"greeting", TG_OPT_STR | TG_OPT_LIVE, offsetof(struct settings, greeting), "hello", 0, 64,
     "What it says."},
    {"log.level", TG_OPT_STR | TG_OPT_LIVE, offsetof(struct settings, log_level), "info", 4, 5,
     "The lowest level."},
};

static const tg_program_t program = {.name = "again",
                                     .summary = "reads its settings again.",
                                     .options = options,
                                     .option_count = TG_ARRAY_LEN(options),
                                     .config_size = sizeof(struct settings)};

static tg_status_t make_settings(void *arg, const void *config, void **out_settings,
                                 tg_error_t *error)
{
    (void)arg;
    const struct settings *settings = config;
    if (settings->greeting[0] == '\0')
        return tg_error_set(error, TG_INVALID, "greeting: say something.");
    *out_settings = strdup(settings->greeting);
    return TG_OK;
}

static void on_hello(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_http_reply(req, 200, "text/plain", tg_str_from(tg_http_settings(req)));
}

struct asker {
    tg_http_req_t *req;
    tg_http_reload_t *reload;
};

static void on_reloaded(void *user, tg_status_t status, tg_str_t changed, const char *error)
{
    tg_http_req_t *req = ((struct asker *)user)->req;
    if (status == TG_OK)
        tg_http_reply(req, 200, "text/plain", changed);
    else
        tg_http_fail(req, 409, "refused", (tg_str_t){0}, "%s", error);
}

static void on_cancel(void *user)
{
    tg_http_reload_cancel(((struct asker *)user)->reload);
}

static void on_reload(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    struct asker *asker = tg_arena_alloc(tg_http_arena(req), sizeof(*asker));
    asker->req = req;
    asker->reload = tg_http_reload_ask(req, on_reloaded, asker);
    if (asker->reload == NULL)
        tg_http_fail(req, 503, "busy", (tg_str_t){0}, "Too many ask.");
    else
        tg_http_set_user(req, asker, on_cancel);
}

static const tg_http_route_t routes[] = {
    {.method = "GET", .path = "/hello", .handler = on_hello},
    {.method = "POST", .path = "/reload", .handler = on_reload},
};

static int run(const void *config)
{
    const struct settings *settings = config;
    const tg_http_service_t service = {.name = "again",
                                       .config = &settings->http,
                                       .options = settings,
                                       .settings_make = make_settings,
                                       .settings_free = free,
                                       .routes = routes,
                                       .route_count = TG_ARRAY_LEN(routes)};
    return tg_http_server_run(&service);
}

/* --- the process --- */

static char dir[64];
static pid_t child;
static uint16_t port;

static void path_of(const char *name, char out[128])
{
    (void)snprintf(out, 128, "%s/%s", dir, name);
}

static void configure(const char *more)
{
    char path[128];
    path_of("again.ini", path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fprintf(file,
                  "[again]\nhttp.listen = 127.0.0.1:%u\nhttp.admin_listen = 127.0.0.1:0\n"
                  "http.threads = 2\n%s",
                  port, more);
    assert_int_equal(fclose(file), 0);
}

static void be_child(void)
{
    char config[160], log[128];
    (void)snprintf(config, sizeof(config), "--config=%s/again.ini", dir);
    path_of("log", log);
    if (freopen(log, "w", stderr) == NULL)
        _exit(3);
    setvbuf(stderr, NULL, _IONBF, 0);
    char *argv[] = {(char *)"again", config, NULL};
    struct settings settings = {0};
    _exit(tg_program_main(&program, 2, argv, &settings, offsetof(struct settings, log_level), run));
}

static void start(const char *more)
{
    port = test_free_port();
    configure(more);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        be_child();
    test_wait_listening(port);
}

static int stop(void **state)
{
    (void)state;
    int status = 0;
    if (child == 0)
        return 0;
    (void)kill(child, SIGTERM);
    (void)waitpid(child, &status, 0);
    child = 0;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    return 0;
}

static bool log_has(const char *text)
{
    char path[128], bytes[16384];
    path_of("log", path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t n = fread(bytes, 1, sizeof(bytes) - 1, file);
    fclose(file);
    bytes[n] = '\0';
    return strstr(bytes, text) != NULL;
}

static void wait_log(const char *text)
{
    for (unsigned i = 0; i < TEST_WAIT_MS; i++) {
        if (log_has(text))
            return;
        (void)poll(NULL, 0, 1);
    }
    fail_msg("the log does not say %s", text);
}

static char *ask_reload(void)
{
    return test_exchange(port, "POST /reload HTTP/1.1\r\n" H
                               "Connection: close\r\nContent-Length: 0\r\n\r\n");
}

static void expect_greeting(const char *greeting)
{
    char *answer = test_exchange(port, "GET /hello HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    assert_int_equal(test_code(answer), 200);
    test_assert_has(answer, greeting);
    free(answer);
}

static void SIGHUP_takes_over_what_may_change(void **state)
{
    (void)state;
    start("http.idle_timeout = 60s\n");
    expect_greeting("hello");
    int idle = test_connect(port);
    configure("http.idle_timeout = 200ms\ngreeting = ahoy\nlog.level = debug\n");
    assert_int_equal(kill(child, SIGHUP), 0);
    wait_log("\"changed\":\"http.idle_timeout, greeting, log.level\"");
    assert_true(test_is_closed(idle));
    close(idle);
    expect_greeting("ahoy");
    configure("http.idle_timeout = 200ms\ngreeting = again\nlog.level = debug\n");
    assert_int_equal(kill(child, SIGHUP), 0);
    wait_log("\"changed\":\"greeting\"");
    expect_greeting("again");
}

static void a_change_that_needs_a_restart_leaves_all_as_it_was(void **state)
{
    (void)state;
    start("");
    configure("greeting = ahoy\nhttp.admin_listen = 127.0.0.1:1\n"); /* twice: a bad file */
    assert_int_equal(kill(child, SIGHUP), 0);
    wait_log("http.admin_listen: set on line");
    expect_greeting("hello");
    configure("greeting = ahoy\nno.such = option\n");
    assert_int_equal(kill(child, SIGHUP), 0);
    wait_log("line 6: unknown option \\\"no.such\\\"");
    port++; /* in the file only */
    configure("greeting = ahoy\n");
    port--;
    char *answer = ask_reload();
    assert_int_equal(test_code(answer), 409);
    test_assert_has(answer, "http.listen has changed, and needs a restart");
    free(answer);
    expect_greeting("hello");
    configure("log.level = loud\n");
    answer = ask_reload();
    assert_int_equal(test_code(answer), 409);
    test_assert_has(answer, "log.level");
    free(answer);
    configure("greeting =\n");
    answer = ask_reload();
    assert_int_equal(test_code(answer), 409);
    test_assert_has(answer, "say something");
    free(answer);
    expect_greeting("hello");
    configure("greeting = ahoy\n");
    answer = ask_reload();
    assert_int_equal(test_code(answer), 200);
    test_assert_has(answer, "greeting");
    free(answer);
    expect_greeting("ahoy");
}

static void each_request_that_asks_gets_an_answer(void **state)
{
    (void)state;
    start("");
    int fds[64];
    for (size_t i = 0; i < TG_ARRAY_LEN(fds); i++) {
        fds[i] = test_connect(port);
        test_say(fds[i], "POST /reload HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n");
    }
    unsigned done = 0;
    for (size_t i = 0; i < TG_ARRAY_LEN(fds); i++) {
        char *answer = test_read_answer(fds[i], false);
        int code = test_code(answer);
        assert_true(code == 200 || code == 503);
        done += code == 200;
        free(answer);
        close(fds[i]);
    }
    assert_true(done >= 1);
}

static void a_certificate_in_the_same_place_is_read_again(void **state)
{
    (void)state;
    char more[256];
    test_make_certificate(dir, "site", 10);
    (void)snprintf(more, sizeof(more), "http.tls_cert = %s/site.crt\nhttp.tls_key = %s/site.key\n",
                   dir, dir);
    start(more);
    test_tls_t kept = test_tls_connect(port);
    assert_int_equal(kill(child, SIGHUP), 0);
    wait_log("\"changed\":\"\"");
    test_make_certificate(dir, "site", 20);
    assert_int_equal(kill(child, SIGHUP), 0);
    wait_log("\"changed\":\"certificate\"");
    test_tls_say(&kept, "GET /hello HTTP/1.1\r\n" H "\r\n");
    char *answer = test_tls_read_answer(&kept);
    assert_int_equal(test_code(answer), 200);
    free(answer);
    test_tls_close(&kept);
    char path[128];
    path_of("site.key", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(kill(child, SIGHUP), 0);
    wait_log("site.key cannot be used: No such file or directory");
    kept = test_tls_connect(port);
    test_tls_close(&kept);
    assert_false(log_has("PRIVATE"));
}

static void SIGTERM_amid_reloads_handshakes_and_slow_clients_ends_well(void **state)
{
    (void)state;
    char more[256];
    test_make_certificate(dir, "site", 10);
    (void)snprintf(more, sizeof(more),
                   "http.tls_cert = %s/site.crt\nhttp.tls_key = %s/site.key\nhttp.drain = 3s\n",
                   dir, dir);
    start(more);
    test_tls_t idle = test_tls_connect(port), half = test_tls_connect(port);
    test_tls_say(&half, "GET /hel");
    int silent = test_connect(port);
    for (unsigned i = 0; i < 50; i++) {
        (void)kill(child, SIGHUP);
        test_tls_t tls = test_tls_connect(port);
        test_tls_say(&tls, "GET /hello HTTP/1.1\r\n" H "\r\n");
        char *answer = test_tls_read_answer(&tls);
        assert_int_equal(test_code(answer), 200);
        free(answer);
        test_tls_close(&tls);
    }
    (void)kill(child, SIGHUP);
    (void)stop(NULL);
    test_tls_close(&idle);
    test_tls_close(&half);
    close(silent);
    assert_false(log_has("reload_failed"));
}

static int make_dir(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/tidegate-reload-XXXXXX");
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int remove_dir(void **state)
{
    (void)state;
    static const char *const names[] = {"again.ini", "log", "site.crt", "site.key"};
    for (size_t i = 0; i < TG_ARRAY_LEN(names); i++) {
        char path[128];
        path_of(names[i], path);
        (void)unlink(path);
    }
    return rmdir(dir);
}

int main(void)
{
    (void)clearenv();
#define TEST(name) cmocka_unit_test_teardown(name, stop)
    const struct CMUnitTest tests[] = {
        TEST(SIGHUP_takes_over_what_may_change),
        TEST(a_change_that_needs_a_restart_leaves_all_as_it_was),
        TEST(each_request_that_asks_gets_an_answer),
        TEST(a_certificate_in_the_same_place_is_read_again),
        TEST(SIGTERM_amid_reloads_handshakes_and_slow_clients_ends_well),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
