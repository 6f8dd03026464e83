/* Timers: order, moving, stopping and freeing from inside callbacks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/time.h"
#include "common/loop/loop.h"

struct probe {
    tg_timer_t timer;
    tg_loop_t *loop;
    struct probe *victim;
    int runs;
    uint64_t ran_at;
};

static void on_probe(void *arg)
{
    struct probe *probe = arg;
    probe->runs++;
    probe->ran_at = tg_loop_now_ms(probe->loop);
    assert_null(probe->timer.loop); /* stopped before it is called, so that it may start again */
}

static void turn_for(tg_loop_t *loop, uint64_t ms)
{
    for (uint64_t end = tg_time_mono_ms() + ms; tg_time_mono_ms() <= end;)
        tg_loop_turn(loop, 1);
}

static void a_timer_runs_once_and_not_early(void **state)
{
    (void)state;
    tg_loop_t *loop = tg_loop_create();
    struct probe probe = {.loop = loop};
    uint64_t start = tg_time_mono_ms();
    tg_timer_start(loop, &probe.timer, 20, on_probe, &probe);
    assert_int_equal(probe.runs, 0);
    while (probe.runs == 0)
        tg_loop_turn(loop, 60000); /* waits no longer than the timer */
    assert_in_range(probe.ran_at, start + 20, start + 1000);
    turn_for(loop, 5);
    assert_int_equal(probe.runs, 1);
    tg_loop_destroy(loop);
}

static void timers_run_in_the_order_of_their_times(void **state)
{
    (void)state;
    enum { TIMERS = 200 };
    static struct probe probes[TIMERS];
    tg_loop_t *loop = tg_loop_create();
    memset(probes, 0, sizeof(probes));
    srand(3);
    for (int i = 0; i < TIMERS; i++) {
        probes[i].loop = loop;
        tg_timer_start(loop, &probes[i].timer, (uint64_t)(rand() % 1000), on_probe, &probes[i]);
    }
    for (int round = 0; round < 2000; round++) { /* moves and stops keep the heap in order */
        struct probe *probe = &probes[rand() % TIMERS];
        if (rand() % 3 == 0)
            tg_timer_stop(&probe->timer);
        else
            tg_timer_start(loop, &probe->timer, (uint64_t)(rand() % 30), on_probe, probe);
    }
    int expected = 0, runs = 0;
    uint64_t at[TIMERS];
    for (int i = 0; i < TIMERS; i++) {
        at[i] = probes[i].timer.loop == NULL ? 0 : probes[i].timer.at_ms;
        expected += at[i] != 0;
    }
    turn_for(loop, 1010);
    for (int i = 0; i < TIMERS; i++) {
        assert_int_equal(probes[i].runs, at[i] != 0);
        runs += probes[i].runs;
        if (at[i] != 0)
            assert_true(probes[i].ran_at >= at[i]);
    }
    assert_int_equal(runs, expected);
    tg_loop_destroy(loop);
}

static void stopped_timers_do_not_run(void **state)
{
    (void)state;
    tg_loop_t *loop = tg_loop_create();
    struct probe probe = {.loop = loop};
    tg_timer_stop(&probe.timer); /* zeroed is allowed */
    tg_timer_start(loop, &probe.timer, 0, on_probe, &probe);
    tg_timer_stop(&probe.timer);
    tg_timer_stop(&probe.timer);
    turn_for(loop, 5);
    assert_int_equal(probe.runs, 0);
    tg_loop_destroy(loop);
}

static void free_both(void *arg)
{
    struct probe *probe = arg;
    int *runs = (int *)probe->victim->ran_at;
    ++*runs;
    tg_timer_stop(&probe->victim->timer);
    free(probe->victim);
    free(probe);
}

static void a_callback_may_stop_and_free_another_that_is_due(void **state)
{
    (void)state;
    tg_loop_t *loop = tg_loop_create();
    struct probe *one = calloc(1, sizeof(*one)), *two = calloc(1, sizeof(*two));
    int runs = 0;
    one->victim = two;
    two->victim = one;
    one->ran_at = two->ran_at = (uintptr_t)&runs;
    tg_timer_start(loop, &one->timer, 0, free_both, one);
    tg_timer_start(loop, &two->timer, 0, free_both, two);
    turn_for(loop, 5);
    assert_int_equal(runs, 1);
    tg_loop_destroy(loop);
}

static void start_again(void *arg)
{
    struct probe *probe = arg;
    probe->runs++;
    tg_timer_start(probe->loop, &probe->timer, 0, start_again, probe);
}

static void a_timer_that_restarts_itself_does_not_hold_the_turn(void **state)
{
    (void)state;
    tg_loop_t *loop = tg_loop_create();
    struct probe probe = {.loop = loop};
    tg_timer_start(loop, &probe.timer, 0, start_again, &probe);
    for (int turns = 1; turns <= 5; turns++) {
        tg_loop_turn(loop, 60000);
        assert_int_equal(probe.runs, turns);
    }
    tg_timer_stop(&probe.timer);
    tg_loop_destroy(loop);
}

static void a_time_beyond_all_ends_is_never(void **state)
{
    (void)state;
    tg_loop_t *loop = tg_loop_create();
    struct probe probe = {.loop = loop};
    tg_timer_start(loop, &probe.timer, UINT64_MAX, on_probe, &probe);
    turn_for(loop, 5);
    assert_int_equal(probe.runs, 0);
    tg_timer_stop(&probe.timer);
    tg_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_timer_runs_once_and_not_early),
        cmocka_unit_test(timers_run_in_the_order_of_their_times),
        cmocka_unit_test(stopped_timers_do_not_run),
        cmocka_unit_test(a_callback_may_stop_and_free_another_that_is_due),
        cmocka_unit_test(a_timer_that_restarts_itself_does_not_hold_the_turn),
        cmocka_unit_test(a_time_beyond_all_ends_is_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
