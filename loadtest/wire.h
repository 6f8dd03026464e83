/* A load tool's kept connection: one HTTP/1.1 request out, its answer in, without ever waiting.
 *
 * Understands what our servers and their peers send: a code and Content-Length, in one spelling or
 * the other. The caller owns the epoll set and puts bytes into `request` before each send.
 *
 * Limits: what the two buffers are made for. Threads: one. */
#ifndef TG_WIRE_H
#define TG_WIRE_H

#include <netinet/in.h>

#include "common/base/str.h"

#define TG_WIRE_ANSWER_MAX ((size_t)8 << 20) /* bytes of an answer's body */

typedef enum tg_wire_state { TG_WIRE_MORE, TG_WIRE_ANSWERED, TG_WIRE_LOST } tg_wire_state_t;

typedef struct tg_wire {
    int epoll, fd; /* fd -1: closed */
    bool waits_to_write;
    bool busy; /* from send to answer */
    tg_buf_t request, answer;
    size_t sent;
    size_t answer_len; /* head and body; 0 until the head is here */
    int code;
} tg_wire_t;

/* "127.0.0.1:8080"; false when it is none. */
bool tg_wire_target(const char *text, struct sockaddr_in *out_address);

/* A closed connection. dispose() closes it and frees its buffers. */
void tg_wire_init(tg_wire_t *wire, int epoll, size_t request_max);
void tg_wire_dispose(tg_wire_t *wire);

/* Connects, waiting for it, and joins the epoll set with the wire as its data; false with errno. */
bool tg_wire_open(tg_wire_t *wire, const struct sockaddr_in *address);
void tg_wire_close(tg_wire_t *wire);

/* Sends what `request` holds, as far as it goes at once; push() goes on when the socket can be
 * written. False when the connection is lost. */
bool tg_wire_send(tg_wire_t *wire);
bool tg_wire_push(tg_wire_t *wire);

/* Reads what is there. After TG_WIRE_ANSWERED code, answer and answer_len tell about it. */
tg_wire_state_t tg_wire_pull(tg_wire_t *wire);

/* The number behind `name` in the first `len` bytes; false when it is not there. */
bool tg_wire_number(const tg_buf_t *text, size_t len, const char *name, uint64_t *out_number);

#endif
