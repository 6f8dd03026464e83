/* The query service: options, per-thread pool, cache and flights.
 *
 * Threads: open and close on the main thread; everything else on the loops. */
#ifndef TG_QUERY_SERVICE_H
#define TG_QUERY_SERVICE_H

#include "common/http/server.h"

typedef struct tg_query_config {
    tg_http_config_t http;
    char *pg_dsn;
    char *redis_address;
    char *redis_password;
    char *secret;
    uint64_t pg_connections; /* per thread */
    uint64_t pg_waiting;
    uint64_t max_flights;
    uint64_t hot_bytes; /* per thread */
    uint64_t query_timeout_ms;
    uint64_t redis_timeout_ms;
    char *log_level;
} tg_query_config_t;

extern const tg_program_t tg_query_program;

/* The service over an open configuration (borrowed): for a process's whole life, or in parts for
 * tests. */
typedef struct tg_query tg_query_t;
TG_NODISCARD tg_status_t tg_query_open(const tg_query_config_t *config, tg_query_t **out_query,
                                       tg_error_t *error);
void tg_query_close(tg_query_t *query); /* its server is closed before; NULL is allowed */
const tg_http_service_t *tg_query_service(const tg_query_t *query);

/* Runs the service by a tg_query_config_t until SIGTERM; returns the exit code. */
int tg_query_run(const void *config);

#endif
