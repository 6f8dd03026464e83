/* One thread of the server: accepting, the timeouts of connections, draining.
 *
 * Timeouts are a sweep over the connections, not a timer each: h2o has one timeout for waiting and
 * for reading a request, and none for writing. 10,000 connections take some 50 µs every 250 ms.
 *
 * Draining: a filter on the listening socket makes the kernel drop new connection attempts while
 * handshakes under way still end; then all that wait in its backlog are accepted, then it is
 * closed: nobody who had a connection loses it. Only from then on do answers say Connection: close,
 * because a client that reconnects must be refused at once, not dropped and left trying for a
 * second. Kept connections get up to a second in which their next request is answered with
 * Connection: close; those still silent then are closed. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/tcp.h>
#include <stdlib.h>

#include "common/base/hash.h"
#include "common/base/thread.h"
#include "common/http/shell/shell.h"
#include "common/observe/log.h"

static void on_sweep(void *arg);
static void close_listener(tg_http_thread_t *thread);
static void on_listener(h2o_socket_t *listener, const char *err);

/* --- connections --- */

static void count_connections(tg_http_thread_t *thread)
{
    tg_metric_set(thread->shard, HTTP_CONNECTIONS, 0, (int64_t)thread->conn_count);
}

static void on_conn_close(void *data)
{
    tg_http_conn_t *conn = data;
    tg_http_thread_t *thread = conn->thread;
    assert(thread != NULL);
    h2o_linklist_unlink(&conn->link);
    assert(thread->conn_count > 0);
    thread->conn_count--;
    count_connections(thread);
    if (conn->linger_fd >= 0)
        tg_http_linger_start(thread, conn->linger_fd);
    SSL_CTX_free(conn->tls);
    tg_http_conn_depart(conn);
    free(conn);
    if (thread->paused && thread->listener != NULL) {
        thread->paused = false;
        h2o_socket_read_start(thread->listener, on_listener);
    }
}

static void adopt(tg_http_thread_t *thread, h2o_socket_t *sock)
{
    tg_http_conn_t *conn = calloc(1, sizeof(*conn));
    if (conn == NULL) {
        h2o_socket_close(sock);
        return;
    }
    conn->thread = thread;
    conn->sock = sock;
    conn->linger_fd = -1;
    if (!tg_http_conn_admit(conn)) {
        free(conn);
        return;
    }
    conn->since_ms = tg_loop_now_ms(thread->loop);
    h2o_linklist_insert(&thread->conns, &conn->link);
    thread->conn_count++;
    count_connections(thread);
    sock->on_close.cb = on_conn_close;
    sock->on_close.data = conn;
    if (thread->sweep.loop == NULL)
        tg_timer_start(thread->loop, &thread->sweep, TG_HTTP_SWEEP_MS, on_sweep, thread);
    if (thread->is_api && thread->settings->tls != NULL)
        tg_http_tls_begin(conn, thread->settings->tls);
    else
        h2o_accept(&thread->accept_ctx, sock);
}

static void on_resume(void *arg)
{
    tg_http_thread_t *thread = arg;
    if (thread->listener != NULL && !thread->paused)
        h2o_socket_read_start(thread->listener, on_listener);
}

static void on_listener(h2o_socket_t *listener, const char *err)
{
    (void)err;
    tg_http_thread_t *thread = listener->data;
    for (unsigned i = 0; i < TG_HTTP_ACCEPTS; i++) {
        if (thread->conn_count >= thread->settings->limits.max_connections) {
            thread->paused = true;
            h2o_socket_read_stop(listener);
            tg_metric_add(thread->shard, HTTP_LIMITED, LIMIT_CONNECTIONS, 1);
            return;
        }
        h2o_socket_t *sock = h2o_evloop_socket_accept(listener);
        if (sock != NULL) {
            adopt(thread, sock);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            h2o_socket_read_stop(listener); /* level-triggered: it would spin */
            tg_metric_add(thread->shard, HTTP_LIMITED, LIMIT_DESCRIPTORS, 1);
            tg_timer_start(thread->loop, &thread->resume, TG_HTTP_ACCEPT_PAUSE_MS, on_resume,
                           thread);
        }
        return;
    }
}

void tg_http_conn_request_done(tg_http_conn_t *conn)
{
    assert(conn->state != CONN_READING);
    tg_http_conn_unhold(conn); /* it was not answered */
    conn->state = CONN_READING;
    conn->partial = false;
    conn->since_ms = tg_loop_now_ms(conn->thread->loop);
}

void tg_http_conn_linger(tg_http_conn_t *conn)
{
    if (conn->linger_fd < 0)
        conn->linger_fd = fcntl(h2o_socket_get_fd(conn->sock), F_DUPFD_CLOEXEC, 0);
}

/* h2o sees the end of the stream (or a failing write) and closes the connection itself. */
static void cut(tg_http_conn_t *conn, unsigned reason, bool reset)
{
    int fd = h2o_socket_get_fd(conn->sock);
    if (reset) {
        struct linger hard = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    }
    (void)shutdown(fd, SHUT_RDWR);
    conn->cut = true;
    tg_metric_add(conn->thread->shard, HTTP_CUT, reason, 1);
}

/* --- the sweep --- */

/* Takes the reader's place until the connection is closed; false where h2o is not reading: it
 * writes its 100 Continue, or the connection is being closed already. */
static bool take_reader(tg_http_conn_t *conn, unsigned reason)
{
    h2o_socket_cb on_read = conn->sock->_cb.read;
    if (on_read == NULL || conn->on_read != NULL) {
        cut(conn, reason, false);
        return false;
    }
    tg_metric_add(conn->thread->shard, HTTP_CUT, reason, 1);
    conn->on_read = on_read;
    h2o_socket_read_stop(conn->sock);
    return true;
}

/* h2o closes as if the client had left; over TLS it says so to the client (close_notify). */
static void end_by_h2o(tg_http_conn_t *conn)
{
    conn->on_read(conn->sock, h2o_socket_error_closed); /* frees `conn`, now or soon */
}

static void on_farewell(h2o_socket_t *sock, const char *err)
{
    (void)err;
    end_by_h2o(sock->on_close.data);
}

/* Nothing of an answer has been written yet, so these bytes cannot land in the middle of one. A
 * shutdown would make the kernel reset a client that is still sending, and lose the answer: so our
 * duplicate of the socket lingers. If the client does not take it, the next sweep cuts. */
static void cut_with(tg_http_conn_t *conn, unsigned reason, tg_str_t answer)
{
    assert(conn->state == CONN_READING);
    if (!take_reader(conn, reason))
        return;
    tg_http_conn_linger(conn);
    h2o_iovec_t bytes = h2o_iovec_init(answer.ptr, answer.len);
    h2o_socket_write(conn->sock, &bytes, 1, on_farewell);
}

/* Closes a connection that waits for nothing of ours. */
static void hang_up(tg_http_conn_t *conn, unsigned reason)
{
    if (conn->tls == NULL)
        cut(conn, reason, false);
    else if (take_reader(conn, reason))
        end_by_h2o(conn);
}

static bool input_waits(const tg_http_conn_t *conn)
{
    char byte;
    return recv(h2o_socket_get_fd(conn->sock), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void sweep_idle(tg_http_conn_t *conn, uint64_t now)
{
    tg_http_thread_t *thread = conn->thread;
    if (thread->draining && now >= thread->lame_until_ms && !input_waits(conn))
        hang_up(conn, CUT_DRAIN);
    else if (now - conn->since_ms >= thread->settings->limits.idle_timeout_ms)
        hang_up(conn, CUT_IDLE);
}

static void sweep_reading(tg_http_conn_t *conn, uint64_t now)
{
    if (conn->sock->input->size == 0) {
        sweep_idle(conn, now);
        return;
    }
    if (!conn->partial) {
        conn->partial = true;
        conn->since_ms = now;
    } else if (now - conn->since_ms >= conn->thread->settings->limits.header_timeout_ms) {
        cut_with(conn, CUT_HEADER,
                 TG_STR("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"
                        "Content-Length: 0\r\n\r\n"));
    }
}

static void sweep_handshake(tg_http_conn_t *conn, uint64_t now)
{
    const tg_http_thread_t *thread = conn->thread;
    if (thread->draining && now >= thread->lame_until_ms && !input_waits(conn))
        hang_up(conn, CUT_DRAIN);
    else if (now - conn->since_ms >= thread->settings->limits.header_timeout_ms)
        hang_up(conn, CUT_HANDSHAKE);
}

static void sweep_writing(tg_http_conn_t *conn, uint64_t now)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);
    if (getsockopt(h2o_socket_get_fd(conn->sock), IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return;
    if (info.tcpi_bytes_acked - conn->acked >= TG_HTTP_WRITE_STEP) {
        conn->acked = info.tcpi_bytes_acked;
        conn->since_ms = now;
    } else if (now - conn->since_ms >= conn->thread->settings->limits.write_timeout_ms) {
        cut(conn, CUT_WRITE, true);
    }
}

/* Requests still arriving hold memory that nobody has admitted yet: above the limit the largest
 * of them is given up, and again, until the rest fits. */
static void shed_buffered(tg_http_thread_t *thread, size_t held)
{
    while (held > thread->settings->limits.max_buffered) {
        tg_http_conn_t *largest = NULL;
        size_t size = TG_HTTP_BUFFERED_MIN;
        for (h2o_linklist_t *at = thread->conns.next; at != &thread->conns; at = at->next) {
            tg_http_conn_t *conn = H2O_STRUCT_FROM_MEMBER(tg_http_conn_t, link, at);
            if (conn->state == CONN_READING && conn->on_read == NULL && !conn->cut &&
                conn->sock->input->capacity > size) {
                largest = conn;
                size = conn->sock->input->capacity;
            }
        }
        if (largest == NULL)
            return;
        held -= size;
        tg_metric_add(thread->shard, HTTP_LIMITED, LIMIT_BUFFERED, 1);
        cut_with(largest, CUT_BUFFERED,
                 TG_STR("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
                        "Retry-After: 1\r\nContent-Length: 0\r\n\r\n"));
    }
}

static void sweep_one(tg_http_conn_t *conn, uint64_t now)
{
    if (conn->cut)
        return;
    if (conn->on_read != NULL)
        cut(conn, CUT_WRITE, true); /* it has not even taken our farewell */
    else if (conn->state == CONN_READING)
        sweep_reading(conn, now);
    else if (conn->state == CONN_HANDSHAKE)
        sweep_handshake(conn, now);
    else if (conn->state == CONN_WRITING)
        sweep_writing(conn, now);
}

static void report_drained(tg_http_thread_t *thread)
{
    tg_http_server_t *server = thread->server;
    pthread_mutex_lock(&server->mutex);
    server->drained++;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->mutex);
}

static void on_sweep(void *arg)
{
    tg_http_thread_t *thread = arg;
    uint64_t now = tg_loop_now_ms(thread->loop);
    size_t held = 0;
    for (h2o_linklist_t *at = thread->conns.next, *next; at != &thread->conns; at = next) {
        tg_http_conn_t *conn = H2O_STRUCT_FROM_MEMBER(tg_http_conn_t, link, at);
        next = at->next; /* the sweep may end this one, and no other */
        held += conn->sock->input->size == 0 ? 0 : conn->sock->input->capacity;
        sweep_one(conn, now);
    }
    shed_buffered(thread, held);
    if (thread->listener != NULL && thread->draining && now >= thread->listen_until_ms)
        close_listener(thread);
    if (thread->draining && thread->listener == NULL && thread->conn_count == 0 &&
        thread->linger_count == 0)
        report_drained(thread);
    else if (thread->draining || thread->conn_count > 0)
        tg_timer_start(thread->loop, &thread->sweep,
                       thread->draining ? TG_HTTP_DRAIN_SWEEP_MS : TG_HTTP_SWEEP_MS, on_sweep,
                       thread);
}

/* --- draining --- */

/* New handshakes are dropped by the kernel, those under way still end. */
static void refuse_handshakes(tg_http_thread_t *thread)
{
    enum { FLAGS_AT = 13, SYN = 0x02, ACK = 0x10 };
    struct sock_filter drop_syn[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS_AT),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    struct sock_fprog program = {.len = TG_ARRAY_LEN(drop_syn), .filter = drop_syn};
    (void)setsockopt(h2o_socket_get_fd(thread->listener), SOL_SOCKET, SO_ATTACH_FILTER, &program,
                     sizeof(program)); /* best effort: without it a few late ones are reset */
}

static void close_listener(tg_http_thread_t *thread)
{
    assert(thread->draining && thread->listener != NULL);
    h2o_socket_t *sock;
    while ((sock = h2o_evloop_socket_accept(thread->listener)) != NULL)
        adopt(thread, sock);
    h2o_socket_close(thread->listener);
    thread->listener = NULL;
    thread->context.shutdown_requested = 1; /* the function for it starts a timer of HTTP/2's */
}

void tg_http_thread_begin_drain(void *arg)
{
    tg_http_thread_t *thread = arg;
    assert(!thread->draining);
    uint64_t lame = thread->settings->limits.drain_ms / 4;
    thread->draining = true;
    thread->lame_until_ms =
        tg_loop_now_ms(thread->loop) + (lame < TG_HTTP_LAME_MS ? lame : TG_HTTP_LAME_MS);
    thread->listen_until_ms = tg_loop_now_ms(thread->loop) + TG_HTTP_HANDSHAKE_MS;
    refuse_handshakes(thread);
    tg_timer_start(thread->loop, &thread->sweep, 0, on_sweep, thread);
}

void tg_http_thread_cut(void *arg)
{
    tg_http_thread_t *thread = arg;
    while (!h2o_linklist_is_empty(&thread->inflight)) {
        atomic_fetch_add(&thread->cut_requests, 1);
        tg_http_request_cut(H2O_STRUCT_FROM_MEMBER(tg_http_req_t, link, thread->inflight.next),
                            CANCEL_DRAIN);
    }
    for (h2o_linklist_t *at = thread->conns.next; at != &thread->conns; at = at->next) {
        tg_http_conn_t *conn = H2O_STRUCT_FROM_MEMBER(tg_http_conn_t, link, at);
        if (!conn->cut && (conn->state == CONN_READING || conn->state == CONN_HANDSHAKE ||
                           h2o_socket_is_writing(conn->sock)))
            cut(conn, CUT_DRAIN, false);
    }
    tg_http_encoder_flush(thread->encoder);
    tg_http_linger_stop_all(thread);
}

/* --- settings --- */

/* The sweep is stricter; h2o's own timeout is the net below it. */
static uint64_t h2o_timeout(const tg_http_config_t *limits)
{
    return limits->idle_timeout_ms + limits->header_timeout_ms + (uint64_t)4 * TG_HTTP_SWEEP_MS;
}

void tg_http_thread_settle(void *arg)
{
    tg_http_thread_t *thread = arg;
    tg_http_settings_t *next = atomic_exchange(&thread->next_settings, NULL);
    if (next == NULL)
        return; /* two posts, one value */
    tg_http_settings_unref(thread->settings);
    thread->settings = next;
    thread->context.http1.req_timeout.timeout = h2o_timeout(&next->limits);
}

/* --- life --- */

static size_t largest_body(const tg_http_service_t *service)
{
    size_t largest = 0;
    for (size_t i = 0; i < service->route_count; i++)
        if (service->routes[i].max_body > largest)
            largest = service->routes[i].max_body;
    return largest;
}

static void open_h2o(tg_http_thread_t *thread)
{
    const tg_http_config_t *limits = &thread->settings->limits;
    h2o_socket_buffer_prototype.mmap_settings = NULL; /* no request goes to a file in /tmp */
    h2o_config_init(&thread->config);
    thread->config.server_name = (h2o_iovec_t){NULL, 0}; /* each answer has it as a header */
    thread->config.max_request_entity_size = largest_body(thread->service) + 1;
    thread->config.http1.upgrade_to_http2 = 0;
    thread->config.http1.req_timeout = h2o_timeout(limits);
    h2o_hostconf_t *host =
        h2o_config_register_host(&thread->config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_create_handler(&host->fallback_path, sizeof(h2o_handler_t))->on_req =
        tg_http_request_on_req;
    h2o_create_filter(&host->fallback_path, sizeof(h2o_filter_t))->on_setup_ostream =
        tg_http_error_filter;
    h2o_socket_buffer_prototype.allocator.max = TG_HTTP_H2O_BUFFERS;
    h2o_context_init(&thread->context, tg_loop_h2o(thread->loop), &thread->config);
    thread->accept_ctx.ctx = &thread->context;
    thread->accept_ctx.hosts = thread->config.hosts;
}

static void open_listener(tg_http_thread_t *thread)
{
    assert(thread->listen_fd >= 0 && thread->listener == NULL);
    thread->listener = h2o_evloop_socket_create(tg_loop_h2o(thread->loop), thread->listen_fd,
                                                H2O_SOCKET_FLAG_DONT_READ);
    thread->listen_fd = -1;
    thread->listener->data = thread;
    h2o_socket_read_start(thread->listener, on_listener);
}

static tg_status_t thread_open(tg_http_thread_t *thread, tg_error_t *error)
{
    const tg_http_service_t *service = thread->service;
    h2o_linklist_init_anchor(&thread->conns);
    h2o_linklist_init_anchor(&thread->inflight);
    h2o_linklist_init_anchor(&thread->free_reqs);
    h2o_linklist_init_anchor(&thread->lingers);
    tg_hash_random(&thread->id_state, sizeof(thread->id_state));
    thread->routes = tg_routes_create(service->routes, service->route_count);
    thread->loop = tg_loop_create();
    thread->encoder = thread->is_api ? tg_http_encoder_create(thread) : NULL;
    if (thread->routes == NULL || thread->loop == NULL ||
        (thread->is_api && thread->encoder == NULL))
        return tg_error_set(error, TG_NOMEM, "Cannot create an event loop.");
    open_h2o(thread);
    tg_metrics_shard_t *shard =
        service->metrics == NULL ? NULL : tg_metrics_shard(service->metrics);
    if (service->thread_start != NULL) {
        tg_status_t status =
            service->thread_start(service->arg, thread->loop, shard, &thread->thread_ctx, error);
        if (status != TG_OK)
            return status;
    }
    thread->started = true;
    open_listener(thread);
    return TG_OK;
}

/* A connection that still stands after the drain is given some turns to notice that it was cut. */
static void close_connections(tg_http_thread_t *thread)
{
    for (unsigned turn = 0; thread->conn_count > 0 && turn < 100; turn++) {
        tg_http_thread_cut(thread);
        tg_loop_turn(thread->loop, 1);
    }
    assert(thread->conn_count == 0);
    tg_http_linger_stop_all(thread);
}

/* h2o keeps freed chunks and buffers per thread, and forgets them when the thread ends. */
static void free_caches(void)
{
    h2o_mem_recycle_t *buffers = &h2o_socket_buffer_prototype.allocator;
    while (buffers->cnt > 0)
        free(h2o_mem_alloc_recycle(buffers, H2O_SOCKET_INITIAL_INPUT_BUFFER_SIZE));
    for (unsigned i = 0; i < TG_HTTP_H2O_CHUNKS; i++) {
        h2o_mem_pool_t pool;
        h2o_mem_init_pool(&pool);
        (void)h2o_mem_alloc_pool(&pool, 1); /* a kept chunk while there is one */
        free(pool.chunks);
    }
}

static void thread_close(tg_http_thread_t *thread)
{
    if (thread->listener != NULL)
        h2o_socket_close(thread->listener);
    thread->listener = NULL;
    if (thread->listen_fd >= 0)
        close(thread->listen_fd);
    if (thread->loop != NULL)
        close_connections(thread);
    if (thread->started && thread->service->thread_stop != NULL)
        thread->service->thread_stop(thread->thread_ctx);
    if (thread->loop != NULL) {
        tg_timer_stop(&thread->sweep);
        tg_timer_stop(&thread->resume);
        tg_http_encoder_flush(thread->encoder);
        tg_http_access_close(thread);
        tg_http_requests_free(thread);
        tg_loop_turn(thread->loop, 0); /* lets h2o free the closed sockets */
        h2o_context_dispose(&thread->context);
        free(thread->context.queue); /* h2o 2.2.5 destroys it and does not free it */
        h2o_config_dispose(&thread->config);
        tg_loop_destroy(thread->loop);
        tg_http_encoder_destroy(thread->encoder); /* the loop may have called it once more */
        free_caches();
    }
    tg_routes_destroy(thread->routes);
}

static void report_start(tg_http_thread_t *thread, tg_status_t status, const tg_error_t *error)
{
    tg_http_server_t *server = thread->server;
    pthread_mutex_lock(&server->mutex);
    thread->runs = status == TG_OK;
    if (status == TG_OK)
        server->running++;
    else if (server->failed++ == 0)
        server->start_error = *error;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->mutex);
}

void tg_http_thread_main(tg_http_thread_t *thread)
{
    tg_error_t error = {.status = TG_INTERNAL};
    tg_thread_never_cancelled();
    tg_status_t status = thread_open(thread, &error);
    report_start(thread, status, &error);
    if (status == TG_OK)
        tg_loop_run(thread->loop);
    thread_close(thread);
}
