/* A walk over at most 64 texts: most differ from the one that is asked for in their length. */
#include "common/http/edge/origins.h"

#include <stdlib.h>

struct tg_origins {
    bool any;
    size_t count;
    tg_str_t origins[TG_ORIGINS_MAX]; /* in `text` */
    char text[];
};

/* --- what a browser would send --- */

#define DIGITS  "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyz"

static bool all_in(tg_str_t text, const char *bytes)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '\0' || strchr(bytes, text.ptr[i]) == NULL)
            return false;
    return text.len > 0;
}

static bool is_port(tg_str_t text)
{
    uint64_t port;
    return text.len <= 5 && all_in(text, DIGITS) && text.ptr[0] != '0' &&
           tg_str_to_u64(text, &port) == TG_OK && port <= UINT16_MAX;
}

static bool is_default(tg_str_t scheme, tg_str_t port)
{
    return (tg_str_eq(scheme, TG_STR("https")) && tg_str_eq(port, TG_STR("443"))) ||
           (tg_str_eq(scheme, TG_STR("http")) && tg_str_eq(port, TG_STR("80")));
}

static bool is_host(tg_str_t text)
{
    if (text.len >= 2 && text.ptr[0] == '[')
        return text.ptr[text.len - 1] == ']' &&
               all_in((tg_str_t){text.ptr + 1, text.len - 2}, DIGITS "abcdef:.");
    return all_in(text, DIGITS LETTERS ".-_");
}

/* What is wrong, or NULL. */
static const char *find_fault(tg_str_t origin)
{
    if (tg_str_eq(origin, TG_STR("null")))
        return NULL;
    const char *colon = memmem(origin.ptr, origin.len, "://", 3);
    size_t scheme = colon == NULL ? 0 : (size_t)(colon - origin.ptr);
    if (colon == NULL || !all_in((tg_str_t){origin.ptr, scheme}, DIGITS LETTERS "+-."))
        return "it must begin with a scheme in lower case, as in https://example.com";
    tg_str_t host = {colon + 3, origin.len - scheme - 3};
    const char *last = memrchr(host.ptr, ':', host.len);
    if (last != NULL && memchr(last, ']', (size_t)(host.ptr + host.len - last)) == NULL) {
        tg_str_t port = {last + 1, (size_t)(host.ptr + host.len - last - 1)};
        if (!is_port(port))
            return "its port must be a number up to 65535";
        if (is_default((tg_str_t){origin.ptr, scheme}, port))
            return "browsers leave out the port that is the scheme's own";
        host.len = (size_t)(last - host.ptr);
    }
    return is_host(host) ? NULL
                         : "behind the scheme only a host in lower case and a port may stand";
}

/* --- the list --- */

static bool is_separator(char byte)
{
    return byte == ',' || byte == ' ' || byte == '\t';
}

static tg_str_t take_next(tg_str_t *text)
{
    size_t len = 0;
    while (text->len > 0 && is_separator(*text->ptr)) {
        text->ptr++;
        text->len--;
    }
    while (len < text->len && !is_separator(text->ptr[len]))
        len++;
    tg_str_t next = {text->ptr, len};
    text->ptr += len;
    text->len -= len;
    return next;
}

static tg_status_t add(tg_origins_t *origins, tg_str_t origin, tg_error_t *error)
{
    const char *fault = origin.len > TG_ORIGIN_LEN_MAX ? "it is too long" : find_fault(origin);
    if (origins->any)
        fault = "beside * no other may stand";
    else if (tg_str_eq(origin, TG_STR("*")))
        fault = origins->count > 0 ? "it must stand alone" : NULL;
    else if (origins->count == TG_ORIGINS_MAX)
        fault = "there are more than 64";
    if (fault != NULL)
        return tg_error_set(error, TG_INVALID, "the origin \"%.*s\" cannot be: %s",
                            (int)(origin.len < 64 ? origin.len : 64), origin.ptr, fault);
    origins->any = tg_str_eq(origin, TG_STR("*"));
    origins->origins[origins->count++] = origin;
    return TG_OK;
}

tg_status_t tg_origins_create(tg_str_t text, tg_origins_t **out_origins, tg_error_t *error)
{
    tg_origins_t *origins = calloc(1, sizeof(*origins) + text.len + 1);
    if (origins == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    if (text.len > 0)
        memcpy(origins->text, text.ptr, text.len);
    tg_str_t rest = {origins->text, text.len};
    tg_status_t status = TG_OK;
    tg_str_t next;
    while (status == TG_OK && (next = take_next(&rest)).len > 0)
        status = add(origins, next, error);
    if (status != TG_OK) {
        tg_origins_destroy(origins);
        return status;
    }
    *out_origins = origins;
    return TG_OK;
}

void tg_origins_destroy(tg_origins_t *origins)
{
    free(origins);
}

bool tg_origins_is_any(const tg_origins_t *origins)
{
    return origins->any;
}

tg_str_t tg_origins_find(const tg_origins_t *origins, tg_str_t origin)
{
    if (origins->any)
        return TG_STR("*");
    for (size_t i = 0; i < origins->count; i++)
        if (tg_str_eq(origins->origins[i], origin))
            return origins->origins[i];
    return (tg_str_t){NULL, 0};
}
