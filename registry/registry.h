/* The schema registry as a service: options, threads, readiness.
 *
 * Threads: each API thread has a pool and a parser of its own; the first one also registers the
 * built-in schemas. */
#ifndef TG_REGISTRY_H
#define TG_REGISTRY_H

#include "common/base/config.h"
#include "common/http/server.h"
#include "common/json/json.h"
#include "common/pg/pool.h"

typedef struct tg_registry_config {
    tg_http_config_t http;
    char *pg_dsn;
    uint64_t pg_connections;
    uint64_t pg_connect_timeout_ms;
    char *builtin_dir;
    uint64_t max_schemas;
    char *secret;
    char *log_level;
} tg_registry_config_t;

extern const tg_program_t tg_registry_program;

/* What a handler finds in its thread. */
typedef struct tg_registry_thread {
    struct tg_registry *registry;
    const tg_registry_config_t *config;
    tg_loop_t *loop;
    tg_metrics_shard_t *shard;
    tg_pg_pool_t *pool;
    tg_json_parser_t *parser;
    tg_timer_t gauges;
    bool first; /* registers the built-in schemas */
} tg_registry_thread_t;

/* Runs by a tg_registry_config_t until SIGTERM or SIGINT; returns the exit code. */
int tg_registry_run(const void *config);

#endif
