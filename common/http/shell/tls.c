/* See tls.h.
 *
 * h2o 2.2.5 makes the SSL object only when the first bytes have come, from a pointer to the SSL_CTX
 * that it does not count. So each connection counts the one that it began with: a reload may let go
 * of it while a client has yet to speak. What OpenSSL writes when a handshake fails (its alert) is
 * dropped by h2o; the client sees the connection end. Only plain HTTP is told what is wrong. */
#include "common/http/shell/tls.h"

#include <errno.h>
#include <h2o.h>
#include <h2o/http1.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <time.h>

#include "common/http/shell/shell.h"

/* --- the certificate --- */

/* Each of TLS 1.2's suites that has forward secrecy and an AEAD; those of 1.3 all have. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
#define GROUPS  "X25519:P-256:P-384"

/* A process without a terminal must not ask one for the key's pass phrase. */
static int no_pass_phrase(char *buf, int size, int writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *offered, unsigned int offered_len, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    (void)ssl;
    (void)arg;
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, offered, offered_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static bool configure(SSL_CTX *tls)
{
    SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS); /* 34 KiB less for each idle connection */
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(tls, 1); /* a client that keeps its connection needs no second one */
    SSL_CTX_set_default_passwd_cb(tls, no_pass_phrase);
    SSL_CTX_set_alpn_select_cb(tls, on_alpn, NULL);
    return SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(tls, CIPHERS) == 1 && SSL_CTX_set1_groups_list(tls, GROUPS) == 1;
}

/* Of a file that OpenSSL did not take. */
static tg_status_t file_error(const char *what, const char *path, tg_error_t *error)
{
    unsigned long code = ERR_peek_error();
    int reason = ERR_GET_REASON(code);
    const char *why = ERR_reason_error_string(code);
    if (ERR_GET_LIB(code) == ERR_LIB_SYS)
        why = strerror(reason);
    else if (reason == X509_R_KEY_VALUES_MISMATCH || reason == X509_R_KEY_TYPE_MISMATCH)
        why = "it is not the key of the certificate";
    tg_status_t status = tg_error_set(error, TG_INVALID, "The TLS %s %s cannot be used: %s.", what,
                                      path, why == NULL ? "it is not PEM" : why);
    ERR_clear_error();
    return status;
}

static bool describe(const SSL_CTX *tls, tg_http_cert_t *out_cert)
{
    const X509 *cert = SSL_CTX_get0_certificate(tls);
    struct tm end;
    if (cert == NULL || ASN1_TIME_to_tm(X509_get0_notAfter(cert), &end) != 1 ||
        X509_digest(cert, EVP_sha256(), out_cert->sha256, NULL) != 1)
        return false;
    out_cert->not_after_s = timegm(&end);
    return true;
}

static tg_status_t load(SSL_CTX *tls, const char *cert_path, const char *key_path,
                        tg_http_cert_t *out_cert, tg_error_t *error)
{
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(tls, cert_path) != 1 || !describe(tls, out_cert))
        return file_error("certificate", cert_path, error);
    if (SSL_CTX_use_PrivateKey_file(tls, key_path, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(tls) != 1)
        return file_error("key", key_path, error);
    return TG_OK;
}

tg_status_t tg_http_tls_open(const char *cert_path, const char *key_path, SSL_CTX **out_tls,
                             tg_http_cert_t *out_cert, tg_error_t *error)
{
    assert(cert_path != NULL && key_path != NULL);
    assert(out_tls != NULL && out_cert != NULL);
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    if (tls == NULL || !configure(tls)) {
        SSL_CTX_free(tls);
        return tg_error_set(error, TG_NOMEM, "TLS cannot be set up: out of memory.");
    }
    tg_status_t status = load(tls, cert_path, key_path, out_cert, error);
    if (status != TG_OK) {
        SSL_CTX_free(tls);
        return status;
    }
    *out_tls = tls;
    return TG_OK;
}

/* --- the handshake --- */

/* The answer stands on a line of its own because the client speaks no TLS. */
static void tell_plain(tg_http_conn_t *conn)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
                                 "Content-Type: text/plain\r\nContent-Length: 38\r\n\r\n"
                                 "This port speaks TLS: use https here.\n";
    (void)send(h2o_socket_get_fd(conn->sock), answer, sizeof(answer) - 1,
               MSG_DONTWAIT | MSG_NOSIGNAL);
    tg_http_conn_linger(conn);
}

static void on_handshake(h2o_socket_t *sock, const char *err)
{
    tg_http_conn_t *conn = sock->on_close.data;
    tg_http_thread_t *thread = conn->thread;
    assert(conn->state == CONN_HANDSHAKE);
    bool plain = err != NULL && ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST;
    unsigned result = err == NULL ? HANDSHAKE_OK : plain ? HANDSHAKE_PLAIN : HANDSHAKE_FAILED;
    tg_metric_add(thread->shard, HTTP_HANDSHAKES, result, 1);
    ERR_clear_error();
    if (err != NULL) {
        if (plain)
            tell_plain(conn);
        h2o_socket_close(sock); /* frees `conn` */
        return;
    }
    conn->state = CONN_READING;
    conn->since_ms = tg_loop_now_ms(thread->loop);
    h2o_http1_accept(&thread->accept_ctx, sock, *h2o_get_timestamp(&thread->context, NULL, NULL));
}

void tg_http_tls_begin(tg_http_conn_t *conn, SSL_CTX *tls)
{
    assert(conn->tls == NULL && conn->state == CONN_READING);
    if (SSL_CTX_up_ref(tls) != 1)
        abort(); /* cannot fail: its lock is atomic */
    conn->tls = tls;
    conn->state = CONN_HANDSHAKE;
    h2o_socket_ssl_handshake(conn->sock, tls, NULL, on_handshake);
}
