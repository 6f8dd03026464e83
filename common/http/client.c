/* Calls: which instance, when to try again, how it ends.
 *
 * start -> (waiting) -> on a connection -> on_answer or on_end; the deadline may cut in at any
 * step. Each ends in exactly one of: another try, or call_finish(), the only place that calls back.
 * What fails before tg_http_client_call has returned is told at the next turn of the loop.
 *
 * Instance: of two drawn at random the one with fewer calls, which spreads load nearly as well as
 * knowing all and does not send everyone to the same least loaded one. */
#include "common/http/client.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/hash.h"
#include "common/http/client_private.h"

#define TG_CLIENT_RETRY_COST       10 /* one retry for ten calls: 10 % */
#define TG_CLIENT_RETRY_CREDIT_MAX 100

static void dispatch(tg_http_call_t *call);

/* --- the end of a call --- */

static void count_result(tg_http_call_t *call, bool good)
{
    if (!call->counted)
        return;
    call->counted = false;
    call->instance->failures_total += good ? 0 : 1;
    tg_breaker_result(&call->instance->breaker, good, tg_loop_now_ms(call->client->loop));
}

static void forget_result(tg_http_call_t *call)
{
    if (call->counted)
        tg_breaker_forget(&call->instance->breaker);
    call->counted = false;
}

static void call_free(tg_http_call_t *call)
{
    assert(call->conn == NULL);
    assert(!call->counted);
    tg_timer_stop(&call->timer);
    assert(call->client->calls > 0);
    call->client->calls--;
    free(call);
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
    if (call->step == CALL_WAITING)
        forget_result(call); /* our own queue was too slow, not the instance */
    else
        count_result(call, false);
    tg_client_conn_abandon(call);
    call_finish(call, TG_TIMEOUT, NULL);
}

/* --- which instance --- */

static uint32_t next_random(tg_http_client_t *client)
{
    uint32_t x = client->random;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return client->random = x;
}

static size_t load_of(const struct instance *instance)
{
    return instance->inflight + instance->waiting_count;
}

static bool may_take(struct instance *instance, const tg_http_call_t *call)
{
    unsigned bit = 1u << (instance - call->client->instances);
    return (call->tried & bit) == 0 &&
           tg_breaker_allow(&instance->breaker, tg_loop_now_ms(call->client->loop));
}

/* An instance whose breaker lets the call through and that it has not tried; NULL if none. */
static struct instance *choose(tg_http_call_t *call)
{
    assert(call->client->instance_count > 0);
    tg_http_client_t *client = call->client;
    size_t count = client->instance_count;
    if (count == 1)
        return may_take(&client->instances[0], call) ? &client->instances[0] : NULL;
    size_t first = next_random(client) % count;
    size_t second = (first + 1 + next_random(client) % (count - 1)) % count;
    if (load_of(&client->instances[second]) < load_of(&client->instances[first])) {
        size_t lighter = second;
        second = first;
        first = lighter;
    }
    if (may_take(&client->instances[first], call))
        return &client->instances[first];
    if (may_take(&client->instances[second], call))
        return &client->instances[second];
    for (size_t i = 0; i < count; i++)
        if (i != first && i != second && may_take(&client->instances[i], call))
            return &client->instances[i];
    return NULL;
}

static void dispatch(tg_http_call_t *call)
{
    assert(!call->counted && call->conn == NULL);
    struct instance *instance = choose(call);
    if (instance == NULL) {
        fail_later(call, TG_UNAVAILABLE);
        return;
    }
    call->instance = instance;
    call->tried |= 1u << (instance - call->client->instances);
    call->counted = true;
    instance->calls_total++;
    tg_status_t status = tg_client_conn_acquire(call, false);
    if (status == TG_OK)
        return;
    forget_result(call); /* full, or no descriptors: our own trouble */
    fail_later(call, status);
}

/* --- what the connection tells --- */

/* 429 and 503 say that the instance is alive and defends itself. */
static bool is_failure(int code)
{
    return code == 500 || code == 502 || code == 504;
}

void tg_client_on_answer(tg_http_call_t *call, const tg_http_response_t *response)
{
    assert(call->step == CALL_ON_CONN && call->conn == NULL);
    count_result(call, !is_failure(response->code));
    call_finish(call, TG_OK, response);
}

static bool take_retry_credit(tg_http_client_t *client)
{
    if (client->retry_credit < TG_CLIENT_RETRY_COST)
        return false;
    client->retry_credit -= TG_CLIENT_RETRY_COST;
    return true;
}

static bool untried_left(const tg_http_call_t *call)
{
    return call->tried != (1u << call->client->instance_count) - 1;
}

/* Nothing was sent: any instance may have it. Otherwise only what may happen twice, and once. */
static bool try_another(tg_http_call_t *call, enum exchange_end end)
{
    assert(!call->counted);
    if (!untried_left(call))
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
        count_result(call, false);
    if (try_another(call, end))
        return;
    bool malformed = end == EXCHANGE_BAD || end == EXCHANGE_TOO_LARGE;
    fail_later(call, malformed ? TG_INTERNAL : TG_UNAVAILABLE);
}

/* --- starting a call --- */

static size_t head_size(const tg_http_client_t *client, const tg_http_request_t *request)
{
    size_t size = request->method.len + request->target.len + strlen(client->name) + 128;
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

/* Our own callers compose these from checked parts: a line break in one is a bug. */
static void check_line(tg_str_t text)
{
    assert(text.len == 0 ||
           (memchr(text.ptr, '\n', text.len) == NULL && memchr(text.ptr, '\r', text.len) == NULL));
}

static size_t write_head(const tg_http_client_t *client, const tg_http_request_t *request,
                         char *head)
{
    check_line(request->target);
    char *at = put(head, request->method);
    at = put(at, TG_STR(" "));
    at = put(at, request->target);
    at = put(at, TG_STR(" HTTP/1.1\r\nhost: "));
    at = put(at, tg_str_from(client->name));
    for (size_t i = 0; i < request->header_count; i++) {
        check_line(request->headers[i].name);
        check_line(request->headers[i].value);
        at = put(at, TG_STR("\r\n"));
        at = put(at, request->headers[i].name);
        at = put(at, TG_STR(": "));
        at = put(at, request->headers[i].value);
    }
    bool bodiless = request->body.len == 0 && (tg_str_eq(request->method, TG_STR("GET")) ||
                                               tg_str_eq(request->method, TG_STR("HEAD")));
    if (!bodiless)
        at += sprintf(at, "\r\ncontent-length: %zu", request->body.len);
    at = put(at, TG_STR("\r\n\r\n"));
    return (size_t)(at - head);
}

tg_http_call_t *tg_http_client_call(tg_http_client_t *client, const tg_http_request_t *request,
                                    tg_http_done_fn done, void *arg)
{
    assert(client != NULL && request != NULL);
    assert(done != NULL);
    assert(request->body.ptr != NULL || request->body.len == 0);
    assert(request->method.len > 0 && request->target.len > 0);
    size_t size = head_size(client, request);
    tg_http_call_t *call = malloc(sizeof(*call) + size);
    if (call == NULL)
        return NULL;
    *call = (tg_http_call_t){
        .client = client,
        .idempotent = request->idempotent,
        .to_head = tg_str_eq(request->method, TG_STR("HEAD")),
        .done = done,
        .arg = arg,
        .body = request->body,
    };
    call->head_len = write_head(client, request, call->head);
    assert(call->head_len <= size);
    client->calls++;
    if (client->retry_credit < TG_CLIENT_RETRY_CREDIT_MAX)
        client->retry_credit++;

    uint64_t now = tg_loop_now_ms(client->loop);
    if (request->deadline_at_ms <= now) {
        fail_later(call, TG_TIMEOUT);
        return call;
    }
    tg_timer_start(client->loop, &call->timer, request->deadline_at_ms - now, on_deadline, call);
    dispatch(call);
    return call;
}

void tg_http_call_cancel(tg_http_call_t *call)
{
    if (call == NULL)
        return;
    assert(call->step != CALL_DONE);
    forget_result(call);
    tg_client_conn_abandon(call);
    call->step = CALL_DONE;
    call_free(call);
}

/* --- the client --- */

static tg_status_t resolve(struct instance *instance, tg_error_t *error)
{
    char host[TG_CLIENT_ADDRESS_MAX];
    const char *colon = strrchr(instance->address, ':');
    if (colon == NULL || colon == instance->address)
        return tg_error_set(error, TG_INVALID, "\"%s\" is not an address like 127.0.0.1:8080.",
                            instance->address);
    size_t len = (size_t)(colon - instance->address);
    const char *start = instance->address;
    if (len >= 2 && start[0] == '[' && start[len - 1] == ']') {
        start++;
        len -= 2;
    }
    memcpy(host, start, len);
    host[len] = '\0';
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int code = getaddrinfo(host, colon + 1, &hints, &list);
    if (code != 0)
        return tg_error_set(error, TG_INVALID, "Cannot resolve %s: %s.", instance->address,
                            gai_strerror(code));
    assert(list->ai_addrlen <= sizeof(instance->where));
    memcpy(&instance->where, list->ai_addr, list->ai_addrlen);
    instance->where_len = list->ai_addrlen;
    freeaddrinfo(list);
    return TG_OK;
}

static tg_status_t add_instance(tg_http_client_t *client, tg_str_t address, tg_error_t *error)
{
    if (client->instance_count == TG_CLIENT_INSTANCES_MAX)
        return tg_error_set(error, TG_INVALID, "%s: more than %d instances.", client->name,
                            TG_CLIENT_INSTANCES_MAX);
    struct instance *instance = &client->instances[client->instance_count];
    if (address.len == 0 || address.len >= sizeof(instance->address))
        return tg_error_set(error, TG_INVALID, "%s: an instance's address is empty or too long.",
                            client->name);
    memcpy(instance->address, address.ptr, address.len);
    instance->client = client;
    h2o_linklist_init_anchor(&instance->conns);
    h2o_linklist_init_anchor(&instance->idle);
    h2o_linklist_init_anchor(&instance->waiting);
    tg_breaker_init(&instance->breaker, &client->config.breaker);
    client->instance_count++;
    return resolve(instance, error);
}

static tg_status_t add_instances(tg_http_client_t *client, const char *list, tg_error_t *error)
{
    for (const char *at = list; at != NULL;) {
        while (*at == ' ')
            at++;
        const char *comma = strchr(at, ',');
        size_t len = comma == NULL ? strlen(at) : (size_t)(comma - at);
        while (len > 0 && at[len - 1] == ' ')
            len--;
        tg_status_t status = add_instance(client, (tg_str_t){at, len}, error);
        if (status != TG_OK)
            return status;
        at = comma == NULL ? NULL : comma + 1;
    }
    return TG_OK;
}

tg_status_t tg_http_client_open(tg_loop_t *loop, const tg_http_client_config_t *config,
                                tg_http_client_t **out_client, tg_error_t *error)
{
    assert(loop != NULL && out_client != NULL);
    assert(config->name != NULL && config->instances != NULL);
    assert(config->max_connections > 0);
    tg_http_client_t *client = calloc(1, sizeof(*client));
    if (client == NULL)
        return tg_error_set(error, TG_NOMEM, "Out of memory.");
    client->loop = loop;
    client->config = *config;
    client->retry_credit = TG_CLIENT_RETRY_CREDIT_MAX;
    tg_hash_random(&client->random, sizeof(client->random));
    client->random |= 1;
    client->name = strdup(config->name);
    tg_status_t status = client->name == NULL ? tg_error_set(error, TG_NOMEM, "Out of memory.")
                                              : add_instances(client, config->instances, error);
    client->config.name = client->name;
    client->config.instances = NULL; /* borrowed only until here */
    if (status != TG_OK) {
        tg_http_client_close(client);
        return status;
    }
    *out_client = client;
    return TG_OK;
}

void tg_http_client_close(tg_http_client_t *client)
{
    if (client == NULL)
        return;
    assert(client->calls == 0);
    for (size_t i = 0; i < client->instance_count; i++)
        tg_client_conn_close_all(&client->instances[i]);
    free(client->name);
    free(client);
}

size_t tg_http_client_stats(const tg_http_client_t *client, tg_http_instance_stats_t *out,
                            size_t max)
{
    size_t count = client->instance_count < max ? client->instance_count : max;
    for (size_t i = 0; i < count; i++) {
        const struct instance *instance = &client->instances[i];
        out[i] = (tg_http_instance_stats_t){
            .address = instance->address,
            .breaker = instance->breaker.state,
            .breaker_opened_total = instance->breaker.opened_total,
            .calls_total = instance->calls_total,
            .failures_total = instance->failures_total,
            .connections = instance->conn_count,
            .inflight = instance->inflight,
            .waiting = instance->waiting_count,
        };
    }
    return count;
}
