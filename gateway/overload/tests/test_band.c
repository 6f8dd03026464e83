/* Which requests are put off for others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base/time.h"
#include "gateway/overload/band.h"

static tg_arena_t *arena;
static int64_t now; /* 2026-11-21T12:00:00Z */

static int open_arena(void **state)
{
    (void)state;
    arena = tg_arena_create(8192);
    return arena != NULL ? tg_time_parse(TG_STR("2026-11-21T12:00:00Z"), &now) != TG_OK : -1;
}

static int close_arena(void **state)
{
    (void)state;
    tg_arena_destroy(arena);
    return 0;
}

static tg_fair_band_t band(tg_route_class_t class, const char *query)
{
    const tg_public_route_t route = {.rate_class = class};
    return tg_band_of(&route, tg_str_from(query), now, arena);
}

static void assert_bands(const char *const *queries, size_t count, tg_fair_band_t expected)
{
    for (size_t i = 0; i < count; i++)
        if (band(TG_CLASS_READ, queries[i]) != expected)
            fail_msg("%s", queries[i]);
}

static void a_read_of_a_page_or_a_week_is_interactive(void **state)
{
    (void)state;
    static const char *const queries[] = {"", "limit=2000", "currency=USD&limit=10",
                                          "from=2026-11-14T12:00:00Z",
                                          "from=2025-01-01T00:00:00Z&to=2025-01-08T00:00:00Z"};
    assert_bands(queries, TG_ARRAY_LEN(queries), TG_BAND_FIRST);
}

static void a_read_of_many_rows_or_a_long_range_is_an_export(void **state)
{
    (void)state;
    static const char *const queries[] = {"limit=2001",
                                          "currency=USD&limit=5000",
                                          "from=2026-11-14T11:59:59Z",
                                          "from=2026-11-14T11%3A59%3A59%2B00%3A00",
                                          "from=1700000000&limit=10",
                                          "to=2026-11-22T12:00:00Z&from=2026-11-14T00:00:00Z",
                                          "from=2025-01-01T00:00:00Z&to=2025-01-08T00:00:01Z"};
    assert_bands(queries, TG_ARRAY_LEN(queries), TG_BAND_SECOND);
}

static void what_cannot_be_read_is_refused_as_soon_as_anything(void **state)
{
    (void)state;
    static const char *const queries[] = {"limit",    "limit=",     "limit=-1",   "limit=x",
                                          "from=now", "from=%zz",   "limits=900", "&&=&",
                                          "to=",      "xlimit=5000"};
    assert_bands(queries, TG_ARRAY_LEN(queries), TG_BAND_FIRST);
}

static void only_reads_are_ever_put_off(void **state)
{
    (void)state;
    for (unsigned class = 0; class < TG_CLASS_COUNT; class ++)
        assert_int_equal(band(class, "limit=5000"),
                         class == TG_CLASS_READ ? TG_BAND_SECOND : TG_BAND_FIRST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read_of_a_page_or_a_week_is_interactive),
        cmocka_unit_test(a_read_of_many_rows_or_a_long_range_is_an_export),
        cmocka_unit_test(what_cannot_be_read_is_refused_as_soon_as_anything),
        cmocka_unit_test(only_reads_are_ever_put_off),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
