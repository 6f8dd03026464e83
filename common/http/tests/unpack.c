/* See unpack.h. */
#include "common/http/tests/unpack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>

static void gunzip(tg_str_t packed, char *to, size_t room, size_t *out_len)
{
    z_stream zip = {.next_in = (Bytef *)(uintptr_t)packed.ptr,
                    .avail_in = (uInt)packed.len,
                    .next_out = (Bytef *)to,
                    .avail_out = (uInt)room};
    assert_int_equal(inflateInit2(&zip, 15 + 16), Z_OK);
    assert_int_equal(inflate(&zip, Z_FINISH), Z_STREAM_END);
    assert_int_equal(zip.avail_in, 0);
    *out_len = zip.total_out;
    inflateEnd(&zip);
}

void test_unpacks_to(tg_coding_t coding, tg_str_t packed, tg_str_t wanted)
{
    char *back = malloc(wanted.len + 1);
    assert_non_null(back);
    size_t len = 0;
    if (coding == TG_CODING_ZSTD)
        len = ZSTD_decompress(back, wanted.len + 1, packed.ptr, packed.len);
    else
        gunzip(packed, back, wanted.len + 1, &len);
    assert_int_equal(len, wanted.len);
    assert_memory_equal(back, wanted.ptr, wanted.len);
    free(back);
}
