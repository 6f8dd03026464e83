/* The route table on paths that clients and attackers send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/http/shell/routes.h"

static void handler(tg_http_req_t *req, void *thread_ctx)
{
    (void)req;
    (void)thread_ctx;
}

static const tg_http_route_t rows[] = {
    {.method = "GET", .path = "/", .handler = handler},
    {.method = "POST", .path = "/v1/events/:type", .handler = handler},
    {.method = "GET", .path = "/v1/events/latest", .handler = handler},
    {.method = "DELETE", .path = "/v1/events/:type", .handler = handler},
    {.method = "GET", .path = "/subjects/:subject/versions/:version", .handler = handler},
    {.method = "GET", .path = "/files/*", .handler = handler},
    {.method = "GET", .path = "/hop/*", .handler = handler, .flags = TG_HTTP_ROUTE_SLASHES},
};

static tg_routes_t *routes;
static tg_arena_t *arena;
static tg_route_match_t match;

static tg_status_t find(const char *method, const char *path)
{
    tg_arena_reset(arena);
    return tg_routes_find(routes, tg_str_from(method), tg_str_from(path), arena, &match);
}

static void names_are_taken_from_the_path(void **state)
{
    (void)state;
    assert_int_equal(find("POST", "/v1/events/order"), TG_OK);
    assert_ptr_equal(match.route, &rows[1]);
    assert_int_equal(match.name_count, 1);
    assert_true(tg_str_eq(match.names[0], TG_STR("order")));
    assert_int_equal(find("GET", "/subjects/a%2Fb-value/versions/%31"), TG_OK);
    assert_true(tg_str_eq(match.names[0], TG_STR("a/b-value")));
    assert_true(tg_str_eq(match.names[1], TG_STR("1")));
    assert_int_equal(find("GET", "/"), TG_OK);
    assert_ptr_equal(match.route, &rows[0]);
}

static void head_goes_where_get_goes(void **state)
{
    (void)state;
    assert_int_equal(find("HEAD", "/v1/events/latest"), TG_OK);
    assert_ptr_equal(match.route, &rows[2]);
}

static void escaped_letters_are_the_letters(void **state)
{
    (void)state;
    assert_int_equal(find("POST", "/v1/%65vents/order"), TG_OK);
    assert_ptr_equal(match.route, &rows[1]);
}

static void another_method_is_told_the_right_ones(void **state)
{
    (void)state;
    assert_int_equal(find("PUT", "/v1/events/order"), TG_CONFLICT);
    assert_string_equal(match.allow, "POST, DELETE, OPTIONS");
    assert_ptr_equal(match.near, &rows[1]);
    assert_int_equal(find("POST", "/files/x"), TG_CONFLICT);
    assert_string_equal(match.allow, "GET, HEAD, OPTIONS");
    assert_int_equal(find("get", "/files/x"), TG_CONFLICT);
}

static void the_nearest_row_shares_most_segments(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        size_t row;
    } cases[] = {
        {"/v1/events/order/x", 1},
        {"/v1/events/a:b?c", 1},
        {"/v1/other", 1},
        {"/v1", 1},
        {"/subjects/a/b", 4},
        {"/subjects/order", 4},
        {"/files/x", 5},
        {"/files", 5},
        {"/hop/x/y", 6},
        {"/", 0},
        {"", 0},
        {"*", 0},
        {"/other", 0},
        {"/v1x/events", 0},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++)
        if (tg_routes_nearest(routes, tg_str_from(cases[i].path)) != &rows[cases[i].row])
            fail_msg("%s", cases[i].path);
    assert_ptr_equal(tg_routes_nearest(routes, (tg_str_t){NULL, 0}), &rows[0]);
}

static void a_star_takes_the_rest(void **state)
{
    (void)state;
    assert_int_equal(find("GET", "/files/a/b%20c/d.js"), TG_OK);
    assert_true(tg_str_eq(match.names[0], TG_STR("a/b c/d.js")));
    assert_int_equal(find("GET", "/files/"), TG_OK);
    assert_int_equal(match.names[0].len, 0);
    assert_int_equal(find("GET", "/files"), TG_OK);
    assert_int_equal(match.names[0].len, 0);
}

static void dot_segments_are_refused_in_any_writing(void **state)
{
    (void)state;
    const char *const paths[] = {"/files/../x", "/files/%2e%2e/x", "/files/.%2E",   "/./files/x",
                                 "/..",         "/v1/events/..",   "/v1/events/%2e"};
    for (size_t i = 0; i < TG_ARRAY_LEN(paths); i++)
        assert_int_equal(find("GET", paths[i]), TG_INVALID);
    assert_int_equal(find("GET", "/files/%2e%2e%2fx"), TG_NOT_FOUND); /* a slash in a segment */
    assert_int_equal(find("GET", "/files/..."), TG_OK);
}

static void a_star_takes_escaped_slashes_only_where_the_row_says_so(void **state)
{
    (void)state;
    assert_int_equal(find("GET", "/files/a%2Fb"), TG_NOT_FOUND);
    assert_int_equal(find("GET", "/hop/a%2Fb/c"), TG_OK);
    assert_int_equal(find("GET", "/hop/%2e%2e%2fx"), TG_OK);
    assert_int_equal(find("GET", "/hop/%2e%2e/x"), TG_INVALID);
    assert_int_equal(find("GET", "/hop%2Fa"), TG_NOT_FOUND);
}

static void other_paths_are_not_found(void **state)
{
    (void)state;
    const char *const paths[] = {
        "/v1/events", "/v1/events/",     "/v1//events/order", "/v1/events/a/b", "//", "*",
        "",           "/V1/events/order"};
    for (size_t i = 0; i < TG_ARRAY_LEN(paths); i++)
        assert_int_equal(find("POST", paths[i]), TG_NOT_FOUND);
    assert_int_equal(find("GET", "/files/%ff"), TG_INVALID);
}

static void a_path_of_a_thousand_segments_is_not_found(void **state)
{
    (void)state;
    char path[2001];
    for (size_t i = 0; i < 1000; i++)
        memcpy(path + 2 * i, "/a", 2);
    path[2000] = '\0';
    assert_int_equal(find("GET", path), TG_NOT_FOUND);
}

static int open_table(void **state)
{
    (void)state;
    arena = tg_arena_create(1 << 20);
    routes = tg_routes_create(rows, TG_ARRAY_LEN(rows));
    return arena == NULL || routes == NULL;
}

static int close_table(void **state)
{
    (void)state;
    tg_routes_destroy(routes);
    tg_arena_destroy(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_taken_from_the_path),
        cmocka_unit_test(head_goes_where_get_goes),
        cmocka_unit_test(escaped_letters_are_the_letters),
        cmocka_unit_test(another_method_is_told_the_right_ones),
        cmocka_unit_test(the_nearest_row_shares_most_segments),
        cmocka_unit_test(a_star_takes_the_rest),
        cmocka_unit_test(dot_segments_are_refused_in_any_writing),
        cmocka_unit_test(a_star_takes_escaped_slashes_only_where_the_row_says_so),
        cmocka_unit_test(other_paths_are_not_found),
        cmocka_unit_test(a_path_of_a_thousand_segments_is_not_found),
    };
    return cmocka_run_group_tests(tests, open_table, close_table);
}
