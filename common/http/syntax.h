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

/* How many of the first bytes are in the class. */
size_t tg_syntax_span(tg_str_t text, unsigned class);

/* A Content-Length: 1 to 18 digits. */
bool tg_syntax_length(tg_str_t text, uint64_t *out_length);

/* Case-insensitive comparison with lower-case text that begins with a letter or digit. */
static inline bool tg_syntax_same(tg_str_t text, const char *lower)
{
    return text.len == strlen(lower) && (text.ptr[0] | 0x20) == lower[0] &&
           strncasecmp(text.ptr, lower, text.len) == 0;
}

/* Without spaces and tabs at its ends. */
tg_str_t tg_syntax_trim(tg_str_t text);

#endif
