/* Cutting an array takes three states: outside strings, brackets are counted and nothing else is
 * looked at; inside, the next quote is searched by memchr and unescaped only by counting the
 * backslashes before it. */
#include "ingestion/body/split.h"

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static tg_str_t trim(const char *at, const char *end)
{
    while (at < end && is_space(*at))
        at++;
    while (end > at && is_space(end[-1]))
        end--;
    return (tg_str_t){at, (size_t)(end - at)};
}

/* The quote that ends the string whose first byte after its opening quote is `at`; NULL if none. */
static const char *string_end(const char *at, const char *end)
{
    const char *first = at;
    while ((at = memchr(at, '"', (size_t)(end - at))) != NULL) {
        size_t backslashes = 0;
        while (at - backslashes > first && at[-1 - (ptrdiff_t)backslashes] == '\\')
            backslashes++;
        if (backslashes % 2 == 0)
            return at;
        at++;
    }
    return NULL;
}

/* Classes of the bytes that matter outside of strings. */
enum { PLAIN, QUOTE, OPEN, CLOSE, COMMA };
static const unsigned char class_of[256] = {
    ['"'] = QUOTE, ['['] = OPEN, ['{'] = OPEN, [']'] = CLOSE, ['}'] = CLOSE, [','] = COMMA,
};

/* The byte behind the element that begins at `at`: its comma, or the bracket that closes the array;
 * NULL when the bytes end before. */
static const char *element_end(const char *at, const char *end)
{
    size_t depth = 0;
    for (; at < end; at++) {
        switch (class_of[(unsigned char)*at]) {
        case QUOTE:
            at = string_end(at + 1, end);
            if (at == NULL)
                return NULL;
            break;
        case OPEN:
            depth++;
            break;
        case CLOSE:
            if (depth-- == 0)
                return at;
            break;
        case COMMA:
            if (depth == 0)
                return at;
            break;
        default:
            break;
        }
    }
    return NULL;
}

static tg_status_t broken(tg_error_t *error, tg_str_t body, const char *at, const char *what)
{
    return tg_error_set(error, TG_INVALID, "%s at byte %zu", what, (size_t)(at - body.ptr));
}

/* What may stand behind the array. */
static tg_status_t check_rest(tg_str_t body, const char *at, tg_error_t *error)
{
    tg_str_t rest = trim(at, body.ptr + body.len);
    return rest.len == 0 ? TG_OK : broken(error, body, rest.ptr, "unexpected text after the array");
}

tg_status_t tg_split_array(tg_str_t body, tg_split_fn on_item, void *arg, tg_error_t *error)
{
    assert(on_item != NULL);
    const char *end = body.ptr + body.len;
    tg_str_t text = body.len == 0 ? body : trim(body.ptr, end);
    if (text.len == 0 || text.ptr[0] != '[')
        return tg_error_set(error, TG_INVALID, "the body is not a JSON array");

    const char *at = text.ptr + 1;
    for (bool first = true;; first = false) {
        const char *stop = element_end(at, end);
        if (stop == NULL)
            return broken(error, body, end, "the array is not closed");
        if (*stop == '}')
            return broken(error, body, stop, "unexpected '}'");
        tg_str_t item = trim(at, stop);
        if (item.len == 0 && first && *stop == ']')
            return check_rest(body, stop + 1, error);
        if (item.len == 0)
            return broken(error, body, stop, "an element is missing");
        tg_status_t status = on_item(arg, item);
        if (status != TG_OK)
            return status;
        if (*stop == ']')
            return check_rest(body, stop + 1, error);
        at = stop + 1;
    }
}

tg_status_t tg_split_lines(tg_str_t body, tg_split_fn on_item, void *arg)
{
    assert(on_item != NULL);
    const char *at = body.ptr;
    const char *end = body.ptr + body.len;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (stop == NULL)
            stop = end;
        tg_str_t line = trim(at, stop);
        tg_status_t status = line.len == 0 ? TG_OK : on_item(arg, line);
        if (status != TG_OK)
            return status;
        at = stop + 1;
    }
    return TG_OK;
}
