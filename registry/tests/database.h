/* A throw-away server with the registry's tables in it: the migrations up to the registry's own. */
#ifndef TG_REGISTRY_TEST_DATABASE_H
#define TG_REGISTRY_TEST_DATABASE_H

#include <stdio.h>

#include "common/base/str.h"
#include "common/pg/tests/server.h"

static int database_file(const tg_pg_server_t *server, const char *path)
{
    static char sql[65536];
    FILE *file = fopen(path, "re");
    size_t len = file == NULL ? 0 : fread(sql, 1, sizeof(sql) - 1, file);
    if (file != NULL)
        fclose(file);
    sql[len] = '\0';
    return len > 0 && len < sizeof(sql) - 1 ? tg_pg_server_sql(server, sql) : -1;
}

/* As the registry's own role, so that its rights are tested as well. */
static int database_create(tg_pg_server_t *server, char dsn[128])
{
    static const char *const files[] = {
        "migrations/common/0001_schemas_and_roles.sql", "migrations/common/0002_control.sql",
        "migrations/common/0003_registry.sql",          "migrations/common/0022_registry.sql",
        "migrations/common/0023_registry_config.sql",
    };
    if (tg_pg_server_create(server) != 0)
        return -1;
    for (size_t i = 0; i < TG_ARRAY_LEN(files); i++) {
        if (database_file(server, files[i]) != 0)
            return -1;
    }
    snprintf(dsn, 128, "host=%s user=tidegate_registry dbname=postgres", server->dir);
    return 0;
}

#endif
