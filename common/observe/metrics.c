/* The registry: rows are laid out once into one array of slots per shard.
 *
 * A counter or gauge series is one slot; a histogram series is one slot per bucket and one for the
 * sum. Each shard has one writer, so an increment is a relaxed load and store without a locked
 * instruction; a scrape may see a bucket before its sum, never a torn value. The count of a
 * histogram is the sum of its buckets and therefore always agrees with them. */
#include "common/observe/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/observe/process_metrics.h"

#define CACHE_LINE     64
#define COLLECTORS_MAX 16
#define LABEL_SETS_MAX 4
#define LABEL_TEXT_MAX 512 /* bytes of one series' rendered labels */

/* Upper bounds, and the text they have in `le`. */
static const struct bound {
    double le;
    const char *text;
} bounds[] = {
    // clang-format off
    {1e-4, "0.0001"}, {2.5e-4, "0.00025"}, {5e-4, "0.0005"},
    {1e-3, "0.001"},  {2.5e-3, "0.0025"},  {5e-3, "0.005"},
    {1e-2, "0.01"},   {2.5e-2, "0.025"},   {5e-2, "0.05"},
    {1e-1, "0.1"},    {2.5e-1, "0.25"},    {5e-1, "0.5"},
    {1e0,  "1"},      {2.5e0,  "2.5"},     {5e0,  "5"},
    {1e1,  "10"},     {2.5e1,  "25"},      {5e1,  "50"},
    {1e2,  "100"},    {2.5e2,  "250"},     {5e2,  "500"},
    {1e3,  "1000"},   {2.5e3,  "2500"},    {5e3,  "5000"},
    {1e4,  "10000"},
    // clang-format on
};

#define BUCKETS         (TG_ARRAY_LEN(bounds) + 1) /* the last is +Inf */
#define HISTOGRAM_SLOTS (BUCKETS + 1)              /* the last is the sum, a double's bits */

struct metric {
    const tg_metric_desc_t *desc;
    unsigned series_count;
    size_t first_slot;
    char **labels; /* per series: rendered, without braces; owned */
};

struct tg_metrics_shard {
    const tg_metrics_t *metrics;
    _Atomic uint64_t *slots; /* owned, on its own cache lines */
};

struct tg_metrics {
    struct metric *metrics;
    size_t metric_count, slot_count;
    pthread_mutex_t mutex; /* guards what follows */
    size_t shard_count, collector_count;
    tg_metrics_shard_t shards[TG_METRIC_SHARDS_MAX];
    struct {
        tg_metrics_collect_fn collect;
        void *arg;
    } collectors[COLLECTORS_MAX];
};

/* One "name=a|b|c" of a row. */
struct label_set {
    tg_str_t name, values;
    unsigned count;
};

/* The text before the next `separator`; `text` moves behind it. */
static tg_str_t cut(tg_str_t *text, char separator)
{
    const char *end = text->len == 0 ? NULL : memchr(text->ptr, separator, text->len);
    size_t len = end == NULL ? text->len : (size_t)(end - text->ptr);
    tg_str_t head = {text->ptr, len};
    size_t used = end == NULL ? len : len + 1;
    text->ptr += used;
    text->len -= used;
    return head;
}

/* A name of a metric or label; another one is a bug of the row. */
static void check_name(tg_str_t name)
{
    bool ok = name.len > 0;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        ok = ok && (letter || (i > 0 && c >= '0' && c <= '9'));
    }
    assert(ok);
    (void)ok;
}

static unsigned count_values(tg_str_t values)
{
    unsigned count = 0;
    while (values.len > 0) {
        tg_str_t value = cut(&values, '|');
        assert(value.len > 0);
        assert(memchr(value.ptr, '"', value.len) == NULL);
        assert(memchr(value.ptr, '\\', value.len) == NULL);
        count += value.len > 0;
    }
    return count;
}

static size_t parse_label_sets(const char *text, struct label_set sets[LABEL_SETS_MAX])
{
    tg_str_t rest = tg_str_from(text);
    size_t count = 0;
    while (rest.len > 0) {
        assert(count < LABEL_SETS_MAX);
        tg_str_t set = cut(&rest, ',');
        struct label_set *out = &sets[count++];
        out->name = cut(&set, '=');
        out->values = set;
        out->count = count_values(set);
        check_name(out->name);
        assert(out->count > 0);
    }
    return count;
}

static tg_str_t nth_value(tg_str_t values, unsigned index)
{
    tg_str_t value = cut(&values, '|');
    for (unsigned i = 0; i < index; i++)
        value = cut(&values, '|');
    return value;
}

/* `a="x",b="1"` of one series, owned; NULL without memory. */
static char *render_labels(const struct label_set *sets, size_t count, unsigned series)
{
    char *text = malloc(LABEL_TEXT_MAX);
    if (text == NULL)
        return NULL;
    tg_buf_t buf = {.data = text, .cap = LABEL_TEXT_MAX, .max = LABEL_TEXT_MAX};
    unsigned below = 1; /* series per value of the current set */
    for (size_t i = 1; i < count; i++)
        below *= sets[i].count;
    for (size_t i = 0; i < count; i++) {
        tg_str_t value = nth_value(sets[i].values, series / below % sets[i].count);
        tg_buf_printf(&buf, "%s" TG_STR_FMT "=\"" TG_STR_FMT "\"", i == 0 ? "" : ",",
                      TG_STR_ARG(sets[i].name), TG_STR_ARG(value));
        if (i + 1 < count)
            below /= sets[i + 1].count;
    }
    tg_buf_byte(&buf, '\0');
    assert(!buf.failed);
    return text;
}

static size_t slots_per_series(const struct metric *metric)
{
    return metric->desc->kind == TG_HISTOGRAM ? HISTOGRAM_SLOTS : 1;
}

static bool init_metric(struct metric *metric, const tg_metric_desc_t *desc, size_t first_slot)
{
    assert(desc->name != NULL);
    check_name(tg_str_from(desc->name));
    assert(desc->help != NULL);
    struct label_set sets[LABEL_SETS_MAX];
    size_t set_count = parse_label_sets(desc->labels, sets);
    unsigned series = 1;
    for (size_t i = 0; i < set_count; i++)
        series *= sets[i].count;
    assert(series <= TG_METRIC_SERIES_MAX);
    *metric = (struct metric){.desc = desc, .series_count = series, .first_slot = first_slot};
    metric->labels = calloc(series, sizeof(*metric->labels));
    if (metric->labels == NULL)
        return false;
    for (unsigned i = 0; i < series; i++) {
        metric->labels[i] = render_labels(sets, set_count, i);
        if (metric->labels[i] == NULL)
            return false;
    }
    return true;
}

tg_metrics_t *tg_metrics_create(const tg_metric_desc_t *descs, size_t count)
{
    assert(descs != NULL || count == 0);
    tg_metrics_t *metrics = calloc(1, sizeof(*metrics));
    if (metrics == NULL)
        return NULL;
    if (pthread_mutex_init(&metrics->mutex, NULL) != 0)
        abort(); /* a default mutex on Linux cannot fail */
    metrics->metrics = calloc(count + 1, sizeof(*metrics->metrics));
    if (metrics->metrics == NULL)
        goto fail;
    for (size_t i = 0; i < count; i++) {
        struct metric *metric = &metrics->metrics[i];
        metrics->metric_count = i + 1;
        if (!init_metric(metric, &descs[i], metrics->slot_count))
            goto fail;
        metrics->slot_count += metric->series_count * slots_per_series(metric);
    }
    return metrics;

fail:
    tg_metrics_destroy(metrics);
    return NULL;
}

void tg_metrics_destroy(tg_metrics_t *metrics)
{
    if (metrics == NULL)
        return;
    for (size_t i = 0; i < metrics->shard_count; i++)
        free(metrics->shards[i].slots);
    for (size_t i = 0; metrics->metrics != NULL && i < metrics->metric_count; i++) {
        struct metric *metric = &metrics->metrics[i];
        for (unsigned s = 0; s < metric->series_count && metric->labels != NULL; s++)
            free(metric->labels[s]);
        free(metric->labels);
    }
    free(metrics->metrics);
    pthread_mutex_destroy(&metrics->mutex);
    free(metrics);
}

tg_metrics_shard_t *tg_metrics_shard(tg_metrics_t *metrics)
{
    assert(metrics != NULL);
    size_t bytes =
        (metrics->slot_count * sizeof(uint64_t) + CACHE_LINE) & ~(size_t)(CACHE_LINE - 1);
    _Atomic uint64_t *slots = aligned_alloc(CACHE_LINE, bytes);
    if (slots == NULL)
        return NULL;
    for (size_t i = 0; i < metrics->slot_count; i++)
        atomic_init(&slots[i], 0);
    tg_metrics_shard_t *shard = NULL;
    pthread_mutex_lock(&metrics->mutex);
    if (metrics->shard_count < TG_METRIC_SHARDS_MAX) {
        shard = &metrics->shards[metrics->shard_count++];
        *shard = (tg_metrics_shard_t){.metrics = metrics, .slots = slots};
    }
    pthread_mutex_unlock(&metrics->mutex);
    if (shard == NULL)
        free(slots);
    return shard;
}

/* The first slot of a series; wrong numbers, and verbs of another kind, are bugs of the caller. */
static _Atomic uint64_t *slots_of(const tg_metrics_shard_t *shard, tg_metric_kind_t kind,
                                  unsigned metric, unsigned series)
{
    assert(shard != NULL);
    assert(metric < shard->metrics->metric_count);
    const struct metric *row = &shard->metrics->metrics[metric];
    assert(row->desc->kind == kind);
    assert(series < row->series_count);
    (void)kind;
    return &shard->slots[row->first_slot + series * slots_per_series(row)];
}

static inline uint64_t load(_Atomic uint64_t *slot)
{
    return atomic_load_explicit(slot, memory_order_relaxed);
}

static inline void store(_Atomic uint64_t *slot, uint64_t value)
{
    atomic_store_explicit(slot, value, memory_order_relaxed);
}

void tg_metric_add(tg_metrics_shard_t *shard, unsigned metric, unsigned series, uint64_t n)
{
    _Atomic uint64_t *slot = slots_of(shard, TG_COUNTER, metric, series);
    store(slot, load(slot) + n);
}

void tg_metric_set(tg_metrics_shard_t *shard, unsigned metric, unsigned series, int64_t value)
{
    _Atomic uint64_t *slot = slots_of(shard, TG_GAUGE, metric, series);
    store(slot, (uint64_t)value);
}

static double bits_to_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static uint64_t double_to_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/* The first bucket whose bound is not below the value. */
static size_t bucket_of(double value)
{
    size_t low = 0, high = TG_ARRAY_LEN(bounds);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (value <= bounds[middle].le)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void tg_metric_observe(tg_metrics_shard_t *shard, unsigned metric, unsigned series, double value)
{
    _Atomic uint64_t *slots = slots_of(shard, TG_HISTOGRAM, metric, series);
    if (!isfinite(value))
        return; /* would spoil the sum for good */
    _Atomic uint64_t *bucket = &slots[bucket_of(value)], *sum = &slots[BUCKETS];
    store(bucket, load(bucket) + 1);
    store(sum, double_to_bits(bits_to_double(load(sum)) + value));
}

void tg_metrics_collector(tg_metrics_t *metrics, tg_metrics_collect_fn collect, void *arg)
{
    assert(metrics != NULL);
    assert(collect != NULL);
    pthread_mutex_lock(&metrics->mutex);
    assert(metrics->collector_count < COLLECTORS_MAX);
    metrics->collectors[metrics->collector_count].collect = collect;
    metrics->collectors[metrics->collector_count].arg = arg;
    metrics->collector_count++;
    pthread_mutex_unlock(&metrics->mutex);
}

static uint64_t sum_of(const tg_metrics_t *metrics, size_t shard_count, size_t slot)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < shard_count; i++)
        sum += load(&metrics->shards[i].slots[slot]);
    return sum;
}

static void render_head(const tg_metric_desc_t *desc, tg_buf_t *out)
{
    static const char *const kinds[] = {
        [TG_COUNTER] = "counter", [TG_GAUGE] = "gauge", [TG_HISTOGRAM] = "histogram"};
    tg_buf_printf(out, "# HELP %s ", desc->name);
    for (const char *at = desc->help; *at != '\0'; at++) {
        if (*at == '\\' || *at == '\n')
            tg_buf_byte(out, '\\');
        tg_buf_byte(out, *at == '\n' ? 'n' : *at);
    }
    tg_buf_printf(out, "\n# TYPE %s %s\n", desc->name, kinds[desc->kind]);
}

static void append_u64(tg_buf_t *out, uint64_t value)
{
    if (value <= INT64_MAX)
        tg_buf_i64(out, (int64_t)value);
    else
        tg_buf_printf(out, "%llu", (unsigned long long)value);
}

/* name{labels} and the space before the value; `le` is NULL outside of buckets. */
static void render_name(const struct metric *metric, const char *suffix, unsigned series,
                        const char *le, tg_buf_t *out)
{
    const char *labels = metric->labels[series];
    bool braces = labels[0] != '\0' || le != NULL;
    tg_buf_str(out, tg_str_from(metric->desc->name));
    tg_buf_str(out, tg_str_from(suffix));
    if (braces)
        tg_buf_byte(out, '{');
    tg_buf_str(out, tg_str_from(labels));
    if (le != NULL)
        tg_buf_printf(out, "%sle=\"%s\"", labels[0] != '\0' ? "," : "", le);
    if (braces)
        tg_buf_byte(out, '}');
    tg_buf_byte(out, ' ');
}

static void render_histogram(const tg_metrics_t *metrics, size_t shard_count,
                             const struct metric *metric, unsigned series, tg_buf_t *out)
{
    size_t first = metric->first_slot + (size_t)series * HISTOGRAM_SLOTS;
    uint64_t count = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        count += sum_of(metrics, shard_count, first + i);
        render_name(metric, "_bucket", series, i < TG_ARRAY_LEN(bounds) ? bounds[i].text : "+Inf",
                    out);
        append_u64(out, count);
        tg_buf_byte(out, '\n');
    }
    double sum = 0;
    for (size_t i = 0; i < shard_count; i++)
        sum += bits_to_double(load(&metrics->shards[i].slots[first + BUCKETS]));
    render_name(metric, "_sum", series, NULL, out);
    tg_buf_json_double(out, sum);
    tg_buf_byte(out, '\n');
    render_name(metric, "_count", series, NULL, out);
    append_u64(out, count);
    tg_buf_byte(out, '\n');
}

static void render_metric(const tg_metrics_t *metrics, size_t shard_count,
                          const struct metric *metric, tg_buf_t *out)
{
    render_head(metric->desc, out);
    for (unsigned series = 0; series < metric->series_count; series++) {
        if (metric->desc->kind == TG_HISTOGRAM) {
            render_histogram(metrics, shard_count, metric, series, out);
            continue;
        }
        uint64_t sum = sum_of(metrics, shard_count, metric->first_slot + series);
        render_name(metric, "", series, NULL, out);
        if (metric->desc->kind == TG_GAUGE)
            tg_buf_i64(out, (int64_t)sum);
        else
            append_u64(out, sum);
        tg_buf_byte(out, '\n');
    }
}

void tg_metrics_render_own(tg_metrics_t *metrics, tg_buf_t *out)
{
    assert(metrics != NULL);
    assert(out != NULL);
    /* Shards and collectors are only ever added, so the counts are all that needs the mutex; a
     * collector may take as long as it likes without holding up a new thread. */
    pthread_mutex_lock(&metrics->mutex);
    size_t shard_count = metrics->shard_count, collector_count = metrics->collector_count;
    pthread_mutex_unlock(&metrics->mutex);
    for (size_t i = 0; i < metrics->metric_count; i++)
        render_metric(metrics, shard_count, &metrics->metrics[i], out);
    for (size_t i = 0; i < collector_count; i++)
        metrics->collectors[i].collect(metrics->collectors[i].arg, out);
}

void tg_metrics_render(tg_metrics_t *metrics, tg_buf_t *out)
{
    tg_metrics_render_own(metrics, out);
    tg_process_metrics_render(out);
}
