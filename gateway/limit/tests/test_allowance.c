/* The promises of allowance.h with a store and a clock of the test's own: what is spent by several
 * gateways, with leases that take a while, fail and come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/limit/allowance.h"

#define MS       INT64_C(1000000)
#define SECOND   (1000 * MS)
#define GATEWAYS 2

/* The store as the script in lessor.c has it. */
struct store {
    double tokens, over;
    int64_t at_ns, over_at_ns;
    bool known, away;
};

struct gateway {
    tg_allowance_t allowance;
    tg_lease_t lease;
    bool leasing;
    int64_t answer_at_ns;
};

struct world {
    tg_limit_rate_t rate;
    struct store store;
    struct gateway gateways[GATEWAYS];
    int64_t now_ns, round_trip_ns;
    int64_t admitted;
};

static void make_world(struct world *world, int64_t units, int64_t burst)
{
    memset(world, 0, sizeof(*world));
    world->rate = (tg_limit_rate_t){.units = units, .period_s = 1, .burst = burst};
    world->now_ns = 1000 * SECOND;
    world->round_trip_ns = MS;
}

static int64_t grant(struct world *world, const tg_lease_t *lease, int64_t *out_left)
{
    struct store *store = &world->store;
    double burst = (double)world->rate.burst, owed = (double)lease->owed;
    if (!store->known) {
        *store = (struct store){.known = true, .over_at_ns = world->now_ns};
        store->tokens = lease->joining ? 0 : burst;
        store->over = lease->joining ? owed * GATEWAYS : 0;
    } else {
        store->tokens += (double)(world->now_ns - store->at_ns) * (double)world->rate.units / 1e9;
    }
    store->at_ns = world->now_ns;
    if (world->now_ns - store->over_at_ns > 15 * SECOND) {
        store->over = 0;
        store->over_at_ns = world->now_ns;
    }
    if (store->tokens > burst) {
        store->over += store->tokens - burst;
        store->tokens = burst;
    }
    if (lease->joining && owed > 0) {
        double paid = store->over < owed ? store->over : owed;
        store->over -= paid;
        owed -= paid;
    }
    store->tokens -= owed;
    if (store->tokens > burst)
        store->tokens = burst;
    int64_t whole = (int64_t)store->tokens;
    int64_t granted = whole < 0 ? 0 : whole < lease->want ? whole : lease->want;
    store->tokens -= (double)granted;
    *out_left = (int64_t)store->tokens;
    return granted;
}

/* Ends a lease whose time has come. */
static void turn(struct world *world, struct gateway *gateway)
{
    if (!gateway->leasing || world->now_ns < gateway->answer_at_ns)
        return;
    gateway->leasing = false;
    if (world->store.away) {
        tg_allowance_lease_failed(&gateway->allowance, &world->rate, GATEWAYS, &gateway->lease,
                                  world->now_ns);
        return;
    }
    int64_t left = 0, granted = grant(world, &gateway->lease, &left);
    tg_allowance_lease_granted(&gateway->allowance, &world->rate, GATEWAYS, &gateway->lease,
                               granted, left, world->now_ns);
}

static tg_allowance_answer_t ask(struct world *world, struct gateway *gateway, int64_t cost)
{
    turn(world, gateway);
    tg_allowance_answer_t answer =
        tg_allowance_take(&gateway->allowance, &world->rate, GATEWAYS, world->now_ns, cost);
    if (answer.wants_lease && tg_allowance_lease_begin(&gateway->allowance, &world->rate,
                                                       world->now_ns, &gateway->lease)) {
        gateway->leasing = true;
        gateway->answer_at_ns = world->now_ns + world->round_trip_ns;
    }
    world->admitted += answer.admitted ? cost : 0;
    return answer;
}

/* Both gateways are asked for `per_second` in all, evenly, for so long; returns what was admitted.
 */
static int64_t run(struct world *world, int64_t ns, int64_t per_second)
{
    int64_t before = world->admitted, end = world->now_ns + ns, step = SECOND / per_second;
    for (size_t i = 0; world->now_ns < end; i++, world->now_ns += step)
        ask(world, &world->gateways[i % GATEWAYS], 1);
    return world->admitted - before;
}

static void a_small_use_is_never_refused(void **state)
{
    (void)state;
    struct world world;
    make_world(&world, 1000, 1000);
    assert_int_equal(run(&world, 10 * SECOND, 900), 9001);
}

static void a_store_that_takes_its_time_refuses_nobody_within_the_limit(void **state)
{
    (void)state;
    struct world world;
    make_world(&world, 1000, 330);
    world.round_trip_ns = 180 * MS;
    assert_int_equal(run(&world, 10 * SECOND, 900), 9001);
}

/* Spent alone at first, it is owed: there is no second burst when the store is back. */
static void a_lost_lease_does_not_take_the_rest_of_the_burst_away(void **state)
{
    (void)state;
    struct world world;
    make_world(&world, 100, 1000);
    run(&world, SECOND / 2, 100);
    world.store.away = true;
    for (int i = 0; i < 900; i++, world.now_ns += MS / 20)
        assert_true(ask(&world, &world.gateways[i % GATEWAYS], 1).admitted);
    assert_true(tg_allowance_detached(&world.gateways[0].allowance));
    world.store.away = false;
    assert_in_range(run(&world, 10 * SECOND, 2000), 950, 1150);
}

static void twice_the_limit_is_cut_to_it(void **state)
{
    (void)state;
    struct world world;
    make_world(&world, 1000, 1000);
    int64_t burst = run(&world, 10 * SECOND, 2000); /* spends the burst */
    assert_in_range(burst, 10900, 11040);
    assert_in_range(run(&world, 30 * SECOND, 2000), 29900, 30100);
}

static void a_small_limit_is_exact_within_a_block_for_each_gateway(void **state)
{
    (void)state;
    struct world world;
    make_world(&world, 5, 10);
    int64_t admitted = run(&world, 60 * SECOND, 100);
    assert_in_range(admitted, 300 + 10 - 4, 300 + 10 + GATEWAYS);
}

static void one_gateway_alone_gets_all_of_it(void **state)
{
    (void)state;
    struct world world;
    make_world(&world, 100, 100);
    int64_t admitted = 0;
    for (int64_t end = world.now_ns + 20 * SECOND; world.now_ns < end; world.now_ns += MS)
        admitted += ask(&world, &world.gateways[0], 1).admitted;
    assert_in_range(admitted, 2080, 2104);
}

static void a_large_cost_is_paid_off_by_waiting(void **state)
{
    (void)state;
    struct world world;
    make_world(&world, 1000, 1000);
    assert_true(ask(&world, &world.gateways[0], 10000).admitted);
    tg_allowance_answer_t refused = ask(&world, &world.gateways[0], 1);
    assert_false(refused.admitted);
    assert_in_range(refused.retry_after_ns, 9 * SECOND, 10 * SECOND + SECOND / 10);
    int64_t began = world.now_ns;
    while (!ask(&world, &world.gateways[0], 1).admitted)
        world.now_ns += MS;
    assert_in_range(world.now_ns - began, 8900 * MS, 9300 * MS); /* the burst paid for a second */
}

static void what_is_charged_later_counts_and_what_is_given_back_does_not(void **state)
{
    (void)state;
    struct world world;
    make_world(&world, 1000, 100);
    struct gateway *gateway = &world.gateways[0];
    ask(&world, gateway, 1);
    world.now_ns += 2 * MS;
    turn(&world, gateway);
    tg_allowance_charge(&gateway->allowance, &world.rate, GATEWAYS, world.now_ns, 500);
    assert_false(ask(&world, gateway, 1).admitted);
    tg_allowance_charge(&gateway->allowance, &world.rate, GATEWAYS, world.now_ns, -500);
    assert_true(ask(&world, gateway, 1).admitted);
}

static void without_the_store_each_has_its_share_and_no_second_burst(void **state)
{
    (void)state;
    struct world world;
    make_world(&world, 1000, 1000);
    run(&world, 5 * SECOND, 2000);
    world.store.away = true;
    assert_in_range(run(&world, 30 * SECOND, 2000), 29000, 31000);
    assert_true(tg_allowance_detached(&world.gateways[0].allowance));
    world.store.away = false;
    assert_in_range(run(&world, 30 * SECOND, 2000), 29000, 30600);
    assert_false(tg_allowance_detached(&world.gateways[0].allowance));
}

static void a_store_that_has_forgotten_all_gives_no_burst_to_those_that_come_back(void **state)
{
    (void)state;
    struct world world;
    make_world(&world, 1000, 10000);
    run(&world, 20 * SECOND, 2000);
    world.store.away = true;
    run(&world, 2 * SECOND, 2000);
    world.store = (struct store){0};
    assert_in_range(run(&world, 10 * SECOND, 2000), 9500, 10600);
}

static void without_a_store_from_the_start_the_share_of_the_burst_is_there(void **state)
{
    (void)state;
    struct world world;
    make_world(&world, 100, 100);
    world.store.away = true;
    assert_in_range(run(&world, SECOND, 1000), 190, 210);
}

static void a_quota_is_spent_once_and_in_blocks(void **state)
{
    (void)state;
    struct world world;
    make_world(&world, 1, 1);
    world.rate = (tg_limit_rate_t){.units = 5000, .period_s = 86400, .burst = 5000};
    world.store = (struct store){.known = true, .tokens = 5000, .at_ns = INT64_MAX};
    int64_t admitted = 0;
    for (int i = 0; i < 20000; i++, world.now_ns += MS) {
        world.store.at_ns = world.now_ns; /* never refilled */
        admitted += ask(&world, &world.gateways[i % GATEWAYS], 1).admitted;
        world.store.at_ns = world.now_ns + MS;
    }
    assert_in_range(admitted, 4998, 5000 + GATEWAYS);
}

static void whatever_happens_no_more_is_spent_than_the_limit_gives(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 40; seed++) {
        struct world world;
        srand(seed);
        make_world(&world, 1 + rand() % 5000, 1 + rand() % 5000);
        world.round_trip_ns = (1 + rand() % 20) * MS;
        int64_t began = world.now_ns, block = world.rate.units / 50 > 1 ? world.rate.units / 50 : 1;
        for (int i = 0; i < 20000; i++) {
            ask(&world, &world.gateways[rand() % GATEWAYS], 1);
            world.now_ns += rand() % (2 * MS);
        }
        double gives = (double)world.rate.burst +
                       (double)(world.now_ns - began) * (double)world.rate.units / 1e9;
        if ((double)world.admitted > gives + GATEWAYS * (double)block + 1)
            fail_msg("seed %u: %lld admitted, the limit gives %.0f", seed,
                     (long long)world.admitted, gives);
    }
}

static void one_gateway_cut_off_now_and_then_gives_nothing_away(void **state)
{
    (void)state;
    struct world world;
    make_world(&world, 1000, 100);
    run(&world, 5 * SECOND, 2000);
    int64_t before = world.admitted, began = world.now_ns;
    for (int flap = 0; flap < 20; flap++) {
        struct gateway *cut = &world.gateways[0];
        if (!cut->leasing &&
            tg_allowance_lease_begin(&cut->allowance, &world.rate, world.now_ns, &cut->lease))
            tg_allowance_lease_failed(&cut->allowance, &world.rate, GATEWAYS, &cut->lease,
                                      world.now_ns);
        run(&world, SECOND, 2000);
    }
    int64_t gives = (world.now_ns - began) / MS;
    assert_in_range(world.admitted - before, gives * 95 / 100, gives + 300);
}

static void a_smaller_plan_holds_at_once(void **state)
{
    (void)state;
    struct world world;
    make_world(&world, 1000, 2000);
    run(&world, SECOND, 100);
    world.rate = (tg_limit_rate_t){.units = 1, .period_s = 1, .burst = 3};
    assert_in_range(run(&world, SECOND, 1000), 3, 3 * (GATEWAYS + 1) + 2);
}

static void a_small_burst_is_served_though_no_lease_has_come_yet(void **state)
{
    (void)state;
    struct world world;
    make_world(&world, 5, 10);
    for (int i = 0; i < 10; i++) /* all in the same instant */
        assert_int_equal(ask(&world, &world.gateways[i % GATEWAYS], 1).admitted, true);
    assert_false(ask(&world, &world.gateways[0], 1).admitted);
    for (int i = 0; i < 100; i++, world.now_ns += MS / 2)
        ask(&world, &world.gateways[i % GATEWAYS], 1);
    assert_in_range(world.admitted, 10, 10 + GATEWAYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_use_is_never_refused),
        cmocka_unit_test(a_store_that_takes_its_time_refuses_nobody_within_the_limit),
        cmocka_unit_test(a_lost_lease_does_not_take_the_rest_of_the_burst_away),
        cmocka_unit_test(a_smaller_plan_holds_at_once),
        cmocka_unit_test(a_small_burst_is_served_though_no_lease_has_come_yet),
        cmocka_unit_test(twice_the_limit_is_cut_to_it),
        cmocka_unit_test(a_small_limit_is_exact_within_a_block_for_each_gateway),
        cmocka_unit_test(one_gateway_alone_gets_all_of_it),
        cmocka_unit_test(a_large_cost_is_paid_off_by_waiting),
        cmocka_unit_test(what_is_charged_later_counts_and_what_is_given_back_does_not),
        cmocka_unit_test(without_the_store_each_has_its_share_and_no_second_burst),
        cmocka_unit_test(a_store_that_has_forgotten_all_gives_no_burst_to_those_that_come_back),
        cmocka_unit_test(without_a_store_from_the_start_the_share_of_the_burst_is_there),
        cmocka_unit_test(a_quota_is_spent_once_and_in_blocks),
        cmocka_unit_test(one_gateway_cut_off_now_and_then_gives_nothing_away),
        cmocka_unit_test(whatever_happens_no_more_is_spent_than_the_limit_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
