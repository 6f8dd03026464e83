/* answer_hot, or start -> on_left, on_cached -> on_rows -> land. Each step ends in exactly one of:
 * arm the next wait, or flight_land(), which answers every waiter and frees the flight. */
#include "query/flight.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/table.h"
#include "common/observe/log.h"
#include "query/hot.h"
#include "query/metrics.h"
#include "query/render.h"

#define KEY_PREFIX "tg:{"

enum flight_step { FLIGHT_CACHE, FLIGHT_DATABASE, FLIGHT_LANDED };

struct flight;

/* One request that waits; lives in the request's arena. */
struct waiter {
    tg_http_req_t *req;
    struct flight *flight;
    struct waiter *next, **link;
};

struct flight {
    tg_flights_t *flights;
    enum flight_step step;
    tg_plan_t *plan;
    tg_str_t key, tenant; /* in `text` */
    struct waiter *waiters;
    tg_redis_call_t *redis_call; /* at most one of these two waits is armed */
    tg_pg_call_t *pg_call;
    tg_redis_call_t *left_call; /* beside redis_call, and answered before it */
    uint64_t left_ms;           /* that Redis has the entry from started_us on; 0: unknown */
    uint64_t started_us;        /* of the step */
    char text[];
};

struct tg_flights {
    tg_flights_config_t config;
    tg_table_t *by_key; /* borrowed flights */
    tg_hot_t *hot;      /* NULL: off */
    uint64_t evicted;   /* of `hot`, counted so far */
};

static void start_query(struct flight *flight);

tg_flights_t *tg_flights_create(const tg_flights_config_t *config)
{
    assert(config->loop != NULL && config->pool != NULL);
    assert(config->redis != NULL);
    tg_flights_t *flights = calloc(1, sizeof(*flights));
    if (flights == NULL)
        return NULL;
    flights->config = *config;
    flights->by_key = tg_table_create(config->max_flights, NULL);
    if (config->hot_bytes > 0)
        flights->hot = tg_hot_create(config->hot_bytes);
    if (flights->by_key == NULL || (flights->hot == NULL && config->hot_bytes > 0)) {
        tg_table_destroy(flights->by_key);
        tg_hot_destroy(flights->hot);
        free(flights);
        return NULL;
    }
    return flights;
}

static void flight_free(struct flight *flight)
{
    assert(flight->waiters == NULL); /* each has been answered, or has gone */
    tg_redis_call_cancel(flight->redis_call);
    tg_redis_call_cancel(flight->left_call);
    tg_pg_call_cancel(flight->pg_call);
    (void)tg_table_remove(flight->flights->by_key, flight->key);
    tg_metric_set(flight->flights->config.shard, Q_FLIGHTS, 0,
                  (int64_t)tg_table_len(flight->flights->by_key));
    free(flight->plan);
    free(flight);
}

void tg_flights_destroy(tg_flights_t *flights)
{
    if (flights == NULL)
        return;
    size_t cursor = 0;
    tg_str_t key;
    void *value = NULL;
    while (tg_table_next(flights->by_key, &cursor, &key, &value)) {
        flight_free(value);
        cursor = 0; /* the table has changed */
    }
    tg_table_destroy(flights->by_key);
    tg_hot_destroy(flights->hot);
    free(flights);
}

static void waiter_detach(struct waiter *waiter)
{
    assert(*waiter->link == waiter);
    *waiter->link = waiter->next;
    if (waiter->next != NULL)
        waiter->next->link = waiter->link;
}

/* The client left or its deadline passed; the flight goes on for the cache. */
static void on_gone(void *user)
{
    waiter_detach(user);
}

static bool waiter_add(struct flight *flight, tg_http_req_t *req)
{
    struct waiter *waiter = tg_arena_alloc(tg_http_arena(req), sizeof(*waiter));
    if (waiter == NULL) {
        tg_http_fail(req, 503, "overloaded", TG_STR(""), "Out of memory; retry.");
        return false;
    }
    *waiter = (struct waiter){.req = req,
                              .flight = flight,
                              .next = flight->waiters,
                              .link = &flight->waiters};
    if (flight->waiters != NULL)
        flight->waiters->link = &waiter->next;
    flight->waiters = waiter;
    tg_http_set_user(req, waiter, on_gone);
    return true;
}

/* Whether the client has the answer already; it is told so. */
static bool not_modified(tg_flights_t *flights, tg_http_req_t *req, tg_str_t tag)
{
    tg_http_add_header(req, "etag", tag);
    tg_http_add_header(req, "cache-control", TG_STR("private, max-age=0, must-revalidate"));
    if (!tg_render_matches(tg_http_header(req, "if-none-match"), tag))
        return false;
    tg_metric_add(flights->config.shard, Q_NOT_MODIFIED, 0, 1);
    tg_http_reply(req, 304, NULL, TG_STR(""));
    return true;
}

static void answer_one(tg_flights_t *flights, tg_http_req_t *req, tg_str_t tag, tg_str_t body,
                       bool cached, uint64_t rows)
{
    if (rows > 0)
        tg_http_add_cost(req, rows);
    if (not_modified(flights, req, tag))
        return;
    tg_buf_t out = tg_buf_make(TG_RENDER_BODY_MAX + 64);
    tg_render_body(body, cached, &out);
    tg_http_reply_buf(req, 200, "application/json", &out);
}

/* Answers everybody from a good entry; frees the flight. The rows that were read for it are at the
 * cost of the one who asked first, who is the last of the waiters. */
static void flight_land(struct flight *flight, tg_str_t tag, tg_str_t body, bool cached,
                        uint64_t rows)
{
    assert(flight->step != FLIGHT_LANDED);
    flight->step = FLIGHT_LANDED;
    while (flight->waiters != NULL) {
        struct waiter *waiter = flight->waiters;
        waiter_detach(waiter);
        answer_one(flight->flights, waiter->req, tag, body, cached,
                   flight->waiters == NULL ? rows : 0);
    }
    flight_free(flight);
}

static void flight_fail(struct flight *flight, int http_code, const char *code, const char *text)
{
    assert(flight->step != FLIGHT_LANDED);
    flight->step = FLIGHT_LANDED;
    while (flight->waiters != NULL) {
        struct waiter *waiter = flight->waiters;
        waiter_detach(waiter);
        if (http_code == 503)
            tg_http_add_header(waiter->req, "retry-after", TG_STR("1"));
        tg_http_fail(waiter->req, http_code, code, TG_STR(""), "%s", text);
    }
    flight_free(flight);
}

/* --- the thread's own copies --- */

static bool answer_hot(tg_flights_t *flights, tg_http_req_t *req, tg_str_t key)
{
    tg_hot_answer_t answer;
    if (flights->hot == NULL || !tg_hot_get(flights->hot, key, tg_time_mono_us(), &answer))
        return false;
    tg_metric_add(flights->config.shard, Q_CACHE, Q_CACHE_LOCAL, 1);
    if (not_modified(flights, req, answer.tag))
        answer.body.release(answer.body.owner);
    else
        tg_http_reply_bytes(req, 200, "application/json", &answer.body);
    return true;
}

/* Redis has the entry for `left_ms` from `since_us` on, less up to 1 ms, as it counts in whole
 * ones. Best effort. */
static void keep_hot(const struct flight *flight, tg_str_t tag, tg_str_t body, uint64_t since_us,
                     uint64_t left_ms)
{
    tg_flights_t *flights = flight->flights;
    if (flights->hot == NULL || left_ms <= 1)
        return;
    tg_status_t status =
        tg_hot_put(flights->hot, flight->key, tag, body, since_us + (left_ms - 1) * 1000);
    (void)status;
    tg_hot_stats_t stats;
    tg_hot_get_stats(flights->hot, &stats);
    tg_metric_set(flights->config.shard, Q_HOT_BYTES, 0, (int64_t)stats.bytes);
    tg_metric_add(flights->config.shard, Q_HOT_EVICTED, 0, stats.evicted_total - flights->evicted);
    flights->evicted = stats.evicted_total;
}

/* Best effort: losing it costs one more query. */
static void store(const struct flight *flight, tg_str_t entry)
{
    assert(entry.len > TG_RENDER_TAG_LEN);
    char ttl[24];
    int len = snprintf(ttl, sizeof(ttl), "%llu", (unsigned long long)tg_plan_ttl_ms(flight->plan));
    const tg_str_t argv[] = {TG_STR("SET"), flight->key, entry, TG_STR("PX"), {ttl, (size_t)len}};
    tg_redis_call_t *call =
        tg_redis_command(flight->flights->config.redis, argv, TG_ARRAY_LEN(argv),
                         flight->flights->config.redis_timeout_ms, NULL, NULL);
    (void)call; /* fire and forget */
}

static const struct {
    tg_status_t status;
    unsigned metric;
    int http_code;
    const char *code, *text;
} failures[] = {
    {TG_TIMEOUT, Q_DB_TIMEOUT, 504, "query_timeout",
     "The query took too long; ask for a shorter range."},
    {TG_UNAVAILABLE, Q_DB_UNAVAILABLE, 503, "database_unavailable",
     "The database cannot be reached; retry."},
    {TG_FULL, Q_DB_FULL, 503, "overloaded", "Too many queries are waiting; retry."},
    {TG_TOO_LARGE, Q_DB_TOO_LARGE, 422, "answer_too_large",
     "The answer is too large; ask for a shorter range or a lower limit."},
    {TG_INTERNAL, Q_DB_FAILED, 500, "query_failed",
     "The query failed; the service's log has the reason under this request id."},
};

static void fail_by_status(struct flight *flight, tg_status_t status, const tg_pg_answer_t *answer)
{
    size_t i = 0;
    while (i + 1 < TG_ARRAY_LEN(failures) && failures[i].status != status)
        i++;
    tg_metric_add(flight->flights->config.shard, Q_DB, failures[i].metric, 1);
    tg_log_warn("query_failed", TG_F_TEXT("status", tg_status_name(status)),
                TG_F_TEXT("sqlstate", answer != NULL ? answer->sqlstate : ""),
                TG_F_TEXT("error", answer != NULL ? answer->message : ""),
                TG_F_TEXT("query", flight->plan->shape->name), TG_F_STR("tenant", flight->tenant));
    flight_fail(flight, failures[i].http_code, failures[i].code, failures[i].text);
}

static void on_rows(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    struct flight *flight = arg;
    assert(flight->step == FLIGHT_DATABASE);
    flight->pg_call = NULL;
    tg_metric_observe(flight->flights->config.shard, Q_DB_S, 0,
                      (double)(tg_time_mono_us() - flight->started_us) / 1e6);
    if (status != TG_OK) {
        fail_by_status(flight, status, answer);
        return;
    }
    assert(answer->count == 2);
    tg_buf_t entry = tg_buf_make(TG_RENDER_BODY_MAX);
    tg_str_t tag, body;
    tg_render_entry(flight->plan, answer->results[0], answer->results[1], &entry);
    if (entry.failed || !tg_render_split(tg_buf_view(&entry), &tag, &body)) {
        fail_by_status(flight, TG_TOO_LARGE, NULL);
    } else {
        tg_metric_add(flight->flights->config.shard, Q_DB, Q_DB_OK, 1);
        keep_hot(flight, tag, body, tg_time_mono_us(), tg_plan_ttl_ms(flight->plan));
        store(flight, tg_buf_view(&entry));
        flight_land(flight, tag, body, false, (uint64_t)PQntuples(answer->results[0]));
    }
    tg_buf_dispose(&entry);
}

/* The newest minute with data of the answer's types, looked for in the last day only: further back
 * nothing is fresh anyway. One index look-up per type. */
static const char newest_sql[] =
    "select (extract(epoch from m.bucket) * 1000000)::bigint"
    " from unnest(string_to_array($1, ',')) as t(type), lateral (select bucket"
    " from api.newest_minutes where type = t.type and bucket >= $2::timestamptz"
    " and bucket < $3::timestamptz order by bucket desc limit 1) m order by 1 desc limit 1";

static void start_query(struct flight *flight)
{
    assert(flight->redis_call == NULL && flight->pg_call == NULL);
    tg_redis_call_cancel(flight->left_call); /* the entry's call may fail before it */
    flight->left_call = NULL;
    const tg_plan_t *plan = flight->plan;
    char since[TG_TIME_TEXT_MAX], until[TG_TIME_TEXT_MAX];
    size_t since_len = tg_time_format(plan->now - TG_US_PER_DAY, since);
    size_t until_len = tg_time_format(plan->now + TG_US_PER_DAY, until);
    tg_pg_stmt_t statements[2] = {
        {.sql = plan->shape->sql, .param_count = plan->param_count},
        {.sql = newest_sql,
         .param_count = 3,
         .params = {tg_str_from(plan->shape->types), {since, since_len}, {until, until_len}}},
    };
    for (size_t i = 0; i < plan->param_count; i++)
        statements[0].params[i] = plan->params[i].null
                                      ? (tg_str_t){NULL, 0}
                                      : (tg_str_t){plan->params[i].text, plan->params[i].len};
    const tg_flights_config_t *config = &flight->flights->config;
    flight->step = FLIGHT_DATABASE;
    flight->started_us = tg_time_mono_us();
    flight->pg_call =
        tg_pg_call(config->pool, &flight->tenant, statements, TG_ARRAY_LEN(statements),
                   tg_loop_now_ms(config->loop) + config->query_timeout_ms, on_rows, flight);
    if (flight->pg_call == NULL)
        fail_by_status(flight, TG_FULL, NULL);
}

static void on_cached(void *arg, tg_status_t status, const redisReply *reply)
{
    struct flight *flight = arg;
    assert(flight->step == FLIGHT_CACHE);
    flight->redis_call = NULL;
    tg_metrics_shard_t *shard = flight->flights->config.shard;
    tg_str_t tag, body;

    if (status == TG_OK && reply->type == REDIS_REPLY_STRING &&
        tg_render_split((tg_str_t){reply->str, (size_t)reply->len}, &tag, &body)) {
        tg_metric_add(shard, Q_CACHE, Q_CACHE_HIT, 1);
        keep_hot(flight, tag, body, flight->started_us, flight->left_ms);
        flight_land(flight, tag, body, true, 0);
        return;
    }
    tg_metric_add(shard, Q_CACHE, status == TG_OK ? Q_CACHE_MISS : Q_CACHE_UNAVAILABLE, 1);
    start_query(flight);
}

static void on_left(void *arg, tg_status_t status, const redisReply *reply)
{
    struct flight *flight = arg;
    assert(flight->step == FLIGHT_CACHE);
    flight->left_call = NULL;
    if (status == TG_OK && reply->type == REDIS_REPLY_INTEGER && reply->integer > 0)
        flight->left_ms = (uint64_t)reply->integer;
}

/* The time that is left is asked for before the entry: should another take its place in between,
 * that one lives longer. */
static void ask_left(struct flight *flight)
{
    const tg_flights_config_t *config = &flight->flights->config;
    const tg_str_t argv[] = {TG_STR("PTTL"), flight->key};
    flight->started_us = tg_time_mono_us();
    flight->left_call = tg_redis_command(config->redis, argv, TG_ARRAY_LEN(argv),
                                         config->redis_timeout_ms, on_left, flight);
}

static void start(struct flight *flight)
{
    const tg_flights_config_t *config = &flight->flights->config;
    assert(flight->step == FLIGHT_CACHE);
    if (flight->flights->hot != NULL)
        ask_left(flight);
    const tg_str_t argv[] = {TG_STR("GET"), flight->key};
    flight->redis_call = tg_redis_command(config->redis, argv, TG_ARRAY_LEN(argv),
                                          config->redis_timeout_ms, on_cached, flight);
    if (flight->redis_call == NULL)
        start_query(flight);
}

#define KEY_MAX (TG_PLAN_KEY_MAX + 128)

/* "tg:{tenant}:q:<plan's key>"; the braces keep a tenant's keys on one node of a cluster. Empty
 * when it would be too long. */
static tg_str_t write_key(tg_str_t tenant, const tg_plan_t *plan, char place[KEY_MAX])
{
    const tg_str_t parts[] = {TG_STR(KEY_PREFIX),
                              tenant,
                              TG_STR("}:q:"),
                              {plan->key, plan->key_len}};
    size_t len = 0;
    for (size_t i = 0; i < TG_ARRAY_LEN(parts); i++) {
        if (parts[i].len > KEY_MAX - len)
            return (tg_str_t){NULL, 0};
        memcpy(place + len, parts[i].ptr, parts[i].len);
        len += parts[i].len;
    }
    return (tg_str_t){place, len};
}

/* A new flight in the table, or NULL when the limit or memory is reached. Takes the plan on
 * success. */
static struct flight *flight_create(tg_flights_t *flights, tg_str_t key, size_t tenant_len,
                                    tg_plan_t *plan)
{
    struct flight *flight = calloc(1, sizeof(*flight) + key.len);
    if (flight == NULL)
        return NULL;
    flight->flights = flights;
    flight->plan = plan;
    memcpy(flight->text, key.ptr, key.len);
    flight->key = (tg_str_t){flight->text, key.len};
    flight->tenant = (tg_str_t){flight->text + sizeof(KEY_PREFIX) - 1, tenant_len};
    if (tg_table_put(flights->by_key, flight->key, flight) != TG_OK) {
        free(flight);
        return NULL;
    }
    tg_metric_set(flights->config.shard, Q_FLIGHTS, 0, (int64_t)tg_table_len(flights->by_key));
    return flight;
}

/* Takes `plan`. */
static void take_off(tg_flights_t *flights, tg_http_req_t *req, tg_str_t key, tg_plan_t *plan)
{
    struct flight *flight = NULL;
    if (key.len > 0)
        flight = flight_create(flights, key, tg_http_tenant(req).len, plan);
    if (flight == NULL) {
        free(plan);
        tg_http_add_header(req, "retry-after", TG_STR("1"));
        tg_http_fail(req, 503, "overloaded", TG_STR(""), "Too many queries are under way; retry.");
        return;
    }
    if (waiter_add(flight, req))
        start(flight);
    else
        flight_free(flight);
}

void tg_flights_answer(tg_flights_t *flights, tg_http_req_t *req, tg_plan_t *plan)
{
    assert(plan != NULL && plan->key_len > 0);
    assert(tg_http_tenant(req).len > 0);
    char place[KEY_MAX];
    tg_str_t key = write_key(tg_http_tenant(req), plan, place);
    if (answer_hot(flights, req, key)) {
        free(plan);
        return;
    }
    struct flight *flight = tg_table_get(flights->by_key, key);
    if (flight == NULL) {
        take_off(flights, req, key, plan);
        return;
    }
    tg_metric_add(flights->config.shard, Q_SHARED, 0, 1);
    (void)waiter_add(flight, req);
    free(plan);
}
