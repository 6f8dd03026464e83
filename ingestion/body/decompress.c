/* One loop for both codings: a step turns some input into at most one chunk of output, and between
 * two steps the limits are looked at. So no more than a chunk is ever made beyond them. */
#include "ingestion/body/decompress.h"

#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define CHUNK         ((size_t)64 << 10)
#define GZIP_WINDOW   (15 + 16) /* the largest window; a gzip head, not a zlib one */
#define ZLIB_AVAIL(n) ((uInt)((n) < UINT32_MAX ? (n) : UINT32_MAX))

/* What is common to both; `in` is what has not been read yet. */
struct stream {
    tg_str_t in;
    tg_buf_t *out;
    size_t bound; /* more output than this is too much */
    bool done;    /* a member ended with the last step */
    tg_error_t *error;
};

/* --- steps --- */

static tg_status_t step_gzip(void *state, struct stream *stream, char *to, size_t room)
{
    z_stream *zip = state;
    zip->next_in = (Bytef *)(uintptr_t)stream->in.ptr;
    zip->avail_in = ZLIB_AVAIL(stream->in.len);
    zip->next_out = (Bytef *)to;
    zip->avail_out = ZLIB_AVAIL(room);
    uInt before = zip->avail_in;
    int code = inflate(zip, Z_NO_FLUSH);
    stream->in.ptr += before - zip->avail_in;
    stream->in.len -= before - zip->avail_in;
    stream->out->len += room - zip->avail_out;
    stream->done = code == Z_STREAM_END;
    if (code == Z_OK || code == Z_BUF_ERROR) /* the latter: nothing could be done, see advance() */
        return TG_OK;
    if (code == Z_MEM_ERROR)
        return TG_NOMEM;
    if (!stream->done)
        return tg_error_set(stream->error, TG_INVALID, "it is corrupt (%s)",
                            zip->msg == NULL ? "a dictionary is asked for" : zip->msg);
    return inflateReset(zip) == Z_OK ? TG_OK : TG_NOMEM;
}

static tg_status_t step_zstd(void *state, struct stream *stream, char *to, size_t room)
{
    ZSTD_inBuffer in = {stream->in.ptr, stream->in.len, 0};
    ZSTD_outBuffer out = {to, room, 0};
    size_t code = ZSTD_decompressStream(state, &out, &in);
    stream->in.ptr += in.pos;
    stream->in.len -= in.pos;
    stream->out->len += out.pos;
    stream->done = code == 0;
    if (!ZSTD_isError(code))
        return TG_OK;
    if (ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation)
        return TG_NOMEM;
    if (ZSTD_getErrorCode(code) == ZSTD_error_frameParameter_windowTooLarge)
        return tg_error_set(stream->error, TG_INVALID,
                            "its window is larger than %d MiB; compress without --long",
                            1 << (TG_DECOMPRESS_WINDOW_LOG - 20));
    return tg_error_set(stream->error, TG_INVALID, "it is corrupt (%s)", ZSTD_getErrorName(code));
}

/* --- the loop --- */

/* The most bytes that this body may become. */
static size_t bound(size_t packed, const tg_decompress_limits_t *limits)
{
    size_t by_ratio = packed > limits->max_bytes / limits->max_ratio
                          ? limits->max_bytes
                          : packed * (size_t)limits->max_ratio;
    size_t free = TG_DECOMPRESS_FREE < limits->max_bytes ? TG_DECOMPRESS_FREE : limits->max_bytes;
    return by_ratio > free ? by_ratio : free;
}

static tg_status_t too_large(const struct stream *stream, const tg_decompress_limits_t *limits)
{
    if (stream->bound == limits->max_bytes)
        return tg_error_set(stream->error, TG_TOO_LARGE,
                            "it has more than the limit of %zu bytes after decompression",
                            limits->max_bytes);
    return tg_error_set(stream->error, TG_TOO_LARGE,
                        "it decompresses to more than the limit of %llu times its size",
                        (unsigned long long)limits->max_ratio);
}

/* Whether a further member can begin with these bytes. A gzip member begins with 1f 8b; a zstd
 * frame with its magic number, a skippable one with another. */
static bool begins_member(tg_coding_t coding, tg_str_t rest)
{
    const unsigned char *at = (const unsigned char *)rest.ptr;
    if (coding == TG_CODING_GZIP)
        return rest.len >= 2 && at[0] == 0x1f && at[1] == 0x8b;
    return rest.len >= 4 &&
           ((at[0] == 0x28 && at[1] == 0xb5 && at[2] == 0x2f && at[3] == 0xfd) ||
            ((at[0] & 0xf0) == 0x50 && at[1] == 0x2a && at[2] == 0x4d && at[3] == 0x18));
}

typedef tg_status_t (*step_fn)(void *state, struct stream *stream, char *to, size_t room);

/* The end of a member: of all, or of the one before another. */
static tg_status_t next_member(tg_coding_t coding, const struct stream *stream, size_t *members,
                               bool *out_end)
{
    *out_end = stream->in.len == 0;
    if (*out_end)
        return TG_OK;
    if (!begins_member(coding, stream->in))
        return tg_error_set(stream->error, TG_INVALID, "%zu bytes that are no %s follow its end",
                            stream->in.len, tg_coding_name(coding));
    if (++*members > TG_DECOMPRESS_MEMBERS_MAX)
        return tg_error_set(stream->error, TG_TOO_LARGE, "it has more than the limit of %d members",
                            TG_DECOMPRESS_MEMBERS_MAX);
    return TG_OK;
}

static tg_status_t run(tg_coding_t coding, step_fn step, void *state, struct stream *stream,
                       const tg_decompress_limits_t *limits)
{
    size_t whole = stream->in.len, members = 1;
    for (bool end = false; !end;) {
        size_t room = stream->bound + 1 - stream->out->len, before = stream->out->len;
        size_t unread = stream->in.len;
        room = room < CHUNK ? room : CHUNK;
        char *to = tg_buf_reserve(stream->out, room);
        if (to == NULL)
            return TG_NOMEM;
        tg_status_t status = step(state, stream, to, room);
        if (status == TG_OK && stream->out->len > stream->bound)
            status = too_large(stream, limits);
        if (status == TG_OK && stream->done)
            status = next_member(coding, stream, &members, &end);
        else if (status == TG_OK && stream->out->len == before && stream->in.len == unread)
            status = tg_error_set(stream->error, TG_INVALID,
                                  "it is truncated: %zu bytes came, and its end is missing", whole);
        if (status != TG_OK)
            return status;
    }
    return TG_OK;
}

static tg_status_t run_gzip(struct stream *stream, const tg_decompress_limits_t *limits)
{
    z_stream zip = {0};
    if (inflateInit2(&zip, GZIP_WINDOW) != Z_OK)
        return TG_NOMEM;
    tg_status_t status = run(TG_CODING_GZIP, step_gzip, &zip, stream, limits);
    (void)inflateEnd(&zip);
    return status;
}

static tg_status_t run_zstd(struct stream *stream, const tg_decompress_limits_t *limits)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (context == NULL)
        return TG_NOMEM;
    size_t code = ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, TG_DECOMPRESS_WINDOW_LOG);
    assert(!ZSTD_isError(code));
    tg_status_t status = run(TG_CODING_ZSTD, step_zstd, context, stream, limits);
    (void)ZSTD_freeDCtx(context);
    return status;
}

tg_status_t tg_decompress(tg_coding_t coding, tg_str_t packed, const tg_decompress_limits_t *limits,
                          tg_buf_t *out, tg_error_t *error)
{
    assert(coding != TG_CODING_IDENTITY);
    assert(out->len == 0);
    assert(out->max > limits->max_bytes);
    assert(limits->max_ratio > 0);
    struct stream stream = {.in = packed,
                            .out = out,
                            .bound = bound(packed.len, limits),
                            .error = error};
    if (packed.len == 0)
        return tg_error_set(error, TG_INVALID, "it is truncated: no byte came");
    tg_status_t status =
        coding == TG_CODING_GZIP ? run_gzip(&stream, limits) : run_zstd(&stream, limits);
    return status == TG_NOMEM ? tg_error_set(error, TG_NOMEM, "out of memory") : status;
}
