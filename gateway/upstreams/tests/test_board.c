/* The board with clients of two "threads", on one loop and without a connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "gateway/upstreams/board.h"

#define THREADS 2
#define QUERY   TG_STR("query")
#define FIRST   TG_STR("127.0.0.1:2")

static tg_loop_t *loop;
static tg_board_t *board;

static struct thread {
    tg_http_client_t *clients[TG_UP_COUNT];
    tg_board_place_t *place;
} threads[THREADS];

static int setup(void **state)
{
    (void)state;
    loop = tg_loop_create();
    board = tg_board_create(NULL);
    for (size_t t = 0; t < THREADS; t++) {
        threads[t].place = tg_board_enter(board);
        for (unsigned i = 0; i < TG_UP_COUNT; i++) {
            const tg_http_client_config_t config = {.name = tg_upstream_name((tg_upstream_t)i),
                                                    .instances = i == TG_UP_QUERY
                                                                     ? "127.0.0.1:2,127.0.0.1:3"
                                                                     : "127.0.0.1:1",
                                                    .max_connections = 1,
                                                    .breaker = TG_BREAKER_DEFAULTS};
            assert_int_equal(tg_http_client_open(loop, &config, &threads[t].clients[i], NULL),
                             TG_OK);
        }
    }
    return loop == NULL || board == NULL;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t t = 0; t < THREADS; t++) {
        tg_board_leave(threads[t].place);
        for (size_t i = 0; i < TG_UP_COUNT; i++)
            tg_http_client_close(threads[t].clients[i]);
    }
    tg_board_destroy(board);
    tg_loop_destroy(loop);
    return 0;
}

static void visit(size_t thread)
{
    tg_board_visit(threads[thread].place, threads[thread].clients, tg_loop_now_ms(loop));
}

static void assert_written(void (*write)(tg_board_t *its_board, tg_buf_t *out), const char *part)
{
    tg_buf_t out = tg_buf_make(1 << 20);
    write(board, &out);
    tg_buf_byte(&out, '\0');
    assert_false(out.failed);
    if (strstr(out.data, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, out.data);
    tg_buf_dispose(&out);
}

static void collect(tg_board_t *its_board, tg_buf_t *out)
{
    tg_board_collect(its_board, out);
}

static void an_instance_is_one_however_many_threads_have_it(void **state)
{
    (void)state;
    visit(0);
    visit(1);
    assert_written(tg_board_write_json, "{\"upstream\":\"query\",\"instance\":\"127.0.0.1:2\","
                                        "\"state\":\"closed\",\"set\":\"auto\",\"why\":\"start\"");
    assert_written(tg_board_write_json, "\"threads\":{\"closed\":2,\"open\":0,\"half_open\":0}");
    assert_written(collect, "\ntidegate_gateway_breaker_threads{upstream=\"query\","
                            "instance=\"127.0.0.1:3\",state=\"closed\"} 2\n");
}

static void an_operators_hand_reaches_each_thread_at_its_next_visit(void **state)
{
    (void)state;
    tg_http_hold_t hold;
    visit(0);
    visit(1);
    assert_true(tg_board_find(board, QUERY, FIRST, &hold));
    assert_int_equal(hold, TG_HTTP_HOLD_AUTO);
    assert_int_equal(tg_board_hold(board, QUERY, FIRST, TG_HTTP_HOLD_OPEN), TG_OK);
    visit(0);
    assert_written(tg_board_write_json, "\"state\":\"open\",\"set\":\"open\",\"why\":\"operator\"");
    assert_written(
        tg_board_write_json,
        "\"threads\":{\"closed\":1,\"open\":1,\"half_open\":0}"); /* the worst is shown */
    visit(1);
    visit(1); /* told once */
    assert_written(collect, "tidegate_gateway_breaker_changes_total{upstream=\"query\","
                            "instance=\"127.0.0.1:2\",to=\"open\"} 2\n");
    assert_written(collect, "tidegate_gateway_instance_out{upstream=\"query\","
                            "instance=\"127.0.0.1:2\",why=\"held_open\"} 2\n");
    assert_int_equal(tg_board_hold(board, QUERY, FIRST, TG_HTTP_HOLD_AUTO), TG_OK);
    visit(0);
    visit(1);
    assert_true(tg_board_find(board, QUERY, FIRST, &hold));
    assert_int_equal(hold, TG_HTTP_HOLD_AUTO);
    assert_written(tg_board_write_json, "\"state\":\"half_open\",\"set\":\"auto\"");
}

static void a_thread_that_comes_later_hears_what_is_held(void **state)
{
    (void)state;
    visit(0);
    assert_int_equal(tg_board_hold(board, QUERY, FIRST, TG_HTTP_HOLD_OPEN), TG_OK);
    visit(1);
    visit(0);
    assert_written(tg_board_write_json, "\"threads\":{\"closed\":0,\"open\":2,\"half_open\":0}");
}

/* As when the names of the instances lead elsewhere. */
static void move_to(size_t thread, const char *instances)
{
    tg_http_client_t **client = &threads[thread].clients[TG_UP_QUERY];
    const tg_http_client_config_t config = {.name = "query",
                                            .instances = instances,
                                            .max_connections = 1,
                                            .breaker = TG_BREAKER_DEFAULTS};
    tg_http_client_close(*client);
    assert_int_equal(tg_http_client_open(loop, &config, client, NULL), TG_OK);
    visit(thread);
}

static void an_instance_that_goes_and_comes_back_is_still_held(void **state)
{
    (void)state;
    visit(0);
    assert_int_equal(tg_board_hold(board, QUERY, FIRST, TG_HTTP_HOLD_OPEN), TG_OK);
    visit(0);
    move_to(0, "127.0.0.1:3");
    move_to(0, "127.0.0.1:2,127.0.0.1:3");
    assert_written(tg_board_write_json, "\"state\":\"open\",\"set\":\"open\",\"why\":\"operator\"");
    assert_int_equal(tg_board_hold(board, QUERY, FIRST, TG_HTTP_HOLD_CLOSED), TG_OK);
    visit(0);
    assert_written(tg_board_write_json,
                   "\"state\":\"closed\",\"set\":\"closed\",\"why\":\"operator\"");
}

static void an_instance_can_be_let_go_while_it_is_away(void **state)
{
    (void)state;
    tg_http_hold_t hold;
    visit(0);
    assert_int_equal(tg_board_hold(board, QUERY, FIRST, TG_HTTP_HOLD_OPEN), TG_OK);
    visit(0);
    move_to(0, "127.0.0.1:3");
    assert_true(tg_board_find(board, QUERY, FIRST, &hold));
    assert_int_equal(hold, TG_HTTP_HOLD_OPEN);
    assert_int_equal(tg_board_hold(board, QUERY, FIRST, TG_HTTP_HOLD_AUTO), TG_OK);
    assert_false(tg_board_find(board, QUERY, FIRST, &hold));
    move_to(0, "127.0.0.1:2,127.0.0.1:3");
    assert_written(tg_board_write_json, "\"state\":\"closed\",\"set\":\"auto\",\"why\":\"start\"");
}

static void instances_that_are_gone_leave_room_for_others(void **state)
{
    (void)state;
    char address[32];
    for (unsigned i = 0; i <= TG_BOARD_HOLDS_MAX; i++) {
        (void)snprintf(address, sizeof(address), "127.0.0.1:%u", 100 + i);
        move_to(0, address);
        assert_int_equal(tg_board_hold(board, QUERY, tg_str_from(address), TG_HTTP_HOLD_OPEN),
                         TG_OK);
    }
    visit(0);
    assert_written(tg_board_write_json, "\"instance\":\"127.0.0.1:164\",\"state\":\"open\"");
}

static void what_no_thread_has_cannot_be_held(void **state)
{
    (void)state;
    tg_http_hold_t hold;
    assert_int_equal(tg_board_hold(board, QUERY, FIRST, TG_HTTP_HOLD_OPEN), TG_NOT_FOUND);
    visit(0);
    assert_int_equal(tg_board_hold(board, QUERY, TG_STR("127.0.0.1:1"), TG_HTTP_HOLD_OPEN),
                     TG_NOT_FOUND); /* another upstream's */
    assert_int_equal(tg_board_hold(board, TG_STR("nothing"), FIRST, TG_HTTP_HOLD_OPEN),
                     TG_NOT_FOUND);
    assert_false(tg_board_find(board, QUERY, TG_STR(""), &hold));
    assert_false(tg_board_hold_read(TG_STR("ajar"), &hold));
    assert_true(tg_board_hold_read(TG_STR("closed"), &hold));
    assert_int_equal(hold, TG_HTTP_HOLD_CLOSED);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_instance_is_one_however_many_threads_have_it),
        TEST(an_operators_hand_reaches_each_thread_at_its_next_visit),
        TEST(a_thread_that_comes_later_hears_what_is_held),
        TEST(an_instance_that_goes_and_comes_back_is_still_held),
        TEST(an_instance_can_be_let_go_while_it_is_away),
        TEST(instances_that_are_gone_leave_room_for_others),
        TEST(what_no_thread_has_cannot_be_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
