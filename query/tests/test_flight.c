/* The whole query service in one process: a real PostgreSQL with the migrations' views, a fake
 * Redis, real sockets. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "common/base/time.h"
#include "common/http/tests/support.h"
#include "common/pg/tests/server.h"
#include "query/service.h"
#include "query/tests/fake_redis.h"

#define SECRET "a-secret-of-the-tests"

static tg_pg_server_t pg;
static char dsn[160];
static char range[128]; /* of the stored rows, longer than an hour ago */

static struct {
    tg_query_config_t config;
    fake_redis_t *redis;
    char redis_address[32];
    tg_query_t *query;
    tg_http_server_t *server;
    PGconn *lock; /* holds what every query reads */
} q;

/* --- the service under test --- */

static int configure(void **state)
{
    (void)state;
    memset(&q, 0, sizeof(q));
    q.redis = fake_redis_start();
    (void)snprintf(q.redis_address, sizeof(q.redis_address), "%s", fake_redis_address(q.redis));
    q.config = (tg_query_config_t){
        .http = test_config(),
        .pg_dsn = dsn,
        .redis_address = q.redis_address,
        .secret = (char *)(uintptr_t)SECRET,
        .pg_connections = 2,
        .pg_waiting = 8,
        .max_flights = 16,
        .query_timeout_ms = 4000,
        .redis_timeout_ms = 2000,
    };
    return 0;
}

static void query_start(void)
{
    tg_error_t error = {.status = TG_OK};
    assert_int_equal(tg_query_open(&q.config, &q.query, &error), TG_OK);
    if (tg_http_server_open(tg_query_service(q.query), &q.server, &error) != TG_OK)
        fail_msg("%s", error.text);
}

static int dispose(void **state)
{
    (void)state;
    PQfinish(q.lock);
    tg_http_server_close(q.server);
    tg_query_close(q.query);
    fake_redis_stop(q.redis);
    return 0;
}

/* Until database_release no query comes to an end. */
static void database_hold(void)
{
    q.lock = PQconnectdb(pg.dsn);
    PGresult *result =
        PQexec(q.lock, "begin; lock table data.metric_minute in access exclusive mode");
    assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
    PQclear(result);
}

static void database_release(void)
{
    PQfinish(q.lock);
    q.lock = NULL;
}

/* --- talking to it --- */

static int begin(const char *tenant, const char *target, const char *headers)
{
    char text[1024];
    int len = snprintf(text, sizeof(text),
                       "GET %s HTTP/1.1\r\nHost: test\r\nX-Tidegate-Secret: " SECRET
                       "\r\nX-Tidegate-Tenant: %s\r\n%s\r\n",
                       target, tenant, headers);
    assert_in_range(len, 1, sizeof(text) - 1);
    int fd = test_connect(tg_http_server_port(q.server));
    test_say(fd, text);
    return fd;
}

static char *finish(int fd)
{
    char *answer = test_read_answer(fd, false);
    close(fd);
    return answer;
}

static char *get(const char *tenant, const char *target, const char *headers)
{
    return finish(begin(tenant, target, headers));
}

static char *get_range(const char *tenant, const char *headers)
{
    char target[160];
    (void)snprintf(target, sizeof(target), "/v1/kpi/minute?%s", range);
    return get(tenant, target, headers);
}

static void expect(char *answer, int code, const char *part)
{
    if (test_code(answer) != code || strcasestr(answer, part) == NULL)
        fail_msg("expected %d with %s, got: %s", code, part, answer);
    free(answer);
}

static long metric(const char *series)
{
    return test_metric(tg_http_server_admin_port(q.server), series);
}

static void wait_metric(const char *series, long wanted)
{
    uint64_t end = tg_time_mono_ms() + TEST_WAIT_MS;
    while (metric(series) != wanted && tg_time_mono_ms() < end)
        usleep(1000);
    assert_int_equal(metric(series), wanted);
}

#define HITS        "tidegate_query_cache_total{result=\"hit\"}"
#define MISSES      "tidegate_query_cache_total{result=\"miss\"}"
#define LOCAL       "tidegate_query_cache_total{result=\"local\"}"
#define UNAVAILABLE "tidegate_query_cache_total{result=\"unavailable\"}"
#define QUERIES     "tidegate_query_database_total{result=\"ok\"}"
#define SHARED      "tidegate_query_shared_total"
#define FLIGHTS     "tidegate_query_flights"

#define ACME_ITEM                                                                                  \
    "\"currency\":\"EUR\",\"revenue\":150.75,\"orders\":2,\"avg_order\":75.375,\"views\":4,"       \
    "\"checkouts\":0,\"purchases\":1,\"conversion\":0.25}"

/* --- the cache --- */

static void a_miss_is_answered_by_the_database_and_the_next_by_the_cache(void **state)
{
    (void)state;
    query_start();
    expect(get_range("acme", ""), 200, ACME_ITEM "],\"freshness\":{\"newest_minute\":");
    const fake_redis_entry_t *entry = fake_redis_wait(q.redis, 1);
    assert_non_null(entry);
    assert_int_equal(strncmp(entry->key, "tg:{acme}:q:kpi.minute|", 23), 0);
    assert_int_equal(entry->ttl_ms, 10000);
    char *answer = get_range("acme", "");
    test_assert_has(answer, ACME_ITEM);
    expect(answer, 200, "\"cached\":true}}");
    assert_int_equal(metric(MISSES), 1);
    assert_int_equal(metric(HITS), 1);
    assert_int_equal(metric(QUERIES), 1);
}

static void an_answer_of_the_last_hour_is_kept_for_a_second(void **state)
{
    (void)state;
    query_start();
    expect(get("acme", "/v1/kpi/minute", ""), 200, "\"cached\":false}}");
    const fake_redis_entry_t *entry = fake_redis_wait(q.redis, 1);
    assert_non_null(entry);
    assert_string_equal(entry->key, "tg:{acme}:q:kpi.minute");
    assert_int_equal(entry->ttl_ms, 1000);
}

static void tenants_share_neither_rows_nor_keys(void **state)
{
    (void)state;
    query_start();
    expect(get_range("acme", ""), 200, ACME_ITEM);
    const fake_redis_entry_t *first = fake_redis_wait(q.redis, 1);
    assert_non_null(first);
    expect(get_range("other", ""), 200, "\"revenue\":9,\"orders\":1,");
    const fake_redis_entry_t *second = fake_redis_wait(q.redis, 2);
    assert_non_null(second);
    assert_int_equal(strncmp(second->key, "tg:{other}:q:", 13), 0);
    assert_string_equal(strchr(first->key, '}'), strchr(second->key, '}')); /* all else alike */
    expect(get_range("nobody", ""), 200, "\"items\":[]");
}

static void garbage_in_the_cache_is_a_miss(void **state)
{
    (void)state;
    static const char *const garbage[] = {
        "",
        "hello",
        "W/\"0123456789abcdef\"{\"items\":[",
        "W/\"0123456789abcde\r\nSet-Cookie: a=b\r\n\"{\"cached\":",
        "W/\"0123456789\r\n x: y\"{\"cached\":",
        "W/\"0123456789abcdef {\"cached\":",
        "W/\"0123456789ABCDEF\"\"cached\":",
    };
    query_start();
    expect(get_range("acme", ""), 200, "\"cached\":false}}");
    const fake_redis_entry_t *entry = fake_redis_wait(q.redis, 1);
    assert_non_null(entry);
    for (size_t i = 0; i < TG_ARRAY_LEN(garbage); i++) {
        fake_redis_put(q.redis, entry, tg_str_from(garbage[i]));
        char *answer = get_range("acme", "");
        test_assert_has(answer, ACME_ITEM);
        expect(answer, 200, "\"cached\":false}}");
        assert_ptr_equal(fake_redis_wait(q.redis, i + 2), entry); /* and is replaced */
    }
    fake_redis_put(q.redis, entry, (tg_str_t){"W/\"0123456789abc\0ef\"{\"cached\":", 30});
    expect(get_range("acme", ""), 200, "\"cached\":false}}");
    assert_int_equal(metric(HITS), 0);
    assert_int_equal(metric(QUERIES), 9);
}

static void without_redis_the_database_answers(void **state)
{
    (void)state;
    (void)snprintf(q.redis_address, sizeof(q.redis_address), "127.0.0.1:%u", test_free_port());
    query_start();
    expect(get_range("acme", ""), 200, ACME_ITEM);
    expect(get_range("acme", ""), 200, "\"cached\":false}}");
    assert_int_equal(metric(UNAVAILABLE), 2);
    assert_int_equal(metric(QUERIES), 2);
}

static void a_silent_redis_costs_no_more_than_its_timeout(void **state)
{
    (void)state;
    q.config.redis_timeout_ms = 50;
    q.config.hot_bytes = 1 << 20; /* both questions go unanswered */
    fake_redis_mute(q.redis, true);
    query_start();
    uint64_t started = tg_time_mono_ms();
    expect(get_range("acme", ""), 200, ACME_ITEM);
    assert_in_range(tg_time_mono_ms() - started, 40, 3000);
    assert_int_equal(metric(UNAVAILABLE), 1);
}

/* --- the process's own copies --- */

/* What the process knows is gone, what Redis knows stays. */
static void query_restart(void)
{
    tg_http_server_close(q.server);
    tg_query_close(q.query);
    query_start();
}

static void an_answer_that_was_made_here_needs_no_redis(void **state)
{
    (void)state;
    q.config.hot_bytes = 1 << 20;
    query_start();
    char *made = get_range("acme", "");
    test_assert_has(made, "\"cached\":false}}");
    fake_redis_mute(q.redis, true);
    char *copy = get_range("acme", "");
    test_assert_has(copy, ACME_ITEM);
    size_t same =
        (size_t)(strstr(strstr(made, "\r\n\r\n"), "\"cached\":") - strstr(made, "\r\n\r\n"));
    assert_memory_equal(strstr(made, "\r\n\r\n"), strstr(copy, "\r\n\r\n"), same);
    free(made);
    expect(copy, 200, "\"cached\":true}}");
    expect(get_range("acme", "If-None-Match: *\r\n"), 304, "etag: W/");
    assert_int_equal(metric(LOCAL), 2);
    assert_int_equal(metric(QUERIES), 1);
    assert_true(metric("tidegate_query_hot_bytes") > 0);
    fake_redis_mute(q.redis, false);
    expect(get_range("other", ""), 200, "\"revenue\":9,"); /* another tenant's is another */
    assert_int_equal(metric(MISSES), 2);
}

static void an_answer_found_in_redis_is_kept_while_redis_has_it(void **state)
{
    (void)state;
    q.config.hot_bytes = 1 << 20;
    query_start();
    expect(get_range("acme", ""), 200, "\"cached\":false}}");
    const fake_redis_entry_t *entry = fake_redis_wait(q.redis, 1);
    assert_non_null(entry);
    fake_redis_age(q.redis, entry, 1); /* ends at once */
    query_restart();
    expect(get_range("acme", ""), 200, "\"cached\":true}}");
    fake_redis_age(q.redis, entry, 60000);
    expect(get_range("acme", ""), 200, "\"cached\":true}}");
    assert_int_equal(metric(HITS), 2);
    assert_int_equal(metric(LOCAL), 0);
    fake_redis_mute(q.redis, true);
    expect(get_range("acme", ""), 200, ACME_ITEM);
    assert_int_equal(metric(LOCAL), 1);
    assert_int_equal(metric(QUERIES), 0);
}

static void an_entry_without_an_end_is_not_kept(void **state)
{
    (void)state;
    q.config.hot_bytes = 1 << 20;
    query_start();
    expect(get_range("acme", ""), 200, "\"cached\":false}}");
    const fake_redis_entry_t *entry = fake_redis_wait(q.redis, 1);
    assert_non_null(entry);
    fake_redis_age(q.redis, entry, (uint64_t)-1); /* PTTL of a key that never ends */
    query_restart();
    for (long i = 1; i <= 2; i++) {
        expect(get_range("acme", ""), 200, "\"cached\":true}}");
        assert_int_equal(metric(HITS), i);
    }
}

static void a_copy_ends_with_its_second(void **state)
{
    (void)state;
    q.config.hot_bytes = 1 << 20;
    query_start();
    uint64_t started = tg_time_mono_us();
    expect(get("acme", "/v1/kpi/minute", ""), 200, "\"cached\":false}}");
    const fake_redis_entry_t *entry = fake_redis_wait(q.redis, 1);
    assert_non_null(entry);
    fake_redis_put(q.redis, entry, TG_STR("gone"));
    uint64_t end = tg_time_mono_ms() + TEST_WAIT_MS;
    while (metric(QUERIES) < 2 && tg_time_mono_ms() < end) {
        expect(get("acme", "/v1/kpi/minute", ""), 200, "\"items\":[");
        usleep(1000);
    }
    assert_true(tg_time_mono_us() - started >= 999000);
    assert_int_equal(metric(QUERIES), 2);
}

/* --- entity tags --- */

static void an_unchanged_answer_is_304_by_its_tag(void **state)
{
    (void)state;
    char tag[32] = "", headers[128];
    query_start();
    char *answer = get_range("acme", "");
    test_assert_has(answer, "cache-control: private");
    const char *at = strcasestr(answer, "\r\netag: ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, " %*s %31s", tag), 1);
    free(answer);

    (void)snprintf(headers, sizeof(headers), "If-None-Match: %s\r\n", tag);
    answer = get_range("acme", headers); /* from the cache */
    test_assert_has(answer, tag);
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    expect(answer, 304, "etag");
    (void)snprintf(headers, sizeof(headers), "If-None-Match: \"x\", %s\r\n", tag + 2);
    expect(get_range("acme", headers), 304, "etag");
    expect(get_range("acme", "If-None-Match: W/\"0000000000000000\"\r\n"), 200, ACME_ITEM);
    expect(get_range("other", headers), 200, "\"revenue\":9,");
    assert_int_equal(metric("tidegate_query_not_modified_total"), 2);
}

/* --- flights --- */

static void equal_requests_share_one_query(void **state)
{
    (void)state;
    int fds[5];
    query_start();
    database_hold();
    for (size_t i = 0; i < TG_ARRAY_LEN(fds); i++)
        fds[i] = begin("acme", "/v1/kpi/hour", "");
    wait_metric(SHARED, 4);
    assert_int_equal(metric(FLIGHTS), 1);
    int other = begin("other", "/v1/kpi/hour", ""); /* another tenant's is another query */
    wait_metric(FLIGHTS, 2);
    database_release();
    for (size_t i = 0; i < TG_ARRAY_LEN(fds); i++)
        expect(finish(fds[i]), 200, "\"revenue\":150.75,");
    expect(finish(other), 200, "\"revenue\":9,");
    assert_int_equal(metric(QUERIES), 2);
    assert_int_equal(metric(SHARED), 4);
    assert_int_equal(metric(FLIGHTS), 0);
}

static void a_flight_goes_on_without_its_client_and_fills_the_cache(void **state)
{
    (void)state;
    query_start();
    database_hold();
    expect(get("acme", "/v1/kpi/hour", "X-Tidegate-Deadline-Ms: 50\r\n"), 504, "deadline_exceeded");
    int left = begin("acme", "/v1/kpi/hour", ""), stays = begin("acme", "/v1/kpi/hour", "");
    wait_metric(SHARED, 2);
    close(left);
    database_release();
    expect(finish(stays), 200, "\"cached\":false}}");
    assert_non_null(fake_redis_wait(q.redis, 1));
    expect(get("acme", "/v1/kpi/hour", ""), 200, "\"cached\":true}}");
    assert_int_equal(metric(QUERIES), 1);
}

static void a_flight_with_nobody_left_fills_the_cache_as_well(void **state)
{
    (void)state;
    query_start();
    database_hold();
    expect(get("acme", "/v1/kpi/hour", "X-Tidegate-Deadline-Ms: 50\r\n"), 504, "deadline_exceeded");
    assert_int_equal(metric(FLIGHTS), 1);
    database_release();
    assert_non_null(fake_redis_wait(q.redis, 1));
    assert_int_equal(metric(FLIGHTS), 0);
}

static void flights_beyond_the_limit_are_503_overloaded(void **state)
{
    (void)state;
    q.config.max_flights = 1;
    query_start();
    database_hold();
    int first = begin("acme", "/v1/kpi/hour", "");
    wait_metric(FLIGHTS, 1);
    char *answer = get("acme", "/v1/kpi/minute", "");
    test_assert_has(answer, "\r\nretry-after: 1\r\n");
    expect(answer, 503, "\"code\":\"overloaded\"");
    database_release();
    expect(finish(first), 200, "\"revenue\":150.75,");
}

static void a_drain_cuts_a_flight_that_does_not_end(void **state)
{
    (void)state;
    q.config.http.drain_ms = 50;
    query_start();
    database_hold();
    int fd = begin("acme", "/v1/kpi/hour", "");
    wait_metric(FLIGHTS, 1);
    assert_int_equal(tg_http_server_drain(q.server), 1);
    expect(finish(fd), 503, "\"code\":\"shutting_down\"");
}

/* --- the database --- */

static void a_slow_query_is_504_query_timeout(void **state)
{
    (void)state;
    q.config.query_timeout_ms = 200;
    query_start();
    expect(get("acme", "/v1/metrics", ""), 200, "\"items\":[]"); /* a connection stands */
    database_hold();
    expect(get("acme", "/v1/kpi/hour", ""), 504, "\"code\":\"query_timeout\"");
    database_release();
    expect(get("acme", "/v1/kpi/hour", ""), 200, "\"revenue\":150.75,");
    assert_int_equal(metric("tidegate_query_database_total{result=\"timeout\"}"), 1);
}

static void without_the_database_only_what_is_cached_is_answered(void **state)
{
    (void)state;
    q.config.query_timeout_ms = 300;
    query_start();
    expect(get_range("acme", ""), 200, ACME_ITEM);
    assert_non_null(fake_redis_wait(q.redis, 1));
    assert_int_equal(tg_pg_server_do(&pg, "kill"), 0);
    expect(get_range("acme", ""), 200, "\"cached\":true}}");
    char *answer = get("acme", "/v1/streams/top", "");
    test_assert_has(answer, "\r\nretry-after: 1\r\n");
    expect(answer, 503, "\"code\":\"database_unavailable\"");
    assert_int_equal(tg_pg_server_do(&pg, "start"), 0);
    uint64_t end = tg_time_mono_ms() + TEST_WAIT_MS;
    int code = 0;
    while (code != 200 && tg_time_mono_ms() < end) {
        answer = get("acme", "/v1/streams/top", "");
        code = test_code(answer);
        free(answer);
    }
    assert_int_equal(code, 200);
}

static void a_request_without_secret_or_tenant_gets_nothing(void **state)
{
    (void)state;
    query_start();
    int fd = test_connect(tg_http_server_port(q.server));
    test_say(fd, "GET /v1/metrics HTTP/1.1\r\nHost: test\r\nX-Tidegate-Tenant: acme\r\n\r\n");
    expect(finish(fd), 403, "\"code\":\"forbidden\"");
    expect(get("", "/v1/metrics", ""), 400, "\"code\":\"missing_tenant\"");
    assert_int_equal(metric(MISSES), 0);
}

/* --- the rows --- */

/* Two tenants, in the same minute three hours ago. */
static const char rows_sql[] =
    "select data.ensure_days(array[(now() at time zone 'UTC')::date - 1,"
    " (now() at time zone 'UTC')::date]);"
    "create table public.minute as"
    " select date_trunc('hour', now()) - interval '3 hours' as at;"
    "insert into data.metric_minute (tenant_id, type, bucket, kind, entity, count, value_count,"
    " sum) select v.tenant, v.type, at, v.kind, v.entity, v.count, v.priced, v.sum"
    " from public.minute, (values ('acme', 'order', 'EUR', 'web', 2, 2, 150.75),"
    " ('acme', 'session', 'view', 'web', 3, 0, 0), ('acme', 'session', 'view', 'app', 1, 0, 0),"
    " ('acme', 'session', 'purchase', 'web', 1, 0, 0), ('other', 'order', 'EUR', 'web', 1, 1, 9))"
    " as v(tenant, type, kind, entity, count, priced, sum);"
    "insert into data.touched_hours (tenant_id, hour)"
    " select tenant, at from public.minute, unnest(array['acme', 'other']) as tenant";

static int read_range(void)
{
    PGconn *connection = PQconnectdb(pg.dsn);
    PGresult *result =
        PQexec(connection, "select extract(epoch from at)::bigint from public.minute");
    bool good = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1;
    if (good) {
        long long at = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
        (void)snprintf(range, sizeof(range), "from=%lld&to=%lld", at, at + 3600);
    }
    PQclear(result);
    PQfinish(connection);
    return good ? 0 : -1;
}

static int start(void **state)
{
    (void)state;
    if (tg_pg_server_create(&pg) != 0 || tg_pg_server_migrate(&pg) != 0 ||
        tg_pg_server_sql(&pg, rows_sql) != 0)
        return -1;
    (void)snprintf(dsn, sizeof(dsn), "host=%s user=tidegate_query dbname=postgres", pg.dir);
    return read_range();
}

static int stop(void **state)
{
    (void)state;
    return tg_pg_server_do(&pg, "destroy");
}

#define QUERY_TEST(name) cmocka_unit_test_setup_teardown(name, configure, dispose)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUERY_TEST(a_miss_is_answered_by_the_database_and_the_next_by_the_cache),
        QUERY_TEST(an_answer_of_the_last_hour_is_kept_for_a_second),
        QUERY_TEST(tenants_share_neither_rows_nor_keys),
        QUERY_TEST(garbage_in_the_cache_is_a_miss),
        QUERY_TEST(without_redis_the_database_answers),
        QUERY_TEST(a_silent_redis_costs_no_more_than_its_timeout),
        QUERY_TEST(an_answer_that_was_made_here_needs_no_redis),
        QUERY_TEST(an_answer_found_in_redis_is_kept_while_redis_has_it),
        QUERY_TEST(an_entry_without_an_end_is_not_kept),
        QUERY_TEST(a_copy_ends_with_its_second),
        QUERY_TEST(an_unchanged_answer_is_304_by_its_tag),
        QUERY_TEST(equal_requests_share_one_query),
        QUERY_TEST(a_flight_goes_on_without_its_client_and_fills_the_cache),
        QUERY_TEST(a_flight_with_nobody_left_fills_the_cache_as_well),
        QUERY_TEST(flights_beyond_the_limit_are_503_overloaded),
        QUERY_TEST(a_drain_cuts_a_flight_that_does_not_end),
        QUERY_TEST(a_slow_query_is_504_query_timeout),
        QUERY_TEST(without_the_database_only_what_is_cached_is_answered),
        QUERY_TEST(a_request_without_secret_or_tenant_gets_nothing),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
