/* See meter.h. */
#include "worker/upkeep/tests/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

int test_meter_open(test_meter_t *meter)
{
    meter->metrics = tg_metrics_create(tg_worker_metrics, WK_METRIC_COUNT);
    meter->shard = meter->metrics == NULL ? NULL : tg_metrics_shard(meter->metrics);
    return meter->shard == NULL ? -1 : 0;
}

void test_meter_close(test_meter_t *meter)
{
    tg_metrics_destroy(meter->metrics);
}

long test_meter_read(const test_meter_t *meter, const char *name)
{
    tg_buf_t text = tg_buf_make(1 << 20);
    tg_metrics_render_own(meter->metrics, &text);
    tg_buf_append(&text, "", 1);
    assert_false(text.failed);
    const char *at = strstr(text.data, name);
    assert_non_null(at);
    long value = strtol(at + strlen(name), NULL, 10);
    tg_buf_dispose(&text);
    return value;
}
