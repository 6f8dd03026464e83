/* Who goes when: shares by weight and cost, bands, drops, and a run at random that checks them all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/time.h"
#include "gateway/overload/fair.h"

#define LIMIT 16 /* a quarter of it may go at first, and no window ends in so short a time */
#define ITEMS 4096

struct request {
    tg_fair_item_t item;
    bool entered, ended;
    tg_fair_end_t end;
};

static struct request requests[ITEMS];
static size_t request_count;
static size_t order[ITEMS]; /* of those that went after waiting */
static size_t gone;

static void on_end(void *arg, tg_fair_end_t end)
{
    struct request *request = arg;
    assert_false(request->ended || request->entered);
    request->ended = end != TG_FAIR_GO;
    request->entered = end == TG_FAIR_GO;
    request->end = end;
    if (end == TG_FAIR_GO)
        order[gone++] = (size_t)(request - requests);
}

static struct request *make_request(uint32_t tenant, uint32_t weight, uint32_t cost)
{
    assert_true(request_count < ITEMS);
    struct request *request = &requests[request_count++];
    *request = (struct request){.item = {.tenant = tenant,
                                         .weight = weight,
                                         .cost = cost,
                                         .deadline_ms = UINT64_MAX,
                                         .since_us = tg_time_mono_us(),
                                         .done = on_end,
                                         .arg = request}};
    return request;
}

static tg_fair_entry_t enter(tg_fair_t *fair, struct request *request)
{
    tg_fair_entry_t entry = tg_fair_enter(fair, &request->item);
    request->entered = entry == TG_FAIR_ENTERED;
    request->ended = entry == TG_FAIR_FULL;
    return entry;
}

static void begin(void)
{
    request_count = gone = 0;
}

/* Fills what may be on its way, so that all others wait. */
static void fill(tg_fair_t *fair)
{
    for (int i = 0; i < LIMIT / 4; i++)
        assert_int_equal(enter(fair, make_request(9999, 1, 1)), TG_FAIR_ENTERED);
}

static void drain(tg_fair_t *fair)
{
    tg_fair_stats_t stats;
    for (tg_fair_get_stats(fair, &stats); stats.in_flight > 0; tg_fair_get_stats(fair, &stats))
        tg_fair_forget(fair, 0);
    assert_int_equal(stats.waiting, 0);
    assert_int_equal(stats.flows, 0);
}

static size_t went(uint32_t tenant, size_t among)
{
    size_t count = 0;
    for (size_t i = 0; i < among; i++)
        count += requests[order[i]].item.tenant == tenant;
    return count;
}

static void while_there_is_room_nobody_waits(void **state)
{
    (void)state;
    begin();
    tg_fair_t *fair = tg_fair_create(10, LIMIT, 5000);
    fill(fair);
    assert_int_equal(enter(fair, make_request(1, 1, 1)), TG_FAIR_WAITS);
    drain(fair);
    tg_fair_destroy(fair);
}

static void tenants_go_by_their_weights_whoever_came_first(void **state)
{
    (void)state;
    begin();
    tg_fair_t *fair = tg_fair_create(1000, LIMIT, 5000);
    fill(fair);
    for (int i = 0; i < 300; i++)
        enter(fair, make_request(1, 1, 1));
    for (int i = 0; i < 300; i++)
        enter(fair, make_request(2, 3, 1));
    drain(fair);
    assert_in_range(went(2, 100), 73, 77);
    assert_int_equal(went(1, 600), 300);
    tg_fair_destroy(fair);
}

static void tenants_of_the_usual_weight_go_one_by_one(void **state)
{
    (void)state;
    begin();
    tg_fair_t *fair = tg_fair_create(1000, LIMIT, 5000);
    fill(fair);
    for (uint32_t tenant = 1; tenant <= 10; tenant++) {
        for (int i = 0; i < 20; i++)
            enter(fair, make_request(tenant, 100, 1));
    }
    drain(fair);
    for (uint32_t tenant = 1; tenant <= 10; tenant++)
        assert_in_range(went(tenant, 55), 5, 6);
    tg_fair_destroy(fair);
}

static void a_costly_request_waits_for_its_turns(void **state)
{
    (void)state;
    begin();
    tg_fair_t *fair = tg_fair_create(1000, LIMIT, 5000);
    fill(fair);
    for (int i = 0; i < 10; i++)
        enter(fair, make_request(1, 100, 1000));
    for (int i = 0; i < 100; i++)
        enter(fair, make_request(2, 100, 100));
    drain(fair);
    assert_in_range(went(1, 55), 4, 6); /* equal cost: ten of theirs for one of ours */
    tg_fair_destroy(fair);
}

static void the_second_band_waits_for_the_first(void **state)
{
    (void)state;
    begin();
    tg_fair_t *fair = tg_fair_create(1000, LIMIT, 5000);
    fill(fair);
    for (int i = 0; i < 10; i++) {
        struct request *request = make_request(1, 100, 1);
        request->item.band = TG_BAND_SECOND;
        enter(fair, request);
    }
    for (int i = 0; i < 10; i++)
        enter(fair, make_request(2, 1, 1));
    drain(fair);
    assert_int_equal(went(2, 10), 10);
    tg_fair_destroy(fair);
}

static void a_full_queue_drops_the_newest_of_who_has_most(void **state)
{
    (void)state;
    begin();
    tg_fair_t *fair = tg_fair_create(10, LIMIT, 5000);
    fill(fair);
    struct request *last = NULL;
    for (int i = 0; i < 10; i++)
        enter(fair, last = make_request(1, 1, 1));
    assert_int_equal(enter(fair, make_request(1, 1, 1)), TG_FAIR_FULL);
    assert_int_equal(enter(fair, make_request(2, 1, 1)), TG_FAIR_WAITS);
    assert_true(last->ended);
    assert_int_equal(last->end, TG_FAIR_DROPPED);
    drain(fair);
    tg_fair_destroy(fair);
}

static void what_has_waited_is_dropped_only_for_who_has_far_less(void **state)
{
    (void)state;
    tg_fair_t *fair = tg_fair_create(12, LIMIT, 1000000);
    begin();
    fill(fair);
    struct request *much[9];
    for (size_t i = 0; i < 9; i++)
        assert_int_equal(enter(fair, much[i] = make_request(1, 1, 1)), TG_FAIR_WAITS);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(enter(fair, make_request(2, 1, 1)), TG_FAIR_WAITS);
    much[8]->item.since_us -= 60000; /* as if it had come that long ago */
    assert_int_equal(enter(fair, make_request(2, 1, 1)), TG_FAIR_FULL);
    assert_false(much[8]->ended);
    assert_int_equal(enter(fair, make_request(3, 1, 1)), TG_FAIR_WAITS); /* has nothing here */
    assert_true(much[8]->ended && much[8]->end == TG_FAIR_DROPPED);
    assert_int_equal(enter(fair, make_request(2, 1, 1)), TG_FAIR_WAITS); /* the next one is fresh */
    assert_true(much[7]->ended && much[7]->end == TG_FAIR_DROPPED);
    drain(fair);
    tg_fair_destroy(fair);
}

static void what_is_too_late_is_dropped_when_its_turn_comes(void **state)
{
    (void)state;
    begin();
    tg_fair_t *fair = tg_fair_create(10, LIMIT, 5000);
    fill(fair);
    struct request *late = make_request(1, 1, 1), *good = make_request(1, 1, 1);
    late->item.deadline_ms = 100;
    enter(fair, late);
    enter(fair, good);
    tg_fair_forget(fair, 100);
    assert_true(late->ended && late->end == TG_FAIR_LATE);
    assert_true(good->entered);
    drain(fair);
    tg_fair_destroy(fair);
}

static void what_is_cancelled_is_not_told(void **state)
{
    (void)state;
    begin();
    tg_fair_t *fair = tg_fair_create(10, LIMIT, 5000);
    fill(fair);
    struct request *request = make_request(1, 1, 1);
    enter(fair, request);
    tg_fair_cancel(fair, &request->item);
    drain(fair);
    assert_false(request->entered || request->ended);
    tg_fair_destroy(fair);
}

static void at_random_nothing_is_lost_and_no_bound_is_passed(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 50; seed++) {
        begin();
        srand(seed);
        tg_fair_t *fair = tg_fair_create(50, LIMIT, 5000);
        for (int i = 0; i < 3000; i++) {
            if (rand() % 5 < 3) {
                struct request *request =
                    make_request((uint32_t)rand() % 8, 1 + (uint32_t)rand() % 5,
                                 1 + (uint32_t)rand() % 20);
                request->item.band = rand() % 4 == 0 ? TG_BAND_SECOND : TG_BAND_FIRST;
                enter(fair, request);
            } else {
                tg_fair_stats_t before;
                tg_fair_get_stats(fair, &before);
                if (before.in_flight > 0)
                    tg_fair_forget(fair, 0);
            }
            tg_fair_stats_t stats;
            tg_fair_get_stats(fair, &stats);
            assert_true(stats.waiting <= 50 && stats.in_flight <= stats.limit);
            assert_true(stats.waiting == 0 || stats.in_flight == stats.limit);
        }
        drain(fair);
        for (size_t i = 0; i < request_count; i++)
            assert_true(requests[i].entered || requests[i].ended);
        tg_fair_destroy(fair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(while_there_is_room_nobody_waits),
        cmocka_unit_test(tenants_go_by_their_weights_whoever_came_first),
        cmocka_unit_test(tenants_of_the_usual_weight_go_one_by_one),
        cmocka_unit_test(a_costly_request_waits_for_its_turns),
        cmocka_unit_test(the_second_band_waits_for_the_first),
        cmocka_unit_test(a_full_queue_drops_the_newest_of_who_has_most),
        cmocka_unit_test(what_has_waited_is_dropped_only_for_who_has_far_less),
        cmocka_unit_test(what_is_too_late_is_dropped_when_its_turn_comes),
        cmocka_unit_test(what_is_cancelled_is_not_told),
        cmocka_unit_test(at_random_nothing_is_lost_and_no_bound_is_passed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
