/* Entries: what is written, what a cached one must look like, and what the entity tag covers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "query/render.h"

#define NOW INT64_C(1770112805000000) /* 2026-02-03T10:00:05Z */

static const tg_column_t columns[] = {{"bucket", TG_COLUMN_TIME},
                                      {"name", TG_COLUMN_TEXT},
                                      {"n", TG_COLUMN_NUMBER}};
static const tg_shape_t shape = {.name = "test",
                                 .bucket = "minute",
                                 .types = "order",
                                 .columns = columns,
                                 .column_count = TG_ARRAY_LEN(columns)};

/* A result of `count` columns with one row of text cells; NULL stays NULL. */
static PGresult *row_of(const char *const *cells, int count)
{
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc attributes[4] = {{.name = (char[]){"c"}},
                                  {.name = (char[]){"c"}},
                                  {.name = (char[]){"c"}},
                                  {.name = (char[]){"c"}}};
    assert_true(PQsetResultAttrs(result, count, attributes));
    for (int i = 0; cells != NULL && i < count; i++) {
        char *text = (char *)(uintptr_t)cells[i];
        assert_true(PQsetvalue(result, 0, i, text, text == NULL ? -1 : (int)strlen(text)));
    }
    return result;
}

static tg_buf_t entry_of(const char *const *cells, int64_t now, int64_t from)
{
    tg_plan_t plan = {.shape = &shape, .from = from, .to = NOW, .now = now};
    static const char *const newest_cells[] = {"1770112800000000"};
    PGresult *rows = row_of(cells, 3), *newest = row_of(newest_cells, 1);
    tg_buf_t entry = tg_buf_make(4096);
    tg_render_entry(&plan, rows, newest, &entry);
    assert_false(entry.failed);
    PQclear(rows);
    PQclear(newest);
    return entry;
}

static void an_entry_becomes_the_whole_answer(void **state)
{
    (void)state;
    static const char *const cells[] = {"1770112800000000", "a\"b", "120.5"};
    tg_buf_t entry = entry_of(cells, NOW, NOW - TG_US_PER_HOUR), out = tg_buf_make(4096);
    tg_str_t tag, body;

    assert_true(tg_render_split(tg_buf_view(&entry), &tag, &body));
    tg_render_body(body, true, &out);
    tg_buf_byte(&out, '\0');
    assert_string_equal(out.data, "{\"bucket\":\"minute\",\"from\":\"2026-02-03T09:00:05Z\","
                                  "\"to\":\"2026-02-03T10:00:05Z\",\"items\":[{\"bucket\":"
                                  "\"2026-02-03T10:00:00Z\",\"name\":\"a\\\"b\",\"n\":120.5}],"
                                  "\"freshness\":{\"newest_minute\":\"2026-02-03T10:00:00Z\","
                                  "\"as_of\":\"2026-02-03T10:00:05Z\",\"cached\":true}}");
    tg_buf_dispose(&entry);
    tg_buf_dispose(&out);
}

static void documents_are_written_as_they_stand(void **state)
{
    (void)state;
    static const tg_column_t one[] = {{"payload", TG_COLUMN_JSON}, {"none", TG_COLUMN_JSON}};
    static const tg_shape_t documents = {.name = "test",
                                         .types = "signal",
                                         .columns = one,
                                         .column_count = TG_ARRAY_LEN(one)};
    static const char *const cells[] = {"{\"a\": [1, \"x\"]}", NULL}, *const newest_cells[] = {"0"};
    tg_plan_t plan = {.shape = &documents, .from = NOW - 1, .to = NOW, .now = NOW};
    PGresult *rows = row_of(cells, 2), *newest = row_of(newest_cells, 1);
    tg_buf_t entry = tg_buf_make(4096);

    tg_render_entry(&plan, rows, newest, &entry);
    tg_buf_byte(&entry, '\0');
    assert_non_null(strstr(entry.data, "[{\"payload\":{\"a\": [1, \"x\"]},\"none\":null}]"));
    tg_buf_dispose(&entry);
    PQclear(rows);
    PQclear(newest);
}

static void null_cells_and_no_rows_are_written_as_such(void **state)
{
    (void)state;
    static const char *const cells[] = {NULL, NULL, NULL};
    tg_buf_t entry = entry_of(cells, NOW, NOW - 1), empty = entry_of(NULL, NOW, NOW - 1);

    assert_non_null(
        memmem(entry.data, entry.len, "{\"bucket\":null,\"name\":null,\"n\":null}", 36));
    assert_non_null(memmem(empty.data, empty.len, "\"items\":[]", 10));
    tg_buf_dispose(&entry);
    tg_buf_dispose(&empty);
}

static void the_tag_follows_the_items_and_not_the_clock(void **state)
{
    (void)state;
    static const char *const one[] = {"1770112800000000", "x", "1"}, *const two[] = {
                                                                         "1770112800000000", "x",
                                                                         "2"};
    tg_buf_t first = entry_of(one, NOW, NOW - 10), later = entry_of(one, NOW + 5, NOW - 5),
             other = entry_of(two, NOW, NOW - 10);

    assert_memory_equal(first.data, later.data, TG_RENDER_TAG_LEN);
    assert_memory_not_equal(first.data, other.data, TG_RENDER_TAG_LEN);
    tg_buf_dispose(&first);
    tg_buf_dispose(&later);
    tg_buf_dispose(&other);
}

static void bytes_that_are_no_entry_are_a_miss(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "W/\"",
                                      "hello",
                                      "W/\"0123456789abcdef\"{}",
                                      "X/\"0123456789abcdef\"{\"cached\":",
                                      "W/\"0123456789abcde\r\"{\"cached\":",
                                      "W/\"0123456789abcdef\n{\"cached\":",
                                      "W/\"0123456789abcdeF\"{\"cached\":",
                                      "W/\"0123456789abcdef\"\"cached\":"};
    tg_str_t tag, body;

    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
        assert_false(tg_render_split(tg_str_from(bad[i]), &tag, &body));
}

static void a_tag_matches_in_a_list_weak_or_strong_and_never_in_part(void **state)
{
    (void)state;
    static const tg_str_t tag = {"W/\"0123456789abcdef\"", TG_RENDER_TAG_LEN};
    static const char *const good[] = {
        "*",
        "W/\"0123456789abcdef\"",
        "\"0123456789abcdef\"",
        "\"x\", W/\"0123456789abcdef\"",
        "\"a,b\" ,\t,W/\"y\",\"0123456789abcdef\", \"z\"",
    };
    static const char *const bad[] = {
        "",
        ",",
        "W/",
        "0123456789abcdef",
        "\"0123456789abcdef",
        "\"0123456789abcde\"",
        "\"x\" junk \"0123456789abcdef\"",
        "\"x, W/\"0123456789abcdef\"",
        "w/\"0123456789abcdef\"",
        "**",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(good); i++)
        assert_true(tg_render_matches(tg_str_from(good[i]), tag));
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
        assert_false(tg_render_matches(tg_str_from(bad[i]), tag));
    assert_false(tg_render_matches((tg_str_t){NULL, 0}, tag));
}

static void only_ranges_that_touch_the_last_hour_are_short_lived(void **state)
{
    (void)state;
    tg_plan_t plan = {.now = NOW, .to = NOW};
    assert_int_equal(tg_plan_ttl_ms(&plan), 1000);
    plan.to = NOW - TG_US_PER_HOUR + 1;
    assert_int_equal(tg_plan_ttl_ms(&plan), 1000);
    plan.to = NOW - TG_US_PER_HOUR;
    assert_int_equal(tg_plan_ttl_ms(&plan), 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_becomes_the_whole_answer),
        cmocka_unit_test(documents_are_written_as_they_stand),
        cmocka_unit_test(null_cells_and_no_rows_are_written_as_such),
        cmocka_unit_test(the_tag_follows_the_items_and_not_the_clock),
        cmocka_unit_test(bytes_that_are_no_entry_are_a_miss),
        cmocka_unit_test(a_tag_matches_in_a_list_weak_or_strong_and_never_in_part),
        cmocka_unit_test(only_ranges_that_touch_the_last_hour_are_short_lived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
