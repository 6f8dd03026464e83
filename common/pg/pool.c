/* The pool: a queue of calls, the connections they go out on, and when to open more.
 *
 * Connections are opened as calls have to wait, up to the limit; the first at once, so that
 * readiness is known before the first call. While no connection stands, only one at a time tries,
 * behind one backoff for the whole pool: a dead server sees one attempt, not one per connection.
 *
 * A call ends in exactly one place, finish(); every call has its own timer, which is its deadline
 * and, when it is answered without a server, the next turn. */
#include <stdlib.h>

#include "common/base/hash.h"
#include "common/observe/log.h"
#include "common/pg/connection.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_LAST_MS  5000

struct tg_pg_pool {
    tg_loop_t *loop;
    tg_pg_config_t config; /* its strings are owned */
    tg_pg_conn_t *conns[TG_PG_CONNECTIONS_MAX];
    tg_pg_call_t *first, *last; /* the calls that wait */
    size_t waiting, live;       /* live: calls whose `done` has not come */
    tg_timer_t retry;
    uint64_t backoff_ms;     /* of the next failure */
    bool down;               /* logged as unreachable */
    uint64_t alone_since_ms; /* no connection has stood since; 0: one stands */
    char error[256];
    uint64_t calls_total, failures_total;
};

/* --- the queue of calls that wait --- */

static void queue_push(tg_pg_pool_t *pool, tg_pg_call_t *call)
{
    call->state = TG_PG_WAITING;
    call->prev = pool->last;
    call->next = NULL;
    *(pool->last != NULL ? &pool->last->next : &pool->first) = call;
    pool->last = call;
    pool->waiting++;
}

static void queue_remove(tg_pg_pool_t *pool, tg_pg_call_t *call)
{
    assert(call->state == TG_PG_WAITING);
    assert(pool->waiting > 0);
    *(call->prev != NULL ? &call->prev->next : &pool->first) = call->next;
    *(call->next != NULL ? &call->next->prev : &pool->last) = call->prev;
    pool->waiting--;
}

/* --- answering --- */

static void call_free(tg_pg_call_t *call)
{
    assert(call->pool->live > 0);
    call->pool->live--;
    tg_timer_stop(&call->timer);
    free(call);
}

/* The only place where `done` is called. The call is in no list any more. */
static void finish(tg_pg_call_t *call, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_pg_done_fn done = call->done;
    void *arg = call->arg;
    if (status != TG_OK)
        call->pool->failures_total++;
    call_free(call);
    done(arg, status, answer);
}

static void on_settled(void *arg)
{
    tg_pg_call_t *call = arg;
    assert(call->state == TG_PG_SETTLED);
    tg_pg_answer_t answer = {.sqlstate = call->sqlstate, .message = call->message};
    finish(call, call->status, &answer);
}

/* Answers in the next turn. The texts are literals. */
static void settle(tg_pg_call_t *call, tg_status_t status, const char *sqlstate,
                   const char *message)
{
    call->state = TG_PG_SETTLED;
    call->status = status;
    call->sqlstate = sqlstate;
    call->message = message;
    tg_timer_start(call->pool->loop, &call->timer, 0, on_settled, call);
}

static bool connected(const tg_pg_pool_t *pool)
{
    for (size_t i = 0; i < pool->config.connections; i++) {
        if (tg_pg_conn_state(pool->conns[i]) >= TG_PG_CONN_IDLE)
            return true;
    }
    return false;
}

/* No connection for so long that waiting for one makes no sense. */
static bool out_of_patience(const tg_pg_pool_t *pool)
{
    return pool->alone_since_ms != 0 &&
           tg_loop_now_ms(pool->loop) >= pool->alone_since_ms + TG_PG_PATIENCE_MS;
}

static const char no_connection[] = "no connection to PostgreSQL";

static void fail_waiting(tg_pg_pool_t *pool)
{
    tg_pg_answer_t answer = {.sqlstate = "", .message = no_connection};
    tg_pg_call_t *call = NULL;
    while ((call = pool->first) != NULL) { /* what the callbacks ask anew does not get in here */
        queue_remove(pool, call);
        finish(call, TG_UNAVAILABLE, &answer);
    }
}

static void on_deadline(void *arg)
{
    tg_pg_call_t *call = arg;
    tg_pg_answer_t answer = {.sqlstate = "", .message = "the deadline passed"};
    tg_status_t status = TG_TIMEOUT;

    if (call->state == TG_PG_SENT) {
        tg_pg_conn_abandon(call->conn);
    } else {
        queue_remove(call->pool, call);
        if (!connected(call->pool)) {
            status = TG_UNAVAILABLE;
            answer.message = no_connection;
        }
    }
    finish(call, status, &answer);
}

static const struct {
    const char *prefix; /* of the SQLSTATE */
    tg_status_t status;
} sqlstates[] = {
    {"57014", TG_TIMEOUT},     {"42501", TG_DENIED},      {"22", TG_INVALID},
    {"23", TG_CONFLICT},       {"08", TG_UNAVAILABLE},    {"53", TG_UNAVAILABLE},
    {"57P", TG_UNAVAILABLE},   {"0A000", TG_UNAVAILABLE}, /* stale plan: the next try has a new one
                                                           */
    {"26000", TG_UNAVAILABLE},
};

static tg_status_t status_of(const char *sqlstate)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(sqlstates); i++) {
        if (strncmp(sqlstate, sqlstates[i].prefix, strlen(sqlstates[i].prefix)) == 0)
            return sqlstates[i].status;
    }
    return TG_INTERNAL;
}

static const char *error_field(const PGresult *error, int field)
{
    const char *text = error == NULL ? NULL : PQresultErrorField(error, field);
    return text == NULL ? "" : text;
}

static tg_status_t judge(const tg_pg_pool_t *pool, const tg_pg_outcome_t *outcome)
{
    for (size_t i = 0; i < outcome->call->count; i++) {
        if (outcome->results[i] == NULL)
            return TG_INTERNAL;
        if ((size_t)PQntuples(outcome->results[i]) > pool->config.max_rows)
            return TG_TOO_LARGE;
    }
    return TG_OK;
}

/* Answers the outcome's call, if it still has one, and disposes of the rest. */
static void answer_outcome(tg_pg_pool_t *pool, tg_pg_outcome_t *outcome, bool lost)
{
    tg_pg_call_t *call = outcome->call;
    if (call != NULL) {
        tg_pg_answer_t answer = {
            .sqlstate = error_field(outcome->error, PG_DIAG_SQLSTATE),
            .message = error_field(outcome->error, PG_DIAG_MESSAGE_PRIMARY),
        };
        tg_status_t status = TG_OK;
        if (answer.sqlstate[0] != '\0')
            status = status_of(answer.sqlstate);
        else if (lost)
            status = TG_UNAVAILABLE;
        else
            status = outcome->error != NULL ? TG_INTERNAL : judge(pool, outcome);
        if (status == TG_OK) {
            answer.results = outcome->results;
            answer.count = call->count;
        }
        finish(call, status, &answer);
    }
    tg_pg_outcome_dispose(outcome);
}

/* --- connections --- */

static void send_on(tg_pg_pool_t *pool, tg_pg_conn_t *conn)
{
    tg_pg_call_t *call = pool->first;
    queue_remove(pool, call);
    call->state = TG_PG_SENT;
    call->conn = conn;
    tg_pg_conn_send(conn, call);
}

static void on_retry(void *arg);

/* Opens connections for the calls that wait; one at a time while none stands. */
static void grow(tg_pg_pool_t *pool)
{
    size_t usable = 0, connecting = 0;
    for (size_t i = 0; i < pool->config.connections; i++) {
        tg_pg_conn_state_t state = tg_pg_conn_state(pool->conns[i]);
        usable += state >= TG_PG_CONN_IDLE;
        connecting += state == TG_PG_CONN_CONNECTING;
    }
    size_t wanted = usable == 0 ? 1 : pool->waiting;
    if (pool->retry.loop != NULL)
        return;
    for (size_t i = 0; i < pool->config.connections && connecting < wanted; i++) {
        if (tg_pg_conn_state(pool->conns[i]) == TG_PG_CONN_CLOSED) {
            tg_pg_conn_start(pool->conns[i]);
            connecting++;
        }
    }
}

static void dispatch(tg_pg_pool_t *pool)
{
    for (size_t i = 0; i < pool->config.connections && pool->first != NULL; i++) {
        if (tg_pg_conn_state(pool->conns[i]) == TG_PG_CONN_IDLE)
            send_on(pool, pool->conns[i]);
    }
    grow(pool);
}

static void on_retry(void *arg)
{
    dispatch(arg);
}

static void on_open(void *arg, tg_pg_conn_t *conn)
{
    tg_pg_pool_t *pool = arg;
    (void)conn;
    pool->backoff_ms = BACKOFF_FIRST_MS;
    pool->alone_since_ms = 0;
    if (pool->down)
        tg_log_info("postgres_connected", TG_F_TEXT("pool", pool->config.name));
    pool->down = false;
    dispatch(pool);
}

/* The next call goes out before the answer is worked on. */
static void on_done(void *arg, tg_pg_conn_t *conn, tg_pg_outcome_t *outcome)
{
    tg_pg_pool_t *pool = arg;
    if (pool->first != NULL)
        send_on(pool, conn);
    answer_outcome(pool, outcome, false);
}

/* ±25 %, so that the services do not come back in step. */
static uint64_t jitter(uint64_t ms)
{
    uint32_t random = 0;
    tg_hash_random(&random, sizeof(random));
    return ms - ms / 4 + random % (ms / 2);
}

static void on_lost(void *arg, tg_pg_conn_t *conn, bool was_open, tg_pg_outcome_t *outcome)
{
    tg_pg_pool_t *pool = arg;
    memcpy(pool->error, tg_pg_conn_error(conn), sizeof(pool->error));
    pool->error[sizeof(pool->error) - 1] = '\0';
    /* There is no caller to tell: said once when the last connection is gone, and once when one
     * stands again. */
    if (pool->alone_since_ms == 0 && !connected(pool))
        pool->alone_since_ms = tg_loop_now_ms(pool->loop);
    if (!pool->down && !connected(pool)) {
        pool->down = true;
        tg_log_warn("postgres_unreachable", TG_F_TEXT("pool", pool->config.name),
                    TG_F_TEXT("error", pool->error),
                    TG_F_TEXT("action", "calls wait under their deadlines; reconnecting"));
    }
    if (!was_open && pool->retry.loop == NULL) {
        tg_timer_start(pool->loop, &pool->retry, jitter(pool->backoff_ms), on_retry, pool);
        pool->backoff_ms =
            pool->backoff_ms * 2 < BACKOFF_LAST_MS ? pool->backoff_ms * 2 : BACKOFF_LAST_MS;
    }
    grow(pool);
    answer_outcome(pool, outcome, true);
    if (out_of_patience(pool))
        fail_waiting(pool);
}

/* --- public --- */

static bool copy_config(tg_pg_pool_t *pool, const tg_pg_config_t *config)
{
    pool->config = *config;
    pool->config.dsn = strdup(config->dsn);
    pool->config.name = strdup(config->name);
    if (config->max_rows == 0)
        pool->config.max_rows = TG_PG_ROWS_MAX;
    return pool->config.dsn != NULL && pool->config.name != NULL;
}

static bool create_conns(tg_pg_pool_t *pool)
{
    tg_pg_conn_owner_t owner = {on_open, on_done, on_lost, pool};
    for (size_t i = 0; i < pool->config.connections; i++) {
        pool->conns[i] = tg_pg_conn_create(pool->loop, &pool->config, &owner);
        if (pool->conns[i] == NULL)
            return false;
    }
    return true;
}

static tg_status_t check_dsn(const char *dsn, tg_error_t *error)
{
    char *text = NULL;
    PQconninfoOption *options = PQconninfoParse(dsn, &text);
    tg_status_t status = TG_OK;
    if (options == NULL) {
        if (text != NULL)
            text[strcspn(text, "\n")] = '\0';
        status = tg_error_set(error, TG_INVALID, "connection string: %s",
                              text != NULL ? text : "out of memory");
    }
    PQconninfoFree(options);
    PQfreemem(text);
    return status;
}

tg_status_t tg_pg_pool_open(tg_loop_t *loop, const tg_pg_config_t *config, tg_pg_pool_t **out_pool,
                            tg_error_t *error)
{
    assert(loop != NULL);
    assert(config != NULL && config->dsn != NULL && config->name != NULL);
    assert(config->connections >= 1 && config->connections <= TG_PG_CONNECTIONS_MAX);
    tg_status_t status = check_dsn(config->dsn, error);
    if (status != TG_OK)
        return status;
    tg_pg_pool_t *pool = calloc(1, sizeof(*pool));
    if (pool == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    pool->loop = loop;
    pool->backoff_ms = BACKOFF_FIRST_MS;
    pool->alone_since_ms = tg_loop_now_ms(loop);
    if (!copy_config(pool, config) || !create_conns(pool)) {
        tg_pg_pool_close(pool);
        return tg_error_set(error, TG_NOMEM, "out of memory");
    }
    grow(pool);
    *out_pool = pool;
    return TG_OK;
}

void tg_pg_pool_close(tg_pg_pool_t *pool)
{
    if (pool == NULL)
        return;
    assert(pool->live == 0);
    tg_timer_stop(&pool->retry);
    for (size_t i = 0; i < TG_PG_CONNECTIONS_MAX; i++)
        tg_pg_conn_destroy(pool->conns[i]);
    free((char *)pool->config.dsn);
    free((char *)pool->config.name);
    free(pool);
}

tg_pg_call_t *tg_pg_call(tg_pg_pool_t *pool, const tg_str_t *tenant, const tg_pg_stmt_t *stmts,
                         size_t count, uint64_t deadline_at_ms, tg_pg_done_fn done, void *arg)
{
    assert(pool != NULL);
    assert(done != NULL);
    tg_pg_call_t *call = NULL;
    tg_status_t status = tg_pg_call_make(tenant, stmts, count, &call);
    if (status == TG_NOMEM)
        return NULL;
    call->pool = pool;
    call->done = done;
    call->arg = arg;
    call->deadline_at_ms = deadline_at_ms;
    pool->live++;
    pool->calls_total++;

    uint64_t now = tg_loop_now_ms(pool->loop);
    if (status == TG_INVALID) {
        settle(call, TG_INVALID, "22021", "a parameter holds a NUL byte");
    } else if (status != TG_OK) {
        settle(call, status, "", "the parameters are larger than 16 MiB");
    } else if (deadline_at_ms <= now) {
        settle(call, TG_TIMEOUT, "", "the deadline passed");
    } else if (out_of_patience(pool)) {
        settle(call, TG_UNAVAILABLE, "", no_connection);
    } else {
        queue_push(pool, call);
        dispatch(pool);
        if (call->state == TG_PG_WAITING && pool->waiting > pool->config.max_waiting) {
            queue_remove(pool, call);
            settle(call, TG_FULL, "", "too many calls wait for a connection");
        } else {
            tg_timer_start(pool->loop, &call->timer, deadline_at_ms - now, on_deadline, call);
        }
    }
    return call;
}

void tg_pg_call_cancel(tg_pg_call_t *call)
{
    if (call == NULL)
        return;
    if (call->state == TG_PG_SENT)
        tg_pg_conn_abandon(call->conn);
    else if (call->state == TG_PG_WAITING)
        queue_remove(call->pool, call);
    call_free(call);
}

tg_str_t tg_pg_text(const PGresult *result, int row, int column)
{
    assert(row >= 0 && row < PQntuples(result));
    assert(column >= 0 && column < PQnfields(result));
    if (PQgetisnull(result, row, column))
        return (tg_str_t){NULL, 0};
    return (tg_str_t){PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column)};
}

void tg_pg_pool_stats(const tg_pg_pool_t *pool, tg_pg_stats_t *out_stats)
{
    *out_stats = (tg_pg_stats_t){.waiting = pool->waiting,
                                 .calls_total = pool->calls_total,
                                 .failures_total = pool->failures_total,
                                 .connected = connected(pool),
                                 .last_error = pool->error};
    for (size_t i = 0; i < pool->config.connections; i++) {
        tg_pg_conn_state_t state = tg_pg_conn_state(pool->conns[i]);
        out_stats->open += state >= TG_PG_CONN_IDLE;
        out_stats->busy += state == TG_PG_CONN_BUSY;
    }
}
