/* See access.h. */
#include "common/http/shell/access.h"

#include <stdlib.h>

#include "common/base/hash.h"
#include "common/base/time.h"
#include "common/http/guard.h"
#include "common/http/shell/shell.h"
#include "common/observe/log.h"

/* Lives in the request's h2o pool, with the beginning of its line. */
struct tg_access_line {
    uint64_t started_us;
    size_t written; /* on the connection, before the answer */
    size_t len;
    char text[];
};

/* --- whether --- */

tg_status_t tg_http_access_parse(const char *text, tg_access_rule_t *out_rule, tg_error_t *error)
{
    static const struct {
        const char *word;
        tg_access_rule_t rule;
    } words[] = {{"", {false, 0}}, {"off", {false, 0}}, {"errors", {true, 0}}, {"all", {true, 1}}};
    const char *given = text == NULL ? "" : text;
    for (size_t i = 0; i < TG_ARRAY_LEN(words); i++) {
        if (strcmp(given, words[i].word) == 0) {
            *out_rule = words[i].rule;
            return TG_OK;
        }
    }
    uint64_t every = 0;
    if (strncmp(given, "1/", 2) != 0 || tg_str_to_u64(tg_str_from(given + 2), &every) != TG_OK ||
        every == 0)
        return tg_error_set(error, TG_INVALID,
                            "http.access_log: \"%.32s\" is none of off, errors, all, 1/N", given);
    *out_rule = (tg_access_rule_t){true, every};
    return TG_OK;
}

/* xorshift: no one in step with a counter can stay out of the sample. */
static bool is_sampled(tg_access_t *access, uint64_t every)
{
    if (every <= 1)
        return every == 1;
    if (access->random == 0)
        tg_hash_random(&access->random, sizeof(access->random));
    uint64_t x = access->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    access->random = x;
    return x % every == 0;
}

static bool may_log_error(tg_http_thread_t *thread)
{
    tg_access_t *access = &thread->access;
    uint64_t second = tg_loop_now_ms(thread->loop) / 1000;
    if (access->errors_second != second) {
        access->errors_second = second;
        access->errors = 0;
    }
    if (access->errors < TG_ACCESS_ERRORS) {
        access->errors++;
        return true;
    }
    tg_metric_add(thread->shard, HTTP_ACCESS_DROPPED, ACCESS_ERRORS, 1);
    return false;
}

static bool is_wanted(tg_http_thread_t *thread, int code)
{
    const tg_access_rule_t *rule = &thread->settings->access;
    if (!thread->is_api)
        return false;
    if (is_sampled(&thread->access, rule->every))
        return true;
    return rule->errors && code >= 400 && may_log_error(thread);
}

/* --- a line --- */

/* Without printf, which would be half of a line's cost. */
static void add_name(tg_buf_t *line, const char *name)
{
    tg_buf_str(line, TG_STR(",\""));
    tg_buf_str(line, tg_str_from(name));
    tg_buf_str(line, TG_STR("\":"));
}

static void add_text(tg_buf_t *line, const char *name, tg_str_t text)
{
    if (text.len == 0)
        return;
    add_name(line, name);
    tg_buf_json_string(line, text);
}

static void add_number(tg_buf_t *line, const char *name, uint64_t number)
{
    add_name(line, name);
    tg_buf_i64(line, (int64_t)number);
}

static void add_ms(tg_buf_t *line, const char *name, uint64_t us)
{
    const char digits[] = {'.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10),
                           (char)('0' + us % 10)};
    add_number(line, name, us / 1000);
    tg_buf_str(line, (tg_str_t){digits, sizeof(digits)});
}

static void add_trace(tg_buf_t *line, const tg_http_req_t *req)
{
    char text[TG_TRACE_TEXT_LEN];
    tg_trace_format(tg_http_trace(req), text);
    add_text(line, "trace_id", (tg_str_t){text + 3, 32}); /* 00-ID-… */
}

static void add_who(tg_buf_t *line, const tg_http_req_t *req)
{
    const tg_access_notes_t *notes = &req->notes;
    add_text(line, "tenant", notes->tenant[0] == '\0' ? req->tenant : tg_str_from(notes->tenant));
    add_text(line, "key", tg_str_from(notes->key));
    add_text(line, "client", tg_http_peer(req));
    const char *tls = h2o_socket_get_ssl_protocol_version(req->conn->sock);
    add_text(line, "tls", tg_str_from(tls == NULL ? "" : tls));
}

static void write_begin(tg_buf_t *line, tg_http_req_t *req, int code)
{
    const tg_access_notes_t *notes = &req->notes;
    char now[TG_TIME_TEXT_MAX];
    tg_time_format(tg_time_now(), now);
    tg_buf_str(line, TG_STR("{\"ts\":\""));
    tg_buf_str(line, tg_str_from(now));
    tg_buf_str(line, TG_STR("\",\"level\":\"info\""));
    add_text(line, "service", tg_str_from(req->thread->service->name));
    add_text(line, "event", TG_STR("request"));
    bool was_head = false;
    if (tg_http_guard_refusal(req->raw->input.method.base, &was_head) == NULL)
        add_text(line, "method", tg_http_method(req)); /* a token of at most 32 bytes */
    add_text(line, "route", tg_str_from(req->route == NULL ? "" : req->route->path));
    add_text(line, "http", (req->raw->version & 0xff) == 0 ? TG_STR("1.0") : TG_STR("1.1"));
    add_number(line, "status", (uint64_t)code);
    add_text(line, "code", tg_str_from(notes->code == NULL ? "" : notes->code));
    add_text(line, "request_id", tg_http_request_id(req));
    add_trace(line, req);
    add_who(line, req);
    if (notes->has_hops) {
        add_ms(line, "queue_ms", notes->queue_us);
        add_ms(line, "upstream_ms", notes->upstream_us);
    }
    add_number(line, "bytes_in", req->raw->entity.len);
}

void tg_http_access_begin(tg_http_req_t *req, int code)
{
    assert(req->ref->line == NULL);
    if (!is_wanted(req->thread, code))
        return;
    char text[TG_ACCESS_LINE_MAX];
    /* Storage of the full limit: never reallocated, not disposed of. */
    tg_buf_t buf = {.data = text, .cap = sizeof(text), .max = sizeof(text)};
    write_begin(&buf, req, code);
    if (buf.failed)
        return; /* no field of ours is that long */
    tg_access_line_t *line = h2o_mem_alloc_pool(&req->raw->pool, sizeof(*line) + buf.len);
    line->started_us = req->started_us;
    line->written = req->conn->sock->bytes_written;
    line->len = buf.len;
    memcpy(line->text, buf.data, buf.len);
    req->ref->line = line;
}

static void on_refused_dispose(void *ref)
{
    tg_http_access_end(ref);
}

void tg_http_access_refused(h2o_req_t *raw, int code, const char *word, tg_str_t id)
{
    tg_http_ref_t *ref = h2o_mem_alloc_shared(&raw->pool, sizeof(*ref), on_refused_dispose);
    *ref = (tg_http_ref_t){.conn = tg_http_conn_of(raw)};
    tg_http_req_t req = {.thread = ref->conn->thread,
                         .raw = raw,
                         .ref = ref,
                         .conn = ref->conn,
                         .started_us = tg_time_mono_us(),
                         .notes.code = word,
                         .id_len = id.len};
    assert(id.len <= sizeof(req.id));
    memcpy(req.id, id.ptr, id.len);
    tg_http_access_begin(&req, code);
}

/* --- the buffer --- */

/* By the timer, or when another TG_ACCESS_FLUSH bytes have come. */
static void on_flush(void *arg)
{
    tg_http_thread_t *thread = arg;
    tg_access_t *access = &thread->access;
    size_t taken = tg_log_lines((tg_str_t){access->buffer, access->len});
    assert(taken <= access->len);
    access->len -= taken;
    memmove(access->buffer, access->buffer + taken, access->len);
    access->flush_at = access->len + TG_ACCESS_FLUSH;
    if (access->len > 0) /* whoever reads the log is slow */
        tg_timer_start(thread->loop, &access->flush, TG_ACCESS_FLUSH_MS, on_flush, thread);
}

static char *room_for(tg_http_thread_t *thread, size_t len)
{
    tg_access_t *access = &thread->access;
    if (access->buffer == NULL) {
        access->buffer = malloc(TG_ACCESS_BUFFER);
        access->flush_at = TG_ACCESS_FLUSH;
    }
    if (access->buffer == NULL || TG_ACCESS_BUFFER - access->len < len) {
        tg_metric_add(thread->shard, HTTP_ACCESS_DROPPED, ACCESS_FULL, 1);
        return NULL;
    }
    return access->buffer + access->len;
}

void tg_http_access_end(tg_http_ref_t *ref)
{
    tg_access_line_t *line = ref->line;
    if (line == NULL)
        return;
    enum { TAIL_MAX = 96 };
    ref->line = NULL;
    tg_http_thread_t *thread = ref->conn->thread;
    char *to = room_for(thread, line->len + TAIL_MAX);
    if (to == NULL)
        return;
    tg_buf_t tail = {.data = to + line->len, .cap = TAIL_MAX, .max = TAIL_MAX};
    memcpy(to, line->text, line->len);
    add_number(&tail, "bytes_out", ref->conn->sock->bytes_written - line->written);
    add_ms(&tail, "ms", tg_time_mono_us() - line->started_us);
    tg_buf_str(&tail, TG_STR("}\n"));
    assert(!tail.failed); /* two numbers */
    thread->access.len += line->len + tail.len;
    if (thread->access.len >= thread->access.flush_at)
        on_flush(thread);
    else if (thread->access.flush.loop == NULL)
        tg_timer_start(thread->loop, &thread->access.flush, TG_ACCESS_FLUSH_MS, on_flush, thread);
}

void tg_http_access_close(tg_http_thread_t *thread)
{
    tg_access_t *access = &thread->access;
    if (access->len > 0)
        on_flush(thread);
    tg_timer_stop(&access->flush);
    free(access->buffer);
    access->buffer = NULL;
    access->len = 0;
}

/* --- notes --- */

void tg_http_note_key(tg_http_req_t *req, tg_str_t tenant, tg_str_t key_id)
{
    tg_access_notes_t *notes = &req->notes;
    assert(tenant.len < sizeof(notes->tenant) && key_id.len < sizeof(notes->key));
    memcpy(notes->tenant, tenant.ptr, tenant.len);
    notes->tenant[tenant.len] = '\0';
    memcpy(notes->key, key_id.ptr, key_id.len);
    notes->key[key_id.len] = '\0';
}

void tg_http_note_hops(tg_http_req_t *req, uint64_t queue_us, uint64_t upstream_us)
{
    req->notes.queue_us = queue_us;
    req->notes.upstream_us = upstream_us;
    req->notes.has_hops = true;
}
