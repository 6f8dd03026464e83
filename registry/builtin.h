/* The built-in event types: read from files at start, registered in the default context.
 *
 * Before them, schemas that an earlier release registered get what they lack: their print, their
 * identity and their guid, a few at a time. The ids stay. Where that makes two schemas of a context
 * the same one, both keep their ids, and the older is the one that is found.
 *
 * A file "<type>.avsc" is the subject "<type>-value". Registering is idempotent, so each instance
 * does it at each start; a changed file becomes the subject's next version. PostgreSQL away: tried
 * again each second, and the service is not ready before it is done.
 *
 * Limits: TG_BUILTIN_MAX files, each of at most 1 MiB.
 * Threads: loaded by the main thread, run on one loop; tg_builtin_missing from any thread. */
#ifndef TG_REGISTRY_BUILTIN_H
#define TG_REGISTRY_BUILTIN_H

#include "common/pg/pool.h"

#define TG_BUILTIN_MAX 256

typedef struct tg_builtin tg_builtin_t;

/* Reads and checks all files of `dir`; the error names the file. */
TG_NODISCARD tg_status_t tg_builtin_load(const char *dir, tg_builtin_t **out_builtin,
                                         tg_error_t *error);
void tg_builtin_destroy(tg_builtin_t *builtin); /* stopped or never started; NULL is allowed */

/* Begins to register over `pool`, one after the other. */
void tg_builtin_start(tg_builtin_t *builtin, tg_loop_t *loop, tg_pg_pool_t *pool);

/* Gives up what is under way; a builtin that was not started is allowed. */
void tg_builtin_stop(tg_builtin_t *builtin);

/* Schemas not yet known to be registered. */
size_t tg_builtin_missing(const tg_builtin_t *builtin);

#endif
