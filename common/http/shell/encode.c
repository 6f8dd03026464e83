/* Answers in the coding that the client accepts (RFC 9110 section 12.5.3).
 *
 * Who does not ask pays for one look at the length, and for one at the list of headers when the
 * answer is long; the body is handed on as it is. A body of a slice is compressed at once; a larger
 * one is put in a queue and compressed slice by slice, one per turn of the loop, so that other
 * requests are served in between. The whole is sent with its length: a slow client holds no
 * compressor.
 *
 * The compressed bytes are another representation: a strong ETag becomes a weak one, under which
 * If-None-Match still finds it (section 13.1.2 compares weakly).
 *
 * BREACH: compression tells a secret from guesses that stand in the same body. No answer here has a
 * lasting secret and a client's text together: a new key is told once, so there is no second guess
 * to compare, and errors do not repeat credentials. */
#include <stdlib.h>

#include "common/http/edge/compress.h"
#include "common/http/shell/shell.h"

#define WORTH_BYTES ((size_t)1 << 10)  /* less is a packet anyway */
#define SLICE       ((size_t)64 << 10) /* some 150 µs */

struct tg_http_encoder {
    tg_http_thread_t *thread;
    tg_compressor_t *quick, *queued; /* of a job whose slices are under way */
    h2o_linklist_t jobs;             /* the first is in work */
    bool posted;                     /* on_turn has been asked for */
    tg_timer_t later;                /* when it could not be */
};

/* In the request's pool, as its output: they go when h2o lets go of the request. */
struct job {
    h2o_linklist_t link;
    h2o_req_t *raw;
    tg_coding_t coding;
    bool started;
    h2o_iovec_t content;
    char *out;
    size_t out_len;
};

tg_http_encoder_t *tg_http_encoder_create(tg_http_thread_t *thread)
{
    tg_http_encoder_t *encoder = calloc(1, sizeof(*encoder));
    if (encoder == NULL)
        return NULL;
    encoder->thread = thread;
    h2o_linklist_init_anchor(&encoder->jobs);
    encoder->quick = tg_compressor_create();
    encoder->queued = tg_compressor_create();
    if (encoder->quick != NULL && encoder->queued != NULL)
        return encoder;
    tg_http_encoder_destroy(encoder);
    return NULL;
}

void tg_http_encoder_destroy(tg_http_encoder_t *encoder)
{
    if (encoder == NULL)
        return;
    assert(h2o_linklist_is_empty(&encoder->jobs));
    tg_compressor_destroy(encoder->quick);
    tg_compressor_destroy(encoder->queued);
    free(encoder);
}

/* --- whether, and how --- */

static bool ends_with(tg_str_t text, const char *end)
{
    size_t len = strlen(end);
    return text.len >= len && memcmp(text.ptr + text.len - len, end, len) == 0;
}

/* Text in one of its forms. Not a stream of events, whose pieces must not wait for each other. */
static bool is_text(const char *content_type)
{
    if (content_type == NULL)
        return false;
    tg_str_t type = {content_type, strcspn(content_type, "; ")};
    return (type.len > 5 && memcmp(type.ptr, "text/", 5) == 0 &&
            !ends_with(type, "/event-stream")) ||
           ends_with(type, "json") || ends_with(type, "xml") || ends_with(type, "javascript");
}

/* Whether somebody has already decided about the coding of this answer. */
static bool is_settled(const h2o_req_t *raw)
{
    ssize_t at = -1;
    if (h2o_find_header(&raw->res.headers, H2O_TOKEN_CONTENT_ENCODING, -1) >= 0)
        return true;
    while ((at = h2o_find_header(&raw->res.headers, H2O_TOKEN_CACHE_CONTROL, at)) >= 0) {
        const h2o_iovec_t *value = &raw->res.headers.entries[at].value;
        if (memmem(value->base, value->len, "no-transform", 12) != NULL)
            return true;
    }
    return false;
}

/* All lines of Accept-Encoding; one that cannot be read takes the others with it. */
static tg_accept_t read_accept(const h2o_req_t *raw, ssize_t first)
{
    tg_accept_t accept = TG_ACCEPT_NOTHING;
    for (ssize_t at = first; at >= 0;
         at = h2o_find_header(&raw->headers, H2O_TOKEN_ACCEPT_ENCODING, at)) {
        const h2o_iovec_t *line = &raw->headers.entries[at].value;
        if (tg_accept_read((tg_str_t){line->base, line->len}, &accept) != TG_OK)
            return TG_ACCEPT_NOTHING;
    }
    return accept;
}

static void add_vary(h2o_req_t *raw)
{
    h2o_add_header(&raw->pool, &raw->res.headers, H2O_TOKEN_VARY, NULL,
                   H2O_STRLIT("Accept-Encoding"));
}

static tg_coding_t choose(h2o_req_t *raw, const char *content_type, size_t len)
{
    bool worth = len >= WORTH_BYTES && is_text(content_type) && !is_settled(raw);
    ssize_t first = h2o_find_header(&raw->headers, H2O_TOKEN_ACCEPT_ENCODING, -1);
    if (worth)
        add_vary(raw);
    if (first < 0)
        return TG_CODING_IDENTITY;
    const tg_accept_t accept = read_accept(raw, first);
    if (!worth && (!tg_accept_forbids_identity(&accept) || is_settled(raw)))
        return TG_CODING_IDENTITY;
    if (!worth)
        add_vary(raw);
    return tg_accept_choose(&accept);
}

/* --- the coded answer --- */

static void weaken_etag(h2o_req_t *raw)
{
    ssize_t at = h2o_find_header(&raw->res.headers, H2O_TOKEN_ETAG, -1);
    if (at < 0)
        return;
    h2o_iovec_t *tag = &raw->res.headers.entries[at].value;
    if (tag->len >= 2 && memcmp(tag->base, "W/", 2) == 0)
        return;
    *tag = h2o_concat(&raw->pool, h2o_iovec_init(H2O_STRLIT("W/")), *tag);
}

/* The 304 has no length or type by which to tell whether the body was worth a coding. Where it was
 * not, the tag is weaker than it need be; a strong tag for a copy that has a weak one would keep a
 * cache from using the 304 (RFC 9111 section 4.3.4). */
void tg_http_encode_unchanged(h2o_req_t *raw)
{
    ssize_t first = h2o_find_header(&raw->headers, H2O_TOKEN_ACCEPT_ENCODING, -1);
    const tg_accept_t accept = read_accept(raw, first);
    add_vary(raw);
    if (tg_accept_choose(&accept) != TG_CODING_IDENTITY)
        weaken_etag(raw);
}

static void on_output_dispose(void *data)
{
    free(*(char **)data);
}

/* Room for the output, which ends with the request; NULL when out of memory. */
static char *make_output(h2o_req_t *raw, size_t len)
{
    char **slot = h2o_mem_alloc_shared(&raw->pool, sizeof(*slot), on_output_dispose);
    *slot = malloc(len);
    return *slot;
}

static h2o_iovec_t finish(const tg_http_encoder_t *encoder, h2o_req_t *raw, tg_coding_t coding,
                          h2o_iovec_t content, h2o_iovec_t coded)
{
    const char *name = tg_coding_name(coding);
    tg_metrics_shard_t *shard = encoder->thread->shard;
    weaken_etag(raw);
    h2o_add_header(&raw->pool, &raw->res.headers, H2O_TOKEN_CONTENT_ENCODING, NULL, name,
                   strlen(name));
    tg_metric_add(shard, HTTP_COMPRESS_IN, (unsigned)coding - 1, content.len);
    tg_metric_add(shard, HTTP_COMPRESS_OUT, (unsigned)coding - 1, coded.len);
    return coded;
}

static h2o_iovec_t encode_now(const tg_http_encoder_t *encoder, h2o_req_t *raw, tg_coding_t coding,
                              h2o_iovec_t content)
{
    char *out = make_output(raw, content.len);
    size_t len = 0;
    if (out == NULL ||
        tg_compress_start(encoder->quick, coding, (tg_str_t){content.base, content.len}) != TG_OK)
        return content;
    if (tg_compress_step(encoder->quick, content.len, out, &len) != TG_COMPRESS_DONE)
        return content;
    return finish(encoder, raw, coding, content, h2o_iovec_init(out, len));
}

/* --- the queue of large ones --- */

static void job_send(const tg_http_encoder_t *encoder, struct job *job, h2o_iovec_t body)
{
    assert(h2o_linklist_is_linked(&job->link));
    h2o_linklist_unlink(&job->link);
    tg_http_send(encoder->thread, job->raw, body);
}

static tg_compress_step_t job_step(tg_http_encoder_t *encoder, struct job *job)
{
    if (!job->started) {
        job->started = true;
        job->out = make_output(job->raw, job->content.len);
        if (job->out == NULL ||
            tg_compress_start(encoder->queued, job->coding,
                              (tg_str_t){job->content.base, job->content.len}) != TG_OK)
            return TG_COMPRESS_VAIN;
    }
    return tg_compress_step(encoder->queued, SLICE, job->out, &job->out_len);
}

static void on_turn(void *arg);

/* A post, because those made in a turn are run in the next; timers may all run in one. */
static void ask_turn(tg_http_encoder_t *encoder)
{
    if (encoder->posted)
        return;
    encoder->posted = true;
    if (tg_loop_post(encoder->thread->loop, on_turn, encoder) == TG_FULL)
        tg_timer_start(encoder->thread->loop, &encoder->later, 1, on_turn, encoder);
}

static void on_turn(void *arg)
{
    tg_http_encoder_t *encoder = arg;
    encoder->posted = false;
    if (h2o_linklist_is_empty(&encoder->jobs))
        return;
    struct job *job = H2O_STRUCT_FROM_MEMBER(struct job, link, encoder->jobs.next);
    ask_turn(encoder);
    switch (job_step(encoder, job)) {
    case TG_COMPRESS_MORE:
        return;
    case TG_COMPRESS_DONE:
        job_send(encoder, job,
                 finish(encoder, job->raw, job->coding, job->content,
                        h2o_iovec_init(job->out, job->out_len)));
        return;
    case TG_COMPRESS_VAIN:
        job_send(encoder, job, job->content);
        return;
    }
}

static void on_job_dispose(void *data)
{
    struct job *job = data;
    if (h2o_linklist_is_linked(&job->link))
        h2o_linklist_unlink(&job->link);
}

static void enqueue(tg_http_encoder_t *encoder, h2o_req_t *raw, tg_coding_t coding,
                    h2o_iovec_t content)
{
    struct job *job = h2o_mem_alloc_shared(&raw->pool, sizeof(*job), on_job_dispose);
    *job = (struct job){.raw = raw, .coding = coding, .content = content};
    h2o_linklist_insert(&encoder->jobs, &job->link);
    ask_turn(encoder);
}

bool tg_http_encode(tg_http_encoder_t *encoder, h2o_req_t *raw, const char *content_type,
                    h2o_iovec_t *inout_body)
{
    tg_coding_t coding = choose(raw, content_type, inout_body->len);
    if (coding == TG_CODING_IDENTITY)
        return true;
    if (inout_body->len > SLICE) {
        enqueue(encoder, raw, coding, *inout_body);
        return false;
    }
    *inout_body = encode_now(encoder, raw, coding, *inout_body);
    return true;
}

void tg_http_encoder_flush(tg_http_encoder_t *encoder)
{
    if (encoder == NULL)
        return;
    if (encoder->later.loop != NULL) {
        tg_timer_stop(&encoder->later);
        encoder->posted = false;
    }
    while (!h2o_linklist_is_empty(&encoder->jobs)) {
        struct job *job = H2O_STRUCT_FROM_MEMBER(struct job, link, encoder->jobs.next);
        job_send(encoder, job, job->content);
    }
}
