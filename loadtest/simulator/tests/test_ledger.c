/* The ledger's lines and sums, read back from the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "loadtest/simulator/ledger.h"

#define ID    "0190e5a4-0000-7000-8000-000000000001"
#define START INT64_C(1770112800000000) /* 2026-02-03T10:00:00Z */

static const tg_ledger_entry_t order = {
    .type = {"order", 5},
    .kind = {"USD", 3},
    .entity = {"web", 3},
    .event_id = {ID, 36},
    .occurred_at = START,
    .value = 120500000,
    .has_value = true,
    .event = {"{\"order_id\":\"o-1\"}", 18},
};

static char path[] = "/tmp/tg-ledger-XXXXXX";

static int make_path(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof(path), "/tmp/tg-ledger-XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

static tg_ledger_t *open_ledger(const char *where)
{
    tg_ledger_t *ledger = NULL;
    tg_error_t error = {.text = ""};
    if (tg_ledger_open(where, "abcdefghijkl", &ledger, &error) != TG_OK)
        fail_msg("%s", error.text);
    return ledger;
}

static const char *content(void)
{
    static char text[4096];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    (void)fclose(file);
    return text;
}

static void assert_sums(const tg_ledger_t *ledger, const char *expected)
{
    tg_buf_t out = tg_buf_make(1 << 20);
    tg_ledger_write_sums(ledger, &out);
    tg_buf_byte(&out, '\0');
    assert_string_equal(out.data, expected);
    tg_buf_dispose(&out);
}

static void lines_say_what_was_acknowledged(void **state)
{
    (void)state;
    tg_ledger_t *ledger = open_ledger(path);
    tg_ledger_entry_t view = {.type = TG_STR("session"),
                              .kind = TG_STR("view"),
                              .entity = TG_STR("a \"b\""),
                              .event_id = TG_STR(ID),
                              .occurred_at = START + 1};
    tg_ledger_acknowledged(ledger, &order);
    tg_ledger_acknowledged(ledger, &view);
    assert_string_equal(content(), ""); /* nothing before the flush */
    assert_int_equal(tg_ledger_flush(ledger), TG_OK);
    assert_string_equal(content(),
                        "{\"type\":\"order\",\"event_id\":\"" ID "\",\"occurred_at\":"
                        "\"2026-02-03T10:00:00Z\",\"kind\":\"USD\",\"entity\":\"web\","
                        "\"value\":120.5,\"key\":\"abcdefghijkl\"}\n"
                        "{\"type\":\"session\",\"event_id\":\"" ID "\",\"occurred_at\":"
                        "\"2026-02-03T10:00:00.000001Z\",\"kind\":\"view\",\"entity\":\"a \\\"b\\\""
                        "\",\"value\":null,\"key\":\"abcdefghijkl\"}\n");
    tg_ledger_close(ledger);
}

static void lines_name_what_was_not_acknowledged(void **state)
{
    (void)state;
    tg_ledger_t *ledger = open_ledger(path);
    tg_ledger_entry_t timeless = order;
    timeless.occurred_at = INT64_MIN;
    tg_ledger_failed(ledger, TG_LEDGER_GIVEN_UP, "no_answer", &order);
    tg_ledger_failed(ledger, TG_LEDGER_REFUSED, "too_old", &timeless);
    assert_int_equal(tg_ledger_flush(ledger), TG_OK);
    assert_string_equal(content(),
                        "{\"given_up\":\"no_answer\",\"type\":\"order\",\"occurred_at\":"
                        "\"2026-02-03T10:00:00Z\",\"event\":{\"order_id\":\"o-1\"},"
                        "\"key\":\"abcdefghijkl\"}\n"
                        "{\"refused\":\"too_old\",\"type\":\"order\",\"occurred_at\":null,"
                        "\"event\":{\"order_id\":\"o-1\"},\"key\":\"abcdefghijkl\"}\n");
    tg_ledger_counts_t counts = tg_ledger_counts(ledger);
    assert_true(counts.acknowledged == 0 && counts.given_up == 1 && counts.refused == 1);
    assert_sums(ledger, "\"acknowledged\":{}");
    tg_ledger_close(ledger);
}

static void a_second_run_appends(void **state)
{
    (void)state;
    for (unsigned run = 0; run < 2; run++) {
        tg_ledger_t *ledger = open_ledger(path);
        tg_ledger_acknowledged(ledger, &order);
        assert_int_equal(tg_ledger_flush(ledger), TG_OK);
        tg_ledger_close(ledger);
    }
    const char *first = content(), *newline = strchr(first, '\n');
    assert_int_equal(strlen(first), 2 * (size_t)(newline + 1 - first));
}

static void sums_are_exact_and_in_order(void **state)
{
    (void)state;
    tg_ledger_t *ledger = open_ledger("");
    tg_ledger_entry_t entry = order;
    for (unsigned i = 0; i < 1000; i++) {
        entry.value = 100000; /* 0.1, which no double is */
        tg_ledger_acknowledged(ledger, &entry);
    }
    entry.kind = TG_STR("EUR");
    entry.value = INT64_MAX;
    tg_ledger_acknowledged(ledger, &entry);
    tg_ledger_acknowledged(ledger, &entry);
    entry.type = TG_STR("signal");
    entry.value = -1;
    tg_ledger_acknowledged(ledger, &entry);
    entry.has_value = false;
    tg_ledger_acknowledged(ledger, &entry);
    assert_int_equal(tg_ledger_flush(ledger), TG_OK);
    assert_sums(ledger, "\"acknowledged\":{\"order\":{"
                        "\"EUR\":{\"count\":2,\"sum\":\"18446744073709.551614\"},"
                        "\"USD\":{\"count\":1000,\"sum\":\"100\"}},"
                        "\"signal\":{\"EUR\":{\"count\":2,\"sum\":\"-0.000001\"}}}");
    tg_ledger_close(ledger);
}

static void too_many_kinds_are_counted_together(void **state)
{
    (void)state;
    tg_ledger_t *ledger = open_ledger("");
    for (unsigned i = 0; i < 5000; i++) {
        char kind[16];
        tg_ledger_entry_t entry = order;
        (void)snprintf(kind, sizeof(kind), "k%u", i);
        entry.kind = tg_str_from(kind);
        tg_ledger_acknowledged(ledger, &entry);
    }
    tg_buf_t out = tg_buf_make(1 << 20);
    tg_ledger_write_sums(ledger, &out);
    tg_buf_byte(&out, '\0');
    assert_non_null(strstr(out.data, "\"~other\":{\"~other\":{\"count\":904,\"sum\":\"108932\"}}"));
    tg_buf_dispose(&out);
    tg_ledger_close(ledger);
}

static void a_full_disk_is_told(void **state)
{
    (void)state;
    tg_ledger_t *ledger = open_ledger("/dev/full");
    tg_ledger_acknowledged(ledger, &order);
    assert_int_equal(tg_ledger_flush(ledger), TG_UNAVAILABLE);
    tg_ledger_close(ledger);
}

static void a_path_that_cannot_be_written_is_an_error_that_names_it(void **state)
{
    (void)state;
    tg_ledger_t *ledger = NULL;
    tg_error_t error = {.text = ""};
    assert_int_equal(tg_ledger_open("/nowhere/at/all", "", &ledger, &error), TG_UNAVAILABLE);
    assert_non_null(strstr(error.text, "/nowhere/at/all"));
    assert_null(ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_say_what_was_acknowledged, make_path, remove_path),
        cmocka_unit_test_setup_teardown(lines_name_what_was_not_acknowledged, make_path,
                                        remove_path),
        cmocka_unit_test_setup_teardown(a_second_run_appends, make_path, remove_path),
        cmocka_unit_test(sums_are_exact_and_in_order),
        cmocka_unit_test(too_many_kinds_are_counted_together),
        cmocka_unit_test(a_full_disk_is_told),
        cmocka_unit_test(a_path_that_cannot_be_written_is_an_error_that_names_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
