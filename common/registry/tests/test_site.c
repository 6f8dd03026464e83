/* How our own registry and another one are asked. */
#include "common/registry/site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECRET "0123456789abcdef"

static tg_registry_site_t *open_site(tg_registry_site_config_t config)
{
    tg_registry_site_t *site = NULL;
    tg_error_t error = {0};
    config.instances = "127.0.0.1:8083,127.0.0.1:8084";
    config.secret = SECRET;
    assert_int_equal(tg_registry_site_open(&config, &site, &error), TG_OK);
    return site;
}

static char *writable(const char *text)
{
    return (char *)(uintptr_t)text;
}

static void assert_target(const tg_registry_site_t *site, const char *tenant, uint32_t id,
                          const char *expected)
{
    tg_buf_t out = tg_buf_make(1024);
    tg_registry_site_target(site, tenant, "visit", id, &out);
    tg_buf_byte(&out, '\0');
    assert_string_equal(out.data, expected);
    tg_buf_dispose(&out);
}

static void our_own_is_told_the_tenant(void **state)
{
    (void)state;
    tg_registry_site_t *site = open_site((tg_registry_site_config_t){.url = writable("")});
    tg_http_header_t headers[TG_REGISTRY_HEADERS_MAX];
    assert_false(tg_registry_site_foreign(site));
    assert_string_equal(tg_registry_site_instances(site), "127.0.0.1:8083,127.0.0.1:8084");
    assert_target(site, "acme", 0, "/subjects/visit-value/versions/latest?format=resolved");
    assert_target(site, "acme", 17, "/schemas/ids/17?format=resolved");
    assert_int_equal(tg_registry_site_headers(site, "acme", headers), 2);
    assert_true(tg_str_eq(headers[0].value, TG_STR(SECRET)));
    assert_true(tg_str_eq(headers[1].name, TG_STR("x-tidegate-tenant")));
    assert_true(tg_str_eq(headers[1].value, TG_STR("acme")));
    assert_int_equal(tg_registry_site_headers(site, NULL, headers), 1);
    tg_registry_site_close(site);
}

static void another_has_a_context_for_each_tenant(void **state)
{
    (void)state;
    tg_registry_site_t *site =
        open_site((tg_registry_site_config_t){.url = writable("http://registry.test:9081/api/"),
                                              .user = writable("ada"),
                                              .password = writable("love:lace")});
    tg_http_header_t headers[TG_REGISTRY_HEADERS_MAX];
    tg_buf_t probe = tg_buf_make(256);
    assert_true(tg_registry_site_foreign(site));
    assert_true(tg_registry_site_own_ids(site));
    assert_string_equal(tg_registry_site_instances(site), "registry.test:9081");
    assert_target(site, "acme", 0,
                  "/api/subjects/%3A.acme%3Avisit-value/versions/latest?format=resolved");
    assert_target(site, "", 0, "/api/subjects/visit-value/versions/latest?format=resolved");
    assert_target(site, "acme", 17,
                  "/api/schemas/ids/17?format=resolved&subject=%3A.acme%3Avisit-value");
    assert_int_equal(tg_registry_site_headers(site, "acme", headers), 1); /* not our secret */
    assert_true(tg_str_eq(headers[0].value, TG_STR("Basic YWRhOmxvdmU6bGFjZQ==")));
    tg_registry_site_probe(site, &probe);
    assert_true(tg_str_eq(tg_buf_view(&probe), TG_STR("/api/schemas/types")));
    tg_buf_dispose(&probe);
    tg_registry_site_close(site);
}

static void one_without_contexts_is_asked_for_bare_names(void **state)
{
    (void)state;
    tg_registry_site_t *site =
        open_site((tg_registry_site_config_t){.url = writable("http://[::1]:9081"),
                                              .token = writable("t0ken"),
                                              .one_context = true});
    tg_http_header_t headers[TG_REGISTRY_HEADERS_MAX];
    assert_false(tg_registry_site_own_ids(site));
    assert_target(site, "acme", 0, "/subjects/visit-value/versions/latest?format=resolved");
    assert_target(site, "acme", 17, "/schemas/ids/17?format=resolved");
    assert_int_equal(tg_registry_site_headers(site, "acme", headers), 1);
    assert_true(tg_str_eq(headers[0].value, TG_STR("Bearer t0ken")));
    tg_registry_site_close(site);
}

static void a_wrong_setting_is_refused_by_its_name(void **state)
{
    (void)state;
    static const struct {
        const char *url, *user, *password, *token, *part;
    } cases[] = {
        {"https://r:1", NULL, NULL, NULL, "registry.url: https"},
        {"r:1", NULL, NULL, NULL, "registry.url: must be"},
        {"http://", NULL, NULL, NULL, "registry.url: must be"},
        {"http:///path", NULL, NULL, NULL, "registry.url: must be"},
        {"http://u:p@r:1", NULL, NULL, NULL, "registry.url: must be"},
        {"http://r:1,s:1", NULL, NULL, NULL, "registry.url: must be"},
        {"http://r:1/a?b", NULL, NULL, NULL, "registry.url: must be"},
        {"http://r:1/a b", NULL, NULL, NULL, "registry.url: must be"},
        {"http://r:1", "a:b", "c", NULL, "registry.user"},
        {"http://r:1", "a", "b", "c", "registry.token"},
        {"http://r:1", NULL, NULL, "a\r\nb: c", "registry.token"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        const tg_registry_site_config_t config = {.url = writable(cases[i].url),
                                                  .user = writable(cases[i].user),
                                                  .password = writable(cases[i].password),
                                                  .token = writable(cases[i].token)};
        tg_registry_site_t *site = NULL;
        tg_error_t error = {0};
        assert_int_equal(tg_registry_site_open(&config, &site, &error), TG_INVALID);
        assert_non_null(strstr(error.text, cases[i].part));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_is_told_the_tenant),
        cmocka_unit_test(another_has_a_context_for_each_tenant),
        cmocka_unit_test(one_without_contexts_is_asked_for_bare_names),
        cmocka_unit_test(a_wrong_setting_is_refused_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
