/* Names of contexts and subjects, both ways. */
#include "registry/context.h"

static bool is_context_byte(char c)
{
    char lower = (char)(c | 0x20);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
}

bool tg_context_name_ok(tg_str_t name)
{
    if (name.len == 0 || name.len > TG_CONTEXT_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (!is_context_byte(name.ptr[i]))
            return false;
    }
    return true;
}

/* `name` is without its dot; empty is the default context. */
static tg_status_t take(const tg_viewer_t *viewer, tg_str_t name, tg_str_t *out_context)
{
    if (viewer->tenant) { /* whatever it is called: not even whether the name is a good one */
        if (name.len > 0)
            return TG_DENIED;
        *out_context = viewer->own;
        return TG_OK;
    }
    if (name.len > 0 && !tg_context_name_ok(name))
        return TG_INVALID;
    *out_context = name.len > 0 ? name : TG_STR("");
    return TG_OK;
}

tg_status_t tg_context_parse(const tg_viewer_t *viewer, tg_str_t text, tg_str_t *out_context)
{
    assert(viewer != NULL);
    if (text.len >= 3 && text.ptr[0] == ':' && text.ptr[text.len - 1] == ':')
        text = (tg_str_t){text.ptr + 1, text.len - 2};
    if (text.len > 0 && text.ptr[0] == '.')
        text = (tg_str_t){text.ptr + 1, text.len - 1};
    else if (text.len == 0)
        return TG_INVALID;
    return take(viewer, text, out_context);
}

tg_status_t tg_context_subject(const tg_viewer_t *viewer, tg_str_t within, tg_str_t text,
                               tg_subject_name_t *out_subject)
{
    assert(viewer != NULL);
    assert(within.ptr != NULL);
    if (text.len < 2 || memcmp(text.ptr, ":.", 2) != 0) {
        *out_subject = (tg_subject_name_t){within, text};
        return TG_OK;
    }
    const char *end = memchr(text.ptr + 2, ':', text.len - 2);
    if (end == NULL)
        return viewer->tenant ? TG_DENIED : TG_INVALID;
    tg_str_t context = {text.ptr + 2, (size_t)(end - text.ptr) - 2};
    tg_subject_name_t subject = {within, {end + 1, (size_t)(text.ptr + text.len - (end + 1))}};
    tg_status_t status = take(viewer, context, &subject.context);
    if (status == TG_OK)
        *out_subject = subject;
    return status;
}

bool tg_subject_ok(tg_str_t name)
{
    if (name.len == 0 || name.len > TG_SUBJECT_MAX || !tg_str_is_utf8(name))
        return false;
    if (name.len >= 3 && memcmp(name.ptr, ":*:", 3) == 0)
        return false; /* every context, where a prefix is asked for */
    for (size_t i = 0; i < name.len; i++) {
        if ((unsigned char)name.ptr[i] < 0x20 || name.ptr[i] == 0x7f)
            return false;
    }
    return true;
}

bool tg_context_is_plain(const tg_viewer_t *viewer, tg_str_t context)
{
    return viewer->tenant || context.len == 0;
}

void tg_context_print(const tg_viewer_t *viewer, tg_str_t context, tg_buf_t *out)
{
    tg_buf_str(out, TG_STR("\"."));
    if (!tg_context_is_plain(viewer, context))
        tg_buf_str(out, context); /* needs no escapes */
    tg_buf_byte(out, '"');
}

void tg_context_print_subject(const tg_viewer_t *viewer, tg_str_t context, tg_str_t name,
                              tg_buf_t *out)
{
    if (tg_context_is_plain(viewer, context)) {
        tg_buf_json_string(out, name);
        return;
    }
    tg_buf_str(out, TG_STR("\":."));
    tg_buf_str(out, context);
    tg_buf_byte(out, ':');
    size_t at = out->len;
    tg_buf_json_string(out, name);
    if (!out->failed && out->len > at) { /* the name's opening quote is not wanted */
        memmove(out->data + at, out->data + at + 1, out->len - at - 1);
        out->len--;
    }
}
