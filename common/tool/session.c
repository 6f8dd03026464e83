/* See session.h. */
#include "common/tool/session.h"

#include <stdlib.h>

struct tg_session {
    PGconn *connection;
};

static const struct sqlstate {
    const char *prefix;
    tg_status_t status;
} sqlstates[] = {
    {"23", TG_CONFLICT},     {"22", TG_INVALID},      {"42501", TG_DENIED},
    {"55P03", TG_TIMEOUT},   {"57014", TG_TIMEOUT},   {"08", TG_UNAVAILABLE},
    {"57P", TG_UNAVAILABLE}, {"TG404", TG_NOT_FOUND}, {"TG409", TG_CONFLICT},
    {"TG4", TG_DENIED},
};

/* libpq's texts end in a line feed and may hold more; an operator's line has none. */
static int line_len(const char *text)
{
    return (int)strcspn(text, "\n");
}

static tg_status_t status_of(const PGconn *connection, const PGresult *result)
{
    const char *state = result == NULL ? NULL : PQresultErrorField(result, PG_DIAG_SQLSTATE);

    if (state == NULL)
        return PQstatus(connection) == CONNECTION_OK ? TG_INTERNAL : TG_UNAVAILABLE;
    for (size_t i = 0; i < TG_ARRAY_LEN(sqlstates); i++) {
        if (strncmp(state, sqlstates[i].prefix, strlen(sqlstates[i].prefix)) == 0)
            return sqlstates[i].status;
    }
    return TG_INTERNAL;
}

static const char *message_of(const PGconn *connection, const PGresult *result)
{
    const char *text = result == NULL ? NULL : PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    return text != NULL ? text : PQerrorMessage(connection);
}

tg_status_t tg_session_open(const char *dsn, const char *program, tg_session_t **out_session,
                            tg_error_t *error)
{
    assert(dsn != NULL);
    assert(out_session != NULL);
    /* The DSN expands in place of dbname; what it says itself wins over what stands before it. */
    const char *const names[] = {"connect_timeout", "fallback_application_name", "dbname", NULL};
    const char *const values[] = {"10", program, dsn, NULL};

    tg_session_t *session = calloc(1, sizeof(*session));
    if (session == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    session->connection = PQconnectdbParams(names, values, 1);
    if (session->connection == NULL || PQstatus(session->connection) != CONNECTION_OK) {
        const char *text = PQerrorMessage(session->connection);
        (void)tg_error_set(error, TG_UNAVAILABLE, "PostgreSQL: %.*s", line_len(text), text);
        tg_session_close(session);
        return TG_UNAVAILABLE;
    }
    *out_session = session;
    return TG_OK;
}

void tg_session_close(tg_session_t *session)
{
    if (session == NULL)
        return;
    PQfinish(session->connection); /* NULL is allowed */
    free(session);
}

static bool is_good(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* What our own functions refuse (SQLSTATE class TG) they say in words meant for people: "field:
 * reason", or ": reason". */
static tg_status_t set_refusal(const PGconn *connection, const PGresult *result, tg_error_t *error)
{
    const char *state = result == NULL ? NULL : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = message_of(connection, result);
    bool ours = state != NULL && strncmp(state, "TG", 2) == 0;
    if (ours && strncmp(text, ": ", 2) == 0)
        text += 2;
    return tg_error_set(error, status_of(connection, result), "%s%.*s",
                        ours ? "" : "PostgreSQL: ", line_len(text), text);
}

tg_status_t tg_session_query(tg_session_t *session, const char *sql, size_t count,
                             const char *const *params, PGresult **out_result, tg_error_t *error)
{
    assert(session != NULL);
    assert(count == 0 || params != NULL);
    tg_status_t status = TG_OK;

    PGresult *result =
        PQexecParams(session->connection, sql, (int)count, NULL, params, NULL, NULL, 0);
    if (!is_good(result)) {
        status = set_refusal(session->connection, result, error);
    } else if (out_result != NULL) {
        *out_result = result;
        return TG_OK;
    }
    PQclear(result);
    return status;
}

tg_status_t tg_session_verifier(tg_session_t *session, const char *role, const char *password,
                                char **out_verifier, tg_error_t *error)
{
    assert(session != NULL && out_verifier != NULL);
    char *verifier = PQencryptPasswordConn(session->connection, password, role, "scram-sha-256");
    if (verifier == NULL) {
        const char *text = PQerrorMessage(session->connection);
        return tg_error_set(error, TG_INTERNAL, "PostgreSQL: %.*s", line_len(text), text);
    }
    *out_verifier = verifier;
    return TG_OK;
}

/* The server counts characters, and a line feed is one byte in every encoding that we send (UTF-8).
 */
static int line_at(const char *text, const char *position)
{
    long left = position == NULL ? 0 : strtol(position, NULL, 10);
    int line = 1;
    for (const char *c = text; *c != '\0' && left > 1; c++) {
        if (((unsigned char)*c & 0xc0U) != 0x80U)
            left--;
        line += *c == '\n';
    }
    return line;
}

tg_status_t tg_session_script(tg_session_t *session, const char *name, const char *text,
                              tg_error_t *error)
{
    assert(session != NULL);
    assert(text != NULL);
    tg_status_t status = TG_OK;

    PGresult *result = PQexec(session->connection, text);
    if (!is_good(result) && PQresultStatus(result) != PGRES_EMPTY_QUERY) {
        const char *message = message_of(session->connection, result);
        const char *position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
        status = tg_error_set(error, status_of(session->connection, result), "%s:%d: %.*s", name,
                              line_at(text, position), line_len(message), message);
    }
    PQclear(result);
    return status;
}

bool tg_session_in_transaction(const tg_session_t *session)
{
    assert(session != NULL);
    return PQtransactionStatus(session->connection) == PQTRANS_INTRANS;
}
