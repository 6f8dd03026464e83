/* See bin.h. */
#include "worker/store/bin.h"

#include <assert.h>
#include <math.h>

#define GAMMA  1.02 /* 1 % relative error: (GAMMA - 1) / (GAMMA + 1) */
#define ORIGIN 16384
#define LAST   32767
#define LEAST  1e-140 /* magnitudes up to here count as zero */

static double magnitude_bin(double magnitude)
{
    return fmin(ORIGIN + ceil(log(magnitude) / log(GAMMA)), LAST);
}

int16_t tg_bin_of(double value)
{
    double bin = 0.0;

    if (isnan(value)) /* as the server orders it: above all */
        bin = LAST;
    else if (value > LEAST)
        bin = magnitude_bin(value);
    else if (value < -LEAST)
        bin = -magnitude_bin(-value);
    assert(fabs(bin) <= LAST);
    return (int16_t)bin;
}
