/* Where schemas come from, and how that registry is asked: our own one, which trusts the services'
 * secret and is told the tenant, or another one that speaks Confluent's REST, with its own
 * credentials.
 *
 * At another registry the tenants' types are in contexts named after them (":.acme:visit-value"),
 * so that ids and names of one tenant mean nothing to the next; the built-in types are in its
 * default context. One without contexts serves all tenants from the default one.
 *
 * Limits: http only, one address; TG_REGISTRY_CREDENTIALS_MAX bytes of credentials.
 * Threads: read-only once open. */
#ifndef TG_REGISTRY_SITE_H
#define TG_REGISTRY_SITE_H

#include "common/base/config.h"
#include "common/http/client.h"

#define TG_REGISTRY_CREDENTIALS_MAX 4096
#define TG_REGISTRY_HEADERS_MAX     2

typedef struct tg_registry_site tg_registry_site_t;

typedef struct tg_registry_site_config {
    const char *instances; /* our own registry's, as tg_http_client_config_t */
    const char *secret;    /* the services' shared secret */
    char *url;             /* another registry's, "http://host:port/path"; NULL or "": our own */
    char *user, *password; /* HTTP Basic, or */
    char *token;           /* a bearer token; NULL or "": none */
    bool one_context;      /* it has no contexts */
} tg_registry_site_config_t;

// clang-format off
#define TG_REGISTRY_SITE_OPTIONS(S, m)                                                                                                \
    {"registry.url", TG_OPT_STR, offsetof(S, m.url), "", 0, 1024, "Another Confluent-compatible registry to take schemas from, http://host:port[/path]; empty: our own, registry.instances."}, \
    {"registry.user", TG_OPT_STR, offsetof(S, m.user), "", 0, 256, "User name at registry.url (HTTP Basic)."},                        \
    {"registry.password", TG_OPT_SECRET, offsetof(S, m.password), "", 0, 1024, "Password at registry.url."},                          \
    {"registry.token", TG_OPT_SECRET, offsetof(S, m.token), "", 0, 2048, "Bearer token at registry.url, instead of user and password."}, \
    {"registry.one_context", TG_OPT_BOOL, offsetof(S, m.one_context), "false", 0, 0, "registry.url has no contexts: all tenants' types are in its only one. Otherwise each tenant's are in the context of its name."}
// clang-format on

/* Gives an owned site; the texts are copied. TG_INVALID says which setting is wrong, never a
 * secret. */
TG_NODISCARD tg_status_t tg_registry_site_open(const tg_registry_site_config_t *config,
                                               tg_registry_site_t **out_site, tg_error_t *error);
void tg_registry_site_close(tg_registry_site_t *site); /* NULL is allowed */

/* The HTTP client's instances. */
const char *tg_registry_site_instances(const tg_registry_site_t *site);

/* Whether it is another's registry. */
bool tg_registry_site_foreign(const tg_registry_site_t *site);

/* Whether two tenants' types of one name and id may have different schemas: other registries
 * number each context by itself. */
bool tg_registry_site_own_ids(const tg_registry_site_t *site);

/* Appends the target of the newest version of a type (id 0) or of an id, as the tenant sees it; ""
 * for the default context. */
void tg_registry_site_target(const tg_registry_site_t *site, const char *tenant, const char *type,
                             uint32_t id, tg_buf_t *out);
/* Of a question that costs the registry nothing. */
void tg_registry_site_probe(const tg_registry_site_t *site, tg_buf_t *out);

/* Fills the request's headers (borrowed); gives their number. `tenant` NULL: a probe. */
size_t tg_registry_site_headers(const tg_registry_site_t *site, const char *tenant,
                                tg_http_header_t out[TG_REGISTRY_HEADERS_MAX]);

#endif
