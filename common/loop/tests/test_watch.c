/* Watches on pipes and socket pairs: level-triggered, both ways, closed at any moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/loop/loop.h"

struct end {
    tg_watch_t *watch;
    struct end *other;
    int fd;
    unsigned stop_after; /* calls, then interest 0; 0 means never */
    bool close_inside;
    int reads, writes;
};

static void on_ready(void *arg, unsigned ready)
{
    struct end *end = arg;
    end->reads += (ready & TG_WATCH_READ) != 0;
    end->writes += (ready & TG_WATCH_WRITE) != 0;
    if (end->stop_after != 0 && (unsigned)(end->reads + end->writes) >= end->stop_after)
        tg_watch_set(end->watch, 0);
    if (end->close_inside) {
        tg_watch_close(end->watch);
        end->watch = NULL;
        if (end->other != NULL) {
            tg_watch_close(end->other->watch);
            end->other->watch = NULL;
        }
    }
}

static void open_pair(tg_loop_t *loop, struct end ends[2])
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    for (int i = 0; i < 2; i++) {
        ends[i] = (struct end){.fd = fds[i]};
        ends[i].watch = tg_watch_open(loop, fds[i], on_ready, &ends[i]);
        assert_non_null(ends[i].watch);
    }
}

static void close_pair(struct end ends[2])
{
    for (int i = 0; i < 2; i++) {
        tg_watch_close(ends[i].watch);
        assert_int_equal(close(ends[i].fd), 0); /* ours is still open: the watch had its own */
    }
}

static void turn(tg_loop_t *loop, int times)
{
    for (int i = 0; i < times; i++)
        tg_loop_turn(loop, 0);
}

static void readable_is_level_triggered(void **state)
{
    (void)state;
    tg_loop_t *loop = tg_loop_create();
    struct end ends[2];
    open_pair(loop, ends);
    tg_watch_set(ends[0].watch, TG_WATCH_READ);
    turn(loop, 3);
    assert_int_equal(ends[0].reads, 0);
    assert_int_equal(write(ends[1].fd, "x", 1), 1);
    turn(loop, 3);
    assert_int_equal(ends[0].reads, 3); /* nobody drained it */
    char byte;
    assert_int_equal(read(ends[0].fd, &byte, 1), 1);
    turn(loop, 3);
    assert_int_equal(ends[0].reads, 3);
    close_pair(ends);
    tg_loop_destroy(loop);
}

static void writable_repeats_while_the_interest_holds(void **state)
{
    (void)state;
    tg_loop_t *loop = tg_loop_create();
    struct end ends[2];
    open_pair(loop, ends);
    tg_watch_set(ends[0].watch, TG_WATCH_WRITE);
    turn(loop, 4);
    assert_int_equal(ends[0].writes, 4);
    tg_watch_set(ends[0].watch, 0);
    turn(loop, 3);
    assert_int_equal(ends[0].writes, 4);
    tg_watch_set(ends[0].watch, TG_WATCH_READ | TG_WATCH_WRITE);
    assert_int_equal(write(ends[1].fd, "x", 1), 1);
    turn(loop, 2);
    assert_int_equal(ends[0].writes, 6);
    assert_int_equal(ends[0].reads, 2);
    close_pair(ends);
    tg_loop_destroy(loop);
}

static void interest_switched_back_and_forth_counts_as_it_stands(void **state)
{
    (void)state;
    tg_loop_t *loop = tg_loop_create();
    struct end ends[2];
    open_pair(loop, ends);
    for (int i = 0; i < 5; i++) {
        tg_watch_set(ends[0].watch, TG_WATCH_WRITE);
        tg_watch_set(ends[0].watch, 0);
        tg_watch_set(ends[0].watch, TG_WATCH_READ);
        tg_watch_set(ends[0].watch, TG_WATCH_READ);
    }
    turn(loop, 3);
    assert_int_equal(ends[0].reads + ends[0].writes, 0);
    tg_watch_set(ends[0].watch, TG_WATCH_WRITE);
    turn(loop, 1);
    assert_int_equal(ends[0].writes, 1);
    close_pair(ends);
    tg_loop_destroy(loop);
}

static void interest_dropped_inside_the_callback_ends_the_calls(void **state)
{
    (void)state;
    tg_loop_t *loop = tg_loop_create();
    struct end ends[2];
    open_pair(loop, ends);
    ends[0].stop_after = 1;
    assert_int_equal(write(ends[1].fd, "x", 1), 1);
    tg_watch_set(ends[0].watch, TG_WATCH_READ | TG_WATCH_WRITE);
    turn(loop, 4);
    assert_int_equal(ends[0].reads + ends[0].writes, 1);
    close_pair(ends);
    tg_loop_destroy(loop);
}

static void a_watch_may_close_itself_and_a_ready_neighbour(void **state)
{
    (void)state;
    for (unsigned interest = 1; interest <= 3; interest++) {
        tg_loop_t *loop = tg_loop_create();
        struct end ends[2];
        open_pair(loop, ends);
        for (int i = 0; i < 2; i++) {
            ends[i].close_inside = true;
            ends[i].other = &ends[1 - i];
            assert_int_equal(write(ends[i].fd, "x", 1), 1);
            tg_watch_set(ends[i].watch, interest);
        }
        turn(loop, 3); /* one of them closes both; ASan sees any later touch */
        assert_int_equal(ends[0].reads + ends[0].writes + ends[1].reads + ends[1].writes, 1);
        close_pair(ends);
        tg_loop_destroy(loop);
    }
}

static void close_from_post(void *arg)
{
    struct end *end = arg;
    tg_watch_close(end->watch);
    end->watch = NULL;
}

static void a_watch_may_be_closed_by_a_post_and_opened_anew(void **state)
{
    (void)state;
    tg_loop_t *loop = tg_loop_create();
    struct end ends[2];
    open_pair(loop, ends);
    for (int i = 0; i < 20; i++) {
        tg_watch_set(ends[0].watch, TG_WATCH_READ | TG_WATCH_WRITE);
        assert_int_equal(tg_loop_post(loop, close_from_post, &ends[0]), TG_OK);
        turn(loop, 1 + i % 2);
        assert_null(ends[0].watch);
        ends[0].watch = tg_watch_open(loop, ends[0].fd, on_ready, &ends[0]);
    }
    close_pair(ends);
    tg_loop_destroy(loop);
}

static void a_gone_peer_shows_as_readable(void **state)
{
    (void)state;
    tg_loop_t *loop = tg_loop_create();
    struct end ends[2];
    open_pair(loop, ends);
    tg_watch_set(ends[0].watch, TG_WATCH_READ);
    tg_watch_close(ends[1].watch);
    assert_int_equal(close(ends[1].fd), 0);
    turn(loop, 2);
    assert_int_equal(ends[0].reads, 2);
    tg_watch_close(ends[0].watch);
    assert_int_equal(close(ends[0].fd), 0);
    tg_loop_destroy(loop);
}

static void what_cannot_be_polled_is_refused(void **state)
{
    (void)state;
    tg_loop_t *loop = tg_loop_create();
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_null(tg_watch_open(loop, fileno(file), on_ready, NULL));
    assert_null(tg_watch_open(loop, -1, on_ready, NULL));
    fclose(file);
    tg_watch_close(NULL);
    turn(loop, 1);
    tg_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readable_is_level_triggered),
        cmocka_unit_test(writable_repeats_while_the_interest_holds),
        cmocka_unit_test(interest_switched_back_and_forth_counts_as_it_stands),
        cmocka_unit_test(interest_dropped_inside_the_callback_ends_the_calls),
        cmocka_unit_test(a_watch_may_close_itself_and_a_ready_neighbour),
        cmocka_unit_test(a_watch_may_be_closed_by_a_post_and_opened_anew),
        cmocka_unit_test(a_gone_peer_shows_as_readable),
        cmocka_unit_test(what_cannot_be_polled_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
