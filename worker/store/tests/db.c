/* The migrations are read from the source tree, where tests run. */
#include "worker/store/tests/db.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "worker/store/sql.h"

#define ENGINE "TG_PG_ENGINE" /* for server.sh too */

static int by_name(const void *a, const void *b)
{
    const char *left = strrchr(*(char *const *)a, '/'), *right = strrchr(*(char *const *)b, '/');
    return strcmp(left, right);
}

static int apply_file(PGconn *admin, const char *path)
{
    static char text[1 << 16];
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return -1;
    size_t len = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[len] = '\0';
    PGresult *result = PQexec(admin, text);
    int failed =
        PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK;
    if (failed)
        fprintf(stderr, "%s: %s\n", path, PQerrorMessage(admin));
    PQclear(result);
    return failed ? -1 : 0;
}

static int apply_migrations(PGconn *admin)
{
    const char *engine = tg_test_db_is_plain() ? "plain" : "timescale";
    char pattern[64];
    glob_t files = {0};
    snprintf(pattern, sizeof(pattern), "migrations/%s/*.sql", engine);
    int failed = glob("migrations/common/*.sql", 0, NULL, &files) != 0 ||
                 glob(pattern, GLOB_APPEND, NULL, &files) != 0;

    if (!failed)
        qsort(files.gl_pathv, files.gl_pathc, sizeof(char *), by_name);
    for (size_t i = 0; !failed && i < files.gl_pathc; i++)
        failed = apply_file(admin, files.gl_pathv[i]);
    globfree(&files);
    return failed ? -1 : 0;
}

bool tg_test_db_is_plain(void)
{
    const char *engine = getenv(ENGINE);
    return engine == NULL || strcmp(engine, "plain") == 0;
}

int tg_test_db_each_engine(int (*run)(const char *engine))
{
    const char *asked = getenv("TIDEGATE_ENGINE");
    bool offered = access("/usr/lib/postgresql/15/lib/timescaledb.so", R_OK) == 0;

    (void)setenv(ENGINE, "plain", 1);
    int failed = run("plain");
    if (!offered || (asked != NULL && strcmp(asked, "plain") == 0)) {
        printf("skipped: no TimescaleDB on this server\n");
        return failed;
    }
    (void)setenv(ENGINE, "timescale", 1);
    return failed + run("timescale");
}

int tg_test_db_start(tg_test_db_t *db)
{
    memset(db, 0, sizeof(*db));
    if (tg_pg_server_create(&db->server) != 0)
        return -1;
    db->admin = PQconnectdb(db->server.dsn);
    snprintf(db->worker_dsn, sizeof(db->worker_dsn), "host=%s user=tidegate_worker dbname=postgres",
             db->server.dir);
    return PQstatus(db->admin) == CONNECTION_OK ? apply_migrations(db->admin) : -1;
}

void tg_test_db_stop(tg_test_db_t *db)
{
    PQfinish(db->admin);
    db->admin = NULL;
    (void)tg_pg_server_do(&db->server, "destroy");
}

static PGresult *run(tg_test_db_t *db, const char *sql)
{
    if (PQstatus(db->admin) != CONNECTION_OK)
        PQreset(db->admin);
    PGresult *result = PQexec(db->admin, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        fprintf(stderr, "%s: %s\n", sql, PQerrorMessage(db->admin));
        abort();
    }
    return result;
}

void tg_test_db_exec(tg_test_db_t *db, const char *sql)
{
    PQclear(run(db, sql));
}

const char *tg_test_db_text(tg_test_db_t *db, const char *sql)
{
    static char text[1024];
    PGresult *result = run(db, sql);
    snprintf(text, sizeof(text), "%s",
             PQntuples(result) == 0 || PQgetisnull(result, 0, 0) ? "" : PQgetvalue(result, 0, 0));
    PQclear(result);
    return text;
}

long tg_test_db_int(tg_test_db_t *db, const char *sql)
{
    return strtol(tg_test_db_text(db, sql), NULL, 10);
}

tg_conn_t *tg_test_db_conn(tg_test_db_t *db)
{
    const tg_conn_config_t config = {.dsn = db->worker_dsn,
                                     .name = "test",
                                     .statements = tg_sql_statements,
                                     .statement_count = TG_SQL_COUNT,
                                     .connect_timeout_ms = 5000,
                                     .wait_ms = 10000};
    return tg_conn_create(&config);
}
