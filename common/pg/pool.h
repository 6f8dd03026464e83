/* Asynchronous PostgreSQL: a bounded pool of libpq connections on one loop.
 *
 * One call = one pipeline of statements = one implicit transaction: all of it commits, or none. For
 * a tenant's read the pool itself puts `select set_config('tidegate.tenant', …, true)` first, so
 * that the setting dies with the transaction and a reused connection knows no tenant. Statements
 * are prepared once per connection, by address of their SQL literal.
 *
 * Limits: connections, waiting calls (TG_FULL beyond), bytes of parameters, rows per result, a
 * deadline per call that also cancels the statement in the server. A lost connection fails its call
 * with TG_UNAVAILABLE and is re-opened with backoff (100 ms to 5 s, jittered). Meanwhile calls wait
 * under their deadlines; once there has been no connection for TG_PG_PATIENCE_MS they fail at once,
 * so that a dead database does not hold up what has nothing to wait for. A host name in the DSN is
 * resolved by libpq and blocks the loop for that long: name addresses or sockets.
 *
 * Threads: belongs to its loop's thread. */
#ifndef TG_PG_POOL_H
#define TG_PG_POOL_H

#include <libpq-fe.h>

#include "common/loop/loop.h"

typedef struct tg_pg_pool tg_pg_pool_t;
typedef struct tg_pg_call tg_pg_call_t;

typedef struct tg_pg_config {
    const char *dsn;    /* libpq connection string */
    const char *name;   /* application_name */
    size_t connections; /* 1..64 */
    size_t max_waiting; /* calls waiting for a connection */
    uint64_t connect_timeout_ms;
    size_t max_rows; /* of one result; 0: TG_PG_ROWS_MAX. A backstop: the statement's own LIMIT
                        bounds memory */
} tg_pg_config_t;

#define TG_PG_CONNECTIONS_MAX 64
#define TG_PG_ROWS_MAX        100000
#define TG_PG_PATIENCE_MS     2000

TG_NODISCARD tg_status_t tg_pg_pool_open(tg_loop_t *loop, const tg_pg_config_t *config,
                                         tg_pg_pool_t **out_pool, tg_error_t *error);
void tg_pg_pool_close(
    tg_pg_pool_t *pool); /* calls must be finished or cancelled; NULL is allowed */

#define TG_PG_PARAMS_MAX     16
#define TG_PG_STATEMENTS_MAX 8
#define TG_PG_CALL_BYTES_MAX ((size_t)16 << 20) /* of all parameters; TG_TOO_LARGE beyond */

/* A text-format parameter; ptr NULL is SQL NULL. */
typedef struct tg_pg_stmt {
    const char *sql; /* a string literal: its address is the key of the prepared statement */
    size_t param_count;
    tg_str_t params[TG_PG_PARAMS_MAX]; /* copied by tg_pg_call */
} tg_pg_stmt_t;

/* `results` has one PGresult per statement (without set_config), borrowed until return; NULL unless
 * TG_OK. Where the server refused, `sqlstate` and `message` are its words: class 23 is TG_CONFLICT,
 * 22 TG_INVALID, 57014 TG_TIMEOUT, 42501 TG_DENIED, 08, 53 and 57P TG_UNAVAILABLE, the rest
 * TG_INTERNAL. A parameter that holds a NUL byte, which no text column can, is answered like the
 * server's own 22021. */
typedef struct tg_pg_answer {
    PGresult *const *results;
    size_t count;
    const char *sqlstate; /* "" if none */
    const char *message;  /* "" if none; one line */
} tg_pg_answer_t;
typedef void (*tg_pg_done_fn)(void *arg, tg_status_t status, const tg_pg_answer_t *answer);

/* `tenant` NULL: no tenant is set. `deadline_at_ms` is in tg_loop_now_ms's clock; when it passes
 * the answer is TG_TIMEOUT, or TG_UNAVAILABLE if the call never left because no connection could be
 * made. After TG_TIMEOUT and TG_UNAVAILABLE a writer cannot know whether the call committed. A
 * result of more than max_rows rows is TG_TOO_LARGE (the call has committed by then). Gives NULL
 * only when out of memory; all else comes through `done`, never before returning. The handle is
 * dead once `done` is called. */
tg_pg_call_t *tg_pg_call(tg_pg_pool_t *pool, const tg_str_t *tenant, const tg_pg_stmt_t *stmts,
                         size_t count, uint64_t deadline_at_ms, tg_pg_done_fn done, void *arg);

/* After this `done` cannot come; a statement under way is cancelled in the server. NULL is allowed.
 */
void tg_pg_call_cancel(tg_pg_call_t *call);

/* Cells of a text-format result; borrowed from it. */
tg_str_t tg_pg_text(const PGresult *result, int row, int column); /* ptr NULL: SQL NULL */

typedef struct tg_pg_stats {
    size_t open, busy, waiting;
    uint64_t calls_total, failures_total;
    bool connected;         /* at least one connection is usable */
    const char *last_error; /* of the last connection that failed, "" if none; borrowed until the
                               next turn */
} tg_pg_stats_t;
void tg_pg_pool_stats(const tg_pg_pool_t *pool, tg_pg_stats_t *out_stats);

#endif
