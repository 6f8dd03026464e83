/* The simulated world: what happens when, and each event's JSON.
 *
 * Events have a place in time (µs since the start), not a place in a queue: whoever sends them does
 * so when they are due. Time is cut into slots of ten minutes, and all chance in a slot comes from
 * (seed, slot, type). So the world can be entered at any time and is the same from there on as if
 * it had been watched from the start; a simulator that was stopped goes on as if it had run, and
 * what it sends twice has the same ids and times. Only what is caused by events before the entry (a
 * viewer who leaves, a session that goes on) does not happen, so that nobody leaves who did not
 * join. The sensors' sines and drifts are the same for all seeds: two simulators with one start
 * describe the same devices.
 *
 * The same options and seed give the same bytes, apart from the time base (`start_us`).
 *
 * Limits: FOLLOW_UPS_MAX things that are going to happen; beyond it nobody joins and no session
 * goes on.
 *
 * Threads: a generator belongs to one thread. */
#ifndef TG_GENERATOR_H
#define TG_GENERATOR_H

#include "common/base/str.h"

#define TG_GENERATOR_SLOT_US   INT64_C(600000000)
#define TG_GENERATOR_EVENT_MAX ((size_t)512) /* bytes of an event's JSON */
#define TG_GENERATOR_DEVICES   10u
#define TG_GENERATOR_METRICS   3u
#define TG_GENERATOR_SERIES    30 /* devices times metrics */

typedef enum tg_sim_type {
    TG_SIM_READING,
    TG_SIM_ACTIVITY,
    TG_SIM_SIGNAL,
    TG_SIM_ORDER,
    TG_SIM_SESSION,
    TG_SIM_STREAM,
    TG_SIM_TYPES
} tg_sim_type_t;

extern const char *const tg_sim_type_names[TG_SIM_TYPES]; /* "reading", … */

typedef struct tg_generator_config {
    uint64_t seed;
    int64_t start_us;           /* the time base */
    int64_t begin_us;           /* where to enter the world; not after the start: there */
    double rates[TG_SIM_TYPES]; /* events per second; 0: none of this type */
    bool isolated;              /* no event causes another one: for single events */
} tg_generator_config_t;

/* What an event is to the store. The texts live as long as the program. */
typedef struct tg_sim_event {
    tg_sim_type_t type;
    int64_t occurred_at; /* µs since the epoch */
    const char *kind, *entity;
    int64_t value; /* in millionths; of interest if has_value */
    bool has_value;
} tg_sim_event_t;

typedef struct tg_generator tg_generator_t;

/* Returns an owned generator, or NULL when out of memory. To enter in the middle of a slot makes
 * and drops the slot's events until there. */
tg_generator_t *tg_generator_create(const tg_generator_config_t *config);
void tg_generator_destroy(tg_generator_t *generator); /* NULL is allowed */

/* When the next event happens, µs since the epoch; INT64_MAX when all rates are 0. */
int64_t tg_generator_due(const tg_generator_t *generator);

/* The next event's type; there must be one. */
tg_sim_type_t tg_generator_next_type(const tg_generator_t *generator);

/* Appends the next event's flat JSON, at most TG_GENERATOR_EVENT_MAX bytes. There must be one. */
void tg_generator_next(tg_generator_t *generator, tg_buf_t *out, tg_sim_event_t *out_event);

/* Appends an event of `type` at the time `at_us`, whatever the schedule says. */
void tg_generator_make(tg_generator_t *generator, tg_sim_type_t type, int64_t at_us, tg_buf_t *out,
                       tg_sim_event_t *out_event);

/* The type of this name; TG_SIM_TYPES when there is none. */
tg_sim_type_t tg_sim_type_of(tg_str_t name);

/* Appends a number of millionths as the shortest decimal text: 120.5, -3, 0.000001. */
void tg_sim_put_value(tg_buf_t *out, int64_t value);

#endif
