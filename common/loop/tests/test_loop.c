/* The loop: posts from other threads, stopping, and what is left at destroy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <h2o.h>

#include "common/base/time.h"
#include "common/loop/loop.h"

static void count_up(void *arg)
{
    ++*(int *)arg;
}

static int open_descriptors(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

static void create_and_destroy_leave_no_descriptor(void **state)
{
    (void)state;
    int before = open_descriptors();
    for (int i = 0; i < 10; i++) {
        tg_loop_t *loop = tg_loop_create();
        assert_non_null(loop);
        assert_non_null(tg_loop_h2o(loop));
        if (i % 2 == 0)
            tg_loop_turn(loop, 0);
        tg_loop_destroy(loop);
    }
    assert_int_equal(open_descriptors(), before);
    tg_loop_destroy(NULL);
}

static void a_post_runs_once_and_not_before_it_returns(void **state)
{
    (void)state;
    int runs = 0;
    tg_loop_t *loop = tg_loop_create();
    assert_int_equal(tg_loop_post(loop, count_up, &runs), TG_OK);
    assert_int_equal(runs, 0);
    tg_loop_turn(loop, 60000); /* the wake-up ends the wait */
    assert_int_equal(runs, 1);
    tg_loop_turn(loop, 0);
    assert_int_equal(runs, 1);
    tg_loop_destroy(loop);
}

static void the_limit_of_waiting_posts_is_an_answer(void **state)
{
    (void)state;
    int runs = 0;
    tg_loop_t *loop = tg_loop_create();
    for (int i = 0; i < TG_LOOP_POSTS_MAX; i++)
        assert_int_equal(tg_loop_post(loop, count_up, &runs), TG_OK);
    assert_int_equal(tg_loop_post(loop, count_up, &runs), TG_FULL);
    tg_loop_turn(loop, 0);
    assert_int_equal(runs, TG_LOOP_POSTS_MAX);
    assert_int_equal(tg_loop_post(loop, count_up, &runs), TG_OK);
    tg_loop_destroy(loop); /* runs it */
    assert_int_equal(runs, TG_LOOP_POSTS_MAX + 1);
}

struct chain {
    tg_loop_t *loop;
    int left;
};

static void post_next(void *arg)
{
    struct chain *chain = arg;
    if (--chain->left > 0)
        assert_int_equal(tg_loop_post(chain->loop, post_next, chain), TG_OK);
}

static void a_post_of_a_post_runs_a_turn_later_and_also_at_destroy(void **state)
{
    (void)state;
    struct chain chain = {.loop = tg_loop_create(), .left = 4};
    assert_int_equal(tg_loop_post(chain.loop, post_next, &chain), TG_OK);
    tg_loop_turn(chain.loop, 0);
    assert_int_equal(chain.left, 3);
    tg_loop_turn(chain.loop, 60000);
    assert_int_equal(chain.left, 2);
    tg_loop_destroy(chain.loop);
    assert_int_equal(chain.left, 0);
}

static void stop_before_run_makes_run_return(void **state)
{
    (void)state;
    tg_loop_t *loop = tg_loop_create();
    tg_loop_stop(loop);
    tg_loop_run(loop);
    tg_loop_destroy(loop);
}

enum { POSTERS = 4, POSTS = 20000 };

struct meeting {
    tg_loop_t *loop;
    int seen; /* the loop's thread only: TSan would see a second writer */
};

static void on_meeting_post(void *arg)
{
    struct meeting *meeting = arg;
    if (++meeting->seen == POSTERS * POSTS)
        tg_loop_stop(meeting->loop);
}

static void *post_many(void *arg)
{
    struct meeting *meeting = arg;
    for (int i = 0; i < POSTS; i++) {
        while (tg_loop_post(meeting->loop, on_meeting_post, meeting) == TG_FULL)
            (void)sched_yield();
    }
    return NULL;
}

static void posts_of_many_threads_all_arrive(void **state)
{
    (void)state;
    struct meeting meeting = {.loop = tg_loop_create()};
    pthread_t threads[POSTERS];
    for (size_t i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &meeting), 0);
    tg_loop_run(meeting.loop);
    for (size_t i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(meeting.seen, POSTERS * POSTS);
    tg_loop_destroy(meeting.loop);
}

static void *stop_it(void *arg)
{
    tg_loop_stop(arg);
    return NULL;
}

static void another_thread_can_stop_a_waiting_loop(void **state)
{
    (void)state;
    tg_loop_t *loop = tg_loop_create();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop_it, loop), 0);
    tg_loop_run(loop);
    assert_int_equal(pthread_join(thread, NULL), 0);
    tg_loop_destroy(loop);
}

struct writer {
    h2o_socket_t *socket;
    int written;
};

static void on_written(h2o_socket_t *socket, const char *err)
{
    struct writer *writer = socket->data;
    assert_null(err);
    writer->written++;
}

static void write_to_socket(void *arg)
{
    struct writer *writer = arg;
    h2o_iovec_t bytes = {.base = (char *)"x", .len = 1};
    h2o_socket_write(writer->socket, &bytes, 1, on_written);
}

static void write_and_close(void *arg)
{
    struct writer *writer = arg;
    write_to_socket(arg);
    h2o_socket_close(writer->socket);
}

/* h2o keeps finished work pending until its next poll; the loop must not leave it there. */
static void a_socket_written_by_a_post_completes_in_the_same_turn(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    tg_loop_t *loop = tg_loop_create();
    struct writer writer = {.socket = h2o_evloop_socket_create(tg_loop_h2o(loop), fds[0], 0)};
    writer.socket->data = &writer;
    assert_int_equal(tg_loop_post(loop, write_to_socket, &writer), TG_OK);
    tg_loop_turn(loop, 0);
    assert_int_equal(writer.written, 1);
    assert_int_equal(tg_loop_post(loop, write_and_close, &writer), TG_OK);
    tg_loop_turn(loop, 0);
    tg_loop_turn(loop, 0);
    assert_int_equal(writer.written, 1); /* closed before it could be told */
    close(fds[1]);
    tg_loop_destroy(loop);
}

static void on_alarm(int number)
{
    (void)number;
}

static void a_signal_during_the_wait_ends_the_turn_only(void **state)
{
    (void)state;
    const struct sigaction action = {.sa_handler = on_alarm};
    struct sigaction old;
    tg_loop_t *loop = tg_loop_create();
    assert_int_equal(sigaction(SIGALRM, &action, &old), 0);
    assert_int_equal(ualarm(20000, 0), 0);
    tg_loop_turn(loop, 60000);
    assert_int_equal(sigaction(SIGALRM, &old, NULL), 0);
    int runs = 0;
    assert_int_equal(tg_loop_post(loop, count_up, &runs), TG_OK);
    tg_loop_turn(loop, 60000);
    assert_int_equal(runs, 1);
    tg_loop_destroy(loop);
}

static void the_clock_outside_of_a_turn_is_now(void **state)
{
    (void)state;
    tg_loop_t *loop = tg_loop_create();
    uint64_t before = tg_time_mono_ms();
    uint64_t now = tg_loop_now_ms(loop);
    assert_in_range(now, before, tg_time_mono_ms());
    tg_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_and_destroy_leave_no_descriptor),
        cmocka_unit_test(a_post_runs_once_and_not_before_it_returns),
        cmocka_unit_test(the_limit_of_waiting_posts_is_an_answer),
        cmocka_unit_test(a_post_of_a_post_runs_a_turn_later_and_also_at_destroy),
        cmocka_unit_test(stop_before_run_makes_run_return),
        cmocka_unit_test(posts_of_many_threads_all_arrive),
        cmocka_unit_test(another_thread_can_stop_a_waiting_loop),
        cmocka_unit_test(a_socket_written_by_a_post_completes_in_the_same_turn),
        cmocka_unit_test(a_signal_during_the_wait_ends_the_turn_only),
        cmocka_unit_test(the_clock_outside_of_a_turn_is_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
