/* Parser of an answer, fed from one growing buffer; strict on framing.
 *
 * Why strict: an answer whose end two parsers see at different places hands one tenant's bytes to
 * another on a kept connection. Accepted is: HTTP/1.0 or 1.1, at most one Content-Length, or
 * chunked alone; a body that ends with the connection is not. Interim answers (1xx but 101) are
 * dropped.
 *
 * Limits: head 32 KiB, 100 headers, 8 interim answers, body as given.
 * Threads: values of one thread. */
#ifndef TG_HTTP_RESPONSE_H
#define TG_HTTP_RESPONSE_H

#include "common/http/chunked.h"
#include "common/http/client.h"

#define TG_RESPONSE_HEAD_MAX    ((size_t)32 * 1024)
#define TG_RESPONSE_HEADERS_MAX 100
#define TG_RESPONSE_INTERIM_MAX 8

typedef enum tg_response_state {
    TG_RESPONSE_MORE,
    TG_RESPONSE_DONE,
    TG_RESPONSE_BAD,
    TG_RESPONSE_TOO_LARGE,
} tg_response_state_t;

typedef struct tg_response_parser {
    size_t max_body;
    bool to_head; /* the request was HEAD: no body whatever the head says */
    bool keep;    /* the connection may carry another request */
    bool chunked;
    int code;
    unsigned interim;
    size_t head_len; /* 0 until the head has come */
    size_t body_len; /* declared, or decoded so far */
    size_t seen;     /* bytes looked at in an unfinished head */
    tg_chunked_t chunks;
} tg_response_parser_t;

static inline tg_response_parser_t tg_response_parser_make(size_t max_body, bool to_head)
{
    return (tg_response_parser_t){.max_body = max_body, .to_head = to_head};
}

/* Looks at all bytes received so far; decodes a chunked body in place and drops interim answers,
 * which shortens *inout_len. On DONE the head and the body stand at the front of `buf`, and the
 * response is what they say: names in lower case (written into `buf`), without Content-Length and
 * what concerns the connection only. `headers` has room for TG_RESPONSE_HEADERS_MAX. */
tg_response_state_t tg_response_parse(tg_response_parser_t *parser, char *buf, size_t *inout_len,
                                      tg_http_header_t *headers, tg_http_response_t *out_response);

/* Bytes that are known to be missing, of `size` received so far; 0 when that cannot be told. */
size_t tg_response_missing(const tg_response_parser_t *parser, size_t size);

#endif
