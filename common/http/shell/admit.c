/* The door: whether a connection that was accepted may stay, by how many its address has open.
 *
 * A refusal is told in plain HTTP before anything is read, so that a person who meets it sees why;
 * under TLS nobody could read it, and the connection is just closed. */
#include <fcntl.h>
#include <sys/socket.h>

#include "common/http/shell/shell.h"

#define REFUSAL_BODY                                                                               \
    "{\"error\":{\"code\":\"too_many_connections\",\"message\":\"Your address has too many "       \
    "connections open here; use those.\"}}"
#define REFUSAL_HEAD                                                                               \
    "HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nRetry-After: 1\r\n"                    \
    "Content-Type: application/json\r\nContent-Length: "

static void refuse(tg_http_thread_t *thread, h2o_socket_t *sock)
{
    static const char text[] = REFUSAL_HEAD "113\r\n\r\n" REFUSAL_BODY;
    _Static_assert(sizeof(REFUSAL_BODY) - 1 == 113, "as its Content-Length says");
    tg_metric_add(thread->shard, HTTP_LIMITED, LIMIT_ADDRESS, 1);
    int fd =
        thread->settings->tls == NULL ? fcntl(h2o_socket_get_fd(sock), F_DUPFD_CLOEXEC, 0) : -1;
    h2o_socket_close(sock);
    if (fd < 0)
        return;
    (void)send(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    tg_http_linger_start(thread, fd);
}

bool tg_http_conn_admit(tg_http_conn_t *conn)
{
    tg_http_thread_t *thread = conn->thread;
    struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
    uint64_t limit = thread->is_api ? thread->settings->limits.max_per_address : 0;
    if (limit == 0 || h2o_socket_getpeername(conn->sock, (struct sockaddr *)&from) == 0)
        return true;
    conn->counted =
        tg_http_peers_enter(thread->server->peers, (struct sockaddr *)&from, limit, &conn->place);
    if (!conn->counted)
        refuse(thread, conn->sock);
    return conn->counted;
}

void tg_http_conn_depart(const tg_http_conn_t *conn)
{
    if (conn->counted)
        tg_http_peers_leave(conn->thread->server->peers, conn->place);
}
