/* All routes of the registry in one table for the HTTP shell: each resource's rows, plain and below
 * "/contexts/:context".
 *
 * Threads: made before the threads start, read-only then. */
#ifndef TG_REGISTRY_ROUTES_H
#define TG_REGISTRY_ROUTES_H

#include "registry/request.h"

typedef struct tg_registry_routes {
    size_t count;
    tg_http_route_t *rows; /* owned */
    char *paths;           /* owned; of the prefixed rows */
} tg_registry_routes_t;

/* TG_NOMEM. */
TG_NODISCARD tg_status_t tg_registry_routes_make(tg_registry_routes_t *out_routes);
void tg_registry_routes_dispose(tg_registry_routes_t *routes);

/* The rows of each resource, where its handlers are. The most asked for come first. */
#define TG_REGISTRY_RESOURCES(X)                                                                   \
    X(schemas)                                                                                     \
    X(versions) X(subjects) X(registration) X(contexts) X(config) X(mode) X(compatibility)

#define TG_REGISTRY_DECLARE(name)                                                                  \
    extern const tg_registry_route_t tg_##name##_routes[];                                         \
    extern const size_t tg_##name##_route_count;
TG_REGISTRY_RESOURCES(TG_REGISTRY_DECLARE)

#endif
