/* The access log: one JSON line per request, on the stream of the log.
 *
 * A request that is to be logged gets its line begun when it is answered (in h2o's pool, where it
 * outlives our request struct) and ended when h2o has handed the last byte to the kernel. Lines
 * wait in the thread's buffer and are written some times a second, without waiting: what does not
 * fit is dropped and counted. Errors are logged up to a bound per second, so that a flood of
 * refusals cannot fill a disk.
 *
 * Never in a line: the path as it came, the query, headers, keys (their ids only).
 *
 * Limits: TG_ACCESS_BUFFER bytes wait per thread; a line has at most TG_ACCESS_LINE_MAX;
 * TG_ACCESS_ERRORS lines per second and thread for errors alone.
 * Threads: the connection's. */
#ifndef TG_HTTP_ACCESS_H
#define TG_HTTP_ACCESS_H

#include "common/http/server.h"

#define TG_ACCESS_BUFFER   ((size_t)256 << 10)
#define TG_ACCESS_LINE_MAX 2048
#define TG_ACCESS_FLUSH    ((size_t)32 << 10) /* so many bytes are written before the time */
#define TG_ACCESS_FLUSH_MS 100
#define TG_ACCESS_ERRORS   100

/* What http.access_log says. */
typedef struct tg_access_rule {
    bool errors;    /* each answer of 400 and above, up to the bound */
    uint64_t every; /* one of so many of all; 0: none */
} tg_access_rule_t;

/* "off", "errors", "all", or "1/N": errors, and one of N of all; NULL and "" are off. */
TG_NODISCARD tg_status_t tg_http_access_parse(const char *text, tg_access_rule_t *out_rule,
                                              tg_error_t *error);

/* What is noted of a request for its line, besides what the shell knows. */
typedef struct tg_access_notes {
    char tenant[64], key[16];
    const char *code; /* of the error; lives until the answer */
    uint64_t queue_us, upstream_us;
    bool has_hops;
} tg_access_notes_t;

typedef struct tg_access {
    char *buffer; /* TG_ACCESS_BUFFER bytes; NULL before the first line */
    size_t len, flush_at;
    uint64_t errors_second, errors; /* lines of errors in that second */
    uint64_t random;
    tg_timer_t flush;
} tg_access_t;

struct tg_http_ref;
struct tg_http_thread;
struct st_h2o_req_t;

/* Of the answer that is about to be sent; decides whether there will be a line. */
void tg_http_access_begin(tg_http_req_t *req, int code);

/* The same of an answer that h2o makes itself, for what never became a request of ours. */
void tg_http_access_refused(struct st_h2o_req_t *raw, int code, const char *word, tg_str_t id);

/* h2o has let go of the request. */
void tg_http_access_end(struct tg_http_ref *ref);

/* Writes what waits, and frees the buffer. */
void tg_http_access_close(struct tg_http_thread *thread);

#endif
