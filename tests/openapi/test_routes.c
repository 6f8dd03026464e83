/* The descriptions against the route tables of the services, both ways: paths, methods, and the
 * query parameters with their bounds and defaults.
 *
 * The tables are joined as the gateway joins them: query's rows are v1's reads as they stand, the
 * registry's are those below /v2/registry. Its rows for other contexts are no tenant's and not
 * described. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/http/shell/routes.h"
#include "gateway/admin/admin.h"
#include "gateway/docs/docs.h"
#include "gateway/routes.h"
#include "ingestion/batch/batch.h"
#include "ingestion/single/single.h"
#include "registry/event_types.h"
#include "registry/routes.h"
#include "tests/openapi/query_rows.h"

#define REGISTRY "/v2/registry"

static const char *const files[] = {"openapi/v1.json", "openapi/v2.json", "openapi/admin.json"};
enum { FILES = sizeof(files) / sizeof(files[0]) };

struct world {
    json_t *descriptions[FILES];
    tg_http_route_t *gateway, *query;
    tg_registry_routes_t registry;
    size_t gateway_count, query_count;
};

static void handler(tg_http_req_t *req, void *thread_ctx)
{
    (void)req;
    (void)thread_ctx;
}

static int open_world(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    for (size_t i = 0; i < FILES; i++) {
        json_error_t error;
        world->descriptions[i] = json_load_file(files[i], JSON_REJECT_DUPLICATES, &error);
        if (world->descriptions[i] == NULL)
            fail_msg("%s:%d: %s", files[i], error.line, error.text);
    }
    world->gateway = tg_routes_expand(handler, &world->gateway_count);
    assert_non_null(world->gateway);
    assert_true(tg_admin_routes(&world->gateway, &world->gateway_count));
    world->query = tg_query_rows(handler, &world->query_count);
    assert_non_null(world->query);
    assert_int_equal(tg_registry_routes_make(&world->registry), TG_OK);
    *state = world;
    return 0;
}

static int close_world(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < FILES; i++)
        json_decref(world->descriptions[i]);
    tg_routes_dispose(world->gateway, world->gateway_count);
    free(world->query);
    tg_registry_routes_dispose(&world->registry);
    free(world);
    return 0;
}

/* --- descriptions --- */

static const json_t *resolve(const json_t *document, const json_t *node)
{
    const char *ref = json_string_value(json_object_get(node, "$ref"));
    if (ref == NULL)
        return node;
    char *copy = strdup(ref + 2), *save = NULL;
    const json_t *at = document;
    for (char *part = strtok_r(copy, "/", &save); part != NULL; part = strtok_r(NULL, "/", &save))
        at = json_object_get(at, part);
    free(copy);
    if (at == NULL)
        fail_msg("%s leads nowhere", ref);
    return at;
}

static void lower(const char *method, char out[16])
{
    size_t i = 0;
    for (; method[i] != '\0' && i < 15; i++)
        out[i] = (char)(method[i] | 0x20);
    out[i] = '\0';
}

/* Whether "/a/{b}" describes "/a/:c". A route that takes the rest of a path is described by any. */
static bool describes(const char *described, const char *route)
{
    while (*described != '\0' && *route != '\0') {
        if (strcmp(route, "*") == 0)
            return true;
        if (*described == '{' && *route == ':') {
            described += strcspn(described, "}") + 1;
            route += strcspn(route, "/");
        } else if (*described++ != *route++) {
            return false;
        }
    }
    return *described == *route;
}

/* The operation of that route, and the description it is in. */
static const json_t *find_operation(const struct world *world, const char *method,
                                    const char *prefix, const char *path,
                                    const json_t **out_document)
{
    char name[16], whole[256];
    lower(method, name);
    (void)snprintf(whole, sizeof(whole), "%s%s", prefix, path);
    for (size_t i = 0; i < FILES; i++) {
        const char *described;
        json_t *item;
        json_object_foreach(json_object_get(world->descriptions[i], "paths"), described, item)
        {
            const json_t *operation = json_object_get(item, name);
            if (operation != NULL && describes(described, whole)) {
                *out_document = world->descriptions[i];
                return operation;
            }
        }
    }
    return NULL;
}

static void assert_described(const struct world *world, const char *prefix,
                             const tg_http_route_t *row)
{
    const json_t *document;
    if (find_operation(world, row->method, prefix, row->path, &document) == NULL)
        fail_msg("%s %s%s is described nowhere", row->method, prefix, row->path);
}

/* v1 is described below /v1 alone, the registry's root with its slash; the documentation does not
 * describe itself, and other contexts are no tenant's. */
static bool is_described_elsewhere(const tg_http_route_t *row)
{
    bool admin = strncmp(row->path, "/admin/", 7) == 0;
    if (row->handler == tg_docs_handle || strcmp(row->path, REGISTRY) == 0 ||
        strcmp(row->path, REGISTRY "/contexts/:context/*") == 0)
        return true;
    const tg_public_route_t *route = admin ? NULL : row->user;
    return route != NULL && route->v1 && strncmp(row->path, "/v1/", 4) != 0;
}

static void every_route_is_described(void **state)
{
    const struct world *world = *state;
    for (size_t i = 0; i < world->gateway_count; i++) {
        if (!is_described_elsewhere(&world->gateway[i]))
            assert_described(world, "", &world->gateway[i]);
    }
    for (size_t i = 0; i < world->query_count; i++)
        assert_described(world, "", &world->query[i]);
    for (size_t i = 0; i < world->registry.count; i++) {
        const tg_http_route_t *row = &world->registry.rows[i];
        if (row->user == NULL && row->handler != tg_event_types_route.handler)
            assert_described(world, REGISTRY, row);
    }
}

/* --- routes --- */

/* "/a/{b}" as a request would have it: "/a/1". */
static void fill_in(const char *described, char out[256])
{
    size_t at = 0;
    while (*described != '\0' && at < 255) {
        if (*described == '{') {
            described += strcspn(described, "}") + 1;
            out[at++] = '1';
        } else {
            out[at++] = *described++;
        }
    }
    out[at] = '\0';
}

static void assert_found(const tg_http_route_t *rows, size_t count, const char *method,
                         const char *path)
{
    char upper[16];
    size_t len = strlen(method);
    assert_true(len < sizeof(upper));
    for (size_t i = 0; i <= len; i++)
        upper[i] = (char)(method[i] >= 'a' ? method[i] - 32 : method[i]);
    tg_arena_t *arena = tg_arena_create(1 << 20);
    tg_routes_t *table = tg_routes_create(rows, count);
    tg_route_match_t match;
    assert_non_null(table);
    if (tg_routes_find(table, tg_str_from(upper), tg_str_from(path), arena, &match) != TG_OK)
        fail_msg("%s %s is described and no route takes it", upper, path);
    tg_routes_destroy(table);
    tg_arena_destroy(arena);
}

static void every_described_operation_has_a_route(void **state)
{
    const struct world *world = *state;
    const size_t prefix = sizeof(REGISTRY) - 1;
    for (size_t i = 0; i < FILES; i++) {
        const char *described, *method;
        json_t *item, *operation;
        json_object_foreach(json_object_get(world->descriptions[i], "paths"), described, item)
        {
            json_object_foreach(item, method, operation)
            {
                char path[256];
                fill_in(described, path);
                assert_found(world->gateway, world->gateway_count, method, path);
                if (strncmp(path, REGISTRY, prefix) == 0)
                    assert_found(world->registry.rows, world->registry.count, method,
                                 path + prefix);
                else if (strncmp(path, "/v1/", 4) == 0 && strcmp(method, "get") == 0)
                    assert_found(world->query, world->query_count, method, path);
            }
        }
    }
}

/* --- parameters --- */

static json_int_t number_of(const json_t *schema, const char *name)
{
    return json_integer_value(json_object_get(schema, name));
}

static void assert_type(const json_t *schema, const char *type)
{
    assert_string_equal(json_string_value(json_object_get(schema, "type")), type);
}

static void check_enum(const json_t *schema, const tg_param_t *row)
{
    char joined[256] = "";
    size_t i;
    json_t *word;
    json_array_foreach(json_object_get(schema, "enum"), i, word)
    {
        (void)strncat(joined, i == 0 ? "" : "|", sizeof(joined) - strlen(joined) - 1);
        (void)strncat(joined, json_string_value(word), sizeof(joined) - strlen(joined) - 1);
    }
    assert_string_equal(joined, row->allowed);
}

static void check_bounds(const json_t *schema, const tg_param_t *row)
{
    switch (row->type) {
    case TG_PARAM_UINT:
        assert_type(schema, "integer");
        assert_int_equal(number_of(schema, "minimum"), row->min);
        assert_int_equal(number_of(schema, "maximum"), row->max);
        assert_int_equal(number_of(schema, "default"), row->fallback);
        return;
    case TG_PARAM_STR:
        assert_type(schema, "string");
        assert_int_equal(number_of(schema, "minLength"), row->min);
        assert_int_equal(number_of(schema, "maxLength"), row->max);
        return;
    case TG_PARAM_ENUM:
        check_enum(schema, row);
        return;
    case TG_PARAM_BOOL:
        assert_type(schema, "boolean");
        assert_int_equal(json_is_true(json_object_get(schema, "default")), row->fallback);
        return;
    case TG_PARAM_TIME:
        assert_non_null(json_object_get(schema, "anyOf"));
        return;
    }
    fail_msg("%s is of no known type", row->name);
}

static const tg_param_t *find_row(const tg_http_route_t *route, const char *name)
{
    for (size_t i = 0; i < route->param_count; i++) {
        if (strcmp(route->params[i].name, name) == 0)
            return &route->params[i];
    }
    fail_msg("%s %s has no parameter %s", route->method, route->path, name);
    return NULL;
}

static void check_params(const struct world *world, const tg_http_route_t *route)
{
    const json_t *document;
    const json_t *operation = find_operation(world, route->method, "", route->path, &document);
    assert_non_null(operation);
    size_t i, described = 0;
    json_t *given;
    json_array_foreach(json_object_get(operation, "parameters"), i, given)
    {
        const json_t *parameter = resolve(document, given);
        if (strcmp(json_string_value(json_object_get(parameter, "in")), "query") != 0)
            continue;
        const char *name = json_string_value(json_object_get(parameter, "name"));
        print_message("%s %s?%s\n", route->method, route->path, name);
        check_bounds(resolve(document, json_object_get(parameter, "schema")),
                     find_row(route, name));
        described++;
    }
    if (described != route->param_count)
        fail_msg("%s %s: %zu of %zu parameters are described", route->method, route->path,
                 described, route->param_count);
}

static void parameters_are_as_the_services_take_them(void **state)
{
    const struct world *world = *state;
    const tg_http_route_t events[] = {
        {.method = "POST",
         .path = "/v1/events/:type",
         .params = tg_single_params,
         .param_count = TG_SINGLE_PARAM_COUNT},
        {.method = "POST",
         .path = "/v2/events",
         .params = tg_batch_params,
         .param_count = TG_BATCH_PARAM_COUNT},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(events); i++)
        check_params(world, &events[i]);
    for (size_t i = 0; i < world->query_count; i++)
        check_params(world, &world->query[i]);
    for (size_t i = 0; i < world->gateway_count; i++) {
        if (strncmp(world->gateway[i].path, "/admin/", 7) == 0)
            check_params(world, &world->gateway[i]);
    }
    check_params(world, &tg_event_types_route);
}

/* --- the registry's table as the gateway has it --- */

static bool has_row(const tg_http_route_t *rows, size_t count, const char *method, const char *path)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].method, method) == 0 && strcmp(rows[i].path, path) == 0)
            return true;
    }
    return false;
}

static void the_gateway_knows_the_registrys_routes(void **state)
{
    const struct world *world = *state;
    const size_t prefix = sizeof(REGISTRY) - 1;
    for (size_t i = 0; i < world->registry.count; i++) {
        const tg_http_route_t *row = &world->registry.rows[i];
        char path[256];
        (void)snprintf(path, sizeof(path), REGISTRY "%s", row->path);
        if (row->user == NULL && row->handler != tg_event_types_route.handler &&
            !has_row(world->gateway, world->gateway_count, row->method, path))
            fail_msg("%s %s is missing in the gateway", row->method, path);
    }
    for (size_t i = 0; i < world->gateway_count; i++) {
        const tg_http_route_t *row = &world->gateway[i];
        bool whole = row->path[strlen(row->path) - 1] != '*' && strcmp(row->path, REGISTRY) != 0;
        if (strncmp(row->path, REGISTRY, prefix) == 0 && whole &&
            !has_row(world->registry.rows, world->registry.count, row->method, row->path + prefix))
            fail_msg("%s %s is not of the registry", row->method, row->path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_described),
        cmocka_unit_test(every_described_operation_has_a_route),
        cmocka_unit_test(the_gateway_knows_the_registrys_routes),
        cmocka_unit_test(parameters_are_as_the_services_take_them),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
