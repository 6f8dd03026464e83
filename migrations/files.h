/* The migration files of one engine: common/ and the engine's folder merged in the order of their
 * numbers, with text and SHA-256.
 *
 * A file is NNNN_name.sql, at most 1 MiB, without NUL; a number occurs once. Anything else that
 * ends in .sql is an error, so that a file with a mistyped name is not passed over.
 *
 * Threads: one; read-only once loaded. */
#ifndef TG_MIGRATION_FILES_H
#define TG_MIGRATION_FILES_H

#include "common/base/hash.h"

#define TG_MIGRATIONS_MAX     1000
#define TG_MIGRATION_NAME_MAX 128
#define TG_MIGRATION_TEXT_MAX ((size_t)1 << 20)

typedef struct tg_migration {
    int number;
    char name[TG_MIGRATION_NAME_MAX]; /* "0001_schemas_and_roles.sql" */
    char *text;                       /* owned, NUL-terminated */
    char sha256[2 * TG_SHA256_LEN + 1];
} tg_migration_t;

typedef struct tg_migration_files {
    tg_migration_t *items; /* by number */
    size_t count;
} tg_migration_files_t;

/* Loads dir/common and dir/<engine>. Dispose of the files in every case. */
TG_NODISCARD tg_status_t tg_migration_files_load(const char *dir, const char *engine,
                                                 tg_migration_files_t *out_files,
                                                 tg_error_t *error);
void tg_migration_files_dispose(tg_migration_files_t *files);

/* The number of a file name of the right form, 0 otherwise. */
int tg_migration_number(tg_str_t name);

/* The migration of this number, or NULL. Borrowed. */
const tg_migration_t *tg_migration_find(const tg_migration_files_t *files, int number);

#endif
