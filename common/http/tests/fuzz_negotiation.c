/* libFuzzer: any bytes as Accept-Encoding, as a list of origins, and as a body to be compressed in
 * steps of any length. What is chosen must have been named; what is found must stand in the list;
 * what is compressed must not be larger than it was. */
#include <stdlib.h>

#include "common/http/edge/compress.h"
#include "common/http/edge/origins.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void fuzz_accept(tg_str_t text)
{
    tg_accept_t accept = TG_ACCEPT_NOTHING;
    tg_status_t status = tg_accept_read(text, &accept);
    require(status == TG_OK || status == TG_INVALID);
    require(accept.members <= TG_ACCEPT_MEMBERS_MAX);
    tg_coding_t coding = tg_accept_choose(&accept);
    if (coding != TG_CODING_IDENTITY)
        require(status == TG_OK && text.len > 0 &&
                (memchr(text.ptr, '*', text.len) != NULL || text.len >= 4));
    require(accept.any <= 1000 && accept.weights[coding] <= 1000);
    tg_coding_t read;
    (void)tg_coding_read(text, &read);
}

static void fuzz_origins(tg_str_t text)
{
    tg_origins_t *origins = NULL;
    tg_error_t error;
    if (tg_origins_create(text, &origins, &error) != TG_OK)
        return;
    tg_str_t found = tg_origins_find(origins, text);
    if (!tg_origins_is_any(origins) && found.ptr != NULL)
        require(tg_str_eq(found, text));
    tg_origins_destroy(origins);
}

static void fuzz_compress(tg_coding_t coding, tg_str_t content)
{
    static tg_compressor_t *compressor;
    if (compressor == NULL)
        compressor = tg_compressor_create();
    if (content.len < 2)
        return;
    size_t step = 1 + (unsigned char)content.ptr[0] * 16U, len = 0;
    char *out = malloc(content.len);
    tg_compress_step_t result = TG_COMPRESS_MORE;
    require(out != NULL && tg_compress_start(compressor, coding, content) == TG_OK);
    while (result == TG_COMPRESS_MORE)
        result = tg_compress_step(compressor, step, out, &len);
    require(len <= content.len);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const tg_str_t text = {(const char *)data + 1, size - 1};
    switch (data[0] % 4) {
    case 0:
        fuzz_accept(text);
        break;
    case 1:
        fuzz_origins(text);
        break;
    default:
        fuzz_compress(data[0] % 4 == 2 ? TG_CODING_GZIP : TG_CODING_ZSTD, text);
    }
    return 0;
}
