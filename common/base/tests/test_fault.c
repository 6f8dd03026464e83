/* Fault points in a child: the named passage kills or stops it, others do nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/fault.h"

#ifdef TG_FAULT_POINTS

/* Passes "one" three times and "two" once with the given setting; the child's wait status. */
static int run_child(const char *setting, int wait_flags, pid_t *out_pid)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)setenv("TIDEGATE_FAULT", setting, 1);
        fclose(stderr);
        for (int i = 0; i < 3; i++)
            tg_fault_point("one");
        tg_fault_point("two");
        _exit(7);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, wait_flags), pid);
    *out_pid = pid;
    return status;
}

static int end_of(const char *setting)
{
    pid_t pid;
    int status = run_child(setting, 0, &pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void the_counted_passage_kills(void **state)
{
    (void)state;
    assert_int_equal(end_of("one=kill"), -SIGKILL);
    assert_int_equal(end_of("one=kill@3"), -SIGKILL);
    assert_int_equal(end_of("other=kill,two=kill@1"), -SIGKILL);
}

static void what_is_not_reached_does_nothing(void **state)
{
    (void)state;
    assert_int_equal(end_of(""), 7);
    assert_int_equal(end_of("one=kill@4"), 7);
    assert_int_equal(end_of("on=kill,ones=kill"), 7);
}

static void a_malformed_setting_aborts(void **state)
{
    (void)state;
    assert_int_equal(end_of("one"), -SIGABRT);
    assert_int_equal(end_of("one=crash"), -SIGABRT);
    assert_int_equal(end_of("one=kill@0"), -SIGABRT);
    assert_int_equal(end_of("one=kill@x"), -SIGABRT);
    assert_int_equal(end_of("one=kill,"), -SIGABRT);
    assert_int_equal(end_of("=kill"), -SIGABRT);
}

static void a_stopped_process_goes_on_when_continued(void **state)
{
    (void)state;
    pid_t pid;
    int status = run_child("two=stop", WUNTRACED, &pid);
    assert_true(WIFSTOPPED(status));
    assert_int_equal(WSTOPSIG(status), SIGSTOP);
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_counted_passage_kills),
        cmocka_unit_test(what_is_not_reached_does_nothing),
        cmocka_unit_test(a_malformed_setting_aborts),
        cmocka_unit_test(a_stopped_process_goes_on_when_continued),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void without_fault_points_a_setting_does_nothing(void **state)
{
    (void)state;
    assert_int_equal(setenv("TIDEGATE_FAULT", "one=kill", 1), 0);
    tg_fault_point("one");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_fault_points_a_setting_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
