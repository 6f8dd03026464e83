/* RFC 3339 by hand: fixed columns, and days by arithmetic on the civil calendar.
 *
 * Why not strptime and timegm: they depend on the locale and the process's time zone state, and
 * cost a microsecond; each event's time passes here once. The calendar arithmetic counts days from
 * 0000-03-01, so that the leap day is the last of its year and needs no table. */
#include "common/base/time.h"

#include <stdlib.h>
#include <time.h>

#define TEXT_DATE_TIME 19               /* "2026-02-03T10:00:05" */
#define TEXT_DIGITS    9                /* fraction digits: nanoseconds */
#define DAYS_0001      INT64_C(-719162) /* 0001-01-01, in days since 1970-01-01 */
#define DAYS_9999      INT64_C(2932896) /* 9999-12-31 */
#define US_MIN         (DAYS_0001 * TG_US_PER_DAY)
#define US_MAX         ((DAYS_9999 + 1) * TG_US_PER_DAY - 1)

int64_t tg_time_now(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        abort(); /* each Linux has both clocks */
    return (int64_t)now.tv_sec * TG_US_PER_SECOND + now.tv_nsec / 1000;
}

uint64_t tg_time_mono_us(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        abort();
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t tg_time_mono_ms(void)
{
    return tg_time_mono_us() / 1000;
}

/* Two digits at `at`, or a number above 99 when either is none. */
static inline unsigned two_digits(const char *at)
{
    unsigned tens = (unsigned)(uint8_t)at[0] - '0';
    unsigned ones = (unsigned)(uint8_t)at[1] - '0';
    return tens > 9 || ones > 9 ? 1000 : tens * 10 + ones;
}

static inline bool is_leap_year(unsigned year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static inline unsigned days_of_month(unsigned year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap_year(year) ? 29 : days[month - 1];
}

/* Days since 1970-01-01 of a valid date. */
static int64_t days_from_civil(unsigned year, unsigned month, unsigned day)
{
    unsigned shifted = month <= 2 ? year - 1 : year; /* years begin in March */
    unsigned era = shifted / 400, year_of_era = shifted % 400;
    unsigned month_from_march = month > 2 ? month - 3 : month + 9;
    unsigned day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int64_t)era * 146097 + (int64_t)day_of_era - 719468;
}

struct civil {
    unsigned year, month, day;
};

/* The inverse, for days within the years 0001 to 9999. */
static struct civil civil_from_days(int64_t days)
{
    assert(days >= DAYS_0001);
    assert(days <= DAYS_9999);
    unsigned shifted = (unsigned)(days + 719468);
    unsigned era = shifted / 146097, day_of_era = shifted % 146097;
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned month_from_march = (5 * day_of_year + 2) / 153;
    unsigned month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    return (struct civil){
        .year = era * 400 + year_of_era + (month <= 2),
        .month = month,
        .day = day_of_year - (153 * month_from_march + 2) / 5 + 1,
    };
}

/* The date of the first ten characters, in days; false when it is none. */
static bool parse_date(const char *at, int64_t *out_days)
{
    unsigned century = two_digits(at), year = two_digits(at + 2);
    unsigned month = two_digits(at + 5), day = two_digits(at + 8);
    if (century > 99 || year > 99 || at[4] != '-' || at[7] != '-')
        return false;
    year += century * 100;
    if (year == 0 || month - 1 > 11 || day == 0 || day > days_of_month(year, month))
        return false;
    *out_days = days_from_civil(year, month, day);
    return true;
}

/* hh:mm:ss as seconds of the day; second 60 reads as 59 and is reported. */
static bool parse_clock(const char *at, unsigned *out_seconds, bool *out_leap)
{
    unsigned hour = two_digits(at), minute = two_digits(at + 3), second = two_digits(at + 6);
    if (at[2] != ':' || at[5] != ':' || hour > 23 || minute > 59 || second > 60)
        return false;
    *out_leap = second == 60;
    *out_seconds = hour * 3600 + minute * 60 + second - *out_leap;
    return true;
}

/* ".123456789" as µs; returns the characters used, 0 without a fraction, SIZE_MAX for a bad one. */
static size_t parse_fraction(const char *at, size_t left, unsigned *out_us)
{
    *out_us = 0;
    if (left == 0 || at[0] != '.')
        return 0;
    unsigned us = 0, weight = 100000;
    size_t n = 1;
    for (; n < left && (unsigned)(uint8_t)at[n] - '0' <= 9; n++) {
        us += ((unsigned)(uint8_t)at[n] - '0') * weight;
        weight /= 10;
    }
    if (n == 1 || n > 1 + TEXT_DIGITS)
        return SIZE_MAX;
    *out_us = us;
    return n;
}

/* "Z" or "+hh:mm" as the rest of the text, in seconds. */
static bool parse_offset(const char *at, size_t left, int *out_seconds)
{
    if (left == 1 && (at[0] == 'Z' || at[0] == 'z')) {
        *out_seconds = 0;
        return true;
    }
    if (left != 6 || (at[0] != '+' && at[0] != '-') || at[3] != ':')
        return false;
    unsigned hours = two_digits(at + 1), minutes = two_digits(at + 4);
    if (hours > 23 || minutes > 59)
        return false;
    int seconds = (int)(hours * 3600 + minutes * 60);
    *out_seconds = at[0] == '-' ? -seconds : seconds;
    return true;
}

static bool is_separator(char c)
{
    return c == 'T' || c == 't' || c == ' ';
}

/* Leap seconds end a UTC day; nothing else has a second 60. */
static bool ends_a_day(int64_t seconds)
{
    return tg_time_floor(seconds, 86400) + 86399 == seconds;
}

tg_status_t tg_time_parse(tg_str_t text, int64_t *out_us)
{
    assert(out_us != NULL);
    int64_t days = 0;
    unsigned clock = 0, fraction = 0;
    int offset = 0;
    bool leap = false;
    if (text.len <= TEXT_DATE_TIME || !parse_date(text.ptr, &days) || !is_separator(text.ptr[10]) ||
        !parse_clock(text.ptr + 11, &clock, &leap))
        return TG_INVALID;
    const char *rest = text.ptr + TEXT_DATE_TIME;
    size_t left = text.len - TEXT_DATE_TIME;
    size_t used = parse_fraction(rest, left, &fraction);
    if (used == SIZE_MAX || !parse_offset(rest + used, left - used, &offset))
        return TG_INVALID;

    int64_t seconds = days * 86400 + clock - offset;
    int64_t us = seconds * TG_US_PER_SECOND + fraction;
    if (us < US_MIN || us > US_MAX || (leap && !ends_a_day(seconds)))
        return TG_INVALID;
    *out_us = us;
    return TG_OK;
}

static inline char *put_digits(char *at, unsigned value, unsigned count)
{
    for (unsigned i = count; i > 0; i--) {
        at[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + count;
}

static char *put_fraction(char *at, unsigned us)
{
    if (us == 0)
        return at;
    *at++ = '.';
    return us % 1000 == 0 ? put_digits(at, us / 1000, 3) : put_digits(at, us, 6);
}

size_t tg_time_format(int64_t us, char out[TG_TIME_TEXT_MAX])
{
    assert(out != NULL);
    us = us < US_MIN ? US_MIN : us > US_MAX ? US_MAX : us; /* RFC 3339 has no other years */
    int64_t midnight = tg_time_floor(us, TG_US_PER_DAY);
    struct civil date = civil_from_days(midnight / TG_US_PER_DAY);
    uint64_t of_day = (uint64_t)(us - midnight);
    unsigned seconds = (unsigned)(of_day / 1000000), fraction = (unsigned)(of_day % 1000000);

    char *at = put_digits(out, date.year, 4);
    *at++ = '-';
    at = put_digits(at, date.month, 2);
    *at++ = '-';
    at = put_digits(at, date.day, 2);
    *at++ = 'T';
    at = put_digits(at, seconds / 3600, 2);
    *at++ = ':';
    at = put_digits(at, seconds / 60 % 60, 2);
    *at++ = ':';
    at = put_digits(at, seconds % 60, 2);
    at = put_fraction(at, fraction);
    *at++ = 'Z';
    *at = '\0';
    return (size_t)(at - out);
}
