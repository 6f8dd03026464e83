/* The raw limit of an HTTP service on this library: h2o alone, one thread, one handler that answers
 * "hello" to whatever comes. What the gateway and ingestion cost beside it is what they do.
 *
 *   http_hello PORT        listens on 127.0.0.1 until SIGTERM */
#include <stdio.h>

#include "common/base/str.h"
#include "loadtest/h2o_serve.h"

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

int main(int argc, char **argv)
{
    uint64_t port = 0;
    if (argc != 2 || tg_str_to_u64(tg_str_from(argv[1]), &port) != TG_OK || port == 0 ||
        port > UINT16_MAX) {
        (void)fprintf(stderr, "usage: http_hello PORT\n");
        return 2;
    }
    return tg_h2o_serve("http_hello", (uint16_t)port, on_request, NULL);
}
