/* A throw-away PostgreSQL with the project's migrations, for tests of what the worker writes.
 *
 * Threads: one. */
#ifndef TG_WORKER_TEST_DB_H
#define TG_WORKER_TEST_DB_H

#include <libpq-fe.h>

#include "common/base/str.h"
#include "common/pg/tests/server.h"
#include "worker/pg/conn.h"

typedef struct tg_test_db {
    tg_pg_server_t server;
    PGconn *admin;        /* owner of everything */
    char worker_dsn[160]; /* as role tidegate_worker */
} tg_test_db_t;

/* Calls `run` for each engine that the server of the tests offers: plain, and timescale where its
 * library is installed (unless TIDEGATE_ENGINE says plain). The sum of what it returned. */
int tg_test_db_each_engine(int (*run)(const char *engine));
bool tg_test_db_is_plain(void);

/* Starts the server and applies the migrations of the engine that the environment's TG_PG_ENGINE
 * names (plain if none); 0 on success. */
int tg_test_db_start(tg_test_db_t *db);
void tg_test_db_stop(tg_test_db_t *db);

/* Runs SQL as the owner; fails the test when it fails. */
void tg_test_db_exec(tg_test_db_t *db, const char *sql);

/* The first cell, as text of the test's static memory ("" for NULL or no row). */
const char *tg_test_db_text(tg_test_db_t *db, const char *sql);
long tg_test_db_int(tg_test_db_t *db, const char *sql);

/* A worker's connection with its statements. */
tg_conn_t *tg_test_db_conn(tg_test_db_t *db);

#endif
