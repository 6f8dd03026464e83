/* Runs server.sh, which stands beside this file; tests run in the source folder. */
#include "common/pg/tests/server.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int tg_pg_server_do(const tg_pg_server_t *server, const char *command)
{
    char line[256];
    snprintf(line, sizeof(line), "common/pg/tests/server.sh %s %s", command, server->dir);
    return system(line);
}

int tg_pg_server_create(tg_pg_server_t *server)
{
    strcpy(server->dir, "/tmp/tidegate-pg-XXXXXX");
    if (mkdtemp(server->dir) == NULL)
        return -1;
    snprintf(server->dsn, sizeof(server->dsn), "host=%s user=postgres dbname=postgres",
             server->dir);
    return tg_pg_server_do(server, "create");
}

int tg_pg_server_sql(const tg_pg_server_t *server, const char *sql)
{
    PGconn *pg = PQconnectdb(server->dsn);
    PGresult *result = PQexec(pg, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fprintf(stderr, "%s: %s\n", sql, PQerrorMessage(pg));
    PQclear(result);
    PQfinish(pg);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ? 0 : -1;
}
