/* A duration's units are one table in the order in which they may stand; the reader walks it
 * forward only, so that "P1D1M" and a unit given twice are refused without further thought. */
#include "common/avro/value/duration.h"

#define DIGITS_MAX 10

enum part { MONTHS, DAYS, MILLIS, PARTS };

static const struct unit {
    char letter;
    bool clock; /* stands behind the T */
    enum part part;
    uint32_t factor;
} units[] = {
    {'Y', false, MONTHS, 12},  {'M', false, MONTHS, 1},      {'W', false, DAYS, 7},
    {'D', false, DAYS, 1},     {'H', true, MILLIS, 3600000}, {'M', true, MILLIS, 60000},
    {'S', true, MILLIS, 1000},
};

struct scan {
    const char *at, *end;
    bool clock;  /* behind the T */
    size_t next; /* the first unit that may still come */
};

/* Digits, at least one and at most DIGITS_MAX. */
static bool read_number(struct scan *s, uint64_t *out_value)
{
    const char *start = s->at;
    uint64_t value = 0;
    for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++) {
        if (s->at - start == DIGITS_MAX)
            return false;
        value = value * 10 + (uint64_t)(*s->at - '0');
    }
    *out_value = value;
    return s->at > start;
}

/* ".5", ".05" or ".005" as milliseconds; nothing there is 0. */
static bool read_fraction(struct scan *s, uint64_t *out_millis)
{
    uint64_t millis = 0;
    unsigned weight = 100;
    *out_millis = 0;
    if (s->at == s->end || *s->at != '.')
        return true;
    const char *start = ++s->at;
    for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++, weight /= 10)
        millis += (uint64_t)(*s->at - '0') * weight;
    *out_millis = millis;
    return s->at > start && s->at - start <= 3;
}

static const struct unit *find_unit(struct scan *s)
{
    if (s->at == s->end)
        return NULL;
    for (; s->next < TG_ARRAY_LEN(units); s->next++) {
        const struct unit *unit = &units[s->next];
        if (unit->clock == s->clock && unit->letter == *s->at) {
            s->next++;
            s->at++;
            return unit;
        }
    }
    return NULL;
}

static bool read_component(struct scan *s, uint64_t parts[PARTS])
{
    uint64_t value, millis;
    const char *point;
    if (!read_number(s, &value))
        return false;
    point = s->at;
    if (!read_fraction(s, &millis))
        return false;
    bool fraction = s->at > point;
    const struct unit *unit = find_unit(s);
    if (unit == NULL || (fraction && unit->letter != 'S'))
        return false;
    parts[unit->part] += value * unit->factor + millis; /* 10 digits times 3.6e6: far from 2^64 */
    return parts[unit->part] <= UINT32_MAX;
}

tg_status_t tg_avro_duration_from_text(tg_str_t text, uint8_t out[TG_AVRO_DURATION_BYTES])
{
    assert(out != NULL);
    uint64_t parts[PARTS] = {0};
    if (text.len < 3 || text.ptr[0] != 'P')
        return TG_INVALID;
    struct scan s = {.at = text.ptr + 1, .end = text.ptr + text.len};
    while (s.at < s.end) {
        if (*s.at == 'T' && !s.clock) {
            s.clock = true;
            if (++s.at == s.end)
                return TG_INVALID;
        }
        if (!read_component(&s, parts))
            return TG_INVALID;
    }
    for (size_t i = 0; i < TG_AVRO_DURATION_BYTES; i++)
        out[i] = (uint8_t)(parts[i / 4] >> 8 * (i % 4));
    return TG_OK;
}

static uint32_t part_at(tg_str_t bytes, enum part part)
{
    uint32_t value = 0;
    for (unsigned i = 4; i > 0; i--)
        value = value << 8 | (uint8_t)bytes.ptr[(size_t)part * 4 + i - 1];
    return value;
}

void tg_avro_duration_write(tg_str_t bytes, tg_buf_t *out)
{
    assert(bytes.len == TG_AVRO_DURATION_BYTES);
    uint32_t months = part_at(bytes, MONTHS), days = part_at(bytes, DAYS);
    uint32_t millis = part_at(bytes, MILLIS), rest = millis % 1000;
    tg_buf_str(out, TG_STR("\"P"));
    if (months > 0)
        tg_buf_printf(out, "%uM", (unsigned)months);
    if (days > 0)
        tg_buf_printf(out, "%uD", (unsigned)days);
    if (rest > 0)
        tg_buf_printf(out, "T%u.%03uS", (unsigned)(millis / 1000), (unsigned)rest);
    else if (millis > 0 || (months == 0 && days == 0))
        tg_buf_printf(out, "T%uS", (unsigned)(millis / 1000));
    tg_buf_byte(out, '"');
}
