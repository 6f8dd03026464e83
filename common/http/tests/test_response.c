/* The answer parser: whole, byte by byte, and on answers that no honest upstream sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/http/client/response.h"

static tg_http_header_t headers[TG_RESPONSE_HEADERS_MAX];
static tg_http_response_t response;
static tg_response_parser_t parser;
static char buf[1 << 17];

/* Feeds `step` bytes at a time. */
static tg_response_state_t feed(const char *text, size_t step, bool to_head)
{
    size_t len = strlen(text), given = 0, have = 0;
    tg_response_state_t state = TG_RESPONSE_MORE;
    parser = tg_response_parser_make(1000, to_head);
    while (given < len && state == TG_RESPONSE_MORE) {
        size_t n = len - given < step ? len - given : step;
        memcpy(buf + have, text + given, n);
        given += n;
        have += n;
        state = tg_response_parse(&parser, buf, &have, headers, &response);
    }
    return state;
}

static void an_answer_is_the_same_whole_and_byte_by_byte(void **state)
{
    (void)state;
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\n"
                               "Content-Type: application/json\r\nContent-Length: 2\r\n"
                               "Keep-Alive: timeout=5\r\nX-Request-ID: a \r\n\r\n{}";
    for (size_t step = 1; step < sizeof(text); step++) {
        assert_int_equal(feed(text, step, false), TG_RESPONSE_DONE);
        assert_int_equal(response.code, 202);
        assert_int_equal(response.header_count, 2);
        assert_true(tg_str_eq(response.body, TG_STR("{}")));
        assert_true(tg_str_eq(tg_http_response_header(&response, "content-type"),
                              TG_STR("application/json")));
        assert_true(tg_str_eq(tg_http_response_header(&response, "x-request-id"), TG_STR("a")));
        assert_true(parser.keep);
    }
}

static void a_chunked_body_is_joined(void **state)
{
    (void)state;
    static const char text[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "4;a=b\r\nWiki\r\n6\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n"
                               "0\r\nX-Sum: 1\r\n\r\n";
    for (size_t step = 1; step < sizeof(text); step++) {
        assert_int_equal(feed(text, step, false), TG_RESPONSE_DONE);
        assert_true(tg_str_eq(response.body, TG_STR("Wikipedia in \r\n\r\nchunks.")));
        assert_int_equal(response.header_count, 0);
    }
}

static void answers_without_a_body_need_no_length(void **state)
{
    (void)state;
    assert_int_equal(feed("HTTP/1.1 204 No Content\r\n\r\n", 100, false), TG_RESPONSE_DONE);
    assert_int_equal(feed("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 100, false),
                     TG_RESPONSE_DONE);
    assert_int_equal(response.body.len, 0);
    assert_int_equal(feed("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 100, true),
                     TG_RESPONSE_DONE);
    assert_int_equal(response.body.len, 0);
    assert_true(parser.keep);
}

static void the_connection_is_kept_only_where_that_is_safe(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool keep;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: Keep-Alive\r\n\r\nx", true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx", false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n", false},
        {"HTTP/1.1 204 No Content\r\n\r\nx", false},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        assert_int_equal(feed(cases[i].text, 1000, false), TG_RESPONSE_DONE);
        assert_int_equal(parser.keep, cases[i].keep);
    }
}

static void malformed_answers_are_refused(void **state)
{
    (void)state;
    const char *const cases[] = {
        "HTTP/1.1 200 OK\r\n\r\nuntil the end",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1234567890123456789\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n folded\r\n\r\nx",
        "HTTP/1.1 200 OK\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\n\nx",
        "HTTP/1.1 101 Switching\r\n\r\n",
        "HTTP/1.1 099 Low\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 600 High\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/2.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.2 200 OK\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 20 OK\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 2000 OK\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 2x0 OK\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1\r\nContent-Length: 1\r\n\r\nx",
        "ICY 200 OK\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\nx\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000000000000000\r\nx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n folded: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\na: b\n\r\n",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        if (feed(cases[i], 10000, false) != TG_RESPONSE_BAD)
            fail_msg("accepted: %s", cases[i]);
        if (feed(cases[i], 1, false) != TG_RESPONSE_BAD)
            fail_msg("accepted byte by byte: %s", cases[i]);
    }
}

static void bodies_above_the_limit_are_too_large(void **state)
{
    (void)state;
    assert_int_equal(feed("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", 100, false),
                     TG_RESPONSE_TOO_LARGE);
    static char text[3000] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n500\r\n";
    memset(text + strlen(text), 'x', 1280);
    assert_int_equal(feed(text, 100, false), TG_RESPONSE_TOO_LARGE);
}

static void endless_heads_and_interim_answers_are_refused(void **state)
{
    (void)state;
    static char text[40000];
    memcpy(text, "HTTP/1.1 200 OK\r\nX: ", 20);
    memset(text + 20, 'x', sizeof(text) - 21);
    assert_int_equal(feed(text, 1000, false), TG_RESPONSE_BAD);
    char *many = calloc(1, 10 * 25 + 1);
    assert_non_null(many);
    for (unsigned i = 0; i < 10; i++)
        memcpy(many + (size_t)i * 25, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    assert_int_equal(feed(many, 1000, false), TG_RESPONSE_BAD);
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_the_same_whole_and_byte_by_byte),
        cmocka_unit_test(a_chunked_body_is_joined),
        cmocka_unit_test(answers_without_a_body_need_no_length),
        cmocka_unit_test(the_connection_is_kept_only_where_that_is_safe),
        cmocka_unit_test(malformed_answers_are_refused),
        cmocka_unit_test(bodies_above_the_limit_are_too_large),
        cmocka_unit_test(endless_heads_and_interim_answers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
