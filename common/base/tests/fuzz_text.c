/* libFuzzer: the small parsers of base. What tg_time_parse and tg_uuid_parse accept must survive a
 * round trip, and the JSON writer must turn any bytes into valid UTF-8 without raw controls. */
#include <stdlib.h>

#include "common/base/time.h"
#include "common/base/uuid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

static void try_time(tg_str_t text)
{
    int64_t us = 0, again = 0;
    char out[TG_TIME_TEXT_MAX];
    if (tg_time_parse(text, &us) != TG_OK)
        return;
    size_t len = tg_time_format(us, out);
    require(tg_time_parse((tg_str_t){out, len}, &again) == TG_OK && us == again);
}

static void try_any_time(tg_str_t text)
{
    int64_t us = 0;
    char out[TG_TIME_TEXT_MAX];
    if (text.len >= sizeof(us)) {
        memcpy(&us, text.ptr, sizeof(us));
        require(tg_time_format(us, out) < sizeof(out));
    }
}

static void try_uuid(tg_str_t text)
{
    tg_uuid_t uuid, again;
    char out[TG_UUID_TEXT_LEN];
    if (tg_uuid_parse(text, &uuid) != TG_OK)
        return;
    tg_uuid_format(&uuid, out);
    require(tg_uuid_parse((tg_str_t){out, sizeof(out)}, &again) == TG_OK);
    require(memcmp(&uuid, &again, sizeof(uuid)) == 0);
}

static void try_json(tg_str_t text)
{
    tg_buf_t buf = tg_buf_make(1 << 20);
    tg_buf_json_string(&buf, text);
    if (!buf.failed) {
        require(tg_str_is_utf8(tg_buf_view(&buf)));
        for (size_t i = 0; i < buf.len; i++)
            require((uint8_t)buf.data[i] >= 0x20);
        require(!tg_str_is_utf8(text) || buf.len >= text.len + 2);
    }
    tg_buf_dispose(&buf);
}

static void try_double(tg_str_t text)
{
    double value = 0;
    if (text.len < sizeof(value))
        return;
    memcpy(&value, text.ptr, sizeof(value));
    tg_buf_t buf = tg_buf_make(64);
    tg_buf_json_double(&buf, value);
    tg_buf_byte(&buf, '\0');
    require(!buf.failed);
    require(buf.data[0] == 'n' || strtod(buf.data, NULL) == value);
    tg_buf_dispose(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tg_str_t text = {(const char *)data, size};
    int64_t number = 0;
    try_time(text);
    try_any_time(text);
    try_uuid(text);
    try_json(text);
    try_double(text);
    if (tg_str_to_i64(text, &number) == TG_OK)
        require(size > 0);
    return 0;
}
