/* start -> on_cached -> on_rows -> land. Each step ends in exactly one of: arm the next wait, or
 * flight_land(), which answers every waiter and frees the flight. */
#include "query/flight.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/table.h"
#include "common/observe/log.h"
#include "query/metrics.h"
#include "query/render.h"

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
    tg_buf_t key;    /* tg:{tenant}:q:…, also the table's key */
    tg_str_t tenant; /* inside `key` */
    struct waiter *waiters;
    tg_redis_call_t *redis_call; /* at most one of the two waits is armed */
    tg_pg_call_t *pg_call;
    uint64_t started_us;
};

struct tg_flights {
    tg_flights_config_t config;
    tg_table_t *by_key; /* borrowed flights */
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
    if (flights->by_key == NULL) {
        free(flights);
        return NULL;
    }
    return flights;
}

static void flight_free(struct flight *flight)
{
    assert(flight->waiters == NULL); /* each has been answered, or has gone */
    tg_redis_call_cancel(flight->redis_call);
    tg_pg_call_cancel(flight->pg_call);
    (void)tg_table_remove(flight->flights->by_key, tg_buf_view(&flight->key));
    tg_metric_set(flight->flights->config.shard, Q_FLIGHTS, 0,
                  (int64_t)tg_table_len(flight->flights->by_key));
    tg_buf_dispose(&flight->key);
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

static void answer_one(tg_flights_t *flights, tg_http_req_t *req, tg_str_t tag, tg_str_t body,
                       bool cached)
{
    tg_http_add_header(req, "etag", tag);
    tg_http_add_header(req, "cache-control", TG_STR("private, max-age=0, must-revalidate"));
    if (tg_render_matches(tg_http_header(req, "if-none-match"), tag)) {
        tg_metric_add(flights->config.shard, Q_NOT_MODIFIED, 0, 1);
        tg_http_reply(req, 304, NULL, TG_STR(""));
        return;
    }
    tg_buf_t out = tg_buf_make(TG_RENDER_BODY_MAX + 64);
    tg_render_body(body, cached, &out);
    tg_http_reply_buf(req, 200, "application/json", &out);
}

/* Answers everybody from a good entry; frees the flight. */
static void flight_land(struct flight *flight, tg_str_t tag, tg_str_t body, bool cached)
{
    assert(flight->step != FLIGHT_LANDED);
    flight->step = FLIGHT_LANDED;
    while (flight->waiters != NULL) {
        struct waiter *waiter = flight->waiters;
        waiter_detach(waiter);
        answer_one(flight->flights, waiter->req, tag, body, cached);
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

/* Best effort: losing it costs one more query. */
static void store(const struct flight *flight, tg_str_t entry)
{
    assert(entry.len > TG_RENDER_TAG_LEN);
    char ttl[24];
    int len = snprintf(ttl, sizeof(ttl), "%llu", (unsigned long long)tg_plan_ttl_ms(flight->plan));
    const tg_str_t argv[] = {
        TG_STR("SET"), tg_buf_view(&flight->key), entry, TG_STR("PX"), {ttl, (size_t)len}};
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
        store(flight, tg_buf_view(&entry));
        flight_land(flight, tag, body, false);
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
        flight_land(flight, tag, body, true);
        return;
    }
    tg_metric_add(shard, Q_CACHE, status == TG_OK ? Q_CACHE_MISS : Q_CACHE_UNAVAILABLE, 1);
    start_query(flight);
}

static void start(struct flight *flight)
{
    const tg_flights_config_t *config = &flight->flights->config;
    assert(flight->step == FLIGHT_CACHE);
    const tg_str_t argv[] = {TG_STR("GET"), tg_buf_view(&flight->key)};
    flight->redis_call = tg_redis_command(config->redis, argv, TG_ARRAY_LEN(argv),
                                          config->redis_timeout_ms, on_cached, flight);
    if (flight->redis_call == NULL)
        start_query(flight);
}

/* "tg:{tenant}:q:<plan's key>"; the braces keep a tenant's keys on one node of a cluster. */
static void build_key(struct flight *flight, tg_str_t tenant)
{
    static const char prefix[] = "tg:{";
    flight->key = tg_buf_make(TG_PLAN_KEY_MAX + 128);
    tg_buf_append(&flight->key, prefix, sizeof(prefix) - 1);
    tg_buf_str(&flight->key, tenant);
    tg_buf_str(&flight->key, TG_STR("}:q:"));
    tg_buf_append(&flight->key, flight->plan->key, flight->plan->key_len);
    flight->tenant = (tg_str_t){flight->key.data + sizeof(prefix) - 1, tenant.len};
}

/* A new flight in the table, or NULL when the limit or memory is reached. Takes the plan on
 * success. */
static struct flight *flight_create(tg_flights_t *flights, tg_str_t tenant, tg_plan_t *plan)
{
    struct flight *flight = calloc(1, sizeof(*flight));
    if (flight == NULL)
        return NULL;
    flight->flights = flights;
    flight->plan = plan;
    build_key(flight, tenant);
    if (flight->key.failed ||
        tg_table_put(flights->by_key, tg_buf_view(&flight->key), flight) != TG_OK) {
        tg_buf_dispose(&flight->key);
        free(flight);
        return NULL;
    }
    tg_metric_set(flights->config.shard, Q_FLIGHTS, 0, (int64_t)tg_table_len(flights->by_key));
    return flight;
}

static struct flight *find(tg_flights_t *flights, tg_str_t tenant, tg_plan_t *plan)
{
    struct flight probe = {.plan = plan};
    build_key(&probe, tenant);
    struct flight *found = tg_table_get(flights->by_key, tg_buf_view(&probe.key));
    tg_buf_dispose(&probe.key);
    return found;
}

void tg_flights_answer(tg_flights_t *flights, tg_http_req_t *req, tg_plan_t *plan)
{
    assert(plan != NULL && plan->key_len > 0);
    tg_str_t tenant = tg_http_tenant(req);
    assert(tenant.len > 0);
    struct flight *flight = find(flights, tenant, plan);
    if (flight != NULL) {
        tg_metric_add(flights->config.shard, Q_SHARED, 0, 1);
        (void)waiter_add(flight, req);
        free(plan);
        return;
    }
    flight = flight_create(flights, tenant, plan);
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
