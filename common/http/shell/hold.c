/* Keeps a client's socket in the epoll set while its request is away.
 *
 * Why: h2o stops reading a connection until its request is answered, because the request's head and
 * body are pointers into the connection's input buffer, which reading may move. If the answer comes
 * in a later turn of the loop, that costs two epoll_ctl: 7 % of a proxied request. So the input is
 * set aside, and h2o reads into an empty buffer meanwhile. Most clients send nothing there until
 * they are answered; if one does (it pipelines, or has no more to say), reading stops then, and
 * what it sent is put behind the rest once h2o has let go of the request.
 *
 * Plain connections only: over TLS the buffer is not where the socket is read into. */
#include <string.h>

#include "common/http/shell/shell.h"

static void on_early(h2o_socket_t *sock, const char *err)
{
    (void)err; /* whoever reads or writes next will see it too */
    h2o_socket_read_stop(sock);
}

void tg_http_conn_hold(tg_http_conn_t *conn)
{
    h2o_socket_t *sock = conn->sock;
    assert(conn->state == CONN_BUSY && conn->held == NULL);
    if (conn->tls != NULL || conn->cut || sock->_cb.read != NULL)
        return;
    conn->held = sock->input;
    h2o_buffer_init(&sock->input, &h2o_socket_buffer_prototype);
    h2o_socket_read_start(sock, on_early);
}

void tg_http_conn_unhold(tg_http_conn_t *conn)
{
    h2o_socket_t *sock = conn->sock;
    if (conn->held == NULL)
        return;
    if (sock->_cb.read != NULL)
        h2o_socket_read_stop(sock);
    assert(conn->early == NULL);
    conn->early = sock->input;
    sock->input = conn->held;
    conn->held = NULL;
    if (conn->early->size == 0)
        h2o_buffer_dispose(&conn->early);
}

void tg_http_conn_put_early(tg_http_conn_t *conn)
{
    tg_http_conn_unhold(conn); /* it was not answered */
    if (conn->early == NULL)
        return;
    h2o_iovec_t room = h2o_buffer_reserve(&conn->sock->input, conn->early->size);
    memcpy(room.base, conn->early->bytes, conn->early->size);
    conn->sock->input->size += conn->early->size;
    h2o_buffer_dispose(&conn->early);
}

void tg_http_conn_drop_early(tg_http_conn_t *conn)
{
    if (conn->held != NULL)
        h2o_buffer_dispose(&conn->held);
    if (conn->early != NULL)
        h2o_buffer_dispose(&conn->early);
}
