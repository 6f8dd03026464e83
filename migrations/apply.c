/* See apply.h. The book-keeping lives in schema `migrate`; it is made by the first run and not
 * by a migration, because it must be there to record the first one. */
#include "migrations/apply.h"

#include "common/base/time.h"

#define LOCK_KEY "7305810436925448805" /* any number that nothing else locks */

static const char book_sql[] =
    "CREATE SCHEMA migrate;"
    "CREATE TABLE migrate.engine ("
    " singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton), name text NOT NULL);"
    "CREATE TABLE migrate.applied ("
    " number integer PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL,"
    " applied_at timestamptz NOT NULL DEFAULT now(), duration_ms bigint NOT NULL);";

/* Whether the library was loaded at the server's start shows in a setting that it defines then; the
 * list of libraries itself is for superusers only. */
static const char offer_sql[] =
    "SELECT current_setting('timescaledb.disable_load', true) IS NOT NULL AND EXISTS"
    " (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')";

static tg_status_t has_book(tg_session_t *session, bool *out_exists, tg_error_t *error)
{
    PGresult *found = NULL;

    tg_status_t status =
        tg_session_query(session, "SELECT to_regclass('migrate.applied') IS NOT NULL", 0, NULL,
                         &found, error);
    if (status != TG_OK)
        return status;
    *out_exists = PQgetvalue(found, 0, 0)[0] == 't';
    PQclear(found);
    return TG_OK;
}

/* Gives the recorded engine's name, "" when there is none yet. */
static tg_status_t recorded_engine(tg_session_t *session, char out_name[TG_ENGINE_NAME_MAX],
                                   tg_error_t *error)
{
    PGresult *rows = NULL;
    bool exists = false;

    out_name[0] = '\0';
    tg_status_t status = has_book(session, &exists, error);
    if (status == TG_OK && exists)
        status =
            tg_session_query(session, "SELECT name FROM migrate.engine", 0, NULL, &rows, error);
    if (status == TG_OK && rows != NULL && PQntuples(rows) == 1)
        (void)snprintf(out_name, TG_ENGINE_NAME_MAX, "%s", PQgetvalue(rows, 0, 0));
    PQclear(rows);
    return status;
}

static tg_status_t offers_timescale(tg_session_t *session, bool *out_offered, tg_error_t *error)
{
    PGresult *rows = NULL;

    tg_status_t status = tg_session_query(session, offer_sql, 0, NULL, &rows, error);
    if (status == TG_OK)
        *out_offered = PQgetvalue(rows, 0, 0)[0] == 't';
    PQclear(rows);
    return status;
}

static tg_status_t refuse_engine(const char *recorded, const char *asked, tg_error_t *error)
{
    return tg_error_set(
        error, TG_CONFLICT,
        "this database was made for engine \"%s\", not \"%s\"; the engine is chosen "
        "once, at the first migration: leave store.engine at auto, or migrate an "
        "empty database and copy the data",
        recorded, asked);
}

/* The choice by what is recorded ("" for nothing), asked for and offered. */
static tg_status_t choose_engine(const char *recorded, const char *asked, bool offered,
                                 const char **out_engine, tg_error_t *error)
{
    bool by_itself = strcmp(asked, TG_ENGINE_AUTO) == 0;
    const char *engine = by_itself ? (offered ? "timescale" : "plain") : asked;

    if (recorded[0] != '\0') {
        if (!by_itself && strcmp(recorded, asked) != 0)
            return refuse_engine(recorded, asked, error);
        engine = recorded;
    }
    if (strcmp(engine, "timescale") == 0 && !offered)
        return tg_error_set(error, TG_CONFLICT,
                            "%s engine \"timescale\", but this server has not loaded TimescaleDB: "
                            "install it, add timescaledb to shared_preload_libraries and restart%s",
                            recorded[0] != '\0' ? "this database was made for" : "asked for",
                            recorded[0] != '\0' ? "" : "; or take store.engine=plain");
    *out_engine = engine;
    return TG_OK;
}

tg_status_t tg_migration_engine(tg_session_t *session, const char *asked,
                                char out_engine[TG_ENGINE_NAME_MAX], tg_error_t *error)
{
    assert(session != NULL);
    assert(asked != NULL);
    char recorded[TG_ENGINE_NAME_MAX];
    const char *engine = NULL;
    bool offered = false;

    tg_status_t status = recorded_engine(session, recorded, error);
    if (status == TG_OK)
        status = offers_timescale(session, &offered, error);
    if (status == TG_OK)
        status = choose_engine(recorded, asked, offered, &engine, error);
    if (status == TG_OK)
        (void)snprintf(out_engine, TG_ENGINE_NAME_MAX, "%s", engine);
    return status;
}

/* Applied migrations as a result of columns number, name, sha256, applied_at; NULL when the
 * database has no book yet. */
static tg_status_t read_book(const tg_migration_run_t *run, PGresult **out_rows, tg_error_t *error)
{
    bool exists = false;

    tg_status_t status = has_book(run->session, &exists, error);
    if (status != TG_OK)
        return status;
    if (!exists) {
        *out_rows = NULL;
        return TG_OK;
    }
    return tg_session_query(
        run->session,
        "SELECT number, name, sha256,"
        " to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
        " FROM migrate.applied ORDER BY number",
        0, NULL, out_rows, error);
}

/* Again, under the lock: another first run may have chosen otherwise. */
static tg_status_t check_engine(const tg_migration_run_t *run, tg_error_t *error)
{
    char recorded[TG_ENGINE_NAME_MAX];

    tg_status_t status = recorded_engine(run->session, recorded, error);
    if (status == TG_OK && recorded[0] != '\0' && strcmp(recorded, run->engine) != 0)
        status = refuse_engine(recorded, run->engine, error);
    return status;
}

static tg_status_t check_row(const tg_migration_run_t *run, PGresult *rows, int row,
                             tg_error_t *error)
{
    uint64_t number = 0;
    const char *name = PQgetvalue(rows, row, 1);

    if (tg_str_to_u64(tg_str_from(PQgetvalue(rows, row, 0)), &number) != TG_OK)
        return tg_error_set(error, TG_INTERNAL, "migrate.applied holds a bad number");
    const tg_migration_t *file = tg_migration_find(run->files, (int)number);
    if (file == NULL)
        return tg_error_set(error, TG_CONFLICT,
                            "%s is applied but not among the files: are these files older than the "
                            "database?",
                            name);
    if (strcmp(file->name, name) != 0)
        return tg_error_set(error, TG_CONFLICT, "%s was applied under the name %s", file->name,
                            name);
    if (strcmp(file->sha256, PQgetvalue(rows, row, 2)) != 0)
        return tg_error_set(error, TG_CONFLICT,
                            "%s was changed after it was applied (SHA-256 %.12s…, applied %.12s…); "
                            "restore it and add a new migration",
                            name, file->sha256, PQgetvalue(rows, row, 2));
    return TG_OK;
}

static int row_of(PGresult *rows, int number)
{
    char text[16];
    (void)snprintf(text, sizeof(text), "%d", number);
    for (int row = 0; rows != NULL && row < PQntuples(rows); row++) {
        if (strcmp(PQgetvalue(rows, row, 0), text) == 0)
            return row;
    }
    return -1;
}

/* Files are in the order of their numbers, and so are the rows: once a file is pending, none behind
 * it may be applied. */
static tg_status_t check_order(const tg_migration_run_t *run, PGresult *rows, tg_error_t *error)
{
    const tg_migration_t *pending = NULL;

    for (size_t i = 0; i < run->files->count; i++) {
        const tg_migration_t *file = &run->files->items[i];
        if (row_of(rows, file->number) < 0)
            pending = pending == NULL ? file : pending;
        else if (pending != NULL)
            return tg_error_set(error, TG_CONFLICT, "%s comes too late: %s is already applied",
                                pending->name, file->name);
    }
    return TG_OK;
}

/* Gives the book (NULL if there is none) once all that it says agrees with the files. */
static tg_status_t check_book(const tg_migration_run_t *run, PGresult **out_rows, tg_error_t *error)
{
    PGresult *rows = NULL;

    tg_status_t status = read_book(run, &rows, error);
    if (status == TG_OK && rows != NULL)
        status = check_engine(run, error);
    for (int row = 0; status == TG_OK && rows != NULL && row < PQntuples(rows); row++)
        status = check_row(run, rows, row, error);
    if (status == TG_OK)
        status = check_order(run, rows, error);
    if (status != TG_OK) {
        PQclear(rows);
        return status;
    }
    *out_rows = rows;
    return TG_OK;
}

static tg_status_t take_lock(const tg_migration_run_t *run, tg_error_t *error)
{
    char wait[32];
    const char *const params[] = {wait};
    (void)snprintf(wait, sizeof(wait), "%llums", (unsigned long long)run->lock_wait_ms);

    tg_status_t status =
        tg_session_query(run->session, "SELECT set_config('lock_timeout', $1, false)", 1, params,
                         NULL, error);
    if (status == TG_OK)
        status = tg_session_query(run->session, "SELECT pg_advisory_lock(" LOCK_KEY ")", 0, NULL,
                                  NULL, error);
    if (status == TG_TIMEOUT)
        status = tg_error_set(error, TG_TIMEOUT, "another run has held the lock for %s", wait);
    return status;
}

static void drop_lock(const tg_migration_run_t *run)
{
    /* The session's end drops it as well, so a failure here is nobody's loss. */
    tg_status_t ignored = tg_session_query(run->session, "SELECT pg_advisory_unlock(" LOCK_KEY ")",
                                           0, NULL, NULL, NULL);
    (void)ignored;
}

/* In one transaction, so that no database has a book without an engine. */
static tg_status_t make_first_book(const tg_migration_run_t *run, tg_error_t *error)
{
    const char *const params[] = {run->engine};

    tg_status_t status = tg_session_query(run->session, "BEGIN", 0, NULL, NULL, error);
    if (status == TG_OK)
        status = tg_session_script(run->session, "migrate", book_sql, error);
    if (status == TG_OK)
        status = tg_session_query(run->session, "INSERT INTO migrate.engine (name) VALUES ($1)", 1,
                                  params, NULL, error);
    if (status == TG_OK)
        status = tg_session_query(run->session, "COMMIT", 0, NULL, NULL, error);
    return status;
}

static tg_status_t record(const tg_migration_run_t *run, const tg_migration_t *file, uint64_t ms,
                          tg_error_t *error)
{
    char number[16], duration[24];
    const char *const params[] = {number, file->name, file->sha256, duration};
    (void)snprintf(number, sizeof(number), "%d", file->number);
    (void)snprintf(duration, sizeof(duration), "%llu", (unsigned long long)ms);
    return tg_session_query(run->session,
                            "INSERT INTO migrate.applied (number, name, sha256, duration_ms)"
                            " VALUES ($1, $2, $3, $4)",
                            4, params, NULL, error);
}

static tg_status_t apply_one(const tg_migration_run_t *run, const tg_migration_t *file,
                             tg_error_t *error)
{
    uint64_t start = tg_time_mono_ms();

    tg_status_t status = tg_session_query(run->session, "BEGIN", 0, NULL, NULL, error);
    if (status == TG_OK)
        status = tg_session_script(run->session, file->name, file->text, error);
    if (status == TG_OK && !tg_session_in_transaction(run->session))
        status = tg_error_set(error, TG_INVALID, "%s ends its own transaction", file->name);
    if (status == TG_OK)
        status = record(run, file, tg_time_mono_ms() - start, error);
    if (status == TG_OK)
        status = tg_session_query(run->session, "COMMIT", 0, NULL, NULL, error);
    if (status != TG_OK) {
        tg_status_t ignored = tg_session_query(run->session, "ROLLBACK", 0, NULL, NULL, NULL);
        (void)ignored; /* the server rolls back at the session's end anyway */
        return status;
    }
    (void)fprintf(run->out, "%s applied in %llu ms\n", file->name,
                  (unsigned long long)(tg_time_mono_ms() - start));
    return TG_OK;
}

static tg_status_t apply_missing(const tg_migration_run_t *run, PGresult *rows, tg_error_t *error)
{
    size_t done = 0;

    for (size_t i = 0; i < run->files->count; i++) {
        const tg_migration_t *file = &run->files->items[i];
        if (row_of(rows, file->number) >= 0)
            continue;
        if (run->dry_run) {
            (void)fprintf(run->out, "%s would be applied\n", file->name);
        } else {
            tg_status_t status = apply_one(run, file, error);
            if (status != TG_OK)
                return status;
        }
        done++;
    }
    (void)fprintf(run->out, "engine %s: %zu of %zu migrations %s\n", run->engine, done,
                  run->files->count, run->dry_run ? "would be applied" : "applied now");
    return TG_OK;
}

tg_status_t tg_migration_up(const tg_migration_run_t *run, tg_error_t *error)
{
    assert(run != NULL);
    assert(run->session != NULL);
    PGresult *rows = NULL;

    tg_status_t status = take_lock(run, error);
    if (status != TG_OK)
        return status;
    status = check_book(run, &rows, error);
    if (status == TG_OK && !run->dry_run && rows == NULL)
        status = make_first_book(run, error);
    if (status == TG_OK)
        status = apply_missing(run, rows, error);
    PQclear(rows);
    drop_lock(run);
    return status;
}

tg_status_t tg_migration_status(const tg_migration_run_t *run, tg_error_t *error)
{
    assert(run != NULL);
    assert(run->session != NULL);
    PGresult *rows = NULL;

    tg_status_t status = check_book(run, &rows, error);
    if (status != TG_OK)
        return status;
    (void)fprintf(run->out, "%-40s %s\n", "engine", run->engine);
    for (size_t i = 0; i < run->files->count; i++) {
        const tg_migration_t *file = &run->files->items[i];
        int row = row_of(rows, file->number);
        (void)fprintf(run->out, "%-40s %s\n", file->name,
                      row < 0 ? "pending" : PQgetvalue(rows, row, 3));
    }
    PQclear(rows);
    return TG_OK;
}
