/* What a client does without being called: on_tick starts a health check of each instance, looks at
 * peers once a second, and takes new addresses in.
 *
 * A check is a call like any other, on the instance's own connections, so that it finds what a call
 * would find; only that its result goes to the breaker as a check's. One that could not be sent,
 * because all connections were in use, says nothing.
 *
 * An instance that falls silent has calls on its way which nobody will answer: those that may
 * happen twice, and those that were not sent yet, go to another one at once, within the retry
 * budget. Where deadlines are shorter than three checks, the first read that waits for half of its
 * time asks at once. So a frozen instance costs a reader time, not an error. */
#include "common/http/client/private.h"

#define LOOK_MS 1000 /* between looks at peers and at addresses */

static void schedule(tg_http_client_t *client);

/* --- health checks --- */

static bool is_other_left(const struct instance *instance)
{
    const tg_http_client_t *client = instance->client;
    for (size_t i = 0; i < client->choice_count; i++) {
        const struct instance *other = &client->instances[client->choice[i]];
        if (other != instance && other->breaker.state == TG_BREAKER_CLOSED)
            return true;
    }
    return false;
}

static void take_back_calls(struct instance *instance)
{
    tg_http_call_t *call;
    while (is_other_left(instance) && (call = tg_client_conn_movable(instance)) != NULL &&
           tg_client_move(call)) {
    }
}

static void tell_out(struct instance *instance, tg_http_aspect_t what, bool out, const char *why,
                     uint64_t next_ms)
{
    if (!out)
        instance->latency = (tg_latency_t){0}; /* what it was like before says nothing of now */
    tg_client_tell(instance, (tg_http_change_t){.what = what,
                                                .from = out ? "in" : "out",
                                                .to = out ? "out" : "in",
                                                .why = why,
                                                .next_ms = next_ms});
}

static void take_check(struct instance *instance, tg_check_t check)
{
    static const char *const names[] = {
        [TG_CHECK_GOOD] = "good", [TG_CHECK_NOT_READY] = "not_ready", [TG_CHECK_SILENT] = "silent"};
    tg_http_client_t *client = instance->client;
    instance->checks_total++;
    instance->checks_bad_total += check != TG_CHECK_GOOD;
    tg_breaker_check(&instance->breaker, check, tg_loop_now_ms(client->loop));
    tg_client_tell_breaker(instance);
    if (!tg_health_note(&instance->health, check, client->config.upkeep.check_bad))
        return;
    tell_out(instance, TG_HTTP_HEALTH, instance->health.out, names[check], 0);
    tg_client_regard(client);
    if (instance->health.out && check == TG_CHECK_SILENT)
        take_back_calls(instance);
}

/* A 503 that says when to come again is an instance at its limit: it is not taken out for that,
 * which would only bring the others to theirs. */
static tg_check_t read_check(const tg_http_response_t *response)
{
    bool defends =
        response->code == 503 && tg_http_response_header(response, "retry-after").len > 0;
    return response->code < 500 || defends ? TG_CHECK_GOOD : TG_CHECK_NOT_READY;
}

static void on_checked(void *arg, tg_status_t status, const tg_http_response_t *response)
{
    struct instance *instance = arg;
    assert(instance->check != NULL);
    instance->check = NULL;
    if (status == TG_OK)
        take_check(instance, read_check(response));
    else if (status != TG_FULL)
        take_check(instance, TG_CHECK_SILENT);
}

static tg_http_call_t *send_check(struct instance *instance, uint64_t timeout_ms,
                                  tg_http_done_fn done)
{
    const tg_http_request_t request = {
        .method = TG_STR("GET"),
        .target = tg_str_from(instance->client->config.upkeep.check_path),
        .deadline_at_ms = tg_loop_now_ms(instance->client->loop) + timeout_ms,
        .idempotent = true,
    };
    return tg_client_call_pinned(instance, &request, done, instance);
}

static void start_check(struct instance *instance)
{
    if (instance->used && !instance->gone && instance->check == NULL)
        instance->check =
            send_check(instance, instance->client->config.upkeep.check_timeout_ms, on_checked);
}

/* An answer, whatever it says, ends the doubt. */
static void on_doubt_settled(void *arg, tg_status_t status, const tg_http_response_t *response)
{
    struct instance *instance = arg;
    (void)response;
    assert(instance->doubt != NULL);
    instance->doubt = NULL;
    if (status == TG_OK || status == TG_FULL)
        return;
    take_check(instance, TG_CHECK_SILENT);
    take_back_calls(instance);
}

void tg_client_doubt(struct instance *instance, uint64_t timeout_ms)
{
    assert(timeout_ms > 0);
    if (!instance->gone && instance->doubt == NULL && is_other_left(instance))
        instance->doubt = send_check(instance, timeout_ms, on_doubt_settled);
}

/* --- peers and addresses --- */

static void judge_peers(tg_http_client_t *client, uint64_t now)
{
    struct instance *instances[TG_CLIENT_INSTANCES_MAX];
    tg_outlier_t *peers[TG_CLIENT_INSTANCES_MAX] = {NULL};
    size_t count = 0;
    for (size_t i = 0; i < client->instance_count; i++) {
        struct instance *instance = &client->instances[i];
        if (!instance->used || instance->gone)
            continue;
        tg_outlier_feed(&instance->outlier, instance->calls_total, instance->failures_total);
        instances[count] = instance;
        peers[count++] = &instance->outlier;
    }
    unsigned changed = tg_outlier_judge(peers, count, &client->config.upkeep.outlier, now);
    for (size_t i = 0; i < count; i++) {
        if ((changed & 1u << i) == 0)
            continue;
        bool out = peers[i]->ejected;
        instances[i]->ejected_total += out;
        tell_out(instances[i], TG_HTTP_EJECTION, out, out ? "fails_more_than_peers" : "time",
                 out ? peers[i]->until_ms - now : 0);
    }
    if (changed != 0)
        tg_client_regard(client);
}

static void follow_addresses(tg_http_client_t *client)
{
    const tg_http_upkeep_t *upkeep = &client->config.upkeep;
    tg_address_t addresses[TG_RESOLVE_MAX];
    size_t count = 0;
    tg_client_sweep_instances(client);
    if (upkeep->resolver != NULL && tg_resolver_get(upkeep->resolver, upkeep->resolver_list,
                                                    &client->addresses_version, addresses, &count))
        tg_client_set_instances(client, addresses, count);
}

/* --- the timer --- */

static bool has_checks(const tg_http_client_t *client)
{
    return client->config.upkeep.check_ms > 0;
}

static void on_tick(void *arg)
{
    tg_http_client_t *client = arg;
    uint64_t now = tg_loop_now_ms(client->loop);
    if (now - client->looked_at_ms >= LOOK_MS) {
        client->looked_at_ms = now;
        follow_addresses(client);
        judge_peers(client, now);
    }
    for (size_t i = 0; has_checks(client) && i < client->instance_count; i++)
        start_check(&client->instances[i]);
    schedule(client);
}

/* ±20 %, so that threads and gateways do not all ask at once. */
static void schedule(tg_http_client_t *client)
{
    uint64_t every = has_checks(client) ? client->config.upkeep.check_ms : LOOK_MS;
    uint64_t wait = every * (800 + tg_client_random(client) % 401) / 1000;
    tg_timer_start(client->loop, &client->upkeep, wait, on_tick, client);
}

void tg_client_upkeep_start(tg_http_client_t *client)
{
    const tg_http_upkeep_t *upkeep = &client->config.upkeep;
    assert(!has_checks(client) || upkeep->check_path != NULL);
    assert(!has_checks(client) || upkeep->check_timeout_ms > 0);
    client->looked_at_ms = tg_loop_now_ms(client->loop);
    if (has_checks(client) || upkeep->resolver != NULL || upkeep->outlier.eject_ms > 0)
        schedule(client);
}

void tg_client_upkeep_stop(tg_http_client_t *client)
{
    tg_timer_stop(&client->upkeep);
    for (size_t i = 0; i < client->instance_count; i++) {
        struct instance *instance = &client->instances[i];
        if (!instance->used)
            continue;
        tg_http_call_cancel(instance->check);
        tg_http_call_cancel(instance->doubt);
        instance->check = NULL;
        instance->doubt = NULL;
    }
}
