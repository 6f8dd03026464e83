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

size_t tg_syntax_span(tg_str_t text, unsigned class)
{
    size_t len = 0;
    while (len < text.len && (classes[(unsigned char)text.ptr[len]] & class) != 0)
        len++;
    return len;
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

static bool is_white(char c)
{
    return c == ' ' || c == '\t';
}

tg_str_t tg_syntax_trim(tg_str_t text)
{
    while (text.len > 0 && is_white(text.ptr[text.len - 1]))
        text.len--;
    while (text.len > 0 && is_white(text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    return text;
}
