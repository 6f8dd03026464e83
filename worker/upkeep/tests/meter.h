/* The worker's metrics in a test: a shard to count in, and the numbers as Prometheus would read
 * them.
 *
 * Threads: one. */
#ifndef TG_WORKER_UPKEEP_TESTS_METER_H
#define TG_WORKER_UPKEEP_TESTS_METER_H

#include "worker/metrics.h"

typedef struct test_meter {
    tg_metrics_t *metrics;
    tg_metrics_shard_t *shard;
} test_meter_t;

int test_meter_open(test_meter_t *meter); /* 0 on success */
void test_meter_close(test_meter_t *meter);

/* The number after `name` in the metrics' text; it must be there. */
long test_meter_read(const test_meter_t *meter, const char *name);

#endif
