/* Limits by name, and what results from a plan's and a tenant's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/plan.h"

static tg_plan_t resolve(const char *plan, const char *tenant)
{
    tg_plan_settings_t base = tg_plan_read(tg_str_from(plan));
    tg_plan_settings_t own = tg_plan_read(tg_str_from(tenant));
    return tg_plan_resolve(TG_STR("gold"), &base, tenant == NULL ? NULL : &own);
}

static void a_plan_that_sets_nothing_has_the_defaults(void **state)
{
    (void)state;
    tg_plan_t plan = resolve("", NULL);
    assert_string_equal(plan.name, "gold");
    for (size_t i = 0; i < TG_CLASS_COUNT; i++) {
        assert_int_equal(plan.classes[i].requests_per_second, 1000);
        assert_int_equal(plan.classes[i].burst, 2000);
    }
    assert_int_equal(plan.events_per_second, 0);
    assert_int_equal(plan.events_burst, 0);
    assert_int_equal(plan.live_connections, 100);
    assert_int_equal(plan.max_body, 10 << 20);
    assert_int_equal(plan.versions, TG_PLAN_V1 | TG_PLAN_V2);
}

static void a_class_follows_the_general_rate_until_it_has_its_own(void **state)
{
    (void)state;
    tg_plan_t plan = resolve("requests_per_second=10 burst=20 read_burst=5", NULL);
    assert_int_equal(plan.classes[TG_CLASS_INGEST].requests_per_second, 10);
    assert_int_equal(plan.classes[TG_CLASS_INGEST].burst, 20);
    assert_int_equal(plan.classes[TG_CLASS_READ].requests_per_second, 10);
    assert_int_equal(plan.classes[TG_CLASS_READ].burst, 5);
}

static void a_tenants_own_limit_is_over_the_plans_and_the_narrower_name_over_both(void **state)
{
    (void)state;
    tg_plan_t plan = resolve("burst=20 read_burst=5 weight=3", "burst=7 live_burst=1 weight=4");
    assert_int_equal(plan.classes[TG_CLASS_INGEST].burst, 7);
    assert_int_equal(plan.classes[TG_CLASS_READ].burst, 5);
    assert_int_equal(plan.classes[TG_CLASS_LIVE].burst, 1);
    assert_int_equal(plan.weight, 4);
}

static void a_burst_that_is_not_said_is_ten_seconds_worth(void **state)
{
    (void)state;
    tg_plan_t plan = resolve("events_per_second=100 bytes_per_second=5 bytes_burst=7", NULL);
    assert_int_equal(plan.events_burst, 1000);
    assert_int_equal(plan.bytes_burst, 7);
    assert_int_equal(plan.read_cost_burst, 0);
}

static void what_the_tables_hold_is_clamped_and_what_is_unknown_passed_over(void **state)
{
    (void)state;
    tg_plan_t plan = resolve("burst=0 requests_per_second=99999999999 versions=9 colour=5 weight=x"
                             " =3 max_body= concurrency",
                             NULL);
    assert_int_equal(plan.classes[TG_CLASS_READ].burst, 1);
    assert_int_equal(plan.classes[TG_CLASS_READ].requests_per_second, 1000000);
    assert_int_equal(plan.versions, 3);
    assert_int_equal(plan.weight, 100);
    assert_int_equal(plan.max_body, 10 << 20);
}

static void every_limit_can_be_set_by_its_name(void **state)
{
    (void)state;
    size_t count = 0;
    for (const tg_plan_limit_t *limit; (limit = tg_plan_limit(count)) != NULL; count++) {
        tg_plan_settings_t settings = tg_plan_settings_none();
        assert_true(tg_plan_set(&settings, tg_str_from(limit->name), limit->high));
        assert_true(settings.values[count] == limit->high);
    }
    assert_in_range(count, 2 * TG_CLASS_COUNT + 2, TG_PLAN_LIMITS_MAX);
    tg_plan_settings_t settings = tg_plan_settings_none();
    assert_false(tg_plan_set(&settings, TG_STR("colour"), 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_that_sets_nothing_has_the_defaults),
        cmocka_unit_test(a_class_follows_the_general_rate_until_it_has_its_own),
        cmocka_unit_test(a_tenants_own_limit_is_over_the_plans_and_the_narrower_name_over_both),
        cmocka_unit_test(a_burst_that_is_not_said_is_ten_seconds_worth),
        cmocka_unit_test(what_the_tables_hold_is_clamped_and_what_is_unknown_passed_over),
        cmocka_unit_test(every_limit_can_be_set_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
