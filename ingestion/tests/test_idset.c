/* The set of identities in one request. */
#include "ingestion/batch/idset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static tg_identity_t identity(uint32_t number, int64_t at, uint32_t type)
{
    tg_identity_t made = {.occurred_at = at, .type = type};
    memcpy(made.id.bytes, &number, sizeof(number));
    return made;
}

static void an_identity_added_again_gives_the_first_index(void **state)
{
    (void)state;
    tg_idset_t *set = tg_idset_create(4);
    tg_identity_t a = identity(1, 10, 0), b = identity(2, 10, 0);
    assert_int_equal(tg_idset_add(set, &a, 0), TG_IDSET_NONE);
    assert_int_equal(tg_idset_add(set, &b, 1), TG_IDSET_NONE);
    assert_int_equal(tg_idset_add(set, &a, 2), 0);
    assert_int_equal(tg_idset_add(set, &b, 3), 1);
    assert_int_equal(tg_idset_add(set, &a, 4), 0);
    tg_idset_destroy(set);
}

static void another_time_or_type_is_another_event(void **state)
{
    (void)state;
    tg_idset_t *set = tg_idset_create(4);
    tg_identity_t a = identity(1, 10, 0), later = identity(1, 11, 0), other = identity(1, 10, 1);
    assert_int_equal(tg_idset_add(set, &a, 0), TG_IDSET_NONE);
    assert_int_equal(tg_idset_add(set, &later, 1), TG_IDSET_NONE);
    assert_int_equal(tg_idset_add(set, &other, 2), TG_IDSET_NONE);
    tg_idset_destroy(set);
}

static void a_full_set_still_finds_all(void **state)
{
    (void)state;
    enum { COUNT = 10000 };
    tg_idset_t *set = tg_idset_create(COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        tg_identity_t made = identity(i, i % 7, i % 3);
        assert_int_equal(tg_idset_add(set, &made, i), TG_IDSET_NONE);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        tg_identity_t made = identity(i, i % 7, i % 3);
        assert_int_equal(tg_idset_add(set, &made, 0), i);
    }
    tg_idset_destroy(set);
    tg_idset_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_identity_added_again_gives_the_first_index),
        cmocka_unit_test(another_time_or_type_is_another_event),
        cmocka_unit_test(a_full_set_still_finds_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
