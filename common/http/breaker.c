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

static void open_for(tg_breaker_t *breaker, unsigned length_ms, uint64_t now_ms)
{
    assert(length_ms > 0 && length_ms <= breaker->config.open_max_ms);
    breaker->state = TG_BREAKER_OPEN;
    breaker->reopen_at_ms = now_ms + jittered(breaker, length_ms);
    breaker->opened_total++;
    unsigned twice =
        length_ms > breaker->config.open_max_ms / 2 ? breaker->config.open_max_ms : 2 * length_ms;
    breaker->open_ms = twice;
}

static void half_open(tg_breaker_t *breaker)
{
    breaker->state = TG_BREAKER_HALF_OPEN;
    breaker->probes_out = 0;
    breaker->probes_good = 0;
}

bool tg_breaker_allow(tg_breaker_t *breaker, uint64_t now_ms)
{
    assert(breaker->probes_out + breaker->probes_good <= breaker->config.probes);
    if (breaker->state == TG_BREAKER_OPEN && now_ms >= breaker->reopen_at_ms)
        half_open(breaker);
    if (breaker->state == TG_BREAKER_CLOSED)
        return true;
    if (breaker->state == TG_BREAKER_OPEN ||
        breaker->probes_out + breaker->probes_good >= breaker->config.probes)
        return false;
    breaker->probes_out++;
    return true;
}

static bool too_many_failures(const tg_breaker_t *breaker)
{
    unsigned calls = 0, failures = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        calls += breaker->slots[i].calls;
        failures += breaker->slots[i].failures;
    }
    return breaker->in_row >= breaker->config.failures_in_row ||
           (calls >= breaker->config.ratio_min &&
            (uint64_t)failures * 100 >= (uint64_t)calls * breaker->config.ratio_percent);
}

static void result_closed(tg_breaker_t *breaker, bool good, uint64_t now_ms)
{
    assert(breaker->state == TG_BREAKER_CLOSED);
    advance(breaker, now_ms);
    breaker->slots[0].calls++;
    breaker->slots[0].failures += good ? 0 : 1;
    breaker->in_row = good ? 0 : breaker->in_row + 1;
    if (good || !too_many_failures(breaker))
        return;
    clear_window(breaker);
    open_for(breaker, breaker->config.open_ms, now_ms);
}

static void result_half_open(tg_breaker_t *breaker, bool good, uint64_t now_ms)
{
    assert(breaker->state == TG_BREAKER_HALF_OPEN);
    if (breaker->probes_out == 0)
        return; /* sent before it opened */
    breaker->probes_out--;
    if (!good) {
        open_for(breaker, breaker->open_ms, now_ms);
        return;
    }
    if (++breaker->probes_good < breaker->config.probes)
        return;
    breaker->state = TG_BREAKER_CLOSED;
    breaker->open_ms = breaker->config.open_ms;
    clear_window(breaker);
}

void tg_breaker_result(tg_breaker_t *breaker, bool good, uint64_t now_ms)
{
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
    (void)now_ms;
    if (breaker->state == TG_BREAKER_OPEN)
        half_open(breaker);
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
