/* Migration files on disk: order, names and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "migrations/files.h"

static char dir[64];

static void put(const char *name, const char *text, size_t len)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static int make_dir(void **state)
{
    (void)state;
    char path[128];
    (void)snprintf(dir, sizeof(dir), "/tmp/tg-migrations-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/common", dir);
    int made = mkdir(path, 0700);
    (void)snprintf(path, sizeof(path), "%s/plain", dir);
    return made + mkdir(path, 0700);
}

static int remove_dir(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

static void load(tg_status_t expected, const char *part)
{
    tg_migration_files_t files;
    tg_error_t error = {0};
    assert_int_equal(tg_migration_files_load(dir, "plain", &files, &error), expected);
    assert_non_null(strstr(error.text, part));
    tg_migration_files_dispose(&files);
}

static void folders_are_merged_in_the_order_of_the_numbers(void **state)
{
    (void)state;
    put("common/0003_c.sql", "c", 1);
    put("plain/0002_b.sql", "abc", 3);
    put("common/0001_a.sql", "", 0);
    put("common/README.md", "no migration", 12);
    tg_migration_files_t files;
    assert_int_equal(tg_migration_files_load(dir, "plain", &files, NULL), TG_OK);
    assert_int_equal(files.count, 3);
    assert_string_equal(files.items[0].name, "0001_a.sql");
    assert_string_equal(files.items[1].text, "abc");
    assert_string_equal(files.items[1].sha256,
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_ptr_equal(tg_migration_find(&files, 3), &files.items[2]);
    assert_null(tg_migration_find(&files, 4));
    tg_migration_files_dispose(&files);
}

static void two_files_of_one_number_are_refused(void **state)
{
    (void)state;
    put("common/0001_a.sql", "", 0);
    put("plain/0001_b.sql", "", 0);
    load(TG_CONFLICT, "the same number");
}

static void a_name_of_another_form_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"1_a.sql",    "0001-a.sql",  "0001_.sql", "0001_A.sql",
                                      "0000_a.sql", "00011_a.sql", ".sql",      "+001_a.sql"};
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
        assert_int_equal(tg_migration_number(tg_str_from(bad[i])), 0);
    assert_int_equal(tg_migration_number(TG_STR("0042_a_1.sql")), 42);
    put("common/1_a.sql", "", 0);
    load(TG_INVALID, "NNNN_name.sql");
}

static void a_nul_byte_is_refused(void **state)
{
    (void)state;
    put("common/0001_a.sql", "a\0b", 3);
    load(TG_INVALID, "NUL");
}

static void a_file_beyond_one_mebibyte_is_refused(void **state)
{
    (void)state;
    char *big = malloc(TG_MIGRATION_TEXT_MAX + 1);
    assert_non_null(big);
    memset(big, ' ', TG_MIGRATION_TEXT_MAX + 1);
    put("common/0001_a.sql", big, TG_MIGRATION_TEXT_MAX + 1);
    load(TG_TOO_LARGE, "1 MiB");
    put("common/0001_a.sql", big, TG_MIGRATION_TEXT_MAX);
    load(TG_OK, "");
    free(big);
}

static void a_missing_folder_is_named(void **state)
{
    (void)state;
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/plain", dir);
    assert_int_equal(rmdir(path), 0);
    load(TG_NOT_FOUND, "/plain");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(folders_are_merged_in_the_order_of_the_numbers, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(two_files_of_one_number_are_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_name_of_another_form_is_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_nul_byte_is_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_file_beyond_one_mebibyte_is_refused, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(a_missing_folder_is_named, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
