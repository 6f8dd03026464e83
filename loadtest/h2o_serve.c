/* See h2o_serve.h. */
#include "loadtest/h2o_serve.h"

#include <arpa/inet.h>
#include <assert.h>
#include <h2o/http1.h>
#include <signal.h>
#include <stdio.h>

static h2o_globalconf_t config;
static h2o_context_t context;
static h2o_accept_ctx_t acceptor;
static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
    (void)number;
    stopping = 1;
}

static void on_accept(h2o_socket_t *listener, const char *err)
{
    h2o_socket_t *sock = err == NULL ? h2o_evloop_socket_accept(listener) : NULL;
    if (sock != NULL)
        h2o_accept(&acceptor, sock);
}

static int open_listener(const char *program, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    perror(program);
    return -1;
}

static void serve(int fd, tg_h2o_request_fn on_request, tg_h2o_turn_fn on_turn)
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
        h2o_evloop_run(context.loop, on_turn == NULL ? 1000 : on_turn());
}

int tg_h2o_serve(const char *program, uint16_t port, tg_h2o_request_fn on_request,
                 tg_h2o_turn_fn on_turn)
{
    assert(on_request != NULL);
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    int fd = open_listener(program, port);
    if (fd < 0)
        return 1;
    serve(fd, on_request, on_turn);
    return 0;
}
