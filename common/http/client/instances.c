/* The set of instances, and which of them a call gets: the cheaper of two drawn at random from the
 * choice, then whichever of the choice its breaker allows, then the others.
 *
 * The choice is kept as a list that changes rarely, so that a call does not look at what every
 * instance is. It has the instances that are in; when none is, all of them: checks and peers then
 * say nothing that would help, and a doubtful instance is better than a certain refusal. */
#include "common/base/time.h"
#include "common/http/client/private.h"

/* --- telling --- */

void tg_client_tell(struct instance *instance, tg_http_change_t change)
{
    const tg_http_upkeep_t *upkeep = &instance->client->config.upkeep;
    change.upstream = instance->client->name;
    change.instance = instance->address.text;
    if (upkeep->on_change != NULL)
        upkeep->on_change(upkeep->arg, &change);
}

void tg_client_tell_breaker(struct instance *instance)
{
    const tg_breaker_t *breaker = &instance->breaker;
    if (breaker->changes == instance->changes_told)
        return;
    tg_breaker_state_t from = instance->state_told;
    uint64_t now = tg_loop_now_ms(instance->client->loop);
    bool timed = breaker->state == TG_BREAKER_OPEN && !breaker->held && breaker->reopen_at_ms > now;
    instance->changes_told = breaker->changes;
    instance->state_told = breaker->state;
    if (breaker->state == TG_BREAKER_CLOSED)
        instance->latency = (tg_latency_t){0}; /* what it was like before says nothing of now */
    tg_client_tell(instance,
                   (tg_http_change_t){.what = TG_HTTP_BREAKER,
                                      .from = tg_breaker_state_name(from),
                                      .to = tg_breaker_state_name(breaker->state),
                                      .why = tg_breaker_why_name(breaker->why),
                                      .next_ms = timed ? breaker->reopen_at_ms - now : 0});
}

/* --- the set --- */

static bool is_out(const struct instance *instance)
{
    return instance->health.out || instance->outlier.ejected;
}

void tg_client_regard(tg_http_client_t *client)
{
    assert(client->instance_count <= TG_CLIENT_INSTANCES_MAX);
    client->choice_count = 0;
    for (unsigned pass = 0; pass < 2 && client->choice_count == 0; pass++) {
        for (size_t i = 0; i < client->instance_count; i++) {
            const struct instance *instance = &client->instances[i];
            if (instance->used && !instance->gone && (pass > 0 || !is_out(instance)))
                client->choice[client->choice_count++] = (unsigned char)i;
        }
    }
}

static struct instance *find(tg_http_client_t *client, const char *address)
{
    for (size_t i = 0; i < client->instance_count; i++) {
        struct instance *instance = &client->instances[i];
        if (instance->used && strcmp(instance->address.text, address) == 0)
            return instance;
    }
    return NULL;
}

/* A free slot with this address in it; NULL when those that are gone still fill all others. */
static struct instance *take_slot(tg_http_client_t *client, const tg_address_t *address)
{
    size_t at = 0;
    while (at < client->instance_count && client->instances[at].used)
        at++;
    if (at == TG_CLIENT_INSTANCES_MAX)
        return NULL;
    if (at == client->instance_count)
        client->instance_count++;
    struct instance *instance = &client->instances[at];
    *instance = (struct instance){.client = client, .used = true, .address = *address};
    h2o_linklist_init_anchor(&instance->conns);
    h2o_linklist_init_anchor(&instance->idle);
    h2o_linklist_init_anchor(&instance->waiting);
    tg_breaker_init(&instance->breaker, &client->config.breaker);
    instance->breaker.since_ms = tg_loop_now_ms(client->loop);
    return instance;
}

static void tell_address(struct instance *instance, const char *from, const char *to)
{
    tg_client_tell(instance, (tg_http_change_t){.what = TG_HTTP_ADDRESS,
                                                .from = from,
                                                .to = to,
                                                .why = "resolved"});
}

void tg_client_set_instances(tg_http_client_t *client, const tg_address_t *addresses, size_t count)
{
    assert(count <= TG_CLIENT_INSTANCES_MAX);
    bool first = client->instance_count == 0, wanted[TG_CLIENT_INSTANCES_MAX] = {false};
    for (size_t i = 0; i < count; i++) {
        struct instance *instance = find(client, addresses[i].text);
        if (instance == NULL && (instance = take_slot(client, &addresses[i])) != NULL && !first)
            tell_address(instance, "unknown", "present");
        if (instance != NULL)
            wanted[instance - client->instances] = true;
        else
            client->addresses_version = 0; /* no room yet: ask again */
    }
    for (size_t i = 0; i < client->instance_count; i++) {
        struct instance *instance = &client->instances[i];
        if (instance->used && instance->gone == wanted[i]) {
            instance->gone = !wanted[i];
            tell_address(instance, wanted[i] ? "gone" : "present", wanted[i] ? "present" : "gone");
        }
    }
    tg_client_regard(client);
}

void tg_client_sweep_instances(tg_http_client_t *client)
{
    for (size_t i = 0; i < client->instance_count; i++) {
        struct instance *instance = &client->instances[i];
        if (!instance->used || !instance->gone || instance->check != NULL ||
            instance->doubt != NULL || tg_client_outstanding(instance) > 0)
            continue;
        tg_client_conn_close_all(instance);
        instance->used = false;
    }
}

/* --- the choice --- */

uint32_t tg_client_random(tg_http_client_t *client)
{
    uint32_t x = client->random;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return client->random = x;
}

static bool is_untried(const struct instance *instance, const tg_http_call_t *call)
{
    unsigned bit = 1u << (instance - call->client->instances);
    return instance->used && !instance->gone && (call->tried & bit) == 0;
}

bool tg_client_has_untried(const tg_http_call_t *call)
{
    for (size_t i = 0; i < call->client->instance_count; i++)
        if (is_untried(&call->client->instances[i], call))
            return true;
    return false;
}

static bool may_take(struct instance *instance, const tg_http_call_t *call)
{
    if (!is_untried(instance, call))
        return false;
    bool allowed = tg_breaker_allow(&instance->breaker, tg_loop_now_ms(call->client->loop));
    tg_client_tell_breaker(instance); /* it may be half-open now */
    return allowed;
}

static double cost_of(const struct instance *instance, uint64_t now_us)
{
    return tg_latency_cost(&instance->latency, tg_client_outstanding(instance), now_us);
}

/* The cheaper of two is tried first, then the other one. */
static struct instance *choose_of_two(tg_http_call_t *call)
{
    tg_http_client_t *client = call->client;
    size_t count = client->choice_count;
    size_t first = tg_client_random(client) % count;
    size_t second = (first + 1 + tg_client_random(client) % (count - 1)) % count;
    struct instance *one = &client->instances[client->choice[first]],
                    *two = &client->instances[client->choice[second]];
    uint64_t now = tg_time_mono_us();
    call->tried_at_us = now;
    if (cost_of(two, now) < cost_of(one, now)) {
        struct instance *cheaper = two;
        two = one;
        one = cheaper;
    }
    return may_take(one, call) ? one : may_take(two, call) ? two : NULL;
}

static struct instance *choose_any(tg_http_call_t *call)
{
    tg_http_client_t *client = call->client;
    for (size_t i = 0; i < client->choice_count; i++)
        if (may_take(&client->instances[client->choice[i]], call))
            return &client->instances[client->choice[i]];
    for (size_t i = 0; i < client->instance_count; i++)
        if (may_take(&client->instances[i], call))
            return &client->instances[i];
    return NULL;
}

struct instance *tg_client_choose(tg_http_call_t *call)
{
    assert(call->client->choice_count > 0);
    call->tried_at_us = 0;
    struct instance *instance = call->client->choice_count > 1 ? choose_of_two(call) : NULL;
    return instance != NULL ? instance : choose_any(call);
}

/* --- for operators --- */

bool tg_http_client_hold(tg_http_client_t *client, const char *address, tg_http_hold_t hold)
{
    struct instance *instance = find(client, address);
    uint64_t now = tg_loop_now_ms(client->loop);
    if (instance == NULL)
        return false;
    if (hold == TG_HTTP_HOLD_AUTO)
        tg_breaker_release(&instance->breaker, now);
    else
        tg_breaker_hold(&instance->breaker, hold == TG_HTTP_HOLD_OPEN, now);
    tg_client_tell_breaker(instance);
    return true;
}

static void write_stats(const struct instance *instance, tg_http_instance_stats_t *out)
{
    const tg_breaker_t *breaker = &instance->breaker;
    bool timed = breaker->state == TG_BREAKER_OPEN && !breaker->held;
    *out = (tg_http_instance_stats_t){
        .address = instance->address.text,
        .breaker = breaker->state,
        .why = breaker->why,
        .since_ms = breaker->since_ms,
        .next_ms = timed ? breaker->reopen_at_ms : 0,
        .held = breaker->held,
        .unhealthy = instance->health.out,
        .ejected = instance->outlier.ejected,
        .calls_total = instance->calls_total,
        .failures_total = instance->failures_total,
        .checks_total = instance->checks_total,
        .checks_bad_total = instance->checks_bad_total,
        .ejected_total = instance->ejected_total,
        .latency_us = instance->latency.us,
        .connections = instance->conn_count,
        .inflight = instance->inflight,
        .waiting = instance->waiting_count,
    };
    memcpy(out->breaker_entered, breaker->entered, sizeof(out->breaker_entered));
}

size_t tg_http_client_stats(const tg_http_client_t *client, tg_http_instance_stats_t *out,
                            size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < client->instance_count && count < max; i++)
        if (client->instances[i].used)
            write_stats(&client->instances[i], &out[count++]);
    return count;
}
