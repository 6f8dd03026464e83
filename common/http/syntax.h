/* Byte classes and small grammars of HTTP (RFC 9110, 9112, 3986), for both sides of a message.
 *
 * Threads: any. */
#ifndef TG_HTTP_SYNTAX_H
#define TG_HTTP_SYNTAX_H

#include <strings.h>

#include "common/base/str.h"

enum {
    TG_IN_TOKEN = 1, /* names and methods */
    TG_IN_PATH = 2,  /* origin-form target: path and query */
    TG_IN_HOST = 4,
};

/* Whether each byte is in the class; true for no bytes. */
bool tg_syntax_all_in(tg_str_t text, unsigned class);

/* What a whole head that the parser took has besides: CR and LF apart from one another, or other
 * bytes that no field's value may have, which are control characters but for the tab. Its first
 * byte is the method's or the version's, and judged there. */
typedef enum tg_syntax_head { TG_HEAD_GOOD, TG_HEAD_LINE_END, TG_HEAD_CONTROL } tg_syntax_head_t;
tg_syntax_head_t tg_syntax_judge_head(tg_str_t head);

/* A Content-Length: 1 to 18 digits. */
bool tg_syntax_length(tg_str_t text, uint64_t *out_length);

/* Case-insensitive comparison with lower-case text that begins with a letter or digit. */
static inline bool tg_syntax_same(tg_str_t text, const char *lower)
{
    return text.len == strlen(lower) && (text.ptr[0] | 0x20) == lower[0] &&
           strncasecmp(text.ptr, lower, text.len) == 0;
}

/* Without spaces and tabs at the end. */
tg_str_t tg_syntax_trim_end(tg_str_t text);

#endif
