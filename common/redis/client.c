/* Calls, deadlines and the breaker over one pipelined link.
 *
 * Redis answers in order, so calls stand in a FIFO and the oldest takes each reply. A call that was
 * answered early (deadline, cancel) stays there as dropped until its reply has come. Deadlines are
 * a second list ordered by time with one timer for all: timeouts are mostly alike, so a new call
 * nearly always goes to its end. Calls that fail without a connection wait in a third list for the
 * next turn. */
#include "common/redis/client.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/hash.h"
#include "common/observe/log.h"
#include "common/redis/link.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_LAST_MS  5000
#define HOST_MAX         256

enum call_state {
    CALL_LIVE,    /* sent or to be sent, `done` is owed */
    CALL_DROPPED, /* answered or cancelled; its reply is still to come */
    CALL_SETTLED, /* the answer is known and comes in the next turn */
};

struct tg_redis_call {
    tg_redis_t *redis;
    tg_redis_call_t *next;           /* in the FIFO, the settled or the free list */
    tg_redis_call_t *sooner, *later; /* in the deadlines */
    enum call_state state;
    tg_status_t status; /* CALL_SETTLED only */
    bool internal;      /* part of the handshake: no matter of the breaker */
    bool overdue;       /* its deadline has passed once */
    uint64_t at_ms, timeout_ms;
    tg_redis_done_fn done; /* may be NULL */
    void *arg;
};

struct call_list {
    tg_redis_call_t *first, *last;
};

enum link_state { LINK_DOWN, LINK_STARTING, LINK_UP };

struct tg_redis {
    tg_loop_t *loop;
    tg_redis_config_t config; /* its strings are not used after open */
    char host[HOST_MAX], port[8];
    char *password; /* NULL: none */
    tg_redis_link_t *link;
    enum link_state state;
    tg_breaker_t breaker;
    struct call_list inflight, settled;
    tg_redis_call_t *spare;            /* freed calls, at most max_inflight */
    tg_redis_call_t *soonest, *latest; /* deadlines */
    size_t inflight_count, spare_count;
    tg_timer_t deadline, settle_timer;
    tg_timer_t retry; /* down: the next try; starting: the connect timeout */
    uint64_t backoff_ms;
    bool said_down, closing;
    bool refused; /* `error` has the server's own words */
    char error[256];
    uint64_t commands_total, failures_total;
};

/* --- lists and memory --- */

static void list_push(struct call_list *list, tg_redis_call_t *call)
{
    call->next = NULL;
    *(list->last != NULL ? &list->last->next : &list->first) = call;
    list->last = call;
}

static tg_redis_call_t *list_pop(struct call_list *list)
{
    tg_redis_call_t *call = list->first;
    if (call != NULL)
        list->first = call->next;
    if (list->first == NULL)
        list->last = NULL;
    return call;
}

static tg_redis_call_t *call_take(tg_redis_t *redis)
{
    tg_redis_call_t *call = redis->spare;
    if (call != NULL) {
        redis->spare = call->next;
        redis->spare_count--;
        *call = (tg_redis_call_t){.redis = redis};
        return call;
    }
    call = calloc(1, sizeof(*call));
    if (call != NULL)
        call->redis = redis;
    return call;
}

static void call_give(tg_redis_t *redis, tg_redis_call_t *call)
{
    if (redis->spare_count >= redis->config.max_inflight) {
        free(call);
        return;
    }
    call->next = redis->spare;
    redis->spare = call;
    redis->spare_count++;
}

/* --- deadlines --- */

static void on_deadline(void *arg);

static void deadline_arm(tg_redis_t *redis)
{
    const tg_redis_call_t *call = redis->soonest;
    if (call == NULL || (redis->deadline.loop != NULL && redis->deadline.at_ms <= call->at_ms))
        return; /* firing early is harmless, and cheaper than moving the timer each time */
    uint64_t now = tg_loop_now_ms(redis->loop);
    tg_timer_start(redis->loop, &redis->deadline, call->at_ms > now ? call->at_ms - now : 0,
                   on_deadline, redis);
}

static void deadline_add(tg_redis_t *redis, tg_redis_call_t *call, uint64_t at_ms)
{
    tg_redis_call_t *before = redis->latest;
    while (before != NULL && before->at_ms > at_ms)
        before = before->sooner;
    call->at_ms = at_ms;
    call->sooner = before;
    call->later = before != NULL ? before->later : redis->soonest;
    *(before != NULL ? &before->later : &redis->soonest) = call;
    *(call->later != NULL ? &call->later->sooner : &redis->latest) = call;
    deadline_arm(redis);
}

static void deadline_remove(tg_redis_t *redis, tg_redis_call_t *call)
{
    *(call->sooner != NULL ? &call->sooner->later : &redis->soonest) = call->later;
    *(call->later != NULL ? &call->later->sooner : &redis->latest) = call->sooner;
}

/* --- answering --- */

/* Answers a live call and tells the breaker; the caller decides what becomes of its memory. */
static void answer(tg_redis_call_t *call, tg_status_t status, bool good, const redisReply *reply)
{
    tg_redis_t *redis = call->redis;
    assert(call->state == CALL_LIVE);
    call->state = CALL_DROPPED;
    if (!call->internal)
        tg_breaker_result(&redis->breaker, good, tg_loop_now_ms(redis->loop));
    if (status != TG_OK)
        redis->failures_total++;
    if (call->done != NULL)
        call->done(call->arg, status, reply);
}

static void on_settle(void *arg)
{
    tg_redis_t *redis = arg;
    struct call_list list = redis->settled; /* what is settled by the callbacks waits for a turn */
    redis->settled = (struct call_list){0};
    tg_redis_call_t *call = NULL;
    while ((call = list_pop(&list)) != NULL) {
        assert(call->state == CALL_SETTLED);
        redis->failures_total++;
        if (call->done != NULL)
            call->done(call->arg, redis->closing ? TG_CANCELLED : call->status, NULL);
        call_give(redis, call);
    }
}

static void settle(tg_redis_t *redis, tg_redis_call_t *call, tg_status_t status)
{
    call->state = CALL_SETTLED;
    call->status = status;
    list_push(&redis->settled, call);
    if (redis->settle_timer.loop == NULL)
        tg_timer_start(redis->loop, &redis->settle_timer, 0, on_settle, redis);
}

/* --- the connection's life --- */

static void on_retry(void *arg);

static uint64_t next_backoff(tg_redis_t *redis)
{
    uint64_t ms = redis->backoff_ms;
    uint32_t random = 0;
    tg_hash_random(&random, sizeof(random));
    redis->backoff_ms = ms * 2 < BACKOFF_LAST_MS ? ms * 2 : BACKOFF_LAST_MS;
    return ms - ms / 4 + random % (ms / 2); /* ±25 % */
}

static void fail_inflight(tg_redis_t *redis, tg_status_t status)
{
    struct call_list list = redis->inflight;
    redis->inflight = (struct call_list){0};
    redis->soonest = redis->latest = NULL;
    redis->inflight_count = 0;
    tg_timer_stop(&redis->deadline);
    tg_redis_call_t *call = NULL;
    while ((call = list_pop(&list)) != NULL) {
        if (call->state == CALL_LIVE)
            answer(call, status, false, NULL);
        call_give(redis, call);
    }
}

/* The link is closed already. */
static void went_down(tg_redis_t *redis, const char *why)
{
    assert(redis->state != LINK_DOWN);
    redis->state = LINK_DOWN;
    if (!redis->refused)
        snprintf(redis->error, sizeof(redis->error), "%s", why);
    redis->refused = false;
    /* There is no caller to tell: said once when it goes, and once when it is back. */
    if (!redis->said_down) {
        tg_log_warn("redis_unreachable", TG_F_TEXT("host", redis->host),
                    TG_F_TEXT("port", redis->port), TG_F_TEXT("error", redis->error),
                    TG_F_TEXT("action", "commands fail at once; reconnecting"));
    }
    redis->said_down = true;
    tg_timer_start(redis->loop, &redis->retry, next_backoff(redis), on_retry, redis);
    fail_inflight(redis, TG_UNAVAILABLE);
}

static void on_connect_timeout(void *arg)
{
    tg_redis_t *redis = arg;
    tg_redis_link_close(redis->link);
    went_down(redis, "no answer to PING within the connect timeout");
}

static tg_redis_call_t *send_call(tg_redis_t *redis, const tg_str_t *argv, size_t argc,
                                  uint64_t timeout_ms, tg_redis_done_fn done, void *arg)
{
    tg_redis_call_t *call = call_take(redis);
    if (call == NULL)
        return NULL;
    call->done = done;
    call->arg = arg;
    call->timeout_ms = timeout_ms > 0 ? timeout_ms : 1;
    if (tg_redis_link_send(redis->link, argv, argc) != TG_OK) {
        settle(redis, call, TG_FULL);
        return call;
    }
    list_push(&redis->inflight, call);
    redis->inflight_count++;
    deadline_add(redis, call, tg_loop_now_ms(redis->loop) + call->timeout_ms);
    return call;
}

static void on_pong(void *arg, tg_status_t status, const redisReply *reply)
{
    tg_redis_t *redis = arg;
    if (status != TG_OK) {
        redis->refused = reply != NULL;
        if (reply != NULL)
            snprintf(redis->error, sizeof(redis->error), "%s", reply->str);
        return; /* on_reply sees that the state has not changed */
    }
    assert(redis->state == LINK_STARTING);
    redis->state = LINK_UP;
    redis->backoff_ms = BACKOFF_FIRST_MS;
    tg_timer_stop(&redis->retry);
    tg_breaker_healthy(&redis->breaker, tg_loop_now_ms(redis->loop));
    if (redis->said_down)
        tg_log_info("redis_connected", TG_F_TEXT("host", redis->host),
                    TG_F_TEXT("port", redis->port));
    redis->said_down = false;
}

/* Both leave before anything else; their own deadlines lie behind the connect timeout. */
static bool send_handshake(tg_redis_t *redis)
{
    uint64_t timeout_ms = 2 * redis->config.connect_timeout_ms + 1000;
    if (redis->password != NULL) {
        tg_str_t auth[] = {TG_STR("AUTH"), tg_str_from(redis->password)};
        tg_redis_call_t *call = send_call(redis, auth, 2, timeout_ms, NULL, NULL);
        if (call == NULL)
            return false;
        call->internal = true; /* if refused, so is the PING behind it */
    }
    tg_str_t ping[] = {TG_STR("PING")};
    tg_redis_call_t *call = send_call(redis, ping, 1, timeout_ms, on_pong, redis);
    if (call != NULL)
        call->internal = true;
    return call != NULL;
}

static void start_link(tg_redis_t *redis)
{
    tg_error_t error = {.text = "out of memory"};
    assert(redis->state == LINK_DOWN);
    redis->state = LINK_STARTING;
    if (tg_redis_link_open(redis->link, redis->host, redis->port, &error) != TG_OK) {
        went_down(redis, error.text);
        return;
    }
    if (!send_handshake(redis)) {
        tg_redis_link_close(redis->link);
        went_down(redis, error.text);
        return;
    }
    tg_timer_start(redis->loop, &redis->retry, redis->config.connect_timeout_ms, on_connect_timeout,
                   redis);
}

static void on_retry(void *arg)
{
    start_link(arg);
}

static void on_lost(void *arg, const char *why)
{
    tg_redis_t *redis = arg;
    tg_timer_stop(&redis->retry);
    went_down(redis, why);
}

/* A call that has been late once is answered; late twice, the connection is given up. */
static void on_deadline(void *arg)
{
    tg_redis_t *redis = arg;
    uint64_t now = tg_loop_now_ms(redis->loop);
    tg_redis_call_t *call = NULL;
    while ((call = redis->soonest) != NULL && call->at_ms <= now) {
        if (call->overdue) {
            tg_redis_link_close(redis->link);
            tg_timer_stop(&redis->retry);
            went_down(redis, "a reply is later than twice its deadline");
            return;
        }
        deadline_remove(redis, call);
        call->overdue = true;
        deadline_add(redis, call, now + call->timeout_ms);
        if (call->state == CALL_LIVE)
            answer(call, TG_TIMEOUT, false, NULL);
    }
    deadline_arm(redis);
}

/* Error replies that say "not now" rather than "not so". */
static bool is_not_now(const redisReply *reply)
{
    static const char *const prefixes[] = {"LOADING ",  "MASTERDOWN ", "CLUSTERDOWN ", "OOM ",
                                           "READONLY ", "MISCONF ",    "TRYAGAIN "};
    for (size_t i = 0; i < TG_ARRAY_LEN(prefixes); i++) {
        if (strncmp(reply->str, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    }
    return false;
}

static bool on_reply(void *arg, const redisReply *reply)
{
    tg_redis_t *redis = arg;
    tg_redis_call_t *call = list_pop(&redis->inflight);
    if (call == NULL)
        return false; /* nobody asked */
    redis->inflight_count--;
    deadline_remove(redis, call);
    bool error = reply->type == REDIS_REPLY_ERROR;
    bool not_now = error && is_not_now(reply);
    bool ping = call->internal && call->done != NULL;
    if (call->state == CALL_LIVE) {
        tg_status_t failed = not_now ? TG_UNAVAILABLE : TG_INTERNAL;
        answer(call, error ? failed : TG_OK, !not_now, reply);
    }
    call_give(redis, call);
    return !ping || redis->state == LINK_UP;
}

/* --- public --- */

/* "host:port" or "[v6]:port". */
static tg_status_t split_address(tg_redis_t *redis, const char *address, tg_error_t *error)
{
    const char *colon = strrchr(address, ':');
    uint64_t port = 0;
    size_t len = colon == NULL ? 0 : (size_t)(colon - address);
    bool bracketed = len > 2 && address[0] == '[' && address[len - 1] == ']';
    if (len == 0 || len >= HOST_MAX || tg_str_to_u64(tg_str_from(colon + 1), &port) != TG_OK ||
        port == 0 || port > 65535)
        return tg_error_set(error, TG_INVALID, "Redis address \"%s\" is not host:port", address);
    snprintf(redis->host, sizeof(redis->host), "%.*s", (int)(bracketed ? len - 2 : len),
             address + bracketed);
    snprintf(redis->port, sizeof(redis->port), "%u", (unsigned)port);
    return TG_OK;
}

tg_status_t tg_redis_open(tg_loop_t *loop, const tg_redis_config_t *config, tg_redis_t **out_redis,
                          tg_error_t *error)
{
    assert(loop != NULL);
    assert(config != NULL && config->address != NULL);
    assert(config->max_inflight > 0);
    tg_redis_t *redis = calloc(1, sizeof(*redis));
    if (redis == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    redis->loop = loop;
    redis->config = *config;
    redis->backoff_ms = BACKOFF_FIRST_MS;
    tg_breaker_init(&redis->breaker, &config->breaker);
    tg_redis_link_owner_t owner = {on_reply, on_lost, redis};
    tg_status_t status = split_address(redis, config->address, error);
    if (status == TG_OK) {
        redis->link = tg_redis_link_create(loop, &owner);
        if (config->password != NULL && config->password[0] != '\0')
            redis->password = strdup(config->password);
        bool no_password = config->password == NULL || config->password[0] == '\0';
        if (redis->link == NULL || (redis->password == NULL && !no_password))
            status = tg_error_set(error, TG_NOMEM, "out of memory");
    }
    if (status != TG_OK) {
        tg_redis_close(redis);
        return status;
    }
    start_link(redis);
    *out_redis = redis;
    return TG_OK;
}

void tg_redis_close(tg_redis_t *redis)
{
    if (redis == NULL)
        return;
    redis->closing = true;
    if (redis->link != NULL)
        tg_redis_link_close(redis->link);
    redis->state = LINK_DOWN;
    fail_inflight(redis, TG_CANCELLED);
    while (redis->settled.first != NULL)
        on_settle(redis);
    tg_timer_stop(&redis->settle_timer);
    tg_timer_stop(&redis->deadline);
    tg_timer_stop(&redis->retry);
    tg_redis_link_destroy(redis->link);
    while (redis->spare != NULL) {
        tg_redis_call_t *call = redis->spare;
        redis->spare = call->next;
        free(call);
    }
    if (redis->password != NULL)
        explicit_bzero(redis->password, strlen(redis->password));
    free(redis->password);
    free(redis);
}

/* A call that fails in the next turn; NULL only when out of memory. */
static tg_redis_call_t *fail_soon(tg_redis_t *redis, tg_status_t status, tg_redis_done_fn done,
                                  void *arg)
{
    tg_redis_call_t *call = call_take(redis);
    if (call == NULL)
        return NULL;
    call->done = done;
    call->arg = arg;
    settle(redis, call, status);
    return call;
}

tg_redis_call_t *tg_redis_command(tg_redis_t *redis, const tg_str_t *argv, size_t argc,
                                  uint64_t timeout_ms, tg_redis_done_fn done, void *arg)
{
    assert(redis != NULL);
    uint64_t now = tg_loop_now_ms(redis->loop);
    redis->commands_total++;
    if (redis->inflight_count >= redis->config.max_inflight)
        return fail_soon(redis, TG_FULL, done, arg);
    if (!tg_breaker_allow(&redis->breaker, now))
        return fail_soon(redis, TG_UNAVAILABLE, done, arg);
    if (redis->state == LINK_DOWN) {
        tg_breaker_result(&redis->breaker, false, now);
        return fail_soon(redis, TG_UNAVAILABLE, done, arg);
    }
    tg_redis_call_t *call = send_call(redis, argv, argc, timeout_ms, done, arg);
    if (call == NULL || call->state == CALL_SETTLED)
        tg_breaker_forget(&redis->breaker);
    return call;
}

void tg_redis_call_cancel(tg_redis_call_t *call)
{
    if (call == NULL)
        return;
    assert(call->state != CALL_DROPPED);
    if (call->state == CALL_LIVE) {
        tg_breaker_forget(&call->redis->breaker);
        call->state = CALL_DROPPED;
    }
    call->done = NULL;
}

void tg_redis_get_stats(const tg_redis_t *redis, tg_redis_stats_t *out_stats)
{
    *out_stats = (tg_redis_stats_t){.connected = redis->state == LINK_UP,
                                    .breaker = redis->breaker.state,
                                    .inflight = redis->inflight_count,
                                    .commands_total = redis->commands_total,
                                    .failures_total = redis->failures_total,
                                    .last_error = redis->error};
}
