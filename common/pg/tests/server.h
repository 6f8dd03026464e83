/* A throw-away PostgreSQL server for one test program, on a socket in a folder under /tmp.
 *
 * Threads: one. */
#ifndef TG_PG_TEST_SERVER_H
#define TG_PG_TEST_SERVER_H

typedef struct tg_pg_server {
    char dir[64];
    char dsn[128];
} tg_pg_server_t;

/* Makes and starts a cluster; 0 on success. */
int tg_pg_server_create(tg_pg_server_t *server);

/* Runs "start", "kill", "pause", "resume" or "destroy"; 0 on success. */
int tg_pg_server_do(const tg_pg_server_t *server, const char *command);

/* Runs SQL on a connection of its own; 0 on success. */
int tg_pg_server_sql(const tg_pg_server_t *server, const char *sql);

/* Applies the migration files of plain PostgreSQL in their order; 0 on success. */
int tg_pg_server_migrate(const tg_pg_server_t *server);

#endif
