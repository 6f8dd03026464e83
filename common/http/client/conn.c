/* Connections to one instance: connect -> send -> read -> keep, one call at a time.
 *
 * The head and the body go out in one writev; reading stays on for the connection's whole life, so
 * a kept one that the other side closes is noticed at once and costs no change of interest per
 * call. An upstream that is shutting down may have closed it in this very turn: a call that may be
 * repeated then goes to a fresh one, for any other the socket is peeked at before. */
#include <errno.h>
#include <stdlib.h>

#include "common/http/client/private.h"

#define ROOM_MAX ((size_t)256 << 10)

struct conn {
    h2o_linklist_t link, idle_link;
    struct instance *instance;
    h2o_socket_t *sock;
    tg_http_call_t *call; /* NULL while kept */
    bool connected;
    bool used;     /* has carried a call before this one */
    bool answered; /* bytes of the answer have come */
    uint64_t idle_since_ms;
    tg_timer_t timer; /* connect timeout, then idle timeout */
    tg_response_parser_t parser;
};

static void on_read(h2o_socket_t *sock, const char *err);
static void serve_waiting(struct instance *instance);

/* --- life --- */

/* Frees the connection; its call, if any, is detached and returned. */
static tg_http_call_t *conn_close(struct conn *conn)
{
    struct instance *instance = conn->instance;
    tg_http_call_t *call = conn->call;
    if (call != NULL) {
        assert(call->conn == conn);
        assert(!h2o_linklist_is_linked(&conn->idle_link));
        call->conn = NULL;
        assert(instance->inflight > 0);
        instance->inflight--;
    } else if (h2o_linklist_is_linked(&conn->idle_link)) {
        h2o_linklist_unlink(&conn->idle_link);
    }
    tg_timer_stop(&conn->timer);
    h2o_linklist_unlink(&conn->link);
    assert(instance->conn_count > 0);
    instance->conn_count--;
    h2o_socket_close(conn->sock);
    free(conn);
    return call;
}

/* Ends a call with its connection; a waiting call takes the place. */
static void conn_fail(struct conn *conn, enum exchange_end end)
{
    struct instance *instance = conn->instance;
    tg_http_call_t *call = conn_close(conn);
    serve_waiting(instance);
    if (call != NULL)
        tg_client_on_end(call, end);
}

static void on_idle_timer(void *arg)
{
    struct conn *conn = arg;
    tg_loop_t *loop = conn->instance->client->loop;
    uint64_t limit = conn->instance->client->config.idle_timeout_ms;
    uint64_t idle = conn->call == NULL ? tg_loop_now_ms(loop) - conn->idle_since_ms : 0;
    if (idle >= limit)
        (void)conn_close(conn);
    else
        tg_timer_start(loop, &conn->timer, limit - idle, on_idle_timer, conn);
}

static void on_connect_timeout(void *arg)
{
    conn_fail(arg, EXCHANGE_NOT_SENT);
}

/* --- sending --- */

static enum exchange_end lost(const struct conn *conn)
{
    if (!conn->connected)
        return EXCHANGE_NOT_SENT;
    if (conn->answered)
        return EXCHANGE_BAD; /* half an answer is a malformed one */
    return conn->used ? EXCHANGE_STALE : EXCHANGE_BROKEN;
}

static void on_written(h2o_socket_t *sock, const char *err)
{
    struct conn *conn = sock->data;
    /* An upstream that refuses a large body answers and closes while we still write: what it said
     * is read first. */
    if (err != NULL && conn->call == NULL)
        (void)conn_close(conn);
}

/* Room for an answer like the last one, so that one read has it whole; and for 4 KiB more, without
 * which h2o, before it reads on, doubles the buffer. Its first buffer, which is kept for reuse, has
 * 4 KiB. */
static void expect_answer(struct conn *conn)
{
    size_t size = conn->instance->last_answer;
    assert(conn->sock->input->size == 0);
    if (size < H2O_SOCKET_INITIAL_INPUT_BUFFER_SIZE)
        return;
    (void)h2o_buffer_reserve(&conn->sock->input, (size < ROOM_MAX ? size : ROOM_MAX) + 4096);
}

static void conn_send(struct conn *conn)
{
    tg_http_call_t *call = conn->call;
    assert(conn->connected && call != NULL);
    tg_str_t head = tg_client_head(call);
    h2o_iovec_t parts[] = {h2o_iovec_init(head.ptr, head.len),
                           h2o_iovec_init(call->body.ptr, call->body.len)};
    conn->answered = false;
    expect_answer(conn);
    conn->parser = tg_response_parser_make(conn->instance->client->config.max_body, call->to_head);
    h2o_socket_write(conn->sock, parts, call->body.len > 0 ? 2 : 1, on_written);
}

static void conn_give(struct conn *conn, tg_http_call_t *call)
{
    assert(call->conn == NULL);
    assert(conn->call == NULL);
    conn->call = call;
    call->conn = conn;
    call->step = CALL_ON_CONN;
    conn->instance->inflight++;
}

static void on_connected(h2o_socket_t *sock, const char *err)
{
    struct conn *conn = sock->data;
    assert(conn->sock == sock && !conn->connected);
    if (err != NULL) {
        conn_fail(conn, EXCHANGE_NOT_SENT);
        return;
    }
    conn->connected = true;
    tg_timer_start(conn->instance->client->loop, &conn->timer,
                   conn->instance->client->config.idle_timeout_ms, on_idle_timer, conn);
    h2o_socket_read_start(sock, on_read);
    conn_send(conn);
}

/* --- reading --- */

static void conn_keep(struct conn *conn)
{
    struct instance *instance = conn->instance;
    if (!conn->parser.keep || h2o_socket_is_writing(conn->sock)) {
        (void)conn_close(conn);
    } else {
        h2o_buffer_consume(&conn->sock->input, conn->sock->input->size); /* frees it */
        conn->used = true;
        conn->idle_since_ms = tg_loop_now_ms(instance->client->loop);
        h2o_linklist_insert(instance->idle.next, &conn->idle_link); /* to the front */
    }
    serve_waiting(instance);
}

static void conn_answer(struct conn *conn, tg_http_response_t *response)
{
    tg_http_call_t *call = conn->call;
    assert(call->step == CALL_ON_CONN && call->conn == conn);
    response->source = conn;
    conn->instance->last_answer = conn->sock->input->size;
    conn->call = NULL;
    call->conn = NULL;
    conn->instance->inflight--;
    tg_client_on_answer(call, response); /* borrows the input buffer until it returns */
    conn_keep(conn);
}

static void release_buffer(void *owner)
{
    h2o_buffer_t *buffer = owner;
    h2o_buffer_dispose(&buffer);
}

void tg_http_response_take(const tg_http_response_t *response, tg_http_bytes_t *out_body)
{
    struct conn *conn = response->source;
    assert(conn != NULL && conn->call == NULL);
    assert(conn->sock->input->size > 0);
    *out_body = (tg_http_bytes_t){response->body, release_buffer, conn->sock->input};
    h2o_buffer_init(&conn->sock->input, &h2o_socket_buffer_prototype);
}

/* For what is still to come, so that it is read at once and not in pieces that double; but no
 * memory to speak of for bytes that are only announced. */
static void make_room(struct conn *conn)
{
    size_t missing = tg_response_missing(&conn->parser, conn->sock->input->size);
    if (missing > 0)
        (void)h2o_buffer_reserve(&conn->sock->input, missing < ROOM_MAX ? missing : ROOM_MAX);
}

static void on_read(h2o_socket_t *sock, const char *err)
{
    struct conn *conn = sock->data;
    assert(conn->sock == sock && conn->connected);
    if (conn->call == NULL) { /* closed by the other side, or bytes that nobody asked for */
        (void)conn_close(conn);
        return;
    }
    conn->answered |= sock->input->size > 0;
    TG_UNINITIALIZED tg_http_header_t headers[TG_RESPONSE_HEADERS_MAX];
    tg_http_response_t response;
    tg_response_state_t state = TG_RESPONSE_MORE;
    if (sock->input->size > 0)
        state = tg_response_parse(&conn->parser, sock->input->bytes, &sock->input->size, headers,
                                  &response);
    if (state == TG_RESPONSE_DONE)
        conn_answer(conn, &response);
    else if (state == TG_RESPONSE_BAD)
        conn_fail(conn, EXCHANGE_BAD);
    else if (state == TG_RESPONSE_TOO_LARGE)
        conn_fail(conn, EXCHANGE_TOO_LARGE);
    else if (err != NULL)
        conn_fail(conn, lost(conn));
    else
        make_room(conn);
}

/* --- the pool --- */

static struct conn *conn_open(struct instance *instance)
{
    assert(instance->conn_count < instance->client->config.max_connections);
    struct conn *conn = calloc(1, sizeof(*conn));
    if (conn == NULL)
        return NULL;
    conn->instance = instance;
    conn->sock = h2o_socket_connect(tg_loop_h2o(instance->client->loop),
                                    (struct sockaddr *)&instance->address.where,
                                    instance->address.len, on_connected);
    if (conn->sock == NULL) {
        free(conn);
        return NULL;
    }
    conn->sock->data = conn;
    h2o_linklist_insert(&instance->conns, &conn->link);
    instance->conn_count++;
    tg_timer_start(instance->client->loop, &conn->timer,
                   instance->client->config.connect_timeout_ms, on_connect_timeout, conn);
    return conn;
}

static bool is_alive(const struct conn *conn)
{
    char byte;
    return recv(h2o_socket_get_fd(conn->sock), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           errno == EAGAIN;
}

/* A kept connection, or NULL. */
static struct conn *take_idle(struct instance *instance, bool surely_open)
{
    while (!h2o_linklist_is_empty(&instance->idle)) {
        struct conn *conn = H2O_STRUCT_FROM_MEMBER(struct conn, idle_link, instance->idle.next);
        h2o_linklist_unlink(&conn->idle_link);
        if (!surely_open || is_alive(conn))
            return conn;
        (void)conn_close(conn);
    }
    return NULL;
}

/* Starts the call on a kept or new connection. TG_FULL: all are in use. */
static tg_status_t start_call(tg_http_call_t *call, bool fresh)
{
    struct instance *instance = call->instance;
    struct conn *conn = fresh ? NULL : take_idle(instance, !call->idempotent);
    if (conn != NULL) {
        conn_give(conn, call);
        conn_send(conn);
        return TG_OK;
    }
    if (instance->conn_count >= instance->client->config.max_connections)
        return TG_FULL;
    conn = conn_open(instance);
    if (conn == NULL)
        return TG_UNAVAILABLE;
    conn_give(conn, call);
    return TG_OK;
}

tg_status_t tg_client_conn_acquire(tg_http_call_t *call, bool fresh)
{
    assert(call->instance != NULL && call->conn == NULL);
    struct instance *instance = call->instance;
    tg_status_t status = TG_FULL;
    if (instance->waiting_count == 0 || fresh)
        status = start_call(call, fresh);
    if (status != TG_FULL)
        return status;
    if (instance->waiting_count >= instance->client->config.max_waiting)
        return TG_FULL;
    call->step = CALL_WAITING;
    h2o_linklist_insert(&instance->waiting, &call->link);
    instance->waiting_count++;
    return TG_OK;
}

static tg_http_call_t *take_waiting(struct instance *instance)
{
    assert(instance->waiting_count > 0);
    tg_http_call_t *call = H2O_STRUCT_FROM_MEMBER(tg_http_call_t, link, instance->waiting.next);
    assert(call->step == CALL_WAITING);
    h2o_linklist_unlink(&call->link);
    instance->waiting_count--;
    return call;
}

static bool has_room(struct instance *instance)
{
    return !h2o_linklist_is_empty(&instance->idle) ||
           instance->conn_count < instance->client->config.max_connections;
}

static void serve_waiting(struct instance *instance)
{
    while (instance->waiting_count > 0 && has_room(instance)) {
        tg_http_call_t *call = take_waiting(instance);
        tg_status_t status = start_call(call, false);
        assert(status != TG_FULL);
        if (status != TG_OK)
            tg_client_on_end(call, EXCHANGE_NOT_SENT);
    }
}

void tg_client_conn_abandon(tg_http_call_t *call)
{
    struct instance *instance = call->instance;
    assert(call->step != CALL_DONE);
    if (call->step == CALL_WAITING) {
        h2o_linklist_unlink(&call->link);
        instance->waiting_count--;
    } else if (call->step == CALL_ON_CONN) {
        (void)conn_close(call->conn);
        serve_waiting(instance);
    }
}

tg_http_call_t *tg_client_conn_movable(struct instance *instance)
{
    for (h2o_linklist_t *at = instance->waiting.next; at != &instance->waiting; at = at->next) {
        tg_http_call_t *call = H2O_STRUCT_FROM_MEMBER(tg_http_call_t, link, at);
        if (!call->pinned)
            return call;
    }
    for (h2o_linklist_t *at = instance->conns.next; at != &instance->conns; at = at->next) {
        tg_http_call_t *call = H2O_STRUCT_FROM_MEMBER(struct conn, link, at)->call;
        if (call != NULL && call->idempotent && !call->pinned && !call->retried)
            return call;
    }
    return NULL;
}

void tg_client_conn_close_all(struct instance *instance)
{
    assert(instance->waiting_count == 0 && instance->inflight == 0);
    for (h2o_linklist_t *at = instance->conns.next, *next; at != &instance->conns; at = next) {
        next = at->next;
        (void)conn_close(H2O_STRUCT_FROM_MEMBER(struct conn, link, at));
    }
}
