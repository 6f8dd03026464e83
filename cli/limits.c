/* See limits.h. */
#include "cli/limits.h"

static tg_status_t read_pair(tg_str_t pair, tg_buf_t *out_json, tg_error_t *error)
{
    const char *sign = pair.len == 0 ? NULL : memchr(pair.ptr, '=', pair.len);
    size_t name = sign == NULL ? 0 : (size_t)(sign - pair.ptr);
    tg_str_t value = {sign == NULL ? NULL : sign + 1, sign == NULL ? 0 : pair.len - name - 1};
    int64_t number = 0;
    bool is_default = tg_str_eq(value, TG_STR("default"));
    bool named = name > 0;
    for (size_t i = 0; i < name; i++)
        named &= pair.ptr[i] == '_' || (pair.ptr[i] >= 'a' && pair.ptr[i] <= 'z');
    if (!named || (!is_default && tg_str_to_i64(value, &number) != TG_OK))
        return tg_error_set(error, TG_INVALID,
                            "--limits: \"" TG_STR_FMT "\" is not like burst=100 or burst=default",
                            TG_STR_ARG(pair));
    tg_buf_byte(out_json, '"');
    tg_buf_append(out_json, pair.ptr, name);
    tg_buf_str(out_json, TG_STR("\":"));
    if (is_default)
        tg_buf_str(out_json, TG_STR("null"));
    else
        tg_buf_i64(out_json, number);
    return TG_OK;
}

tg_status_t tg_limits_read(const char *text, tg_buf_t *out_json, tg_error_t *error)
{
    assert(text != NULL);
    assert(out_json != NULL);
    tg_status_t status = TG_OK;
    tg_buf_byte(out_json, '{');
    for (const char *at = text; status == TG_OK && *text != '\0';) {
        size_t len = strcspn(at, ",");
        status = read_pair((tg_str_t){at, len}, out_json, error);
        if (at[len] == '\0')
            break;
        tg_buf_byte(out_json, ',');
        at += len + 1;
    }
    tg_buf_byte(out_json, '}');
    tg_buf_byte(out_json, '\0');
    if (status == TG_OK && out_json->failed)
        status = tg_error_set(error, TG_TOO_LARGE, "--limits is too long");
    return status;
}
