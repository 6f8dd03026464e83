/* Prometheus metrics (text format 0.0.4), declared in tables, counted in per-thread shards.
 *
 * A metric's label values are a closed set written in its row ("result=stored|duplicate"), so its
 * series are an array and no request text ever becomes a label. Each thread adds to its own shard
 * with relaxed atomics of one writer: no lock and no shared cache line per event; a scrape sums the
 * shards. Values that only the scrape knows (queue lengths, lag per partition) come from
 * collectors.
 *
 * Threads: a shard belongs to one thread; tg_metrics_render may run on any. */
#ifndef TG_METRICS_H
#define TG_METRICS_H

#include "common/base/str.h"

typedef enum tg_metric_kind { TG_COUNTER, TG_GAUGE, TG_HISTOGRAM } tg_metric_kind_t;

#define TG_METRIC_SERIES_MAX 256 /* series of one metric */
#define TG_METRIC_SHARDS_MAX 64

typedef struct tg_metric_desc {
    tg_metric_kind_t kind;
    const char *name;   /* tidegate_<service>_<what>_<unit>[_total] */
    const char *labels; /* "" or "result=stored|duplicate" or "a=x|y,b=1|2" */
    const char *help;
} tg_metric_desc_t;

/* A service lists its rows once in a .def file as TG_METRIC(id, kind, name, labels, help):
 *   enum { #define TG_METRIC(id, ...) id, ... #include "worker/metrics.def" };
 *   static const tg_metric_desc_t descs[] = { #define TG_METRIC(id, kind, ...) {TG_##kind,
 * __VA_ARGS__}, ... }; */

typedef struct tg_metrics tg_metrics_t;
typedef struct tg_metrics_shard tg_metrics_shard_t;

/* Returns an owned registry over `descs` (borrowed for good), or NULL when out of memory. A bad row
 * is a bug and asserts. */
tg_metrics_t *tg_metrics_create(const tg_metric_desc_t *descs, size_t count);
void tg_metrics_destroy(tg_metrics_t *metrics);

/* A new shard for the calling thread, owned by the registry; NULL beyond TG_METRIC_SHARDS_MAX. */
tg_metrics_shard_t *tg_metrics_shard(tg_metrics_t *metrics);

/* `series` is the index in the row's label sets, row-major (a=x|y,b=1|2: x1 0, x2 1, y1 2, y2 3);
 * 0 without labels. A gauge is the sum of what the shards set. A histogram takes seconds (or
 * bytes, rows: its unit) and has fixed buckets of 1, 2.5, 5 per decade from 1e-4 to 1e4. */
void tg_metric_add(tg_metrics_shard_t *shard, unsigned metric, unsigned series, uint64_t n);
void tg_metric_set(tg_metrics_shard_t *shard, unsigned metric, unsigned series, int64_t value);
void tg_metric_observe(tg_metrics_shard_t *shard, unsigned metric, unsigned series, double value);

/* Called at each scrape on the scraping thread; appends complete text lines (HELP, TYPE, samples)
 * to `out`. At most 16 collectors. */
typedef void (*tg_metrics_collect_fn)(void *arg, tg_buf_t *out);
void tg_metrics_collector(tg_metrics_t *metrics, tg_metrics_collect_fn collect, void *arg);

/* Appends all metrics, and the process's own (process_resident_memory_bytes,
 * process_cpu_seconds_total, process_open_fds, process_start_time_seconds). */
void tg_metrics_render(tg_metrics_t *metrics, tg_buf_t *out);

/* The same without the process's own, for a second registry in one answer. */
void tg_metrics_render_own(tg_metrics_t *metrics, tg_buf_t *out);

#endif
