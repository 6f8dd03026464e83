/* The board as an operator reads it: JSON for /admin/v1/breakers, and metrics whose labels are the
 * instances' addresses, which no row of metrics.def can have. */
#include <stdlib.h>

#include "common/base/time.h"
#include "gateway/upstreams/board_private.h"

/* --- JSON --- */

static void write_time(tg_buf_t *out, const char *name, int64_t us)
{
    char text[TG_TIME_TEXT_MAX];
    if (us == 0) {
        tg_buf_printf(out, ",\"%s\":null", name);
        return;
    }
    (void)tg_time_format(us, text);
    tg_buf_printf(out, ",\"%s\":\"%s\"", name, text);
}

static void write_one(const struct joined *joined, tg_buf_t *out)
{
    const tg_http_instance_stats_t *stats = &joined->worst.stats;
    tg_buf_printf(out, "{\"upstream\":\"%s\",\"instance\":",
                  tg_upstream_name((tg_upstream_t)joined->upstream));
    tg_buf_json_string(out, tg_str_from(joined->worst.address));
    tg_buf_printf(out, ",\"state\":\"%s\",\"set\":\"%s\",\"why\":\"%s\"",
                  tg_breaker_state_name(stats->breaker), tg_board_hold_name(joined->hold),
                  tg_breaker_why_name(stats->why));
    write_time(out, "since", joined->worst.since_us);
    write_time(out, "next_probe", joined->worst.next_us);
    tg_buf_printf(out,
                  ",\"healthy\":%s,\"ejected\":%s,"
                  "\"threads\":{\"closed\":%u,\"open\":%u,\"half_open\":%u},",
                  joined->unhealthy == 0 ? "true" : "false", joined->ejected > 0 ? "true" : "false",
                  joined->in_state[TG_BREAKER_CLOSED], joined->in_state[TG_BREAKER_OPEN],
                  joined->in_state[TG_BREAKER_HALF_OPEN]);
    tg_buf_printf(out,
                  "\"opened\":%llu,\"calls\":%llu,\"failures\":%llu,\"checks\":%llu,"
                  "\"checks_bad\":%llu,\"ejections\":%llu,\"latency_ms\":%.3f,"
                  "\"connections\":%zu,\"in_flight\":%zu,\"waiting\":%zu}",
                  (unsigned long long)stats->breaker_entered[TG_BREAKER_OPEN],
                  (unsigned long long)stats->calls_total, (unsigned long long)stats->failures_total,
                  (unsigned long long)stats->checks_total,
                  (unsigned long long)stats->checks_bad_total,
                  (unsigned long long)stats->ejected_total, stats->latency_us / 1000,
                  stats->connections, stats->inflight, stats->waiting);
}

void tg_board_write_json(tg_board_t *board, tg_buf_t *out)
{
    struct joined *all = calloc(JOINED_MAX, sizeof(*all));
    size_t count = all == NULL ? 0 : tg_board_join(board, all);
    out->failed |= all == NULL;
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            tg_buf_byte(out, ',');
        write_one(&all[i], out);
    }
    free(all);
}

/* --- metrics --- */

typedef double (*value_fn)(const struct joined *joined, unsigned value);

static double state_value(const struct joined *joined, unsigned state)
{
    return joined->in_state[state];
}

static double entered_value(const struct joined *joined, unsigned state)
{
    return (double)joined->worst.stats.breaker_entered[state];
}

static double out_value(const struct joined *joined, unsigned why)
{
    return why == 0   ? joined->unhealthy
           : why == 1 ? joined->ejected
                      : (joined->hold == TG_HTTP_HOLD_OPEN ? joined->threads : 0);
}

static double check_value(const struct joined *joined, unsigned bad)
{
    const tg_http_instance_stats_t *stats = &joined->worst.stats;
    return (double)(bad ? stats->checks_bad_total : stats->checks_total - stats->checks_bad_total);
}

/* Calls on their way are neither yet. */
static double call_value(const struct joined *joined, unsigned failed)
{
    const tg_http_instance_stats_t *stats = &joined->worst.stats;
    return (double)(failed ? stats->failures_total : stats->calls_total - stats->failures_total);
}

static double ejected_value(const struct joined *joined, unsigned nothing)
{
    (void)nothing;
    return (double)joined->worst.stats.ejected_total;
}

static double latency_value(const struct joined *joined, unsigned nothing)
{
    (void)nothing;
    return joined->worst.stats.latency_us / 1e6;
}

static double inflight_value(const struct joined *joined, unsigned nothing)
{
    (void)nothing;
    return (double)joined->worst.stats.inflight;
}

static const struct family {
    const char *name, *kind, *help;
    const char *label, *values[4]; /* beside upstream and instance */
    value_fn value;
} families[] = {
    {"tidegate_gateway_breaker_threads",
     "gauge",
     "Threads whose breaker of the instance is in that state.",
     "state",
     {"closed", "open", "half_open"},
     state_value},
    {"tidegate_gateway_breaker_changes_total",
     "counter",
     "Times that a breaker of the instance has become so.",
     "to",
     {"closed", "open", "half_open"},
     entered_value},
    {"tidegate_gateway_instance_out",
     "gauge",
     "Threads that leave the instance out, by reason.",
     "why",
     {"unhealthy", "ejected", "held_open"},
     out_value},
    {"tidegate_gateway_instance_ejections_total",
     "counter",
     "Times that it was left out for failing more than its peers.",
     NULL,
     {"one"},
     ejected_value},
    {"tidegate_gateway_health_checks_total",
     "counter",
     "Health checks of the instance.",
     "result",
     {"good", "bad"},
     check_value},
    {"tidegate_gateway_instance_calls_total",
     "counter",
     "Calls given to the instance; failed: as its breaker counts failures.",
     "result",
     {"ok", "failed"},
     call_value},
    {"tidegate_gateway_instance_latency_seconds",
     "gauge",
     "The latency by which it is chosen, of the slowest thread; 0 where there is no choice.",
     NULL,
     {"one"},
     latency_value},
    {"tidegate_gateway_instance_inflight",
     "gauge",
     "Calls on their way to the instance.",
     NULL,
     {"one"},
     inflight_value},
};

static void write_head(tg_buf_t *out, const char *name, const char *kind, const char *help)
{
    tg_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

/* Addresses are written in numbers: nothing in them needs an escape. */
static void write_family(const struct family *family, const struct joined *all, size_t count,
                         tg_buf_t *out)
{
    write_head(out, family->name, family->kind, family->help);
    for (size_t i = 0; i < count; i++) {
        for (unsigned v = 0; v < TG_ARRAY_LEN(family->values) && family->values[v] != NULL; v++) {
            tg_buf_printf(out, "%s{upstream=\"%s\",instance=\"%s\"", family->name,
                          tg_upstream_name((tg_upstream_t)all[i].upstream), all[i].worst.address);
            if (family->label != NULL)
                tg_buf_printf(out, ",%s=\"%s\"", family->label, family->values[v]);
            tg_buf_printf(out, "} %.15g\n", family->value(&all[i], v));
        }
    }
}

static void write_resolves(tg_resolver_t *resolver, tg_buf_t *out)
{
    static const char name[] = "tidegate_gateway_resolves_total";
    write_head(out, name, "counter", "Look-ups of the instances' names after the start.");
    for (unsigned i = 0; i < TG_UP_COUNT; i++) {
        tg_resolver_stats_t stats = tg_resolver_get_stats(resolver, i);
        const char *upstream = tg_upstream_name((tg_upstream_t)i);
        tg_buf_printf(out, "%s{upstream=\"%s\",result=\"ok\"} %llu\n", name, upstream,
                      (unsigned long long)stats.done);
        tg_buf_printf(out, "%s{upstream=\"%s\",result=\"failed\"} %llu\n", name, upstream,
                      (unsigned long long)stats.failed);
    }
}

void tg_board_collect(void *arg, tg_buf_t *out)
{
    tg_board_t *board = arg;
    struct joined *all = calloc(JOINED_MAX, sizeof(*all));
    size_t count = all == NULL ? 0 : tg_board_join(board, all);
    for (size_t i = 0; i < TG_ARRAY_LEN(families) && all != NULL; i++)
        write_family(&families[i], all, count, out);
    free(all);
    if (tg_board_resolver(board) != NULL)
        write_resolves(tg_board_resolver(board), out);
}
