/* libFuzzer: any bytes as an answer, whole and in two pieces; both must end the same way, and what
 * is accepted must lie inside the buffer and be read the same way by the library's laxer parser. */
#include <stdlib.h>

#include "common/http/client/response.h"
#include "common/http/phr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

struct parsed {
    tg_http_header_t headers[TG_RESPONSE_HEADERS_MAX];
    tg_http_response_t response;
};

static void check(const struct parsed *parsed, const char *buf, size_t len)
{
    const tg_http_response_t *response = &parsed->response;
    require(response->code >= 200 && response->code <= 599);
    require(response->body.ptr >= buf && response->body.ptr + response->body.len <= buf + len);
    for (size_t i = 0; i < response->header_count; i++)
        require(response->headers[i].name.len > 0 && response->headers[i].value.ptr >= buf);
}

static void check_same(const tg_http_response_t *one, const tg_http_response_t *two)
{
    require(one->code == two->code && tg_str_eq(one->body, two->body));
    require(one->header_count == two->header_count);
    for (size_t i = 0; i < one->header_count; i++)
        require(tg_str_eq(one->headers[i].name, two->headers[i].name) &&
                tg_str_eq(one->headers[i].value, two->headers[i].value));
}

/* The code of the first final answer, by the library. */
static int their_code(const char *bytes, size_t size)
{
    for (;;) {
        static struct phr_header headers[TG_RESPONSE_HEADERS_MAX];
        size_t reason_len, count = TG_ARRAY_LEN(headers);
        const char *reason;
        int minor_version, code;
        int head = phr_parse_response(bytes, size, &minor_version, &code, &reason, &reason_len,
                                      headers, &count, 0);
        if (head <= 0 || code >= 200)
            return head <= 0 ? head : code;
        bytes += head;
        size -= (size_t)head;
    }
}

static tg_response_state_t parse(char *buf, const uint8_t *data, size_t size, size_t cut,
                                 struct parsed *out, size_t *out_len)
{
    tg_response_parser_t parser = tg_response_parser_make(4096, false);
    size_t len = cut;
    memcpy(buf, data, cut);
    tg_response_state_t state = TG_RESPONSE_MORE;
    if (cut > 0)
        state = tg_response_parse(&parser, buf, &len, out->headers, &out->response);
    if (state == TG_RESPONSE_MORE) {
        memcpy(buf + len, data + cut, size - cut);
        len += size - cut;
        state = tg_response_parse(&parser, buf, &len, out->headers, &out->response);
    }
    *out_len = len;
    return state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 100000)
        return 0;
    size_t cut = data[0] % size, len_whole, len_cut;
    data++;
    size--;
    if (cut > size)
        cut = size;
    char *whole = malloc(size), *pieces = malloc(size);
    if (whole != NULL && pieces != NULL) {
        static struct parsed one, two;
        tg_response_state_t state = parse(whole, data, size, 0, &one, &len_whole);
        if (state == TG_RESPONSE_DONE) {
            check(&one, whole, len_whole);
            require(their_code((const char *)data, size) == one.response.code);
            /* A body may end in the first piece: then the rest was never looked at. */
            require(parse(pieces, data, size, cut, &two, &len_cut) == TG_RESPONSE_DONE);
            check(&two, pieces, len_cut);
            check_same(&one.response, &two.response);
        }
    }
    free(whole);
    free(pieces);
    return 0;
}
