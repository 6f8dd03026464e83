/* Keeps a client's socket in the epoll set while its request is away.
 *
 * Why: h2o stops reading a connection until its request is answered, because the request's head and
 * body are pointers into the connection's input buffer, which reading may move. If the answer comes
 * in a later turn of the loop, that costs two epoll_ctl: 7 % of a proxied request. So h2o is given
 * a reader that reads nothing. Most clients send nothing before they are answered; where one does
 * (it pipelines, or has no more to say), its bytes stay in the kernel and the watching stops. */
#include "common/http/shell/shell.h"

static void on_early(h2o_socket_t *sock, const char *err)
{
    (void)err; /* whoever reads or writes next will see it too */
    h2o_socket_read_stop(sock);
}

void tg_http_conn_hold(tg_http_conn_t *conn)
{
    assert(conn->state == CONN_BUSY && !conn->held);
    if (conn->cut || conn->sock->_cb.read != NULL)
        return;
    conn->held = true;
    h2o_socket_dont_read(conn->sock, 1);
    h2o_socket_read_start(conn->sock, on_early);
}

void tg_http_conn_unhold(tg_http_conn_t *conn)
{
    if (!conn->held)
        return;
    conn->held = false;
    h2o_socket_read_stop(conn->sock);
    h2o_socket_dont_read(conn->sock, 0);
}
