/* TLS on a listener: its certificate, and the handshake of a connection.
 *
 * TLS 1.2 and 1.3 with forward secrecy, HTTP/1.1 the only protocol offered (ALPN), no
 * renegotiation. Tickets let clients resume; their keys live as long as the SSL_CTX, which all
 * threads share and each reload makes anew. Client certificates are not asked for.
 *
 * The handshake is begun here and not by h2o_accept: its deadline and its failures are ours to see,
 * and a certificate can change between two connections.
 *
 * Threads: open on the main thread, begin on the connection's. */
#ifndef TG_HTTP_TLS_H
#define TG_HTTP_TLS_H

#include <openssl/ssl.h>

#include "common/base/str.h"

struct tg_http_conn;

/* What is known of a certificate. */
typedef struct tg_http_cert {
    int64_t not_after_s; /* when it ends; 0 without TLS */
    unsigned char sha256[32];
} tg_http_cert_t;

/* Gives a counted SSL_CTX over two PEM files (the certificate with its chain, the leaf first; its
 * unencrypted key). The error names the file and says why. That the certificate has expired is for
 * the caller to say. */
TG_NODISCARD tg_status_t tg_http_tls_open(const char *cert_path, const char *key_path,
                                          SSL_CTX **out_tls, tg_http_cert_t *out_cert,
                                          tg_error_t *error);

/* The handshake of a connection that has just been accepted; then h2o takes it, or it is closed. */
void tg_http_tls_begin(struct tg_http_conn *conn, SSL_CTX *tls);

#endif
