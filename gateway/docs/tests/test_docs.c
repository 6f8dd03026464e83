/* That the files came into the program whole. How they are served is tested from outside
 * (tests/openapi). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/docs/docs.h"

static void assert_same(const tg_docs_file_t *file, const char *source)
{
    FILE *stream = fopen(source, "rb");
    if (stream == NULL)
        fail_msg("%s cannot be opened", source);
    char *bytes = malloc(file->content.len + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, file->content.len + 1, stream), file->content.len);
    assert_memory_equal(bytes, file->content.ptr, file->content.len);
    free(bytes);
    (void)fclose(stream);
}

static void every_file_is_the_one_of_the_source(void **state)
{
    (void)state;
    static const struct {
        const char *path, *source, *content_type;
    } expected[] = {
        {"/openapi/v1.json", "openapi/v1.json", "application/json"},
        {"/openapi/v2.json", "openapi/v2.json", "application/json"},
        {"/openapi/admin.json", "openapi/admin.json", "application/json"},
        {"/docs", "gateway/docs/page.html", "text/html; charset=utf-8"},
        {"/docs/page.css", "gateway/docs/page.css", "text/css; charset=utf-8"},
        {"/docs/page.js", "gateway/docs/page.js", "text/javascript; charset=utf-8"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(expected); i++) {
        const tg_docs_file_t *file = tg_docs_file(i);
        assert_non_null(file);
        assert_string_equal(file->path, expected[i].path);
        assert_string_equal(file->content_type, expected[i].content_type);
        assert_same(file, expected[i].source);
    }
    assert_null(tg_docs_file(TG_ARRAY_LEN(expected)));
}

static void tags_are_quoted_and_differ(void **state)
{
    (void)state;
    for (size_t i = 0; tg_docs_file(i) != NULL; i++) {
        const char *tag = tg_docs_file(i)->tag;
        assert_int_equal(strlen(tag), 18);
        assert_int_equal(tag[0], '"');
        assert_int_equal(strspn(tag + 1, "0123456789abcdef"), 16);
        assert_int_equal(tag[17], '"');
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(tag, tg_docs_file(k)->tag);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file_is_the_one_of_the_source),
        cmocka_unit_test(tags_are_quoted_and_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
