/* See keys.h. */
#include "cli/keys.h"

#include "common/auth/key.h"

#define SCOPES_TEXT_MAX 128

static const char *const scopes[] = {"ingest", "read", "manage", "registry", "admin"};

static int find_scope(tg_str_t word)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(scopes); i++) {
        if (tg_str_eq(word, tg_str_from(scopes[i])))
            return (int)i;
    }
    return -1;
}

tg_status_t tg_keys_scopes(tg_str_t text, tg_buf_t *out_array, tg_error_t *error)
{
    assert(out_array != NULL);
    unsigned seen = 0;

    for (size_t start = 0; start <= text.len;) {
        const char *comma = text.len == 0 ? NULL : memchr(text.ptr + start, ',', text.len - start);
        size_t end = comma == NULL ? text.len : (size_t)(comma - text.ptr);
        tg_str_t word = {text.len == 0 ? NULL : text.ptr + start, end - start};
        int scope = find_scope(word);
        if (scope < 0)
            return tg_error_set(error, TG_INVALID,
                                "--scopes: \"" TG_STR_FMT
                                "\" is none of ingest, read, manage, registry, admin",
                                TG_STR_ARG(word));
        seen |= 1U << scope;
        start = end + 1;
    }
    for (size_t i = 0; i < TG_ARRAY_LEN(scopes); i++) {
        if ((seen & (1U << i)) != 0)
            tg_buf_printf(out_array, "%c%s", out_array->len == 0 ? '{' : ',', scopes[i]);
    }
    tg_buf_byte(out_array, '}');
    tg_buf_byte(out_array, '\0');
    return out_array->failed ? tg_error_set(error, TG_NOMEM, "out of memory") : TG_OK;
}

/* "30d" as whole seconds for an interval; "" is no expiry. */
static tg_status_t read_expiry(const char *text, char *out, size_t size, tg_error_t *error)
{
    static const tg_option_t expires = {"expires",   TG_OPT_MS,
                                        0,           "1d",
                                        1000,        TG_KEYS_EXPIRES_MAX_DAYS * 86400000.0,
                                        "Life time."};
    uint64_t ms = 0;

    tg_status_t status = tg_config_parse_value(&expires, tg_str_from(text), &ms, error);
    if (status == TG_OK)
        (void)snprintf(out, size, "%llu seconds", (unsigned long long)(ms / 1000));
    return status;
}

typedef struct key_request {
    const char *tenant, *scopes, *expires, *description;
} key_request_t;

static tg_status_t read_request(tg_args_t *args, key_request_t *out_request, tg_error_t *error)
{
    key_request_t request = {.description = ""};

    tg_status_t status = tg_args_flag(args, "--tenant", &request.tenant, error);
    if (status == TG_OK)
        status = tg_args_flag(args, "--scopes", &request.scopes, error);
    if (status == TG_OK)
        status = tg_args_flag(args, "--expires", &request.expires, error);
    if (status == TG_OK)
        status = tg_args_flag(args, "--description", &request.description, error);
    if (status == TG_OK)
        status = tg_args_done(args, error);
    if (status == TG_OK && (request.tenant == NULL || request.scopes == NULL))
        status = tg_error_set(error, TG_INVALID, "--tenant and --scopes are needed");
    if (status == TG_OK)
        *out_request = request;
    return status;
}

/* Stores the new key's id and digest; the text goes to standard output alone, so that a script can
 * take it. */
static tg_status_t store_key(tg_cli_t *cli, const key_request_t *request, const char *array,
                             const char *expires, tg_error_t *error)
{
    char text[TG_KEY_LEN + 1], digest[2 + 2 * TG_SHA256_LEN + 1] = "\\x";
    tg_key_t key;
    uint64_t changed = 0;

    tg_key_generate(text, &key);
    tg_hash_hex(key.sha256, TG_SHA256_LEN, digest + 2);
    digest[sizeof(digest) - 1] = '\0';
    const char *const params[] = {key.id, request->tenant, digest,
                                  array,  expires,         request->description};
    tg_status_t status =
        tg_cli_execute(cli,
                       "INSERT INTO control.api_keys (id, tenant_id, secret_sha256, scopes, "
                       "expires_at, description)"
                       " SELECT $1, t.id, $3::bytea, $4::text[], now() + $5::interval, $6"
                       " FROM control.tenants t WHERE t.id = $2",
                       6, params, &changed, error);
    if (status == TG_OK && changed == 0)
        status = tg_error_set(error, TG_NOT_FOUND, "there is no tenant %s", request->tenant);
    if (status == TG_OK)
        (void)fprintf(cli->out, "%s\n", text);
    explicit_bzero(text, sizeof(text));
    return status;
}

tg_status_t tg_keys_create(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    assert(cli != NULL);
    key_request_t request;
    char expires[48] = "";
    tg_buf_t array = tg_buf_make(SCOPES_TEXT_MAX);

    tg_status_t status = read_request(args, &request, error);
    if (status == TG_OK)
        status = tg_keys_scopes(tg_str_from(request.scopes), &array, error);
    if (status == TG_OK && request.expires != NULL)
        status = read_expiry(request.expires, expires, sizeof(expires), error);
    if (status == TG_OK)
        status =
            store_key(cli, &request, array.data, request.expires == NULL ? NULL : expires, error);
    tg_buf_dispose(&array);
    return status;
}

tg_status_t tg_keys_list(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    const char *tenant = NULL;

    tg_status_t status = tg_args_flag(args, "--tenant", &tenant, error);
    if (status == TG_OK)
        status = tg_args_done(args, error);
    if (status != TG_OK)
        return status;
    return tg_cli_list(cli,
                       "SELECT id, tenant_id AS tenant, array_to_string(scopes, ',') AS scopes,"
                       " CASE WHEN revoked_at IS NOT NULL THEN 'revoked'"
                       "      WHEN expires_at <= now() THEN 'expired' ELSE 'active' END AS state,"
                       " created_at::timestamptz(0) AS created,"
                       " coalesce(expires_at::timestamptz(0)::text, 'never') AS expires,"
                       " description"
                       " FROM control.api_keys WHERE $1::text IS NULL OR tenant_id = $1"
                       " ORDER BY tenant_id, created_at, id",
                       1, &tenant, error);
}

tg_status_t tg_keys_revoke(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    const char *id = NULL;
    uint64_t changed = 0;

    tg_status_t status = tg_cli_word(args, "the key's id", &id, error);
    if (status == TG_OK)
        status = tg_args_done(args, error);
    if (status == TG_OK && !tg_key_id_ok(tg_str_from(id)))
        status = tg_error_set(error, TG_INVALID,
                              "a key's id is the 12 characters behind \"tg_\"; never pass the key");
    if (status == TG_OK)
        status =
            tg_cli_execute(cli,
                           "UPDATE control.api_keys SET revoked_at = coalesce(revoked_at, now())"
                           " WHERE id = $1",
                           1, &id, &changed, error);
    if (status != TG_OK)
        return status;
    if (changed == 0)
        return tg_error_set(error, TG_NOT_FOUND, "there is no key %s", id);
    (void)fprintf(cli->out, "key %s revoked\n", id);
    return TG_OK;
}
