/* A prefixed row is marked by its `user`, which tells tg_request_begin that the first segment is
 * the context's. */
#include "registry/routes.h"

#include <stdio.h>
#include <stdlib.h>

#include "registry/event_types.h"

#define PREFIX "/contexts/:context"

static const char prefixed[] = PREFIX;

static const struct resource {
    const tg_registry_route_t *routes;
    const size_t *count;
} resources[] = {
#define TG_REGISTRY_ROW(name) {tg_##name##_routes, &tg_##name##_route_count},
    TG_REGISTRY_RESOURCES(TG_REGISTRY_ROW)
#undef TG_REGISTRY_ROW
};

static tg_http_route_t row_of(const tg_registry_route_t *route, const char *path, const void *user)
{
    return (tg_http_route_t){.method = route->method,
                             .path = path,
                             .handler = route->handler,
                             .max_body = route->max_body,
                             .format = TG_HTTP_CONFLUENT,
                             .flags = TG_HTTP_ROUTE_PEERS_TOO,
                             .user = user};
}

static size_t add_prefixed(tg_registry_routes_t *routes, const tg_registry_route_t *route,
                           size_t at)
{
    size_t len = strlen(PREFIX) + strlen(route->path) + 1;
    (void)snprintf(routes->paths + at, len, PREFIX "%s", route->path);
    routes->rows[routes->count++] = row_of(route, routes->paths + at, prefixed);
    return at + len;
}

tg_status_t tg_registry_routes_make(tg_registry_routes_t *out_routes)
{
    size_t count = 0, bytes = 0;
    for (size_t i = 0; i < TG_ARRAY_LEN(resources); i++) {
        count += *resources[i].count;
        for (size_t k = 0; k < *resources[i].count; k++)
            bytes += strlen(PREFIX) + strlen(resources[i].routes[k].path) + 1;
    }
    tg_registry_routes_t routes = {.rows = calloc(2 * count + 1, sizeof(*routes.rows)),
                                   .paths = malloc(bytes + 1)};
    if (routes.rows == NULL || routes.paths == NULL) {
        tg_registry_routes_dispose(&routes);
        return TG_NOMEM;
    }
    for (size_t i = 0; i < TG_ARRAY_LEN(resources); i++) {
        for (size_t k = 0; k < *resources[i].count; k++) {
            const tg_registry_route_t *route = &resources[i].routes[k];
            routes.rows[routes.count++] = row_of(route, route->path, NULL);
        }
    }
    routes.rows[routes.count++] = tg_event_types_route;
    for (size_t i = 0, at = 0; i < TG_ARRAY_LEN(resources); i++) {
        for (size_t k = 0; k < *resources[i].count; k++)
            at = add_prefixed(&routes, &resources[i].routes[k], at);
    }
    assert(routes.count == 2 * count + 1);
    *out_routes = routes;
    return TG_OK;
}

void tg_registry_routes_dispose(tg_registry_routes_t *routes)
{
    free(routes->rows);
    free(routes->paths);
    *routes = (tg_registry_routes_t){0};
}
