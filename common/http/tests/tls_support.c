/* See tls_support.h. Keys are of P-256, because RSA keys take seconds to make. */
#include "common/http/tests/tls_support.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static X509 *make_certificate(EVP_PKEY *key, const char *name, int days)
{
    X509 *cert = X509_new();
    assert_non_null(cert);
    X509_NAME *subject = X509_get_subject_name(cert);
    assert_int_equal(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                                (const unsigned char *)name, -1, -1, 0),
                     1);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -86400L * 365);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400L * days);
    assert_int_equal(X509_set_issuer_name(cert, subject), 1);
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    return cert;
}

static FILE *open_file(const char *dir, const char *name, const char *suffix)
{
    char path[256];
    assert_in_range(snprintf(path, sizeof(path), "%s/%s.%s", dir, name, suffix), 1, 255);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    return file;
}

void test_make_certificate(const char *dir, const char *name, int days)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    assert_non_null(key);
    X509 *cert = make_certificate(key, name, days);
    FILE *file = open_file(dir, name, "crt");
    assert_int_equal(PEM_write_X509(file, cert), 1);
    fclose(file);
    file = open_file(dir, name, "key");
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    X509_free(cert);
    EVP_PKEY_free(key);
}

test_tls_t test_tls_open(uint16_t port, const char *alpn)
{
    test_tls_t tls = {.context = SSL_CTX_new(TLS_client_method()), .fd = test_connect(port)};
    assert_non_null(tls.context);
    tls.ssl = SSL_new(tls.context);
    assert_non_null(tls.ssl);
    assert_int_equal(SSL_set_fd(tls.ssl, tls.fd), 1);
    if (alpn != NULL)
        assert_int_equal(SSL_set_alpn_protos(tls.ssl, (const unsigned char *)alpn,
                                             (unsigned)strlen(alpn)),
                         0);
    return tls;
}

bool test_tls_shake(test_tls_t *tls)
{
    return SSL_connect(tls->ssl) == 1;
}

test_tls_t test_tls_connect(uint16_t port)
{
    test_tls_t tls = test_tls_open(port, NULL);
    assert_true(test_tls_shake(&tls));
    return tls;
}

void test_tls_close(test_tls_t *tls)
{
    SSL_free(tls->ssl);
    SSL_CTX_free(tls->context);
    close(tls->fd);
}

void test_tls_say(test_tls_t *tls, const char *text)
{
    assert_int_equal(SSL_write(tls->ssl, text, (int)strlen(text)), (int)strlen(text));
}

char *test_tls_read_all(test_tls_t *tls, bool *out_clean)
{
    size_t cap = (size_t)1 << 20, len = 0;
    char *bytes = calloc(1, cap);
    assert_non_null(bytes);
    int n;
    while ((n = SSL_read(tls->ssl, bytes + len, (int)(cap - len - 1))) > 0)
        len += (size_t)n;
    if (out_clean != NULL)
        *out_clean = SSL_get_error(tls->ssl, n) == SSL_ERROR_ZERO_RETURN;
    return bytes;
}

char *test_tls_read_answer(test_tls_t *tls)
{
    size_t cap = (size_t)1 << 20, len = 0, want = SIZE_MAX;
    char *bytes = calloc(1, cap);
    assert_non_null(bytes);
    while (len < want) {
        int n = SSL_read(tls->ssl, bytes + len, want == SIZE_MAX ? 1 : (int)(want - len));
        if (n <= 0)
            fail_msg("no whole answer over TLS; so far: %s", bytes);
        len += (size_t)n;
        assert_true(len < cap - 1);
        if (want == SIZE_MAX && len >= 4 && memcmp(bytes + len - 4, "\r\n\r\n", 4) == 0) {
            const char *length = strcasestr(bytes, "content-length: ");
            want = len + (length == NULL ? 0 : strtoul(length + 16, NULL, 10));
            assert_true(want < cap);
        }
    }
    return bytes;
}

char *test_tls_peer_name(const test_tls_t *tls)
{
    char name[128];
    X509 *cert = SSL_get1_peer_certificate(tls->ssl);
    assert_non_null(cert);
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof(name));
    X509_free(cert);
    return strdup(name);
}
