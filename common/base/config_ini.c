/* The INI walker: lines in, (section, name, value, line number) out. It keeps no state but the
 * section and allocates nothing. A value is everything after the first '=', trimmed; '#' and ';'
 * begin a comment only at the start of a line, because both occur inside passwords and lists. */
#include "common/base/config.h"

static tg_str_t trim(tg_str_t text)
{
    while (text.len > 0 && strchr(" \t\r", text.ptr[0]) != NULL && text.ptr[0] != '\0') {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && strchr(" \t\r", text.ptr[text.len - 1]) != NULL &&
           text.ptr[text.len - 1] != '\0')
        text.len--;
    return text;
}

/* Cuts the next line off `text`, without its newline. */
static tg_str_t next_line(tg_str_t *text)
{
    const char *end = memchr(text->ptr, '\n', text->len);
    size_t len = end == NULL ? text->len : (size_t)(end - text->ptr);
    tg_str_t line = {text->ptr, len};
    size_t used = end == NULL ? len : len + 1;
    text->ptr += used;
    text->len -= used;
    return line;
}

static bool is_name(tg_str_t text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool ok =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
        if (!ok)
            return false;
    }
    return text.len > 0;
}

static tg_status_t parse_section(tg_str_t line, tg_str_t *section, unsigned number,
                                 tg_error_t *error)
{
    tg_str_t name = {NULL, 0};
    if (line.len >= 2 && line.ptr[line.len - 1] == ']')
        name = trim((tg_str_t){line.ptr + 1, line.len - 2});
    if (!is_name(name))
        return tg_error_set(error, TG_INVALID, "line %u: a section is written [name]", number);
    *section = name;
    return TG_OK;
}

static tg_status_t parse_setting(tg_str_t line, tg_str_t section, unsigned number,
                                 tg_config_line_fn on_line, void *arg, tg_error_t *error)
{
    const char *equals = memchr(line.ptr, '=', line.len);
    tg_str_t name = {line.ptr, equals == NULL ? 0 : (size_t)(equals - line.ptr)};
    name = trim(name);
    if (!is_name(name))
        return tg_error_set(error, TG_INVALID,
                            "line %u: a setting is written name = value (a-z 0-9 . _ -)", number);
    if (section.len == 0)
        return tg_error_set(error, TG_INVALID,
                            "line %u: " TG_STR_FMT " stands before any [section]", number,
                            TG_STR_ARG(name));
    assert(equals != NULL);
    tg_str_t value = {equals + 1, line.len - (size_t)(equals - line.ptr) - 1};
    return on_line(arg, section, name, trim(value), number, error);
}

tg_status_t tg_config_parse_ini(tg_str_t text, tg_config_line_fn on_line, void *arg,
                                tg_error_t *error)
{
    assert(on_line != NULL);
    assert(text.ptr != NULL || text.len == 0);
    if (text.len > TG_CONFIG_FILE_MAX)
        return tg_error_set(error, TG_TOO_LARGE, "longer than %zu bytes", TG_CONFIG_FILE_MAX);
    tg_str_t section = {NULL, 0};
    for (unsigned number = 1; text.len > 0; number++) {
        tg_str_t line = trim(next_line(&text));
        tg_status_t status = TG_OK;
        if (line.len == 0 || line.ptr[0] == '#' || line.ptr[0] == ';')
            continue;
        if (line.ptr[0] == '[')
            status = parse_section(line, &section, number, error);
        else
            status = parse_setting(line, section, number, on_line, arg, error);
        if (status != TG_OK)
            return status;
    }
    return TG_OK;
}
