/* The head of an HTTP/1 message, split into its first line and its fields, for both sides: strictly
 * as RFC 9112 sections 2.1, 2.2 and 5 say. Each line ends in CR LF, a field's name is a token with
 * a colon right behind it, its value has no control character but tabs, and no line is folded.
 *
 * Threads: any. */
#ifndef TG_HTTP_HEAD_H
#define TG_HTTP_HEAD_H

#include "common/base/str.h"

typedef struct tg_http_header {
    tg_str_t name, value;
} tg_http_header_t;

typedef enum tg_head_state {
    TG_HEAD_WHOLE,
    TG_HEAD_MORE,     /* is needed, and nothing is wrong so far */
    TG_HEAD_LINE_END, /* CR and LF apart from one another */
    TG_HEAD_CONTROL,  /* control characters */
    TG_HEAD_FOLD,     /* white space in front of a field */
    TG_HEAD_NAME,     /* none, or not a token, or no colon */
    TG_HEAD_FIELDS,   /* more than there is room for */
} tg_head_state_t;

typedef struct tg_head {
    tg_str_t line;            /* the first, also of a bad head; NULL when it was not looked for */
    size_t len;               /* bytes of the head, the empty line included; 0: not whole */
    size_t count;             /* of the fields that could be read */
    size_t room;              /* given: of `fields` */
    tg_http_header_t *fields; /* given; filled when whole: slices of the bytes, without the white
                                 space around a value */
} tg_head_t;

/* Looks at the bytes that have come, of which `seen` were there at an earlier call that needed
 * more. An empty line in front of the first is the caller's to skip; so are limits of size. */
TG_NODISCARD tg_head_state_t tg_head_split(const char *buf, size_t len, size_t seen,
                                           tg_head_t *head);

#endif
