/* query's routes, apart from the gateway's header: both services have a plan of their own. */
#ifndef TG_OPENAPI_QUERY_ROWS_H
#define TG_OPENAPI_QUERY_ROWS_H

#include "common/http/server.h"

/* Owned (free), NULL when out of memory. */
tg_http_route_t *tg_query_rows(tg_http_handler_fn handler, size_t *out_count);

#endif
