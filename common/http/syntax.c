/* The classes are a table filled before main: a head is looked at byte by byte, at each request. */
#include "common/http/syntax.h"

static unsigned char classes[256];

static void add_class(const char *bytes, unsigned class)
{
    for (; *bytes != '\0'; bytes++)
        classes[(unsigned char)*bytes] |= (unsigned char)class;
}

__attribute__((constructor)) static void fill_classes(void)
{
    for (unsigned c = 0; c < 256; c++) {
        unsigned lower = c | 0x20;
        if ((c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z' && c < 128))
            classes[c] |= TG_IN_TOKEN | TG_IN_PATH | TG_IN_HOST;
    }
    add_class("!#$%&'*+-.^_`|~", TG_IN_TOKEN);
    add_class("-._~:/?[]@!$&'()*+,;=%", TG_IN_PATH);
    add_class("-._~:[]%!$&'()*+,;=", TG_IN_HOST);
}

bool tg_syntax_all_in(tg_str_t text, unsigned class)
{
    /* No branch for each byte: all but hostile texts are read to their end. */
    unsigned all = class;
    for (size_t i = 0; i < text.len; i++)
        all &= classes[(unsigned char)text.ptr[i]];
    return all == class;
}

tg_syntax_head_t tg_syntax_judge_head(tg_str_t head)
{
    if (head.len == 0)
        return TG_HEAD_GOOD;
    unsigned char apart = head.ptr[0] == '\n' || head.ptr[head.len - 1] == '\r', control = 0;
    /* No branch for each byte: the compiler then looks at sixteen at a time. */
    for (size_t i = 1; i < head.len; i++) {
        unsigned char c = (unsigned char)head.ptr[i];
        apart |= (unsigned char)((c == '\n') != (head.ptr[i - 1] == '\r'));
        control |=
            (unsigned char)(((c < 0x20) & (c != '\t') & (c != '\r') & (c != '\n')) | (c == 0x7f));
    }
    if (apart != 0)
        return TG_HEAD_LINE_END;
    return control == 0 ? TG_HEAD_GOOD : TG_HEAD_CONTROL;
}

bool tg_syntax_length(tg_str_t text, uint64_t *out_length)
{
    uint64_t length = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        length = length * 10 + (uint64_t)(text.ptr[i] - '0');
        if (i >= 18)
            return false;
    }
    *out_length = length;
    return text.len > 0;
}

tg_str_t tg_syntax_trim_end(tg_str_t text)
{
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}
