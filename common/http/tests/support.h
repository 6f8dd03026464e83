/* Raw loopback sockets for the tests: what is sent is exactly what the test says. Trouble with the
 * test's own machine fails the test. */
#ifndef TG_HTTP_TESTS_SUPPORT_H
#define TG_HTTP_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/http/server.h"

#define TEST_WAIT_MS 10000 /* far above anything expected: reached only by a failure */

/* A configuration with short timeouts and free ports. */
tg_http_config_t test_config(void);

/* One whose timeouts a test can wait for, with room for 20 requests. */
tg_http_config_t test_short_config(void);

/* Handlers: "Hello", which must not be stored; the body that came; 204. */
void test_on_hello(tg_http_req_t *req, void *thread_ctx);
void test_on_echo(tg_http_req_t *req, void *thread_ctx);
void test_on_empty(tg_http_req_t *req, void *thread_ctx);

/* Ends a group of tests whose state is the server. */
int test_close_server(void **state);

int test_connect(uint16_t port);
int test_try_connect(uint16_t port); /* -1 when refused */
void test_wait_listening(uint16_t port);
void test_send(int fd, const char *bytes, size_t len);
void test_say(int fd, const char *text);

/* Reads until the other side closes; the text is NUL-terminated and owned by the caller. A reset
 * counts as the end and sets *out_reset (NULL is allowed). */
char *test_read_all(int fd, bool *out_reset);

/* Reads one answer with its Content-Length (a HEAD answer: `head`); owned by the caller. */
char *test_read_answer(int fd, bool head);

/* Connects, says, reads to the end, closes. */
char *test_exchange(uint16_t port, const char *text);

int test_code(const char *answer); /* of the status line, 0 if there is none */
void test_assert_has(const char *answer, const char *part);
bool test_is_closed(int fd); /* waits until the other side has closed */

/* The value of a series ("name{label=\"x\"}") on the admin port. */
long test_metric(uint16_t admin_port, const char *series);

/* Waits until the series has that value; fails the test when it does not come. */
void test_metric_wait(uint16_t admin_port, const char *series, long wanted);

/* A thread that accepts connections one after the other and plays one line of `script` on each:
 * reads a request's head and body, writes the text, goes on with the next text on the same
 * connection, or closes where the script says TEST_CLOSE; TEST_SILENT keeps it open without a word
 * until the peer closes. The last entry is NULL. */
#define TEST_CLOSE  ((const char *)1)
#define TEST_SILENT ((const char *)2)
typedef struct test_upstream test_upstream_t;
test_upstream_t *test_upstream_start(const char *const *script);
uint16_t test_upstream_port(const test_upstream_t *upstream);
unsigned test_upstream_requests(const test_upstream_t *upstream);
unsigned test_upstream_connections(const test_upstream_t *upstream);
/* What came with the last request, until the next call. */
const char *test_upstream_last(test_upstream_t *upstream);
void test_upstream_stop(test_upstream_t *upstream);

/* A port on which nobody listens. */
uint16_t test_free_port(void);

#endif
