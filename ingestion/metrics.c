/* Ingestion's metric table and the places of its labels. */
#include "ingestion/metrics.h"

const tg_metric_desc_t tg_ingestion_metrics[ING_METRIC_COUNT] = {
#define TG_METRIC(id, kind, name, labels, help) [id] = {TG_##kind, name, labels, help},
#include "ingestion/metrics.def"
#undef TG_METRIC
};

/* The order of the labels in metrics.def; the last one is for everything else. */
static const char *const reject_codes[] = {
    "invalid_json",  "invalid_event", "missing_field", "unknown_field", "wrong_type",
    "invalid_value", "too_old",       "too_far_ahead", "too_large",     "unknown_type",
};
enum { FAIL_TIMEOUT, FAIL_UNAVAILABLE, FAIL_FULL, FAIL_TOO_LARGE, FAIL_REGISTRY, FAIL_OTHER };
enum { FETCH_OK, FETCH_NOT_FOUND, FETCH_UNAVAILABLE, FETCH_INVALID };

unsigned tg_ingestion_reason_of_code(const char *code)
{
    assert(code != NULL);
    unsigned i = 0;
    while (i < TG_ARRAY_LEN(reject_codes) && strcmp(code, reject_codes[i]) != 0)
        i++;
    return i;
}

unsigned tg_ingestion_reason_of_status(tg_status_t status)
{
    assert(status != TG_OK);
    switch (status) {
    case TG_TIMEOUT:
        return FAIL_TIMEOUT;
    case TG_UNAVAILABLE:
        return FAIL_UNAVAILABLE;
    case TG_FULL:
        return FAIL_FULL;
    case TG_TOO_LARGE:
        return FAIL_TOO_LARGE;
    default:
        return FAIL_OTHER;
    }
}

unsigned tg_ingestion_reason_registry(void)
{
    return FAIL_REGISTRY;
}

unsigned tg_ingestion_fetch_result(tg_status_t status)
{
    switch (status) {
    case TG_OK:
        return FETCH_OK;
    case TG_NOT_FOUND:
        return FETCH_NOT_FOUND;
    case TG_INVALID:
        return FETCH_INVALID;
    default:
        return FETCH_UNAVAILABLE;
    }
}

unsigned tg_ingestion_body_result(tg_status_t status)
{
    switch (status) {
    case TG_OK:
        return 0;
    case TG_INVALID:
        return 1;
    case TG_TOO_LARGE:
        return 2;
    default:
        return 3;
    }
}
