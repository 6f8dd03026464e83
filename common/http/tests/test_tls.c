/* TLS of a listener: what it offers, what it refuses, its deadlines, new certificates, draining. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/time.h"
#include "common/http/tests/tls_support.h"

#define H         "Host: a\r\n"
#define BIG_BYTES ((size_t)600 << 10) /* more records than one write of the kernel takes */

static char dir[64], cert[128], key[128];
static char *big;

static void on_hello(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_http_reply(req, 200, "text/plain", TG_STR("hello"));
}

static void on_echo(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_http_reply(req, 200, "text/plain", tg_http_body(req));
}

static void on_big(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_http_reply(req, 200, "text/plain", (tg_str_t){big, BIG_BYTES});
}

static void on_huge(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_buf_t body = tg_buf_make((size_t)64 << 20);
    for (unsigned i = 0; i < 64; i++)
        tg_buf_str(&body, (tg_str_t){big, BIG_BYTES});
    tg_http_reply_buf(req, 200, "text/plain", &body);
}

static const tg_http_route_t routes[] = {
    {.method = "GET", .path = "/hello", .handler = on_hello},
    {.method = "GET", .path = "/big", .handler = on_big},
    {.method = "GET", .path = "/huge", .handler = on_huge},
    {.method = "POST", .path = "/echo", .handler = on_echo, .max_body = 1 << 20},
};

static tg_http_config_t config;
static tg_http_service_t service;
static tg_http_server_t *server;

static void use_certificate(const char *name)
{
    (void)snprintf(cert, sizeof(cert), "%s/%s.crt", dir, name);
    (void)snprintf(key, sizeof(key), "%s/%s.key", dir, name);
    config.tls_cert = cert;
    config.tls_key = key;
}

static int open_server(void **state)
{
    (void)state;
    config = test_config();
    config.threads = 2;
    use_certificate("first");
    service = (tg_http_service_t){.name = "tls",
                                  .config = &config,
                                  .routes = routes,
                                  .route_count = TG_ARRAY_LEN(routes)};
    tg_error_t error = {.status = TG_OK};
    if (tg_http_server_open(&service, &server, &error) != TG_OK)
        fail_msg("%s", error.text);
    return 0;
}

static int close_server(void **state)
{
    (void)state;
    tg_http_server_close(server);
    server = NULL;
    return 0;
}

static test_tls_t connect_tls(void)
{
    return test_tls_connect(tg_http_server_port(server));
}

static void wait_metric(const char *series, long wanted)
{
    test_metric_wait(tg_http_server_admin_port(server), series, wanted);
}

/* The one that asks, on the admin port, counts as well. */
static void wait_connections(long wanted)
{
    wait_metric("tidegate_http_connections", wanted + 1);
}

static void reload(void)
{
    tg_error_t error = {.status = TG_OK};
    if (tg_http_server_reload(server, &config, NULL, &error) != TG_OK)
        fail_msg("%s", error.text);
}

/* Waits until both threads show it: the kernel gives a connection to either. */
static void wait_certificate(const char *name)
{
    unsigned in_a_row = 0;
    for (unsigned i = 0; i < 2000 && in_a_row < 32; i++) {
        test_tls_t tls = connect_tls();
        char *seen = test_tls_peer_name(&tls);
        in_a_row = strcmp(seen, name) == 0 ? in_a_row + 1 : 0;
        free(seen);
        test_tls_close(&tls);
    }
    assert_int_equal(in_a_row, 32);
}

static void expect_hello(test_tls_t *tls)
{
    test_tls_say(tls, "GET /hello HTTP/1.1\r\n" H "\r\n");
    char *answer = test_tls_read_answer(tls);
    assert_int_equal(test_code(answer), 200);
    test_assert_has(answer, "hello");
    free(answer);
}

/* --- what it offers --- */

static void requests_are_answered_on_a_kept_connection(void **state)
{
    (void)state;
    test_tls_t tls = connect_tls();
    assert_string_equal(SSL_get_version(tls.ssl), "TLSv1.3");
    for (unsigned i = 0; i < 3; i++)
        expect_hello(&tls);
    test_tls_say(&tls, "POST /echo HTTP/1.1\r\n" H "Content-Length: 4\r\n\r\nbodyGET /hello "
                       "HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    char *echo = test_tls_read_answer(&tls);
    test_assert_has(echo, "body");
    bool clean = false;
    char *last = test_tls_read_all(&tls, &clean);
    test_assert_has(last, "hello");
    assert_true(clean);
    free(echo);
    free(last);
    test_tls_close(&tls);
    wait_connections(0);
}

static void a_large_answer_arrives_whole(void **state)
{
    (void)state;
    test_tls_t tls = connect_tls();
    test_tls_say(&tls, "GET /big HTTP/1.1\r\n" H "\r\n");
    char *answer = test_tls_read_answer(&tls);
    const char *body = strstr(answer, "\r\n\r\n");
    assert_non_null(body);
    assert_memory_equal(body + 4, big, BIG_BYTES);
    free(answer);
    test_tls_close(&tls);
}

static void TLS_1_2_is_the_oldest_that_is_spoken(void **state)
{
    (void)state;
    test_tls_t old = test_tls_open(tg_http_server_port(server), NULL);
    SSL_set_max_proto_version(old.ssl, TLS1_2_VERSION);
    assert_true(test_tls_shake(&old));
    expect_hello(&old);
    test_tls_close(&old);

    test_tls_t older = test_tls_open(tg_http_server_port(server), NULL);
    SSL_set_security_level(older.ssl, 0);
    SSL_set_min_proto_version(older.ssl, TLS1_1_VERSION);
    SSL_set_max_proto_version(older.ssl, TLS1_1_VERSION);
    assert_false(test_tls_shake(&older));
    test_tls_close(&older);
    wait_metric("tidegate_http_tls_handshakes_total{result=\"failed\"}", 1);
}

static void a_suite_without_forward_secrecy_is_refused(void **state)
{
    (void)state;
    test_tls_t tls = test_tls_open(tg_http_server_port(server), NULL);
    SSL_set_max_proto_version(tls.ssl, TLS1_2_VERSION);
    assert_int_equal(SSL_set_cipher_list(tls.ssl, "AES128-GCM-SHA256:AES256-SHA"), 1);
    assert_false(test_tls_shake(&tls));
    test_tls_close(&tls);
}

static void HTTP_1_1_is_the_only_protocol(void **state)
{
    (void)state;
    test_tls_t both = test_tls_open(tg_http_server_port(server), "\x02h2\x08http/1.1");
    assert_true(test_tls_shake(&both));
    const unsigned char *chosen = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(both.ssl, &chosen, &len);
    assert_int_equal(len, 8);
    assert_memory_equal(chosen, "http/1.1", 8);
    expect_hello(&both);
    test_tls_close(&both);

    test_tls_t h2 = test_tls_open(tg_http_server_port(server), "\x02h2");
    assert_false(test_tls_shake(&h2));
    test_tls_close(&h2);
}

static void a_ticket_resumes_on_any_thread(void **state)
{
    (void)state;
    test_tls_t first = connect_tls();
    expect_hello(&first); /* the ticket comes before the answer */
    SSL_SESSION *session = SSL_get1_session(first.ssl);
    for (unsigned i = 0; i < 8; i++) {
        test_tls_t again = test_tls_open(tg_http_server_port(server), NULL);
        assert_int_equal(SSL_set_session(again.ssl, session), 1);
        assert_true(test_tls_shake(&again));
        assert_int_equal(SSL_session_reused(again.ssl), 1);
        expect_hello(&again);
        test_tls_close(&again);
    }
    SSL_SESSION_free(session);
    test_tls_close(&first);
}

/* --- what it refuses --- */

static void the_guard_refuses_smuggling_over_TLS(void **state)
{
    (void)state;
    test_tls_t tls = connect_tls();
    test_tls_say(&tls,
                 "POST /echo HTTP/1.1\r\n" H "Content-Length: 4\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /hello HTTP/1.1\r\n" H "\r\n");
    bool clean = false;
    char *answer = test_tls_read_all(&tls, &clean);
    assert_int_equal(test_code(answer), 400);
    test_assert_has(answer, "malformed_request");
    assert_null(strstr(answer, "hello"));
    assert_true(clean);
    free(answer);
    test_tls_close(&tls);
}

static void a_body_beyond_the_limit_is_explained_although_the_client_still_sends(void **state)
{
    (void)state;
    test_tls_t tls = connect_tls();
    test_tls_say(&tls, "POST /echo HTTP/1.1\r\n" H "Content-Length: 9000000\r\n\r\n");
    (void)SSL_write(tls.ssl, big, 400000);
    char *answer = test_tls_read_all(&tls, NULL);
    assert_int_equal(test_code(answer), 413);
    free(answer);
    test_tls_close(&tls);
}

static void plain_HTTP_is_told_to_use_TLS(void **state)
{
    (void)state;
    char *answer = test_exchange(tg_http_server_port(server), "GET /hello HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(test_code(answer), 400);
    test_assert_has(answer, "TLS");
    free(answer);
    wait_metric("tidegate_http_tls_handshakes_total{result=\"plain\"}", 1);
    wait_connections(0);
}

static void what_is_neither_is_closed(void **state)
{
    (void)state;
    int fd = test_connect(tg_http_server_port(server));
    test_say(fd, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
    char *answer = test_read_all(fd, NULL);
    assert_int_equal(test_code(answer), 0);
    free(answer);
    close(fd);
    wait_metric("tidegate_http_tls_handshakes_total{result=\"failed\"}", 1);
    wait_connections(0);
}

static void the_admin_port_stays_plain(void **state)
{
    (void)state;
    char *answer = test_exchange(tg_http_server_admin_port(server),
                                 "GET /ready HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    assert_int_equal(test_code(answer), 200);
    assert_null(strstr(answer, dir)); /* no path of a key */
    free(answer);
}

/* --- deadlines --- */

/* One at a time, so that a slow machine does not meet another. */
static void set_timeout(uint64_t *which, uint64_t ms)
{
    *which = ms;
    reload();
}

static void a_handshake_that_does_not_end_is_cut(void **state)
{
    (void)state;
    set_timeout(&config.header_timeout_ms, 300);
    int silent = test_connect(tg_http_server_port(server));
    int slow = test_connect(tg_http_server_port(server));
    test_send(slow, "\x16\x03\x01\x02", 4); /* the beginning of a record */
    assert_true(test_is_closed(silent));
    assert_true(test_is_closed(slow));
    close(silent);
    close(slow);
    wait_metric("tidegate_http_connections_cut_total{reason=\"handshake_timeout\"}", 2);
    wait_connections(0);
}

static void an_idle_connection_is_told_that_it_ends(void **state)
{
    (void)state;
    set_timeout(&config.idle_timeout_ms, 300);
    test_tls_t tls = connect_tls();
    expect_hello(&tls);
    bool clean = false;
    char *nothing = test_tls_read_all(&tls, &clean);
    assert_string_equal(nothing, "");
    assert_true(clean);
    free(nothing);
    test_tls_close(&tls);
    wait_metric("tidegate_http_connections_cut_total{reason=\"idle_timeout\"}", 1);
}

static void half_a_request_is_answered_408(void **state)
{
    (void)state;
    set_timeout(&config.header_timeout_ms, 1500);
    test_tls_t tls = connect_tls();
    test_tls_say(&tls, "GET /hello HTTP/1.1\r\n");
    bool clean = false;
    char *answer = test_tls_read_all(&tls, &clean);
    assert_int_equal(test_code(answer), 408);
    assert_true(clean);
    free(answer);
    test_tls_close(&tls);
    wait_connections(0);
}

static void a_client_that_does_not_read_is_cut(void **state)
{
    (void)state;
    set_timeout(&config.write_timeout_ms, 300);
    test_tls_t tls = connect_tls();
    test_tls_say(&tls, "GET /huge HTTP/1.1\r\n" H "\r\n");
    wait_metric("tidegate_http_connections_cut_total{reason=\"write_timeout\"}", 1);
    wait_connections(0);
    test_tls_close(&tls);
}

/* --- new certificates and settings --- */

static void a_new_certificate_takes_over_and_drops_nobody(void **state)
{
    (void)state;
    test_tls_t kept = connect_tls();
    expect_hello(&kept);
    test_tls_t silent = test_tls_open(tg_http_server_port(server), NULL);
    wait_connections(2);
    use_certificate("second");
    reload();
    wait_certificate("second");
    expect_hello(&kept);
    assert_true(test_tls_shake(&silent)); /* with the certificate that it began with */
    char *name = test_tls_peer_name(&silent);
    assert_string_equal(name, "first");
    free(name);
    expect_hello(&silent);
    test_tls_close(&kept);
    test_tls_close(&silent);
}

static void copy_file(const char *from, const char *to)
{
    char a[192], b[192], bytes[4096];
    (void)snprintf(a, sizeof(a), "%s/%s", dir, from);
    (void)snprintf(b, sizeof(b), "%s/%s", dir, to);
    FILE *in = fopen(a, "r"), *out = fopen(b, "w");
    assert_true(in != NULL && out != NULL);
    size_t n = fread(bytes, 1, sizeof(bytes), in);
    assert_int_equal(fwrite(bytes, 1, n, out), n);
    fclose(in);
    fclose(out);
}

static void expect_refused(const char *file, const char *why)
{
    tg_error_t error = {.status = TG_OK};
    assert_true(tg_http_server_reload(server, &config, NULL, &error) != TG_OK);
    test_assert_has(error.text, file);
    test_assert_has(error.text, why);
}

static void a_bad_certificate_changes_nothing_and_says_which_file_and_why(void **state)
{
    (void)state;
    config.idle_timeout_ms = 200; /* would be new as well */
    use_certificate("none");
    expect_refused("none.crt", "No such file");
    copy_file("second.crt", "mixed.crt");
    copy_file("first.key", "mixed.key");
    use_certificate("mixed");
    expect_refused("mixed.key", "not the key of the certificate");
    use_certificate("garbage");
    FILE *garbage = fopen(cert, "w");
    assert_non_null(garbage);
    (void)fputs("-----BEGIN CERTIFICATE-----\nnot base64\n", garbage);
    fclose(garbage);
    expect_refused("garbage.crt", "cannot be used");
    config.tls_cert = NULL;
    expect_refused("http.tls_cert", "together");
    config.tls_key = NULL;
    expect_refused("http.tls_cert", "restart");
    wait_certificate("first");
}

static void the_end_of_the_certificate_is_a_metric(void **state)
{
    (void)state;
    long now = (long)time(NULL);
    long end = test_metric(tg_http_server_admin_port(server),
                           "tidegate_http_certificate_not_after_seconds");
    assert_in_range(end, now + 29 * 86400, now + 31 * 86400);
    use_certificate("expired");
    reload(); /* a warning, no error */
    wait_certificate("expired");
    end = test_metric(tg_http_server_admin_port(server),
                      "tidegate_http_certificate_not_after_seconds");
    assert_in_range(end, now - 3 * 86400, now - 86400);
}

/* --- draining --- */

static void draining_waits_for_handshakes_and_says_goodbye(void **state)
{
    (void)state;
    test_tls_t idle = connect_tls();
    expect_hello(&idle);
    test_tls_t late = test_tls_open(tg_http_server_port(server), NULL);
    int silent = test_connect(tg_http_server_port(server));
    wait_connections(3);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, (void *(*)(void *))(void *)tg_http_server_drain,
                                    server),
                     0);
    wait_connections(3);
    assert_true(test_tls_shake(&late));
    test_tls_say(&late, "GET /hello HTTP/1.1\r\n" H "\r\n");
    bool clean = false;
    char *answer = test_tls_read_all(&late, &clean);
    assert_int_equal(test_code(answer), 200);
    assert_true(clean);
    free(answer);
    char *nothing = test_tls_read_all(&idle, &clean);
    assert_string_equal(nothing, "");
    assert_true(clean);
    free(nothing);
    assert_true(test_is_closed(silent));
    void *cut = NULL;
    pthread_join(thread, &cut);
    assert_null(cut);
    close(silent);
    test_tls_close(&idle);
    test_tls_close(&late);
}

static void a_slow_reader_and_reloads_do_not_hold_the_drain(void **state)
{
    (void)state;
    config.drain_ms = 400;
    reload();
    test_tls_t slow = connect_tls();
    test_tls_say(&slow, "GET /huge HTTP/1.1\r\n" H "\r\n");
    test_tls_t half = test_tls_open(tg_http_server_port(server), NULL);
    char first;
    assert_int_equal(SSL_read(slow.ssl, &first, 1), 1);
    for (unsigned i = 0; i < 20; i++) {
        use_certificate(i % 2 == 0 ? "second" : "first");
        reload();
    }
    uint64_t before = tg_time_mono_ms();
    (void)tg_http_server_drain(server);
    assert_true(tg_time_mono_ms() - before < 5000);
    test_tls_close(&slow);
    test_tls_close(&half);
}

static int make_files(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/tidegate-tls-XXXXXX");
    assert_non_null(mkdtemp(dir));
    test_make_certificate(dir, "first", 30);
    test_make_certificate(dir, "second", 60);
    test_make_certificate(dir, "expired", -2);
    big = malloc(BIG_BYTES);
    assert_non_null(big);
    for (size_t i = 0; i < BIG_BYTES; i++)
        big[i] = (char)('a' + i * 31 % 23);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    static const char *const names[] = {"first", "second", "expired", "mixed", "garbage"};
    for (size_t i = 0; i < TG_ARRAY_LEN(names); i++) {
        use_certificate(names[i]);
        (void)unlink(cert);
        (void)unlink(key);
    }
    free(big);
    return rmdir(dir);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, open_server, close_server)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(requests_are_answered_on_a_kept_connection),
        WITH_SERVER(a_large_answer_arrives_whole),
        WITH_SERVER(TLS_1_2_is_the_oldest_that_is_spoken),
        WITH_SERVER(a_suite_without_forward_secrecy_is_refused),
        WITH_SERVER(HTTP_1_1_is_the_only_protocol),
        WITH_SERVER(a_ticket_resumes_on_any_thread),
        WITH_SERVER(the_guard_refuses_smuggling_over_TLS),
        WITH_SERVER(a_body_beyond_the_limit_is_explained_although_the_client_still_sends),
        WITH_SERVER(plain_HTTP_is_told_to_use_TLS),
        WITH_SERVER(what_is_neither_is_closed),
        WITH_SERVER(the_admin_port_stays_plain),
        WITH_SERVER(a_handshake_that_does_not_end_is_cut),
        WITH_SERVER(an_idle_connection_is_told_that_it_ends),
        WITH_SERVER(half_a_request_is_answered_408),
        WITH_SERVER(a_client_that_does_not_read_is_cut),
        WITH_SERVER(a_new_certificate_takes_over_and_drops_nobody),
        WITH_SERVER(a_bad_certificate_changes_nothing_and_says_which_file_and_why),
        WITH_SERVER(the_end_of_the_certificate_is_a_metric),
        WITH_SERVER(draining_waits_for_handshakes_and_says_goodbye),
        WITH_SERVER(a_slow_reader_and_reloads_do_not_hold_the_drain),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
