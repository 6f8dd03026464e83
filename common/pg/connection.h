/* One libpq connection in pipeline mode on a loop: connects without blocking, carries one call at a
 * time, tells its owner what came of it. Private to common/pg.
 *
 * States: closed → connecting → idle ⇄ busy; any → closed when it fails. A call that was given
 * up (deadline, cancel) leaves the connection busy without a call: its answer is drained and
 * dropped. The server stops such a statement by itself at the call's deadline (statement_timeout
 * travels in the pipeline). If the pipeline is not drained within TG_PG_GRACE_MS the connection is
 * closed, and the server notices that within 500 ms (client_connection_check_interval). That is why
 * no blocking PQcancel is needed.
 *
 * Prepared statements: one per SQL literal's address, at most TG_PG_PREPARED_MAX; beyond that a
 * statement is sent unprepared. A plan that the server calls stale (0A000, 26000) costs the
 * connection.
 *
 * Threads: belongs to its loop's thread. */
#ifndef TG_PG_CONNECTION_H
#define TG_PG_CONNECTION_H

#include "common/pg/call.h"

#define TG_PG_GRACE_MS     1000
#define TG_PG_PREPARED_MAX 128

/* What a pipeline gave. `call` is NULL when it was given up meanwhile. The results are the owner's
 * from here: tg_pg_outcome_dispose. */
typedef struct tg_pg_outcome {
    tg_pg_call_t *call;
    PGresult *results[TG_PG_STATEMENTS_MAX]; /* NULL where none came */
    PGresult *error;                         /* the first error, NULL if none */
} tg_pg_outcome_t;

void tg_pg_outcome_dispose(tg_pg_outcome_t *outcome);

/* None is called from inside a tg_pg_conn_* function. */
typedef struct tg_pg_conn_owner {
    void (*on_open)(void *arg, tg_pg_conn_t *conn);
    /* The pipeline ended and the connection is idle again. */
    void (*on_done)(void *arg, tg_pg_conn_t *conn, tg_pg_outcome_t *outcome);
    /* The connection is closed; `outcome` has the call that was in flight, if any. */
    void (*on_lost)(void *arg, tg_pg_conn_t *conn, bool was_open, tg_pg_outcome_t *outcome);
    void *arg;
} tg_pg_conn_owner_t;

typedef enum tg_pg_conn_state {
    TG_PG_CONN_CLOSED,
    TG_PG_CONN_CONNECTING,
    TG_PG_CONN_IDLE,
    TG_PG_CONN_BUSY,
} tg_pg_conn_state_t;

/* Returns an owned, closed connection, or NULL when out of memory. `config` is borrowed for good.
 */
tg_pg_conn_t *tg_pg_conn_create(tg_loop_t *loop, const tg_pg_config_t *config,
                                const tg_pg_conn_owner_t *owner);
void tg_pg_conn_destroy(tg_pg_conn_t *conn); /* NULL is allowed; the owner hears nothing */

tg_pg_conn_state_t tg_pg_conn_state(const tg_pg_conn_t *conn);

/* Starts connecting a closed connection. */
void tg_pg_conn_start(tg_pg_conn_t *conn);

/* Sends `call` over an idle connection; its outcome or loss is told to the owner in a later turn.
 */
void tg_pg_conn_send(tg_pg_conn_t *conn, tg_pg_call_t *call);

/* Gives up the call in flight: it is not named any more, and the connection has TG_PG_GRACE_MS. */
void tg_pg_conn_abandon(tg_pg_conn_t *conn);

/* Text of the last failure, "" if none; one line. */
const char *tg_pg_conn_error(const tg_pg_conn_t *conn);

#endif
