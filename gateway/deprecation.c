/* The list is short and read from front to back; without entries a request pays one comparison. */
#include "gateway/deprecation.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/time.h"

#define WORDS 4

struct tg_deprecations {
    size_t count;
    tg_deprecation_t entries[TG_DEPRECATIONS_MAX];
};

static tg_str_t trim(tg_str_t text)
{
    while (text.len > 0 && text.ptr[0] == ' ') {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && text.ptr[text.len - 1] == ' ')
        text.len--;
    return text;
}

/* Takes what stands before the next separator off the front of `rest`. */
static tg_str_t next_part(tg_str_t *rest, char separator)
{
    const char *end = memchr(rest->ptr, separator, rest->len);
    tg_str_t part = {rest->ptr, end == NULL ? rest->len : (size_t)(end - rest->ptr)};
    size_t used = part.len + (end != NULL);
    rest->ptr += used;
    rest->len -= used;
    return part;
}

static bool is_absent(tg_str_t word)
{
    return tg_str_eq(word, TG_STR("-"));
}

/* A day in UTC to seconds since 1970. */
static bool read_day(tg_str_t word, time_t *out)
{
    char text[40];
    int64_t us = 0;
    int len = snprintf(text, sizeof(text), TG_STR_FMT "T00:00:00Z", TG_STR_ARG(word));
    if (word.len != 10 || tg_time_parse((tg_str_t){text, (size_t)len}, &us) != TG_OK)
        return false;
    *out = (time_t)(us / TG_US_PER_SECOND);
    return true;
}

static tg_status_t refuse(tg_error_t *error, tg_str_t entry, const char *what)
{
    return tg_error_set(error, TG_INVALID,
                        "deprecations: \"" TG_STR_FMT "\": %s; write PATH DEPRECATED SUNSET "
                        "SUCCESSOR, days as 2027-06-30 or -",
                        TG_STR_ARG(entry), what);
}

static bool read_path(tg_str_t word, tg_deprecation_t *entry)
{
    bool versioned =
        word.len > 4 && (memcmp(word.ptr, "/v1/", 4) == 0 || memcmp(word.ptr, "/v2/", 4) == 0);
    if (!versioned || word.len >= sizeof(entry->path))
        return false;
    entry->is_prefix = word.ptr[word.len - 1] == '*';
    memcpy(entry->path, word.ptr, word.len - entry->is_prefix);
    return true;
}

static tg_status_t read_entry(tg_str_t text, tg_deprecation_t *entry, tg_error_t *error)
{
    tg_str_t words[WORDS], rest = text;
    time_t since = 0, sunset = 0;
    struct tm parts;

    for (size_t i = 0; i < WORDS; i++) {
        rest = trim(rest);
        words[i] = next_part(&rest, ' ');
    }
    if (words[WORDS - 1].len == 0 || trim(rest).len > 0)
        return refuse(error, text, "it has not four words");
    if (!read_path(words[0], entry))
        return refuse(error, text, "the path must begin with /v1/ or /v2/");
    if (!is_absent(words[1])) {
        if (!read_day(words[1], &since))
            return refuse(error, text, "the second word is not a day");
        (void)snprintf(entry->since, sizeof(entry->since), "@%lld", (long long)since);
    }
    if (!is_absent(words[2])) {
        if (!read_day(words[2], &sunset))
            return refuse(error, text, "the third word is not a day");
        (void)strftime(entry->sunset, sizeof(entry->sunset), "%a, %d %b %Y %H:%M:%S GMT",
                       gmtime_r(&sunset, &parts));
    }
    if (is_absent(words[3]))
        return TG_OK;
    if (words[3].ptr[0] != '/' || words[3].len > 256 || memchr(words[3].ptr, '>', words[3].len))
        return refuse(error, text, "the successor is not a path");
    (void)snprintf(entry->link, sizeof(entry->link), "<" TG_STR_FMT ">; rel=\"successor-version\"",
                   TG_STR_ARG(words[3]));
    return TG_OK;
}

tg_status_t tg_deprecations_parse(tg_str_t text, tg_deprecations_t **out_list, tg_error_t *error)
{
    tg_deprecations_t *list = calloc(1, sizeof(*list));
    tg_status_t status = list == NULL ? tg_error_set(error, TG_NOMEM, "out of memory") : TG_OK;

    while (status == TG_OK && text.len > 0) {
        tg_str_t entry = trim(next_part(&text, ';'));
        if (entry.len == 0)
            continue;
        if (list->count == TG_DEPRECATIONS_MAX)
            status = tg_error_set(error, TG_INVALID, "deprecations: more than %d entries",
                                  TG_DEPRECATIONS_MAX);
        else
            status = read_entry(entry, &list->entries[list->count++], error);
    }
    if (status != TG_OK) {
        free(list);
        return status;
    }
    *out_list = list;
    return TG_OK;
}

void tg_deprecations_destroy(tg_deprecations_t *list)
{
    free(list);
}

static bool begins_with(tg_str_t text, const char *start)
{
    size_t len = strlen(start);
    return text.len >= len && memcmp(text.ptr, start, len) == 0;
}

const tg_deprecation_t *tg_deprecations_find(const tg_deprecations_t *list, tg_str_t path)
{
    /* The aliases of v1: /api/v1/… and no version at all. */
    if (begins_with(path, "/api/v1/"))
        path = (tg_str_t){path.ptr + 4, path.len - 4};
    bool bare = !begins_with(path, "/v1/") && !begins_with(path, "/v2/");
    for (size_t i = 0; i < list->count; i++) {
        const tg_deprecation_t *entry = &list->entries[i];
        if (bare && entry->path[2] != '1')
            continue;
        const char *wanted = bare ? entry->path + 3 : entry->path; /* from the second slash on */
        if (entry->is_prefix ? begins_with(path, wanted) : tg_str_eq(path, tg_str_from(wanted)))
            return entry;
    }
    return NULL;
}

void tg_deprecations_announce(const tg_deprecations_t *list, tg_http_req_t *req)
{
    if (list->count == 0)
        return;
    const tg_deprecation_t *entry = tg_deprecations_find(list, tg_http_path(req));
    if (entry == NULL)
        return;
    if (entry->since[0] != '\0')
        tg_http_add_header(req, "deprecation", tg_str_from(entry->since));
    if (entry->sunset[0] != '\0')
        tg_http_add_header(req, "sunset", tg_str_from(entry->sunset));
    if (entry->link[0] != '\0')
        tg_http_add_header(req, "link", tg_str_from(entry->link));
}
