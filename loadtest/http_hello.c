/* The raw limit of an HTTP service on this library: h2o alone, one thread, one handler that answers
 * "hello" to whatever comes. What the gateway and ingestion cost beside it is what they do.
 *
 *   http_hello PORT        listens on 127.0.0.1 until SIGTERM */
#include <arpa/inet.h>
#include <h2o.h>
#include <h2o/http1.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/str.h"

static h2o_globalconf_t config;
static h2o_context_t context;
static h2o_accept_ctx_t acceptor;
static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
    (void)number;
    stopping = 1;
}

static int on_request(h2o_handler_t *self, h2o_req_t *req)
{
    static const char hello[] = "Hello, world\n";
    (void)self;
    req->res.status = 200;
    req->res.reason = "OK";
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
                   H2O_STRLIT("text/plain"));
    req->res.content_length = sizeof(hello) - 1;
    h2o_send_inline(req, hello, sizeof(hello) - 1);
    return 0;
}

static void on_accept(h2o_socket_t *listener, const char *err)
{
    h2o_socket_t *sock = err == NULL ? h2o_evloop_socket_accept(listener) : NULL;
    if (sock != NULL)
        h2o_accept(&acceptor, sock);
}

static int open_listener(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    perror("http_hello: listen");
    return -1;
}

static void serve(int fd)
{
    h2o_config_init(&config);
    h2o_hostconf_t *host =
        h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_pathconf_t *path = h2o_config_register_path(host, "/", 0);
    h2o_create_handler(path, sizeof(h2o_handler_t))->on_req = on_request;
    h2o_context_init(&context, h2o_evloop_create(), &config);
    acceptor.ctx = &context;
    acceptor.hosts = config.hosts;
    h2o_socket_t *listener = h2o_evloop_socket_create(context.loop, fd, H2O_SOCKET_FLAG_DONT_READ);
    h2o_socket_read_start(listener, on_accept);
    while (!stopping)
        h2o_evloop_run(context.loop, 1000);
}

int main(int argc, char **argv)
{
    uint64_t port = 0;
    if (argc != 2 || tg_str_to_u64(tg_str_from(argv[1]), &port) != TG_OK || port == 0 ||
        port > UINT16_MAX) {
        (void)fprintf(stderr, "usage: http_hello PORT\n");
        return 2;
    }
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    int fd = open_listener((uint16_t)port);
    if (fd < 0)
        return 1;
    serve(fd);
    return 0;
}
