/* What one event costs on its way through the codec: JSON text of an order to a Kafka value, and
 * back to a store row.
 *
 * Each figure is the median over rounds of the mean time per event, so that a busy neighbour on the
 * machine moves it little. The first lines are the floor: simdjson's parse with the nodes, and the
 * Avro encoding alone. Run on one pinned core: `bench_codec [rounds]`. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/avro/codec.h"
#include "common/event/event.h"

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

struct bench {
    tg_str_t text;
    tg_json_parser_t *parser;
    tg_event_codec_t *codec;
    tg_avro_codec_t *avro;
    tg_avro_schema_t *schema;
    tg_event_type_t *type;
    tg_event_rules_t rules;
    tg_buf_t out, payload;
    tg_event_t event;
    const tg_json_node_t *nodes;
    size_t failures;
};

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

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(struct bench *b, const char *what, void (*run)(struct bench *), size_t rounds)
{
    static double means[ROUNDS_MAX];
    for (size_t i = 0; i < rounds; i++) {
        uint64_t start = now_ns();
        for (size_t j = 0; j < EVENTS_PER_ROUND; j++)
            run(b);
        means[i] = (double)(now_ns() - start) / EVENTS_PER_ROUND;
    }
    qsort(means, rounds, sizeof(*means), compare_doubles);
    printf("%-50s median %6.1f ns  best %6.1f ns\n", what, means[rounds / 2], means[0]);
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

static bool open_bench(struct bench *b)
{
    tg_error_t error;
    tg_str_t schema = read_schema("schemas/order.avsc");
    b->parser = tg_json_parser_create(TG_EVENT_BYTES_MAX, TG_EVENT_DEPTH_MAX);
    b->codec = tg_event_codec_create();
    b->avro = tg_avro_codec_create();
    b->out = b->payload = tg_buf_make(TG_EVENT_BYTES_MAX);
    b->rules = (tg_event_rules_t){.tenant = TG_STR("demo"),
                                  .now = 1770112810 * TG_US_PER_SECOND,
                                  .max_ahead_us = 600 * TG_US_PER_SECOND,
                                  .horizon_us = 400 * TG_US_PER_DAY};
    if (tg_avro_schema_parse(schema, &b->schema, &error) != TG_OK ||
        tg_event_type_compile(TG_STR("order"), schema, 1, &b->type, &error) != TG_OK) {
        fprintf(stderr, "schemas/order.avsc (run at the repository's root): %s\n", error.text);
        return false;
    }
    return b->parser != NULL && b->codec != NULL && b->avro != NULL;
}

static void close_bench(struct bench *b)
{
    tg_json_parser_destroy(b->parser);
    tg_event_codec_destroy(b->codec);
    tg_avro_codec_destroy(b->avro);
    tg_avro_schema_destroy(b->schema);
    tg_event_type_unref(b->type);
    tg_buf_dispose(&b->out);
    tg_buf_dispose(&b->payload);
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
