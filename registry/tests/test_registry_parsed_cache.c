/* What the cache of parsed schemas keeps, and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "registry/compatibility/cache.h"

static tg_parsed_cache_t *cache;

static void put(uint32_t id, size_t text)
{
    tg_avro_schema_t *schema = NULL;
    assert_int_equal(tg_avro_schema_parse(TG_STR("\"int\""), &schema, NULL), TG_OK);
    assert_int_equal(tg_parsed_cache_put(cache, id, schema, text), TG_OK);
}

static bool has(uint32_t id)
{
    return tg_parsed_cache_get(cache, id) != NULL;
}

static void the_least_recently_used_goes_first(void **state)
{
    (void)state;
    put(1, 10);
    put(2, 10);
    put(3, 10);
    assert_true(has(1));
    put(4, 10);
    assert_false(has(2));
    assert_true(has(1));
    assert_true(has(3));
    assert_true(has(4));
}

static void bytes_of_text_are_bounded_but_the_last_stays(void **state)
{
    (void)state;
    put(1, 60);
    put(2, 50);
    assert_false(has(1));
    assert_true(has(2));
    put(3, 500);
    assert_false(has(2));
    assert_true(has(3));
    put(4, 1);
    assert_false(has(3));
    assert_int_equal(tg_parsed_cache_stats(cache).text, 1);
}

static void the_same_id_is_kept_once(void **state)
{
    (void)state;
    put(1, 10);
    put(1, 20);
    assert_int_equal(tg_parsed_cache_stats(cache).schemas, 1);
    assert_int_equal(tg_parsed_cache_stats(cache).text, 20);
}

static void a_permanent_deletion_empties_it(void **state)
{
    (void)state;
    tg_parsed_cache_see(cache, 7);
    put(1, 10);
    put(2, 10);
    tg_parsed_cache_see(cache, 7);
    assert_true(has(1));
    tg_parsed_cache_see(cache, 8);
    assert_false(has(1));
    assert_int_equal(tg_parsed_cache_stats(cache).schemas, 0);
}

static int make(void **state)
{
    (void)state;
    cache = tg_parsed_cache_create(3, 100);
    return cache == NULL ? -1 : 0;
}

static int unmake(void **state)
{
    (void)state;
    tg_parsed_cache_destroy(cache);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_least_recently_used_goes_first),
        TEST(bytes_of_text_are_bounded_but_the_last_stays),
        TEST(the_same_id_is_kept_once),
        TEST(a_permanent_deletion_empties_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
