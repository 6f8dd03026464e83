/* See ask.h. */
#include "loadtest/ask.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/hash.h"

#define KEYS_BYTES_MAX ((size_t)64 << 20) /* of the file */

/* --- keys --- */

static bool read_file(const char *path, tg_buf_t *out)
{
    FILE *file = fopen(path, "re");
    char *room;
    size_t n = 1;
    while (file != NULL && n > 0 && (room = tg_buf_reserve(out, 1 << 16)) != NULL)
        out->len += n = fread(room, 1, 1 << 16, file);
    bool good = file != NULL && n == 0 && ferror(file) == 0;
    if (file != NULL)
        (void)fclose(file);
    return good;
}

/* One key for each line of the text that is not empty. */
static bool split_keys(tg_ask_t *ask)
{
    size_t lines = 1, at = 0;
    for (size_t i = 0; i < ask->text.len; i++)
        lines += ask->text.data[i] == '\n';
    ask->keys = calloc(lines, sizeof(*ask->keys));
    while (ask->keys != NULL && at < ask->text.len) {
        const char *line = ask->text.data + at, *end = memchr(line, '\n', ask->text.len - at);
        size_t len = end == NULL ? ask->text.len - at : (size_t)(end - line);
        if (len > 0)
            ask->keys[ask->key_count++] = (tg_str_t){line, len};
        at += len + 1;
    }
    assert(ask->key_count <= lines);
    return ask->key_count > 0;
}

/* --- life --- */

bool tg_ask_init(tg_ask_t *ask, const tg_ask_settings_t *settings, const char **out_why)
{
    *ask = (tg_ask_t){
        .settings = settings,
        .sample = tg_sample_of(tg_str_from(settings->type)),
        .body = tg_buf_make(TG_ASK_REQUEST_MAX),
        .text = tg_buf_make(KEYS_BYTES_MAX),
    };
    tg_hash_random(&ask->run, sizeof(ask->run));
    if (settings->keys[0] == '\0')
        tg_buf_str(&ask->text, tg_str_from(settings->key));
    bool has_keys =
        (settings->keys[0] == '\0' || read_file(settings->keys, &ask->text)) && split_keys(ask);
    *out_why = ask->sample == NULL ? "no such event type" : "the file of keys cannot be read";
    return ask->sample != NULL && has_keys;
}

void tg_ask_dispose(tg_ask_t *ask)
{
    tg_buf_dispose(&ask->body);
    tg_buf_dispose(&ask->text);
    free(ask->keys);
}

/* --- requests --- */

static void write_body(tg_ask_t *ask)
{
    char event[TG_SAMPLE_MAX];
    int64_t now = tg_time_now();
    uint64_t count = ask->settings->batch == 0 ? 1 : ask->settings->batch;

    tg_buf_clear(&ask->body);
    if (ask->settings->batch > 0)
        tg_buf_byte(&ask->body, '[');
    for (uint64_t i = 0; i < count; i++) {
        if (i > 0)
            tg_buf_byte(&ask->body, ',');
        tg_buf_append(&ask->body, event, ask->sample(ask->run, ask->events++, now, event));
    }
    if (ask->settings->batch > 0)
        tg_buf_byte(&ask->body, ']');
    while (ask->settings->batch == 0 && ask->body.len < ask->settings->bytes)
        tg_buf_byte(&ask->body, ' ');
    assert(!ask->body.failed);
}

/* Who asks whom. */
static void write_names(const tg_ask_t *ask, tg_buf_t *out)
{
    const tg_ask_settings_t *settings = ask->settings;
    tg_str_t key = ask->keys[ask->requests % ask->key_count];
    tg_buf_str(out, TG_STR(" HTTP/1.1\r\nHost: "));
    tg_buf_str(out, tg_str_from(settings->target));
    if (settings->user[0] != '\0')
        tg_buf_printf(out, "\r\nAuthorization: %s\r\n", settings->user);
    else
        tg_buf_printf(out, "\r\nX-API-Key: " TG_STR_FMT "\r\n", TG_STR_ARG(key));
}

/* A question that is like no other of the last 4,000 misses the cache. */
static void write_question(tg_ask_t *ask, tg_buf_t *out)
{
    const char *path = ask->settings->get, *number = strstr(path, "{n}");
    size_t before = number == NULL ? strlen(path) : (size_t)(number - path);
    tg_buf_str(out, TG_STR("GET "));
    tg_buf_append(out, path, before);
    if (number != NULL)
        tg_buf_printf(out, "%llu%s", (unsigned long long)(1000 + ask->events % 4000), number + 3);
    write_names(ask, out);
    tg_buf_str(out, TG_STR("\r\n"));
    ask->events++;
}

static void write_events(tg_ask_t *ask, tg_buf_t *out)
{
    const tg_ask_settings_t *settings = ask->settings;
    write_body(ask);
    if (settings->path[0] != '\0')
        tg_buf_printf(out, "POST %s", settings->path);
    else
        tg_buf_printf(out, "POST %s%s", settings->batch > 0 ? "/v2/events?type=" : "/v1/events/",
                      settings->type);
    write_names(ask, out);
    tg_buf_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                  ask->body.len);
    tg_buf_str(out, tg_buf_view(&ask->body));
}

void tg_ask_write(tg_ask_t *ask, tg_buf_t *out)
{
    assert(ask->key_count > 0);
    tg_buf_clear(out);
    if (ask->settings->get[0] != '\0')
        write_question(ask, out);
    else
        write_events(ask, out);
    ask->requests++;
    assert(!out->failed);
}
