/* A server of the library alone: h2o, one thread, one handler for whatever comes, on 127.0.0.1
 * until SIGTERM or SIGINT. What http_hello and http_stub have in common; nothing of tidegate's own
 * server is in it, so that what is measured before it can be compared.
 *
 * Threads: the process's first one, once. */
#ifndef TG_H2O_SERVE_H
#define TG_H2O_SERVE_H

#include <h2o.h>
#include <stdint.h>

typedef int (*tg_h2o_request_fn)(h2o_handler_t *self, h2o_req_t *req);

/* Called before each turn of the loop; returns the ms that it may sleep at most. NULL: 1000. */
typedef int32_t (*tg_h2o_turn_fn)(void);

/* Returns the program's exit code: 0 after a signal, 1 when it cannot listen. */
int tg_h2o_serve(const char *program, uint16_t port, tg_h2o_request_fn on_request,
                 tg_h2o_turn_fn on_turn);

#endif
