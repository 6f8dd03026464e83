/* When things happen. Each type is a process of its own: readings come regularly, device after
 * device, all others at random (exponential gaps). What an event causes later (a viewer leaves, a
 * session goes on) waits in a heap. The next event is the earliest of all these. */
#include "loadtest/simulator/generator.h"

#include <math.h>
#include <stdlib.h>

#include "loadtest/simulator/world.h"

#define FOLLOW_UPS_MAX ((size_t)1 << 16)
#define RATE_MIN       0.01 /* events per second; less is none */
#define BURST_CHANCE   0.5  /* of a slot to have a burst of activities, of signals */
#define BURST_US       INT64_C(30000000)
#define PICK_NONE      (TG_SIM_TYPES + 1)
#define PICK_FOLLOW_UP TG_SIM_TYPES

/* What part of a type's events is not caused by another one: a join is followed by a leave, a view
 * by 0.45 checkouts and 0.27 purchases (see bodies.c). */
static const double spontaneous[TG_SIM_TYPES] = {
    [TG_SIM_READING] = 1, [TG_SIM_ACTIVITY] = 1,       [TG_SIM_SIGNAL] = 1,
    [TG_SIM_ORDER] = 1,   [TG_SIM_SESSION] = 1 / 1.72, [TG_SIM_STREAM] = 0.75,
};

const char *const tg_sim_type_names[TG_SIM_TYPES] = {
    [TG_SIM_READING] = "reading", [TG_SIM_ACTIVITY] = "activity", [TG_SIM_SIGNAL] = "signal",
    [TG_SIM_ORDER] = "order",     [TG_SIM_SESSION] = "session",   [TG_SIM_STREAM] = "stream",
};

/* --- what is going to happen --- */

/* A total order, so that the sequence does not depend on how the heap came about. */
static bool earlier(const tg_sim_follow_up_t *a, const tg_sim_follow_up_t *b)
{
    if (a->at != b->at)
        return a->at < b->at;
    if (a->slot != b->slot)
        return a->slot < b->slot;
    if (a->number != b->number)
        return a->number < b->number;
    return a->type != b->type ? a->type < b->type : a->kind < b->kind;
}

size_t tg_sim_room(const tg_generator_t *generator)
{
    return generator->config.isolated ? 0 : FOLLOW_UPS_MAX - generator->follow_up_count;
}

bool tg_sim_expect(tg_generator_t *generator, const tg_sim_follow_up_t *follow_up)
{
    if (tg_sim_room(generator) == 0)
        return false;
    tg_sim_follow_up_t *heap = generator->follow_ups;
    size_t at = generator->follow_up_count++;
    while (at > 0 && earlier(follow_up, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = *follow_up;
    return true;
}

static tg_sim_follow_up_t take_earliest(tg_generator_t *generator)
{
    assert(generator->follow_up_count > 0);
    tg_sim_follow_up_t *heap = generator->follow_ups;
    tg_sim_follow_up_t first = heap[0], last = heap[--generator->follow_up_count];
    size_t at = 0, count = generator->follow_up_count;
    for (size_t child = 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && earlier(&heap[child + 1], &heap[child]))
            child++;
        if (!earlier(&heap[child], &last))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return first;
}

/* --- slots --- */

static double gap(tg_generator_t *generator, tg_sim_type_t type)
{
    double mean = 1e6 / (generator->config.rates[type] * spontaneous[type]);
    if (type == TG_SIM_READING)
        return mean;
    return mean * tg_rng_exponential(&generator->rng[type]);
}

static void plan_next(tg_generator_t *generator, tg_sim_type_t type, double from)
{
    double next = from + gap(generator, type);
    generator->next[type] = next < (double)TG_GENERATOR_SLOT_US ? next : INFINITY;
}

static void draw_burst(tg_generator_t *generator, tg_sim_type_t type)
{
    tg_rng_t *rng = &generator->rng[type];
    bool happens = tg_rng_chance(rng, BURST_CHANCE);
    int64_t from = generator->slot * TG_GENERATOR_SLOT_US +
                   (int64_t)(tg_rng_unit(rng) * (double)(TG_GENERATOR_SLOT_US - BURST_US));
    generator->burst[type] =
        (tg_sim_episode_t){.from = from, .to = happens ? from + BURST_US : from};
}

static void begin_slot(tg_generator_t *generator, int64_t slot)
{
    uint64_t slot_seed = tg_rng_mix(generator->config.seed) + (uint64_t)slot;
    generator->slot = slot;
    memset(generator->joined, 0, sizeof(generator->joined));
    for (unsigned type = 0; type < TG_SIM_TYPES; type++) {
        tg_rng_seed(&generator->rng[type], tg_rng_mix(slot_seed) ^ tg_rng_mix(type));
        generator->made[type] = 0;
        draw_burst(generator, type);
    }
    tg_sim_sensors_begin_slot(generator);
    for (unsigned type = 0; type < TG_SIM_TYPES; type++) {
        generator->next[type] = INFINITY;
        if (generator->config.rates[type] > 0)
            plan_next(generator, type, 0);
    }
}

static void pick_earliest(tg_generator_t *generator)
{
    double next = INFINITY;
    generator->picked = PICK_NONE;
    for (unsigned type = 0; type < TG_SIM_TYPES; type++) {
        if (generator->next[type] < next) {
            next = generator->next[type];
            generator->picked = type;
        }
    }
    int64_t begin = generator->slot * TG_GENERATOR_SLOT_US;
    generator->due =
        generator->picked == PICK_NONE ? begin + TG_GENERATOR_SLOT_US : begin + (int64_t)next;
    if (generator->follow_up_count > 0 && generator->follow_ups[0].at < generator->due) {
        generator->due = generator->follow_ups[0].at;
        generator->picked = PICK_FOLLOW_UP;
    }
}

static bool is_still(const tg_generator_t *generator)
{
    for (unsigned type = 0; type < TG_SIM_TYPES; type++) {
        if (generator->config.rates[type] > 0)
            return false;
    }
    return true;
}

/* Finds the next event, in this slot or a later one. */
static void find_next(tg_generator_t *generator)
{
    pick_earliest(generator);
    while (generator->picked == PICK_NONE && !is_still(generator)) {
        begin_slot(generator, generator->slot + 1);
        pick_earliest(generator);
    }
}

/* What happens before the beginning is drawn like everything, but has no consequences after it. */
static void enter(tg_generator_t *generator)
{
    int64_t begin = generator->config.begin_us - generator->config.start_us;
    begin_slot(generator, begin > 0 ? begin / TG_GENERATOR_SLOT_US : 0);
    find_next(generator);
    tg_buf_t dropped = tg_buf_make(TG_GENERATOR_EVENT_MAX);
    while (generator->picked != PICK_NONE && generator->due < begin) {
        tg_sim_event_t event;
        tg_buf_clear(&dropped);
        tg_generator_next(generator, &dropped, &event);
    }
    tg_buf_dispose(&dropped);
    if (begin > 0)
        generator->follow_up_count = 0;
    find_next(generator);
}

/* --- life --- */

tg_generator_t *tg_generator_create(const tg_generator_config_t *config)
{
    assert(config != NULL);
    tg_generator_t *generator = calloc(1, sizeof(*generator));
    if (generator == NULL)
        return NULL;
    generator->config = *config;
    for (unsigned type = 0; type < TG_SIM_TYPES; type++) {
        if (config->rates[type] < RATE_MIN)
            generator->config.rates[type] = 0;
    }
    generator->follow_ups = calloc(FOLLOW_UPS_MAX, sizeof(*generator->follow_ups));
    if (generator->follow_ups == NULL) {
        tg_generator_destroy(generator);
        return NULL;
    }
    enter(generator);
    return generator;
}

void tg_generator_destroy(tg_generator_t *generator)
{
    if (generator == NULL)
        return;
    free(generator->follow_ups);
    free(generator);
}

/* --- events --- */

int64_t tg_generator_due(const tg_generator_t *generator)
{
    if (generator->picked == PICK_NONE)
        return INT64_MAX;
    return generator->config.start_us + generator->due;
}

tg_sim_type_t tg_generator_next_type(const tg_generator_t *generator)
{
    assert(generator->picked != PICK_NONE);
    return generator->picked == PICK_FOLLOW_UP ? generator->follow_ups[0].type : generator->picked;
}

void tg_generator_next(tg_generator_t *generator, tg_buf_t *out, tg_sim_event_t *out_event)
{
    assert(generator->picked != PICK_NONE);
    assert(out != NULL && out_event != NULL);
    if (generator->picked == PICK_FOLLOW_UP) {
        tg_sim_follow_up_t follow_up = take_earliest(generator);
        tg_sim_write_follow_up(generator, &follow_up, out, out_event);
    } else {
        tg_sim_type_t type = generator->picked;
        double now = generator->next[type];
        tg_sim_write(generator, type, generator->due, out, out_event);
        plan_next(generator, type, now);
    }
    find_next(generator);
}

void tg_generator_make(tg_generator_t *generator, tg_sim_type_t type, int64_t at_us, tg_buf_t *out,
                       tg_sim_event_t *out_event)
{
    assert(type < TG_SIM_TYPES);
    tg_sim_write(generator, type, at_us - generator->config.start_us, out, out_event);
}

tg_sim_type_t tg_sim_type_of(tg_str_t name)
{
    unsigned type = 0;
    while (type < TG_SIM_TYPES && !tg_str_eq(name, tg_str_from(tg_sim_type_names[type])))
        type++;
    return type;
}
