/* What one event costs on its way through the codec: JSON text of an order to a Kafka value, back
 * to a store row, and through a newer schema.
 *
 * Each figure is the median over rounds of the mean time per event, so that a busy neighbour on the
 * machine moves it little. The first lines are the floor: simdjson's parse with the nodes, and the
 * Avro encoding alone; the last ones are libavro with the same order. Beside each stands how often
 * an event made the program allocate: this file takes the place of the C library's allocator to
 * count that. Run on one pinned core: `bench_codec [rounds]`. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/avro/resolve.h"
#include "common/base/tests/allocations.h"
#include "common/event/event.h"
#include "loadtest/codec_libavro.h"

#define EVENTS_PER_ROUND 20000
#define ROUNDS_MAX       1001
#define SCHEMA_MAX       65536

/* The order of the documentation, and one as a shop sends it: 276 bytes. */
static const char short_order[] =
    "{\"order_id\":\"o-1\",\"customer_id\":\"c-1\",\"amount\":120.5,\"currency\":\"USD\","
    "\"channel\":\"web\",\"event_time\":\"2026-02-03T10:00:00Z\"}";
static const char long_order[] =
    "{\n    \"order_id\": \"ord-2026-02-03-000000012345-eu-central\",\n"
    "    \"customer_id\": \"customer-00000000042-gold-member\",\n    \"amount\": 12034.57,\n"
    "    \"currency\": \"USD\",\n    \"channel\": \"web-storefront-north-america-checkout-v2\",\n"
    "    \"event_time\": \"2026-02-03T10:00:00.123456+00:00\"\n}\n         ";

/* The order's schema with a field more, as the next version would have it. */
#define NEWER_FIELD                                                                                \
    ",{\"name\": \"coupon\", \"type\": [\"null\", \"string\"], \"default\": null}\n  ]\n}\n"

struct bench {
    tg_str_t text;
    tg_json_parser_t *parser;
    tg_event_codec_t *codec;
    tg_avro_codec_t *avro;
    tg_avro_schema_t *schema, *newer;
    tg_avro_plan_t *plan; /* schema to newer */
    tg_event_type_t *type;
    tg_libavro_t *libavro; /* NULL: not installed */
    tg_libavro_order_t order;
    tg_buf_t resolved;
    tg_event_rules_t rules;
    tg_buf_t out, payload;
    tg_event_t event;
    const tg_json_node_t *nodes;
    size_t failures;
};

/* --- what is measured --- */

/* CPU time, so that a neighbour who takes the processor away is not measured. */
static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static const tg_json_node_t *parse(struct bench *b)
{
    const tg_json_node_t *nodes;
    size_t count;
    b->failures += tg_json_parse(b->parser, b->text, &nodes, &count, NULL) != TG_OK;
    return nodes;
}

static void run_parse(struct bench *b)
{
    (void)parse(b);
}

static void run_avro(struct bench *b)
{
    tg_avro_error_t error;
    tg_buf_clear(&b->out);
    b->failures += tg_avro_encode(b->avro, tg_avro_schema_root(b->schema), parse(b), 0, 0, &b->out,
                                  &error) != TG_OK;
}

static void run_event(struct bench *b)
{
    tg_event_error_t error;
    tg_buf_clear(&b->out);
    b->failures += tg_event_encode(b->codec, b->type, &b->rules, parse(b), 0, &b->out, &b->event,
                                   &error) != TG_OK;
}

static void run_decode(struct bench *b)
{
    tg_event_t event = {0};
    tg_buf_clear(&b->payload);
    b->failures += tg_event_decode(b->codec, b->type, tg_buf_view(&b->out), &event, &b->payload,
                                   NULL) != TG_OK;
}

static void run_nodes(struct bench *b)
{
    tg_event_error_t error;
    tg_buf_clear(&b->out);
    b->failures += tg_event_encode(b->codec, b->type, &b->rules, b->nodes, 0, &b->out, &b->event,
                                   &error) != TG_OK;
}

static tg_str_t body_of(const struct bench *b)
{
    return (tg_str_t){b->out.data + 5, b->out.len - 5}; /* behind magic byte and schema id */
}

static void run_resolve(struct bench *b)
{
    tg_avro_error_t error;
    tg_buf_clear(&b->resolved);
    b->failures += tg_avro_resolve(b->avro, b->plan, body_of(b), 0, &b->resolved, &error) != TG_OK;
}

static void run_libavro_write(struct bench *b)
{
    b->failures += tg_libavro_write(b->libavro, &b->order).len != b->out.len - 5;
}

static void run_libavro_read(struct bench *b)
{
    tg_libavro_order_t order;
    b->failures += !tg_libavro_read(b->libavro, body_of(b), &order);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(struct bench *b, const char *what, void (*run)(struct bench *), size_t rounds)
{
    static double means[ROUNDS_MAX];
    run(b);
    size_t before = test_allocations();
    for (size_t i = 0; i < rounds; i++) {
        uint64_t start = now_ns();
        for (size_t j = 0; j < EVENTS_PER_ROUND; j++)
            run(b);
        means[i] = (double)(now_ns() - start) / EVENTS_PER_ROUND;
    }
    size_t made = test_allocations() - before;
    qsort(means, rounds, sizeof(*means), compare_doubles);
    printf("%-50s median %6.1f ns  best %6.1f ns  %.1f allocations\n", what, means[rounds / 2],
           means[0], (double)made / ((double)rounds * EVENTS_PER_ROUND));
}

static tg_str_t read_schema(const char *path)
{
    static char text[SCHEMA_MAX];
    FILE *file = fopen(path, "rb");
    size_t len = file == NULL ? 0 : fread(text, 1, sizeof(text), file);
    if (file != NULL)
        fclose(file);
    return (tg_str_t){text, len};
}

/* The schema up to its last field, with one field more. */
static bool open_newer(struct bench *b, tg_str_t schema, tg_error_t *error)
{
    static char text[SCHEMA_MAX + sizeof(NEWER_FIELD)];
    size_t end = schema.len;
    while (end > 0 && schema.ptr[end - 1] != ']')
        end--;
    int len = snprintf(text, sizeof(text), "%.*s%s", (int)end - 1, schema.ptr, NEWER_FIELD);
    return tg_avro_schema_parse((tg_str_t){text, (size_t)len}, &b->newer, error) == TG_OK &&
           tg_avro_plan_create(tg_avro_schema_root(b->schema), tg_avro_schema_root(b->newer),
                               &b->plan, error) == TG_OK;
}

static bool open_bench(struct bench *b)
{
    tg_error_t error;
    tg_str_t schema = read_schema("schemas/order.avsc");
    b->parser = tg_json_parser_create(TG_EVENT_BYTES_MAX, TG_EVENT_DEPTH_MAX);
    b->codec = tg_event_codec_create();
    b->avro = tg_avro_codec_create();
    b->out = b->payload = b->resolved = tg_buf_make(TG_EVENT_BYTES_MAX);
    b->rules = (tg_event_rules_t){.tenant = TG_STR("demo"),
                                  .now = 1770112810 * TG_US_PER_SECOND,
                                  .max_ahead_us = 600 * TG_US_PER_SECOND,
                                  .horizon_us = 400 * TG_US_PER_DAY};
    if (tg_avro_schema_parse(schema, &b->schema, &error) != TG_OK ||
        tg_event_type_compile(TG_STR("order"), schema, 1, &b->type, &error) != TG_OK ||
        !open_newer(b, schema, &error)) {
        fprintf(stderr, "schemas/order.avsc (run at the repository's root): %s\n", error.text);
        return false;
    }
    b->libavro = tg_libavro_open(schema);
    return b->parser != NULL && b->codec != NULL && b->avro != NULL;
}

static void close_bench(struct bench *b)
{
    tg_json_parser_destroy(b->parser);
    tg_event_codec_destroy(b->codec);
    tg_avro_codec_destroy(b->avro);
    tg_avro_plan_destroy(b->plan);
    tg_avro_schema_destroy(b->schema);
    tg_avro_schema_destroy(b->newer);
    tg_libavro_close(b->libavro);
    tg_event_type_unref(b->type);
    tg_buf_dispose(&b->out);
    tg_buf_dispose(&b->payload);
    tg_buf_dispose(&b->resolved);
}

/* Copies the texts, which libavro takes back with its next call. */
static void keep_order(tg_libavro_order_t *order)
{
    static char memory[4][256];
    tg_str_t *const texts[] = {&order->order_id, &order->customer_id, &order->currency,
                               &order->channel};
    for (size_t i = 0; i < TG_ARRAY_LEN(texts); i++) {
        assert(texts[i]->len <= sizeof(memory[i]));
        memcpy(memory[i], texts[i]->ptr, texts[i]->len);
        texts[i]->ptr = memory[i];
    }
}

static void measure_order(struct bench *b, tg_str_t text, size_t rounds)
{
    b->text = text;
    printf("order of %zu bytes JSON\n", text.len);
    measure(b, "  JSON parse to nodes", run_parse, rounds);
    measure(b, "  parse + Avro encoding", run_avro, rounds);
    measure(b, "  parse + checks + time + identity + Kafka value", run_event, rounds);
    b->nodes = parse(b);
    measure(b, "  the same from parsed nodes, as within a batch", run_nodes, rounds);
    measure(b, "  Kafka value to store row and payload", run_decode, rounds);
    measure(b, "  resolution with one added default field", run_resolve, rounds);
    if (b->libavro != NULL && tg_libavro_read(b->libavro, body_of(b), &b->order)) {
        keep_order(&b->order);
        measure(b, "  libavro: fill and write, nothing parsed", run_libavro_write, rounds);
        measure(b, "  libavro: read, one schema", run_libavro_read, rounds);
    } else {
        printf("  libavro is not installed: nothing to compare with\n");
    }
    printf("  value of %zu bytes\n", b->out.len);
}

int main(int argc, char **argv)
{
    struct bench b = {0};
    uint64_t rounds = 51;
    cpu_set_t one;
    if (argc > 1 && (tg_str_to_u64(tg_str_from(argv[1]), &rounds) != TG_OK || rounds == 0 ||
                     rounds > ROUNDS_MAX)) {
        fprintf(stderr, "usage: bench_codec [rounds, 1 to %d]\n", ROUNDS_MAX);
        return 2;
    }
    CPU_ZERO(&one);
    CPU_SET(1, &one);
    if (sched_setaffinity(0, sizeof(one), &one) != 0)
        fprintf(stderr, "not pinned to a core; figures will vary more\n");
    bool ok = open_bench(&b);
    if (ok) {
        measure_order(&b, TG_STR(short_order), rounds);
        measure_order(&b, TG_STR(long_order), rounds);
    }
    close_bench(&b);
    if (b.failures > 0)
        fprintf(stderr, "%zu operations failed\n", b.failures);
    return ok && b.failures == 0 ? 0 : 1;
}
