/* Names of statuses and the one way to fill an error text. */
#include "common/base/status.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const names[] = {
    [TG_OK] = "ok",
    [TG_INVALID] = "invalid",
    [TG_TOO_LARGE] = "too_large",
    [TG_NOT_FOUND] = "not_found",
    [TG_CONFLICT] = "conflict",
    [TG_DENIED] = "denied",
    [TG_FULL] = "full",
    [TG_TIMEOUT] = "timeout",
    [TG_UNAVAILABLE] = "unavailable",
    [TG_CANCELLED] = "cancelled",
    [TG_NOMEM] = "no_memory",
    [TG_INTERNAL] = "internal",
};

const char *tg_status_name(tg_status_t status)
{
    assert((size_t)status < TG_ARRAY_LEN(names));
    return names[status];
}

tg_status_t tg_error_set(tg_error_t *error, tg_status_t status, const char *format, ...)
{
    assert(status != TG_OK);
    assert(format != NULL);
    if (error == NULL)
        return status;
    va_list args;
    va_start(args, format);
    error->status = status;
    (void)vsnprintf(error->text, sizeof(error->text), format, args);
    va_end(args);
    return status;
}
