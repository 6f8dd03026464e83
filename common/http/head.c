/* A head that comes whole, as nearly all do, is looked at twice: line by line, and, in wide steps,
 * for bytes that may not be in it. One that comes in pieces is not split before its end is there: a
 * client could make each of its bytes cost all those before. */
#include "common/http/head.h"

#include "common/http/syntax.h"

/* Whether the empty line is there. How lines end is judged elsewhere. */
static bool has_end(const char *buf, size_t len, size_t seen)
{
    const char *end = buf + len, *from = buf + (seen < 3 ? 0 : seen - 3);
    for (const char *lf = memchr(from, '\n', (size_t)(end - from)); lf != NULL;
         lf = memchr(lf + 1, '\n', (size_t)(end - lf - 1)))
        if ((end - lf > 1 && lf[1] == '\n') || (end - lf > 2 && lf[1] == '\r' && lf[2] == '\n'))
            return true;
    return false;
}

static bool is_control(unsigned char c)
{
    return ((c < 0x20) & (c != '\t') & (c != '\r') & (c != '\n')) | (c == 0x7f);
}

/* WHOLE when nothing is wrong. A CR at the end may still get its LF. */
static tg_head_state_t judge_bytes(const char *buf, size_t len, size_t seen)
{
    if (len <= seen)
        return TG_HEAD_WHOLE;
    const unsigned char *bytes = (const unsigned char *)buf;
    unsigned char apart = seen == 0 && bytes[0] == '\n',
                  control = seen == 0 && is_control(bytes[0]);
    /* No branch for each byte: the compiler then looks at sixteen at a time. */
    for (size_t i = seen == 0 ? 1 : seen; i < len; i++) {
        apart |= (unsigned char)((bytes[i] == '\n') != (bytes[i - 1] == '\r'));
        control |= (unsigned char)is_control(bytes[i]);
    }
    if (apart != 0)
        return TG_HEAD_LINE_END;
    return control == 0 ? TG_HEAD_WHOLE : TG_HEAD_CONTROL;
}

static tg_head_state_t take_field(tg_head_t *head, tg_str_t line)
{
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
        return TG_HEAD_FOLD;
    size_t name = tg_syntax_span(line, TG_IN_TOKEN);
    if (name == 0 || name == line.len || line.ptr[name] != ':')
        return TG_HEAD_NAME;
    if (head->count == head->room)
        return TG_HEAD_FIELDS;
    tg_http_header_t *field = &head->fields[head->count++];
    field->name = (tg_str_t){line.ptr, name};
    field->value = tg_syntax_trim((tg_str_t){line.ptr + name + 1, line.len - name - 1});
    return TG_HEAD_WHOLE;
}

/* Up to the empty line; of several things that are wrong with fields the first counts. */
static tg_head_state_t take_lines(const char *buf, size_t len, tg_head_t *head)
{
    tg_head_state_t state = TG_HEAD_WHOLE;
    const char *end = buf + len;
    for (const char *at = buf, *lf; at < end; at = lf + 1) {
        lf = memchr(at, '\n', (size_t)(end - at));
        if (lf == NULL)
            return TG_HEAD_MORE;
        tg_str_t line = {at, (size_t)(lf - at) - (lf > at && lf[-1] == '\r' ? 1 : 0)};
        if (at == buf) {
            head->line = line;
        } else if (line.len == 0) {
            head->len = (size_t)(lf + 1 - buf);
            return state;
        } else if (state == TG_HEAD_WHOLE) {
            state = take_field(head, line);
        }
    }
    return TG_HEAD_MORE;
}

tg_head_state_t tg_head_split(const char *buf, size_t len, size_t seen, tg_head_t *head)
{
    assert(seen <= len);
    head->line = (tg_str_t){NULL, 0};
    head->len = head->count = 0;
    tg_head_state_t lines = TG_HEAD_MORE;
    if (seen == 0 || has_end(buf, len, seen))
        lines = take_lines(buf, len, head);
    tg_head_state_t bytes = judge_bytes(buf, head->len > 0 ? head->len : len, seen);
    return bytes == TG_HEAD_WHOLE ? lines : bytes;
}
