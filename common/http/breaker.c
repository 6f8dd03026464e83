/* The window is ten slots in a ring. The newest begins at slot_ms; moving on by n slots clears the
 * n that are reused, so old failures leave by themselves without a timer.
 *
 * A half-open breaker hands out its probes and closes when all were good. Results of calls that
 * went out before it opened still arrive: they say something of the past and are not counted. */
#include "common/http/breaker.h"

enum { SLOTS = 10 };

void tg_breaker_init(tg_breaker_t *breaker, const tg_breaker_config_t *config)
{
    assert(breaker != NULL && config != NULL);
    assert(config->failures_in_row > 0 && config->probes > 0);
    assert(config->window_ms >= SLOTS);
    assert(config->open_ms > 0 && config->open_ms <= config->open_max_ms);
    *breaker = (tg_breaker_t){.config = *config,
                              .state = TG_BREAKER_CLOSED,
                              .open_ms = config->open_ms,
                              .random = (uint32_t)(uintptr_t)breaker | 1};
}

static void clear_window(tg_breaker_t *breaker)
{
    memset(breaker->slots, 0, sizeof(breaker->slots));
    breaker->in_row = 0;
}

/* Moves the ring so that slot 0 holds `now_ms`. */
static void advance(tg_breaker_t *breaker, uint64_t now_ms)
{
    uint64_t width = breaker->config.window_ms / SLOTS;
    uint64_t steps = now_ms > breaker->slot_ms ? (now_ms - breaker->slot_ms) / width : 0;
    if (steps == 0)
        return;
    breaker->slot_ms += steps * width;
    size_t shift = steps < SLOTS ? (size_t)steps : SLOTS;
    memmove(&breaker->slots[shift], &breaker->slots[0],
            (SLOTS - shift) * sizeof(breaker->slots[0]));
    memset(&breaker->slots[0], 0, shift * sizeof(breaker->slots[0]));
}

/* xorshift; ±20 % of the length. */
static uint64_t jittered(tg_breaker_t *breaker, unsigned length_ms)
{
    uint32_t x = breaker->random;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    breaker->random = x;
    return (uint64_t)length_ms * (800 + x % 401) / 1000;
}

static void enter(tg_breaker_t *breaker, tg_breaker_state_t state, tg_breaker_why_t why,
                  uint64_t now_ms)
{
    breaker->state = state;
    breaker->why = why;
    breaker->since_ms = now_ms;
    breaker->changes++;
    breaker->entered[state]++;
}

static void open_for(tg_breaker_t *breaker, unsigned length_ms, tg_breaker_why_t why,
                     uint64_t now_ms)
{
    assert(length_ms > 0 && length_ms <= breaker->config.open_max_ms);
    enter(breaker, TG_BREAKER_OPEN, why, now_ms);
    breaker->reopen_at_ms = now_ms + jittered(breaker, length_ms);
    unsigned twice =
        length_ms > breaker->config.open_max_ms / 2 ? breaker->config.open_max_ms : 2 * length_ms;
    breaker->open_ms = twice;
}

static void half_open(tg_breaker_t *breaker, tg_breaker_why_t why, uint64_t now_ms)
{
    enter(breaker, TG_BREAKER_HALF_OPEN, why, now_ms);
    breaker->probes_out = 0;
    breaker->probes_good = 0;
}

static void close_clean(tg_breaker_t *breaker, tg_breaker_why_t why, uint64_t now_ms)
{
    enter(breaker, TG_BREAKER_CLOSED, why, now_ms);
    breaker->open_ms = breaker->config.open_ms;
    clear_window(breaker);
}

static bool has_probe_left(const tg_breaker_t *breaker)
{
    assert(breaker->probes_out + breaker->probes_good <= breaker->config.probes);
    return breaker->probes_out + breaker->probes_good < breaker->config.probes;
}

bool tg_breaker_allow(tg_breaker_t *breaker, uint64_t now_ms)
{
    if (breaker->state == TG_BREAKER_CLOSED)
        return true;
    if (breaker->held)
        return false;
    if (breaker->state == TG_BREAKER_OPEN && now_ms >= breaker->reopen_at_ms)
        half_open(breaker, TG_BREAKER_BY_TIME, now_ms);
    if (breaker->state == TG_BREAKER_OPEN || !has_probe_left(breaker))
        return false;
    breaker->probes_out++;
    return true;
}

static bool share_too_large(const tg_breaker_t *breaker)
{
    unsigned calls = 0, failures = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        calls += breaker->slots[i].calls;
        failures += breaker->slots[i].failures;
    }
    return calls >= breaker->config.ratio_min &&
           (uint64_t)failures * 100 >= (uint64_t)calls * breaker->config.ratio_percent;
}

static void result_closed(tg_breaker_t *breaker, bool good, uint64_t now_ms)
{
    assert(breaker->state == TG_BREAKER_CLOSED);
    advance(breaker, now_ms);
    breaker->slots[0].calls++;
    breaker->slots[0].failures += good ? 0 : 1;
    breaker->in_row = good ? 0 : breaker->in_row + 1;
    bool row = breaker->in_row >= breaker->config.failures_in_row;
    if (good || (!row && !share_too_large(breaker)))
        return;
    clear_window(breaker);
    open_for(breaker, breaker->config.open_ms, row ? TG_BREAKER_BY_ROW : TG_BREAKER_BY_RATIO,
             now_ms);
}

static void note_good_probe(tg_breaker_t *breaker, uint64_t now_ms)
{
    assert(breaker->probes_good < breaker->config.probes);
    if (++breaker->probes_good == breaker->config.probes)
        close_clean(breaker, TG_BREAKER_BY_PROBES, now_ms);
}

static void result_half_open(tg_breaker_t *breaker, bool good, uint64_t now_ms)
{
    assert(breaker->state == TG_BREAKER_HALF_OPEN);
    if (breaker->probes_out == 0)
        return; /* sent before it opened */
    breaker->probes_out--;
    if (good)
        note_good_probe(breaker, now_ms);
    else
        open_for(breaker, breaker->open_ms, TG_BREAKER_BY_PROBE, now_ms);
}

void tg_breaker_result(tg_breaker_t *breaker, bool good, uint64_t now_ms)
{
    if (breaker->held)
        return;
    if (breaker->state == TG_BREAKER_CLOSED)
        result_closed(breaker, good, now_ms);
    else if (breaker->state == TG_BREAKER_HALF_OPEN)
        result_half_open(breaker, good, now_ms);
}

void tg_breaker_forget(tg_breaker_t *breaker)
{
    if (breaker->state == TG_BREAKER_HALF_OPEN && breaker->probes_out > 0)
        breaker->probes_out--;
}

void tg_breaker_healthy(tg_breaker_t *breaker, uint64_t now_ms)
{
    if (breaker->state == TG_BREAKER_OPEN && !breaker->held)
        half_open(breaker, TG_BREAKER_BY_CHECK, now_ms);
}

static void check_good(tg_breaker_t *breaker, bool turned, uint64_t now_ms)
{
    if (breaker->state == TG_BREAKER_OPEN && turned)
        tg_breaker_healthy(breaker, now_ms);
    else if (breaker->state == TG_BREAKER_HALF_OPEN && has_probe_left(breaker))
        note_good_probe(breaker, now_ms);
}

void tg_breaker_check(tg_breaker_t *breaker, tg_check_t check, uint64_t now_ms)
{
    bool was_bad = breaker->check_bad;
    breaker->check_bad = check != TG_CHECK_GOOD;
    if (breaker->held)
        return;
    if (check == TG_CHECK_GOOD)
        check_good(breaker, was_bad, now_ms);
    else if (check == TG_CHECK_SILENT && breaker->state == TG_BREAKER_CLOSED)
        result_closed(breaker, false, now_ms);
    else if (check == TG_CHECK_SILENT && breaker->state == TG_BREAKER_HALF_OPEN)
        open_for(breaker, breaker->open_ms, TG_BREAKER_BY_CHECK, now_ms);
}

void tg_breaker_hold(tg_breaker_t *breaker, bool open, uint64_t now_ms)
{
    breaker->held = true;
    if (open)
        open_for(breaker, breaker->config.open_ms, TG_BREAKER_BY_OPERATOR, now_ms);
    else
        close_clean(breaker, TG_BREAKER_BY_OPERATOR, now_ms);
}

void tg_breaker_release(tg_breaker_t *breaker, uint64_t now_ms)
{
    if (!breaker->held)
        return;
    breaker->held = false;
    if (breaker->state == TG_BREAKER_OPEN)
        half_open(breaker, TG_BREAKER_BY_OPERATOR, now_ms);
    else
        close_clean(breaker, TG_BREAKER_BY_OPERATOR, now_ms);
}

const char *tg_breaker_state_name(tg_breaker_state_t state)
{
    static const char *const names[] = {
        [TG_BREAKER_CLOSED] = "closed",
        [TG_BREAKER_OPEN] = "open",
        [TG_BREAKER_HALF_OPEN] = "half_open",
    };
    assert(state < TG_ARRAY_LEN(names));
    return names[state];
}

const char *tg_breaker_why_name(tg_breaker_why_t why)
{
    static const char *const names[] = {
        [TG_BREAKER_BY_START] = "start",         [TG_BREAKER_BY_ROW] = "failures_in_row",
        [TG_BREAKER_BY_RATIO] = "failure_ratio", [TG_BREAKER_BY_TIME] = "time",
        [TG_BREAKER_BY_CHECK] = "health_check",  [TG_BREAKER_BY_PROBES] = "probes_good",
        [TG_BREAKER_BY_PROBE] = "probe_bad",     [TG_BREAKER_BY_OPERATOR] = "operator",
    };
    assert(why < TG_ARRAY_LEN(names));
    return names[why];
}
