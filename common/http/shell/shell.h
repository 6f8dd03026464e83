/* What the files of the server shell share: a thread with its loop and listener, a connection, a
 * request. For common/http only.
 *
 * A connection belongs to h2o; struct tg_http_conn stands beside it (h2o's on_close hook frees it)
 * and knows what h2o does not say: since when it idles, whether a request has come in part, whether
 * the answer makes progress. To close one the shell shuts the socket down, and h2o notices by
 * itself.
 *
 * Threads: everything here belongs to its loop's thread except what is marked otherwise. */
#ifndef TG_HTTP_SHELL_H
#define TG_HTTP_SHELL_H

#include <h2o.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include "common/http/edge/origins.h"
#include "common/http/server.h"
#include "common/http/shell/access.h"
#include "common/http/shell/peers.h"
#include "common/http/shell/routes.h"
#include "common/http/shell/settings.h"

enum {
#define TG_METRIC(id, ...) id,
#include "common/http/shell/metrics.def"
#undef TG_METRIC
    HTTP_METRIC_COUNT
};
enum { CUT_HEADER, CUT_IDLE, CUT_WRITE, CUT_DRAIN, CUT_BUFFERED, CUT_HANDSHAKE };
enum { ACCESS_FULL, ACCESS_ERRORS };
enum { HANDSHAKE_OK, HANDSHAKE_FAILED, HANDSHAKE_PLAIN };
enum {
    LIMIT_INFLIGHT,
    LIMIT_CONNECTIONS,
    LIMIT_BODY,
    LIMIT_DESCRIPTORS,
    LIMIT_BUFFERED,
    LIMIT_ADDRESS
};
enum { CANCEL_GONE, CANCEL_DEADLINE, CANCEL_DRAIN };

#define TG_HTTP_SWEEP_MS        250 /* how late a connection's timeout may strike */
#define TG_HTTP_DRAIN_SWEEP_MS  20
#define TG_HTTP_HANDSHAKE_MS    10   /* drain: for handshakes under way to end */
#define TG_HTTP_LAME_MS         1000 /* drain: kept connections may send one last request */
#define TG_HTTP_FREE_REQS       256  /* request structs kept per thread */
#define TG_HTTP_REQ_ID_MAX      64
#define TG_HTTP_MADE_ID_LEN     16
#define TG_HTTP_ARENA_MAX       ((size_t)64 << 20)
#define TG_HTTP_ACCEPTS         32                  /* connections accepted in one turn */
#define TG_HTTP_ACCEPT_PAUSE_MS 100                 /* after running out of descriptors */
#define TG_HTTP_BUFFERED_MAX    ((size_t)256 << 20) /* the default of http.max_buffered */
#define TG_HTTP_BUFFERED_MIN    ((size_t)64 << 10)  /* smaller requests are never given up for it */
#define TG_HTTP_H2O_BUFFERS     64                 /* freed read buffers (8 KiB) that it may keep */
#define TG_HTTP_H2O_CHUNKS      16                 /* freed pool chunks that h2o keeps per thread */
#define TG_HTTP_WRITE_STEP      ((size_t)16 << 10) /* what a client must take in http.write_timeout */
#define TG_HTTP_LINGERS_MAX     1024 /* closing connections whose input is still drained */
#define TG_HTTP_LINGER_MS       1000
#define TG_HTTP_RELOADS_MAX     16
#define TG_HTTP_LINGER_BYTES    ((size_t)64 << 20)

typedef struct tg_http_thread tg_http_thread_t;
typedef struct tg_http_encoder tg_http_encoder_t;

typedef enum tg_http_conn_state {
    CONN_READING,   /* idle, or a request has come in part */
    CONN_BUSY,      /* a handler has it */
    CONN_WRITING,   /* answered; h2o is sending */
    CONN_HANDSHAKE, /* of TLS: h2o has not got it yet */
} tg_http_conn_state_t;

typedef struct tg_http_conn {
    h2o_linklist_t link; /* in thread->conns */
    tg_http_thread_t *thread;
    h2o_socket_t *sock;
    tg_http_conn_state_t state;
    bool partial; /* CONN_READING: bytes of a request are there */
    bool cut;     /* shut down by us */
    bool head;    /* the request is a HEAD: its answer has no body */
    bool counted; /* at `place` in server->peers */
    uint16_t place;
    uint64_t since_ms;     /* of idleness, of the first byte, or of the last progress in writing */
    uint64_t acked;        /* bytes that the client's kernel has taken, at since_ms */
    int linger_fd;         /* -1, or a duplicate that outlives h2o's close */
    SSL_CTX *tls;          /* counted; NULL: plain */
    h2o_socket_cb on_read; /* h2o's, once we have begun to close; else NULL */
    bool held;             /* CONN_BUSY: the socket is watched, see hold.c */
} tg_http_conn_t;

/* Lives in h2o's request pool: its disposal is how we learn that h2o is done with the request. */
typedef struct tg_access_line tg_access_line_t;
typedef struct tg_http_ref {
    tg_http_req_t *req; /* NULL after the answer */
    tg_http_conn_t *conn;
    tg_access_line_t *line; /* of the access log, begun; NULL: none */
} tg_http_ref_t;

struct tg_http_req {
    h2o_linklist_t link; /* in thread->inflight, or in thread->free_reqs */
    tg_http_thread_t *thread;
    h2o_req_t *raw;
    tg_http_ref_t *ref;
    tg_http_conn_t *conn;
    const tg_http_route_t *route; /* NULL before it is found */
    tg_arena_t *arena;            /* kept with the struct */
    tg_str_t path, query, tenant;
    tg_route_match_t match;
    tg_param_value_t *params;
    uint64_t started_us, deadline_at_ms;
    tg_timer_t deadline;
    void *user;
    void (*on_cancel)(void *user);
    tg_access_notes_t notes;
    tg_trace_t trace;
    bool has_trace, close;
    bool from_peer; /* had the shared secret */
    size_t id_len, peer_len;
    char id[TG_HTTP_REQ_ID_MAX];
    char peer[INET6_ADDRSTRLEN];
};

struct tg_http_thread {
    tg_http_server_t *server;
    const tg_http_service_t *service;
    tg_routes_t *routes;
    tg_http_settings_t *settings;                /* a reference */
    _Atomic(tg_http_settings_t *) next_settings; /* posted, a reference; NULL: none */
    pthread_t id;
    bool is_api;   /* not the admin's */
    bool started;  /* service->thread_start has succeeded */
    bool runs;     /* guarded by server->mutex: the loop is there */
    int listen_fd; /* taken by the thread */

    tg_loop_t *loop;
    h2o_globalconf_t config;
    h2o_context_t context;
    h2o_accept_ctx_t accept_ctx;
    h2o_socket_t *listener;
    bool paused; /* the listener waits for a connection to end */
    tg_timer_t resume, sweep;
    tg_access_t access;

    h2o_linklist_t conns, inflight, free_reqs;
    size_t conn_count, inflight_count, free_count, linger_count;
    h2o_linklist_t lingers;
    bool draining;
    uint64_t listen_until_ms, lame_until_ms; /* while draining */
    _Atomic size_t cut_requests;             /* read by the main thread */

    void *thread_ctx;
    tg_metrics_shard_t *shard;  /* of the server's own metrics */
    tg_http_encoder_t *encoder; /* NULL on the admin thread */
    tg_http_req_t *handling;    /* the request whose handler runs now; NULL once answered */
    uint64_t id_state;          /* for request ids */
};

struct tg_http_server {
    const tg_http_service_t *service;
    tg_http_settings_t *settings; /* a reference, of the main thread */
    tg_http_service_t admin_service;
    tg_metrics_t *metrics;
    tg_http_peers_t *peers;
    tg_http_thread_t *threads; /* the API's, then the admin's */
    size_t api_count, thread_count;
    uint16_t port, admin_port;
    _Atomic bool draining;
    _Atomic uint64_t refused_seen;

    pthread_mutex_t mutex; /* guards what follows; `changed` is signalled with it */
    pthread_cond_t changed;
    size_t running, failed, drained;
    tg_http_reload_t *reloads; /* asked for by requests; owned */
    size_t reload_count;
    tg_error_t start_error;
    pthread_mutex_t ready_mutex; /* one caller of service->ready at a time */
};

/* thread.c */
void tg_http_thread_main(tg_http_thread_t *thread);
void tg_http_thread_begin_drain(void *thread); /* posted to the loop */
void tg_http_thread_settle(void *thread);      /* posted: takes next_settings */
void tg_http_thread_cut(void *thread);         /* posted: ends what is still in flight */
void tg_http_conn_request_done(tg_http_conn_t *conn);
void tg_http_conn_linger(tg_http_conn_t *conn); /* the coming close must not destroy the answer */

/* hold.c */
void tg_http_conn_hold(tg_http_conn_t *conn);   /* its request will be answered later */
void tg_http_conn_unhold(tg_http_conn_t *conn); /* before h2o is told anything; also if not held */

/* reload.c */
void tg_http_reload_run(tg_http_server_t *server); /* on SIGHUP */
void tg_http_reload_end(tg_http_server_t *server); /* the loops have ended */

/* linger.c */
void tg_http_linger_start(tg_http_thread_t *thread, int fd); /* takes `fd` */
void tg_http_linger_stop_all(tg_http_thread_t *thread);

/* request.c */
int tg_http_request_on_req(h2o_handler_t *self, h2o_req_t *raw);
tg_http_thread_t *tg_http_thread_of(h2o_req_t *raw);
tg_http_conn_t *tg_http_conn_of(h2o_req_t *raw);
void tg_http_make_id(tg_http_thread_t *thread, char out[TG_HTTP_MADE_ID_LEN]);
void tg_http_request_release(tg_http_req_t *req);
void tg_http_request_cut(tg_http_req_t *req, int reason); /* CANCEL_*: tells the handler */
void tg_http_requests_free(tg_http_thread_t *thread);

/* reply.c */
const char *tg_http_reason(int code);
void tg_http_error_body(tg_http_format_t format, int http_code, const char *code, tg_str_t field,
                        tg_str_t message, tg_str_t request_id, tg_buf_t *out);
const char *tg_http_error_type(tg_http_format_t format);
void tg_http_error_filter(h2o_filter_t *self, h2o_req_t *raw, h2o_ostream_t **slot);
/* Sends what tg_http_encode has made of an answer's body, which lives as long as the request. */
void tg_http_send(tg_http_thread_t *thread, h2o_req_t *raw, h2o_iovec_t body);

/* encode.c */
tg_http_encoder_t *tg_http_encoder_create(tg_http_thread_t *thread); /* NULL: out of memory */
void tg_http_encoder_destroy(tg_http_encoder_t *encoder);
/* Chooses the answer's coding and puts the coded body in the place of the body; false when
 * tg_http_send will be called in a later turn. */
TG_NODISCARD bool tg_http_encode(tg_http_encoder_t *encoder, h2o_req_t *raw,
                                 const char *content_type, h2o_iovec_t *inout_body);
/* Says in a 304 what the answer whose place it takes would have said of its coding. */
void tg_http_encode_unchanged(h2o_req_t *raw);
void tg_http_encoder_flush(tg_http_encoder_t *encoder); /* sends what waits, as it is */

/* admit.c */
/* Whether the accepted connection may stay; if not, it has been answered (a plain one) and its
 * socket closed. */
TG_NODISCARD bool tg_http_conn_admit(tg_http_conn_t *conn);
void tg_http_conn_depart(const tg_http_conn_t *conn);

/* cors.c */
void tg_http_cors_announce(const tg_http_thread_t *thread, h2o_req_t *raw);
/* Answers the OPTIONS request if it is a browser's preflight for a path that takes the methods
 * `allow`; false when it is none. */
TG_NODISCARD bool tg_http_cors_preflight(tg_http_req_t *req, const char *allow);

/* admin.c */
extern const tg_http_route_t tg_http_admin_routes[];
extern const size_t tg_http_admin_route_count;

/* listen.c */
TG_NODISCARD tg_status_t tg_http_listen(const char *address, size_t count, int *out_fds,
                                        uint16_t *out_port, tg_error_t *error);

#endif
