/* Draining: what had a connection is answered, what is silent is closed, what hangs is cut. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/time.h"
#include "common/http/tests/support.h"

#define H "Host: a\r\n"

struct later {
    tg_timer_t timer;
    tg_http_req_t *req;
};

static _Atomic int started, cancelled;

static void on_later_timer(void *arg)
{
    struct later *later = arg;
    tg_http_reply(later->req, 200, "text/plain", TG_STR("later"));
}

static void cancel_later(void *arg)
{
    struct later *later = arg;
    tg_timer_stop(&later->timer);
    atomic_fetch_add(&cancelled, 1);
}

static void answer_after(tg_http_req_t *req, uint64_t ms)
{
    struct later *later = tg_arena_alloc(tg_http_arena(req), sizeof(*later));
    later->req = req;
    tg_http_set_user(req, later, cancel_later);
    tg_timer_start(tg_http_loop(req), &later->timer, ms, on_later_timer, later);
    atomic_fetch_add(&started, 1);
}

static void on_later(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    answer_after(req, 300);
}

static void on_soon(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    answer_after(req, 1);
}

static void on_hang(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    answer_after(req, 60000);
}

static const tg_http_route_t routes[] = {
    {.method = "GET", .path = "/later", .handler = on_later},
    {.method = "GET", .path = "/soon", .handler = on_soon},
    {.method = "GET", .path = "/hang", .handler = on_hang},
};

static tg_http_config_t config;
static tg_http_service_t service;

static tg_http_server_t *open_server(uint64_t drain_ms, uint64_t threads)
{
    config = test_config();
    config.drain_ms = drain_ms;
    config.threads = threads;
    config.deadline_ms = 120000;
    service = (tg_http_service_t){.name = "drained",
                                  .config = &config,
                                  .routes = routes,
                                  .route_count = TG_ARRAY_LEN(routes)};
    tg_http_server_t *server = NULL;
    assert_int_equal(tg_http_server_open(&service, &server, NULL), TG_OK);
    atomic_store(&started, 0);
    atomic_store(&cancelled, 0);
    return server;
}

static void wait_started(int count)
{
    for (unsigned i = 0; atomic_load(&started) < count && i < TEST_WAIT_MS; i++)
        (void)poll(NULL, 0, 1);
    assert_int_equal(atomic_load(&started), count);
}

static void what_is_in_flight_is_answered_and_its_connection_closed(void **state)
{
    (void)state;
    tg_http_server_t *server = open_server(4000, 2);
    int fds[8];
    for (size_t i = 0; i < TG_ARRAY_LEN(fds); i++) {
        fds[i] = test_connect(tg_http_server_port(server));
        test_say(fds[i], "GET /later HTTP/1.1\r\n" H "\r\n");
    }
    wait_started(TG_ARRAY_LEN(fds));
    assert_int_equal(tg_http_server_drain(server), 0);
    for (size_t i = 0; i < TG_ARRAY_LEN(fds); i++) {
        char *answer = test_read_all(fds[i], NULL);
        assert_int_equal(test_code(answer), 200);
        test_assert_has(answer, "connection: close");
        free(answer);
        close(fds[i]);
    }
    tg_http_server_close(server);
}

static void a_drained_server_takes_no_connection_and_is_not_ready(void **state)
{
    (void)state;
    tg_http_server_t *server = open_server(4000, 1);
    assert_int_equal(tg_http_server_drain(server), 0);
    assert_int_equal(test_try_connect(tg_http_server_port(server)), -1);
    char *answer = test_exchange(tg_http_server_admin_port(server),
                                 "GET /ready HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    assert_int_equal(test_code(answer), 503);
    test_assert_has(answer, "\"draining\":true");
    free(answer);
    tg_http_server_close(server);
}

static void a_silent_connection_does_not_hold_the_drain(void **state)
{
    (void)state;
    tg_http_server_t *server = open_server(8000, 1);
    int fresh = test_connect(tg_http_server_port(server));
    int used = test_connect(tg_http_server_port(server));
    test_say(used, "GET /soon HTTP/1.1\r\n" H "\r\n");
    free(test_read_answer(used, false));
    uint64_t before = tg_time_mono_ms();
    assert_int_equal(tg_http_server_drain(server), 0);
    assert_true(tg_time_mono_ms() - before < 3000);
    assert_true(test_is_closed(fresh));
    assert_true(test_is_closed(used));
    close(fresh);
    close(used);
    tg_http_server_close(server);
}

static void *drain_thread(void *arg)
{
    return (void *)(uintptr_t)tg_http_server_drain(arg);
}

static void a_kept_connection_may_send_its_next_request(void **state)
{
    (void)state;
    tg_http_server_t *server = open_server(8000, 1);
    int fd = test_connect(tg_http_server_port(server)),
        other = test_connect(tg_http_server_port(server));
    test_say(fd, "GET /soon HTTP/1.1\r\n" H "\r\n");
    free(test_read_answer(fd, false));
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, drain_thread, server), 0);
    /* The drain has begun when the listener is closed: until then another request is answered. */
    char *ready = NULL;
    do {
        free(ready);
        ready = test_exchange(tg_http_server_admin_port(server),
                              "GET /ready HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    } while (test_code(ready) == 200);
    free(ready);
    test_say(fd, "GET /soon HTTP/1.1\r\n" H "\r\n");
    char *answer = test_read_all(fd, NULL);
    assert_int_equal(test_code(answer), 200);
    free(answer);
    void *cut = NULL;
    pthread_join(thread, &cut);
    assert_null(cut);
    close(fd);
    close(other);
    tg_http_server_close(server);
}

static void what_outlasts_the_drain_is_cut_and_counted(void **state)
{
    (void)state;
    tg_http_server_t *server = open_server(200, 2);
    int fds[3];
    for (size_t i = 0; i < TG_ARRAY_LEN(fds); i++) {
        fds[i] = test_connect(tg_http_server_port(server));
        test_say(fds[i], "GET /hang HTTP/1.1\r\n" H "\r\n");
    }
    wait_started(TG_ARRAY_LEN(fds));
    assert_int_equal(tg_http_server_drain(server), TG_ARRAY_LEN(fds));
    assert_int_equal(atomic_load(&cancelled), TG_ARRAY_LEN(fds));
    for (size_t i = 0; i < TG_ARRAY_LEN(fds); i++) {
        char *answer = test_read_all(fds[i], NULL);
        assert_int_equal(test_code(answer), 503);
        test_assert_has(answer, "\"code\":\"shutting_down\"");
        free(answer);
        close(fds[i]);
    }
    tg_http_server_close(server);
}

static void a_server_that_is_closed_at_once_leaves_nothing(void **state)
{
    (void)state;
    tg_http_server_t *server = open_server(4000, 2);
    int idle = test_connect(tg_http_server_port(server)),
        busy = test_connect(tg_http_server_port(server));
    test_say(busy, "GET /hang HTTP/1.1\r\n" H "\r\n");
    wait_started(1);
    tg_http_server_close(server);
    assert_true(test_is_closed(idle));
    assert_true(test_is_closed(busy));
    close(idle);
    close(busy);
    tg_http_server_close(NULL);
}

/* --- a process under load --- */

struct client {
    pthread_t thread;
    uint16_t port;
    bool keep;
    _Atomic unsigned answered;
    unsigned lost; /* a request written on an accepted connection, no answer */
};

/* Sends until the server is gone; returns false then. A kept connection that the server closed
 * without having answered anything since is the race that HTTP/1.1 has; what counts as lost is a
 * request on a new connection. */
static bool one_connection(struct client *client)
{
    int fd = test_try_connect(client->port);
    if (fd < 0)
        return false;
    bool again = client->keep;
    do {
        static const char request[] = "GET /soon HTTP/1.1\r\n" H "\r\n";
        char bytes[1024];
        (void)send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL);
        size_t len = 0;
        ssize_t n = 0;
        while (len < 5 || memcmp(bytes + len - 5, "later", 5) != 0) {
            n = recv(fd, bytes + len, sizeof(bytes) - 1 - len, 0);
            if (n <= 0)
                break;
            len += (size_t)n;
        }
        bytes[len] = '\0';
        if (n <= 0) {
            client->lost++;
            again = false;
        } else {
            client->answered++;
            again = again && strcasestr(bytes, "connection: close") == NULL;
        }
    } while (again);
    close(fd);
    return true;
}

static void *client_main(void *arg)
{
    struct client *client = arg;
    while (one_connection(client))
        ;
    return NULL;
}

/* The child is the whole service, with signals as in production. */
static void run_child(int port_pipe)
{
    uint16_t port = test_free_port();
    char listen[32];
    (void)snprintf(listen, sizeof(listen), "127.0.0.1:%u", port);
    config = test_config();
    config.threads = 2;
    config.listen = listen;
    service = (tg_http_service_t){.name = "child",
                                  .config = &config,
                                  .routes = routes,
                                  .route_count = TG_ARRAY_LEN(routes)};
    if (write(port_pipe, &port, sizeof(port)) != sizeof(port))
        _exit(3);
    if (freopen("/dev/null", "w", stderr) == NULL)
        _exit(3);
    _exit(tg_http_server_run(&service));
}

#define LOADED 100 /* answers after which the server counts as under load */

static unsigned count_answered(const struct client *clients, size_t count)
{
    unsigned answered = 0;
    for (size_t i = 0; i < count; i++)
        answered += clients[i].answered;
    return answered;
}

static void wait_loaded(const struct client *clients, size_t count)
{
    for (unsigned i = 0; i < TEST_WAIT_MS && count_answered(clients, count) < LOADED; i++)
        (void)poll(NULL, 0, 1);
    assert_true(count_answered(clients, count) >= LOADED);
}

static void SIGTERM_under_load_loses_no_request(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 5; round++) {
        int pipes[2];
        uint16_t port = 0;
        assert_int_equal(pipe(pipes), 0);
        pid_t child = fork();
        if (child == 0)
            run_child(pipes[1]);
        assert_int_equal(read(pipes[0], &port, sizeof(port)), sizeof(port));
        close(pipes[0]);
        close(pipes[1]);
        test_wait_listening(port);
        struct client clients[12] = {0};
        for (size_t i = 0; i < TG_ARRAY_LEN(clients); i++) {
            clients[i].port = port;
            clients[i].keep = i % 2 == 0;
            assert_int_equal(pthread_create(&clients[i].thread, NULL, client_main, &clients[i]), 0);
        }
        wait_loaded(clients, TG_ARRAY_LEN(clients));
        assert_int_equal(kill(child, SIGTERM), 0);
        unsigned lost = 0;
        for (size_t i = 0; i < TG_ARRAY_LEN(clients); i++) {
            pthread_join(clients[i].thread, NULL);
            lost += clients[i].lost;
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_int_equal(lost, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(SIGTERM_under_load_loses_no_request), /* forks: before any thread */
        cmocka_unit_test(what_is_in_flight_is_answered_and_its_connection_closed),
        cmocka_unit_test(a_drained_server_takes_no_connection_and_is_not_ready),
        cmocka_unit_test(a_silent_connection_does_not_hold_the_drain),
        cmocka_unit_test(a_kept_connection_may_send_its_next_request),
        cmocka_unit_test(what_outlasts_the_drain_is_cut_and_counted),
        cmocka_unit_test(a_server_that_is_closed_at_once_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
