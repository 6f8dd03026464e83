/* Both libraries have the same shape, a cursor in and a cursor out; the one that works is chosen by
 * the coding of the body. */
#include "common/http/edge/compress.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#define GZIP_WINDOW     (15 + 16) /* the largest window; a gzip head, not a zlib one */
#define GZIP_MEMORY     8         /* zlib's default */
#define GZIP_LEVEL      1
#define ZSTD_LEVEL      1
#define ZSTD_WINDOW_LOG 17
#define STEP_MAX        ((size_t)1 << 30) /* zlib counts in 32 bits */

struct tg_compressor {
    z_stream gzip;
    bool has_gzip;
    ZSTD_CCtx *zstd;
    tg_coding_t coding;
    tg_str_t rest; /* of the content */
    size_t size;   /* of the content: the output must stay below */
};

tg_compressor_t *tg_compressor_create(void)
{
    return calloc(1, sizeof(tg_compressor_t));
}

void tg_compressor_destroy(tg_compressor_t *compressor)
{
    if (compressor == NULL)
        return;
    if (compressor->has_gzip)
        (void)deflateEnd(&compressor->gzip);
    (void)ZSTD_freeCCtx(compressor->zstd);
    free(compressor);
}

static tg_status_t start_gzip(tg_compressor_t *compressor)
{
    int code = compressor->has_gzip ? deflateReset(&compressor->gzip)
                                    : deflateInit2(&compressor->gzip, GZIP_LEVEL, Z_DEFLATED,
                                                   GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY);
    compressor->has_gzip |= code == Z_OK;
    return code == Z_OK ? TG_OK : TG_NOMEM;
}

static tg_status_t start_zstd(tg_compressor_t *compressor)
{
    if (compressor->zstd == NULL) {
        ZSTD_CCtx *zstd = ZSTD_createCCtx();
        if (zstd == NULL)
            return TG_NOMEM;
        (void)ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
        (void)ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, ZSTD_WINDOW_LOG);
        compressor->zstd = zstd;
    }
    (void)ZSTD_CCtx_reset(compressor->zstd, ZSTD_reset_session_only);
    size_t code = ZSTD_CCtx_setPledgedSrcSize(compressor->zstd, compressor->size);
    return ZSTD_isError(code) ? TG_NOMEM : TG_OK;
}

tg_status_t tg_compress_start(tg_compressor_t *compressor, tg_coding_t coding, tg_str_t content)
{
    assert(compressor != NULL);
    assert(coding == TG_CODING_GZIP || coding == TG_CODING_ZSTD);
    assert(content.len > 0);
    compressor->coding = coding;
    compressor->rest = content;
    compressor->size = content.len;
    return coding == TG_CODING_GZIP ? start_gzip(compressor) : start_zstd(compressor);
}

static tg_compress_step_t step_gzip(tg_compressor_t *compressor, size_t bytes, char *out,
                                    size_t *inout_len)
{
    z_stream *gzip = &compressor->gzip;
    bool last = bytes == compressor->rest.len;
    size_t room = compressor->size - *inout_len;
    gzip->next_in = (Bytef *)(uintptr_t)compressor->rest.ptr;
    gzip->avail_in = (uInt)bytes;
    gzip->next_out = (Bytef *)out + *inout_len;
    gzip->avail_out = (uInt)(room < STEP_MAX ? room : STEP_MAX);
    int code = deflate(gzip, last ? Z_FINISH : Z_NO_FLUSH);
    *inout_len = (size_t)(gzip->next_out - (Bytef *)out);
    if (*inout_len == compressor->size)
        return TG_COMPRESS_VAIN;
    if (code == Z_STREAM_END)
        return TG_COMPRESS_DONE;
    return code == Z_OK && !last && gzip->avail_in == 0 ? TG_COMPRESS_MORE : TG_COMPRESS_VAIN;
}

static tg_compress_step_t step_zstd(tg_compressor_t *compressor, size_t bytes, char *out,
                                    size_t *inout_len)
{
    bool last = bytes == compressor->rest.len;
    ZSTD_inBuffer in = {compressor->rest.ptr, bytes, 0};
    ZSTD_outBuffer to = {out, compressor->size, *inout_len};
    size_t left =
        ZSTD_compressStream2(compressor->zstd, &to, &in, last ? ZSTD_e_end : ZSTD_e_continue);
    *inout_len = to.pos;
    if (ZSTD_isError(left) || in.pos < in.size || to.pos == to.size)
        return TG_COMPRESS_VAIN;
    if (!last)
        return TG_COMPRESS_MORE;
    return left == 0 ? TG_COMPRESS_DONE : TG_COMPRESS_VAIN;
}

tg_compress_step_t tg_compress_step(tg_compressor_t *compressor, size_t bytes, char *out,
                                    size_t *inout_len)
{
    assert(bytes > 0 && compressor->rest.len > 0);
    assert(*inout_len <= compressor->size);
    if (bytes > compressor->rest.len)
        bytes = compressor->rest.len;
    if (bytes > STEP_MAX)
        bytes = STEP_MAX;
    tg_compress_step_t step = compressor->coding == TG_CODING_GZIP
                                  ? step_gzip(compressor, bytes, out, inout_len)
                                  : step_zstd(compressor, bytes, out, inout_len);
    compressor->rest.ptr += bytes;
    compressor->rest.len -= bytes;
    return step;
}
