/* What events look like: one function for each type, names and their shares in tables. */
#include <math.h>

#include "common/base/time.h"
#include "common/base/uuid.h"
#include "loadtest/simulator/world.h"

#define PUT(out, literal) tg_buf_str(out, TG_STR(literal))
#define UUID_EPOCH        INT64_C(122192928000000000) /* 100 ns from 1582-10-15 to 1970-01-01 */
#define MILLION           INT64_C(1000000)

#define USERS          500
#define CHECKOUT_SHARE 0.45 /* of views */
#define PURCHASE_SHARE 0.6  /* of checkouts */
#define STEP_MIN_US    (2 * MILLION)
#define STEP_MAX_US    (40 * MILLION)
#define STAY_MEAN_US   (90 * MILLION)
#define STAY_MIN_US    (3 * MILLION)
#define STAY_MAX_US    (540 * MILLION)

/* Names with their shares, of 1,000. */
struct choice {
    const char *name;
    unsigned share;
};

static const struct choice pages[] = {{"/", 300},       {"/products", 220}, {"/products/42", 160},
                                      {"/cart", 110},   {"/search", 90},    {"/checkout", 60},
                                      {"/account", 40}, {"/sale", 20}};
static const struct choice actions[] = {
    {"page_view", 600}, {"click", 250}, {"add_to_cart", 80}, {"purchase", 50}, {"signup", 20}};
static const struct choice signal_types[] = {{"click", 300},   {"view", 250},  {"search", 150},
                                             {"login", 100},   {"upload", 80}, {"api_call", 80},
                                             {"purchase", 30}, {"error", 10}};
static const struct choice sources[] = {{"web", 550}, {"mobile", 330}, {"api", 120}};
static const struct choice currencies[] = {{"USD", 600}, {"EUR", 300}, {"GBP", 100}};
static const struct choice channels[TG_SIM_CHANNELS] = {{"web", 600}, {"app", 300}, {"store", 100}};
static const struct choice streams[TG_SIM_STREAMS] = {{"stream_1001", 300}, {"stream_1002", 200},
                                                      {"stream_1003", 150}, {"stream_1004", 120},
                                                      {"stream_1005", 90},  {"stream_1006", 70},
                                                      {"stream_1007", 40},  {"stream_1008", 30}};
static const struct choice stream_acts[] = {{"viewer_join", 333},
                                            {"chat_message", 600},
                                            {"donation", 67}};
static const char *const devices[TG_GENERATOR_DEVICES] = {"device-1", "device-2", "device-3",
                                                          "device-4", "device-5", "device-6",
                                                          "device-7", "device-8", "device-9",
                                                          "device-10"};

enum { PAGE_SALE = 7, ACTION_VIEW = 0, ACTION_PURCHASE = 3, SIGNAL_ERROR = 7, SOURCE_API = 2 };
enum { ACT_JOIN, ACT_CHAT, ACT_DONATION };
enum { STEP_VIEW, STEP_CHECKOUT, STEP_PURCHASE, STEPS };
static const char *const steps[STEPS] = {"view", "checkout", "purchase"};

#define PICK(rng, table) pick(rng, table, TG_ARRAY_LEN(table))

static unsigned pick(tg_rng_t *rng, const struct choice *choices, size_t count)
{
    unsigned at = tg_rng_below(rng, 1000), i = 0;
    while (i + 1 < count && at >= choices[i].share) {
        at -= choices[i].share;
        i++;
    }
    return i;
}

/* --- parts of a body --- */

static void put_text(tg_buf_t *out, const char *text)
{
    tg_buf_append(out, text, strlen(text));
}

static void put_time(tg_buf_t *out, int64_t us)
{
    char text[TG_TIME_TEXT_MAX];
    size_t len = tg_time_format(us, text);
    tg_buf_byte(out, '"');
    tg_buf_append(out, text, len);
    tg_buf_byte(out, '"');
}

void tg_sim_put_value(tg_buf_t *out, int64_t value)
{
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    uint64_t rest = size % MILLION;
    if (value < 0)
        tg_buf_byte(out, '-');
    tg_buf_i64(out, (int64_t)(size / MILLION));
    if (rest == 0)
        return;
    tg_buf_byte(out, '.');
    for (uint64_t weight = MILLION / 10; rest > 0; weight /= 10) {
        tg_buf_byte(out, (char)('0' + rest / weight));
        rest %= weight;
    }
}

/* "o-7-12-3": of the seed, the slot and the number in it. */
static void put_id(tg_buf_t *out, const char *prefix, const tg_generator_t *generator, int64_t slot,
                   uint64_t number)
{
    tg_buf_byte(out, '"');
    put_text(out, prefix);
    tg_buf_i64(out, (int64_t)(generator->config.seed & INT64_MAX));
    tg_buf_byte(out, '-');
    tg_buf_i64(out, slot);
    tg_buf_byte(out, '-');
    tg_buf_i64(out, (int64_t)number);
    tg_buf_byte(out, '"');
}

/* Version 1 of RFC 9562: the time, and the rest at random. */
static void put_uuid_v1(tg_buf_t *out, tg_rng_t *rng, int64_t us)
{
    tg_uuid_t uuid;
    char text[TG_UUID_TEXT_LEN];
    uint64_t ticks = (uint64_t)(us * 10 + UUID_EPOCH), rest = tg_rng_next(rng);
    uint64_t high = ticks << 32 | (ticks >> 32 & 0xffff) << 16 | 0x1000 | ticks >> 48;
    uint64_t low = UINT64_C(1) << 63 | (rest & (UINT64_MAX >> 2)) | UINT64_C(1) << 40;
    for (unsigned i = 0; i < 8; i++) {
        uuid.bytes[i] = (uint8_t)(high >> (56 - 8 * i));
        uuid.bytes[8 + i] = (uint8_t)(low >> (56 - 8 * i));
    }
    tg_uuid_format(&uuid, text);
    tg_buf_byte(out, '"');
    tg_buf_append(out, text, sizeof(text));
    tg_buf_byte(out, '"');
}

/* Around `median`, in whole hundredths; `spread` is the deviation of its logarithm. */
static int64_t money(tg_rng_t *rng, double median, double spread)
{
    double amount = median * exp(spread * tg_rng_normal(rng));
    return (llround(amount * 100) + 1) * (MILLION / 100);
}

static bool in_burst(const tg_generator_t *generator, tg_sim_type_t type, int64_t at)
{
    const tg_sim_episode_t *burst = &generator->burst[type];
    return at >= burst->from && at < burst->to;
}

/* --- types --- */

struct writing {
    tg_generator_t *generator;
    tg_rng_t *rng;
    int64_t at; /* µs since the start */
    uint64_t number;
    tg_buf_t *out;
    tg_sim_event_t *event;
};

static void set_value(const struct writing *w, int64_t value)
{
    w->event->value = value;
    w->event->has_value = true;
}

static void write_reading(const struct writing *w)
{
    unsigned series = (unsigned)(w->number % TG_GENERATOR_SERIES);
    const tg_sim_sensor_t *sensor = &tg_sim_sensors[series % TG_GENERATOR_METRICS];
    w->event->entity = devices[series / TG_GENERATOR_METRICS];
    w->event->kind = sensor->metric;
    set_value(w, tg_sim_measure(w->generator, series, w->at));

    PUT(w->out, "{\"device_id\":\"");
    put_text(w->out, w->event->entity);
    PUT(w->out, "\",\"metric\":\"");
    put_text(w->out, sensor->metric);
    PUT(w->out, "\",\"value\":");
    tg_sim_put_value(w->out, w->event->value);
    PUT(w->out, ",\"unit\":\"");
    put_text(w->out, sensor->unit);
    PUT(w->out, "\",\"ts\":");
    put_time(w->out, w->event->occurred_at);
}

/* In a burst most of it is people who look at the sale. */
static void write_activity(const struct writing *w)
{
    unsigned action = PICK(w->rng, actions), page = PICK(w->rng, pages);
    bool of_burst = tg_rng_chance(w->rng, 0.7);
    if (of_burst && in_burst(w->generator, TG_SIM_ACTIVITY, w->at)) {
        action = ACTION_VIEW;
        page = PAGE_SALE;
    }
    w->event->kind = actions[action].name;
    w->event->entity = pages[page].name;
    if (action == ACTION_PURCHASE)
        set_value(w, money(w->rng, 35, 0.8));

    PUT(w->out, "{\"event_id\":");
    put_id(w->out, "a-", w->generator, w->generator->slot, w->number);
    PUT(w->out, ",\"user_id\":\"user_");
    tg_buf_i64(w->out, 1 + tg_rng_below(w->rng, USERS));
    PUT(w->out, "\",\"event_type\":\"");
    put_text(w->out, w->event->kind);
    PUT(w->out, "\",\"page\":\"");
    put_text(w->out, w->event->entity);
    if (w->event->has_value) {
        PUT(w->out, "\",\"amount\":");
        tg_sim_put_value(w->out, w->event->value);
        PUT(w->out, ",\"ts\":");
    } else {
        PUT(w->out, "\",\"ts\":");
    }
    put_time(w->out, w->event->occurred_at);
}

/* The payload that event rules look at: a number inside text, rarely high, and a session's name,
 * rarely a suspicious one. */
static void put_payload(const struct writing *w)
{
    uint32_t number = tg_rng_below(w->rng, 80);
    if (tg_rng_chance(w->rng, 0.004))
        number = 100 + tg_rng_below(w->rng, 900);
    PUT(w->out, ",\"payload\":{\"data\":\"sample_data_");
    tg_buf_i64(w->out, number);
    PUT(w->out, "\",\"session_id\":\"");
    if (tg_rng_chance(w->rng, 0.002))
        PUT(w->out, "suspicious_");
    PUT(w->out, "session_");
    tg_buf_i64(w->out, 1 + tg_rng_below(w->rng, 2000));
    PUT(w->out, "\"}");
}

/* In a burst most of it is errors of the API. The value is a duration in ms. */
static void write_signal(const struct writing *w)
{
    unsigned type = PICK(w->rng, signal_types), source = PICK(w->rng, sources);
    bool of_burst = tg_rng_chance(w->rng, 0.6);
    if (of_burst && in_burst(w->generator, TG_SIM_SIGNAL, w->at)) {
        type = SIGNAL_ERROR;
        source = SOURCE_API;
    }
    w->event->kind = signal_types[type].name;
    w->event->entity = sources[source].name;
    if (tg_rng_chance(w->rng, 0.7))
        set_value(w, money(w->rng, type == SIGNAL_ERROR ? 900 : 60, 0.5));

    PUT(w->out, "{\"id\":");
    put_uuid_v1(w->out, w->rng, w->event->occurred_at);
    PUT(w->out, ",\"user_id\":\"user_");
    tg_buf_i64(w->out, 1 + tg_rng_below(w->rng, USERS));
    PUT(w->out, "\",\"source\":\"");
    put_text(w->out, w->event->entity);
    PUT(w->out, "\",\"type\":\"");
    put_text(w->out, w->event->kind);
    PUT(w->out, "\",\"event_ts\":");
    put_time(w->out, w->event->occurred_at);
    if (w->event->has_value) {
        PUT(w->out, ",\"value\":");
        tg_sim_put_value(w->out, w->event->value);
    }
    put_payload(w);
}

static void write_order(const struct writing *w)
{
    w->event->kind = currencies[PICK(w->rng, currencies)].name;
    w->event->entity = channels[PICK(w->rng, channels)].name;
    int64_t amount = money(w->rng, 48, 0.7);
    set_value(w, tg_rng_chance(w->rng, 0.002) ? 25 * amount : amount);

    PUT(w->out, "{\"order_id\":");
    put_id(w->out, "o-", w->generator, w->generator->slot, w->number);
    PUT(w->out, ",\"customer_id\":\"user_");
    tg_buf_i64(w->out, 1 + tg_rng_below(w->rng, USERS));
    PUT(w->out, "\",\"amount\":");
    tg_sim_put_value(w->out, w->event->value);
    PUT(w->out, ",\"currency\":\"");
    put_text(w->out, w->event->kind);
    PUT(w->out, "\",\"channel\":\"");
    put_text(w->out, w->event->entity);
    PUT(w->out, "\",\"event_time\":");
    put_time(w->out, w->event->occurred_at);
}

/* --- sessions: a view, perhaps a checkout, perhaps a purchase --- */

static void put_session(const tg_generator_t *generator, const tg_sim_follow_up_t *step,
                        tg_buf_t *out, tg_sim_event_t *event)
{
    assert(step->kind < STEPS && step->entity < TG_SIM_CHANNELS);
    event->kind = steps[step->kind];
    event->entity = channels[step->entity].name;
    PUT(out, "{\"session_id\":");
    put_id(out, "s-", generator, step->slot, step->number);
    PUT(out, ",\"event_type\":\"");
    put_text(out, event->kind);
    PUT(out, "\",\"channel\":\"");
    put_text(out, event->entity);
    PUT(out, "\",\"event_time\":");
    put_time(out, event->occurred_at);
}

static void write_session(const struct writing *w)
{
    tg_sim_follow_up_t step = {.at = w->at,
                               .slot = w->generator->slot,
                               .number = w->number,
                               .type = TG_SIM_SESSION,
                               .entity = (uint8_t)PICK(w->rng, channels)};
    put_session(w->generator, &step, w->out, w->event);
    static const double shares[STEPS] = {1, CHECKOUT_SHARE, PURCHASE_SHARE};
    for (step.kind = STEP_CHECKOUT; step.kind < STEPS; step.kind++) {
        step.at += STEP_MIN_US + tg_rng_below(w->rng, STEP_MAX_US - STEP_MIN_US);
        if (!tg_rng_chance(w->rng, shares[step.kind]) || !tg_sim_expect(w->generator, &step))
            return;
    }
}

/* --- streams: who joins leaves within ten minutes --- */

static void put_stream(const tg_generator_t *generator, const char *prefix,
                       const tg_sim_follow_up_t *act, tg_buf_t *out, tg_sim_event_t *event)
{
    event->entity = streams[act->entity].name;
    PUT(out, "{\"event_id\":");
    put_id(out, prefix, generator, act->slot, act->number);
    PUT(out, ",\"ts\":");
    put_time(out, event->occurred_at);
    PUT(out, ",\"event_type\":\"");
    put_text(out, event->kind);
    PUT(out, "\",\"stream_id\":\"");
    put_text(out, event->entity);
    PUT(out, "\",\"user_id\":\"viewer_");
    tg_buf_i64(out, act->user);
    tg_buf_byte(out, '"');
    if (event->has_value) {
        PUT(out, ",\"amount_usd\":");
        tg_sim_put_value(out, event->value);
    }
}

/* A viewer arrives, and leaves later. False when nobody more can be kept in mind. */
static bool join(const struct writing *w, tg_sim_follow_up_t *act)
{
    tg_generator_t *generator = w->generator;
    double stay = (double)STAY_MEAN_US * tg_rng_exponential(w->rng);
    act->user = (uint32_t)(1 + generator->slot * 1000 % 1000000 + (int64_t)(w->number % 1000000));
    int64_t stay_us = stay > (double)STAY_MAX_US ? STAY_MAX_US : (int64_t)stay;
    tg_sim_follow_up_t leave = *act;
    leave.at += stay_us < STAY_MIN_US ? STAY_MIN_US : stay_us;
    if (!tg_sim_expect(generator, &leave))
        return false;
    generator->recent[act->entity][generator->joined[act->entity]++ % TG_SIM_RECENT] = act->user;
    return true;
}

/* One of those who came last in this slot, or anybody. */
static uint32_t someone(const struct writing *w, unsigned stream)
{
    uint64_t joined = w->generator->joined[stream];
    uint32_t number = tg_rng_below(w->rng, TG_SIM_RECENT);
    if (joined == 0)
        return 1 + tg_rng_below(w->rng, USERS);
    return w->generator->recent[stream][number % (joined < TG_SIM_RECENT ? joined : TG_SIM_RECENT)];
}

static void write_stream(const struct writing *w)
{
    tg_sim_follow_up_t act = {.at = w->at,
                              .slot = w->generator->slot,
                              .number = w->number,
                              .type = TG_SIM_STREAM,
                              .entity = (uint8_t)PICK(w->rng, streams)};
    unsigned kind = PICK(w->rng, stream_acts);
    if (kind == ACT_JOIN && !join(w, &act))
        kind = ACT_CHAT;
    if (kind != ACT_JOIN)
        act.user = someone(w, act.entity);
    if (kind == ACT_DONATION)
        set_value(w, money(w->rng, 8, 0.9));
    w->event->kind = stream_acts[kind].name;
    put_stream(w->generator, "v-", &act, w->out, w->event);
}

/* --- entry points --- */

static void (*const writers[TG_SIM_TYPES])(const struct writing *w) = {
    [TG_SIM_READING] = write_reading, [TG_SIM_ACTIVITY] = write_activity,
    [TG_SIM_SIGNAL] = write_signal,   [TG_SIM_ORDER] = write_order,
    [TG_SIM_SESSION] = write_session, [TG_SIM_STREAM] = write_stream,
};

void tg_sim_write(tg_generator_t *generator, tg_sim_type_t type, int64_t at, tg_buf_t *out,
                  tg_sim_event_t *event)
{
    assert(type < TG_SIM_TYPES);
    size_t before = out->len;
    *event = (tg_sim_event_t){.type = type, .occurred_at = generator->config.start_us + at};
    const struct writing writing = {.generator = generator,
                                    .rng = &generator->rng[type],
                                    .at = at,
                                    .number = generator->made[type]++,
                                    .out = out,
                                    .event = event};
    writers[type](&writing);
    tg_buf_byte(out, '}');
    assert(out->failed || out->len - before <= TG_GENERATOR_EVENT_MAX);
}

void tg_sim_write_follow_up(tg_generator_t *generator, const tg_sim_follow_up_t *follow_up,
                            tg_buf_t *out, tg_sim_event_t *event)
{
    *event = (tg_sim_event_t){.type = follow_up->type,
                              .occurred_at = generator->config.start_us + follow_up->at};
    if (follow_up->type == TG_SIM_SESSION) {
        put_session(generator, follow_up, out, event);
    } else {
        assert(follow_up->type == TG_SIM_STREAM);
        event->kind = "viewer_leave";
        put_stream(generator, "w-", follow_up, out, event);
    }
    tg_buf_byte(out, '}');
}
