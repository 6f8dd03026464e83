/* What the generator's files share: its state, and the two kinds of things that fill an event.
 *
 * generator.c decides when something happens, bodies.c what it looks like, sensors.c what the
 * devices measure.
 *
 * Threads: the generator's. */
#ifndef TG_SIM_WORLD_H
#define TG_SIM_WORLD_H

#include "loadtest/simulator/generator.h"
#include "loadtest/simulator/rng.h"

#define TG_SIM_STREAMS  8
#define TG_SIM_CHANNELS 3
#define TG_SIM_RECENT   16 /* viewers of a stream who may say something */

/* A time in which something is not as usual, µs since the start; empty when from == to. */
typedef struct tg_sim_episode {
    int64_t from, to;
    double shift; /* of a sensor, in its unit */
} tg_sim_episode_t;

/* Something that is going to happen, decided when its cause happened. */
typedef struct tg_sim_follow_up {
    int64_t at; /* µs since the start */
    int64_t slot;
    uint64_t number; /* of the cause in its slot */
    uint32_t user;
    uint8_t type, kind, entity; /* tg_sim_type_t; indexes */
} tg_sim_follow_up_t;

struct tg_generator {
    tg_generator_config_t config;
    tg_rng_t rng[TG_SIM_TYPES];
    uint64_t made[TG_SIM_TYPES]; /* in this slot; the numbers in ids */
    double next[TG_SIM_TYPES];   /* µs since the slot's begin; INFINITY: none left in it */
    int64_t slot;
    int64_t due; /* µs since the start, of the next event */
    unsigned picked;

    tg_sim_episode_t burst[TG_SIM_TYPES];           /* of activities and signals */
    tg_sim_episode_t sensors[TG_GENERATOR_SERIES];  /* heat, leaks, gusts */
    double knots[2][TG_GENERATOR_SERIES];           /* drift at this slot's begin and end */
    uint32_t recent[TG_SIM_STREAMS][TG_SIM_RECENT]; /* a ring for each stream */
    uint64_t joined[TG_SIM_STREAMS];                /* in this slot */
    tg_sim_follow_up_t *follow_ups;                 /* heap, the earliest first */
    size_t follow_up_count;
};

/* generator.c: false when no more can be remembered. */
bool tg_sim_expect(tg_generator_t *generator, const tg_sim_follow_up_t *follow_up);
size_t tg_sim_room(const tg_generator_t *generator);

/* bodies.c: append an event that happens `at` µs since the start. */
void tg_sim_write(tg_generator_t *generator, tg_sim_type_t type, int64_t at, tg_buf_t *out,
                  tg_sim_event_t *event);
void tg_sim_write_follow_up(tg_generator_t *generator, const tg_sim_follow_up_t *follow_up,
                            tg_buf_t *out, tg_sim_event_t *event);

/* sensors.c: draws the slot's drift and episodes; the measured value in millionths. */
typedef struct tg_sim_sensor {
    const char *metric, *unit;
    double base, spread, swing, period_s, noise, drift;
    int64_t step; /* of the displayed value, millionths */
} tg_sim_sensor_t;
extern const tg_sim_sensor_t tg_sim_sensors[TG_GENERATOR_METRICS];

void tg_sim_sensors_begin_slot(tg_generator_t *generator);
int64_t tg_sim_measure(tg_generator_t *generator, unsigned series, int64_t at);

#endif
