/* The sender against scripted gateways: what is sent again is the same, what is acknowledged stands
 * in the ledger, and nothing else does. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/time.h"
#include "common/http/tests/support.h"
#include "loadtest/simulator/metrics.h"
#include "loadtest/simulator/sender.h"

#define ID1 "0190e5a4-0000-7000-8000-000000000001"
#define ID2 "0190e5a4-0000-7000-8000-000000000002"

static tg_loop_t *loop;

struct stage {
    test_upstream_t *gateway;
    tg_metrics_t *metrics;
    tg_generator_t *generator;
    tg_ledger_t *ledger;
    tg_sender_t *sender;
    char path[32];
    unsigned settled;
};

static int make_loop(void **state)
{
    (void)state;
    loop = tg_loop_create();
    return loop == NULL;
}

static int drop_loop(void **state)
{
    (void)state;
    tg_loop_destroy(loop);
    return 0;
}

static void on_settled(void *arg)
{
    ((struct stage *)arg)->settled++;
}

static struct stage *open_stage(const char *const *script, bool single, uint64_t give_up_ms)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    tg_generator_config_t world = {.seed = 3, .rates = {[TG_SIM_ORDER] = 5}};
    tg_error_t error = {.text = ""};
    char address[32];
    stage->gateway = test_upstream_start(script);
    stage->metrics = tg_metrics_create(tg_sim_metrics, SIM_METRIC_COUNT);
    stage->generator = tg_generator_create(&world);
    (void)snprintf(stage->path, sizeof(stage->path), "/tmp/tg-sender-XXXXXX");
    assert_int_equal(close(mkstemp(stage->path)), 0);
    assert_int_equal(tg_ledger_open(stage->path, "k", &stage->ledger, &error), TG_OK);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", test_upstream_port(stage->gateway));
    const tg_sender_config_t config = {.gateway = address,
                                       .key = "tg_key",
                                       .single = single,
                                       .batch = single ? 1 : 2,
                                       .inflight = 2,
                                       .deadline_ms = 5000,
                                       .give_up_ms = give_up_ms};
    assert_int_equal(tg_sender_open(loop, &config, tg_metrics_shard(stage->metrics), stage->ledger,
                                    on_settled, stage, &stage->sender, &error),
                     TG_OK);
    return stage;
}

static void close_stage(struct stage *stage)
{
    tg_sender_close(stage->sender);
    tg_ledger_close(stage->ledger);
    tg_generator_destroy(stage->generator);
    tg_metrics_destroy(stage->metrics);
    test_upstream_stop(stage->gateway);
    (void)unlink(stage->path);
    free(stage);
}

/* Sends one full request and waits until its outcome is known. */
static void send_one(struct stage *stage)
{
    tg_parcel_t *parcel = tg_sender_take(stage->sender);
    assert_non_null(parcel);
    while (!tg_parcel_is_full(parcel))
        tg_parcel_add(parcel, stage->generator);
    tg_sender_send(stage->sender, parcel);
}

static void settle(struct stage *stage)
{
    uint64_t until = tg_time_mono_ms() + TEST_WAIT_MS;
    while (!tg_sender_is_idle(stage->sender)) {
        assert_true(tg_time_mono_ms() < until);
        tg_loop_turn(loop, 5);
    }
}

static const char *ledger_of(const struct stage *stage)
{
    static char text[8192];
    FILE *file = fopen(stage->path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    (void)fclose(file);
    return text;
}

static unsigned lines_with(const struct stage *stage, const char *part)
{
    unsigned count = 0;
    for (const char *at = strstr(ledger_of(stage), part); at != NULL; at = strstr(at + 1, part))
        count++;
    return count;
}

static void assert_counts(const struct stage *stage, unsigned acknowledged, unsigned given_up,
                          unsigned refused)
{
    tg_ledger_counts_t counts = tg_ledger_counts(stage->ledger);
    assert_int_equal(counts.acknowledged, acknowledged);
    assert_int_equal(counts.given_up, given_up);
    assert_int_equal(counts.refused, refused);
    assert_int_equal(lines_with(stage, "\"event_id\":"), acknowledged);
    assert_int_equal(lines_with(stage, "{\"given_up\":"), given_up);
    assert_int_equal(lines_with(stage, "{\"refused\":"), refused);
}

/* An answer with its length; it stays for the rest of the test. */
static const char *answer(const char *status, const char *body)
{
    static char texts[8][1024];
    static unsigned turn;
    char *text = texts[turn++ % TG_ARRAY_LEN(texts)];
    (void)snprintf(text, sizeof(texts[0]), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", status,
                   strlen(body), body);
    return text;
}

#define TAKEN "202 Accepted"
#define BUSY  "503 Service Unavailable\r\nRetry-After: 1"
#define BOTH_ACCEPTED                                                                              \
    "{\"items\":[{\"index\":0,\"status\":\"accepted\",\"event_id\":\"" ID1 "\"},"                  \
    "{\"index\":1,\"status\":\"accepted\",\"event_id\":\"" ID2 "\"}]}"

static char first[8192];

static void a_request_that_was_refused_goes_again_byte_for_byte(void **state)
{
    (void)state;
    const char *const script[] = {answer(BUSY, ""), answer(TAKEN, BOTH_ACCEPTED), NULL};
    struct stage *stage = open_stage(script, false, 60000);
    uint64_t start = tg_time_mono_ms();
    send_one(stage);
    while (stage->settled == 0)
        tg_loop_turn(loop, 5);
    (void)snprintf(first, sizeof(first), "%s", test_upstream_last(stage->gateway));
    assert_counts(stage, 0, 0, 0);
    assert_null(tg_sender_take(stage->sender)); /* it asked us to wait */
    assert_true(tg_sender_get_state(stage->sender).failing);
    settle(stage);
    assert_true(tg_time_mono_ms() - start >= 1000);
    assert_string_equal(test_upstream_last(stage->gateway), first);
    assert_non_null(strstr(first, "POST /v2/events "));
    assert_non_null(strstr(first, "{\"type\":\"order\",\"data\":{\"order_id\":\"o-3-0-0\","));
    assert_counts(stage, 2, 0, 0);
    assert_false(tg_sender_get_state(stage->sender).failing);
    close_stage(stage);
}

static void only_the_items_that_failed_go_again(void **state)
{
    (void)state;
    const char *const script[] = {
        answer("202 Accepted", ""
                               "{\"items\":[{\"index\":0,\"status\":\"failed\",\"code\":\"kafka_"
                               "unavailable\"},        "
                               "{\"index\":1,\"status\":\"accepted\",\"event_id\":\"" ID2 "\"}]}"),
        answer("202 Accepted",
               ""
               "{\"items\":[{\"index\":0,\"status\":\"accepted\",\"event_id\":\"" ID1 "\"}]}"),
        NULL};
    struct stage *stage = open_stage(script, false, 60000);
    send_one(stage);
    settle(stage);
    const char *last = test_upstream_last(stage->gateway);
    assert_non_null(strstr(last, "\"order_id\":\"o-3-0-0\""));
    assert_null(strstr(last, "\"order_id\":\"o-3-0-1\""));
    assert_counts(stage, 2, 0, 0);
    close_stage(stage);
}

static void no_answer_and_a_malformed_one_are_tried_again(void **state)
{
    (void)state;
    const char *const script[] = {TEST_CLOSE, answer("202 Accepted", "{\"items\":[]}"),
                                  answer("500 Internal Server Error", ""),
                                  answer(TAKEN, BOTH_ACCEPTED), NULL};
    struct stage *stage = open_stage(script, false, 60000);
    send_one(stage);
    settle(stage);
    assert_int_equal(test_upstream_requests(stage->gateway), 4);
    assert_counts(stage, 2, 0, 0);
    close_stage(stage);
}

static void refused_items_are_named_and_not_tried_again(void **state)
{
    (void)state;
    const char *const script[] = {
        answer("422 Unprocessable",
               ""
               "{\"items\":[{\"index\":0,\"status\":\"rejected\",\"code\":\"too_old\"},"
               "{\"index\":1,\"status\":\"rejected\",\"code\":\"too_old\"}]}                "),
        NULL};
    struct stage *stage = open_stage(script, false, 60000);
    send_one(stage);
    settle(stage);
    assert_counts(stage, 0, 0, 2);
    assert_int_equal(lines_with(stage, "{\"refused\":\"too_old\",\"type\":\"order\""), 2);
    assert_int_equal(lines_with(stage, "\"event\":{\"order_id\":\"o-3-0-1\""), 1);
    close_stage(stage);
}

static void what_nobody_takes_is_given_up_and_named(void **state)
{
    (void)state;
    const char *const script[] = {answer("429 Too Many\r\nRetry-After: 1", ""), NULL};
    struct stage *stage = open_stage(script, false, 0);
    send_one(stage);
    settle(stage);
    assert_counts(stage, 0, 2, 0);
    assert_int_equal(lines_with(stage, "{\"given_up\":\"rate_limited\""), 2);
    close_stage(stage);
}

static void closing_gives_up_what_is_under_way(void **state)
{
    (void)state;
    const char *const script[] = {TEST_SILENT, NULL};
    struct stage *stage = open_stage(script, false, 60000);
    send_one(stage);
    for (unsigned i = 0; i < 10; i++)
        tg_loop_turn(loop, 5);
    tg_sender_close(stage->sender);
    stage->sender = NULL;
    assert_counts(stage, 0, 2, 0);
    assert_int_equal(lines_with(stage, "{\"given_up\":\"stopped\""), 2);
    close_stage(stage);
}

static void no_more_requests_are_taken_than_may_be_under_way(void **state)
{
    (void)state;
    const char *const script[] = {answer(TAKEN, BOTH_ACCEPTED), NULL};
    struct stage *stage = open_stage(script, false, 60000);
    tg_parcel_t *one = tg_sender_take(stage->sender), *two = tg_sender_take(stage->sender);
    assert_true(one != NULL && two != NULL && one != two);
    assert_null(tg_sender_take(stage->sender));
    assert_false(tg_sender_is_idle(stage->sender));
    close_stage(stage);
}

static void single_events_go_to_the_path_of_their_type(void **state)
{
    (void)state;
    const char *const script[] = {BUSY,
                                  answer("202 Accepted",
                                         ""
                                         "{\"event_id\":\"" ID1
                                         "\",\"received_at\":\"2026-02-03T10:00:00.12Z\"}     "),
                                  NULL};
    struct stage *stage = open_stage(script, true, 60000);
    send_one(stage);
    settle(stage);
    const char *last = test_upstream_last(stage->gateway);
    assert_non_null(strstr(last, "POST /v1/events/order "));
    assert_non_null(strstr(last, "x-api-key: tg_key"));
    assert_non_null(strstr(last, "\r\n\r\n{\"order_id\":\"o-3-0-0\""));
    assert_counts(stage, 1, 0, 0);
    close_stage(stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_that_was_refused_goes_again_byte_for_byte),
        cmocka_unit_test(only_the_items_that_failed_go_again),
        cmocka_unit_test(no_answer_and_a_malformed_one_are_tried_again),
        cmocka_unit_test(refused_items_are_named_and_not_tried_again),
        cmocka_unit_test(what_nobody_takes_is_given_up_and_named),
        cmocka_unit_test(closing_gives_up_what_is_under_way),
        cmocka_unit_test(no_more_requests_are_taken_than_may_be_under_way),
        cmocka_unit_test(single_events_go_to_the_path_of_their_type),
    };
    return cmocka_run_group_tests(tests, make_loop, drop_loop);
}
