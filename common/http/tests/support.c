/* Raw loopback sockets and a scripted upstream, blocking, with a receive timeout so that a hanging
 * test fails by name. */
#include "common/http/tests/support.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/time.h"

tg_http_config_t test_config(void)
{
    return (tg_http_config_t){
        .listen = "127.0.0.1:0",
        .admin_listen = "127.0.0.1:0",
        .threads = 1,
        .max_connections = 1000,
        .max_inflight = 100,
        .header_timeout_ms = 5000,
        .idle_timeout_ms = 5000,
        .write_timeout_ms = 5000,
        .deadline_ms = 5000,
        .drain_ms = 4000,
    };
}

tg_http_config_t test_short_config(void)
{
    tg_http_config_t config = test_config();
    config.header_timeout_ms = 600;
    config.idle_timeout_ms = 1000;
    config.write_timeout_ms = 600;
    config.deadline_ms = 1500;
    config.max_inflight = 20;
    return config;
}

void test_on_hello(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_http_add_header(req, "cache-control", TG_STR("no-store"));
    tg_http_reply(req, 200, "text/plain", TG_STR("Hello"));
}

void test_on_echo(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_http_reply(req, 200, "application/octet-stream", tg_http_body(req));
}

void test_on_empty(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_http_reply(req, 204, NULL, (tg_str_t){NULL, 0});
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int test_try_connect(uint16_t port)
{
    struct sockaddr_in to = loopback(port);
    struct timeval wait = {.tv_sec = TEST_WAIT_MS / 1000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) != 0)
        abort();
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
        return fd;
    close(fd);
    return -1;
}

int test_close_server(void **state)
{
    tg_http_server_close(*state);
    return 0;
}

int test_connect(uint16_t port)
{
    int fd = test_try_connect(port);
    assert_true(fd >= 0);
    return fd;
}

void test_wait_listening(uint16_t port)
{
    for (unsigned i = 0; i < TEST_WAIT_MS; i++) {
        int fd = test_try_connect(port);
        if (fd >= 0) {
            close(fd);
            return;
        }
        (void)poll(NULL, 0, 1);
    }
    fail_msg("nobody listens on port %u", port);
}

void test_send(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the other side may refuse early: what it said is what counts */
        bytes += n;
        len -= (size_t)n;
    }
}

void test_say(int fd, const char *text)
{
    test_send(fd, text, strlen(text));
}

char *test_read_all(int fd, bool *out_reset)
{
    size_t cap = 1 << 16, len = 0;
    char *bytes = malloc(cap);
    assert_non_null(bytes);
    ssize_t n;
    while ((n = recv(fd, bytes + len, cap - len - 1, 0)) > 0) {
        len += (size_t)n;
        if (cap - len < 2) {
            cap *= 2;
            bytes = realloc(bytes, cap);
            assert_non_null(bytes);
        }
    }
    if (n < 0 && errno != ECONNRESET)
        fail_msg("no end of the stream: %s", strerror(errno));
    if (out_reset != NULL)
        *out_reset = n < 0;
    bytes[len] = '\0';
    return bytes;
}

char *test_read_answer(int fd, bool head)
{
    size_t cap = 1 << 20, len = 0, want = SIZE_MAX;
    char *bytes = calloc(1, cap);
    assert_non_null(bytes);
    while (len < want) {
        ssize_t n = recv(fd, bytes + len, want == SIZE_MAX ? 1 : want - len, 0);
        if (n <= 0)
            fail_msg("no whole answer: %s; so far: %s", n == 0 ? "closed" : strerror(errno), bytes);
        len += (size_t)n;
        assert_true(len < cap - 1);
        if (want == SIZE_MAX && len >= 4 && memcmp(bytes + len - 4, "\r\n\r\n", 4) == 0) {
            const char *length = strcasestr(bytes, "content-length: ");
            want = len + (length == NULL || head ? 0 : strtoul(length + 16, NULL, 10));
            assert_true(want < cap);
        }
    }
    return bytes;
}

char *test_exchange(uint16_t port, const char *text)
{
    int fd = test_connect(port);
    test_say(fd, text);
    char *answer = test_read_all(fd, NULL);
    close(fd);
    return answer;
}

int test_code(const char *answer)
{
    return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? atoi(answer + 9) : 0;
}

void test_assert_has(const char *answer, const char *part)
{
    if (strcasestr(answer, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, answer);
}

bool test_is_closed(int fd)
{
    char sink[4096];
    ssize_t n;
    while ((n = recv(fd, sink, sizeof(sink), 0)) > 0)
        ;
    return n == 0 || errno == ECONNRESET;
}

long test_metric(uint16_t admin_port, const char *series)
{
    char line[160];
    int fd = test_connect(admin_port);
    test_say(fd, "GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n");
    char *answer = test_read_answer(fd, false);
    close(fd);
    assert_in_range(snprintf(line, sizeof(line), "\n%s ", series), 1, sizeof(line) - 1);
    test_assert_has(answer, line);
    const char *at = strstr(answer, line);
    long value = at == NULL ? -1 : strtol(at + strlen(line), NULL, 10);
    free(answer);
    return value;
}

void test_metric_wait(uint16_t admin_port, const char *series, long wanted)
{
    uint64_t end = tg_time_mono_ms() + TEST_WAIT_MS;
    while (test_metric(admin_port, series) != wanted && tg_time_mono_ms() < end)
        usleep(1000);
    assert_int_equal(test_metric(admin_port, series), wanted);
}

static int listen_free(uint16_t *out_port)
{
    struct sockaddr_in where = loopback(0);
    socklen_t len = sizeof(where);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&where, len), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&where, &len), 0);
    *out_port = ntohs(where.sin_port);
    return fd;
}

uint16_t test_free_port(void)
{
    uint16_t port = 0;
    close(listen_free(&port));
    return port;
}

/* --- the scripted upstream --- */

struct test_upstream {
    const char *const *script;
    int listen_fd;
    uint16_t port;
    pthread_t thread;
    _Atomic unsigned requests, connections;
    char incoming[65536]; /* the thread's own */
    pthread_mutex_t mutex;
    char last[65536]; /* guarded by the mutex */
    char copy[65536]; /* the test's own */
};

/* Reads one request; false when the peer has closed. */
static bool read_request(test_upstream_t *upstream, int fd)
{
    size_t len = 0, want = SIZE_MAX;
    while (len < want) {
        ssize_t n = recv(fd, upstream->incoming + len, want == SIZE_MAX ? 1 : want - len, 0);
        if (n <= 0)
            return false;
        len += (size_t)n;
        upstream->incoming[len] = '\0';
        if (want == SIZE_MAX && len >= 4 &&
            memcmp(upstream->incoming + len - 4, "\r\n\r\n", 4) == 0) {
            const char *length = strcasestr(upstream->incoming, "content-length: ");
            want = len + (length == NULL ? 0 : strtoul(length + 16, NULL, 10));
        }
        if (len >= sizeof(upstream->incoming) - 1)
            abort();
    }
    pthread_mutex_lock(&upstream->mutex);
    memcpy(upstream->last, upstream->incoming, len + 1);
    pthread_mutex_unlock(&upstream->mutex);
    atomic_fetch_add(&upstream->requests, 1);
    return true;
}

/* Plays until the connection ends; returns where the script stands. */
static const char *const *play(test_upstream_t *upstream, int fd, const char *const *at)
{
    while (*at != NULL && read_request(upstream, fd)) {
        const char *line = *at++;
        if (line == TEST_CLOSE)
            return at;
        if (line == TEST_SILENT) {
            (void)test_is_closed(fd);
            return at;
        }
        test_say(fd, line);
        if (*at == TEST_CLOSE)
            return at + 1;
    }
    return at;
}

static void *upstream_main(void *arg)
{
    test_upstream_t *upstream = arg;
    const char *const *at = upstream->script;
    while (*at != NULL) {
        int fd = accept(upstream->listen_fd, NULL, NULL);
        if (fd < 0)
            return NULL;
        atomic_fetch_add(&upstream->connections, 1);
        at = play(upstream, fd, at);
        close(fd);
    }
    return NULL;
}

test_upstream_t *test_upstream_start(const char *const *script)
{
    test_upstream_t *upstream = calloc(1, sizeof(*upstream));
    assert_non_null(upstream);
    upstream->script = script;
    pthread_mutex_init(&upstream->mutex, NULL);
    upstream->listen_fd = listen_free(&upstream->port);
    assert_int_equal(pthread_create(&upstream->thread, NULL, upstream_main, upstream), 0);
    return upstream;
}

uint16_t test_upstream_port(const test_upstream_t *upstream)
{
    return upstream->port;
}

unsigned test_upstream_requests(const test_upstream_t *upstream)
{
    return atomic_load(&upstream->requests);
}

unsigned test_upstream_connections(const test_upstream_t *upstream)
{
    return atomic_load(&upstream->connections);
}

const char *test_upstream_last(test_upstream_t *upstream)
{
    pthread_mutex_lock(&upstream->mutex);
    memcpy(upstream->copy, upstream->last, sizeof(upstream->copy));
    pthread_mutex_unlock(&upstream->mutex);
    return upstream->copy;
}

void test_upstream_stop(test_upstream_t *upstream)
{
    (void)shutdown(upstream->listen_fd, SHUT_RDWR);
    pthread_join(upstream->thread, NULL);
    close(upstream->listen_fd);
    pthread_mutex_destroy(&upstream->mutex);
    free(upstream);
}
