/* Reading credentials and judging them. The base64 of Basic is decoded by OpenSSL into a caller's
 * buffer of fixed size; nothing is allocated. */
#include "gateway/auth.h"

#include <openssl/evp.h>
#include <strings.h>

#include "common/auth/key.h"

/* The rest of `text` behind "<scheme> ", or {NULL, 0} for another scheme. */
static tg_str_t behind_scheme(tg_str_t text, const char *scheme)
{
    size_t n = strlen(scheme);
    if (text.len <= n || strncasecmp(text.ptr, scheme, n) != 0 || text.ptr[n] != ' ')
        return (tg_str_t){NULL, 0};
    while (n < text.len && text.ptr[n] == ' ')
        n++;
    return (tg_str_t){text.ptr + n, text.len - n};
}

/* base64 of "user:password" (RFC 7617) to the password, decoded into `buffer`. */
static tg_status_t decode_basic(tg_str_t text, char buffer[TG_AUTH_TEXT_MAX], tg_str_t *out_key)
{
    if (text.len == 0 || text.len % 4 != 0 || text.len / 4 * 3 > TG_AUTH_TEXT_MAX)
        return TG_INVALID;
    int decoded =
        EVP_DecodeBlock((unsigned char *)buffer, (const unsigned char *)text.ptr, (int)text.len);
    if (decoded < 0)
        return TG_INVALID;
    size_t len = (size_t)decoded; /* EVP_DecodeBlock counts the padding as NUL bytes */
    len -= (size_t)(text.ptr[text.len - 1] == '=') + (size_t)(text.ptr[text.len - 2] == '=');
    const char *colon = memchr(buffer, ':', len);
    if (colon == NULL)
        return TG_INVALID;
    *out_key = (tg_str_t){colon + 1, len - (size_t)(colon + 1 - buffer)};
    return TG_OK;
}

tg_status_t tg_auth_extract(const tg_credentials_t *credentials, char buffer[TG_AUTH_TEXT_MAX],
                            tg_str_t *out_key)
{
    assert(credentials != NULL);
    assert(buffer != NULL && out_key != NULL);
    tg_str_t header = credentials->authorization, key = credentials->api_key;

    if (header.len > TG_AUTH_TEXT_MAX || key.len > TG_AUTH_TEXT_MAX)
        return TG_INVALID;
    if (header.len == 0 && key.len == 0)
        return TG_NOT_FOUND;
    if (header.len > 0) {
        tg_str_t bearer = behind_scheme(header, "Bearer"), basic = behind_scheme(header, "Basic");
        tg_str_t given = bearer;
        if (bearer.len == 0 && decode_basic(basic, buffer, &given) != TG_OK)
            return TG_INVALID;
        if (key.len > 0 && !tg_str_eq(key, given))
            return TG_CONFLICT; /* two identities in one request: refuse to choose */
        key = given;
    }
    *out_key = key;
    return TG_OK;
}

static bool may(const tg_identity_t *identity, tg_scope_t needed)
{
    return (identity->key->scopes & (unsigned)needed) != 0 &&
           (needed != TG_SCOPE_ADMIN || identity->tenant->is_operator);
}

tg_auth_result_t tg_auth_check(const tg_directory_t *directory, const tg_credentials_t *credentials,
                               tg_scope_t needed, int64_t now_us, tg_identity_t *out_identity)
{
    assert(directory != NULL);
    assert(out_identity != NULL);
    static const uint8_t nobody[TG_SHA256_LEN];
    TG_UNINITIALIZED char buffer[TG_AUTH_TEXT_MAX];
    tg_str_t text;
    tg_key_t presented;
    tg_identity_t found = {.key = NULL};
    tg_status_t status = tg_auth_extract(credentials, buffer, &text);
    if (status == TG_NOT_FOUND)
        return TG_AUTH_MISSING;
    if (status == TG_CONFLICT)
        return TG_AUTH_AMBIGUOUS;
    if (status != TG_OK || tg_key_parse(text, &presented) != TG_OK)
        return TG_AUTH_INVALID;

    /* The same work for an unknown id and a wrong secret. */
    found.key = tg_directory_find(directory, tg_str_from(presented.id), &found.tenant);
    const uint8_t *expected = found.key != NULL ? found.key->sha256 : nobody;
    bool same = tg_hash_equal_ct(presented.sha256, expected, TG_SHA256_LEN);
    if (found.key == NULL || !same || found.key->expires_at <= now_us || found.tenant->disabled)
        return TG_AUTH_INVALID;
    *out_identity = found;
    return may(&found, needed) ? TG_AUTH_OK : TG_AUTH_FORBIDDEN;
}
