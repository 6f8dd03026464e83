/* The settings of a running program, read again and compared. */
#include "common/base/config_private.h"

static bool is_same(const tg_option_t *option, const void *a, const void *b)
{
    if (tg_config_is_text(option)) {
        const char *x = *(char *const *)a, *y = *(char *const *)b;
        return strcmp(x == NULL ? "" : x, y == NULL ? "" : y) == 0;
    }
    if (tg_config_kind(option) == TG_OPT_BOOL)
        return *(const bool *)a == *(const bool *)b;
    _Static_assert(sizeof(double) == sizeof(uint64_t), "all other fields have one size");
    return memcmp(a, b, sizeof(uint64_t)) == 0;
}

static tg_status_t compare(const tg_program_t *program, const char *in_use, const char *fresh,
                           tg_buf_t *changed, tg_error_t *error)
{
    for (size_t i = 0; i < program->option_count; i++) {
        const tg_option_t *option = &program->options[i];
        if (is_same(option, in_use + option->offset, fresh + option->offset))
            continue;
        if ((option->type & TG_OPT_LIVE) == 0)
            return tg_error_set(error, TG_CONFLICT,
                                "%s has changed, and needs a restart; nothing was taken over",
                                option->name);
        if (changed->len > 0)
            tg_buf_str(changed, TG_STR(", "));
        tg_buf_str(changed, tg_str_from(option->name));
    }
    return TG_OK;
}

tg_status_t tg_config_reload(const tg_program_t *program, int argc, char **argv, const void *in_use,
                             void *fresh, tg_buf_t *changed, tg_error_t *error)
{
    assert(in_use != NULL && fresh != NULL);
    assert(changed != NULL);
    tg_config_action_t action = TG_CONFIG_RUN;
    tg_status_t status = tg_config_load(program, argc, argv, fresh, &action, error);
    if (status != TG_OK)
        return status;
    assert(action == TG_CONFIG_RUN); /* or the program would not be running */
    return compare(program, in_use, fresh, changed, error);
}
