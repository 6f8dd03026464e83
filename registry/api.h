/* The registry's REST API: Confluent's paths, shapes and error codes, in the caller's context.
 *
 * The context is the tenant of X-Tidegate-Tenant, or the default one without that header. All
 * routes need the services' shared secret. Query parameters are ignored: clients send some that
 * only choose a form.
 *
 * Error codes: 40401 subject, 40402 version, 40403 schema not found; 42201 invalid schema, 42202
 * invalid version, 42208 invalid subject, 42210 limit of schemas; 40301 reserved subject; 50001
 * store not available (503, with Retry-After) or failed (500); 50002 store too slow (504).
 *
 * Threads: a request belongs to its thread. */
#ifndef TG_REGISTRY_API_H
#define TG_REGISTRY_API_H

#include "common/http/server.h"

extern const tg_http_route_t tg_api_routes[];
extern const size_t tg_api_route_count;

#endif
