/* The pipeline of one connection, step by step.
 *
 * What is sent is noted as a list of steps (setting, prepare, statement), and results are matched
 * to it in order until the sync's answer. libpq ends the results of each step with a NULL; after
 * an error it answers the remaining steps with PGRES_PIPELINE_ABORTED. */
#include "common/pg/connection.h"

#include <stdio.h>
#include <stdlib.h>

/* As single literals, so that their addresses are keys as well. */
static const char set_both[] =
    "select set_config('statement_timeout', $1, true), set_config('tidegate.tenant', $2, true)";
static const char set_timeout[] = "select set_config('statement_timeout', $1, true)";

enum step_kind { STEP_SETTING, STEP_PREPARE, STEP_STATEMENT };

struct step {
    enum step_kind kind;
    size_t index; /* of the prepared statement, or of the call's statement */
};

/* The setting, and each statement, may need a prepare before it. */
#define STEPS_MAX ((size_t)2 * (TG_PG_STATEMENTS_MAX + 1))

struct prepared {
    const char *sql;
    bool ready; /* the server has confirmed it */
};

struct tg_pg_conn {
    tg_loop_t *loop;
    const tg_pg_config_t *config;
    tg_pg_conn_owner_t owner;
    tg_pg_conn_state_t state;
    PGconn *pg;
    tg_watch_t *watch;
    unsigned interest;
    tg_timer_t
        timer; /* connect timeout, grace of an abandoned call, or 0 ms: failed while sending */
    tg_pg_outcome_t outcome;
    struct step steps[STEPS_MAX];
    size_t step_count, step_at;
    bool step_answered; /* steps[step_at] has had a result */
    struct prepared prepared[TG_PG_PREPARED_MAX];
    size_t prepared_count;
    char error[256];
};

void tg_pg_outcome_dispose(tg_pg_outcome_t *outcome)
{
    for (size_t i = 0; i < TG_PG_STATEMENTS_MAX; i++)
        PQclear(outcome->results[i]);
    PQclear(outcome->error);
    *outcome = (tg_pg_outcome_t){0};
}

tg_pg_conn_t *tg_pg_conn_create(tg_loop_t *loop, const tg_pg_config_t *config,
                                const tg_pg_conn_owner_t *owner)
{
    assert(loop != NULL);
    assert(config != NULL);
    tg_pg_conn_t *conn = calloc(1, sizeof(*conn));
    if (conn == NULL)
        return NULL;
    conn->loop = loop;
    conn->config = config;
    conn->owner = *owner;
    return conn;
}

static void close_libpq(tg_pg_conn_t *conn)
{
    tg_timer_stop(&conn->timer);
    tg_watch_close(conn->watch);
    conn->watch = NULL;
    PQfinish(conn->pg);
    conn->pg = NULL;
    conn->prepared_count = 0;
    conn->state = TG_PG_CONN_CLOSED;
}

void tg_pg_conn_destroy(tg_pg_conn_t *conn)
{
    if (conn == NULL)
        return;
    close_libpq(conn);
    tg_pg_outcome_dispose(&conn->outcome);
    free(conn);
}

tg_pg_conn_state_t tg_pg_conn_state(const tg_pg_conn_t *conn)
{
    return conn->state;
}

const char *tg_pg_conn_error(const tg_pg_conn_t *conn)
{
    return conn->error;
}

static void note_error(tg_pg_conn_t *conn, const char *text)
{
    snprintf(conn->error, sizeof(conn->error), "%s", text);
    conn->error[strcspn(conn->error, "\n")] = '\0';
}

/* Closes and tells the owner; the only way to it from an event. */
static void lose(tg_pg_conn_t *conn, const char *text)
{
    assert(conn->state != TG_PG_CONN_CLOSED);
    bool was_open = conn->state != TG_PG_CONN_CONNECTING;
    note_error(conn, text != NULL ? text : PQerrorMessage(conn->pg));
    tg_pg_outcome_t outcome = conn->outcome;
    conn->outcome = (tg_pg_outcome_t){0};
    close_libpq(conn);
    conn->owner.on_lost(conn->owner.arg, conn, was_open, &outcome);
}

static void on_failed(void *arg)
{
    lose(arg, NULL);
}

static void on_connect_timeout(void *arg)
{
    lose(arg, "connecting took longer than the connect timeout");
}

static void on_grace_over(void *arg)
{
    lose(arg, "closed: a statement that was given up did not end");
}

static void on_ready(void *arg, unsigned ready);

/* libpq may go on with another socket while connecting, even under the same number, and a watch
 * keeps a duplicate: so it is opened anew for each step. */
static bool watch_again(tg_pg_conn_t *conn, unsigned interest)
{
    tg_watch_close(conn->watch);
    conn->watch = tg_watch_open(conn->loop, PQsocket(conn->pg), on_ready, conn);
    if (conn->watch == NULL)
        return false;
    tg_watch_set(conn->watch, interest);
    conn->interest = interest;
    return true;
}

static void set_interest(tg_pg_conn_t *conn, unsigned interest)
{
    if (interest != conn->interest)
        tg_watch_set(conn->watch, interest);
    conn->interest = interest;
}

static void ignore_notice(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

void tg_pg_conn_start(tg_pg_conn_t *conn)
{
    assert(conn->state == TG_PG_CONN_CLOSED);
    /* Later words win: the DSN may say otherwise than the defaults before it. */
    const char *const names[] = {"options",          "keepalives_idle",  "keepalives_interval",
                                 "keepalives_count", "tcp_user_timeout", "dbname",
                                 "application_name", "client_encoding",  NULL};
    const char *const values[] = {"-c client_connection_check_interval=500",
                                  "10",
                                  "5",
                                  "3",
                                  "15000",
                                  conn->config->dsn,
                                  conn->config->name,
                                  "UTF8",
                                  NULL};
    _Static_assert(TG_ARRAY_LEN(names) == TG_ARRAY_LEN(values), "one value per name");

    conn->state = TG_PG_CONN_CONNECTING;
    conn->pg = PQconnectStartParams(names, values, 1);
    bool started = conn->pg != NULL && PQstatus(conn->pg) != CONNECTION_BAD &&
                   watch_again(conn, TG_WATCH_WRITE);
    if (started)
        tg_timer_start(conn->loop, &conn->timer, conn->config->connect_timeout_ms,
                       on_connect_timeout, conn);
    else
        tg_timer_start(conn->loop, &conn->timer, 0, on_failed, conn);
}

static void connect_opened(tg_pg_conn_t *conn)
{
    PQsetNoticeProcessor(conn->pg, ignore_notice, NULL);
    if (PQsetnonblocking(conn->pg, 1) != 0 || PQenterPipelineMode(conn->pg) != 1 ||
        !watch_again(conn, TG_WATCH_READ)) {
        lose(conn, NULL);
        return;
    }
    tg_timer_stop(&conn->timer);
    conn->state = TG_PG_CONN_IDLE;
    conn->owner.on_open(conn->owner.arg, conn);
}

static void connect_step(tg_pg_conn_t *conn)
{
    switch (PQconnectPoll(conn->pg)) {
    case PGRES_POLLING_OK:
        connect_opened(conn);
        return;
    case PGRES_POLLING_READING:
        if (!watch_again(conn, TG_WATCH_READ))
            lose(conn, "no descriptor left to watch the connection");
        return;
    case PGRES_POLLING_WRITING:
        if (!watch_again(conn, TG_WATCH_WRITE))
            lose(conn, "no descriptor left to watch the connection");
        return;
    default:
        lose(conn, NULL);
    }
}

/* --- sending --- */

static void add_step(tg_pg_conn_t *conn, enum step_kind kind, size_t index)
{
    assert(conn->step_count < STEPS_MAX);
    conn->steps[conn->step_count++] = (struct step){kind, index};
}

/* Place of `sql` among the prepared statements; TG_PG_PREPARED_MAX when there is no room. */
static size_t prepared_slot(tg_pg_conn_t *conn, const char *sql)
{
    for (size_t i = 0; i < conn->prepared_count; i++) {
        if (conn->prepared[i].sql == sql)
            return i;
    }
    if (conn->prepared_count == TG_PG_PREPARED_MAX)
        return TG_PG_PREPARED_MAX;
    conn->prepared[conn->prepared_count] = (struct prepared){sql, false};
    return conn->prepared_count++;
}

/* Whether this pipeline has already sent the prepare of `slot`. */
static bool prepare_sent(const tg_pg_conn_t *conn, size_t slot)
{
    for (size_t i = 0; i < conn->step_count; i++) {
        if (conn->steps[i].kind == STEP_PREPARE && conn->steps[i].index == slot)
            return true;
    }
    return false;
}

static bool send_statement(tg_pg_conn_t *conn, const char *sql, int param_count,
                           const char *const *values, enum step_kind kind, size_t index)
{
    size_t slot = prepared_slot(conn, sql);
    if (slot == TG_PG_PREPARED_MAX) {
        add_step(conn, kind, index);
        return PQsendQueryParams(conn->pg, sql, param_count, NULL, values, NULL, NULL, 0) == 1;
    }
    char name[16];
    snprintf(name, sizeof(name), "s%zu", slot);
    if (!conn->prepared[slot].ready && !prepare_sent(conn, slot)) {
        add_step(conn, STEP_PREPARE, slot);
        if (PQsendPrepare(conn->pg, name, sql, 0, NULL) != 1)
            return false;
    }
    add_step(conn, kind, index);
    return PQsendQueryPrepared(conn->pg, name, param_count, values, NULL, NULL, 0) == 1;
}

static bool send_settings(tg_pg_conn_t *conn, const tg_pg_call_t *call)
{
    uint64_t now = tg_loop_now_ms(conn->loop);
    uint64_t left = call->deadline_at_ms > now ? call->deadline_at_ms - now : 1;
    if (left > INT32_MAX)
        left = INT32_MAX;
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)left);
    const char *const values[] = {text, call->tenant};
    bool both = call->tenant != NULL;
    return send_statement(conn, both ? set_both : set_timeout, both ? 2 : 1, values, STEP_SETTING,
                          0);
}

static bool send_all(tg_pg_conn_t *conn, const tg_pg_call_t *call)
{
    if (!send_settings(conn, call))
        return false;
    for (size_t i = 0; i < call->count; i++) {
        if (!send_statement(conn, call->stmts[i].sql, call->stmts[i].param_count,
                            call->stmts[i].values, STEP_STATEMENT, i))
            return false;
    }
    return PQpipelineSync(conn->pg) == 1;
}

/* False when the connection is broken. */
static bool flush(tg_pg_conn_t *conn)
{
    int rest = PQflush(conn->pg);
    if (rest >= 0)
        set_interest(conn, rest > 0 ? TG_WATCH_READ | TG_WATCH_WRITE : TG_WATCH_READ);
    return rest >= 0;
}

void tg_pg_conn_send(tg_pg_conn_t *conn, tg_pg_call_t *call)
{
    assert(conn->state == TG_PG_CONN_IDLE);
    assert(conn->outcome.call == NULL);
    conn->state = TG_PG_CONN_BUSY;
    conn->outcome.call = call;
    conn->step_count = conn->step_at = 0;
    conn->step_answered = false;
    if (!send_all(conn, call) || !flush(conn))
        tg_timer_start(conn->loop, &conn->timer, 0, on_failed, conn);
}

void tg_pg_conn_abandon(tg_pg_conn_t *conn)
{
    assert(conn->state == TG_PG_CONN_BUSY);
    assert(conn->outcome.call != NULL);
    conn->outcome.call = NULL;
    if (conn->timer.loop == NULL) /* else it has failed already */
        tg_timer_start(conn->loop, &conn->timer, TG_PG_GRACE_MS, on_grace_over, conn);
}

/* --- receiving --- */

static bool plan_is_stale(const PGresult *error)
{
    const char *state = error == NULL ? NULL : PQresultErrorField(error, PG_DIAG_SQLSTATE);
    return state != NULL && (strcmp(state, "0A000") == 0 || strcmp(state, "26000") == 0);
}

static void pipeline_ended(tg_pg_conn_t *conn)
{
    if (plan_is_stale(conn->outcome.error)) {
        lose(conn, "closed: a prepared statement's plan is stale");
        return;
    }
    tg_pg_outcome_t outcome = conn->outcome;
    conn->outcome = (tg_pg_outcome_t){0};
    tg_timer_stop(&conn->timer);
    conn->state = TG_PG_CONN_IDLE;
    conn->owner.on_done(conn->owner.arg, conn, &outcome);
}

/* Takes the result of the current step. */
static void keep_result(tg_pg_conn_t *conn, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    bool good = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
    bool in_steps = conn->step_at < conn->step_count;
    const struct step *step = &conn->steps[in_steps ? conn->step_at : 0];
    PGresult **place = NULL;

    conn->step_answered = true;
    if (good && in_steps && step->kind == STEP_PREPARE)
        conn->prepared[step->index].ready = true;
    else if (good && in_steps && step->kind == STEP_STATEMENT)
        place = &conn->outcome.results[step->index];
    else if (!good && status != PGRES_PIPELINE_ABORTED)
        place = &conn->outcome.error;

    if (place != NULL && *place == NULL)
        *place = result;
    else
        PQclear(result);
}

static bool is_copy(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

static void read_results(tg_pg_conn_t *conn)
{
    while (conn->state == TG_PG_CONN_BUSY && !PQisBusy(conn->pg)) {
        PGresult *result = PQgetResult(conn->pg);
        if (result == NULL) {
            /* The end of a step's results; a NULL with none before it means that libpq has
             * nothing more to wait for. */
            if (!conn->step_answered) {
                lose(conn, NULL);
                return;
            }
            conn->step_answered = false;
            conn->step_at++;
        } else if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
            PQclear(result);
            pipeline_ended(conn);
            return; /* the owner may have sent the next call */
        } else if (is_copy(result)) {
            PQclear(result); /* libpq would give it for ever */
            lose(conn, "closed: COPY has no place in a pipeline");
        } else {
            keep_result(conn, result);
        }
    }
}

static void on_ready(void *arg, unsigned ready)
{
    tg_pg_conn_t *conn = arg;
    assert(conn->state != TG_PG_CONN_CLOSED);

    if (conn->state == TG_PG_CONN_CONNECTING) {
        connect_step(conn);
        return;
    }
    if (((ready & TG_WATCH_READ) != 0 && PQconsumeInput(conn->pg) != 1) || !flush(conn)) {
        /* What the server said before it left is still in libpq. */
        if (conn->state == TG_PG_CONN_BUSY)
            read_results(conn);
        if (conn->state != TG_PG_CONN_CLOSED)
            lose(conn, NULL);
        return;
    }
    PGnotify *notify = NULL; /* nobody listens; asking makes libpq parse what came while idle */
    while ((notify = PQnotifies(conn->pg)) != NULL)
        PQfreemem(notify);
    if (conn->state == TG_PG_CONN_BUSY)
        read_results(conn);
}
