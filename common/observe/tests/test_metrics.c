/* Metrics as a scrape sees them, from one and from several threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>

#include "common/observe/metrics.h"

enum { EVENTS, QUEUE, SECONDS, PLAIN };

static const tg_metric_desc_t descs[] = {
    {TG_COUNTER, "tidegate_test_events_total", "type=order|session,result=ok|bad|late",
     "Events, by type."},
    {TG_GAUGE, "tidegate_test_queue_items", "", "Waiting \\ now\nhere."},
    {TG_HISTOGRAM, "tidegate_test_seconds", "op=read|write", "Time taken."},
    {TG_COUNTER, "tidegate_test_plain_total", "", "No labels."},
};

static char *render(tg_metrics_t *metrics)
{
    tg_buf_t out = tg_buf_make(1 << 20);
    tg_metrics_render(metrics, &out);
    tg_buf_byte(&out, '\0');
    assert_false(out.failed);
    return out.data;
}

static void assert_line(const char *text, const char *line)
{
    size_t len = strlen(line);
    for (const char *at = strstr(text, line); at != NULL; at = strstr(at + 1, line)) {
        if ((at == text || at[-1] == '\n') && at[len] == '\n')
            return;
    }
    fail_msg("no line \"%s\" in:\n%s", line, text);
}

static void series_are_row_major_and_shards_are_summed(void **state)
{
    (void)state;
    tg_metrics_t *metrics = tg_metrics_create(descs, TG_ARRAY_LEN(descs));
    tg_metrics_shard_t *one = tg_metrics_shard(metrics), *two = tg_metrics_shard(metrics);
    for (unsigned series = 0; series < 6; series++)
        tg_metric_add(one, EVENTS, series, series + 1);
    tg_metric_add(two, EVENTS, 5, 100);
    tg_metric_set(one, QUEUE, 0, 7);
    tg_metric_set(two, QUEUE, 0, -10);
    tg_metric_set(one, QUEUE, 0, 8);
    char *text = render(metrics);
    assert_line(text, "# HELP tidegate_test_events_total Events, by type.");
    assert_line(text, "# TYPE tidegate_test_events_total counter");
    assert_line(text, "tidegate_test_events_total{type=\"order\",result=\"ok\"} 1");
    assert_line(text, "tidegate_test_events_total{type=\"order\",result=\"late\"} 3");
    assert_line(text, "tidegate_test_events_total{type=\"session\",result=\"ok\"} 4");
    assert_line(text, "tidegate_test_events_total{type=\"session\",result=\"late\"} 106");
    assert_line(text, "# HELP tidegate_test_queue_items Waiting \\\\ now\\nhere.");
    assert_line(text, "# TYPE tidegate_test_queue_items gauge");
    assert_line(text, "tidegate_test_queue_items -2");
    assert_line(text, "tidegate_test_plain_total 0");
    free(text);
    tg_metrics_destroy(metrics);
}

static void histograms_are_cumulative(void **state)
{
    (void)state;
    tg_metrics_t *metrics = tg_metrics_create(descs, TG_ARRAY_LEN(descs));
    tg_metrics_shard_t *shard = tg_metrics_shard(metrics);
    const double values[] = {0, 0.0001, 0.00011, 0.3, 2.5, 1e4, 1e9, NAN, INFINITY};
    for (size_t i = 0; i < TG_ARRAY_LEN(values); i++)
        tg_metric_observe(shard, SECONDS, 1, values[i]);
    char *text = render(metrics);
    assert_line(text, "# TYPE tidegate_test_seconds histogram");
    assert_line(text, "tidegate_test_seconds_bucket{op=\"write\",le=\"0.0001\"} 2");
    assert_line(text, "tidegate_test_seconds_bucket{op=\"write\",le=\"0.00025\"} 3");
    assert_line(text, "tidegate_test_seconds_bucket{op=\"write\",le=\"0.25\"} 3");
    assert_line(text, "tidegate_test_seconds_bucket{op=\"write\",le=\"0.5\"} 4");
    assert_line(text, "tidegate_test_seconds_bucket{op=\"write\",le=\"1\"} 4");
    assert_line(text, "tidegate_test_seconds_bucket{op=\"write\",le=\"2.5\"} 5");
    assert_line(text, "tidegate_test_seconds_bucket{op=\"write\",le=\"10000\"} 6");
    assert_line(text, "tidegate_test_seconds_bucket{op=\"write\",le=\"+Inf\"} 7");
    assert_line(text, "tidegate_test_seconds_count{op=\"write\"} 7");
    assert_line(text, "tidegate_test_seconds_sum{op=\"write\"} 1000010002.80021");
    assert_line(text, "tidegate_test_seconds_bucket{op=\"read\",le=\"+Inf\"} 0");
    assert_line(text, "tidegate_test_seconds_sum{op=\"read\"} 0");
    free(text);
    tg_metrics_destroy(metrics);
}

static void append_lag(void *arg, tg_buf_t *out)
{
    tg_buf_printf(out, "# HELP lag Lag.\n# TYPE lag gauge\nlag %d\n", *(int *)arg);
}

static void collectors_and_the_process_are_rendered(void **state)
{
    (void)state;
    int lag = 42;
    tg_metrics_t *metrics = tg_metrics_create(descs, TG_ARRAY_LEN(descs));
    tg_metrics_collector(metrics, append_lag, &lag);
    char *text = render(metrics);
    assert_line(text, "lag 42");
    const char *const names[] = {"process_resident_memory_bytes ", "process_cpu_seconds_total ",
                                 "process_open_fds ", "process_start_time_seconds "};
    double values[TG_ARRAY_LEN(names)];
    for (size_t i = 0; i < TG_ARRAY_LEN(names); i++) {
        char start[64];
        (void)snprintf(start, sizeof(start), "\n%s", names[i]);
        const char *at = strstr(text, start);
        assert_non_null(at);
        values[i] = strtod(at + strlen(start), NULL);
    }
    assert_in_range((uint64_t)values[0], 1 << 20, (uint64_t)1 << 32);
    assert_in_range((uint64_t)values[2], 3, 100);
    assert_true(values[3] > 1.7e9);
    free(text);
    tg_metrics_destroy(metrics);
    tg_metrics_destroy(NULL);
}

static void there_is_a_limit_of_shards(void **state)
{
    (void)state;
    tg_metrics_t *metrics = tg_metrics_create(descs, TG_ARRAY_LEN(descs));
    for (int i = 0; i < TG_METRIC_SHARDS_MAX; i++)
        assert_non_null(tg_metrics_shard(metrics));
    assert_null(tg_metrics_shard(metrics));
    tg_metrics_destroy(metrics);
}

static void no_metrics_at_all_are_allowed(void **state)
{
    (void)state;
    tg_metrics_t *metrics = tg_metrics_create(NULL, 0);
    assert_non_null(tg_metrics_shard(metrics));
    free(render(metrics));
    tg_metrics_destroy(metrics);
}

static void *count_events(void *arg)
{
    tg_metrics_t *metrics = arg;
    tg_metrics_shard_t *shard = tg_metrics_shard(metrics);
    for (int i = 0; i < 20000; i++) {
        tg_metric_add(shard, PLAIN, 0, 1);
        tg_metric_observe(shard, SECONDS, 0, 0.5);
    }
    return NULL;
}

static void scrapes_beside_writers_lose_nothing(void **state)
{
    (void)state;
    tg_metrics_t *metrics = tg_metrics_create(descs, TG_ARRAY_LEN(descs));
    pthread_t threads[4];
    for (size_t i = 0; i < TG_ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_events, metrics), 0);
    for (int i = 0; i < 20; i++)
        free(render(metrics));
    for (size_t i = 0; i < TG_ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    char *text = render(metrics);
    assert_line(text, "tidegate_test_plain_total 80000");
    assert_line(text, "tidegate_test_seconds_count{op=\"read\"} 80000");
    assert_line(text, "tidegate_test_seconds_sum{op=\"read\"} 40000");
    free(text);
    tg_metrics_destroy(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(series_are_row_major_and_shards_are_summed),
        cmocka_unit_test(histograms_are_cumulative),
        cmocka_unit_test(collectors_and_the_process_are_rendered),
        cmocka_unit_test(there_is_a_limit_of_shards),
        cmocka_unit_test(no_metrics_at_all_are_allowed),
        cmocka_unit_test(scrapes_beside_writers_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
