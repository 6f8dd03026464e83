/* See query_rows.h. */
#include "tests/openapi/query_rows.h"

#include "query/endpoints.h"

tg_http_route_t *tg_query_rows(tg_http_handler_fn handler, size_t *out_count)
{
    return tg_endpoints_routes(handler, out_count);
}
