/* One value: text to field, and the words that say what is allowed.
 *
 * Numbers of time and size carry their unit, because a bare 30 has been read as milliseconds and as
 * seconds in every system that allowed it; bare bytes are unambiguous and allowed. A secret's text
 * never enters an error message. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/config_private.h"

#define SHOWN_MAX      64 /* bytes of a bad value that the error shows */
#define SHOWN_JSON_MAX (6 * SHOWN_MAX + 2)
#define NUMBER_MAX     63 /* bytes of a number's text */

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit ms_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
static const struct unit byte_units[] = {{"GiB", UINT64_C(1) << 30},
                                         {"MiB", 1 << 20},
                                         {"KiB", 1 << 10},
                                         {"B", 1}};

/* Writes a number with the largest unit that divides it. */
static void put_with_unit(char *out, size_t size, double value, const struct unit *units,
                          size_t count)
{
    uint64_t number = value <= 0 ? 0 : value >= 9e18 ? (uint64_t)9e18 : (uint64_t)value;
    const struct unit *unit = &units[count - 1];
    for (size_t i = 0; i < count && number > 0; i++) {
        if (number % units[i].factor == 0) {
            unit = &units[i];
            break;
        }
    }
    (void)snprintf(out, size, "%llu%s", (unsigned long long)(number / unit->factor), unit->name);
}

static void put_bound(const tg_option_t *option, double bound, char *out, size_t size)
{
    if (tg_config_kind(option) == TG_OPT_MS)
        put_with_unit(out, size, bound, ms_units, TG_ARRAY_LEN(ms_units));
    else if (tg_config_kind(option) == TG_OPT_BYTES)
        put_with_unit(out, size, bound, byte_units, TG_ARRAY_LEN(byte_units));
    else
        (void)snprintf(out, size, "%.15g", bound);
}

void tg_config_describe(const tg_option_t *option, char *out, size_t size)
{
    static const char *const kinds[] = {
        [TG_OPT_STR] = "text of %s to %s bytes",
        [TG_OPT_SECRET] = "a secret of %s to %s bytes",
        [TG_OPT_UINT] = "a whole number from %s to %s",
        [TG_OPT_MS] = "a time (ms, s, m, h, d) from %s to %s",
        [TG_OPT_BYTES] = "a size (B, KiB, MiB, GiB) from %s to %s",
        [TG_OPT_DOUBLE] = "a number from %s to %s",
    };
    assert(option != NULL);
    if (tg_config_kind(option) == TG_OPT_BOOL) {
        (void)snprintf(out, size, "true or false");
        return;
    }
    assert((size_t)tg_config_kind(option) < TG_ARRAY_LEN(kinds));
    char low[NUMBER_MAX + 1], high[NUMBER_MAX + 1];
    put_bound(option, option->min, low, sizeof(low));
    put_bound(option, option->max, high, sizeof(high));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the formats stand in the table above */
    (void)snprintf(out, size, kinds[tg_config_kind(option)], low, high);
#pragma GCC diagnostic pop
}

/* A copy of `value` as a C string when it fits and has no NUL inside. */
static bool to_number_text(tg_str_t value, char out[NUMBER_MAX + 1])
{
    if (value.len == 0 || value.len > NUMBER_MAX || memchr(value.ptr, '\0', value.len) != NULL)
        return false;
    memcpy(out, value.ptr, value.len);
    out[value.len] = '\0';
    return true;
}

static bool in_range(const tg_option_t *option, double value)
{
    return value >= option->min && value <= option->max;
}

static tg_status_t parse_uint(const tg_option_t *option, tg_str_t value, void *field)
{
    uint64_t number = 0;
    if (tg_str_to_u64(value, &number) != TG_OK || !in_range(option, (double)number))
        return TG_INVALID;
    *(uint64_t *)field = number;
    return TG_OK;
}

static tg_status_t parse_with_unit(const tg_option_t *option, tg_str_t value, void *field)
{
    const struct unit *units = tg_config_kind(option) == TG_OPT_MS ? ms_units : byte_units;
    size_t count =
        tg_config_kind(option) == TG_OPT_MS ? TG_ARRAY_LEN(ms_units) : TG_ARRAY_LEN(byte_units);
    size_t digits = 0;
    while (digits < value.len && value.ptr[digits] >= '0' && value.ptr[digits] <= '9')
        digits++;
    uint64_t number = 0, factor = 0;
    if (tg_str_to_u64((tg_str_t){value.ptr, digits}, &number) != TG_OK)
        return TG_INVALID;
    tg_str_t suffix = {value.ptr + digits, value.len - digits};
    for (size_t i = 0; i < count; i++) {
        if (tg_str_eq(suffix, tg_str_from(units[i].name)))
            factor = units[i].factor;
    }
    if (suffix.len == 0 && (number == 0 || tg_config_kind(option) == TG_OPT_BYTES))
        factor = 1;
    if (factor == 0 || __builtin_mul_overflow(number, factor, &number) ||
        !in_range(option, (double)number))
        return TG_INVALID;
    *(uint64_t *)field = number;
    return TG_OK;
}

static tg_status_t parse_bool(const tg_option_t *option, tg_str_t value, void *field)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    (void)option;
    for (size_t i = 0; i < TG_ARRAY_LEN(words); i++) {
        if (tg_str_eq(value, tg_str_from(words[i]))) {
            *(bool *)field = i % 2 == 1;
            return TG_OK;
        }
    }
    return TG_INVALID;
}

static tg_status_t parse_double(const tg_option_t *option, tg_str_t value, void *field)
{
    char text[NUMBER_MAX + 1];
    if (!to_number_text(value, text) || strspn(text, "+-.0123456789eE") != value.len)
        return TG_INVALID;
    char *end = NULL;
    double number = strtod(text, &end);
    if (end != text + value.len || !isfinite(number) || !in_range(option, number))
        return TG_INVALID;
    *(double *)field = number;
    return TG_OK;
}

void tg_config_clear_field(const tg_option_t *option, void *field)
{
    assert(option != NULL);
    if (!tg_config_is_text(option))
        return;
    char **text = field;
    if (*text != NULL && tg_config_kind(option) == TG_OPT_SECRET)
        explicit_bzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

static tg_status_t parse_text(const tg_option_t *option, tg_str_t value, void *field)
{
    if (!in_range(option, (double)value.len))
        return TG_INVALID;
    if (value.len > 0 && memchr(value.ptr, '\0', value.len) != NULL)
        return TG_INVALID;
    char *copy = malloc(value.len + 1);
    if (copy == NULL)
        return TG_NOMEM;
    if (value.len > 0)
        memcpy(copy, value.ptr, value.len);
    copy[value.len] = '\0';
    tg_config_clear_field(option, field);
    *(char **)field = copy;
    return TG_OK;
}

static tg_status_t (*const parsers[])(const tg_option_t *, tg_str_t, void *) = {
    [TG_OPT_STR] = parse_text,      [TG_OPT_SECRET] = parse_text,     [TG_OPT_UINT] = parse_uint,
    [TG_OPT_MS] = parse_with_unit,  [TG_OPT_BYTES] = parse_with_unit, [TG_OPT_BOOL] = parse_bool,
    [TG_OPT_DOUBLE] = parse_double,
};

tg_status_t tg_config_parse_value(const tg_option_t *option, tg_str_t value, void *field,
                                  tg_error_t *error)
{
    assert(option != NULL);
    assert(field != NULL);
    assert((size_t)tg_config_kind(option) < TG_ARRAY_LEN(parsers));
    tg_status_t status = parsers[tg_config_kind(option)](option, value, field);
    if (status == TG_OK)
        return TG_OK;
    if (status == TG_NOMEM)
        return tg_error_set(error, TG_NOMEM, "%s: out of memory", option->name);
    char allowed[160];
    tg_config_describe(option, allowed, sizeof(allowed));
    if (tg_config_kind(option) == TG_OPT_SECRET)
        return tg_error_set(error, status, "%s: not accepted; allowed: %s", option->name, allowed);
    tg_buf_t shown = tg_buf_make(SHOWN_JSON_MAX);
    tg_buf_json_string(&shown,
                       (tg_str_t){value.ptr, value.len < SHOWN_MAX ? value.len : SHOWN_MAX});
    tg_error_set(error, status, "%s: " TG_STR_FMT "%s is not accepted; allowed: %s", option->name,
                 TG_STR_ARG(tg_buf_view(&shown)), value.len > SHOWN_MAX ? " (cut)" : "", allowed);
    tg_buf_dispose(&shown);
    return status;
}
