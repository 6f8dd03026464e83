/* What ten devices measure: a sine, normal noise, a slow drift, single spikes, and now and then an
 * episode of half a minute that a detector has to find.
 *
 * The drift goes smoothly from knot to knot, one at each slot's border, so that it needs no memory.
 * Spikes and episodes are given in what a window sees as normal, half the swing and the noise
 * together, so that they stand out of a window of ten minutes whatever the sine does. */
#include <assert.h>
#include <math.h>

#include "loadtest/simulator/world.h"

#define SPIKE_CHANCE   (1.0 / 400) /* of a single reading */
#define EPISODE_CHANCE 0.25        /* of a series in a slot: seven or eight in ten minutes */
#define EPISODE_MIN_S  20
#define EPISODE_MAX_S  60
#define PI             3.14159265358979323846

const tg_sim_sensor_t tg_sim_sensors[TG_GENERATOR_METRICS] = {
    {"temperature", "C", 21, 2, 1.5, 2400, 0.15, 0.8, 10000},
    {"humidity", "%", 45, 6, 4, 3600, 0.5, 3, 100000},
    {"pressure", "hPa", 1013, 3, 2, 5400, 0.2, 2, 100000},
};

_Static_assert(TG_GENERATOR_SERIES == TG_GENERATOR_DEVICES * TG_GENERATOR_METRICS, "as it says");

static const tg_sim_sensor_t *sensor_of(unsigned series)
{
    assert(series < TG_GENERATOR_SERIES);
    return &tg_sim_sensors[series % TG_GENERATOR_METRICS];
}

static double usual_width(const tg_sim_sensor_t *sensor)
{
    return 0.5 * sensor->swing + 3 * sensor->noise;
}

/* A number in [-1, 1) that depends on these two only. */
static double fixed_number(unsigned series, uint64_t place)
{
    uint64_t mixed = tg_rng_mix(tg_rng_mix(series + 1) + place);
    return (double)(mixed >> 11) * 0x1p-52 - 1;
}

static void draw_episode(tg_rng_t *rng, const tg_sim_sensor_t *sensor, int64_t slot_begin,
                         tg_sim_episode_t *episode)
{
    bool happens = tg_rng_chance(rng, EPISODE_CHANCE);
    int64_t length =
        (EPISODE_MIN_S + tg_rng_below(rng, EPISODE_MAX_S - EPISODE_MIN_S)) * INT64_C(1000000);
    int64_t from = (int64_t)(tg_rng_unit(rng) * (double)(TG_GENERATOR_SLOT_US - length));
    double size = (3 + 3 * tg_rng_unit(rng)) * usual_width(sensor);
    double shift = tg_rng_chance(rng, 0.5) ? size : -size;
    episode->from = slot_begin + from;
    episode->to = happens ? episode->from + length : episode->from;
    episode->shift = shift;
}

void tg_sim_sensors_begin_slot(tg_generator_t *generator)
{
    int64_t begin = generator->slot * TG_GENERATOR_SLOT_US;
    tg_rng_t *rng = &generator->rng[TG_SIM_READING];
    for (unsigned i = 0; i < TG_GENERATOR_SERIES; i++) {
        draw_episode(rng, sensor_of(i), begin, &generator->sensors[i]);
        for (unsigned end = 0; end < 2; end++)
            generator->knots[end][i] = fixed_number(i, (uint64_t)generator->slot + end);
    }
}

/* Between the slot's knots, with the slope 0 at both. */
static double drift(const tg_generator_t *generator, unsigned series, int64_t at)
{
    double from = generator->knots[0][series], to = generator->knots[1][series];
    double place =
        (double)(at - generator->slot * TG_GENERATOR_SLOT_US) / (double)TG_GENERATOR_SLOT_US;
    return from + (to - from) * 0.5 * (1 - cos(PI * place));
}

int64_t tg_sim_measure(tg_generator_t *generator, unsigned series, int64_t at)
{
    const tg_sim_sensor_t *sensor = sensor_of(series);
    const tg_sim_episode_t *episode = &generator->sensors[series];
    tg_rng_t *rng = &generator->rng[TG_SIM_READING];
    double phase = fixed_number(series, UINT64_MAX);
    double value = sensor->base + sensor->spread * fixed_number(series, UINT64_MAX - 1);
    value += sensor->swing * sin(2 * PI * ((double)at / 1e6 / sensor->period_s + phase));
    value += sensor->drift * drift(generator, series, at);
    value += sensor->noise * tg_rng_normal(rng);
    if (at >= episode->from && at < episode->to)
        value += episode->shift;
    if (tg_rng_chance(rng, SPIKE_CHANCE))
        value += (tg_rng_chance(rng, 0.5) ? 4 : -4) * usual_width(sensor);
    return llround(value * 1e6 / (double)sensor->step) * sensor->step;
}
