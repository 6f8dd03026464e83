/* One call of the pool: its statements with copied parameters, and where it stands. Private to
 * common/pg.
 *
 * Everything lies in one allocation, so that a call costs one malloc and one free whatever it
 * holds.
 *
 * Threads: belongs to its pool's thread. */
#ifndef TG_PG_CALL_H
#define TG_PG_CALL_H

#include "common/pg/pool.h"

typedef struct tg_pg_conn tg_pg_conn_t;

typedef enum tg_pg_call_state {
    TG_PG_WAITING, /* for a connection */
    TG_PG_SENT,    /* `conn` has it in flight */
    TG_PG_SETTLED, /* the answer is known and comes in the next turn */
} tg_pg_call_state_t;

struct tg_pg_call {
    tg_pg_pool_t *pool;
    tg_pg_conn_t *conn;        /* TG_PG_SENT only */
    tg_pg_call_t *prev, *next; /* in the queue of those that wait */
    tg_pg_call_state_t state;
    tg_status_t status; /* TG_PG_SETTLED only; sqlstate and message are literals */
    const char *sqlstate, *message;
    tg_timer_t timer; /* the deadline, or 0 ms once settled */
    uint64_t deadline_at_ms;
    tg_pg_done_fn done;
    void *arg;
    const char *tenant; /* NULL: none */
    size_t count;
    struct {
        const char *sql;
        int param_count;
        const char *values[TG_PG_PARAMS_MAX]; /* NUL-terminated; NULL is SQL NULL */
    } stmts[];
};

/* Copies tenant and statements into an owned call in *out_call. TG_NOMEM; TG_TOO_LARGE and
 * TG_INVALID (a NUL byte) also give the call, without its parameters, so that it can be settled
 * with that. */
TG_NODISCARD tg_status_t tg_pg_call_make(const tg_str_t *tenant, const tg_pg_stmt_t *stmts,
                                         size_t count, tg_pg_call_t **out_call);

#endif
