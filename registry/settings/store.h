/* The statements about settings: control.registry_settings, one row per subject, context ('') and
 * registry (TG_CONTEXT_GLOBAL, '').
 *
 * They are given as statements and not as calls, so that others can read the scope of a subject in
 * a pipeline of their own: a request needs no round trip more than it has anyway.
 *
 * Threads: pure functions; parameters are borrowed until tg_pg_call has copied them. */
#ifndef TG_REGISTRY_SETTINGS_STORE_H
#define TG_REGISTRY_SETTINGS_STORE_H

#include "common/pg/pool.h"
#include "registry/settings/config.h"

/* Reads the rows that count for a subject ('' for a context as a whole). */
tg_pg_stmt_t tg_scope_stmt(tg_str_t context, tg_str_t subject);

/* Its answer, settled; texts are copied into the arena. TG_NOMEM. */
TG_NODISCARD tg_status_t tg_scope_read(const PGresult *rows, tg_str_t context, tg_str_t subject,
                                       tg_arena_t *arena, tg_scope_t *out_scope);

/* --- changes; those with two statements fill `stmts` --- */

#define TG_SETTINGS_STMTS 2

/* The names of the members that a patch gives, as a PostgreSQL array. */
typedef struct tg_config_given {
    char text[160];
} tg_config_given_t;

/* Puts `patch` over what is there and gives back the row, or no row where the context has
 * `max_rows` (decimal digits) already. `given` is filled and must live until the call. */
tg_pg_stmt_t tg_settings_put_config(const tg_config_patch_t *patch, tg_str_t context,
                                    tg_str_t subject, tg_str_t max_rows, tg_config_given_t *given);
void tg_settings_drop_config(tg_str_t context, tg_str_t subject,
                             tg_pg_stmt_t stmts[TG_SETTINGS_STMTS]);

/* Gives back the row or none, likewise. */
tg_pg_stmt_t tg_settings_put_mode(tg_mode_t mode, tg_str_t context, tg_str_t subject,
                                  tg_str_t max_rows);

/* `recursive`: of all subjects of the context as well. */
void tg_settings_drop_mode(tg_str_t context, tg_str_t subject, bool recursive,
                           tg_pg_stmt_t stmts[TG_SETTINGS_STMTS]);

/* A row that came back; texts are copied into the arena. TG_NOMEM. */
TG_NODISCARD tg_status_t tg_settings_read(const PGresult *rows, int row, tg_arena_t *arena,
                                          tg_subject_config_t *out_config);

#endif
