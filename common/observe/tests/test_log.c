/* The log through its only outlet: standard error, redirected to a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <unistd.h>

#include "common/base/time.h"
#include "common/observe/log.h"

static char captured[1 << 20];
static int kept_stderr;
static FILE *file;

static void begin_capture(void)
{
    fflush(stderr);
    kept_stderr = dup(STDERR_FILENO);
    file = tmpfile();
    assert_non_null(file);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
}

static const char *end_capture(void)
{
    assert_true(dup2(kept_stderr, STDERR_FILENO) >= 0);
    close(kept_stderr);
    rewind(file);
    captured[fread(captured, 1, sizeof(captured) - 1, file)] = '\0';
    fclose(file);
    return captured;
}

static size_t count(const char *text, const char *word)
{
    size_t found = 0;
    for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word))
        found++;
    return found;
}

/* Waits, without sleeping, for the limiter's next one-second window. */
static void pass_a_second(void)
{
    uint64_t second = tg_time_mono_ms() / 1000;
    while (tg_time_mono_ms() / 1000 == second)
        ;
}

static void a_line_has_the_fields_in_order(void **state)
{
    (void)state;
    assert_int_equal(tg_log_open("worker", "debug", NULL), TG_OK);
    begin_capture();
    tg_log_warn("batch_failed", TG_F_STR("topic", TG_STR("events.order")), TG_F_INT("rows", -5),
                TG_F_REAL("seconds", 0.25), TG_F_TEXT("error", "a \"quoted\"\nline"));
    tg_log_info("bare_event");
    const char *text = end_capture();
    assert_memory_equal(text, "{\"ts\":\"20", 9);
    assert_non_null(strstr(text,
                           "Z\",\"level\":\"warn\",\"service\":\"worker\","
                           "\"event\":\"batch_failed\",\"topic\":\"events.order\",\"rows\":-5,"
                           "\"seconds\":0.25,\"error\":\"a \\\"quoted\\\"\\nline\"}\n"));
    assert_non_null(strstr(text, "\"event\":\"bare_event\"}\n"));
    assert_int_equal(count(text, "\n"), 2);
}

static void lower_levels_are_not_written(void **state)
{
    (void)state;
    assert_int_equal(tg_log_open("worker", "warn", NULL), TG_OK);
    begin_capture();
    tg_log_debug("one");
    tg_log_info("two");
    tg_log_error("three");
    const char *text = end_capture();
    assert_int_equal(count(text, "\n"), 1);
    assert_non_null(strstr(text, "three"));
}

static void a_wrong_level_is_refused_by_name(void **state)
{
    (void)state;
    tg_error_t error;
    assert_int_equal(tg_log_open("worker", "loud", &error), TG_INVALID);
    assert_non_null(strstr(error.text, "loud"));
}

static void a_long_value_is_cut_and_the_line_stays_whole(void **state)
{
    (void)state;
    static char large[20000];
    memset(large, 'x', sizeof(large));
    assert_int_equal(tg_log_open("worker", "info", NULL), TG_OK);
    begin_capture();
    tg_log_info("long_value", TG_F_STR("text", ((tg_str_t){large, sizeof(large)})),
                TG_F_INT("after", 1));
    memset(large, 1, sizeof(large)); /* each byte becomes six */
    tg_log_info("long_controls", TG_F_STR("text", ((tg_str_t){large, sizeof(large)})));
    const char *text = end_capture();
    assert_int_equal(count(text, "\n"), 2);
    const char *end = strchr(text, '\n');
    assert_in_range(end - text, 1000, 8191);
    assert_memory_equal(end - 13, "x\",\"after\":1}", 13);
    assert_in_range(strlen(end + 1), 7000, 8192);
    assert_memory_equal(end + 1 + strlen(end + 1) - 3, "\"}\n", 3);
}

static void repetitions_are_summed_up(void **state)
{
    (void)state;
    assert_int_equal(tg_log_open("worker", "info", NULL), TG_OK);
    begin_capture();
    pass_a_second();
    for (int i = 0; i < 1000; i++)
        tg_log_error("database_away");
    tg_log_info("another_event");
    pass_a_second();
    tg_log_info("yet_another");
    const char *text = end_capture();
    if (count(text, "\"event\":\"database_away\"") != 11)
        fail_msg("%zu lines", count(text, "\"event\":\"database_away\""));
    assert_int_equal(count(text, "\"level\":\"error\",\"service\":\"worker\",\"event\":"
                                 "\"database_away\",\"suppressed\":990}"),
                     1);
    assert_int_equal(count(text, "another"), 2);
}

static void *log_many(void *arg)
{
    for (int i = 0; i < 200; i++)
        tg_log_info((const char *)arg, TG_F_INT("i", i));
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    (void)state;
    const char *const events[] = {"thread_a", "thread_b", "thread_c", "thread_d"};
    pthread_t threads[TG_ARRAY_LEN(events)];
    assert_int_equal(tg_log_open("worker", "info", NULL), TG_OK);
    begin_capture();
    for (size_t i = 0; i < TG_ARRAY_LEN(events); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, (void *)events[i]), 0);
    for (size_t i = 0; i < TG_ARRAY_LEN(events); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    char *text = (char *)end_capture();
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        assert_memory_equal(line, "{\"ts\":", 6);
        assert_int_equal(line[strlen(line) - 1], '}');
        assert_int_equal(count(line, "\"event\""), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_the_fields_in_order),
        cmocka_unit_test(lower_levels_are_not_written),
        cmocka_unit_test(a_wrong_level_is_refused_by_name),
        cmocka_unit_test(a_long_value_is_cut_and_the_line_stays_whole),
        cmocka_unit_test(repetitions_are_summed_up),
        cmocka_unit_test(lines_of_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
