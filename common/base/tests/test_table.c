/* The table against a plain array as its model, and its limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/table.h"

static tg_str_t key_of(int number, char text[16])
{
    int len = snprintf(text, 16, "key-%d", number);
    return (tg_str_t){text, (size_t)len};
}

static void random_operations_agree_with_a_plain_array(void **state)
{
    (void)state;
    enum { KEYS = 500 };
    int *model[KEYS] = {0};
    int values[KEYS];
    size_t count = 0;
    char text[16];
    tg_table_t *table = tg_table_create(KEYS, NULL);
    srand(7);
    for (int round = 0; round < 50000; round++) {
        int n = rand() % KEYS;
        tg_str_t key = key_of(n, text);
        if (rand() % 2 == 0) {
            assert_int_equal(tg_table_put(table, key, &values[n]), TG_OK);
            count += model[n] == NULL;
            model[n] = &values[n];
        } else {
            assert_int_equal(tg_table_remove(table, key), model[n] != NULL);
            count -= model[n] != NULL;
            model[n] = NULL;
        }
        assert_int_equal(tg_table_len(table), count);
        int other = rand() % KEYS;
        assert_ptr_equal(tg_table_get(table, key_of(other, text)), model[other]);
    }
    for (int n = 0; n < KEYS; n++)
        assert_ptr_equal(tg_table_get(table, key_of(n, text)), model[n]);
    tg_table_destroy(table);
}

static void beyond_the_limit_the_value_stays_with_the_caller(void **state)
{
    (void)state;
    tg_table_t *table = tg_table_create(2, free);
    void *refused = malloc(1);
    assert_int_equal(tg_table_put(table, TG_STR("a"), malloc(1)), TG_OK);
    assert_int_equal(tg_table_put(table, TG_STR("b"), malloc(1)), TG_OK);
    assert_int_equal(tg_table_put(table, TG_STR("c"), refused), TG_FULL);
    assert_int_equal(tg_table_put(table, TG_STR("b"), malloc(1)), TG_OK); /* frees the older */
    assert_true(tg_table_remove(table, TG_STR("a")));
    assert_int_equal(tg_table_put(table, TG_STR("c"), refused), TG_OK);
    assert_ptr_equal(tg_table_get(table, TG_STR("c")), refused);
    tg_table_destroy(table); /* frees the rest, as the leak checker sees */
    tg_table_destroy(NULL);
}

static void keys_are_bytes_and_copied(void **state)
{
    (void)state;
    tg_table_t *table = tg_table_create(8, NULL);
    int one, two, three;
    char key[] = "a\0b";
    assert_int_equal(tg_table_put(table, (tg_str_t){key, 3}, &one), TG_OK);
    assert_int_equal(tg_table_put(table, (tg_str_t){key, 1}, &two), TG_OK);
    assert_int_equal(tg_table_put(table, (tg_str_t){NULL, 0}, &three), TG_OK);
    key[0] = 'x';
    assert_ptr_equal(tg_table_get(table, (tg_str_t){"a\0b", 3}), &one);
    assert_ptr_equal(tg_table_get(table, TG_STR("a")), &two);
    assert_ptr_equal(tg_table_get(table, TG_STR("")), &three);
    assert_null(tg_table_get(table, TG_STR("x")));
    tg_table_destroy(table);
}

static void a_walk_meets_each_item_once(void **state)
{
    (void)state;
    enum { ITEMS = 100 };
    int seen[ITEMS] = {0};
    char text[16];
    tg_table_t *table = tg_table_create(ITEMS, NULL);
    for (int n = 0; n < ITEMS; n++)
        assert_int_equal(tg_table_put(table, key_of(n, text), &seen[n]), TG_OK);
    size_t cursor = 0;
    tg_str_t key;
    void *value;
    while (tg_table_next(table, &cursor, &key, &value)) {
        int n = (int)((int *)value - seen);
        assert_true(tg_str_eq(key, key_of(n, text)));
        seen[n]++;
    }
    for (int n = 0; n < ITEMS; n++)
        assert_int_equal(seen[n], 1);
    tg_table_destroy(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_agree_with_a_plain_array),
        cmocka_unit_test(beyond_the_limit_the_value_stays_with_the_caller),
        cmocka_unit_test(keys_are_bytes_and_copied),
        cmocka_unit_test(a_walk_meets_each_item_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
