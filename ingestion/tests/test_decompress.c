/* Both codings, whole, cut, spoilt and as bombs. */
#include "ingestion/body/decompress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

#define MIB ((size_t)1 << 20)

static const tg_decompress_limits_t limits = {.max_bytes = 4 * MIB, .max_ratio = 100};
static const tg_coding_t codings[] = {TG_CODING_GZIP, TG_CODING_ZSTD};

static size_t pack_gzip(tg_str_t text, char *out, size_t room)
{
    z_stream zip = {.next_in = (Bytef *)(uintptr_t)text.ptr,
                    .avail_in = (uInt)text.len,
                    .next_out = (Bytef *)out,
                    .avail_out = (uInt)room};
    assert_int_equal(deflateInit2(&zip, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&zip, Z_FINISH), Z_STREAM_END);
    size_t len = room - zip.avail_out;
    deflateEnd(&zip);
    return len;
}

/* Compressed text, owned by the caller. */
static tg_str_t pack(tg_coding_t coding, tg_str_t text)
{
    size_t room = text.len + text.len / 8 + 1024, len = 0;
    char *out = malloc(room);
    if (coding == TG_CODING_GZIP)
        len = pack_gzip(text, out, room);
    else
        len = ZSTD_compress(out, room, text.ptr, text.len, 3);
    return (tg_str_t){out, len};
}

static void drop(tg_str_t text)
{
    free((void *)(uintptr_t)text.ptr);
}

/* So many bytes that do not compress, or that are all the same. */
static tg_str_t make(size_t len, bool noise)
{
    uint32_t state = 7;
    char *text = malloc(len + 1);
    for (size_t i = 0; i < len; i++) {
        state = state * 1664525 + 1013904223;
        text[i] = noise ? (char)(state >> 24) : 'a';
    }
    return (tg_str_t){text, len};
}

static tg_str_t join(tg_str_t a, tg_str_t b)
{
    char *text = malloc(a.len + b.len + 1);
    memcpy(text, a.ptr, a.len);
    memcpy(text + a.len, b.ptr, b.len);
    return (tg_str_t){text, a.len + b.len};
}

static void expect(tg_coding_t coding, tg_str_t packed, tg_status_t wanted, tg_str_t content,
                   const char *words)
{
    tg_buf_t out = tg_buf_make(limits.max_bytes + 1);
    tg_error_t error = {0};
    tg_status_t status = tg_decompress(coding, packed, &limits, &out, &error);
    if (status != wanted)
        fail_msg("%s: %s %s", tg_coding_name(coding), tg_status_name(status), error.text);
    if (wanted == TG_OK)
        assert_true(tg_str_eq(tg_buf_view(&out), content));
    else if (strstr(error.text, words) == NULL)
        fail_msg("%s: \"%s\" does not hold \"%s\"", tg_coding_name(coding), error.text, words);
    assert_true(out.len <= limits.max_bytes + 1);
    tg_buf_dispose(&out);
}

static void content_comes_back_whatever_its_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 65535, 65536, 65537, 4 * MIB - 1, 4 * MIB};
    for (size_t i = 0; i < TG_ARRAY_LEN(sizes); i++) {
        tg_str_t text = make(sizes[i], true);
        for (size_t c = 0; c < TG_ARRAY_LEN(codings); c++) {
            tg_str_t packed = pack(codings[c], text);
            expect(codings[c], packed, TG_OK, text, "");
            drop(packed);
        }
        drop(text);
    }
}

static void members_one_behind_the_other_are_one_content(void **state)
{
    (void)state;
    for (size_t c = 0; c < TG_ARRAY_LEN(codings); c++) {
        tg_str_t a = pack(codings[c], TG_STR("[1,")), b = pack(codings[c], TG_STR("2]"));
        tg_str_t both = join(a, b);
        expect(codings[c], both, TG_OK, TG_STR("[1,2]"), "");
        expect(codings[c], (tg_str_t){both.ptr, both.len - 1}, TG_INVALID, TG_STR(""), "truncated");
        drop(a);
        drop(b);
        drop(both);
    }
}

static void what_is_cut_anywhere_is_truncated(void **state)
{
    (void)state;
    tg_str_t text = make(3000, true);
    for (size_t c = 0; c < TG_ARRAY_LEN(codings); c++) {
        tg_str_t packed = pack(codings[c], text);
        for (size_t len = 0; len < packed.len; len++)
            expect(codings[c], (tg_str_t){packed.ptr, len}, TG_INVALID, TG_STR(""), "truncated");
        drop(packed);
    }
    drop(text);
}

static void foreign_bytes_are_corrupt_and_at_the_end_they_are_named(void **state)
{
    (void)state;
    for (size_t c = 0; c < TG_ARRAY_LEN(codings); c++) {
        tg_str_t packed = pack(codings[c], TG_STR("{\"a\":1}")),
                 more = join(packed, TG_STR("junk!"));
        expect(codings[c], TG_STR("{\"a\":1} in plain text"), TG_INVALID, TG_STR(""), "corrupt");
        expect(codings[c], more, TG_INVALID, TG_STR(""), "5 bytes that are no");
        drop(more);
        more = join(packed, (tg_str_t){"\0\0\0\0", 4});
        expect(codings[c], more, TG_INVALID, TG_STR(""), "4 bytes that are no");
        drop(more);
        drop(packed);
    }
    tg_str_t packed = pack(TG_CODING_GZIP, TG_STR("{\"a\":1}"));
    ((char *)(uintptr_t)packed.ptr)[packed.len - 6] ^= 1; /* the checksum */
    expect(TG_CODING_GZIP, packed, TG_INVALID, TG_STR(""), "corrupt (incorrect data check)");
    drop(packed);
}

static void more_than_the_limit_is_too_large(void **state)
{
    (void)state;
    tg_str_t text = make(4 * MIB + 1, true);
    for (size_t c = 0; c < TG_ARRAY_LEN(codings); c++) {
        tg_str_t packed = pack(codings[c], text);
        expect(codings[c], packed, TG_TOO_LARGE, TG_STR(""), "limit of 4194304 bytes");
        drop(packed);
    }
    drop(text);
}

static void a_bomb_is_ended_by_its_ratio(void **state)
{
    (void)state;
    tg_str_t small = make(MIB, false), bomb = make(4 * MIB, false);
    for (size_t c = 0; c < TG_ARRAY_LEN(codings); c++) {
        tg_str_t packed = pack(codings[c], small);
        expect(codings[c], packed, TG_OK, small, ""); /* a mebibyte is free */
        drop(packed);
        packed = pack(codings[c], bomb);
        expect(codings[c], packed, TG_TOO_LARGE, TG_STR(""), "limit of 100 times");
        drop(packed);
    }
    drop(small);
    drop(bomb);
}

static void empty_members_without_end_are_too_many(void **state)
{
    (void)state;
    for (size_t c = 0; c < TG_ARRAY_LEN(codings); c++) {
        tg_str_t one = pack(codings[c], TG_STR(""));
        size_t count = TG_DECOMPRESS_MEMBERS_MAX + 1;
        char *all = malloc(one.len * count);
        for (size_t i = 0; i < count; i++)
            memcpy(all + i * one.len, one.ptr, one.len);
        expect(codings[c], (tg_str_t){all, one.len * count}, TG_TOO_LARGE, TG_STR(""),
               "limit of 10000 members");
        expect(codings[c], (tg_str_t){all, one.len * (count - 1)}, TG_OK, TG_STR(""), "");
        free(all);
        drop(one);
    }
}

static void a_window_beyond_the_standards_is_refused(void **state)
{
    (void)state;
    tg_str_t text = make(64 << 10, true);
    char *out = malloc(MIB);
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27);
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    ZSTD_outBuffer to = {out, MIB, 0};
    ZSTD_inBuffer from = {text.ptr, 1000, 0};
    while (from.pos < from.size)
        ZSTD_compressStream2(context, &to, &from, ZSTD_e_continue);
    while (ZSTD_compressStream2(context, &to, &from, ZSTD_e_end) != 0)
        continue;
    expect(TG_CODING_ZSTD, (tg_str_t){out, to.pos}, TG_INVALID, TG_STR(""), "larger than 8 MiB");
    ZSTD_freeCCtx(context);
    free(out);
    drop(text);
}

static void codings_are_read_in_any_case_and_one_at_most(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        tg_status_t status;
        tg_coding_t coding;
    } cases[] = {
        {"", TG_OK, TG_CODING_IDENTITY},
        {"identity", TG_OK, TG_CODING_IDENTITY},
        {"gzip", TG_OK, TG_CODING_GZIP},
        {" GZip\t", TG_OK, TG_CODING_GZIP},
        {"x-gzip", TG_OK, TG_CODING_GZIP},
        {"zstd", TG_OK, TG_CODING_ZSTD},
        {"br", TG_NOT_FOUND, TG_CODING_IDENTITY},
        {"deflate", TG_NOT_FOUND, TG_CODING_IDENTITY},
        {"gzipp", TG_NOT_FOUND, TG_CODING_IDENTITY},
        {"gzip, gzip", TG_INVALID, TG_CODING_IDENTITY},
        {"identity,gzip", TG_INVALID, TG_CODING_IDENTITY},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        tg_coding_t coding = TG_CODING_IDENTITY;
        if (tg_coding_read(tg_str_from(cases[i].text), &coding) != cases[i].status ||
            coding != cases[i].coding)
            fail_msg("\"%s\"", cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_comes_back_whatever_its_size),
        cmocka_unit_test(members_one_behind_the_other_are_one_content),
        cmocka_unit_test(what_is_cut_anywhere_is_truncated),
        cmocka_unit_test(foreign_bytes_are_corrupt_and_at_the_end_they_are_named),
        cmocka_unit_test(more_than_the_limit_is_too_large),
        cmocka_unit_test(a_bomb_is_ended_by_its_ratio),
        cmocka_unit_test(empty_members_without_end_are_too_many),
        cmocka_unit_test(a_window_beyond_the_standards_is_refused),
        cmocka_unit_test(codings_are_read_in_any_case_and_one_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
