/* Brings a database to the state that the migration files describe, and says where it stands.
 *
 * Each file runs in one transaction together with its record, so a file is applied wholly or not at
 * all. An advisory lock of the session makes concurrent runs wait for each other. What was applied
 * before is checked first: another engine, a changed or missing file, or a number that comes too
 * late stops the run before anything is done.
 *
 * Threads: one. */
#ifndef TG_MIGRATION_APPLY_H
#define TG_MIGRATION_APPLY_H

#include <stdio.h>

#include "common/tool/session.h"
#include "migrations/files.h"

typedef struct tg_migration_run {
    tg_session_t *session;             /* borrowed */
    const tg_migration_files_t *files; /* borrowed */
    const char *engine;
    uint64_t lock_wait_ms; /* TG_TIMEOUT when another run holds the lock for longer */
    bool dry_run;          /* check and say, change nothing */
    FILE *out;             /* a line per migration */
} tg_migration_run_t;

#define TG_ENGINE_NAME_MAX 32
#define TG_ENGINE_AUTO     "auto"

/* The engine to run with: the one that the database records; else `asked`, or by "auto" timescale
 * where the server has loaded that extension and plain elsewhere. TG_CONFLICT when `asked` is not
 * the recorded one, or the server cannot serve it; the text says what to do. */
TG_NODISCARD tg_status_t tg_migration_engine(tg_session_t *session, const char *asked,
                                             char out_engine[TG_ENGINE_NAME_MAX],
                                             tg_error_t *error);

/* Applies what is missing. */
TG_NODISCARD tg_status_t tg_migration_up(const tg_migration_run_t *run, tg_error_t *error);

/* Prints each migration as applied or pending. TG_CONFLICT as for up. Takes no lock. */
TG_NODISCARD tg_status_t tg_migration_status(const tg_migration_run_t *run, tg_error_t *error);

#endif
