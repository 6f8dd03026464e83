/* See settings.h. */
#include "common/http/shell/settings.h"

#include <stdlib.h>

#include "common/base/time.h"
#include "common/http/shell/shell.h"
#include "common/observe/log.h"

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static tg_status_t open_tls(tg_http_settings_t *settings, const tg_http_config_t *config,
                            tg_error_t *error)
{
    if (is_set(config->tls_cert) != is_set(config->tls_key))
        return tg_error_set(error, TG_INVALID,
                            "http.tls_cert and http.tls_key are given together or not at all.");
    if (!is_set(config->tls_cert))
        return TG_OK;
    tg_status_t status =
        tg_http_tls_open(config->tls_cert, config->tls_key, &settings->tls, &settings->cert, error);
    if (status == TG_OK && settings->cert.not_after_s <= tg_time_now() / TG_US_PER_SECOND)
        tg_log_warn("certificate_expired", TG_F_TEXT("file", config->tls_cert),
                    TG_F_INT("not_after", settings->cert.not_after_s));
    return status;
}

static tg_status_t open_origins(tg_http_settings_t *settings, const tg_http_config_t *config,
                                tg_error_t *error)
{
    if (!is_set(config->cors_origins))
        return TG_OK;
    tg_error_t why = {.status = TG_OK};
    tg_status_t status =
        tg_origins_create(tg_str_from(config->cors_origins), &settings->origins, &why);
    return status == TG_OK ? TG_OK
                           : tg_error_set(error, status, "http.cors_origins: %s.", why.text);
}

tg_status_t tg_http_settings_create(const tg_http_service_t *service,
                                    const tg_http_config_t *config, const void *options,
                                    tg_http_settings_t **out_settings, tg_error_t *error)
{
    assert(service != NULL && config != NULL);
    assert(out_settings != NULL);
    tg_http_settings_t *settings = calloc(1, sizeof(*settings));
    if (settings == NULL)
        return tg_error_set(error, TG_NOMEM, "Out of memory.");
    atomic_init(&settings->users, 1);
    settings->limits = *config;
    settings->limits.listen = settings->limits.admin_listen = NULL;
    settings->limits.tls_cert = settings->limits.tls_key = NULL;
    settings->limits.cors_origins = settings->limits.access_log = NULL;
    if (settings->limits.max_buffered == 0)
        settings->limits.max_buffered = TG_HTTP_BUFFERED_MAX;
    tg_status_t status = tg_http_access_parse(config->access_log, &settings->access, error);
    if (status == TG_OK)
        status = open_tls(settings, config, error);
    if (status == TG_OK)
        status = open_origins(settings, config, error);
    if (status == TG_OK && service->settings_make != NULL)
        status = service->settings_make(service->arg, options, &settings->own, error);
    if (status != TG_OK) {
        tg_http_settings_unref(settings);
        return status;
    }
    settings->own_free = service->settings_free;
    *out_settings = settings;
    return TG_OK;
}

tg_http_settings_t *tg_http_settings_ref(tg_http_settings_t *settings)
{
    assert(atomic_load_explicit(&settings->users, memory_order_relaxed) > 0);
    atomic_fetch_add_explicit(&settings->users, 1, memory_order_relaxed);
    return settings;
}

void tg_http_settings_unref(tg_http_settings_t *settings)
{
    if (settings == NULL || atomic_fetch_sub(&settings->users, 1) > 1)
        return;
    SSL_CTX_free(settings->tls);
    tg_origins_destroy(settings->origins);
    if (settings->own_free != NULL)
        settings->own_free(settings->own);
    free(settings);
}
