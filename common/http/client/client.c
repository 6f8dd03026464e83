/* Calls: which instance, when to try again, how it ends.
 *
 * start -> (waiting) -> on a connection -> on_answer or on_end; the deadline may cut in at any
 * step. Each ends in exactly one of: another try, or call_finish(), the only place that calls back.
 * What fails before tg_http_client_call has returned is told at the next turn of the loop.
 *
 * A try is a failure, good, or neither: a call that was cancelled, or refused by a 503 that does
 * not say when to come again, tells the breaker nothing. */
#include "common/http/client.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/hash.h"
#include "common/base/time.h"
#include "common/http/client/private.h"

#define RETRY_COST         10 /* one retry for ten calls: 10 % */
#define RETRY_CREDIT_FIRST 100
#define RETRY_CREDIT_MAX                                                                           \
    1000 /* of the last thousand calls: what an instance that falls silent has                     \
          * on its way must find another place at once */

#define HEAD_ROOM  1024 /* bytes of a usual head */
#define SPARES_MAX 64   /* calls */

static void dispatch(tg_http_call_t *call);

/* --- the end of a call --- */

static void note_latency(tg_http_call_t *call, bool refused)
{
    if (call->tried_at_us == 0)
        return; /* there was no choice, to which it would matter */
    uint64_t now = tg_time_mono_us(), took = now - call->tried_at_us;
    call->tried_at_us = 0;
    if (refused)
        tg_latency_refused(&call->instance->latency, took, now);
    else
        tg_latency_note(&call->instance->latency, took, now);
}

static void count_result(tg_http_call_t *call, bool good)
{
    if (!call->counted)
        return;
    call->counted = false;
    call->instance->failures_total += good ? 0 : 1;
    tg_breaker_result(&call->instance->breaker, good, tg_loop_now_ms(call->client->loop));
    tg_client_tell_breaker(call->instance);
}

static void count_failure(tg_http_call_t *call)
{
    note_latency(call, true);
    count_result(call, false);
}

static void forget_result(tg_http_call_t *call)
{
    if (call->counted)
        tg_breaker_forget(&call->instance->breaker);
    call->counted = false;
}

/* A call with such room, whose other fields say nothing, or NULL when out of memory. */
static tg_http_call_t *take_spare(tg_http_client_t *client, size_t head_room)
{
    if (head_room < HEAD_ROOM)
        head_room = HEAD_ROOM;
    if (head_room > HEAD_ROOM || client->spare_count == 0) {
        tg_http_call_t *call = malloc(sizeof(*call) + head_room);
        if (call != NULL)
            call->head_room = head_room;
        return call;
    }
    h2o_linklist_t *first = client->spares.next;
    h2o_linklist_unlink(first);
    client->spare_count--;
    return H2O_STRUCT_FROM_MEMBER(tg_http_call_t, link, first);
}

static void spare_or_free(tg_http_call_t *call)
{
    tg_http_client_t *client = call->client;
    if (call->head_room > HEAD_ROOM || client->spare_count == SPARES_MAX) {
        free(call);
        return;
    }
    h2o_linklist_insert(client->spares.next, &call->link); /* to the front: it is in the cache */
    client->spare_count++;
}

static void free_spares(tg_http_client_t *client)
{
    while (client->spare_count > 0)
        free(take_spare(client, 0));
}

static void call_free(tg_http_call_t *call)
{
    assert(call->conn == NULL);
    assert(!call->counted);
    tg_timer_stop(&call->timer);
    assert(call->client->calls > 0);
    call->client->calls--;
    spare_or_free(call);
}

static void call_finish(tg_http_call_t *call, tg_status_t status,
                        const tg_http_response_t *response)
{
    assert(call->step != CALL_DONE);
    call->step = CALL_DONE;
    tg_timer_stop(&call->timer);
    call->done(call->arg, status, response);
    call_free(call);
}

static void on_failing(void *arg)
{
    tg_http_call_t *call = arg;
    assert(call->step == CALL_FAILING);
    call_finish(call, call->failure, NULL);
}

/* Tells the failure at the next turn, because the caller may still be on the stack. */
static void fail_later(tg_http_call_t *call, tg_status_t status)
{
    call->step = CALL_FAILING;
    call->failure = status;
    tg_timer_start(call->client->loop, &call->timer, 0, on_failing, call);
}

static void on_deadline(void *arg)
{
    tg_http_call_t *call = arg;
    assert(call->step == CALL_WAITING || call->step == CALL_ON_CONN);
    bool waiting = call->step == CALL_WAITING;
    if (waiting)
        forget_result(call); /* our own queue was too slow, not the instance */
    else
        count_failure(call);
    tg_client_conn_abandon(call);
    call_finish(call, waiting && call->pinned ? TG_FULL : TG_TIMEOUT, NULL);
}

static void give_to(tg_http_call_t *call, struct instance *instance)
{
    call->instance = instance;
    call->tried |= 1u << (instance - call->client->instances);
    tg_status_t status = tg_client_conn_acquire(call, false);
    if (status == TG_OK)
        return;
    forget_result(call); /* full, or no descriptors: our own trouble */
    fail_later(call, call->pinned ? TG_FULL : status);
}

static void dispatch(tg_http_call_t *call)
{
    assert(!call->counted && call->conn == NULL);
    struct instance *instance = tg_client_choose(call);
    if (instance == NULL) {
        fail_later(call, TG_UNAVAILABLE);
        return;
    }
    call->counted = true;
    instance->calls_total++;
    give_to(call, instance);
}

/* --- what the connection tells --- */

static bool is_failure(int code)
{
    return code == 500 || code == 502 || code == 504;
}

/* 429, and 503 with Retry-After, say that the instance is alive and defends itself. */
static void judge(tg_http_call_t *call, const tg_http_response_t *response)
{
    bool untold =
        response->code == 503 && tg_http_response_header(response, "retry-after").len == 0;
    note_latency(call, response->code >= 500 || response->code == 429);
    if (untold)
        forget_result(call);
    else
        count_result(call, !is_failure(response->code));
}

void tg_client_on_answer(tg_http_call_t *call, const tg_http_response_t *response)
{
    assert(call->step == CALL_ON_CONN && call->conn == NULL);
    judge(call, response);
    call_finish(call, TG_OK, response);
}

static bool take_retry_credit(tg_http_client_t *client)
{
    if (client->retry_credit < RETRY_COST)
        return false;
    client->retry_credit -= RETRY_COST;
    return true;
}

/* Nothing was sent: any instance may have it. Otherwise only what may happen twice, and once. */
static bool try_another(tg_http_call_t *call, enum exchange_end end)
{
    assert(!call->counted);
    if (call->pinned || !tg_client_has_untried(call))
        return false;
    if (end != EXCHANGE_NOT_SENT) {
        if (!call->idempotent || call->retried || end == EXCHANGE_TOO_LARGE ||
            !take_retry_credit(call->client))
            return false;
        call->retried = true;
    }
    dispatch(call);
    return true;
}

bool tg_client_move(tg_http_call_t *call)
{
    assert(call->step == CALL_WAITING || call->step == CALL_ON_CONN);
    bool sent = call->step == CALL_ON_CONN;
    if (!tg_client_has_untried(call) || (sent && !take_retry_credit(call->client)))
        return false;
    if (sent)
        count_failure(call);
    else
        forget_result(call);
    call->retried |= sent;
    tg_client_conn_abandon(call);
    dispatch(call);
    return true;
}

static bool try_fresh_connection(tg_http_call_t *call)
{
    if (call->refreshed || !call->idempotent)
        return false;
    call->refreshed = true;
    return tg_client_conn_acquire(call, true) == TG_OK;
}

void tg_client_on_end(tg_http_call_t *call, enum exchange_end end)
{
    assert(call->step == CALL_ON_CONN || call->step == CALL_WAITING);
    assert(call->conn == NULL);
    if (end == EXCHANGE_STALE && try_fresh_connection(call))
        return;
    /* Too large an answer, or a kept connection that was closed, is no sign of bad health. */
    if (end == EXCHANGE_TOO_LARGE || end == EXCHANGE_STALE)
        forget_result(call);
    else
        count_failure(call);
    if (try_another(call, end))
        return;
    bool malformed = end == EXCHANGE_BAD || end == EXCHANGE_TOO_LARGE;
    fail_later(call, malformed ? TG_INTERNAL : TG_UNAVAILABLE);
}

/* --- starting a call --- */

static size_t head_size(const tg_http_client_t *client, const tg_http_request_t *request)
{
    size_t size = request->method.len + request->target.len + strlen(client->name) +
                  request->deadline_name.len + 128;
    for (size_t i = 0; i < request->header_count; i++)
        size += request->headers[i].name.len + request->headers[i].value.len + 4;
    return size;
}

static char *put(char *at, tg_str_t text)
{
    if (text.len > 0)
        memcpy(at, text.ptr, text.len);
    return at + text.len;
}

static char *put_name(char *at, tg_str_t name)
{
    return put(put(put(at, TG_STR("\r\n")), name), TG_STR(": "));
}

/* Our own callers compose requests from checked parts: a line break in one is a bug. */
static void check_lines(tg_str_t head, size_t lines)
{
    unsigned char breaks = 0; /* modulo 256, so that sixteen bytes can be counted at a time */
    for (size_t i = 0; i < head.len; i++)
        breaks = (unsigned char)(breaks + ((head.ptr[i] == '\n') | (head.ptr[i] == '\r')));
    assert(breaks == (unsigned char)(2 * lines));
}

static size_t write_head(const tg_http_client_t *client, const tg_http_request_t *request,
                         char *head)
{
    char *at = put(head, request->method);
    at = put(at, TG_STR(" "));
    at = put(at, request->target);
    at = put(at, TG_STR(" HTTP/1.1\r\nhost: "));
    at = put(at, tg_str_from(client->name));
    for (size_t i = 0; i < request->header_count; i++) {
        at = put(put_name(at, request->headers[i].name), request->headers[i].value);
    }
    bool bodiless = request->body.len == 0 && (tg_str_eq(request->method, TG_STR("GET")) ||
                                               tg_str_eq(request->method, TG_STR("HEAD")));
    if (!bodiless)
        at = tg_str_put_u64(put(at, TG_STR("\r\ncontent-length: ")), request->body.len);
    if (request->deadline_name.len > 0)
        at = put_name(at, request->deadline_name);
    check_lines((tg_str_t){head, (size_t)(at - head)},
                1 + request->header_count + !bodiless + (request->deadline_name.len > 0));
    return (size_t)(at - head);
}

tg_str_t tg_client_head(tg_http_call_t *call)
{
    char *at = call->head + call->head_len;
    if (call->tells_deadline) {
        uint64_t now = tg_loop_now_ms(call->client->loop);
        at = tg_str_put_u64(at, call->deadline_at_ms > now ? call->deadline_at_ms - now : 1);
    }
    at = put(at, TG_STR("\r\n\r\n"));
    return (tg_str_t){call->head, (size_t)(at - call->head)};
}

static tg_http_call_t *call_create(tg_http_client_t *client, const tg_http_request_t *request,
                                   tg_http_done_fn done, void *arg)
{
    assert(request->body.ptr != NULL || request->body.len == 0);
    assert(request->method.len > 0 && request->target.len > 0);
    size_t size = head_size(client, request);
    tg_http_call_t *call = take_spare(client, size);
    if (call == NULL)
        return NULL;
    *call = (tg_http_call_t){
        .client = client,
        .head_room = call->head_room,
        .idempotent = request->idempotent,
        .to_head = tg_str_eq(request->method, TG_STR("HEAD")),
        .tells_deadline = request->deadline_name.len > 0,
        .done = done,
        .arg = arg,
        .body = request->body,
    };
    call->head_len = write_head(client, request, call->head);
    assert(call->head_len <= size && size <= call->head_room);
    client->calls++;
    return call;
}

/* Returns what is left of the time. */
static uint64_t arm_deadline(tg_http_call_t *call)
{
    uint64_t now = tg_loop_now_ms(call->client->loop);
    uint64_t left = call->deadline_at_ms > now ? call->deadline_at_ms - now : 0;
    tg_timer_start(call->client->loop, &call->timer, left, on_deadline, call);
    return left;
}

/* Half the time is gone. There is enough of it left to ask whether the instance is there at all,
 * and to try another one. */
static void on_half_time(void *arg)
{
    tg_http_call_t *call = arg;
    assert(call->step == CALL_WAITING || call->step == CALL_ON_CONN);
    uint64_t left = arm_deadline(call);
    if (call->step == CALL_ON_CONN && !call->retried && left > 1)
        tg_client_doubt(call->instance, left / 2);
}

/* False when the time is over already. */
static bool start_deadline(tg_http_call_t *call, uint64_t deadline_at_ms)
{
    uint64_t now = tg_loop_now_ms(call->client->loop);
    if (deadline_at_ms <= now) {
        fail_later(call, TG_TIMEOUT);
        return false;
    }
    call->deadline_at_ms = deadline_at_ms;
    if (call->idempotent && !call->pinned && call->client->config.upkeep.check_ms > 0)
        tg_timer_start(call->client->loop, &call->timer, (deadline_at_ms - now) / 2, on_half_time,
                       call);
    else
        (void)arm_deadline(call);
    return true;
}

tg_http_call_t *tg_http_client_call(tg_http_client_t *client, const tg_http_request_t *request,
                                    tg_http_done_fn done, void *arg)
{
    assert(client != NULL && request != NULL);
    assert(done != NULL);
    tg_http_call_t *call = call_create(client, request, done, arg);
    if (call == NULL)
        return NULL;
    if (client->retry_credit < RETRY_CREDIT_MAX)
        client->retry_credit++;
    if (start_deadline(call, request->deadline_at_ms))
        dispatch(call);
    return call;
}

tg_http_call_t *tg_client_call_pinned(struct instance *instance, const tg_http_request_t *request,
                                      tg_http_done_fn done, void *arg)
{
    tg_http_call_t *call = call_create(instance->client, request, done, arg);
    if (call == NULL)
        return NULL;
    call->pinned = true;
    if (start_deadline(call, request->deadline_at_ms))
        give_to(call, instance);
    return call;
}

void tg_http_call_cancel(tg_http_call_t *call)
{
    if (call == NULL)
        return;
    assert(call->step != CALL_DONE);
    if (call->step == CALL_ON_CONN)
        note_latency(call, true); /* it would have taken longer than this */
    forget_result(call);
    tg_client_conn_abandon(call);
    call->step = CALL_DONE;
    call_free(call);
}

/* --- the client --- */

static tg_status_t set_first_instances(tg_http_client_t *client, const char *list,
                                       tg_error_t *error)
{
    tg_address_t addresses[TG_RESOLVE_MAX];
    size_t count = 0;
    const tg_http_upkeep_t *upkeep = &client->config.upkeep;
    if (upkeep->resolver != NULL) {
        (void)tg_resolver_get(upkeep->resolver, upkeep->resolver_list, &client->addresses_version,
                              addresses, &count);
    } else {
        tg_status_t status = tg_resolve_once(list, addresses, &count, error);
        if (status != TG_OK)
            return status;
    }
    assert(count > 0);
    tg_client_set_instances(client, addresses, count);
    return TG_OK;
}

tg_status_t tg_http_client_open(tg_loop_t *loop, const tg_http_client_config_t *config,
                                tg_http_client_t **out_client, tg_error_t *error)
{
    assert(loop != NULL && out_client != NULL);
    assert(config->name != NULL);
    assert(config->instances != NULL || config->upkeep.resolver != NULL);
    assert(config->max_connections > 0);
    tg_http_client_t *client = calloc(1, sizeof(*client));
    if (client == NULL)
        return tg_error_set(error, TG_NOMEM, "Out of memory.");
    client->loop = loop;
    client->config = *config;
    client->retry_credit = RETRY_CREDIT_FIRST;
    h2o_linklist_init_anchor(&client->spares);
    tg_hash_random(&client->random, sizeof(client->random));
    client->random |= 1;
    client->name = strdup(config->name);
    tg_status_t status = client->name == NULL
                             ? tg_error_set(error, TG_NOMEM, "Out of memory.")
                             : set_first_instances(client, config->instances, error);
    client->config.name = client->name;
    client->config.instances = NULL; /* borrowed only until here */
    if (status != TG_OK) {
        tg_http_client_close(client);
        return status;
    }
    tg_client_upkeep_start(client);
    *out_client = client;
    return TG_OK;
}

void tg_http_client_close(tg_http_client_t *client)
{
    if (client == NULL)
        return;
    tg_client_upkeep_stop(client);
    assert(client->calls == 0);
    for (size_t i = 0; i < client->instance_count; i++)
        if (client->instances[i].used)
            tg_client_conn_close_all(&client->instances[i]);
    free_spares(client);
    free(client->name);
    free(client);
}
