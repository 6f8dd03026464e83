/* Events with nothing secret and nothing random but the run's number. */
#include "loadtest/sample.h"

#include <stdio.h>

#define CHANNEL_MAX 32 /* bytes of a numbered channel */

static const char *const currencies[] = {"USD", "EUR", "GBP", "JPY", "CHF", "SEK"};
static const char *const channels[] = {"web",   "app",         "store",  "phone", "partner",
                                       "kiosk", "marketplace", "social", "mail",  "outlet"};

/* A quarter of the events leave; no stream ever has fewer viewers than none for long. */
static const char *const actions[] = {"viewer_join", "chat_message", "viewer_leave", "donation"};

uint64_t tg_sample_mix(uint64_t number)
{
    uint64_t z = number + 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A channel's name; beyond the ten it is written to `room`. */
static const char *channel_of(uint64_t number, char room[CHANNEL_MAX])
{
    if (number < TG_ARRAY_LEN(channels))
        return channels[number];
    (void)snprintf(room, CHANNEL_MAX, "shop-%07llu", (unsigned long long)number);
    return room;
}

size_t tg_sample_order_of(uint64_t run, uint64_t number, uint64_t series, int64_t time_us,
                          char out[TG_SAMPLE_MAX])
{
    assert(series < 10000000);
    uint64_t chance = tg_sample_mix(number);
    char time[TG_TIME_TEXT_MAX], room[CHANNEL_MAX];
    (void)tg_time_format(time_us, time);
    int len = snprintf(out, TG_SAMPLE_MAX,
                       "{\"order_id\":\"ord-%016llx-%012llu\",\"customer_id\":\"customer-%06llu\","
                       "\"amount\":%llu.%02llu,\"currency\":\"%s\",\"channel\":\"%s\","
                       "\"event_time\":\"%s\"}",
                       (unsigned long long)run, (unsigned long long)number,
                       (unsigned long long)(chance >> 16) % 1000000,
                       (unsigned long long)(chance >> 8) % 1000 + 1,
                       (unsigned long long)(chance >> 24) % 100,
                       currencies[series % TG_ARRAY_LEN(currencies)],
                       channel_of(series / TG_ARRAY_LEN(currencies), room), time);
    assert(len > 0 && len < TG_SAMPLE_MAX);
    return (size_t)len;
}

size_t tg_sample_order(uint64_t run, uint64_t number, int64_t time_us, char out[TG_SAMPLE_MAX])
{
    _Static_assert(TG_ARRAY_LEN(currencies) * TG_ARRAY_LEN(channels) == TG_SAMPLE_SERIES,
                   "as the header says");
    uint64_t chance = tg_sample_mix(number);
    uint64_t currency = chance % TG_ARRAY_LEN(currencies);
    uint64_t channel = (chance >> 32) % TG_ARRAY_LEN(channels);
    return tg_sample_order_of(run, number, channel * TG_ARRAY_LEN(currencies) + currency, time_us,
                              out);
}

size_t tg_sample_stream(uint64_t run, uint64_t number, int64_t time_us, char out[TG_SAMPLE_MAX])
{
    uint64_t chance = tg_sample_mix(number);
    const char *action = actions[chance % TG_ARRAY_LEN(actions)];
    char time[TG_TIME_TEXT_MAX];
    (void)tg_time_format(time_us, time);
    int len = snprintf(out, TG_SAMPLE_MAX,
                       "{\"event_id\":\"ev-%016llx-%012llu\",\"event_type\":\"%s\","
                       "\"stream_id\":\"stream-%02llu\",\"user_id\":\"viewer-%06llu\",%s"
                       "\"ts\":\"%s\"}",
                       (unsigned long long)run, (unsigned long long)number, action,
                       (unsigned long long)(chance >> 32) % 15,
                       (unsigned long long)(chance >> 16) % 1000000,
                       strcmp(action, "donation") == 0 ? "\"amount_usd\":2.5," : "", time);
    assert(len > 0 && len < TG_SAMPLE_MAX);
    return (size_t)len;
}

tg_sample_fn tg_sample_of(tg_str_t type)
{
    if (tg_str_eq(type, TG_STR("order")))
        return tg_sample_order;
    return tg_str_eq(type, TG_STR("stream")) ? tg_sample_stream : NULL;
}
