/* The head is parsed again at the end, for the view, when the body came later than it, because the
 * buffer may have moved in between: keeping slices valid over a move would cost more code. Answers
 * that come in one piece, the usual case, are parsed once. */
#include "common/http/client/response.h"

#include "common/http/head.h"
#include "common/http/syntax.h"

struct framing {
    unsigned lengths, codings;
    bool close, bad;
    uint64_t length;
};

static void read_framing(tg_str_t name, tg_str_t value, struct framing *framing)
{
    if (tg_syntax_same(name, "content-length"))
        framing->bad |= ++framing->lengths > 1 || !tg_syntax_length(value, &framing->length);
    else if (tg_syntax_same(name, "transfer-encoding"))
        framing->bad |= ++framing->codings > 1 || !tg_syntax_same(value, "chunked");
    else if (tg_syntax_same(name, "connection") && !tg_syntax_same(value, "keep-alive"))
        framing->close = true;
}

static bool has_no_body(const tg_response_parser_t *parser)
{
    return parser->to_head || parser->code == 204 || parser->code == 304;
}

/* HTTP/1.d SP three digits SP reason, which may be empty */
static bool read_line(tg_str_t line, int *out_minor, int *out_code)
{
    int code = 0;
    if (line.len < 13 || memcmp(line.ptr, "HTTP/1.", 7) != 0 || line.ptr[8] != ' ' ||
        line.ptr[12] != ' ')
        return false;
    for (size_t i = 9; i < 12; i++) {
        if (line.ptr[i] < '0' || line.ptr[i] > '9')
            return false;
        code = code * 10 + (line.ptr[i] - '0');
    }
    *out_minor = line.ptr[7] - '0';
    *out_code = code;
    return (*out_minor == 0 || *out_minor == 1) && code >= 100 && code <= 599 && code != 101;
}

static tg_response_state_t take_head(tg_response_parser_t *parser, const tg_head_t *head, int minor)
{
    struct framing framing = {0};
    for (size_t i = 0; i < head->count; i++)
        read_framing(head->fields[i].name, head->fields[i].value, &framing);
    if (framing.bad || (framing.lengths > 0 && framing.codings > 0) ||
        (framing.codings > 0 && minor == 0))
        return TG_RESPONSE_BAD;
    parser->keep = minor == 1 && !framing.close;
    parser->chunked = framing.codings > 0 && !has_no_body(parser);
    if (has_no_body(parser))
        return TG_RESPONSE_MORE;
    if (framing.lengths + framing.codings == 0)
        return TG_RESPONSE_BAD;
    if (framing.length > parser->max_body)
        return TG_RESPONSE_TOO_LARGE;
    parser->body_len = (size_t)framing.length;
    return TG_RESPONSE_MORE;
}

/* An interim answer is dropped from the buffer, so that the final one stands at its front. */
static tg_response_state_t drop_interim(tg_response_parser_t *parser, char *buf, size_t head_len,
                                        size_t *inout_len)
{
    if (++parser->interim > TG_RESPONSE_INTERIM_MAX)
        return TG_RESPONSE_BAD;
    assert(head_len <= *inout_len);
    *inout_len -= head_len;
    memmove(buf, buf + head_len, *inout_len);
    parser->seen = 0;
    return TG_RESPONSE_MORE;
}

/* Fills `head` if it had not come before. */
static tg_response_state_t find_head(tg_response_parser_t *parser, char *buf, size_t *inout_len,
                                     tg_head_t *head)
{
    while (parser->head_len == 0) {
        tg_head_state_t state = tg_head_split(buf, *inout_len, parser->seen, head);
        int minor = 0;
        if ((head->len > 0 ? head->len : *inout_len) > TG_RESPONSE_HEAD_MAX ||
            (state != TG_HEAD_WHOLE && state != TG_HEAD_MORE))
            return TG_RESPONSE_BAD;
        if (state == TG_HEAD_MORE) {
            parser->seen = *inout_len;
            return TG_RESPONSE_MORE;
        }
        if (!read_line(head->line, &minor, &parser->code))
            return TG_RESPONSE_BAD;
        if (parser->code < 200) {
            if (drop_interim(parser, buf, head->len, inout_len) == TG_RESPONSE_BAD)
                return TG_RESPONSE_BAD;
            continue;
        }
        parser->head_len = head->len;
        parser->seen = head->len;
        return take_head(parser, head, minor);
    }
    return TG_RESPONSE_MORE;
}

/* Bytes behind the answer belong to nothing: the connection is not used again. */
static tg_response_state_t end_at(tg_response_parser_t *parser, size_t end, size_t len)
{
    if (len > end)
        parser->keep = false;
    return TG_RESPONSE_DONE;
}

static tg_response_state_t take_chunks(tg_response_parser_t *parser, char *buf, size_t *inout_len)
{
    assert(parser->seen >= parser->head_len && parser->seen <= *inout_len);
    size_t fresh = *inout_len - parser->seen;
    ssize_t rest = tg_chunked_decode(&parser->chunks, buf + parser->seen, &fresh);
    if (rest == TG_CHUNKED_BAD)
        return TG_RESPONSE_BAD;
    parser->seen += fresh;
    parser->body_len += fresh;
    *inout_len = parser->seen;
    if (parser->body_len > parser->max_body)
        return TG_RESPONSE_TOO_LARGE;
    return rest == TG_CHUNKED_MORE ? TG_RESPONSE_MORE
                                   : end_at(parser, parser->seen, parser->seen + (size_t)rest);
}

static tg_response_state_t find_end(tg_response_parser_t *parser, char *buf, size_t *inout_len,
                                    tg_head_t *head)
{
    tg_response_state_t state = find_head(parser, buf, inout_len, head);
    if (state != TG_RESPONSE_MORE || parser->head_len == 0)
        return state;
    assert(*inout_len >= parser->head_len);
    if (parser->chunked)
        return take_chunks(parser, buf, inout_len);
    size_t end = parser->head_len + parser->body_len;
    return *inout_len < end ? TG_RESPONSE_MORE : end_at(parser, end, *inout_len);
}

static bool concerns_connection(tg_str_t name)
{
    return tg_syntax_same(name, "connection") || tg_syntax_same(name, "content-length") ||
           tg_syntax_same(name, "keep-alive") || tg_syntax_same(name, "proxy-authenticate") ||
           tg_syntax_same(name, "proxy-authorization") || tg_syntax_same(name, "te") ||
           tg_syntax_same(name, "trailer") || tg_syntax_same(name, "transfer-encoding") ||
           tg_syntax_same(name, "upgrade");
}

static void lower(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] >= 'A' && text[i] <= 'Z')
            text[i] = (char)(text[i] | 0x20);
}

size_t tg_response_missing(const tg_response_parser_t *parser, size_t size)
{
    size_t end = parser->head_len + parser->body_len;
    return parser->head_len == 0 || parser->chunked || end <= size ? 0 : end - size;
}

static void view(const tg_response_parser_t *parser, char *buf, tg_head_t *head,
                 tg_http_response_t *out_response)
{
    assert(parser->head_len > 0);
    size_t count = 0;
    for (size_t i = 0; i < head->count; i++) {
        tg_http_header_t field = head->fields[i];
        if (concerns_connection(field.name))
            continue;
        lower(buf + (field.name.ptr - buf), field.name.len);
        head->fields[count++] = field;
    }
    *out_response = (tg_http_response_t){
        .code = parser->code,
        .headers = head->fields,
        .header_count = count,
        .body = {buf + parser->head_len, has_no_body(parser) ? 0 : parser->body_len},
    };
}

tg_response_state_t tg_response_parse(tg_response_parser_t *parser, char *buf, size_t *inout_len,
                                      tg_http_header_t *headers, tg_http_response_t *out_response)
{
    assert(parser->seen <= *inout_len);
    assert(parser->body_len <= parser->max_body);
    tg_head_t head = {.fields = headers, .room = TG_RESPONSE_HEADERS_MAX};
    bool had_head = parser->head_len > 0;
    tg_response_state_t state = find_end(parser, buf, inout_len, &head);
    if (state != TG_RESPONSE_DONE)
        return state;
    if (had_head && tg_head_split(buf, parser->head_len, 0, &head) != TG_HEAD_WHOLE)
        return TG_RESPONSE_BAD; /* cannot be: it was split the same way before */
    view(parser, buf, &head, out_response);
    return state;
}

tg_str_t tg_http_response_find(const tg_http_response_t *response, tg_str_t lower_name)
{
    for (size_t i = 0; i < response->header_count; i++)
        if (tg_str_eq(response->headers[i].name, lower_name))
            return response->headers[i].value;
    return (tg_str_t){NULL, 0};
}
