/* Aliases, upstream targets and their encoding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "gateway/routes.h"

static void handler(tg_http_req_t *req, void *thread_ctx)
{
    (void)req;
    (void)thread_ctx;
}

static const tg_public_route_t *find(const tg_http_route_t *rows, size_t count, const char *method,
                                     const char *path)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].path, path) == 0 && strcmp(rows[i].method, method) == 0)
            return rows[i].user;
    }
    return NULL;
}

static void assert_target(const tg_public_route_t *route, const char *path, const char *query,
                          const char *expected)
{
    static const char before[] = "what stood here before";
    tg_buf_t buf = tg_buf_make(4096);
    tg_buf_str(&buf, TG_STR(before));
    tg_str_t target = tg_routes_target(route, tg_str_from(path), tg_str_from(query), &buf);
    if (!tg_str_eq(target, tg_str_from(expected)))
        fail_msg("%s?%s becomes " TG_STR_FMT, path, query, TG_STR_ARG(target));
    tg_buf_dispose(&buf);
    /* Too little room is told, wherever it ends. */
    for (size_t room = 1; room < strlen(expected); room++) {
        buf = tg_buf_make(room);
        assert_int_equal(tg_routes_target(route, tg_str_from(path), tg_str_from(query), &buf).len,
                         0);
        tg_buf_dispose(&buf);
    }
}

static void every_v1_path_answers_under_its_three_prefixes(void **state)
{
    (void)state;
    static const char *const paths[] = {"/events/:type", "/kpi/*", "/metrics", "/metrics/*",
                                        "/streams/*"};
    static const char *const prefixes[] = {"", "/v1", "/api/v1"};
    size_t count = 0;
    tg_http_route_t *rows = tg_routes_expand(handler, &count);
    assert_non_null(rows);

    for (size_t i = 0; i < TG_ARRAY_LEN(paths); i++) {
        for (size_t j = 0; j < TG_ARRAY_LEN(prefixes); j++) {
            char path[64];
            (void)snprintf(path, sizeof(path), "%s%s", prefixes[j], paths[i]);
            const tg_public_route_t *route = find(rows, count, i == 0 ? "POST" : "GET", path);
            assert_non_null(route);
            assert_int_equal(route->upstream, i == 0 ? TG_UP_INGESTION : TG_UP_QUERY);
            assert_int_equal(route->scope, i == 0 ? TG_SCOPE_INGEST : TG_SCOPE_READ);
        }
    }
    assert_null(find(rows, count, "GET", "/api/v2/events"));
    tg_routes_dispose(rows, count);
}

static void an_alias_reaches_the_same_upstream_target(void **state)
{
    (void)state;
    size_t count = 0;
    tg_http_route_t *rows = tg_routes_expand(handler, &count);
    const tg_public_route_t *kpi = find(rows, count, "GET", "/v1/kpi/*");

    assert_target(kpi, "/v1/kpi/minute", "limit=5", "/v1/kpi/minute?limit=5");
    assert_target(kpi, "/api/v1/kpi/minute", "", "/v1/kpi/minute");
    assert_target(kpi, "/kpi/minute", "from=a&to=b", "/v1/kpi/minute?from=a&to=b");
    tg_routes_dispose(rows, count);
}

static void the_registry_sees_paths_without_the_public_prefix(void **state)
{
    (void)state;
    size_t count = 0;
    tg_http_route_t *rows = tg_routes_expand(handler, &count);
    const tg_public_route_t *get =
        find(rows, count, "GET", "/v2/registry/subjects/:subject/versions/:version");

    assert_int_equal(get->scope, TG_SCOPE_REGISTRY);
    assert_target(get, "/v2/registry/subjects/order-value/versions/latest", "",
                  "/subjects/order-value/versions/latest");
    tg_routes_dispose(rows, count);
}

static void the_registry_takes_the_methods_that_each_path_has(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path;
        bool taken;
    } cases[] = {
        {"GET", "/v2/registry/subjects/:subject/versions", true},
        {"POST", "/v2/registry/subjects/:subject/versions", true},
        {"PUT", "/v2/registry/subjects/:subject/versions", false},
        {"DELETE", "/v2/registry/subjects/:subject", true},
        {"GET", "/v2/registry/subjects/:subject", false},
        {"PUT", "/v2/registry/config", true},
        {"POST", "/v2/registry/config", false},
    };
    size_t count = 0;
    tg_http_route_t *rows = tg_routes_expand(handler, &count);
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        const tg_public_route_t *route = find(rows, count, cases[i].method, cases[i].path);
        assert_int_equal(route != NULL, cases[i].taken);
        if (route == NULL)
            continue;
        assert_string_equal(route->method, cases[i].method);
        assert_int_equal(route->scope, TG_SCOPE_REGISTRY);
        assert_int_equal(route->format, TG_HTTP_CONFLUENT);
        assert_target(route, "/v2/registry/subjects/a%2Fb%3A%20c/versions", "permanent=true",
                      "/subjects/a%2Fb:%20c/versions?permanent=true");
    }
    const tg_public_route_t *types = find(rows, count, "GET", "/v2/event-types");
    assert_int_equal(types->scope, TG_SCOPE_READ);
    assert_int_equal(types->upstream, TG_UP_REGISTRY);
    assert_target(types, "/v2/event-types", "limit=2", "/v2/event-types?limit=2");
    tg_routes_dispose(rows, count);
}

static void a_path_has_one_spelling(void **state)
{
    (void)state;
    size_t count = 0;
    tg_http_route_t *rows = tg_routes_expand(handler, &count);
    const tg_public_route_t *kpi = find(rows, count, "GET", "/v1/kpi/*"),
                            *registry = find(rows, count, "GET", "/v2/registry/");

    assert_target(kpi, "/%61pi/%76%31/kpi/%6Dinute", "a=%6D", "/v1/kpi/minute?a=%6D");
    assert_target(kpi, "/v1/kpi/a%2fb%e2%82%ac", "", "/v1/kpi/a%2Fb%E2%82%AC");
    assert_target(kpi, "/v1/kpi/%2525", "", "/v1/kpi/%2525");
    assert_target(registry, "/v2/registry", "", "/");
    assert_target(registry, "/v2/registry", "a=b", "/?a=b");
    assert_target(registry, "/v2/registry/", "", "/");
    tg_routes_dispose(rows, count);
}

static void bytes_that_could_break_a_request_line_are_encoded(void **state)
{
    (void)state;
    size_t count = 0;
    tg_http_route_t *rows = tg_routes_expand(handler, &count);
    const tg_public_route_t *events = find(rows, count, "POST", "/v1/events/:type");

    assert_target(events, "/v1/events/a b\r\nX: y", "", "/v1/events/a%20b%0D%0AX:%20y");
    assert_target(events, "/v1/events/100%", "q= \r\n#", "/v1/events/100%25?q=%20%0D%0A%23");
    tg_routes_dispose(rows, count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_v1_path_answers_under_its_three_prefixes),
        cmocka_unit_test(an_alias_reaches_the_same_upstream_target),
        cmocka_unit_test(the_registry_sees_paths_without_the_public_prefix),
        cmocka_unit_test(the_registry_takes_the_methods_that_each_path_has),
        cmocka_unit_test(a_path_has_one_spelling),
        cmocka_unit_test(bytes_that_could_break_a_request_line_are_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
