/* libpq in non-blocking mode under poll(2): in blocking mode a full pipeline can deadlock with a
 * server that itself waits to send, and no wait would have a deadline. */
#include "worker/pg/conn.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/time.h"
#include "worker/pg/pgarray.h"

struct tg_conn {
    tg_conn_config_t config;
    PGconn *pg;    /* NULL while there is none */
    bool unsynced; /* something was sent since the last sync */
    bool awaiting; /* a sync was sent whose answer is not read yet */
    bool copying;  /* out of pipeline mode until the COPY's results are read */
    char sqlstate[6];
    char message[256]; /* one line */
};

/* The worker's own bounds: a session that stalls inside its transaction is ended by the server, so
 * that the rows it has locked come free for the partition's next owner. */
#define SESSION_SETTINGS                                                                           \
    "SET idle_in_transaction_session_timeout = '5s'; SET lock_timeout = '5s'; "                    \
    "SET statement_timeout = '30s'; SET timezone = 'UTC'; SET client_min_messages = warning"

static void remember(tg_conn_t *conn, const char *sqlstate, const char *message)
{
    snprintf(conn->sqlstate, sizeof(conn->sqlstate), "%s", sqlstate == NULL ? "" : sqlstate);
    size_t len = strcspn(message, "\n");

    if (len >= sizeof(conn->message))
        len = sizeof(conn->message) - 1;
    memcpy(conn->message, message, len);
    conn->message[len] = '\0';
}

tg_conn_t *tg_conn_create(const tg_conn_config_t *config)
{
    assert(config != NULL);
    assert(config->dsn != NULL);
    tg_conn_t *conn = calloc(1, sizeof(*conn));
    if (conn != NULL)
        conn->config = *config;
    return conn;
}

void tg_conn_disconnect(tg_conn_t *conn)
{
    PQfinish(conn->pg);
    conn->pg = NULL;
    conn->unsynced = false;
    conn->awaiting = false;
    conn->copying = false;
}

void tg_conn_destroy(tg_conn_t *conn)
{
    if (conn == NULL)
        return;
    tg_conn_disconnect(conn);
    free(conn);
}

bool tg_conn_connected(const tg_conn_t *conn)
{
    return conn->pg != NULL;
}

const char *tg_conn_sqlstate(const tg_conn_t *conn)
{
    return conn->sqlstate;
}

const char *tg_conn_message(const tg_conn_t *conn)
{
    return conn->message;
}

/* The connection is of no more use: remembers why and drops it. */
static tg_status_t lost(tg_conn_t *conn, const char *why)
{
    const char *said = conn->pg == NULL ? "" : PQerrorMessage(conn->pg);
    remember(conn, "", said[0] != '\0' ? said : why);
    tg_conn_disconnect(conn);
    return TG_UNAVAILABLE;
}

/* Waits for the socket; false at the deadline. */
static bool wait_socket(const tg_conn_t *conn, short events, uint64_t deadline_ms)
{
    for (;;) {
        uint64_t now = tg_time_mono_ms();
        if (now >= deadline_ms)
            return false;
        struct pollfd fd = {.fd = PQsocket(conn->pg), .events = events};
        int ready = poll(&fd, 1, (int)(deadline_ms - now));
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return false;
    }
}

void tg_conn_check(tg_conn_t *conn)
{
    if (conn->pg == NULL)
        return;
    struct pollfd fd = {.fd = PQsocket(conn->pg), .events = POLLIN};
    if (poll(&fd, 1, 0) > 0 &&
        (PQconsumeInput(conn->pg) == 0 || PQstatus(conn->pg) != CONNECTION_OK))
        (void)lost(conn, "the server has closed the connection");
}

static tg_status_t connect_to_server(tg_conn_t *conn)
{
    const char *keywords[] = {"dbname", "application_name", "options", NULL};
    const char *values[] = {conn->config.dsn, conn->config.name, "-c client_encoding=UTF8", NULL};
    uint64_t deadline = tg_time_mono_ms() + conn->config.connect_timeout_ms;

    conn->pg = PQconnectStartParams(keywords, values, 1);
    if (conn->pg == NULL)
        return lost(conn, "out of memory");
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (state != PGRES_POLLING_OK) {
        if (state == PGRES_POLLING_FAILED || PQstatus(conn->pg) == CONNECTION_BAD)
            return lost(conn, "connection refused");
        short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        if (!wait_socket(conn, events, deadline))
            return lost(conn, "no connection within the time limit");
        state = PQconnectPoll(conn->pg);
    }
    return TG_OK;
}

/* Before the pipeline mode: several statements in one go. */
static bool set_up(const tg_conn_t *conn, const char *sql)
{
    PGresult *result = PQexec(conn->pg, sql);
    bool set = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    return set;
}

static tg_status_t prepare_statements(tg_conn_t *conn)
{
    for (size_t i = 0; i < conn->config.statement_count; i++) {
        const tg_statement_t *stmt = &conn->config.statements[i];
        if (PQsendPrepare(conn->pg, stmt->name, stmt->sql, stmt->param_count, stmt->types) == 0)
            return lost(conn, "send failed");
        conn->unsynced = true;
    }
    tg_status_t status = tg_conn_flush(conn);
    for (size_t i = 0; i < conn->config.statement_count && status == TG_OK; i++)
        status = tg_conn_expect(conn);
    if (conn->pg != NULL)
        tg_conn_settle(conn);
    return status;
}

tg_status_t tg_conn_connect(tg_conn_t *conn, bool *out_fresh)
{
    *out_fresh = false;
    if (conn->pg != NULL && PQstatus(conn->pg) == CONNECTION_OK)
        return TG_OK;
    tg_conn_disconnect(conn);
    tg_status_t status = connect_to_server(conn);
    if (status != TG_OK)
        return status;
    bool set = set_up(conn, SESSION_SETTINGS) &&
               (conn->config.settings == NULL || set_up(conn, conn->config.settings));
    if (!set || PQsetnonblocking(conn->pg, 1) != 0 || PQenterPipelineMode(conn->pg) == 0)
        return lost(conn, "cannot set up the session");
    status = prepare_statements(conn);
    if (status != TG_OK) {
        /* Without its tables (a database not migrated yet) the session is as good as none. */
        tg_conn_disconnect(conn);
        return TG_UNAVAILABLE;
    }
    *out_fresh = true;
    return TG_OK;
}

tg_status_t tg_conn_send(tg_conn_t *conn, size_t statement, const tg_str_t *params)
{
    assert(statement < conn->config.statement_count);
    const tg_statement_t *stmt = &conn->config.statements[statement];
    const char *values[TG_CONN_PARAMS_MAX];
    int lengths[TG_CONN_PARAMS_MAX], formats[TG_CONN_PARAMS_MAX];

    if (conn->pg == NULL)
        return TG_UNAVAILABLE;
    for (int i = 0; i < stmt->param_count; i++) {
        assert(params[i].len <= INT32_MAX);
        values[i] = params[i].ptr;
        lengths[i] = (int)params[i].len;
        formats[i] = 1;
    }
    conn->unsynced = true;
    if (PQsendQueryPrepared(conn->pg, stmt->name, stmt->param_count, values, lengths, formats, 1) ==
        0)
        return lost(conn, "send failed");
    return TG_OK;
}

tg_status_t tg_conn_send_text(tg_conn_t *conn, const char *sql)
{
    if (conn->pg == NULL)
        return TG_UNAVAILABLE;
    conn->unsynced = true;
    if (PQsendQueryParams(conn->pg, sql, 0, NULL, NULL, NULL, NULL, 1) == 0)
        return lost(conn, "send failed");
    return TG_OK;
}

/* Sends what libpq holds, reading meanwhile, so that neither side can wait for the other for good.
 */
static tg_status_t push(tg_conn_t *conn)
{
    uint64_t deadline = tg_time_mono_ms() + conn->config.wait_ms;

    for (;;) {
        int left = PQflush(conn->pg);
        if (left == 0)
            return TG_OK;
        if (left < 0)
            return lost(conn, "send failed");
        if (!wait_socket(conn, POLLIN | POLLOUT, deadline))
            return lost(conn, "the server did not take our data within the time limit");
        if (PQconsumeInput(conn->pg) == 0)
            return lost(conn, "connection lost");
    }
}

tg_status_t tg_conn_flush(tg_conn_t *conn)
{
    if (conn->pg == NULL)
        return TG_UNAVAILABLE;
    if (PQsendFlushRequest(conn->pg) == 0)
        return lost(conn, "send failed");
    return push(conn);
}

/* PQgetResult with a deadline. A NULL result is an answer too. */
static tg_status_t next_result(tg_conn_t *conn, PGresult **out_result)
{
    uint64_t deadline = tg_time_mono_ms() + conn->config.wait_ms;

    if (conn->pg == NULL)
        return TG_UNAVAILABLE;
    while (PQisBusy(conn->pg)) {
        if (!wait_socket(conn, POLLIN, deadline))
            return lost(conn, "no answer within the time limit");
        if (PQconsumeInput(conn->pg) == 0)
            return lost(conn, "connection lost");
    }
    *out_result = PQgetResult(conn->pg);
    return TG_OK;
}

static tg_status_t classify(const char *sqlstate)
{
    if (strcmp(sqlstate, "40001") == 0 || strcmp(sqlstate, "40P01") == 0)
        return TG_CONFLICT;
    if (strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "23", 2) == 0 ||
        strncmp(sqlstate, "54", 2) == 0)
        return TG_INVALID;
    return TG_UNAVAILABLE;
}

/* Turns an error result into its status; an aborted pipeline keeps the first error's words. */
static tg_status_t read_failure(tg_conn_t *conn, PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    remember(conn, sqlstate, message != NULL ? message : PQresultErrorMessage(result));
    PQclear(result);
    return sqlstate == NULL ? lost(conn, "connection lost") : classify(conn->sqlstate);
}

tg_status_t tg_conn_result(tg_conn_t *conn, PGresult **out_result)
{
    PGresult *result = NULL, *end = NULL;
    tg_status_t status = next_result(conn, &result);

    if (status != TG_OK)
        return status;
    if (result == NULL)
        return lost(conn, "connection lost");
    ExecStatusType kind = PQresultStatus(result);
    if (kind != PGRES_COMMAND_OK && kind != PGRES_TUPLES_OK)
        return read_failure(conn, result);
    status = next_result(conn, &end); /* the NULL that ends a statement's results */
    if (status != TG_OK || end != NULL) {
        PQclear(result);
        PQclear(end);
        return status != TG_OK ? status : lost(conn, "unexpected result");
    }
    *out_result = result;
    return TG_OK;
}

bool tg_conn_answered(tg_conn_t *conn)
{
    if (conn->pg == NULL)
        return true;
    struct pollfd fd = {.fd = PQsocket(conn->pg), .events = POLLIN};
    if (poll(&fd, 1, 0) > 0 && PQconsumeInput(conn->pg) == 0)
        return true; /* the read that follows says what has happened */
    return PQisBusy(conn->pg) == 0;
}

tg_status_t tg_conn_expect(tg_conn_t *conn)
{
    PGresult *result = NULL;
    tg_status_t status = tg_conn_result(conn, &result);
    if (status == TG_OK)
        PQclear(result);
    return status;
}

/* Reads up to the answer to our sync. */
static tg_status_t drain(tg_conn_t *conn)
{
    int empty = 0;

    while (empty < 2) {
        PGresult *result = NULL;
        if (next_result(conn, &result) != TG_OK)
            return TG_UNAVAILABLE;
        if (result == NULL) {
            empty++; /* one ends a statement; two in a row mean that nothing is left */
            continue;
        }
        ExecStatusType kind = PQresultStatus(result);
        PQclear(result);
        if (kind == PGRES_PIPELINE_SYNC)
            return TG_OK;
        if (PQstatus(conn->pg) != CONNECTION_OK)
            return lost(conn, "connection lost");
        empty = 0;
    }
    return lost(conn, "the pipeline ended without its sync");
}

tg_status_t tg_conn_sync(tg_conn_t *conn)
{
    if (conn->pg == NULL)
        return TG_UNAVAILABLE;
    assert(!conn->awaiting);
    if (PQpipelineSync(conn->pg) == 0)
        return lost(conn, "send failed");
    conn->unsynced = false;
    conn->awaiting = true;
    return push(conn);
}

tg_status_t tg_conn_synced(tg_conn_t *conn)
{
    if (conn->pg == NULL)
        return TG_UNAVAILABLE;
    assert(conn->awaiting);
    conn->awaiting = false;
    return drain(conn);
}

static tg_status_t sync_pipeline(tg_conn_t *conn)
{
    tg_status_t status = tg_conn_sync(conn);
    return status == TG_OK ? tg_conn_synced(conn) : status;
}

static tg_status_t start_copy(tg_conn_t *conn, const char *sql)
{
    PGresult *result = NULL;

    if (PQexitPipelineMode(conn->pg) == 0)
        return lost(conn, "results are left unread");
    conn->copying = true;
    if (PQsendQuery(conn->pg, sql) == 0)
        return lost(conn, "send failed");
    tg_status_t status = push(conn);
    if (status == TG_OK)
        status = next_result(conn, &result);
    if (status != TG_OK)
        return status;
    if (PQresultStatus(result) != PGRES_COPY_IN)
        return read_failure(conn, result);
    PQclear(result);
    return TG_OK;
}

tg_status_t tg_conn_copy(tg_conn_t *conn, const char *sql, tg_str_t rows)
{
    if (conn->pg == NULL)
        return TG_UNAVAILABLE;
    assert(!conn->unsynced && !conn->awaiting && !conn->copying);
    assert(rows.len <= INT32_MAX);
    tg_status_t status = start_copy(conn, sql);
    if (status != TG_OK)
        return status;
    if (PQputCopyData(conn->pg, rows.ptr, (int)rows.len) != 1 || PQputCopyEnd(conn->pg, NULL) != 1)
        return lost(conn, "send failed");
    return push(conn);
}

/* Reads what is left of a COPY and goes back into the pipeline. */
static tg_status_t end_copy(tg_conn_t *conn)
{
    PGresult *result = NULL;
    tg_status_t status = next_result(conn, &result);

    while (status == TG_OK && result != NULL && PQstatus(conn->pg) == CONNECTION_OK) {
        PQclear(result);
        status = next_result(conn, &result);
    }
    if (status != TG_OK)
        return status;
    conn->copying = false;
    if (result == NULL && PQenterPipelineMode(conn->pg) != 0)
        return TG_OK;
    PQclear(result);
    return lost(conn, "connection lost");
}

tg_status_t tg_conn_copied(tg_conn_t *conn, uint64_t *out_rows)
{
    PGresult *result = NULL;
    tg_status_t status = next_result(conn, &result);

    if (status != TG_OK)
        return status;
    assert(conn->copying);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        return read_failure(conn, result);
    status = tg_str_to_u64(tg_str_from(PQcmdTuples(result)), out_rows);
    PQclear(result);
    return status == TG_OK ? end_copy(conn) : lost(conn, "COPY did not say its count");
}

/* Ends the round and any open transaction; false when the connection did not survive it. */
static bool end_round(tg_conn_t *conn)
{
    if (conn->copying && end_copy(conn) != TG_OK)
        return false;
    if (conn->awaiting && tg_conn_synced(conn) != TG_OK)
        return false;
    if (conn->unsynced && sync_pipeline(conn) != TG_OK)
        return false;
    if (PQtransactionStatus(conn->pg) == PQTRANS_IDLE)
        return true;
    return tg_conn_send_text(conn, "ROLLBACK") == TG_OK && tg_conn_flush(conn) == TG_OK &&
           tg_conn_expect(conn) == TG_OK && sync_pipeline(conn) == TG_OK;
}

void tg_conn_settle(tg_conn_t *conn)
{
    char sqlstate[sizeof(conn->sqlstate)], message[sizeof(conn->message)];

    if (conn->pg == NULL)
        return;
    memcpy(sqlstate, conn->sqlstate, sizeof(sqlstate));
    memcpy(message, conn->message, sizeof(message));
    if (!end_round(conn))
        tg_conn_disconnect(conn);
    if (message[0] != '\0') {
        /* What went wrong first is what the caller wants to log. */
        memcpy(conn->sqlstate, sqlstate, sizeof(sqlstate));
        memcpy(conn->message, message, sizeof(message));
    }
}

tg_status_t tg_conn_query(tg_conn_t *conn, size_t statement, const tg_str_t *params,
                          PGresult **out_result)
{
    PGresult *result = NULL;
    tg_status_t status = tg_conn_send(conn, statement, params);

    if (status == TG_OK)
        status = tg_conn_flush(conn);
    if (status == TG_OK)
        status = tg_conn_result(conn, &result);
    if (conn->pg != NULL) {
        bool ok = status == TG_OK;
        tg_conn_settle(conn); /* the implicit transaction commits at the sync */
        if (ok && conn->pg == NULL)
            status = TG_UNAVAILABLE;
    }
    if (status != TG_OK || out_result == NULL)
        PQclear(result);
    else
        *out_result = result;
    return status;
}

tg_str_t tg_conn_cell(const PGresult *result, int row, int column)
{
    if (PQgetisnull(result, row, column))
        return (tg_str_t){NULL, 0};
    return (tg_str_t){PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column)};
}

int64_t tg_conn_int8(const PGresult *result, int row, int column)
{
    assert(PQgetlength(result, row, column) == 8);
    return tg_pg_get_int8(PQgetvalue(result, row, column));
}

int32_t tg_conn_int4(const PGresult *result, int row, int column)
{
    assert(PQgetlength(result, row, column) == 4);
    return tg_pg_get_int4(PQgetvalue(result, row, column));
}

int64_t tg_conn_time(const PGresult *result, int row, int column)
{
    return tg_conn_int8(result, row, column) + TG_PG_EPOCH_US;
}
