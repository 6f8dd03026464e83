/* The simulated world: the same again by seed, what it promises to hold, and that a detector has
 * something to find in it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/table.h"
#include "common/base/time.h"
#include "common/json/json.h"
#include "loadtest/simulator/answer.h"
#include "loadtest/simulator/generator.h"

#define START INT64_C(1770112800000000) /* 2026-02-03T10:00:00Z */

static const tg_generator_config_t full = {.seed = 5,
                                           .start_us = START,
                                           .rates = {30, 50, 50, 5, 20, 40}};

/* Walks `seconds` of a world, event by event. */
struct walk {
    tg_generator_t *generator;
    int64_t end;
    tg_buf_t text;
    tg_sim_event_t event;
};

static struct walk walk_begin(const tg_generator_config_t *config, int64_t seconds)
{
    struct walk walk = {.generator = tg_generator_create(config), .text = tg_buf_make(1024)};
    assert_non_null(walk.generator);
    int64_t begin = config->begin_us > config->start_us ? config->begin_us : config->start_us;
    walk.end = begin + seconds * 1000000;
    return walk;
}

static void walk_end(struct walk *walk)
{
    tg_generator_destroy(walk->generator);
    walk->generator = NULL;
    tg_buf_dispose(&walk->text);
}

/* False at the end, where the walk frees itself. */
static bool walk_next(struct walk *walk)
{
    if (walk->generator == NULL || tg_generator_due(walk->generator) >= walk->end) {
        walk_end(walk);
        return false;
    }
    tg_buf_clear(&walk->text);
    int64_t due = tg_generator_due(walk->generator);
    tg_sim_type_t type = tg_generator_next_type(walk->generator);
    tg_generator_next(walk->generator, &walk->text, &walk->event);
    assert_false(walk->text.failed);
    assert_true(walk->event.occurred_at == due);
    assert_int_equal(walk->event.type, type);
    return true;
}

static void the_same_seed_gives_the_same_bytes(void **state)
{
    (void)state;
    struct walk a = walk_begin(&full, 700), b = walk_begin(&full, 700);
    while (walk_next(&a)) {
        assert_true(walk_next(&b));
        assert_true(tg_str_eq(tg_buf_view(&a.text), tg_buf_view(&b.text)));
    }
    assert_false(walk_next(&b));
}

static void another_seed_gives_other_events(void **state)
{
    (void)state;
    tg_generator_config_t other = full;
    other.seed = 6;
    struct walk a = walk_begin(&full, 10), b = walk_begin(&other, 10);
    unsigned same = 0;
    while (walk_next(&a) && walk_next(&b))
        same += tg_str_eq(tg_buf_view(&a.text), tg_buf_view(&b.text));
    assert_int_equal(same, 0);
    walk_end(&a);
    walk_end(&b);
}

static void another_start_moves_the_times_and_nothing_else(void **state)
{
    (void)state;
    tg_generator_config_t later = full;
    const int64_t shift = 3 * TG_US_PER_DAY;
    later.start_us += shift;
    struct walk a = walk_begin(&full, 60), b = walk_begin(&later, 60);
    while (walk_next(&a)) {
        assert_true(walk_next(&b));
        assert_true(b.event.occurred_at == a.event.occurred_at + shift);
        b.event.occurred_at = a.event.occurred_at;
        assert_true(a.event.type == b.event.type && a.event.kind == b.event.kind);
        assert_true(a.event.entity == b.event.entity && a.event.value == b.event.value);
        assert_int_equal(a.text.len, b.text.len);
    }
    assert_false(walk_next(&b));
}

/* Only what earlier events cause is missing: leaves and later steps. */
static void check_entry(int64_t begin)
{
    tg_generator_config_t late = full;
    late.begin_us = begin;
    struct walk all = walk_begin(&full, 2000), part = walk_begin(&late, 600);
    unsigned missing = 0, same = 0;
    while (walk_next(&part)) {
        assert_true(part.event.occurred_at >= begin);
        bool found = false;
        while (!found) {
            assert_true(walk_next(&all));
            found = tg_str_eq(tg_buf_view(&all.text), tg_buf_view(&part.text));
            if (found || all.event.occurred_at < begin)
                continue;
            assert_true(all.event.type == TG_SIM_SESSION ||
                        strcmp(all.event.kind, "viewer_leave") == 0);
            missing++;
        }
        same++;
    }
    assert_true(same > 100000);
    assert_true(missing > 100 && missing < 2000);
    walk_end(&all);
}

static void a_world_entered_later_goes_on_the_same(void **state)
{
    (void)state;
    check_entry(START + 2 * TG_GENERATOR_SLOT_US);
    check_entry(START + 2 * TG_GENERATOR_SLOT_US + 123456789);
}

static void types_of_rate_zero_do_not_change_the_others(void **state)
{
    (void)state;
    tg_generator_config_t orders = {.seed = 5, .start_us = START, .rates = {[TG_SIM_ORDER] = 5}};
    struct walk all = walk_begin(&full, 1300), some = walk_begin(&orders, 1300);
    while (walk_next(&all)) {
        if (all.event.type != TG_SIM_ORDER)
            continue;
        assert_true(walk_next(&some));
        assert_true(tg_str_eq(tg_buf_view(&all.text), tg_buf_view(&some.text)));
    }
    assert_false(walk_next(&some));
}

static void a_world_without_rates_is_still(void **state)
{
    (void)state;
    tg_generator_config_t none = {.seed = 5, .start_us = START, .rates = {0.001}};
    tg_generator_t *generator = tg_generator_create(&none);
    assert_true(tg_generator_due(generator) == INT64_MAX);
    tg_generator_destroy(generator);
}

static void rates_are_as_asked_and_times_never_go_back(void **state)
{
    (void)state;
    struct walk walk = walk_begin(&full, 1800);
    unsigned counts[TG_SIM_TYPES] = {0};
    int64_t before = 0;
    while (walk_next(&walk)) {
        assert_true(walk.event.occurred_at >= before);
        before = walk.event.occurred_at;
        counts[walk.event.type]++;
    }
    for (unsigned type = 0; type < TG_SIM_TYPES; type++) {
        double rate = counts[type] / 1800.0;
        if (fabs(rate - full.rates[type]) > 0.05 * full.rates[type])
            fail_msg("%s: %f per second", tg_sim_type_names[type], rate);
    }
}

/* --- what events hold --- */

static tg_str_t text_field(const tg_json_node_t *nodes, const char *name)
{
    size_t at = tg_answer_member(nodes, 0, tg_str_from(name));
    assert_true(at != SIZE_MAX && nodes[at].type == TG_JSON_STRING);
    return nodes[at].value.text;
}

/* The event's fields say what the generator says of it. */
static void every_event_is_the_json_that_it_is_said_to_be(void **state)
{
    (void)state;
    static const char *const fields[TG_SIM_TYPES][4] = {
        [TG_SIM_READING] = {"ts", "metric", "device_id", "value"},
        [TG_SIM_ACTIVITY] = {"ts", "event_type", "page", "amount"},
        [TG_SIM_SIGNAL] = {"event_ts", "type", "source", "value"},
        [TG_SIM_ORDER] = {"event_time", "currency", "channel", "amount"},
        [TG_SIM_SESSION] = {"event_time", "event_type", "channel", ""},
        [TG_SIM_STREAM] = {"ts", "event_type", "stream_id", "amount_usd"}};
    tg_json_parser_t *parser = tg_json_parser_create(4096, 8);
    struct walk walk = walk_begin(&full, 120);
    while (walk_next(&walk)) {
        const tg_json_node_t *nodes = NULL;
        const char *const *names = fields[walk.event.type];
        size_t count = 0;
        int64_t at = 0;
        assert_int_equal(tg_json_parse(parser, tg_buf_view(&walk.text), &nodes, &count, NULL),
                         TG_OK);
        assert_int_equal(tg_time_parse(text_field(nodes, names[0]), &at), TG_OK);
        assert_true(at == walk.event.occurred_at);
        assert_true(tg_str_eq(text_field(nodes, names[1]), tg_str_from(walk.event.kind)));
        assert_true(tg_str_eq(text_field(nodes, names[2]), tg_str_from(walk.event.entity)));
        size_t value = tg_answer_member(nodes, 0, tg_str_from(names[3]));
        assert_int_equal(value != SIZE_MAX, walk.event.has_value);
        if (value == SIZE_MAX)
            continue;
        double number = nodes[value].type == TG_JSON_INT ? (double)nodes[value].value.integer
                                                         : nodes[value].value.real;
        assert_true(llround(number * 1e6) == walk.event.value);
    }
    tg_json_parser_destroy(parser);
}

static tg_table_t *make_table(void)
{
    tg_table_t *table = tg_table_create(1 << 20, NULL);
    assert_non_null(table);
    return table;
}

static void ids_are_different(void **state)
{
    (void)state;
    static const char *const names[TG_SIM_TYPES] = {[TG_SIM_ACTIVITY] = "event_id",
                                                    [TG_SIM_SIGNAL] = "id",
                                                    [TG_SIM_ORDER] = "order_id",
                                                    [TG_SIM_STREAM] = "event_id"};
    tg_json_parser_t *parser = tg_json_parser_create(4096, 8);
    tg_table_t *seen = make_table();
    struct walk walk = walk_begin(&full, 700);
    while (walk_next(&walk)) {
        const tg_json_node_t *nodes = NULL;
        size_t count = 0;
        /* Readings and sessions are named by their content. */
        tg_str_t id = tg_buf_view(&walk.text);
        assert_int_equal(tg_json_parse(parser, id, &nodes, &count, NULL), TG_OK);
        if (names[walk.event.type] != NULL)
            id = text_field(nodes, names[walk.event.type]);
        assert_null(tg_table_get(seen, id));
        assert_int_equal(tg_table_put(seen, id, parser), TG_OK);
    }
    tg_table_destroy(seen);
    tg_json_parser_destroy(parser);
}

/* Each viewer of a stream joins once and leaves once, in this order; the last ones are still there.
 */
static void joins_and_leaves_are_balanced(void **state)
{
    (void)state;
    tg_generator_config_t config = {.seed = 9, .start_us = START, .rates = {[TG_SIM_STREAM] = 40}};
    tg_json_parser_t *parser = tg_json_parser_create(4096, 8);
    tg_table_t *there = make_table();
    struct walk walk = walk_begin(&config, 3600);
    unsigned joins = 0, leaves = 0;
    while (walk_next(&walk)) {
        const tg_json_node_t *nodes = NULL;
        size_t count = 0;
        char key[128];
        assert_int_equal(tg_json_parse(parser, tg_buf_view(&walk.text), &nodes, &count, NULL),
                         TG_OK);
        tg_str_t user = text_field(nodes, "user_id");
        int len = snprintf(key, sizeof(key), "%s " TG_STR_FMT, walk.event.entity, TG_STR_ARG(user));
        tg_str_t viewer = {key, (size_t)len};
        if (strcmp(walk.event.kind, "viewer_join") == 0) {
            joins++;
            assert_null(tg_table_get(there, viewer));
            assert_int_equal(tg_table_put(there, viewer, parser), TG_OK);
        } else if (strcmp(walk.event.kind, "viewer_leave") == 0) {
            leaves++;
            assert_true(tg_table_remove(there, viewer));
        }
    }
    assert_true(joins > 30000);
    assert_int_equal(joins - leaves, tg_table_len(there));
    assert_true(tg_table_len(there) < 2000); /* 10 a second stay 90 s */
    tg_table_destroy(there);
    tg_json_parser_destroy(parser);
}

static void sessions_go_from_view_over_checkout_to_purchase(void **state)
{
    (void)state;
    tg_generator_config_t config = {.seed = 9, .start_us = START, .rates = {[TG_SIM_SESSION] = 40}};
    tg_json_parser_t *parser = tg_json_parser_create(4096, 8);
    tg_table_t *steps = make_table(); /* session -> the last step's name */
    struct walk walk = walk_begin(&config, 1800);
    unsigned views = 0, checkouts = 0, purchases = 0;
    while (walk_next(&walk)) {
        const tg_json_node_t *nodes = NULL;
        size_t count = 0;
        assert_int_equal(tg_json_parse(parser, tg_buf_view(&walk.text), &nodes, &count, NULL),
                         TG_OK);
        tg_str_t session = text_field(nodes, "session_id");
        const char *before = tg_table_get(steps, session);
        bool view = strcmp(walk.event.kind, "view") == 0;
        bool checkout = strcmp(walk.event.kind, "checkout") == 0;
        if (view)
            assert_null(before);
        else
            assert_string_equal(before, checkout ? "view" : "checkout");
        assert_int_equal(tg_table_put(steps, session, (void *)(uintptr_t)walk.event.kind), TG_OK);
        views += view;
        checkouts += checkout;
        purchases += !view && !checkout;
    }
    assert_true(checkouts > views / 100 * 42 && checkouts < views / 100 * 48);
    assert_true(purchases > checkouts / 100 * 57 && purchases < checkouts / 100 * 63);
    tg_table_destroy(steps);
    tg_json_parser_destroy(parser);
}

static void isolated_events_cause_no_others(void **state)
{
    (void)state;
    tg_generator_config_t config = {.seed = 1, .start_us = START, .isolated = true};
    tg_generator_t *generator = tg_generator_create(&config);
    tg_buf_t text = tg_buf_make(4096);
    tg_sim_event_t event;
    for (unsigned i = 0; i < 1000; i++) {
        tg_buf_clear(&text);
        tg_generator_make(generator, TG_SIM_STREAM, START + i, &text, &event);
        assert_string_not_equal(event.kind, "viewer_join");
        assert_true(event.occurred_at == START + i);
    }
    assert_true(tg_generator_due(generator) == INT64_MAX);
    tg_generator_destroy(generator);
    tg_buf_dispose(&text);
}

/* --- what detectors look for --- */

#define PANES   720 /* of 10 s: two hours */
#define HISTORY 60

struct series {
    double sum[PANES];
    unsigned count[PANES];
};

static void add_reading(struct series *all, const tg_sim_event_t *event)
{
    static const char *const metrics[] = {"temperature", "humidity", "pressure"};
    unsigned device = (unsigned)atoi(event->entity + strlen("device-")) - 1, metric = 0;
    while (metric < TG_GENERATOR_METRICS - 1 && strcmp(metrics[metric], event->kind) != 0)
        metric++;
    struct series *one = &all[device * TG_GENERATOR_METRICS + metric];
    size_t pane = (size_t)((event->occurred_at - START) / (10 * TG_US_PER_SECOND));
    one->sum[pane] += (double)event->value / 1e6;
    one->count[pane]++;
}

/* Windows whose average is beyond `threshold` deviations of the ten minutes before. */
static unsigned alarms(const struct series *one, double threshold)
{
    unsigned found = 0;
    for (size_t i = HISTORY; i < PANES; i++) {
        double mean = 0, squares = 0;
        for (size_t j = i - HISTORY; j < i; j++) {
            double x = one->sum[j] / one->count[j];
            mean += x / HISTORY;
            squares += x * x / HISTORY;
        }
        double deviation = sqrt(fmax(squares - mean * mean, 1e-12));
        found += fabs(one->sum[i] / one->count[i] - mean) / deviation > threshold;
    }
    return found;
}

/* At the full rate (a reading per second and series) and at a gentle one (one in ten seconds). */
static void check_alarms(double rate)
{
    struct series *all = calloc(TG_GENERATOR_SERIES, sizeof(*all));
    tg_generator_config_t config = {.seed = 1,
                                    .start_us = START,
                                    .rates = {[TG_SIM_READING] = rate}};
    struct walk walk = walk_begin(&config, INT64_C(10) * PANES);
    while (walk_next(&walk))
        add_reading(all, &walk.event);
    unsigned strong = 0, weak = 0, silent = 0;
    for (size_t i = 0; i < TG_GENERATOR_SERIES; i++) {
        unsigned found = alarms(&all[i], 6);
        strong += found;
        weak += alarms(&all[i], 4);
        silent += found == 0;
    }
    /* About 80 episodes of 2 to 6 windows in two hours; the other 19,000 windows are quiet. */
    print_message("%g readings/s: |z| > 6 in %u windows, > 4 in %u of %u; %u series quiet\n", rate,
                  strong, weak, TG_GENERATOR_SERIES * (PANES - HISTORY), silent);
    assert_true(strong >= 40);
    assert_true(weak < TG_GENERATOR_SERIES * PANES / 20);
    assert_true(silent < TG_GENERATOR_SERIES / 2);
    free(all);
}

static void a_rolling_z_score_finds_the_episodes(void **state)
{
    (void)state;
    check_alarms(30);
    check_alarms(3.1);
}

static void event_rules_find_high_numbers_and_suspicious_sessions(void **state)
{
    (void)state;
    tg_generator_config_t config = {.seed = 1, .start_us = START, .rates = {[TG_SIM_SIGNAL] = 100}};
    struct walk walk = walk_begin(&config, 1000);
    unsigned high = 0, suspicious = 0, total = 0;
    while (walk_next(&walk)) {
        tg_buf_byte(&walk.text, '\0');
        const char *number = strstr(walk.text.data, "\"data\":\"sample_data_");
        assert_non_null(number);
        high += atoi(number + strlen("\"data\":\"sample_data_")) >= 100;
        suspicious += strstr(walk.text.data, "\"session_id\":\"suspicious_session_") != NULL;
        total++;
    }
    assert_true(high > total / 500 && high < total / 150);
    assert_true(suspicious > total / 1000 && suspicious < total / 250);
}

/* A burst is half a minute of errors in a series that has about one a second otherwise. */
static void signals_have_bursts_of_errors(void **state)
{
    (void)state;
    tg_generator_config_t config = {.seed = 1, .start_us = START, .rates = {[TG_SIM_SIGNAL] = 100}};
    static unsigned errors[360];
    struct walk walk = walk_begin(&config, 3600);
    unsigned bursts = 0;
    memset(errors, 0, sizeof(errors));
    while (walk_next(&walk)) {
        if (strcmp(walk.event.kind, "error") == 0 && strcmp(walk.event.entity, "api") == 0)
            errors[(walk.event.occurred_at - START) / (10 * TG_US_PER_SECOND)]++;
    }
    for (unsigned i = 0; i < 360; i++)
        bursts += errors[i] > 200;
    assert_true(bursts >= 3 && bursts <= 30);
}

static void numbers_are_written_as_short_as_they_can_be(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        const char *text;
    } cases[] = {{0, "0"},         {1, "0.000001"},     {120500000, "120.5"},
                 {-3000000, "-3"}, {-1250000, "-1.25"}, {1000001, "1.000001"},
                 {10000000, "10"}, {100000, "0.1"},     {INT64_MIN, "-9223372036854.775808"}};
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        tg_buf_t out = tg_buf_make(64);
        tg_sim_put_value(&out, cases[i].value);
        assert_true(tg_str_eq(tg_buf_view(&out), tg_str_from(cases[i].text)));
        tg_buf_dispose(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_bytes),
        cmocka_unit_test(another_seed_gives_other_events),
        cmocka_unit_test(another_start_moves_the_times_and_nothing_else),
        cmocka_unit_test(a_world_entered_later_goes_on_the_same),
        cmocka_unit_test(types_of_rate_zero_do_not_change_the_others),
        cmocka_unit_test(a_world_without_rates_is_still),
        cmocka_unit_test(rates_are_as_asked_and_times_never_go_back),
        cmocka_unit_test(every_event_is_the_json_that_it_is_said_to_be),
        cmocka_unit_test(ids_are_different),
        cmocka_unit_test(joins_and_leaves_are_balanced),
        cmocka_unit_test(sessions_go_from_view_over_checkout_to_purchase),
        cmocka_unit_test(isolated_events_cause_no_others),
        cmocka_unit_test(a_rolling_z_score_finds_the_episodes),
        cmocka_unit_test(event_rules_find_high_numbers_and_suspicious_sessions),
        cmocka_unit_test(signals_have_bursts_of_errors),
        cmocka_unit_test(numbers_are_written_as_short_as_they_can_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
