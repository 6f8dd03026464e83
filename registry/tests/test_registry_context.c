/* Contexts and subjects, as tenants and operators write and read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "registry/context.h"

static const tg_viewer_t acme = {.tenant = true, .own = {"acme", 4}};
static const tg_viewer_t any = {.tenant = false, .own = {"", 0}};

static void a_subject_is_short_clean_text(void **state)
{
    (void)state;
    char longest[TG_SUBJECT_MAX + 2];
    memset(longest, 'x', sizeof(longest));
    assert_true(tg_subject_ok(TG_STR("order-value")));
    assert_true(tg_subject_ok(TG_STR("a:b/c d.\xc3\xa4")));
    assert_true(tg_subject_ok((tg_str_t){longest, TG_SUBJECT_MAX}));
    assert_false(tg_subject_ok((tg_str_t){longest, TG_SUBJECT_MAX + 1}));
    assert_false(tg_subject_ok(TG_STR("")));
    assert_false(tg_subject_ok(TG_STR("a\nb")));
    assert_false(tg_subject_ok(TG_STR(":*:b")));
    assert_false(tg_subject_ok((tg_str_t){"a\0b", 3}));
    assert_false(tg_subject_ok(TG_STR("a\x7f")));
    assert_false(tg_subject_ok(TG_STR("a\xff")));
}

static void an_operator_names_any_context(void **state)
{
    (void)state;
    static const struct {
        const char *text, *context, *name;
    } cases[] = {
        {"s-value", "", "s-value"},      {":.:s", "", "s"},        {":.acme:s", "acme", "s"},
        {":.a.b:s:t", "a.b", "s:t"},     {":.acme:", "acme", ""},  {":x", "", ":x"},
        {":.__GLOBAL:", "__GLOBAL", ""}, {"a:.b:c", "", "a:.b:c"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        tg_subject_name_t subject;
        assert_int_equal(tg_context_subject(&any, TG_STR(""), tg_str_from(cases[i].text), &subject),
                         TG_OK);
        assert_true(tg_str_eq(subject.context, tg_str_from(cases[i].context)));
        assert_true(tg_str_eq(subject.name, tg_str_from(cases[i].name)));
    }
}

static void a_name_that_is_no_contexts_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {":.a", ":.a b:s", ":.a/b:s", ":.\xc3\xa4:s"};
    tg_subject_name_t subject;
    tg_str_t context;
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
        assert_int_equal(tg_context_subject(&any, TG_STR(""), tg_str_from(bad[i]), &subject),
                         TG_INVALID);
    assert_int_equal(tg_context_parse(&any, TG_STR(""), &context), TG_INVALID);
}

static void a_context_in_a_path_may_have_its_dot_or_not(void **state)
{
    (void)state;
    static const char *const same[] = {"acme", ".acme", ":.acme:"};
    tg_str_t context;
    for (size_t i = 0; i < TG_ARRAY_LEN(same); i++) {
        assert_int_equal(tg_context_parse(&any, tg_str_from(same[i]), &context), TG_OK);
        assert_true(tg_str_eq(context, TG_STR("acme")));
    }
    assert_int_equal(tg_context_parse(&any, TG_STR("."), &context), TG_OK);
    assert_int_equal(context.len, 0);
}

static void a_tenant_names_no_context_but_the_one_it_takes_for_the_default(void **state)
{
    (void)state;
    static const char *const others[] = {":.acme:s", ":.other:s", ":.__GLOBAL:", ":.x", ":. :s"};
    tg_subject_name_t subject;
    tg_str_t context;
    for (size_t i = 0; i < TG_ARRAY_LEN(others); i++)
        assert_int_equal(tg_context_subject(&acme, acme.own, tg_str_from(others[i]), &subject),
                         TG_DENIED);
    assert_int_equal(tg_context_subject(&acme, acme.own, TG_STR(":.:s"), &subject), TG_OK);
    assert_true(tg_str_eq(subject.context, acme.own));
    assert_int_equal(tg_context_parse(&acme, TG_STR("."), &context), TG_OK);
    assert_true(tg_str_eq(context, acme.own));
    assert_int_equal(tg_context_parse(&acme, TG_STR("other"), &context), TG_DENIED);
}

static void expect_print(const tg_viewer_t *viewer, const char *context, const char *wanted)
{
    tg_buf_t out = tg_buf_make(1000);
    tg_context_print(viewer, tg_str_from(context), &out);
    tg_buf_byte(&out, ' ');
    tg_context_print_subject(viewer, tg_str_from(context), TG_STR("a\"b"), &out);
    assert_false(out.failed);
    assert_true(tg_str_eq(tg_buf_view(&out), tg_str_from(wanted)));
    tg_buf_dispose(&out);
}

static void names_are_printed_as_their_viewer_would_write_them(void **state)
{
    (void)state;
    expect_print(&any, "", "\".\" \"a\\\"b\"");
    expect_print(&any, "acme", "\".acme\" \":.acme:a\\\"b\"");
    expect_print(&acme, "acme", "\".\" \"a\\\"b\"");
    expect_print(&acme, "", "\".\" \"a\\\"b\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_subject_is_short_clean_text),
        cmocka_unit_test(an_operator_names_any_context),
        cmocka_unit_test(a_name_that_is_no_contexts_is_refused),
        cmocka_unit_test(a_context_in_a_path_may_have_its_dot_or_not),
        cmocka_unit_test(a_tenant_names_no_context_but_the_one_it_takes_for_the_default),
        cmocka_unit_test(names_are_printed_as_their_viewer_would_write_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
