/* The pool against a real server that is killed, paused and restarted under it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/time.h"
#include "common/pg/pool.h"
#include "common/pg/tests/server.h"

static tg_pg_server_t server;
static tg_loop_t *loop;

/* What came of one call. */
struct answer {
    int times;
    tg_status_t status;
    char text[64]; /* first cell of the last result, "NULL" for SQL NULL */
    char sqlstate[8];
    char message[128];
    int rows;
};

static void on_answer(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    struct answer *out = arg;
    out->times++;
    out->status = status;
    snprintf(out->sqlstate, sizeof(out->sqlstate), "%s", answer->sqlstate ? answer->sqlstate : "");
    snprintf(out->message, sizeof(out->message), "%s", answer->message ? answer->message : "");
    if (status != TG_OK)
        return;
    const PGresult *last = answer->results[answer->count - 1];
    out->rows = PQntuples(last);
    if (out->rows > 0 && PQnfields(last) > 0) {
        tg_str_t text = tg_pg_text(last, 0, 0);
        snprintf(out->text, sizeof(out->text), TG_STR_FMT, TG_STR_ARG(text));
        if (text.ptr == NULL)
            snprintf(out->text, sizeof(out->text), "NULL");
    }
}

static void turn_until(const int *times, int wanted)
{
    uint64_t end = tg_time_mono_ms() + 15000;
    while (*times < wanted && tg_time_mono_ms() < end)
        tg_loop_turn(loop, 50);
    assert_int_equal(*times, wanted);
}

static tg_pg_pool_t *open_pool(size_t connections, size_t max_waiting)
{
    tg_pg_config_t config = {.dsn = server.dsn,
                             .name = "test",
                             .connections = connections,
                             .max_waiting = max_waiting,
                             .connect_timeout_ms = 1000,
                             .max_rows = 1000};
    tg_pg_pool_t *pool = NULL;
    assert_int_equal(tg_pg_pool_open(loop, &config, &pool, NULL), TG_OK);
    return pool;
}

static uint64_t in_ms(uint64_t ms)
{
    tg_loop_turn(loop, 0);
    return tg_loop_now_ms(loop) + ms;
}

static struct answer ask(tg_pg_pool_t *pool, const tg_str_t *tenant, const tg_pg_stmt_t *stmts,
                         size_t count)
{
    struct answer answer = {0};
    assert_non_null(tg_pg_call(pool, tenant, stmts, count, in_ms(10000), on_answer, &answer));
    assert_int_equal(answer.times, 0); /* never before returning */
    turn_until(&answer.times, 1);
    return answer;
}

static struct answer ask_sql(tg_pg_pool_t *pool, const char *sql)
{
    tg_pg_stmt_t stmt = {.sql = sql};
    return ask(pool, NULL, &stmt, 1);
}

static void parameters_travel_as_text_and_null(void **state)
{
    (void)state;
    tg_pg_pool_t *pool = open_pool(1, 10);
    tg_pg_stmt_t stmt = {"select $1::text || coalesce($2, '-') || $3::int",
                         3,
                         {TG_STR("a'b"), {NULL, 0}, TG_STR("7")}};
    struct answer answer = ask(pool, NULL, &stmt, 1);
    assert_int_equal(answer.status, TG_OK);
    assert_string_equal(answer.text, "a'b-7");
    answer = ask_sql(pool, "select null::text");
    assert_string_equal(answer.text, "NULL");
    tg_pg_pool_close(pool);
}

static void statements_of_a_call_commit_together_or_not_at_all(void **state)
{
    (void)state;
    tg_pg_pool_t *pool = open_pool(1, 10);
    assert_int_equal(ask_sql(pool, "create table if not exists t (n int primary key)").status,
                     TG_OK);
    tg_pg_stmt_t bad[] = {{.sql = "insert into t values (1)"}, {.sql = "insert into t values (1)"}};
    struct answer answer = ask(pool, NULL, bad, 2);
    assert_int_equal(answer.status, TG_CONFLICT);
    assert_string_equal(answer.sqlstate, "23505");
    assert_string_equal(ask_sql(pool, "select count(*) from t").text, "0");

    tg_pg_stmt_t good[] = {{.sql = "insert into t values (1)"},
                           {.sql = "insert into t values (2)"},
                           {.sql = "select count(*) from t"}};
    answer = ask(pool, NULL, good, 3);
    assert_int_equal(answer.status, TG_OK);
    assert_string_equal(answer.text, "2");
    tg_pg_pool_close(pool);
}

static void the_tenant_dies_with_its_call(void **state)
{
    (void)state;
    static const char sql[] = "select current_setting('tidegate.tenant', true)";
    tg_pg_pool_t *pool = open_pool(1, 10);
    tg_pg_stmt_t stmt = {.sql = sql};
    tg_str_t acme = TG_STR("acme");
    assert_string_equal(ask(pool, &acme, &stmt, 1).text, "acme");
    assert_string_equal(ask(pool, NULL, &stmt, 1).text, "");
    tg_pg_stats_t stats;
    tg_pg_pool_stats(pool, &stats);
    assert_int_equal(stats.open, 1); /* it was the same connection */
    tg_pg_pool_close(pool);
}

static void a_statement_is_prepared_once_per_connection(void **state)
{
    (void)state;
    static const char sql[] = "select count(*) from pg_prepared_statements where statement = $1";
    tg_pg_pool_t *pool = open_pool(1, 10);
    tg_pg_stmt_t stmts[] = {{sql, 1, {TG_STR(sql)}}, {sql, 1, {TG_STR(sql)}}};
    assert_string_equal(ask(pool, NULL, stmts, 2).text, "1");
    assert_string_equal(ask(pool, NULL, stmts, 2).text, "1");
    tg_pg_pool_close(pool);
}

static void a_statement_that_did_not_prepare_can_be_sent_again(void **state)
{
    (void)state;
    static const char later[] = "select * from made_later";
    tg_pg_pool_t *pool = open_pool(1, 10);
    struct answer answer = ask_sql(pool, later);
    assert_int_equal(answer.status, TG_INTERNAL);
    assert_string_equal(answer.sqlstate, "42P01");
    assert_int_equal(ask_sql(pool, "create table made_later (a int)").status, TG_OK);
    assert_int_equal(ask_sql(pool, later).status, TG_OK);
    /* A changed table makes the plan stale: one call pays with its connection, the next is right.
     */
    assert_int_equal(ask_sql(pool, "alter table made_later add b int").status, TG_OK);
    assert_int_equal(ask_sql(pool, later).status, TG_UNAVAILABLE);
    assert_int_equal(ask_sql(pool, later).status, TG_OK);
    tg_pg_pool_close(pool);
}

static void the_servers_refusal_becomes_a_status(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        tg_status_t status;
    } cases[] = {
        {"select 1/0", TG_INVALID},
        {"select 'x'::int", TG_INVALID},
        {"do $$ begin raise exception using errcode = '42501'; end $$", TG_DENIED},
        {"do $$ begin raise exception using errcode = '57014'; end $$", TG_TIMEOUT},
        {"do $$ begin raise exception using errcode = '53100'; end $$", TG_UNAVAILABLE},
        {"do $$ begin raise exception using errcode = '40001'; end $$", TG_INTERNAL},
        {"selct", TG_INTERNAL},
        {"select generate_series(1, 1001)", TG_TOO_LARGE},
        {"copy (select 1) to stdout", TG_UNAVAILABLE},
        {"select 1", TG_OK},
    };
    tg_pg_pool_t *pool = open_pool(1, 10);
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++)
        assert_int_equal(ask_sql(pool, cases[i].sql).status, cases[i].status);
    tg_pg_pool_close(pool);
}

static void parameters_with_a_nul_or_beyond_the_limit_never_leave(void **state)
{
    (void)state;
    tg_pg_pool_t *pool = open_pool(1, 10);
    tg_pg_stmt_t stmt = {"select $1::text", 1, {{"a\0b", 3}}};
    struct answer answer = ask(pool, NULL, &stmt, 1);
    assert_int_equal(answer.status, TG_INVALID);
    assert_string_equal(answer.sqlstate, "22021");

    char *big = calloc(1, TG_PG_CALL_BYTES_MAX);
    stmt.params[0] = (tg_str_t){big, TG_PG_CALL_BYTES_MAX};
    assert_int_equal(ask(pool, NULL, &stmt, 1).status, TG_TOO_LARGE);
    memset(big, 'x', TG_PG_CALL_BYTES_MAX);
    stmt.sql = "select length($1)::text";
    stmt.params[0].len = TG_PG_CALL_BYTES_MAX - 1; /* far more than a socket takes at once */
    assert_string_equal(ask(pool, NULL, &stmt, 1).text, "16777215");
    free(big);
    tg_pg_pool_close(pool);
}

static void calls_beyond_the_queue_are_answered_full(void **state)
{
    (void)state;
    tg_pg_pool_t *pool = open_pool(2, 3);
    struct answer answers[8] = {0};
    tg_pg_stmt_t stmt = {.sql = "select pg_sleep(0.05), 1"};
    assert_int_equal(ask_sql(pool, "select 1").status, TG_OK); /* one connection stands */
    for (size_t i = 0; i < 8; i++)
        assert_non_null(tg_pg_call(pool, NULL, &stmt, 1, in_ms(10000), on_answer, &answers[i]));
    int full = 0, good = 0;
    for (size_t i = 0; i < 8; i++) {
        turn_until(&answers[i].times, 1);
        full += answers[i].status == TG_FULL;
        good += answers[i].status == TG_OK;
    }
    assert_int_equal(full + good, 8);
    assert_in_range(full, 3, 4); /* by whether the second connection came up in time */
    tg_pg_pool_close(pool);
}

static void a_passed_deadline_cancels_the_statement_and_keeps_the_connection(void **state)
{
    (void)state;
    tg_pg_pool_t *pool = open_pool(1, 10);
    assert_int_equal(ask_sql(pool, "select 1").status, TG_OK);
    char pid[64];
    snprintf(pid, sizeof(pid), "%s", ask_sql(pool, "select pg_backend_pid()").text);
    struct answer slow = {0};
    tg_pg_stmt_t stmt = {.sql = "select pg_sleep(20)"};
    uint64_t started = tg_time_mono_ms();
    assert_non_null(tg_pg_call(pool, NULL, &stmt, 1, in_ms(100), on_answer, &slow));
    turn_until(&slow.times, 1);
    assert_int_equal(slow.status, TG_TIMEOUT);
    assert_string_equal(ask_sql(pool, "select pg_backend_pid()").text, pid);
    assert_in_range(tg_time_mono_ms() - started, 100, 8000);
    tg_pg_pool_close(pool);
}

static void a_cancelled_call_is_not_heard_and_frees_its_connection(void **state)
{
    (void)state;
    tg_pg_pool_t *pool = open_pool(1, 10);
    assert_int_equal(ask_sql(pool, "select 1").status, TG_OK);
    struct answer sent = {0}, waiting = {0}, settled = {0};
    tg_pg_stmt_t slow = {.sql = "select pg_sleep(20)"}, bad = {"select $1", 1, {{"\0", 1}}};
    tg_pg_call_t *first = tg_pg_call(pool, NULL, &slow, 1, in_ms(20000), on_answer, &sent);
    tg_pg_call_t *second = tg_pg_call(pool, NULL, &slow, 1, in_ms(20000), on_answer, &waiting);
    tg_pg_call_t *third = tg_pg_call(pool, NULL, &bad, 1, in_ms(20000), on_answer, &settled);
    tg_pg_call_cancel(second);
    tg_pg_call_cancel(first);
    tg_pg_call_cancel(third);
    tg_pg_call_cancel(NULL);
    /* The grace passes, the connection is replaced, and the server stops the statement by itself.
     */
    assert_int_equal(ask_sql(pool, "select 1").status, TG_OK);
    static const char still[] =
        "select count(*) from pg_stat_activity where query like '%sleep(20)'"
        " and state = 'active' and pid <> pg_backend_pid()";
    uint64_t end = tg_time_mono_ms() + 5000;
    while (strcmp(ask_sql(pool, still).text, "0") != 0)
        assert_true(tg_time_mono_ms() < end);
    assert_int_equal(sent.times + waiting.times + settled.times, 0);
    tg_pg_pool_close(pool);
}

static void a_killed_server_fails_the_calls_in_flight_and_serves_those_that_wait(void **state)
{
    (void)state;
    tg_pg_pool_t *pool = open_pool(1, 10);
    assert_int_equal(ask_sql(pool, "select 1").status, TG_OK);
    struct answer flying = {0}, waiting = {0}, late = {0};
    tg_pg_stmt_t slow = {.sql = "select pg_sleep(20)"}, quick = {.sql = "select 2"};
    tg_pg_call(pool, NULL, &slow, 1, in_ms(20000), on_answer, &flying);
    tg_pg_call(pool, NULL, &quick, 1, in_ms(20000), on_answer, &waiting);
    assert_int_equal(tg_pg_server_do(&server, "kill"), 0);
    turn_until(&flying.times, 1);
    assert_int_equal(flying.status, TG_UNAVAILABLE);
    tg_pg_call(pool, NULL, &quick, 1, in_ms(200), on_answer, &late);
    turn_until(&late.times, 1);
    assert_int_equal(late.status, TG_UNAVAILABLE); /* nothing was sent, and it says so */
    tg_pg_stats_t stats;
    tg_pg_pool_stats(pool, &stats);
    assert_false(stats.connected);
    assert_true(stats.last_error[0] != '\0');
    assert_int_equal(waiting.times, 0);

    assert_int_equal(tg_pg_server_do(&server, "start"), 0);
    turn_until(&waiting.times, 1);
    assert_int_equal(waiting.status, TG_OK);
    assert_string_equal(waiting.text, "2");
    tg_pg_pool_close(pool);
}

static void after_a_while_without_a_connection_calls_fail_at_once(void **state)
{
    (void)state;
    tg_pg_pool_t *pool = open_pool(2, 10);
    assert_int_equal(ask_sql(pool, "select 1").status, TG_OK);
    assert_int_equal(tg_pg_server_do(&server, "kill"), 0);
    struct answer patient = {0}, late = {0};
    tg_pg_stmt_t quick = {.sql = "select 2"};
    tg_pg_stats_t stats = {.connected = true};
    while (stats.connected) {
        tg_loop_turn(loop, 10);
        tg_pg_pool_stats(pool, &stats);
    }
    tg_pg_call(pool, NULL, &quick, 1, in_ms(60000), on_answer, &patient);
    uint64_t started = tg_time_mono_ms();
    turn_until(&patient.times, 1);
    assert_int_equal(patient.status, TG_UNAVAILABLE);
    assert_in_range(tg_time_mono_ms() - started, TG_PG_PATIENCE_MS / 2, 6 * TG_PG_PATIENCE_MS);
    started = tg_time_mono_ms();
    tg_pg_call(pool, NULL, &quick, 1, in_ms(60000), on_answer, &late);
    assert_int_equal(late.times, 0);
    turn_until(&late.times, 1);
    assert_int_equal(late.status, TG_UNAVAILABLE);
    assert_in_range(tg_time_mono_ms() - started, 0, 1500);
    assert_int_equal(tg_pg_server_do(&server, "start"), 0);
    uint64_t end = tg_time_mono_ms() + 10000;
    while (!stats.connected && tg_time_mono_ms() < end) {
        tg_loop_turn(loop, 10);
        tg_pg_pool_stats(pool, &stats);
    }
    assert_int_equal(ask_sql(pool, "select 1").status, TG_OK);
    tg_pg_pool_close(pool);
}

static void a_server_that_dies_while_idle_is_noticed(void **state)
{
    (void)state;
    tg_pg_pool_t *pool = open_pool(1, 10);
    assert_int_equal(ask_sql(pool, "select 1").status, TG_OK);
    assert_int_equal(tg_pg_server_sql(&server,
                                      "select pg_terminate_backend(pid) from pg_stat_activity "
                                      "where application_name = 'test'"),
                     0);
    tg_pg_stats_t stats;
    uint64_t end = tg_time_mono_ms() + 5000;
    do {
        tg_loop_turn(loop, 50);
        tg_pg_pool_stats(pool, &stats);
    } while (stats.last_error[0] == '\0' && tg_time_mono_ms() < end);
    assert_true(stats.last_error[0] != '\0');
    assert_int_equal(ask_sql(pool, "select 1").status, TG_OK);
    tg_pg_pool_close(pool);
}

static void a_frozen_server_costs_a_call_no_more_than_its_deadline(void **state)
{
    (void)state;
    tg_pg_pool_t *pool = open_pool(1, 10);
    assert_int_equal(ask_sql(pool, "select 1").status, TG_OK);
    struct answer frozen = {0};
    tg_pg_stmt_t quick = {.sql = "select 1"};
    assert_int_equal(tg_pg_server_do(&server, "pause"), 0);
    uint64_t started = tg_time_mono_ms();
    tg_pg_call(pool, NULL, &quick, 1, in_ms(100), on_answer, &frozen);
    turn_until(&frozen.times, 1);
    assert_int_equal(frozen.status, TG_TIMEOUT);
    assert_in_range(tg_time_mono_ms() - started, 100, 8000);
    assert_int_equal(tg_pg_server_do(&server, "resume"), 0);
    assert_int_equal(ask_sql(pool, "select 1").status, TG_OK);
    tg_pg_pool_close(pool);
}

static void a_wrong_connection_string_is_an_error_at_open(void **state)
{
    (void)state;
    tg_pg_config_t config = {.dsn = "host=x nonsense=1", .name = "test", .connections = 1};
    tg_pg_pool_t *pool = NULL;
    tg_error_t error = {0};
    assert_int_equal(tg_pg_pool_open(loop, &config, &pool, &error), TG_INVALID);
    assert_non_null(strstr(error.text, "nonsense"));
    tg_pg_pool_close(NULL);
}

static int start(void **state)
{
    (void)state;
    loop = tg_loop_create();
    return loop == NULL ? -1 : tg_pg_server_create(&server);
}

static int stop(void **state)
{
    (void)state;
    tg_loop_destroy(loop);
    return tg_pg_server_do(&server, "destroy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_travel_as_text_and_null),
        cmocka_unit_test(statements_of_a_call_commit_together_or_not_at_all),
        cmocka_unit_test(the_tenant_dies_with_its_call),
        cmocka_unit_test(a_statement_is_prepared_once_per_connection),
        cmocka_unit_test(a_statement_that_did_not_prepare_can_be_sent_again),
        cmocka_unit_test(the_servers_refusal_becomes_a_status),
        cmocka_unit_test(parameters_with_a_nul_or_beyond_the_limit_never_leave),
        cmocka_unit_test(calls_beyond_the_queue_are_answered_full),
        cmocka_unit_test(a_passed_deadline_cancels_the_statement_and_keeps_the_connection),
        cmocka_unit_test(a_cancelled_call_is_not_heard_and_frees_its_connection),
        cmocka_unit_test(a_killed_server_fails_the_calls_in_flight_and_serves_those_that_wait),
        cmocka_unit_test(after_a_while_without_a_connection_calls_fail_at_once),
        cmocka_unit_test(a_server_that_dies_while_idle_is_noticed),
        cmocka_unit_test(a_frozen_server_costs_a_call_no_more_than_its_deadline),
        cmocka_unit_test(a_wrong_connection_string_is_an_error_at_open),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
