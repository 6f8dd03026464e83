/* From a request's credentials to a tenant: find the key in the headers, check it against the
 * directory.
 *
 * A key comes as `Authorization: Bearer KEY`, `X-API-Key: KEY`, or as the password of Basic (RFC
 * 7617; registry clients can do nothing else). An unknown key and a wrong secret get the same
 * answer after the same work: the presented text is hashed and compared in constant time in either
 * case.
 *
 * Threads: any, on a borrowed snapshot. */
#ifndef TG_GATEWAY_AUTH_H
#define TG_GATEWAY_AUTH_H

#include "gateway/directory.h"

typedef enum tg_auth_result {
    TG_AUTH_OK,
    TG_AUTH_MISSING,   /* no credentials */
    TG_AUTH_INVALID,   /* malformed, unknown, wrong, revoked, expired, tenant disabled */
    TG_AUTH_FORBIDDEN, /* valid, but without the scope */
    TG_AUTH_AMBIGUOUS, /* two keys that differ: none is looked at */
} tg_auth_result_t;

#define TG_AUTH_TEXT_MAX 512 /* bytes of a credential header's value */

/* Borrowed from the snapshot. */
typedef struct tg_identity {
    const tg_api_key_t *key;
    const tg_tenant_t *tenant;
} tg_identity_t;

typedef struct tg_credentials {
    tg_str_t authorization; /* header values as they came; empty if absent */
    tg_str_t api_key;
} tg_credentials_t;

/* The key's text in the credentials; written to `buffer` where it has to be decoded. TG_NOT_FOUND
 * when there is none, TG_INVALID when it is malformed, TG_CONFLICT when both headers disagree.
 * Exposed for tests and the fuzz target. */
TG_NODISCARD tg_status_t tg_auth_extract(const tg_credentials_t *credentials,
                                         char buffer[TG_AUTH_TEXT_MAX], tg_str_t *out_key);

/* Before the first snapshot there is nothing to check against: the caller answers 503 instead. The
 * scope admin counts for keys of an operator's tenant only. On TG_AUTH_OK and TG_AUTH_FORBIDDEN
 * *out_identity is set. */
tg_auth_result_t tg_auth_check(const tg_directory_t *directory, const tg_credentials_t *credentials,
                               tg_scope_t needed, int64_t now_us, tg_identity_t *out_identity);

#endif
