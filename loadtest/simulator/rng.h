/* The simulator's random numbers: xoshiro256** (Blackman and Vigna, "Scrambled Linear Pseudorandom
 * Number Generators", 2021), seeded through splitmix64 as its authors advise.
 *
 * Why our own: the C library's generators differ between systems and share state; here the same
 * seed must give the same events everywhere.
 *
 * Threads: a generator belongs to one thread. */
#ifndef TG_RNG_H
#define TG_RNG_H

#include <stdbool.h>
#include <stdint.h>

typedef struct tg_rng {
    uint64_t state[4];
    double spare; /* the other one of a pair of normal numbers */
    bool has_spare;
} tg_rng_t;

/* One step of splitmix64: a well mixed number for each `number`, and how seeds are combined. */
uint64_t tg_rng_mix(uint64_t number);

void tg_rng_seed(tg_rng_t *rng, uint64_t seed);

uint64_t tg_rng_next(tg_rng_t *rng);

/* Below `n` (at least 1). The bias is at most n / 2^32. */
uint32_t tg_rng_below(tg_rng_t *rng, uint32_t n);

/* In [0, 1), 53 bits. */
double tg_rng_unit(tg_rng_t *rng);

/* True with probability `p`. */
bool tg_rng_chance(tg_rng_t *rng, double p);

/* Normal with mean 0 and deviation 1; exponential with mean 1. */
double tg_rng_normal(tg_rng_t *rng);
double tg_rng_exponential(tg_rng_t *rng);

#endif
