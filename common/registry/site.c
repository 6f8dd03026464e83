/* Targets and headers are written from the site's few texts; schemas are asked for with all that
 * they refer to written out (format=resolved), as a plan is compiled from one text. */
#include "common/registry/site.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

struct tg_registry_site {
    bool foreign, one_context;
    char *instances;
    char *path;          /* before each target; "" for our own */
    char *secret;        /* of our own */
    char *authorization; /* of another's; NULL: none */
};

static bool given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* --- credentials --- */

/* May stand in a header: printable ASCII. */
static bool is_clean(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x21 || (unsigned char)*text > 0x7e)
            return false;
    }
    return true;
}

static char *basic_of(const char *user, const char *password)
{
    char *pair = NULL;
    static const char scheme[] = "Basic ";
    int len = asprintf(&pair, "%s:%s", user, password);
    if (len < 0)
        return NULL;
    char *text = malloc(sizeof(scheme) + ((size_t)len + 2) / 3 * 4);
    if (text != NULL) {
        memcpy(text, scheme, sizeof(scheme) - 1);
        (void)EVP_EncodeBlock((unsigned char *)text + sizeof(scheme) - 1,
                              (const unsigned char *)pair, len);
    }
    free(pair);
    return text;
}

static tg_status_t read_credentials(tg_registry_site_t *site,
                                    const tg_registry_site_config_t *config, tg_error_t *error)
{
    const char *user = given(config->user) ? config->user : "";
    const char *password = given(config->password) ? config->password : "";
    if (!given(config->token) && user[0] == '\0' && password[0] == '\0')
        return TG_OK;
    if (given(config->token) && (user[0] != '\0' || password[0] != '\0'))
        return tg_error_set(error, TG_INVALID,
                            "registry.token: give it or registry.user and registry.password");
    if (strchr(user, ':') != NULL)
        return tg_error_set(error, TG_INVALID, "registry.user: HTTP Basic allows no colon in it");
    if (given(config->token) && !is_clean(config->token))
        return tg_error_set(error, TG_INVALID, "registry.token: is not one line of ASCII");
    if (strlen(user) + strlen(password) > TG_REGISTRY_CREDENTIALS_MAX)
        return tg_error_set(error, TG_TOO_LARGE, "registry.password: more than %d bytes",
                            TG_REGISTRY_CREDENTIALS_MAX);
    if (!given(config->token))
        site->authorization = basic_of(user, password);
    else if (asprintf(&site->authorization, "Bearer %s", config->token) < 0)
        site->authorization = NULL;
    return site->authorization == NULL ? tg_error_set(error, TG_NOMEM, "out of memory") : TG_OK;
}

/* --- the address --- */

static tg_status_t read_url(tg_registry_site_t *site, const char *url, tg_error_t *error)
{
    static const char scheme[] = "http://";
    if (strncmp(url, "https://", 8) == 0)
        return tg_error_set(error, TG_INVALID,
                            "registry.url: https is not spoken; put a proxy that does it beside "
                            "the service and name its http address");
    const char *host = url + sizeof(scheme) - 1;
    size_t host_len = strncmp(url, scheme, sizeof(scheme) - 1) == 0 ? strcspn(host, "/?#,@") : 0;
    const char *path = host_len > 0 ? host + host_len : "";
    if (host_len == 0 || !is_clean(url) || strpbrk(path, "?#,@") != NULL)
        return tg_error_set(error, TG_INVALID, "registry.url: must be http://host:port[/path]");
    size_t path_len = strlen(path);
    while (path_len > 0 && path[path_len - 1] == '/')
        path_len--;
    site->instances = strndup(host, host_len);
    site->path = strndup(path, path_len);
    if (site->instances == NULL || site->path == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    return TG_OK;
}

static tg_status_t read_own(tg_registry_site_t *site, const tg_registry_site_config_t *config,
                            tg_error_t *error)
{
    assert(config->instances != NULL);
    assert(config->secret != NULL);
    site->instances = strdup(config->instances);
    site->path = strdup("");
    site->secret = strdup(config->secret);
    if (site->instances == NULL || site->path == NULL || site->secret == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    return TG_OK;
}

/* --- life cycle --- */

tg_status_t tg_registry_site_open(const tg_registry_site_config_t *config,
                                  tg_registry_site_t **out_site, tg_error_t *error)
{
    assert(config != NULL);
    tg_registry_site_t *site = calloc(1, sizeof(*site));
    if (site == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    site->foreign = given(config->url);
    site->one_context = config->one_context;
    tg_status_t status =
        site->foreign ? read_url(site, config->url, error) : read_own(site, config, error);
    if (status == TG_OK && site->foreign)
        status = read_credentials(site, config, error);
    if (status != TG_OK) {
        tg_registry_site_close(site);
        return status;
    }
    *out_site = site;
    return TG_OK;
}

static void forget(char *secret)
{
    if (secret != NULL)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

void tg_registry_site_close(tg_registry_site_t *site)
{
    if (site == NULL)
        return;
    free(site->instances);
    free(site->path);
    forget(site->secret);
    forget(site->authorization);
    free(site);
}

/* --- asking --- */

const char *tg_registry_site_instances(const tg_registry_site_t *site)
{
    assert(site != NULL);
    return site->instances;
}

bool tg_registry_site_foreign(const tg_registry_site_t *site)
{
    assert(site != NULL);
    return site->foreign;
}

bool tg_registry_site_own_ids(const tg_registry_site_t *site)
{
    assert(site != NULL);
    return site->foreign && !site->one_context;
}

/* "visit-value" or ":.acme:visit-value", percent-encoded: names of tenants and types need none. */
static void append_subject(const tg_registry_site_t *site, const char *tenant, const char *type,
                           tg_buf_t *out)
{
    if (tg_registry_site_own_ids(site) && tenant[0] != '\0')
        tg_buf_printf(out, "%%3A.%s%%3A", tenant);
    tg_buf_printf(out, "%s-value", type);
}

void tg_registry_site_target(const tg_registry_site_t *site, const char *tenant, const char *type,
                             uint32_t id, tg_buf_t *out)
{
    assert(tenant != NULL);
    tg_buf_str(out, tg_str_from(site->path));
    if (id == 0) {
        tg_buf_str(out, TG_STR("/subjects/"));
        append_subject(site, tenant, type, out);
        tg_buf_str(out, TG_STR("/versions/latest?format=resolved"));
        return;
    }
    tg_buf_printf(out, "/schemas/ids/%u?format=resolved", id);
    if (tg_registry_site_own_ids(site)) {
        tg_buf_str(out, TG_STR("&subject=")); /* its context is where the id is looked up */
        append_subject(site, tenant, type, out);
    }
}

void tg_registry_site_probe(const tg_registry_site_t *site, tg_buf_t *out)
{
    tg_buf_printf(out, "%s/schemas/types", site->path);
}

size_t tg_registry_site_headers(const tg_registry_site_t *site, const char *tenant,
                                tg_http_header_t out[TG_REGISTRY_HEADERS_MAX])
{
    size_t count = 0;
    if (site->authorization != NULL)
        out[count++] =
            (tg_http_header_t){TG_STR("authorization"), tg_str_from(site->authorization)};
    if (site->foreign)
        return count;
    out[count++] = (tg_http_header_t){TG_STR("x-tidegate-secret"), tg_str_from(site->secret)};
    if (tenant != NULL)
        out[count++] = (tg_http_header_t){TG_STR("x-tidegate-tenant"), tg_str_from(tenant)};
    return count;
}
