/* The consumer against the mock cluster: pause, resume and seek. */
#include "common/kafka/tests/owner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/time.h"

static void a_paused_consumer_hands_out_nothing_and_skips_nothing(void **state)
{
    (void)state;
    mock_t mock = owner_topic();
    mock_fill(&mock, OWNER_TOPIC, 0, 0, 500);
    struct owner o = {.start = {0, 0}};
    owner_open(&o, &mock);
    owner_expect(&o, 0, 10);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(tg_consumer_pause(o.consumer), TG_OK);
        mock_fill(&mock, OWNER_TOPIC, 0, 500 + round * 10, 10);
        tg_consumer_event_t event;
        for (int i = 0; i < 20; i++)
            assert_null(tg_consumer_poll(o.consumer, 10, &event));
        assert_int_equal(tg_consumer_resume(o.consumer), TG_OK);
        owner_expect(&o, 10 + round * 100, 100);
    }
    owner_expect(&o, 310, 220);
    assert_int_equal(o.revokes, 0);
    tg_consumer_close(o.consumer);
    mock_close(&mock);
}

/* Under load librdkafka may take longer than the consumer waits for; then it is asked again. */
static void seek(struct owner *o, int64_t offset)
{
    tg_status_t status = TG_UNAVAILABLE;
    for (int i = 0; i < 20 && status == TG_UNAVAILABLE; i++)
        status = tg_consumer_seek(o->consumer, OWNER_TOPIC, 0, offset);
    assert_int_equal(status, TG_OK);
}

static void seeking_moves_one_partition(void **state)
{
    (void)state;
    mock_t mock = owner_topic();
    mock_fill(&mock, OWNER_TOPIC, 0, 0, 100);
    struct owner o = {.start = {0, 0}};
    owner_open(&o, &mock);
    owner_expect(&o, 0, 50);
    seek(&o, 20);
    owner_expect(&o, 20, 80);

    assert_int_equal(tg_consumer_pause(o.consumer), TG_OK);
    seek(&o, 5);
    tg_consumer_event_t event;
    assert_null(tg_consumer_poll(o.consumer, 10, &event));
    assert_int_equal(tg_consumer_resume(o.consumer), TG_OK);
    owner_expect(&o, 5, 95);
    assert_int_equal(tg_consumer_seek(o.consumer, OWNER_TOPIC, 9, 5), TG_NOT_FOUND);
    tg_consumer_close(o.consumer);
    mock_close(&mock);
}

static void an_assignment_while_paused_stays_paused(void **state)
{
    (void)state;
    mock_t mock = owner_topic();
    mock_fill(&mock, OWNER_TOPIC, 0, 0, 5);
    struct owner o = {.start = {0, 0}};
    owner_open(&o, &mock);
    assert_int_equal(tg_consumer_pause(o.consumer), TG_OK);
    uint64_t until = tg_time_mono_ms() + OWNER_WAIT_MS;
    tg_consumer_event_t event;
    while (o.assigns == 0 && tg_time_mono_ms() < until)
        assert_null(tg_consumer_poll(o.consumer, 100, &event));
    for (int i = 0; i < 20; i++)
        assert_null(tg_consumer_poll(o.consumer, 10, &event));
    assert_int_equal(tg_consumer_resume(o.consumer), TG_OK);
    owner_expect(&o, 0, 5);
    tg_consumer_close(o.consumer);
    mock_close(&mock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_paused_consumer_hands_out_nothing_and_skips_nothing),
        cmocka_unit_test(seeking_moves_one_partition),
        cmocka_unit_test(an_assignment_while_paused_stays_paused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
