/* Names and rules of the modes. */
#include "registry/settings/mode.h"

#include <strings.h>

static const char *const names[TG_MODES] = {
    [TG_MODE_UNSET] = "",
    [TG_MODE_READWRITE] = "READWRITE",
    [TG_MODE_READONLY] = "READONLY",
    [TG_MODE_READONLY_OVERRIDE] = "READONLY_OVERRIDE",
    [TG_MODE_IMPORT] = "IMPORT",
};

const char *tg_mode_name(tg_mode_t mode)
{
    assert(mode < TG_MODES);
    return names[mode];
}

tg_status_t tg_mode_parse(tg_str_t text, tg_mode_t *out_mode)
{
    assert(out_mode != NULL);
    for (tg_mode_t mode = TG_MODE_READWRITE; mode < TG_MODES; mode++) {
        if (text.len == strlen(names[mode]) && strncasecmp(text.ptr, names[mode], text.len) == 0) {
            *out_mode = mode;
            return TG_OK;
        }
    }
    return TG_INVALID;
}

tg_mode_t tg_mode_effective(tg_mode_t subject, tg_mode_t context, tg_mode_t global)
{
    if (global == TG_MODE_READONLY_OVERRIDE || context == TG_MODE_READONLY_OVERRIDE)
        return TG_MODE_READONLY_OVERRIDE;
    if (subject != TG_MODE_UNSET)
        return subject;
    if (context != TG_MODE_UNSET)
        return context;
    return global != TG_MODE_UNSET ? global : TG_MODE_READWRITE;
}

static tg_status_t refuse(const char *what, tg_str_t subject, tg_str_t context, tg_error_t *error)
{
    return tg_error_set(error, TG_DENIED,
                        "Subject " TG_STR_FMT " in context " TG_STR_FMT " is %s mode",
                        TG_STR_ARG(subject), TG_STR_ARG(context), what);
}

static bool is_read_only(tg_mode_t mode)
{
    return mode == TG_MODE_READONLY || mode == TG_MODE_READONLY_OVERRIDE;
}

tg_status_t tg_mode_may_change(tg_mode_t effective, tg_str_t subject, tg_str_t context,
                               tg_error_t *error)
{
    assert(effective != TG_MODE_UNSET);
    return is_read_only(effective) ? refuse("in read-only", subject, context, error) : TG_OK;
}

tg_status_t tg_mode_may_register(tg_mode_t effective, bool imports, tg_str_t subject,
                                 tg_str_t context, tg_error_t *error)
{
    tg_status_t status = tg_mode_may_change(effective, subject, context, error);
    if (status != TG_OK)
        return status;
    if (imports && effective != TG_MODE_IMPORT)
        return refuse("not in import", subject, context, error);
    if (!imports && effective != TG_MODE_READWRITE)
        return refuse("not in read-write", subject, context, error);
    return TG_OK;
}
