/* See keys.h. */
#include "cli/keys.h"

#include "common/auth/key.h"

#define SCOPES_TEXT_MAX 128
#define PARAMS_MAX      4

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

tg_status_t tg_keys_seconds(const char *what, const char *text, unsigned max_days,
                            tg_keys_text_t *out_seconds, tg_error_t *error)
{
    assert(out_seconds != NULL);
    const tg_option_t option = {what,        TG_OPT_MS, 0, "1d", 1000, max_days * 86400000.0,
                                "Life time."};
    uint64_t ms = 0;

    tg_status_t status = tg_config_parse_value(&option, tg_str_from(text), &ms, error);
    if (status == TG_OK)
        (void)snprintf(out_seconds->text, sizeof(out_seconds->text), "%llu",
                       (unsigned long long)(ms / 1000));
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

tg_status_t tg_keys_make(tg_cli_t *cli, const char *sql, size_t count, const char *const *params,
                         tg_error_t *error)
{
    char text[TG_KEY_LEN + 1], digest[2 + 2 * TG_SHA256_LEN + 1] = "\\x";
    tg_key_t key;
    const char *all[2 + PARAMS_MAX] = {key.id, digest};

    assert(count <= PARAMS_MAX);
    for (size_t i = 0; i < count; i++)
        all[2 + i] = params[i];
    tg_key_generate(text, &key);
    tg_hash_hex(key.sha256, TG_SHA256_LEN, digest + 2);
    digest[sizeof(digest) - 1] = '\0';
    tg_status_t status = tg_cli_execute(cli, sql, 2 + count, all, NULL, error);
    if (status == TG_OK)
        (void)fprintf(cli->out, "%s\n", text); /* alone, so that a script can take it */
    explicit_bzero(text, sizeof(text));
    return status;
}

tg_status_t tg_keys_create(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    assert(cli != NULL);
    key_request_t request;
    tg_keys_text_t expires;
    tg_buf_t array = tg_buf_make(SCOPES_TEXT_MAX);

    tg_status_t status = read_request(args, &request, error);
    if (status == TG_OK)
        status = tg_keys_scopes(tg_str_from(request.scopes), &array, error);
    if (status == TG_OK && request.expires != NULL)
        status = tg_keys_seconds("--expires", request.expires, TG_KEYS_EXPIRES_MAX_DAYS, &expires,
                                 error);
    if (status == TG_OK) {
        const char *const params[] = {request.tenant, array.data,
                                      request.expires == NULL ? NULL : expires.text,
                                      request.description};
        status = tg_keys_make(cli,
                              "SELECT admin.create_key($3, $1, $2::bytea,"
                              " jsonb_build_object('scopes', $4::text[], 'expires_in', $5::bigint,"
                              " 'description', $6::text))",
                              TG_ARRAY_LEN(params), params, error);
    }
    tg_buf_dispose(&array);
    return status;
}

static tg_status_t check_key_id(const char *id, tg_error_t *error)
{
    return tg_key_id_ok(tg_str_from(id))
               ? TG_OK
               : tg_error_set(error, TG_INVALID,
                              "a key's id is the 12 characters behind \"tg_\"; never pass the key");
}

static tg_status_t read_id(tg_args_t *args, const char **out_id, tg_error_t *error)
{
    tg_status_t status = tg_cli_word(args, "the key's id", out_id, error);
    if (status == TG_OK)
        status = tg_args_done(args, error);
    return status == TG_OK ? check_key_id(*out_id, error) : status;
}

tg_status_t tg_keys_rotate(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    const char *id = NULL, *overlap = "24h";
    tg_keys_text_t seconds = {.text = "0"};

    tg_status_t status = tg_args_flag(args, "--overlap", &overlap, error);
    if (status == TG_OK)
        status = read_id(args, &id, error);
    if (status == TG_OK && strcmp(overlap, "0") != 0)
        status = tg_keys_seconds("--overlap", overlap, TG_KEYS_OVERLAP_MAX_DAYS, &seconds, error);
    if (status != TG_OK)
        return status;
    const char *const params[] = {id, seconds.text};
    return tg_keys_make(cli, "SELECT admin.rotate_key($3, $1, $2::bytea, $4::bigint)", 2, params,
                        error);
}

tg_status_t tg_keys_show(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    const char *id = NULL;
    tg_status_t status = read_id(args, &id, error);
    if (status != TG_OK)
        return status;
    return tg_cli_list(cli, "SELECT key, value AS \"-\" FROM json_each_text(admin.show_key($1))", 1,
                       &id, error);
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
                       " coalesce((SELECT u.used_at::timestamptz(0)::text FROM control.key_uses u"
                       "           WHERE u.key_id = api_keys.id), '-') AS used, description"
                       " FROM control.api_keys WHERE $1::text IS NULL OR tenant_id = $1"
                       " ORDER BY tenant_id, created_at, id",
                       1, &tenant, error);
}

tg_status_t tg_keys_revoke(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    const char *id = NULL;
    tg_status_t status = read_id(args, &id, error);
    if (status == TG_OK)
        status = tg_cli_execute(cli, "SELECT admin.revoke_key($1)", 1, &id, NULL, error);
    if (status == TG_OK)
        (void)fprintf(cli->out, "key %s revoked\n", id);
    return status;
}
