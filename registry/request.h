/* One request to the registry: who asks, in which context, its query parameters, the wait for the
 * database, and answers in Confluent's form. Every handler begins with tg_request_begin and ends in
 * exactly one of tg_request_reply*, tg_request_fail*.
 *
 * Who asks: the gateway names the tenant beside the services' shared secret; the other services
 * have the secret alone and see the default context; everybody else is an operator and must have
 * the configured credentials (HTTP Basic), without which there are no operators.
 *
 * Error codes are Confluent's five digits, whose first three are the HTTP code: docs/registry.md
 * has the table.
 *
 * Threads: a request belongs to its thread. It lives in the HTTP request's arena. */
#ifndef TG_REGISTRY_REQUEST_H
#define TG_REGISTRY_REQUEST_H

#include "common/http/server.h"
#include "common/pg/pool.h"
#include "registry/context.h"
#include "registry/registry.h"
#include "registry/store/store.h"

#define TG_REQUEST_CONTENT_TYPE "application/vnd.schemaregistry.v1+json"
#define TG_REQUEST_ANSWER_MAX   ((size_t)64 << 20)
#define TG_REQUEST_BODY_MAX     ((size_t)1 << 20)
#define TG_REQUEST_LARGE        ((size_t)64 << 10) /* an answer that counts into the next */
#define TG_REQUEST_SENDING_MAX  ((size_t)64 << 20) /* of all that clients have not read yet */

typedef struct tg_request {
    tg_http_req_t *req;
    tg_registry_thread_t *thread;
    tg_arena_t *arena;
    tg_viewer_t viewer;
    tg_str_t context; /* of the subject, the path's prefix, the viewer's own: the first there is */
    tg_str_t behind;  /* "" for a tenant, else `context`: where reading looks next */
    tg_subject_name_t subject; /* after tg_request_subject */
    void *user;                /* the handler's own state, and what frees what that owns: called
                                  once, before the answer or when the request goes away */
    void (*dispose)(struct tg_request *request);

    void *waiting; /* the state of a shared step under way, as registry/candidate.c */

    /* private */
    unsigned first_segment; /* of the route without its prefix */
    tg_pg_call_t *call;     /* the one wait in flight */
    void (*cancel)(void *); /* another wait than a call */
    void *cancel_arg;
    uint64_t asked_us;
} tg_request_t;

/* A route: `path` as Confluent has it; it is served below "/contexts/:context" as well. */
typedef struct tg_registry_route {
    const char *method, *path;
    void (*handler)(tg_http_req_t *req, void *thread_ctx);
    size_t max_body; /* 0: takes no body */
} tg_registry_route_t;

/* NULL when the request is answered already. */
tg_request_t *tg_request_begin(tg_http_req_t *req, void *thread_ctx);

/* Makes request->user, zeroed, of that size; NULL when out of memory, which is then answered. */
void *tg_request_state(tg_request_t *request, size_t size);

/* The n-th :name of the route, without the prefix's. */
tg_str_t tg_request_segment(const tg_request_t *request, unsigned index);

/* Reads the subject from that segment into request->subject, and request->behind with it; false
 * when answered already. */
enum { TG_SUBJECT_MAY_BE_EMPTY = 1 /* ":.context:", the context itself */ };
TG_NODISCARD bool tg_request_subject(tg_request_t *request, unsigned segment, unsigned flags);

/* Resolves the name of a subject that stands elsewhere; answered unless TG_OK. */
TG_NODISCARD tg_status_t tg_request_take_subject(tg_request_t *request, tg_str_t text,
                                                 tg_subject_name_t *out_subject);

/* "subjectPrefix" of a list: gives the name's part and sets the ask's context: ptr NULL for all
 * (":*:", and what an operator gets who names none; an empty one is the default context). False
 * when answered. */
TG_NODISCARD bool tg_request_prefix(tg_request_t *request, tg_store_ask_t *ask,
                                    tg_str_t *out_prefix);

/* Query parameters. A flag is "true" in any case, all else is false, as Java reads it; a text is
 * {NULL, 0} when absent, and its `index`-th occurrence where a name may come more than once. */
bool tg_request_flag(const tg_request_t *request, const char *name);
tg_str_t tg_request_text(const tg_request_t *request, const char *name, unsigned index);
/* `fallback` when absent; false (answered) when it is no whole number. */
TG_NODISCARD bool tg_request_number(tg_request_t *request, const char *name, int64_t fallback,
                                    int64_t *out_number);

/* deleted, deletedOnly, offset and limit, which is at most `most`; false when answered. */
TG_NODISCARD bool tg_request_page(tg_request_t *request, int64_t most, tg_store_page_t *out_page);

/* The body's media type is one that the registry reads, or none is said; false when answered. */
TG_NODISCARD bool tg_request_body_ok(tg_request_t *request);

/* Until when the database may take: a little before the request's own deadline, so that it is we
 * who say what was slow. */
uint64_t tg_request_deadline(const tg_request_t *request);

/* A question in the request's context, under its deadline. */
tg_store_ask_t tg_request_ask(tg_request_t *request, tg_pg_done_fn done);

/* Waits for `call` (NULL: out of memory, answered). The callback begins with tg_request_woken,
 * which gives false when it has answered a failure of the database. */
void tg_request_wait(tg_request_t *request, tg_pg_call_t *call);
TG_NODISCARD bool tg_request_woken(tg_request_t *request, tg_status_t status,
                                   const tg_pg_answer_t *answer);
/* The same in two steps, for those who understand some failures themselves. */
void tg_request_settle(tg_request_t *request);
void tg_request_fail_store(tg_request_t *request, tg_status_t status, const tg_pg_answer_t *answer);

/* Waits for something else: `cancel(arg)` is called when the request goes away meanwhile. */
void tg_request_wait_other(tg_request_t *request, void (*cancel)(void *), void *arg);

/* Answers. Large ones wait in memory until their clients have read them, so all of a process
 * together are bounded: beyond TG_REQUEST_SENDING_MAX they are refused (503). `code` is Confluent's
 * (40401) or an HTTP code (409). */
void tg_request_reply(tg_request_t *request, tg_buf_t *body);
void tg_request_reply_text(tg_request_t *request, tg_str_t body);
void tg_request_fail(tg_request_t *request, unsigned code, const char *format, ...) TG_PRINTF(3, 4);
void tg_request_fail_text(tg_request_t *request, unsigned code,
                          tg_str_t message); /* of any length */

/* The request's subject and its context as its viewer writes them; in the arena. */
tg_str_t tg_request_shown(const tg_request_t *request);
tg_str_t tg_request_shown_context(const tg_request_t *request);

/* Confluent's words for what several handlers say. */
void tg_request_no_subject(tg_request_t *request);
void tg_request_no_version(tg_request_t *request, tg_str_t version);
void tg_request_no_schema(tg_request_t *request);
void tg_request_reserved(tg_request_t *request); /* the default context's, for a tenant: 40301 */

/* 1 to 2^31-1; "latest" and "-1" are 0. False (answered, 42202) for all else. */
TG_NODISCARD bool tg_request_version(tg_request_t *request, tg_str_t text, uint32_t *out_version);

#endif
