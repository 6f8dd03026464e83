/* Copies of answers: how long they are given, what gives way, and who owns them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "query/hot.h"

#define TAG TG_STR("W/\"0123456789abcdef\"")

static void put(tg_hot_t *hot, const char *key, const char *body, uint64_t until_us)
{
    assert_int_equal(tg_hot_put(hot, tg_str_from(key), TAG, tg_str_from(body), until_us), TG_OK);
}

static bool has(tg_hot_t *hot, const char *key, uint64_t now_us)
{
    tg_hot_answer_t answer;
    if (!tg_hot_get(hot, tg_str_from(key), now_us, &answer))
        return false;
    answer.body.release(answer.body.owner);
    return true;
}

static size_t bytes_of(const tg_hot_t *hot)
{
    tg_hot_stats_t stats;
    tg_hot_get_stats(hot, &stats);
    return stats.bytes;
}

static void an_answer_is_given_whole_until_its_time_ends(void **state)
{
    (void)state;
    tg_hot_t *hot = tg_hot_create(64 << 10);
    tg_hot_answer_t answer;
    assert_false(has(hot, "a", 0));
    put(hot, "a", "{\"cached\":", 1000);
    assert_true(tg_hot_get(hot, TG_STR("a"), 999, &answer));
    assert_true(tg_str_eq(answer.tag, TAG));
    assert_true(tg_str_eq(answer.body.view, TG_STR("{\"cached\":true}}")));
    answer.body.release(answer.body.owner);
    assert_false(has(hot, "b", 999));
    assert_false(has(hot, "a", 1000));
    assert_int_equal(bytes_of(hot), 0); /* what has ended is forgotten when asked for */
    tg_hot_destroy(hot);
}

static void a_newer_answer_takes_the_olders_place(void **state)
{
    (void)state;
    tg_hot_t *hot = tg_hot_create(64 << 10);
    tg_hot_answer_t answer;
    put(hot, "a", "{\"n\":1,", 1000);
    size_t one = bytes_of(hot);
    put(hot, "a", "{\"n\":2,", 2000);
    assert_int_equal(bytes_of(hot), one);
    assert_true(tg_hot_get(hot, TG_STR("a"), 1500, &answer));
    assert_true(tg_str_eq(answer.body.view, TG_STR("{\"n\":2,true}}")));
    answer.body.release(answer.body.owner);
    tg_hot_destroy(hot);
}

static void the_oldest_gives_way(void **state)
{
    (void)state;
    tg_hot_t *hot = tg_hot_create(16 << 10);
    char body[1024], key[8];
    tg_hot_stats_t stats;
    (void)snprintf(body, sizeof(body), "{%01000d", 0);
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(key, sizeof(key), "k%u", i);
        put(hot, key, body, 1000);
        assert_in_range(bytes_of(hot), 1, 16 << 10);
    }
    tg_hot_get_stats(hot, &stats);
    assert_in_range(stats.items, 10, 16);
    assert_int_equal(stats.items + stats.evicted_total, 100);
    (void)snprintf(key, sizeof(key), "k%zu", 100 - stats.items);
    assert_true(has(hot, "k99", 1));
    assert_true(has(hot, key, 1));
    (void)snprintf(key, sizeof(key), "k%zu", 99 - stats.items);
    assert_false(has(hot, key, 1));
    tg_hot_destroy(hot);
}

static void an_answer_above_an_eighth_is_not_kept(void **state)
{
    (void)state;
    tg_hot_t *hot = tg_hot_create(4096);
    char body[1024];
    (void)snprintf(body, sizeof(body), "{%0600d", 0);
    put(hot, "a", "{", 1000);
    assert_int_equal(tg_hot_put(hot, TG_STR("a"), TAG, tg_str_from(body), 2000), TG_TOO_LARGE);
    assert_false(has(hot, "a", 1)); /* nor is the older one, which is no longer true */
    tg_hot_destroy(hot);
}

static void the_number_of_answers_has_a_limit_of_its_own(void **state)
{
    (void)state;
    tg_hot_t *hot = tg_hot_create((size_t)1 << 30);
    char key[16];
    tg_hot_stats_t stats;
    for (unsigned i = 0; i < TG_HOT_ITEMS_MAX + 10; i++) {
        (void)snprintf(key, sizeof(key), "k%u", i);
        put(hot, key, "{", 1000);
    }
    tg_hot_get_stats(hot, &stats);
    assert_int_equal(stats.items, TG_HOT_ITEMS_MAX);
    assert_int_equal(stats.evicted_total, 10);
    tg_hot_destroy(hot);
}

static void a_body_that_was_given_outlives_everything(void **state)
{
    (void)state;
    tg_hot_t *hot = tg_hot_create(64 << 10);
    tg_hot_answer_t first, second;
    put(hot, "a", "{\"n\":1,", 1000);
    assert_true(tg_hot_get(hot, TG_STR("a"), 1, &first));
    put(hot, "a", "{\"n\":2,", 1000);
    assert_true(tg_hot_get(hot, TG_STR("a"), 1, &second));
    tg_hot_destroy(hot);
    assert_true(tg_str_eq(first.body.view, TG_STR("{\"n\":1,true}}")));
    assert_true(tg_str_eq(second.body.view, TG_STR("{\"n\":2,true}}")));
    assert_true(tg_str_eq(second.tag, TAG));
    first.body.release(first.body.owner);
    second.body.release(second.body.owner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_given_whole_until_its_time_ends),
        cmocka_unit_test(a_newer_answer_takes_the_olders_place),
        cmocka_unit_test(the_oldest_gives_way),
        cmocka_unit_test(an_answer_above_an_eighth_is_not_kept),
        cmocka_unit_test(the_number_of_answers_has_a_limit_of_its_own),
        cmocka_unit_test(a_body_that_was_given_outlives_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
