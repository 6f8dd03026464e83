/* The arena zeroes, aligns, respects its limit and can be used again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdalign.h>

#include "common/base/arena.h"

static void allocations_are_zeroed_and_aligned_also_after_a_reset(void **state)
{
    (void)state;
    tg_arena_t *arena = tg_arena_create(1 << 20);
    for (int round = 0; round < 3; round++) {
        for (size_t size = 0; size < 300; size++) {
            uint8_t *bytes = tg_arena_alloc(arena, size);
            assert_non_null(bytes);
            assert_int_equal((uintptr_t)bytes % alignof(max_align_t), 0);
            for (size_t i = 0; i < size; i++)
                assert_int_equal(bytes[i], 0);
            memset(bytes, 0xff, size);
        }
        tg_arena_reset(arena);
        assert_int_equal(tg_arena_used(arena), 0);
    }
    tg_arena_destroy(arena);
}

static void allocations_do_not_overlap(void **state)
{
    (void)state;
    tg_arena_t *arena = tg_arena_create(1 << 20);
    uint32_t *items[1000];
    for (uint32_t i = 0; i < 1000; i++) {
        items[i] = tg_arena_array(arena, 7, sizeof(uint32_t));
        for (int k = 0; k < 7; k++)
            items[i][k] = i;
    }
    for (uint32_t i = 0; i < 1000; i++) {
        for (int k = 0; k < 7; k++)
            assert_int_equal(items[i][k], i);
    }
    tg_arena_destroy(arena);
}

static void beyond_the_limit_there_is_nothing(void **state)
{
    (void)state;
    tg_arena_t *arena = tg_arena_create(1024);
    assert_null(tg_arena_alloc(arena, 1025));
    assert_null(tg_arena_alloc(arena, SIZE_MAX));
    assert_null(tg_arena_array(arena, SIZE_MAX / 2, 3));
    assert_non_null(tg_arena_alloc(arena, 1024));
    assert_null(tg_arena_alloc(arena, 1));
    tg_arena_reset(arena);
    assert_non_null(tg_arena_alloc(arena, 512));
    tg_arena_destroy(arena);
}

static void an_allocation_larger_than_a_block_works(void **state)
{
    (void)state;
    tg_arena_t *arena = tg_arena_create((size_t)16 << 20);
    assert_non_null(tg_arena_alloc(arena, 10));
    char *large = tg_arena_alloc(arena, (size_t)8 << 20);
    assert_non_null(large);
    large[((size_t)8 << 20) - 1] = 1;
    assert_non_null(tg_arena_alloc(arena, 10));
    tg_arena_destroy(arena);
}

static void a_copy_ends_in_nul_and_is_the_same(void **state)
{
    (void)state;
    tg_arena_t *arena = tg_arena_create(64);
    tg_str_t copy = tg_arena_copy(arena, TG_STR("tenant"));
    assert_string_equal(copy.ptr, "tenant");
    assert_int_equal(copy.len, 6);
    tg_str_t empty = tg_arena_copy(arena, (tg_str_t){NULL, 0});
    assert_string_equal(empty.ptr, "");
    char large[100] = {0};
    assert_null(tg_arena_copy(arena, (tg_str_t){large, sizeof(large)}).ptr);
    tg_arena_destroy(arena);
    tg_arena_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_zeroed_and_aligned_also_after_a_reset),
        cmocka_unit_test(allocations_do_not_overlap),
        cmocka_unit_test(beyond_the_limit_there_is_nothing),
        cmocka_unit_test(an_allocation_larger_than_a_block_works),
        cmocka_unit_test(a_copy_ends_in_nul_and_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
