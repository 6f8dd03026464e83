/* Accept-Encoding: what clients send, and what nobody should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/http/edge/compress.h"
#include "common/http/tests/unpack.h"

static tg_coding_t chosen(const char *line, bool *out_forbids)
{
    tg_accept_t accept = TG_ACCEPT_NOTHING;
    assert_int_equal(tg_accept_read(tg_str_from(line), &accept), TG_OK);
    *out_forbids = tg_accept_forbids_identity(&accept);
    return tg_accept_choose(&accept);
}

static void the_heaviest_coding_is_chosen(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        tg_coding_t coding;
        bool forbids;
    } cases[] = {
        {"", TG_CODING_IDENTITY, false},
        {"gzip", TG_CODING_GZIP, false},
        {"GZip", TG_CODING_GZIP, false},
        {"x-gzip", TG_CODING_GZIP, false},
        {"gzip, deflate, br", TG_CODING_GZIP, false},
        {"gzip, deflate, br, zstd", TG_CODING_ZSTD, false},
        {"zstd;q=0.9,gzip", TG_CODING_GZIP, false},
        {"gzip;q=0.5 , zstd;q=0.51", TG_CODING_ZSTD, false},
        {"br", TG_CODING_IDENTITY, false},
        {"*", TG_CODING_GZIP, false},
        {"*;q=0", TG_CODING_IDENTITY, true},
        {"*;q=0.5, zstd;q=0.1", TG_CODING_GZIP, false},
        {"gzip;q=0, *", TG_CODING_IDENTITY, false},
        {"gzip;q=0", TG_CODING_IDENTITY, false},
        {"gzip;q=0.000, zstd;q=0", TG_CODING_IDENTITY, false},
        {"gzip;q=0.001", TG_CODING_GZIP, false},
        {"gzip;q=1.000", TG_CODING_GZIP, false},
        {"identity;q=0", TG_CODING_IDENTITY, true},
        {"identity;q=0, gzip;q=0.1", TG_CODING_GZIP, true},
        {"identity, gzip;q=0.5", TG_CODING_IDENTITY, false},
        {"identity;q=0.5, gzip;q=0.5", TG_CODING_GZIP, false},
        {"*;q=0, gzip", TG_CODING_GZIP, true},
        {"*;q=0, identity", TG_CODING_IDENTITY, false},
        {" ,, gzip\t;\tQ=1 ,", TG_CODING_GZIP, false},
        {"gzip;q=1.", TG_CODING_GZIP, false},
        {"gzip;q=0, gzip", TG_CODING_IDENTITY, false}, /* what was said first */
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        bool forbids;
        if (chosen(cases[i].line, &forbids) != cases[i].coding || forbids != cases[i].forbids)
            fail_msg("\"%s\"", cases[i].line);
    }
}

static void what_is_not_of_the_grammar_says_nothing(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "gzip;q=2",   "gzip;q=1.001", "gzip;q=0.1234", "gzip;q=.5",      "gzip;q=-1",
        "gzip;q= 1",  "gzip;q =1",    "gzip;x=1",      "gzip;q=1;x=1",   "gzip;q",
        "gzip;",      "gzip zstd",    "gzip;q=1 zstd", "\"gzip\"",       "gzip/1",
        "gzip, ;q=1", "gzip, \x01",   "gzip;q=1a",     "gzip;q=0,1.5 x",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(lines); i++) {
        tg_accept_t accept = TG_ACCEPT_NOTHING;
        if (tg_accept_read(tg_str_from(lines[i]), &accept) != TG_INVALID || accept.members != 0)
            fail_msg("\"%s\"", lines[i]);
    }
}

static void lines_add_up_to_a_limit(void **state)
{
    (void)state;
    tg_accept_t accept = TG_ACCEPT_NOTHING;
    assert_int_equal(tg_accept_read(TG_STR("br;q=1"), &accept), TG_OK);
    assert_int_equal(tg_accept_read(TG_STR("zstd"), &accept), TG_OK);
    assert_int_equal(tg_accept_choose(&accept), TG_CODING_ZSTD);
    for (unsigned i = 2; i < TG_ACCEPT_MEMBERS_MAX; i++)
        assert_int_equal(tg_accept_read(TG_STR("a"), &accept), TG_OK);
    assert_int_equal(tg_accept_read(TG_STR("gzip"), &accept), TG_INVALID);
}

/* --- compressing --- */

static tg_compress_step_t pack(tg_compressor_t *compressor, tg_coding_t coding, tg_str_t content,
                               size_t step, char *out, size_t *out_len)
{
    tg_compress_step_t result = TG_COMPRESS_MORE;
    *out_len = 0;
    assert_int_equal(tg_compress_start(compressor, coding, content), TG_OK);
    while (result == TG_COMPRESS_MORE)
        result = tg_compress_step(compressor, step, out, out_len);
    return result;
}

static void steps_of_any_length_make_the_same_content(void **state)
{
    (void)state;
    enum { LEN = 300000 };
    static const size_t steps[] = {1000, 65536, LEN, (size_t)LEN * 2};
    char *text = malloc(LEN), *out = malloc(LEN);
    tg_compressor_t *compressor = tg_compressor_create();
    assert_true(text != NULL && out != NULL && compressor != NULL);
    for (size_t i = 0; i < LEN; i++)
        text[i] = (char)('a' + (i * i / 7) % 16);
    for (tg_coding_t coding = TG_CODING_GZIP; coding <= TG_CODING_ZSTD; coding++) {
        for (size_t i = 0; i < TG_ARRAY_LEN(steps); i++) {
            size_t len;
            assert_int_equal(pack(compressor, coding, (tg_str_t){text, LEN}, steps[i], out, &len),
                             TG_COMPRESS_DONE);
            assert_true(len < LEN);
            test_unpacks_to(coding, (tg_str_t){out, len}, (tg_str_t){text, LEN});
        }
    }
    tg_compressor_destroy(compressor);
    free(text);
    free(out);
}

/* Noise that ends in more and more of one byte: one of them comes out as long as it went in. */
static void as_long_as_before_is_not_smaller(void **state)
{
    (void)state;
    enum { NOISE = 64, LEN = NOISE + 200 };
    char text[LEN], out[LEN];
    tg_compressor_t *compressor = tg_compressor_create();
    assert_non_null(compressor);
    for (size_t i = 0; i < LEN; i++)
        text[i] = (char)(i < NOISE ? i * 37 % 251 : 'a');
    for (tg_coding_t coding = TG_CODING_GZIP; coding <= TG_CODING_ZSTD; coding++) {
        for (size_t n = NOISE; n <= LEN; n++) {
            size_t len;
            if (pack(compressor, coding, (tg_str_t){text, n}, n, out, &len) == TG_COMPRESS_DONE)
                assert_true(len < n);
            else
                assert_true(n < LEN); /* with so many of one byte it was worth it */
        }
    }
    tg_compressor_destroy(compressor);
}

/* And the next one, begun on the same compressor, is not the worse for it. */
static void what_does_not_get_smaller_is_given_up(void **state)
{
    (void)state;
    enum { LEN = 100000 };
    static char same[5000];
    const tg_str_t again = {same, sizeof(same)};
    char *noise = malloc(LEN), *out = malloc(LEN);
    tg_compressor_t *compressor = tg_compressor_create();
    assert_true(noise != NULL && out != NULL && compressor != NULL);
    uint64_t x = 1;
    for (size_t i = 0; i < LEN; i++) {
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        noise[i] = (char)(x >> 56);
    }
    for (tg_coding_t coding = TG_CODING_GZIP; coding <= TG_CODING_ZSTD; coding++) {
        size_t len;
        for (size_t step = 10000; step <= LEN; step *= 10)
            assert_int_equal(pack(compressor, coding, (tg_str_t){noise, LEN}, step, out, &len),
                             TG_COMPRESS_VAIN);
        assert_int_equal(pack(compressor, coding, TG_STR("x"), 1, out, &len), TG_COMPRESS_VAIN);
        assert_int_equal(pack(compressor, coding, again, again.len, out, &len), TG_COMPRESS_DONE);
        test_unpacks_to(coding, (tg_str_t){out, len}, again);
    }
    tg_compressor_destroy(compressor);
    free(noise);
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_heaviest_coding_is_chosen),
        cmocka_unit_test(what_is_not_of_the_grammar_says_nothing),
        cmocka_unit_test(lines_add_up_to_a_limit),
        cmocka_unit_test(steps_of_any_length_make_the_same_content),
        cmocka_unit_test(as_long_as_before_is_not_smaller),
        cmocka_unit_test(what_does_not_get_smaller_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
