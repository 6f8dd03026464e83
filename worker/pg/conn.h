/* One blocking-in-effect libpq connection in pipeline mode, with its statements prepared.
 *
 * Why not the asynchronous pool: a worker thread has nothing else to do while its transaction runs,
 * and the fence's answer must be read before anything after it is decided. Each wait has a
 * deadline, so that a hung server cannot hold the thread for good.
 *
 * Statuses: TG_INVALID the data is at fault (SQLSTATE classes 22, 23, 54); TG_CONFLICT 40001 or
 * 40P01, the same again may succeed; TG_UNAVAILABLE anything else: wait, then try again. After any
 * failure call tg_conn_settle before the next use.
 *
 * Threads: one at a time. */
#ifndef TG_WORKER_PG_CONN_H
#define TG_WORKER_PG_CONN_H

#include <libpq-fe.h>

#include "common/base/str.h"

typedef struct tg_conn tg_conn_t;

#define TG_CONN_PARAMS_MAX 16

typedef struct tg_statement {
    const char *name;
    const char *sql;
    int param_count;
    Oid types[TG_CONN_PARAMS_MAX]; /* all parameters travel in binary format */
} tg_statement_t;

typedef struct tg_conn_config {
    const char *dsn;
    const char *name;                 /* application_name */
    const char *settings;             /* SQL that sets up the session further; NULL: none */
    const tg_statement_t *statements; /* prepared at connect; borrowed for good */
    size_t statement_count;
    uint64_t connect_timeout_ms;
    uint64_t wait_ms; /* longest wait for one answer */
} tg_conn_config_t;

/* Gives an unconnected conn; NULL when out of memory. */
tg_conn_t *tg_conn_create(const tg_conn_config_t *config);
void tg_conn_destroy(tg_conn_t *conn); /* NULL is allowed */

/* Connects if there is no connection; *out_fresh tells whether it is a new one. */
TG_NODISCARD tg_status_t tg_conn_connect(tg_conn_t *conn, bool *out_fresh);
bool tg_conn_connected(const tg_conn_t *conn);

/* Looks, without waiting, whether the server has ended an idle connection, and drops it then. */
void tg_conn_check(tg_conn_t *conn);
void tg_conn_disconnect(tg_conn_t *conn);

/* Queues a prepared statement; results come in binary format. An empty ptr is NULL in SQL. */
TG_NODISCARD tg_status_t tg_conn_send(tg_conn_t *conn, size_t statement, const tg_str_t *params);

/* Queues a statement without parameters (BEGIN, COMMIT). */
TG_NODISCARD tg_status_t tg_conn_send_text(tg_conn_t *conn, const char *sql);

/* Has the server send what it has so far; then read one result per statement queued. */
TG_NODISCARD tg_status_t tg_conn_flush(tg_conn_t *conn);

/* The same by a sync, for the middle of a transaction: only after a sync does the server count the
 * session as idle in its transaction, and end it when we stall. After the results read the sync's
 * own answer by tg_conn_synced. */
TG_NODISCARD tg_status_t tg_conn_sync(tg_conn_t *conn);
TG_NODISCARD tg_status_t tg_conn_synced(tg_conn_t *conn);

/* The result of the next statement in line (owned: PQclear), or the failure it ended in. */
TG_NODISCARD tg_status_t tg_conn_result(tg_conn_t *conn, PGresult **out_result);

/* Whether reading the next result would not wait: it is here, or the connection is gone. */
bool tg_conn_answered(tg_conn_t *conn);

/* Reads and drops the next result. */
TG_NODISCARD tg_status_t tg_conn_expect(tg_conn_t *conn);

/* One COPY … FROM STDIN of the open transaction, which has no results left to be read: sends `rows`
 * whole (an aborted COPY is an error of its transaction like any other); tg_conn_copied waits for
 * the server's count. libpq has no COPY in pipeline mode, so the pipeline is left in between. */
TG_NODISCARD tg_status_t tg_conn_copy(tg_conn_t *conn, const char *sql, tg_str_t rows);
TG_NODISCARD tg_status_t tg_conn_copied(tg_conn_t *conn, uint64_t *out_rows);

/* Ends the pipeline's round: all results are drained; an open transaction is rolled back. The
 * connection is dropped when that fails. */
void tg_conn_settle(tg_conn_t *conn);

/* One statement alone in an implicit transaction: send, read, sync. `out_result` may be NULL. */
TG_NODISCARD tg_status_t tg_conn_query(tg_conn_t *conn, size_t statement, const tg_str_t *params,
                                       PGresult **out_result);

/* What the server or libpq said at the last failure; "" if nothing. */
const char *tg_conn_sqlstate(const tg_conn_t *conn);
const char *tg_conn_message(const tg_conn_t *conn);

/* Cells of a binary result. */
tg_str_t tg_conn_cell(const PGresult *result, int row, int column); /* ptr NULL: SQL NULL */
int64_t tg_conn_int8(const PGresult *result, int row, int column);
int32_t tg_conn_int4(const PGresult *result, int row, int column);
int64_t tg_conn_time(const PGresult *result, int row, int column); /* µs since 1970 */

#endif
