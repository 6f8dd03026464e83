/* Runs server.sh, which stands beside this file; tests run in the source folder. */
#include "common/pg/tests/server.h"

#include <glob.h>
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

/* Numbers are unique over both folders, so the files' names alone give the order. */
static int by_name(const void *a, const void *b)
{
    return strcmp(strrchr(*(char *const *)a, '/'), strrchr(*(char *const *)b, '/'));
}

static int apply_file(const tg_pg_server_t *server, const char *path)
{
    static char text[1 << 16];
    FILE *file = fopen(path, "re");
    size_t len = file == NULL ? 0 : fread(text, 1, sizeof(text) - 1, file);
    if (file != NULL)
        fclose(file);
    text[len] = '\0';
    return len > 0 && len < sizeof(text) - 1 ? tg_pg_server_sql(server, text) : -1;
}

int tg_pg_server_migrate(const tg_pg_server_t *server)
{
    glob_t files = {0};
    int failed = glob("migrations/common/*.sql", 0, NULL, &files) != 0 ||
                 glob("migrations/plain/*.sql", GLOB_APPEND, NULL, &files) != 0;
    if (!failed)
        qsort(files.gl_pathv, files.gl_pathc, sizeof(char *), by_name);
    for (size_t i = 0; !failed && i < files.gl_pathc; i++)
        failed = apply_file(server, files.gl_pathv[i]) != 0;
    globfree(&files);
    return failed ? -1 : 0;
}
