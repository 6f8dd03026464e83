/* What a running server may be told anew: limits, timeouts, certificate, and what the service puts
 * beside them. One immutable value, counted: the server has a reference and each thread has one. A
 * reload makes a new value and posts it to each loop, which puts it in the place of the old one
 * between two of its turns; whoever is the last to let go frees the old one. So a request sees one
 * value for as long as it does not wait, and nobody takes a lock.
 *
 * Threads: create on the main thread; ref and unref on any; the value itself is read-only. */
#ifndef TG_HTTP_SETTINGS_H
#define TG_HTTP_SETTINGS_H

#include <stdatomic.h>

#include "common/http/edge/origins.h"
#include "common/http/server.h"
#include "common/http/shell/access.h"
#include "common/http/shell/tls.h"

typedef struct tg_http_settings {
    _Atomic unsigned users;
    tg_http_config_t limits; /* its numbers; the texts are NULL */
    tg_access_rule_t access;
    SSL_CTX *tls; /* NULL: plain */
    tg_http_cert_t cert;
    tg_origins_t *origins; /* NULL: nothing is said to browsers */
    void *own;             /* of service->settings_make; NULL without it */
    void (*own_free)(void *own);
} tg_http_settings_t;

/* Gives a value with one reference from `config`, and from `options` what the service makes of
 * them. The error says which file or option is wrong. */
TG_NODISCARD tg_status_t tg_http_settings_create(const tg_http_service_t *service,
                                                 const tg_http_config_t *config,
                                                 const void *options,
                                                 tg_http_settings_t **out_settings,
                                                 tg_error_t *error);
tg_http_settings_t *tg_http_settings_ref(tg_http_settings_t *settings);
void tg_http_settings_unref(tg_http_settings_t *settings); /* NULL is allowed */

#endif
