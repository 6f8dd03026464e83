/* xoshiro256**, and the few distributions that events are drawn from. */
#include "loadtest/simulator/rng.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15) /* splitmix64's step */

static uint64_t rotate(uint64_t x, unsigned bits)
{
    assert(bits > 0 && bits < 64);
    return (x << bits) | (x >> (64 - bits));
}

uint64_t tg_rng_mix(uint64_t number)
{
    uint64_t z = number + GOLDEN;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void tg_rng_seed(tg_rng_t *rng, uint64_t seed)
{
    assert(rng != NULL);
    *rng = (tg_rng_t){.has_spare = false};
    for (unsigned i = 0; i < 4; i++)
        rng->state[i] = tg_rng_mix(seed + i * GOLDEN);
}

uint64_t tg_rng_next(tg_rng_t *rng)
{
    uint64_t *s = rng->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9, shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 45);
    return result;
}

uint32_t tg_rng_below(tg_rng_t *rng, uint32_t n)
{
    assert(n > 0);
    return (uint32_t)(((tg_rng_next(rng) >> 32) * n) >> 32);
}

double tg_rng_unit(tg_rng_t *rng)
{
    return (double)(tg_rng_next(rng) >> 11) * 0x1p-53;
}

bool tg_rng_chance(tg_rng_t *rng, double p)
{
    return tg_rng_unit(rng) < p;
}

/* Marsaglia's polar method. */
double tg_rng_normal(tg_rng_t *rng)
{
    if (rng->has_spare) {
        rng->has_spare = false;
        return rng->spare;
    }
    double x, y, square;
    do {
        x = 2 * tg_rng_unit(rng) - 1;
        y = 2 * tg_rng_unit(rng) - 1;
        square = x * x + y * y;
    } while (square >= 1 || square == 0);
    double factor = sqrt(-2 * log(square) / square);
    rng->spare = y * factor;
    rng->has_spare = true;
    return x * factor;
}

double tg_rng_exponential(tg_rng_t *rng)
{
    return -log(1 - tg_rng_unit(rng));
}
