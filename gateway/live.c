/* See live.h. */
#include "gateway/live.h"

#include <stdlib.h>

#include "gateway/gateway.h"

#define FAILURES_DEFAULT 1000

/* 0: not said, as in tests that fill in what they need. */
static uint64_t or_default(uint64_t said)
{
    return said == 0 ? FAILURES_DEFAULT : said;
}

tg_status_t tg_gateway_live_make(void *arg, const void *options, void **out_live, tg_error_t *error)
{
    (void)arg;
    const tg_gateway_config_t *config = options;
    assert(config != NULL && out_live != NULL);
    tg_gateway_live_t *live = calloc(1, sizeof(*live));
    if (live == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    const char *paths = config->deprecations == NULL ? "" : config->deprecations;
    tg_status_t status = tg_deprecations_parse(tg_str_from(paths), &live->deprecations, error);
    if (status != TG_OK) {
        free(live);
        return status;
    }
    live->failures = tg_failures_rate(or_default(config->failures_per_minute),
                                      or_default(config->failures_burst));
    *out_live = live;
    return TG_OK;
}

void tg_gateway_live_free(void *live)
{
    tg_gateway_live_t *own = live;
    if (own == NULL)
        return;
    tg_deprecations_destroy(own->deprecations);
    free(own);
}

const tg_gateway_live_t *tg_gateway_live(const tg_http_req_t *req)
{
    const tg_gateway_live_t *live = tg_http_settings(req);
    assert(live != NULL);
    return live;
}
