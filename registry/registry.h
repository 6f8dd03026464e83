/* The schema registry as a service: options, threads, readiness.
 *
 * What a thread keeps of schemas is good until one is deleted permanently, by whatever process;
 * that number is looked at every TG_REGISTRY_LOOK_MS.
 *
 * Threads: each API thread has a pool and a parser of its own; the first one also registers the
 * built-in schemas. */
#ifndef TG_REGISTRY_H
#define TG_REGISTRY_H

#include "common/base/config.h"
#include "common/http/server.h"
#include "common/json/json.h"
#include "common/pg/pool.h"

#define TG_REGISTRY_LOOK_MS 300

typedef struct tg_registry_config {
    tg_http_config_t http;
    char *pg_dsn;
    uint64_t pg_connections;
    uint64_t pg_connect_timeout_ms;
    char *builtin_dir;
    uint64_t max_schemas;
    uint64_t max_types;
    uint64_t cache_bytes;
    char *operator_user;
    char *operator_password;
    char *secret;
    char *log_level;
} tg_registry_config_t;

extern const tg_program_t tg_registry_program;

struct registration;
struct tg_answers;
struct tg_parsed_cache;

/* What a handler finds in its thread. */
typedef struct tg_registry_thread {
    struct tg_registry *registry;
    const tg_registry_config_t *config;
    tg_loop_t *loop;
    tg_metrics_shard_t *shard;
    tg_pg_pool_t *pool;
    tg_json_parser_t *parser;
    struct tg_answers *answers;     /* by id */
    struct tg_parsed_cache *parsed; /* by id, for comparing */
    tg_str_t operator_basic;        /* credentials as HTTP Basic has them; empty: no operators */
    tg_str_t max_types;             /* config->max_types in digits */
    _Atomic size_t *sending;        /* the process's, of tg_request_reply */
    struct registration *line;      /* of registration.c: who writes, and who waits to */
    tg_timer_t gauges, look;
    tg_pg_call_t *looking; /* for permanent deletions by others */
    bool first;            /* registers the built-in schemas */
} tg_registry_thread_t;

/* Runs by a tg_registry_config_t until SIGTERM or SIGINT; returns the exit code. */
int tg_registry_run(const void *config);

#endif
