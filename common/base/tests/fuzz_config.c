/* libFuzzer: tg_config_parse_ini on any bytes, and tg_config_parse_value, of each type, on each
 * value it finds. A value that was accepted must be inside the option's range. */
#include <stdlib.h>

#include "common/base/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const tg_option_t options[] = {
    {"text", TG_OPT_STR, 0, "", 0, 64, ""},         {"secret", TG_OPT_SECRET, 0, "", 0, 64, ""},
    {"uint", TG_OPT_UINT, 0, "", 1, 1000, ""},      {"ms", TG_OPT_MS, 0, "", 1, 1000000, ""},
    {"bytes", TG_OPT_BYTES, 0, "", 1, 1 << 30, ""}, {"bool", TG_OPT_BOOL, 0, "", 0, 1, ""},
    {"double", TG_OPT_DOUBLE, 0, "", -1, 1e6, ""},
};

union field {
    char *text;
    uint64_t number;
    bool flag;
    double real;
};

static void require(bool held)
{
    if (!held)
        abort();
}

static void try_value(const tg_option_t *option, tg_str_t value)
{
    union field field = {0};
    tg_error_t error;
    if (tg_config_parse_value(option, value, &field, &error) != TG_OK) {
        require(memchr(error.text, '\0', sizeof(error.text)) != NULL);
        return;
    }
    if (option->type == TG_OPT_STR || option->type == TG_OPT_SECRET) {
        require(strlen(field.text) == value.len);
        free(field.text);
    } else if (option->type == TG_OPT_DOUBLE) {
        require(field.real >= option->min && field.real <= option->max);
    } else if (option->type != TG_OPT_BOOL) {
        require((double)field.number >= option->min && (double)field.number <= option->max);
    }
}

static tg_status_t on_line(void *arg, tg_str_t section, tg_str_t name, tg_str_t value,
                           unsigned line, tg_error_t *error)
{
    (void)arg;
    (void)error;
    require(section.len > 0 && name.len > 0 && line > 0);
    for (size_t i = 0; i < TG_ARRAY_LEN(options); i++)
        try_value(&options[i], value);
    return TG_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tg_error_t error;
    tg_str_t text = {(const char *)data, size};
    if (tg_config_parse_ini(text, on_line, NULL, &error) != TG_OK)
        require(error.text[0] != '\0');
    for (size_t i = 0; i < TG_ARRAY_LEN(options) && size < 100; i++)
        try_value(&options[i], text);
    return 0;
}
