/* The cache of answers: bounds, and what a permanent deletion takes away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "registry/store/answers.h"

#define MAX ((size_t)64 << 10)

static bool has(tg_answers_t *answers, const char *context, uint32_t id)
{
    return tg_answers_get(answers, tg_str_from(context), id).ptr != NULL;
}

static void an_answer_belongs_to_its_context(void **state)
{
    (void)state;
    tg_answers_t *answers = tg_answers_create(MAX);
    tg_answers_put(answers, TG_STR("a"), 1, TG_STR("one"));
    assert_true(tg_str_eq(tg_answers_get(answers, TG_STR("a"), 1), TG_STR("one")));
    assert_false(has(answers, "a", 2));
    assert_false(has(answers, "", 1));
    assert_false(has(answers, "b", 1));
    tg_answers_destroy(answers);
    tg_answers_destroy(NULL);
}

static void the_bytes_are_bounded_and_what_is_asked_for_stays(void **state)
{
    (void)state;
    char body[500] = "x";
    tg_answers_t *answers = tg_answers_create(MAX);
    for (uint32_t id = 1; id <= 10000; id++) {
        tg_answers_put(answers, TG_STR("a"), id, (tg_str_t){body, sizeof(body)});
        assert_true(tg_answers_bytes(answers) <= MAX);
        assert_true(has(answers, "a", id));
        assert_true(has(answers, "a", 1));
    }
    assert_false(has(answers, "a", 2));
    tg_answers_destroy(answers);
}

static void a_very_large_answer_is_not_kept(void **state)
{
    (void)state;
    static char body[MAX / 4];
    tg_answers_t *answers = tg_answers_create(MAX);
    tg_answers_put(answers, TG_STR("a"), 1, (tg_str_t){body, sizeof(body)});
    assert_false(has(answers, "a", 1));
    tg_answers_destroy(answers);
}

static void a_deletion_empties_it_and_older_reads_are_not_put(void **state)
{
    (void)state;
    tg_answers_t *answers = tg_answers_create(MAX);
    assert_true(tg_answers_see(answers, 5));
    tg_answers_put(answers, TG_STR("a"), 1, TG_STR("one"));
    assert_true(tg_answers_see(answers, 5));
    assert_true(has(answers, "a", 1));
    assert_true(tg_answers_see(answers, 6));
    assert_false(has(answers, "a", 1));
    assert_false(tg_answers_see(answers, 5)); /* read before the deletion */
    tg_answers_put(answers, TG_STR("a"), 2, TG_STR("two"));
    tg_answers_deleted(answers);
    assert_false(has(answers, "a", 2));
    assert_false(tg_answers_see(answers, 6));
    assert_true(tg_answers_see(answers, 7));
    tg_answers_destroy(answers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_belongs_to_its_context),
        cmocka_unit_test(the_bytes_are_bounded_and_what_is_asked_for_stays),
        cmocka_unit_test(a_very_large_answer_is_not_kept),
        cmocka_unit_test(a_deletion_empties_it_and_older_reads_are_not_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
