/* The query is cut at '&' and '=', and each name is looked up in the handler's rows; a row's type
 * is a function in a table. Nothing is decoded before its row is known, so unknown text costs
 * nothing.
 *
 * In a time a raw '+' stands for itself: it is the sign of an offset that many clients forget to
 * encode, and a form's space means nothing there. */
#include "common/http/params.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/time.h"

#define TG_PARAMS_MAX      32
#define TG_PARAMS_TEXT_MAX 8192

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes into `out`, which has room for the text as it is. Returns the length, or SIZE_MAX. */
static size_t decode_into(tg_str_t text, bool plus, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int high = i + 1 < text.len ? hex_digit(text.ptr[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_digit(text.ptr[i + 2]) : -1;
            if (high < 0 || low < 0)
                return SIZE_MAX;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (c == '\0')
            return SIZE_MAX;
        out[n++] = c;
    }
    return n;
}

tg_status_t tg_params_decode(tg_str_t text, bool plus, tg_arena_t *arena, tg_str_t *out_text)
{
    assert(arena != NULL);
    assert(out_text != NULL);
    if (text.len == 0) {
        *out_text = (tg_str_t){"", 0};
        return TG_OK;
    }
    char *bytes = tg_arena_alloc(arena, text.len);
    if (bytes == NULL)
        return TG_NOMEM;
    size_t len = decode_into(text, plus, bytes);
    if (len == SIZE_MAX || !tg_str_is_utf8((tg_str_t){bytes, len}))
        return TG_INVALID;
    *out_text = (tg_str_t){bytes, len};
    return TG_OK;
}

/* --- one function per type; `value->text` is decoded already --- */

static tg_status_t parse_str(const tg_param_t *row, tg_param_value_t *value, tg_error_t *error)
{
    assert(row->min <= row->max);
    if ((int64_t)value->text.len < row->min || (int64_t)value->text.len > row->max)
        return tg_error_set(error, TG_INVALID,
                            "%s must have between %" PRId64 " and %" PRId64 " bytes.", row->name,
                            row->min, row->max);
    return TG_OK;
}

static tg_status_t parse_uint(const tg_param_t *row, tg_param_value_t *value, tg_error_t *error)
{
    assert(row->min <= row->max);
    int64_t number = 0;
    if (tg_str_to_i64(value->text, &number) != TG_OK || number < row->min || number > row->max)
        return tg_error_set(error, TG_INVALID,
                            "%s must be a whole number between %" PRId64 " and %" PRId64 ".",
                            row->name, row->min, row->max);
    value->number = number;
    return TG_OK;
}

/* Epoch seconds up to the year 5138, then ms, then µs: each unit's plain numbers of our time lie
 * three digits apart, so the magnitude tells them. */
static tg_status_t epoch_to_us(int64_t number, int64_t *out_us)
{
    const int64_t seconds_end = INT64_C(100000000000);
    int64_t size = number < 0 ? (number == INT64_MIN ? INT64_MAX : -number) : number;
    if (size < seconds_end)
        *out_us = number * TG_US_PER_SECOND;
    else if (size < seconds_end * 1000)
        *out_us = number * TG_US_PER_MS;
    else if (size < seconds_end * 1000000)
        *out_us = number;
    else
        return TG_INVALID;
    return TG_OK;
}

static tg_status_t parse_time(const tg_param_t *row, tg_param_value_t *value, tg_error_t *error)
{
    int64_t number = 0, us = 0;
    tg_status_t status = tg_str_to_i64(value->text, &number) == TG_OK
                             ? epoch_to_us(number, &us)
                             : tg_time_parse(value->text, &us);
    if (status != TG_OK)
        return tg_error_set(error, TG_INVALID,
                            "%s must be an RFC 3339 time like 2026-02-03T10:00:05Z, or epoch "
                            "seconds, milliseconds or microseconds.",
                            row->name);
    if (row->max > row->min && (us < row->min || us > row->max))
        return tg_error_set(error, TG_INVALID, "%s is outside the allowed range of time.",
                            row->name);
    value->number = us;
    return TG_OK;
}

static tg_status_t parse_enum(const tg_param_t *row, tg_param_value_t *value, tg_error_t *error)
{
    assert(row->allowed != NULL);
    int64_t index = 0;
    for (const char *word = row->allowed; word != NULL; index++) {
        const char *bar = strchr(word, '|');
        tg_str_t one = {word, bar == NULL ? strlen(word) : (size_t)(bar - word)};
        if (tg_str_eq(one, value->text)) {
            value->number = index;
            return TG_OK;
        }
        word = bar == NULL ? NULL : bar + 1;
    }
    return tg_error_set(error, TG_INVALID, "%s must be one of %s.", row->name, row->allowed);
}

static tg_status_t parse_bool(const tg_param_t *row, tg_param_value_t *value, tg_error_t *error)
{
    bool yes = tg_str_eq(value->text, TG_STR("true"));
    if (!yes && !tg_str_eq(value->text, TG_STR("false")))
        return tg_error_set(error, TG_INVALID, "%s must be true or false.", row->name);
    value->number = yes;
    return TG_OK;
}

typedef tg_status_t (*parse_fn)(const tg_param_t *, tg_param_value_t *, tg_error_t *);
static const parse_fn parsers[] = {
    [TG_PARAM_STR] = parse_str,   [TG_PARAM_UINT] = parse_uint, [TG_PARAM_TIME] = parse_time,
    [TG_PARAM_ENUM] = parse_enum, [TG_PARAM_BOOL] = parse_bool,
};

static const tg_param_t *find_row(const tg_param_t *rows, size_t count, tg_str_t name)
{
    for (size_t i = 0; i < count; i++)
        if (tg_str_eq(tg_str_from(rows[i].name), name))
            return &rows[i];
    return NULL;
}

static tg_status_t unknown_name(const tg_param_t *rows, size_t count, tg_str_t name,
                                tg_error_t *error)
{
    char list[384] = "none";
    size_t used = 0;
    for (size_t i = 0; i < count && used < sizeof(list); i++) {
        int n =
            snprintf(list + used, sizeof(list) - used, "%s%s", i == 0 ? "" : ", ", rows[i].name);
        used += n > 0 ? (size_t)n : 0;
    }
    int shown = name.len > 64 ? 64 : (int)name.len;
    return tg_error_set(error, TG_INVALID, "There is no parameter \"%.*s\"; allowed: %s.", shown,
                        name.ptr == NULL ? "" : name.ptr, list);
}

static tg_status_t parse_pair(const tg_param_t *rows, size_t count, tg_str_t pair,
                              tg_arena_t *arena, tg_param_value_t *values, tg_str_t *out_name,
                              tg_error_t *error)
{
    const char *equals = memchr(pair.ptr, '=', pair.len);
    size_t name_len = equals == NULL ? pair.len : (size_t)(equals - pair.ptr);
    tg_str_t raw =
        equals == NULL ? (tg_str_t){"", 0} : (tg_str_t){equals + 1, pair.len - name_len - 1};
    tg_str_t name;
    tg_status_t status = tg_params_decode((tg_str_t){pair.ptr, name_len}, true, arena, &name);
    if (status != TG_OK)
        return tg_error_set(error, status, "A parameter's name is not percent-encoded UTF-8.");

    const tg_param_t *row = find_row(rows, count, name);
    *out_name = name;
    if (row == NULL)
        return unknown_name(rows, count, name, error);
    tg_param_value_t *value = &values[row - rows];
    if (value->present)
        return tg_error_set(error, TG_INVALID, "%s is given more than once.", row->name);
    status = tg_params_decode(raw, row->type != TG_PARAM_TIME, arena, &value->text);
    if (status != TG_OK)
        return tg_error_set(error, status, "%s is not percent-encoded UTF-8.", row->name);
    value->present = true;
    assert(row->type < TG_ARRAY_LEN(parsers));
    return parsers[row->type](row, value, error);
}

tg_status_t tg_params_parse(const tg_param_t *rows, size_t count, tg_str_t query, tg_arena_t *arena,
                            tg_param_value_t *out_values, tg_str_t *out_name, tg_error_t *error)
{
    assert(count <= TG_PARAMS_MAX);
    assert(arena != NULL && out_name != NULL);
    *out_name = (tg_str_t){NULL, 0};
    for (size_t i = 0; i < count; i++)
        out_values[i] = (tg_param_value_t){.number = rows[i].fallback};
    if (query.len > TG_PARAMS_TEXT_MAX)
        return tg_error_set(error, TG_TOO_LARGE, "The query is longer than %d bytes.",
                            TG_PARAMS_TEXT_MAX);

    for (size_t at = 0; at < query.len;) {
        const char *amp = memchr(query.ptr + at, '&', query.len - at);
        size_t end = amp == NULL ? query.len : (size_t)(amp - query.ptr);
        if (end > at) {
            tg_status_t status = parse_pair(rows, count, (tg_str_t){query.ptr + at, end - at},
                                            arena, out_values, out_name, error);
            if (status != TG_OK)
                return status;
        }
        at = end + 1;
    }
    return TG_OK;
}
