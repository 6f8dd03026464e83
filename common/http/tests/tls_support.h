/* The other side of TLS for tests: certificates made on the spot, and a blocking client. */
#ifndef TG_HTTP_TESTS_TLS_SUPPORT_H
#define TG_HTTP_TESTS_TLS_SUPPORT_H

#include <openssl/ssl.h>

#include "common/http/tests/support.h"

/* Writes NAME.crt and NAME.key below `dir`, for a new key of `name`, that end in `days` days. */
void test_make_certificate(const char *dir, const char *name, int days);

/* A client of that server; its peer is not verified. `alpn` is as on the wire, or NULL. */
typedef struct test_tls {
    SSL_CTX *context;
    SSL *ssl;
    int fd;
} test_tls_t;

test_tls_t test_tls_open(uint16_t port, const char *alpn); /* connected, not a word said */
bool test_tls_shake(test_tls_t *tls);                      /* the handshake; false: refused */
test_tls_t test_tls_connect(uint16_t port);                /* both */
void test_tls_close(test_tls_t *tls);

void test_tls_say(test_tls_t *tls, const char *text);
/* Reads until the other side says that it closes, or closes; owned by the caller. *out_clean:
 * whether it said so. */
char *test_tls_read_all(test_tls_t *tls, bool *out_clean);
char *test_tls_read_answer(test_tls_t *tls); /* one, with its Content-Length; owned */

/* The name that the server's certificate is for; owned. */
char *test_tls_peer_name(const test_tls_t *tls);

#endif
