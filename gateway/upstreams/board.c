/* A place has a thread's rows as it pinned them; a reader joins the rows of the same instance over
 * all places. The state of an instance is the worst of its threads', because that is what an
 * operator must hear of; how many threads are in which state stands beside it. */
#include "gateway/upstreams/board_private.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/time.h"
#include "common/observe/metrics.h"

struct tg_board_place {
    tg_board_t *board;
    size_t counts[TG_UP_COUNT];
    struct row rows[TG_UP_COUNT][TG_RESOLVE_MAX];
};

struct hold {
    unsigned upstream;
    char address[TG_RESOLVE_TEXT_MAX];
    tg_http_hold_t hold;
};

struct tg_board {
    tg_resolver_t *resolver;
    pthread_mutex_t mutex;
    size_t hold_count;
    struct hold holds[TG_BOARD_HOLDS_MAX]; /* none is TG_HTTP_HOLD_AUTO */
    tg_board_place_t *places[TG_METRIC_SHARDS_MAX];
};

/* --- places --- */

tg_board_t *tg_board_create(tg_resolver_t *resolver)
{
    tg_board_t *board = calloc(1, sizeof(*board));
    if (board == NULL)
        return NULL;
    board->resolver = resolver;
    (void)pthread_mutex_init(&board->mutex, NULL);
    return board;
}

void tg_board_destroy(tg_board_t *board)
{
    if (board == NULL)
        return;
    for (size_t i = 0; i < TG_METRIC_SHARDS_MAX; i++)
        assert(board->places[i] == NULL);
    (void)pthread_mutex_destroy(&board->mutex);
    free(board);
}

tg_board_place_t *tg_board_enter(tg_board_t *board)
{
    tg_board_place_t *place = calloc(1, sizeof(*place));
    if (place == NULL)
        return NULL;
    size_t i = 0;
    pthread_mutex_lock(&board->mutex);
    while (i < TG_METRIC_SHARDS_MAX && board->places[i] != NULL)
        i++;
    if (i < TG_METRIC_SHARDS_MAX) {
        place->board = board;
        board->places[i] = place;
    }
    pthread_mutex_unlock(&board->mutex);
    if (place->board == NULL) {
        free(place);
        return NULL;
    }
    return place;
}

void tg_board_leave(tg_board_place_t *place)
{
    if (place == NULL)
        return;
    tg_board_t *board = place->board;
    pthread_mutex_lock(&board->mutex);
    for (size_t i = 0; i < TG_METRIC_SHARDS_MAX; i++)
        if (board->places[i] == place)
            board->places[i] = NULL;
    pthread_mutex_unlock(&board->mutex);
    free(place);
}

static struct hold *find_hold(tg_board_t *board, unsigned upstream, tg_str_t instance)
{
    for (size_t i = 0; i < board->hold_count; i++)
        if (board->holds[i].upstream == upstream &&
            tg_str_eq(instance, tg_str_from(board->holds[i].address)))
            return &board->holds[i];
    return NULL;
}

/* --- a thread's visit --- */

static int64_t wall_of(uint64_t at_ms, uint64_t now_ms)
{
    return tg_time_now() + ((int64_t)at_ms - (int64_t)now_ms) * 1000;
}

/* The same moment of the loop's clock keeps the time of day that it had. */
static void pin_one(struct row *row, const tg_http_instance_stats_t *stats, uint64_t now_ms)
{
    bool same = row->stats.since_ms == stats->since_ms && row->since_us != 0 &&
                strcmp(row->address, stats->address) == 0;
    int64_t since_us = same ? row->since_us : wall_of(stats->since_ms, now_ms);
    *row =
        (struct row){.since_us = since_us,
                     .next_us = stats->next_ms == 0
                                    ? 0
                                    : since_us + (int64_t)(stats->next_ms - stats->since_ms) * 1000,
                     .stats = *stats};
    (void)snprintf(row->address, sizeof(row->address), "%s", stats->address);
    row->stats.address = NULL; /* the row has a copy */
}

/* What an operator wants of the instance and its breaker does not know: since it was said, or since
 * the instance came back from where its name had gone. */
static bool is_to_change(tg_board_t *board, const tg_http_instance_stats_t *stats,
                         unsigned upstream, tg_http_hold_t *out_hold)
{
    const struct hold *hold = find_hold(board, upstream, tg_str_from(stats->address));
    tg_http_hold_t is = !stats->held                        ? TG_HTTP_HOLD_AUTO
                        : stats->breaker == TG_BREAKER_OPEN ? TG_HTTP_HOLD_OPEN
                                                            : TG_HTTP_HOLD_CLOSED;
    *out_hold = hold == NULL ? TG_HTTP_HOLD_AUTO : hold->hold;
    return *out_hold != is;
}

/* Pins the figures of one client, and writes what is to change; the number of changes. */
static size_t pin(tg_board_place_t *place, unsigned upstream, const tg_http_client_t *client,
                  uint64_t now_ms, struct hold changes[TG_RESOLVE_MAX])
{
    tg_http_instance_stats_t stats[TG_RESOLVE_MAX];
    size_t count = tg_http_client_stats(client, stats, TG_RESOLVE_MAX), changed = 0;
    pthread_mutex_lock(&place->board->mutex);
    place->counts[upstream] = count;
    for (size_t i = 0; i < count; i++) {
        struct row *row = &place->rows[upstream][i];
        pin_one(row, &stats[i], now_ms);
        struct hold *change = &changes[changed];
        if (is_to_change(place->board, &stats[i], upstream, &change->hold)) {
            memcpy(change->address, row->address, sizeof(change->address));
            changed++;
        }
    }
    pthread_mutex_unlock(&place->board->mutex);
    return changed;
}

void tg_board_visit(tg_board_place_t *place, tg_http_client_t *const clients[TG_UP_COUNT],
                    uint64_t now_ms)
{
    assert(place != NULL);
    struct hold changes[TG_RESOLVE_MAX];
    for (unsigned upstream = 0; upstream < TG_UP_COUNT; upstream++) {
        size_t count = pin(place, upstream, clients[upstream], now_ms, changes);
        for (size_t i = 0; i < count; i++) /* outside the mutex: it is told to the log */
            (void)tg_http_client_hold(clients[upstream], changes[i].address, changes[i].hold);
        if (count > 0)
            (void)pin(place, upstream, clients[upstream], now_ms, changes);
    }
}

/* --- an operator's hand --- */

static const char *const hold_names[] = {
    [TG_HTTP_HOLD_AUTO] = "auto", [TG_HTTP_HOLD_OPEN] = "open", [TG_HTTP_HOLD_CLOSED] = "closed"};

const char *tg_board_hold_name(tg_http_hold_t hold)
{
    assert(hold < TG_ARRAY_LEN(hold_names));
    return hold_names[hold];
}

bool tg_board_hold_read(tg_str_t text, tg_http_hold_t *out_hold)
{
    for (unsigned i = 0; i < TG_ARRAY_LEN(hold_names); i++) {
        if (tg_str_eq(text, tg_str_from(hold_names[i]))) {
            *out_hold = (tg_http_hold_t)i;
            return true;
        }
    }
    return false;
}

static unsigned find_upstream(tg_str_t name)
{
    unsigned upstream = 0;
    while (upstream < TG_UP_COUNT &&
           !tg_str_eq(name, tg_str_from(tg_upstream_name((tg_upstream_t)upstream))))
        upstream++;
    return upstream;
}

static bool is_pinned(const tg_board_t *board, unsigned upstream, tg_str_t instance)
{
    for (size_t i = 0; i < TG_METRIC_SHARDS_MAX; i++) {
        const tg_board_place_t *place = board->places[i];
        for (size_t k = 0; place != NULL && k < place->counts[upstream]; k++)
            if (tg_str_eq(instance, tg_str_from(place->rows[upstream][k].address)))
                return true;
    }
    return false;
}

/* The instance's row, a new one, or that of an instance which is no more. */
static struct hold *take_hold(tg_board_t *board, unsigned upstream, tg_str_t instance)
{
    struct hold *hold = find_hold(board, upstream, instance);
    if (hold == NULL && board->hold_count < TG_BOARD_HOLDS_MAX)
        hold = &board->holds[board->hold_count++];
    for (size_t i = 0; hold == NULL && i < board->hold_count; i++)
        if (!is_pinned(board, board->holds[i].upstream, tg_str_from(board->holds[i].address)))
            hold = &board->holds[i];
    return hold;
}

static void drop_hold(tg_board_t *board, unsigned upstream, tg_str_t instance)
{
    struct hold *hold = find_hold(board, upstream, instance);
    if (hold != NULL)
        *hold = board->holds[--board->hold_count];
}

static tg_status_t put_hold(tg_board_t *board, unsigned upstream, tg_str_t instance,
                            tg_http_hold_t how)
{
    struct hold *hold = take_hold(board, upstream, instance);
    if (hold == NULL)
        return TG_FULL;
    assert(instance.len < sizeof(hold->address));
    *hold = (struct hold){.upstream = upstream, .hold = how};
    memcpy(hold->address, instance.ptr, instance.len);
    return TG_OK;
}

bool tg_board_find(tg_board_t *board, tg_str_t upstream, tg_str_t instance,
                   tg_http_hold_t *out_hold)
{
    unsigned number = find_upstream(upstream);
    if (number == TG_UP_COUNT)
        return false;
    pthread_mutex_lock(&board->mutex);
    const struct hold *hold = find_hold(board, number, instance);
    bool found = hold != NULL || is_pinned(board, number, instance);
    *out_hold = hold == NULL ? TG_HTTP_HOLD_AUTO : hold->hold;
    pthread_mutex_unlock(&board->mutex);
    return found;
}

tg_status_t tg_board_hold(tg_board_t *board, tg_str_t upstream, tg_str_t instance,
                          tg_http_hold_t hold)
{
    unsigned number = find_upstream(upstream);
    tg_status_t status = TG_OK;
    if (number == TG_UP_COUNT)
        return TG_NOT_FOUND;
    pthread_mutex_lock(&board->mutex);
    if (find_hold(board, number, instance) == NULL && !is_pinned(board, number, instance))
        status = TG_NOT_FOUND;
    else if (hold == TG_HTTP_HOLD_AUTO)
        drop_hold(board, number, instance);
    else
        status = put_hold(board, number, instance, hold);
    pthread_mutex_unlock(&board->mutex);
    return status;
}

/* --- joining --- */

static unsigned badness(tg_breaker_state_t state)
{
    return state == TG_BREAKER_OPEN ? 2 : state == TG_BREAKER_HALF_OPEN ? 1 : 0;
}

static void add_counters(tg_http_instance_stats_t *sum, const tg_http_instance_stats_t *one)
{
    for (size_t i = 0; i < STATES; i++)
        sum->breaker_entered[i] += one->breaker_entered[i];
    sum->calls_total += one->calls_total;
    sum->failures_total += one->failures_total;
    sum->checks_total += one->checks_total;
    sum->checks_bad_total += one->checks_bad_total;
    sum->ejected_total += one->ejected_total;
    sum->connections += one->connections;
    sum->inflight += one->inflight;
    sum->waiting += one->waiting;
    if (one->latency_us > sum->latency_us)
        sum->latency_us = one->latency_us;
}

static void join_row(struct joined *joined, const struct row *row)
{
    struct row *worst = &joined->worst;
    if (joined->threads++ == 0) {
        *worst = *row;
    } else {
        add_counters(&worst->stats, &row->stats);
        if (badness(row->stats.breaker) > badness(worst->stats.breaker)) {
            worst->stats.breaker = row->stats.breaker;
            worst->stats.why = row->stats.why;
            worst->since_us = row->since_us;
            worst->next_us = row->next_us;
        }
    }
    joined->in_state[row->stats.breaker]++;
    joined->unhealthy += row->stats.unhealthy;
    joined->ejected += row->stats.ejected;
}

static struct joined *find_joined(struct joined *all, size_t *count, unsigned upstream,
                                  const char *address)
{
    for (size_t i = 0; i < *count; i++)
        if (all[i].upstream == upstream && strcmp(all[i].worst.address, address) == 0)
            return &all[i];
    if (*count == JOINED_MAX)
        return NULL; /* while threads change addresses one after the other */
    struct joined *fresh = &all[(*count)++];
    *fresh = (struct joined){.upstream = upstream};
    return fresh;
}

size_t tg_board_join(tg_board_t *board, struct joined all[JOINED_MAX])
{
    size_t count = 0;
    pthread_mutex_lock(&board->mutex);
    for (unsigned upstream = 0; upstream < TG_UP_COUNT; upstream++) {
        for (size_t i = 0; i < TG_METRIC_SHARDS_MAX; i++) {
            const tg_board_place_t *place = board->places[i];
            for (size_t k = 0; place != NULL && k < place->counts[upstream]; k++) {
                const struct row *row = &place->rows[upstream][k];
                struct joined *joined = find_joined(all, &count, upstream, row->address);
                if (joined != NULL)
                    join_row(joined, row);
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        const struct hold *hold =
            find_hold(board, all[i].upstream, tg_str_from(all[i].worst.address));
        all[i].hold = hold == NULL ? TG_HTTP_HOLD_AUTO : hold->hold;
    }
    pthread_mutex_unlock(&board->mutex);
    return count;
}

tg_resolver_t *tg_board_resolver(const tg_board_t *board)
{
    return board->resolver;
}
