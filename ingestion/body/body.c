/* Content-Encoding to bytes, and its refusals. */
#include "ingestion/body/body.h"

#include "ingestion/body/decompress.h"
#include "ingestion/metrics.h"
#include "ingestion/record/record.h"

bool tg_body_budget(const tg_ingestion_thread_t *thread, size_t bytes)
{
    tg_producer_stats_t stats;
    tg_producer_get_stats(thread->producer, &stats);
    uint64_t held = stats.inflight_bytes + thread->unpacked_bytes;
    return held == 0 || held + bytes <= thread->config->kafka_max_inflight;
}

/* The request's coding; on failure it was answered (RFC 9110 section 15.5.16: with what is taken).
 */
static tg_status_t read_coding(tg_http_req_t *req, tg_coding_t *out_coding)
{
    tg_str_t text = tg_http_header(req, "content-encoding");
    tg_status_t status = tg_coding_read(text, out_coding);
    if (status == TG_OK)
        return TG_OK;
    tg_http_add_header(req, "accept-encoding", TG_STR("gzip, zstd"));
    if (status == TG_INVALID)
        tg_http_fail(req, 415, "unsupported_encoding", TG_STR("Content-Encoding"),
                     "The body may be compressed once; several codings came.");
    else
        tg_http_fail(req, 415, "unsupported_encoding", TG_STR("Content-Encoding"),
                     "Content-Encoding must be gzip, zstd or absent; %.*s came.",
                     (int)(text.len < 40 ? text.len : 40), text.ptr);
    return TG_INVALID;
}

static void refuse(tg_http_req_t *req, tg_coding_t coding, const tg_error_t *error)
{
    const char *name = tg_coding_name(coding);
    switch (error->status) {
    case TG_INVALID:
        tg_http_fail(req, 400, "invalid_encoding", TG_STR("Content-Encoding"),
                     "The body is no whole %s: %s.", name, error->text);
        return;
    case TG_TOO_LARGE:
        tg_http_fail(req, 413, "body_too_large", TG_STR("Content-Encoding"),
                     "The %s body is too large: %s.", name, error->text);
        return;
    default:
        tg_record_fail_503(req, "overloaded");
    }
}

tg_status_t tg_body_open(tg_ingestion_thread_t *thread, tg_http_req_t *req, size_t max_bytes,
                         tg_body_t *out_body)
{
    assert(max_bytes > 0);
    tg_coding_t coding;
    tg_body_t body = {.text = tg_http_body(req), .unpacked = tg_buf_make(max_bytes + 1)};
    tg_status_t status = read_coding(req, &coding);
    if (status != TG_OK)
        return status;
    if (coding != TG_CODING_IDENTITY) {
        const tg_decompress_limits_t limits = {max_bytes, thread->config->body_max_ratio};
        tg_error_t error = {.status = TG_FULL};
        status = TG_FULL;
        if (tg_body_budget(thread, max_bytes))
            status = tg_decompress(coding, body.text, &limits, &body.unpacked, &error);
        tg_metric_add(thread->shard, ING_BODIES,
                      (unsigned)(coding - TG_CODING_GZIP) * ING_BODY_RESULTS +
                          tg_ingestion_body_result(status),
                      1);
        if (status != TG_OK) {
            tg_buf_dispose(&body.unpacked);
            refuse(req, coding, &error);
            return status;
        }
        body.text = tg_buf_view(&body.unpacked);
        thread->unpacked_bytes += body.unpacked.cap;
    }
    *out_body = body;
    return TG_OK;
}

void tg_body_close(tg_ingestion_thread_t *thread, tg_body_t *body)
{
    assert(thread->unpacked_bytes >= body->unpacked.cap);
    thread->unpacked_bytes -= body->unpacked.cap;
    tg_buf_dispose(&body->unpacked);
    body->text = (tg_str_t){NULL, 0};
}
