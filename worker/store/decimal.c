/* Two representations, one sum: `scaled` takes what 128 bits hold, `wide` all else.
 *
 * The fast path is right because at most one decimal of up to 15 digits reads back as a given
 * normal double: if r / 10^scale gives the double again, then r / 10^scale is its shortest text.
 * The slow path asks the C library for 15, 16 and 17 digits and takes the first that lies strictly
 * inside the interval that rounds to the double: PostgreSQL's shortest output does not accept the
 * interval's ends (1e23 prints as 9.999999999999999e+22 there), where strtod would. */
#include "worker/store/decimal.h"

#include <fenv.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The wide number: limbs of 9 digits, least significant first, not carried until they are printed.
 */
#define LIMB_BASE     INT64_C(1000000000)
#define LIMB_DIGITS   9
#define EXPONENT_MIN  (-351) /* of the first limb; a denormal's 17th digit stands at 10^-340 */
#define LIMB_COUNT    78     /* up to 10^351: 2^32 times the largest double stays far below */
#define FAST_LIMIT    1e15   /* beyond 15 digits the fast path proves nothing */
#define DIGITS_UNIQUE 15     /* DBL_DIG */
#define DIGITS_ENOUGH 17     /* DBL_DECIMAL_DIG */

_Static_assert(EXPONENT_MIN % LIMB_DIGITS == 0, "the decimal point must lie between limbs");
_Static_assert(DBL_DIG == DIGITS_UNIQUE && DBL_DECIMAL_DIG == DIGITS_ENOUGH, "binary64 expected");
_Static_assert(LDBL_MANT_DIG >= DBL_MANT_DIG + 1, "a midpoint of doubles must be representable");
_Static_assert(LIMB_COUNT *LIMB_DIGITS + 20 < TG_DECIMAL_TEXT_MAX, "the text must fit");

static const double power10[TG_DECIMAL_SCALE_MAX + 1] = {1,   1e1, 1e2, 1e3, 1e4,
                                                         1e5, 1e6, 1e7, 1e8, 1e9};

/* A decimal number digits * 10^exponent. */
struct shortest {
    int64_t digits;
    int exponent;
};

/* Finds the smallest scale from `from` on at which the value is an integer of at most 15 digits. */
static bool scaled_integer(double value, unsigned from, unsigned *out_scale, int64_t *out_integer)
{
    for (unsigned scale = from; scale <= TG_DECIMAL_SCALE_MAX; scale++) {
        double integer = nearbyint(value * power10[scale]);
        if (!(fabs(integer) < FAST_LIMIT))
            return false;
        if (integer / power10[scale] == value) {
            *out_scale = scale;
            *out_integer = (int64_t)integer;
            return true;
        }
    }
    return false;
}

static bool add_scaled(tg_decimal_t *sum, int64_t integer, unsigned scale)
{
    __int128 total = sum->scaled, factor = 1;

    assert(scale >= sum->scale);
    for (unsigned i = sum->scale; i < scale; i++)
        factor *= 10;
    if (__builtin_mul_overflow(total, factor, &total) ||
        __builtin_add_overflow(total, (__int128)integer, &total))
        return false;
    sum->scaled = total;
    sum->scale = scale;
    return true;
}

/* Whether `text` reads back as `value` and is not one of the two ends of the interval that does. */
static bool strictly_reads_back(const char *text, double value)
{
    if (strtod(text, NULL) != value)
        return false;
    feclearexcept(FE_INEXACT);
    long double exact = strtold(text, NULL);
    if (fetestexcept(FE_INEXACT) != 0)
        return true; /* an end of the interval has 54 bits: it would have been exact */
    long double up = ((long double)value + (long double)nextafter(value, INFINITY)) / 2;
    long double down = ((long double)value + (long double)nextafter(value, -INFINITY)) / 2;
    return exact != up && exact != down;
}

/* "d.ddde±x" as digits and exponent. */
static struct shortest read_scientific(const char *text)
{
    struct shortest decimal = {0};
    int fraction = 0;
    bool point = false;
    const char *p = text;

    for (; *p != 'e'; p++) {
        assert(*p != '\0');
        if (*p == '.') {
            point = true;
        } else {
            decimal.digits = decimal.digits * 10 + (*p - '0');
            fraction += point ? 1 : 0;
        }
    }
    decimal.exponent = (int)strtol(p + 1, NULL, 10) - fraction;
    return decimal;
}

/* The shortest decimal of a positive double, as PostgreSQL's float8 output chooses it. */
static struct shortest shortest_decimal(double value)
{
    int exponent = 0;
    bool power_of_two = frexp(value, &exponent) == 0.5;
    char text[48];

    for (int digits = value < DBL_MIN ? 1 : DIGITS_UNIQUE; digits <= DIGITS_ENOUGH; digits++) {
        snprintf(text, sizeof(text), "%.*e", digits - 1, value);
        struct shortest decimal = read_scientific(text);
        if (strictly_reads_back(text, value))
            return decimal;
        if (!power_of_two)
            continue;
        /* Above a power of two the interval is twice as wide as below it: the neighbour above may
         * read back although the nearest decimal, lying below, does not. */
        decimal.digits++;
        snprintf(text, sizeof(text), "%llde%d", (long long)decimal.digits, decimal.exponent);
        if (strictly_reads_back(text, value))
            return decimal;
    }
    return read_scientific(text); /* 17 digits always read back */
}

static void add_wide(int64_t *limbs, struct shortest decimal, bool negative)
{
    assert(decimal.exponent >= EXPONENT_MIN);
    unsigned position = (unsigned)(decimal.exponent - EXPONENT_MIN);
    size_t limb = position / LIMB_DIGITS;
    __int128 part = decimal.digits;

    for (unsigned i = 0; i < position % LIMB_DIGITS; i++)
        part *= 10;
    for (; part != 0; limb++, part /= LIMB_BASE) {
        assert(limb < LIMB_COUNT);
        int64_t digits = (int64_t)(part % LIMB_BASE);
        limbs[limb] += negative ? -digits : digits;
    }
}

tg_status_t tg_decimal_add(tg_decimal_t *sum, double value, tg_arena_t *arena)
{
    assert(sum != NULL);
    assert(isfinite(value));
    unsigned scale = 0;
    int64_t integer = 0;

    if (scaled_integer(value, sum->scale, &scale, &integer) && add_scaled(sum, integer, scale))
        return TG_OK;
    if (sum->wide == NULL)
        sum->wide = tg_arena_array(arena, LIMB_COUNT, sizeof(*sum->wide));
    if (sum->wide == NULL)
        return TG_NOMEM;
    add_wide(sum->wide, shortest_decimal(fabs(value)), value < 0);
    return TG_OK;
}

/* Adds the scaled part into the limbs. */
static void merge_scaled(const tg_decimal_t *sum, int64_t *limbs)
{
    bool negative = sum->scaled < 0;
    unsigned __int128 rest =
        negative ? -(unsigned __int128)sum->scaled : (unsigned __int128)sum->scaled;
    unsigned position = (unsigned)(-EXPONENT_MIN) - sum->scale;
    size_t limb = position / LIMB_DIGITS;
    unsigned shift = position % LIMB_DIGITS;
    unsigned __int128 head_base = 1;

    /* The first limb takes only its upper digits, so that no product can overflow. */
    for (unsigned i = shift; i < LIMB_DIGITS; i++)
        head_base *= 10;
    int64_t head = (int64_t)(rest % head_base);
    for (unsigned i = 0; i < shift; i++)
        head *= 10;
    limbs[limb++] += negative ? -head : head;
    for (rest /= head_base; rest != 0; limb++, rest /= (unsigned __int128)LIMB_BASE) {
        assert(limb < LIMB_COUNT);
        int64_t digits = (int64_t)(rest % (unsigned __int128)LIMB_BASE);
        limbs[limb] += negative ? -digits : digits;
    }
}

/* Carries the limbs into 0..LIMB_BASE-1 each; returns the sign of the whole, whose magnitude the
 * limbs then hold. */
static bool carry(int64_t *limbs)
{
    int64_t over = 0;

    for (size_t i = 0; i < LIMB_COUNT; i++) {
        int64_t digits = limbs[i] + over;
        over = digits / LIMB_BASE;
        digits %= LIMB_BASE;
        if (digits < 0) {
            digits += LIMB_BASE;
            over--;
        }
        limbs[i] = digits;
    }
    assert(over == 0 || over == -1);
    if (over == 0)
        return false;
    /* Negative: the limbs hold the ten's complement. */
    int64_t borrow = 1;
    for (size_t i = 0; i < LIMB_COUNT; i++) {
        int64_t digits = LIMB_BASE - 1 - limbs[i] + borrow;
        borrow = digits / LIMB_BASE;
        limbs[i] = digits % LIMB_BASE;
    }
    return true;
}

/* The digits of what is no wide sum: an integer of at most 39 digits and a place for the point. */
static size_t format_scaled(const tg_decimal_t *sum, char *out)
{
    char digits[48];
    char *const end = digits + sizeof(digits), *at = end;
    bool negative = sum->scaled < 0;
    unsigned __int128 rest =
        negative ? -(unsigned __int128)sum->scaled : (unsigned __int128)sum->scaled;
    unsigned scale = sum->scale;

    for (; scale > 0 && rest % 10 == 0; scale--)
        rest /= 10;
    for (unsigned i = 0; i <= scale || rest != 0; i++) {
        if (i == scale && i > 0)
            *--at = '.';
        /* most have few digits, and dividing 128 bits is dear */
        uint64_t low = (uint64_t)rest;
        *--at = (char)('0' + (rest == low ? low % 10 : (uint64_t)(rest % 10)));
        rest = rest == low ? low / 10 : rest / 10;
    }
    if (negative)
        *--at = '-';
    memcpy(out, at, (size_t)(end - at));
    out[end - at] = '\0';
    return (size_t)(end - at);
}

static size_t format_wide(const tg_decimal_t *sum, char *out)
{
    int64_t limbs[LIMB_COUNT] = {0};
    const size_t point = -EXPONENT_MIN / LIMB_DIGITS;
    char *p = out;

    memcpy(limbs, sum->wide, sizeof(limbs));
    merge_scaled(sum, limbs);
    bool negative = carry(limbs);

    size_t top = LIMB_COUNT - 1, bottom = 0;
    while (top > point && limbs[top] == 0)
        top--;
    while (bottom < point && limbs[bottom] == 0)
        bottom++;
    if (negative)
        *p++ = '-';
    p += sprintf(p, "%lld", (long long)limbs[top]);
    for (size_t i = top; i-- > point;)
        p += sprintf(p, "%09lld", (long long)limbs[i]);
    if (bottom < point) {
        *p++ = '.';
        for (size_t i = point; i-- > bottom;)
            p += sprintf(p, "%09lld", (long long)limbs[i]);
        while (p[-1] == '0')
            p--;
    }
    *p = '\0';
    return (size_t)(p - out);
}

size_t tg_decimal_format(const tg_decimal_t *sum, char out[TG_DECIMAL_TEXT_MAX])
{
    assert(sum != NULL);
    return sum->wide == NULL ? format_scaled(sum, out) : format_wide(sum, out);
}
